"""What is said inside a function or module, looked up once: names called, attributes, checks."""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from typing import Final
from weakref import WeakKeyDictionary

from mlops_advisor.tools.evidence.parse.python import dotted
from mlops_advisor.tools.evidence.view import View, last

_FRAME: Final = re.compile(
    r"(?i)^(?:self\.)?(?:\w{0,30}_)?(?:df|data|frame|dataframe|features|x|train|test|dataset)"
    r"(?:_\w{0,30})?$"
)
_SAYS: Final = frozenset(("warning", "warn", "error", "exception", "critical"))


@dataclass(frozen=True, slots=True)
class Scope:
    """Facts of one function, or of a module with all that is in it.

    `calls` are last parts of what is called, with lines; `slices` the names that select columns
    of a frame; `columns` those read, by name, with the first line.
    """

    calls: dict[str, list[int]]
    attributes: frozenset[str]
    names: frozenset[str]
    slices: frozenset[str]
    columns: dict[str, int]
    stops: bool
    warns: bool
    compares: bool


_KNOWN: WeakKeyDictionary[View, dict[ast.AST, Scope]] = WeakKeyDictionary()


def is_frame(name: str) -> bool:
    """Tell whether a variable is called like a table."""
    return bool(_FRAME.match(name))


def scope_of(view: View, node: ast.AST) -> Scope:
    """Facts of the function around a node, or of the module; each is gathered once."""
    around: ast.AST = view.function(node) or view.tree
    known = _KNOWN.setdefault(view, {})
    if around not in known:
        known[around] = _gathered(view, around)
    return known[around]


def _gathered(view: View, around: ast.AST) -> Scope:
    calls: dict[str, list[int]] = {}
    columns: dict[str, int] = {}
    names: set[str] = set()
    slices: set[str] = set()
    kinds: set[type] = set()
    warns = False
    attributes: set[str] = set()
    for node in view.walk(around):
        kinds.add(type(node))
        if isinstance(node, ast.Call):
            short = last(dotted(node.func)) or dotted(node.func)
            calls.setdefault(short, []).append(node.lineno)
            warns = warns or (short in _SAYS and "miss" in _texts(node))
        elif isinstance(node, ast.Attribute):
            attributes.add(node.attr)
            columns.setdefault(node.attr, node.lineno)
        elif isinstance(node, ast.Name):
            names.add(node.id)
        elif isinstance(node, ast.Subscript):
            columns.setdefault(view.column(node), node.lineno)
            slices.add(_slice(node))
    return Scope(
        calls,
        frozenset(attributes),
        frozenset(names),
        frozenset(slices),
        columns,
        stops=not kinds.isdisjoint((ast.Raise, ast.Assert)),
        warns=warns,
        compares=not kinds.isdisjoint((ast.NotIn, ast.BitAnd)),
    )


def _slice(node: ast.Subscript) -> str:
    """Name that selects columns of a frame, or empty."""
    if isinstance(node.slice, ast.Name) and isinstance(node.ctx, ast.Load):
        return node.slice.id if is_frame(dotted(node.value)) else ""
    return ""


def _texts(call: ast.Call) -> str:
    """Literal texts right in the arguments of a call, lower case."""
    found = []
    for argument in call.args[:3]:
        parts = argument.values if isinstance(argument, ast.JoinedStr) else [argument]
        found += [f"{p.value!r}" for p in parts[:10] if isinstance(p, ast.Constant)]
    return " ".join(found)[:1_000].lower()
