"""Annotations that contradict the value beside them."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from typing import Final

from mlops_advisor.tools.audit_workflow.rules._docs import source
from mlops_advisor.tools.evidence.parse.python import dotted
from mlops_advisor.tools.evidence.view import FUNCTIONS, AnyFunction, View, last

_SCALARS: Final = {
    "int": (int,),
    "float": (float, int),
    "str": (str,),
    "bool": (bool,),
    "bytes": (bytes,),
    "complex": (complex, float, int),
}
_BOXES: Final = {
    "list": (ast.List, ast.ListComp),
    "List": (ast.List, ast.ListComp),
    "dict": (ast.Dict, ast.DictComp),
    "Dict": (ast.Dict, ast.DictComp),
    "set": (ast.Set, ast.SetComp),
    "Set": (ast.Set, ast.SetComp),
    "tuple": (ast.Tuple,),
    "Tuple": (ast.Tuple,),
}
_LITERALS: Final = (ast.List, ast.Dict, ast.Set, ast.Tuple)
# Classes whose instances no tuple, text or number is.
_OBJECTS: Final = ("DataFrame", "Series", "ndarray", "Tensor", "Pipeline", "Module")


def contradiction(annotation: ast.expr | None, value: ast.expr | None) -> str:
    """Say how a literal contradicts its annotation; empty when it does not."""
    if annotation is None or value is None:
        return ""
    node = value.operand if isinstance(value, ast.UnaryOp) else value
    if not isinstance(node, (ast.Constant, *_LITERALS)):
        return ""
    name = _plain(annotation)
    if isinstance(node, ast.Constant):
        wrong = node.value not in (None, ...) and _wrong(name, node.value)
        return f"is annotated `{name}` and set to `{node.value!r:.40}`" if wrong else ""
    scalar = name in _SCALARS
    box = name in _BOXES and not isinstance(node, _BOXES[name])
    if scalar or box:
        return f"is annotated `{name}` and set to a {type(node).__name__.lower()}"
    return ""


def _wrong(name: str, given: object) -> bool:
    """Tell whether a literal is none of what a plain annotation allows."""
    if name in _SCALARS:
        flag = isinstance(given, bool) and name in ("int", "float", "str")
        return flag or not isinstance(given, _SCALARS[name])
    return name in _BOXES and not (isinstance(given, (str, bytes)) and name in ("Tuple", "tuple"))


def _plain(annotation: ast.expr) -> str:
    """Name of a plain class or container; empty for unions, optionals and the rest."""
    if isinstance(annotation, ast.Subscript):
        name = last(dotted(annotation.value))
        return name if name in _BOXES else ""
    if isinstance(annotation, (ast.Name, ast.Attribute)):
        raw = dotted(annotation)
        name = last(raw)
        known = name in _SCALARS or name in _BOXES
        return name if known and raw in (name, f"typing.{name}", f"builtins.{name}") else ""
    return ""


def returns_of(view: View) -> dict[AnyFunction, list[ast.expr]]:
    """Values that annotated functions return, in the order of the source; none of generators."""
    found: dict[AnyFunction, list[ast.expr]] = {}
    for node in view.of(ast.Return):
        value = node.value
        if value is None or (isinstance(value, ast.Constant) and value.value is None):
            continue
        owner = _owner(view, node)
        if isinstance(owner, FUNCTIONS) and owner.returns is not None:
            found.setdefault(owner, []).append(value)
    yields: list[ast.Yield | ast.YieldFrom] = [*view.of(ast.Yield), *view.of(ast.YieldFrom)]
    for node_ in yields if found else ():
        for up in view.above(node_):
            if isinstance(up, FUNCTIONS):
                found.pop(up, None)
    return found


def wrong_returns(function: AnyFunction, values: Iterable[ast.expr]) -> Iterator[tuple[int, str]]:
    """Find returns that contradict the annotation of a function, the first only."""
    annotation = function.returns
    if annotation is None or _abstract(function):
        return
    for value in values:
        what = _returned(annotation, value)
        if what:
            yield function.lineno, f"is annotated `-> {source(annotation, 80)}` and returns {what}"
            return


def _returned(annotation: ast.expr, value: ast.expr) -> str:
    """Words for a returned value that contradicts an annotation; empty when it does not."""
    if isinstance(annotation, ast.Constant):
        short = isinstance(value, (ast.Await, ast.Call)) and _returns_nothing(value)
        return _shown(value) if annotation.value is None and not short else ""
    if isinstance(value, (ast.Name, ast.Call)):
        return ""
    name = _plain(annotation)
    made = last(dotted(annotation)) in _OBJECTS and not isinstance(annotation, ast.Subscript)
    if isinstance(value, ast.Tuple):
        wrong = (name or made) and name not in ("tuple", "Tuple")
        return f"a tuple of {len(value.elts)}" if wrong else ""
    if name:
        return _shown(value) if contradiction(annotation, value) else ""
    return _shown(value) if made and isinstance(value, (ast.Constant, ast.Dict, ast.List)) else ""


def _shown(value: ast.expr) -> str:
    return f"`{source(value, 60)}`"


def _returns_nothing(value: ast.expr) -> bool:
    """Tell whether a call in a `return` of a function of nothing is only a short cut."""
    name = last(dotted(value.value if isinstance(value, ast.Await) else value)).removesuffix("()")
    return name in (
        "print",
        "main",
        "run",
        "app",
        "exit",
        "typer",
        "info",
        "error",
        "warning",
        "debug",
    )


def _abstract(function: AnyFunction) -> bool:
    return any(
        last(dotted(d)) in ("overload", "abstractmethod", "contextmanager")
        for d in function.decorator_list
    )


def _owner(view: View, node: ast.AST) -> ast.AST | None:
    return next((n for n in view.above(node) if isinstance(n, (*FUNCTIONS, ast.Lambda))), None)
