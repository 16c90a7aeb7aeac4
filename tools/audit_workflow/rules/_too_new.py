"""Code that is newer than the Python of the image that runs it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import Final

from mlops_advisor.tools.audit_workflow.repo import AuditRepository
from mlops_advisor.tools.audit_workflow.rule import HIGH, Hit
from mlops_advisor.tools.audit_workflow.rules._image_code import Place, loaded, places
from mlops_advisor.tools.evidence.view import FUNCTIONS, View, walk

_GENERICS: Final = frozenset(
    ("list", "dict", "set", "tuple", "frozenset", "type", "collections.deque")
)
# What `from MODULE import NAME` needs at least; an empty name is the module itself.
_SINCE: Final = {
    ("tomllib", ""): 11,
    ("zoneinfo", ""): 9,
    ("graphlib", ""): 9,
    ("typing", "Annotated"): 9,
    ("typing", "TypeAlias"): 10,
    ("typing", "ParamSpec"): 10,
    ("typing", "Concatenate"): 10,
    ("typing", "TypeGuard"): 10,
    ("typing", "Self"): 11,
    ("typing", "Required"): 11,
    ("typing", "NotRequired"): 11,
    ("typing", "LiteralString"): 11,
    ("typing", "Never"): 11,
    ("typing", "assert_never"): 11,
    ("typing", "override"): 12,
    ("enum", "StrEnum"): 11,
    ("datetime", "UTC"): 11,
    ("functools", "cache"): 9,
    ("itertools", "pairwise"): 10,
    ("itertools", "batched"): 12,
    ("asyncio", "TaskGroup"): 11,
}
_MARKS: Final = (
    *("match ", ":=", "|", "list[", "dict[", "tuple[", "set[", "except*", "removeprefix"),
    *("removesuffix", "tomllib", "zoneinfo", "typing", "StrEnum", "UTC", "pairwise", "batched"),
    *("functools", "TaskGroup", "type ", "slots=True", "kw_only=True"),
)
_MAX_SHOWN: Final = 4


def too_new(repo: AuditRepository) -> Iterator[Hit]:
    """Report, once for each environment and module, syntax that its Python does not know."""
    for place in places(repo):
        if place.python[0] == 0:
            continue
        for path in loaded(repo, place.modules):
            text = repo.text(path)
            if not any(m in text for m in _MARKS):
                continue
            view = repo.view(path)
            found = sorted(set(_newer(view, place.python[1]))) if view is not None else []
            if found:
                yield _hit(place, path, found)


def _hit(place: Place, path: str, found: list[tuple[int, str, int]]) -> Hit:
    line, what, since = found[0]
    version = f"{place.python[0]}.{place.python[1]}"
    need = max(s for _, _, s in found)
    return Hit(
        path,
        line,
        f"{what} needs Python 3.{since}, and the {place.what} that runs this code has {version}"
        f" ({place.path}:{place.line}): it fails when the module is loaded.",
        f"Take a Python of at least 3.{need} for it, the one that development and CI use.",
        also=((place.path, place.line), *((path, n) for n, _, _ in found[1:_MAX_SHOWN])),
        severity=HIGH,
        confidence=0.85,
    )


def _newer(view: View, minor: int) -> Iterator[tuple[int, str, int]]:
    """Line, words and needed version of each construct that Python 3.`minor` lacks."""
    for line, what, since in (*_syntax(view), *_imported(view), *_annotated(view)):
        if since > minor:
            yield line, what, since


def _syntax(view: View) -> Iterator[tuple[int, str, int]]:
    yield from ((n.lineno, "`match`", 10) for n in view.of(ast.Match))
    yield from ((n.lineno, "`:=`", 8) for n in view.of(ast.NamedExpr))
    yield from ((n.lineno, "`except*`", 11) for n in view.of(ast.TryStar))
    for function in view.functions:
        if function.args.posonlyargs:
            yield function.lineno, "`/` among parameters", 8
        if getattr(function, "type_params", None):
            yield function.lineno, "a type parameter in brackets", 12
    for call in view.calls:
        func = call.func
        if isinstance(func, ast.Attribute) and func.attr in ("removeprefix", "removesuffix"):
            yield call.lineno, f"`str.{func.attr}`", 9


def _imported(view: View) -> Iterator[tuple[int, str, int]]:
    for node in view.tree.body:  # in `try` or under a condition it has another way
        if isinstance(node, ast.Import):
            for alias in node.names:
                since = _SINCE.get((alias.name, ""), 0)
                yield node.lineno, f"`{alias.name}`", since
        elif isinstance(node, ast.ImportFrom) and not node.level:
            for alias in node.names:
                since = _SINCE.get((node.module or "", alias.name), 0)
                since = since or _SINCE.get((node.module or "", ""), 0)
                yield node.lineno, f"`{alias.name}` of `{node.module}`", since


def _annotated(view: View) -> Iterator[tuple[int, str, int]]:
    """`X | None` and `list[int]` in annotations that are evaluated when the module is loaded."""
    future = any(
        n.module == "__future__" and any(a.name == "annotations" for a in n.names)
        for n in view.of(ast.ImportFrom)
    )
    if future:
        return
    for function in view.functions:
        args = function.args
        every = [*args.posonlyargs, *args.args, *args.kwonlyargs]
        given = [a.annotation for a in (*every, args.vararg, args.kwarg) if a is not None]
        for annotation in (*given, function.returns):
            yield from _of_annotation(annotation)
    for assign in view.of(ast.AnnAssign):
        if not isinstance(view.scope(assign), FUNCTIONS):
            yield from _of_annotation(assign.annotation)


def _of_annotation(node: ast.expr | None) -> Iterator[tuple[int, str, int]]:
    if node is None or isinstance(node, ast.Constant):
        return
    for one in walk(node):
        if isinstance(one, ast.BinOp) and isinstance(one.op, ast.BitOr):
            yield one.lineno, f"`{ast.unparse(one)[:40]}` in an annotation", 10
        elif isinstance(one, ast.Subscript) and ast.unparse(one.value) in _GENERICS:
            yield one.lineno, f"`{ast.unparse(one)[:40]}` in an annotation", 9
