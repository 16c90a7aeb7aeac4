"""Annotations that contradict the value beside them."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import Final

from mlops_advisor.tools.evidence.view import FUNCTIONS, AnyFunction, View, dotted, last

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
    name = _plain(annotation)
    if isinstance(node, ast.Constant):
        given = node.value
        if given is None or given is ...:
            return ""
        if name in _SCALARS:
            wrong = not isinstance(given, _SCALARS[name]) or (
                isinstance(given, bool) and name in ("int", "float", "str")
            )
            return f"is annotated `{name}` and set to `{given!r:.40}`" if wrong else ""
        if name in _BOXES and not isinstance(given, (str, bytes)):
            return f"is annotated `{name}` and set to `{given!r:.40}`"
        if name in _BOXES and isinstance(given, str) and name not in ("Tuple", "tuple"):
            return f"is annotated `{name}` and set to the text `{given!r:.40}`"
        return ""
    if isinstance(node, _LITERALS):
        if name in _SCALARS or (name in _BOXES and not isinstance(node, _BOXES[name])):
            return f"is annotated `{name}` and set to a {type(node).__name__.lower()}"
    return ""


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


def wrong_returns(view: View, function: AnyFunction) -> Iterator[tuple[int, str]]:
    """Returns that contradict the annotation of a function, the first only."""
    annotation = function.returns
    if annotation is None or _abstract(function):
        return
    text = ast.unparse(annotation)[:80]
    none = isinstance(annotation, ast.Constant) and annotation.value is None
    name = _plain(annotation)
    made = last(dotted(annotation)) in _OBJECTS and not isinstance(annotation, ast.Subscript)
    if not (none or name or made):
        return
    for node in ast.walk(function):
        if not isinstance(node, ast.Return) or _owner(view, node) is not function:
            continue
        value = node.value
        if value is None or (isinstance(value, ast.Constant) and value.value is None):
            continue
        if none:
            if isinstance(value, (ast.Await, ast.Call)) and _returns_nothing(value):
                continue
            yield function.lineno, f"is annotated `-> None` and returns `{ast.unparse(value)[:60]}`"
            return
        if isinstance(value, ast.Tuple) and name not in ("tuple", "Tuple"):
            yield (
                function.lineno,
                f"is annotated `-> {text}` and returns a tuple of {len(value.elts)}",
            )
            return
        why = contradiction(annotation, value)
        if why:
            yield (
                function.lineno,
                f"is annotated `-> {text}` and returns `{ast.unparse(value)[:60]}`",
            )
            return
        if made and isinstance(value, (ast.Constant, ast.Dict, ast.List)):
            yield (
                function.lineno,
                f"is annotated `-> {text}` and returns `{ast.unparse(value)[:60]}`",
            )
            return


def _returns_nothing(value: ast.expr) -> bool:
    """A call in a `return` of a function of nothing is often only a short cut."""
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
    ) or any(isinstance(n, (ast.Yield, ast.YieldFrom)) for n in ast.walk(function))


def _owner(view: View, node: ast.AST) -> ast.AST | None:
    return next((n for n in view.above(node) if isinstance(n, (*FUNCTIONS, ast.Lambda))), None)
