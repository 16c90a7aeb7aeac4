"""Follows what a client sends to the calls that fetch or open it."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from mlops_advisor.tools.audit_workflow.repo import AuditRepository
from mlops_advisor.tools.audit_workflow.rules._serving import Endpoint, callee, calls_in
from mlops_advisor.tools.evidence.parse.python import dotted
from mlops_advisor.tools.evidence.view import AnyFunction, View, last

_FETCHES: Final = re.compile(
    r"^(?:requests|httpx)\.(?:get|post|head|put|request|stream)$|^urllib\.request\.url(?:open|"
    r"retrieve)$|"
    r"^(?:requests\.Session|httpx\.(?:Async)?Client|aiohttp\.ClientSession)\(\)\.(?:get|post|"
    r"request|head)$|"
    r"^(?:pandas|ray\.data|polars|dask\.dataframe|modin\.pandas)\.read_(?:csv|parquet|json|excel|"
    r"table|pickle)$|"
    r"^wget\.download$|^cv2\.imread$|^PIL\.Image\.open$|^skimage\.io\.imread$|^imageio\.imread$|"
    r"^(?:joblib|torch)\.load$|^open$|^datasets\.load_dataset$|^torchaudio\.load$|^librosa\.load$|"
    r"\.download_file$|\.download_to_filename$"
)
_BUFFERS: Final = ("StringIO", "BytesIO", ".file", "b64decode", "frombuffer")
_GUARDS: Final = re.compile(r"allow|whitelist|trusted|permitted|ALLOWED")
_PLAIN: Final = (
    "int",
    "float",
    "bool",
    "UploadFile",
    "fastapi.UploadFile",
    "bytes",
    "Response",
    "BackgroundTasks",
)
_MAX_DEPTH: Final = 3


@dataclass(frozen=True, slots=True)
class Fetch:
    """One value of a client that is fetched: where it is read, and the call that fetches it."""

    path: str
    line: int
    value: str
    view: View
    sink: ast.Call


def fetches(repo: AuditRepository, endpoint: Endpoint) -> Iterator[Fetch]:
    """Values of a request that decide what the server fetches or opens."""
    view, function = endpoint.view, endpoint.function
    names = _given(view, function)
    found = _follow(repo, view, function, names, 0)
    if found is None:
        return
    source, where, sink = found
    line = _read_at(view, function, source, names)
    yield Fetch(view.path, line, ast.unparse(source)[:60], where, sink)


def _given(view: View, function: AnyFunction) -> frozenset[str]:
    """Names that hold what a client sent: parameters, and the request itself."""
    found = {"request"} if "request" in view.aliases else set()
    for argument in [*function.args.args, *function.args.kwonlyargs]:
        kind = view.name(argument.annotation) if argument.annotation is not None else ""
        if isinstance(argument.annotation, ast.Subscript):
            kind = view.name(argument.annotation.slice) or kind
        if (
            argument.arg not in ("self", "cls", "context")
            and last(kind) not in _PLAIN
            and kind not in _PLAIN
        ):
            found.add(argument.arg)
    return frozenset(found)


def _follow(
    repo: AuditRepository, view: View, function: AnyFunction, names: frozenset[str], depth: int
) -> tuple[ast.expr, View, ast.Call] | None:
    """Find the first call that fetches what came from some names: the source, and the call."""
    tainted = _spread(view, function, names)
    if _guarded(view, function):
        return None
    for call in calls_in(view, function):
        for argument in _arguments(call):
            source = _source(argument, tainted, names)
            if source is None:
                continue
            if _FETCHES.search(view.name(call)) and _decides(call, argument):
                return source, view, call
            target = callee(repo, view, call) if depth < _MAX_DEPTH else None
            if target is not None and target[1] is not function:
                parameter = _parameter(target[1], call, argument)
                if parameter:
                    below = _follow(repo, target[0], target[1], frozenset((parameter,)), depth + 1)
                    if below is not None:
                        return source, below[1], below[2]
    return None


def _arguments(call: ast.Call) -> list[ast.expr]:
    return [*call.args, *(k.value for k in call.keywords)]


def _decides(call: ast.Call, argument: ast.expr) -> bool:
    """Tell whether an argument says what is fetched, not what is sent along."""
    if any(b in ast.unparse(argument) for b in _BUFFERS):
        return False
    if call.args and argument is call.args[0]:
        # `requests.get(f"{BASE}/{id}")`: the host stands.
        if isinstance(argument, ast.JoinedStr) and argument.values:
            first = argument.values[0]
            return isinstance(first, ast.FormattedValue) and "request" not in ast.unparse(first)[:0]
        return True
    return any(
        k.value is argument and k.arg in ("url", "path", "filepath_or_buffer", "uri", "paths")
        for k in call.keywords
    )


def _spread(view: View, function: AnyFunction, names: frozenset[str]) -> dict[str, ast.expr | None]:
    """Find names that hold what came from some names, with the expression that reads it."""
    tainted: dict[str, ast.expr | None] = dict.fromkeys(names)
    assigns = sorted(view.below(function, ast.Assign), key=lambda n: n.lineno)
    for _ in range(3):
        before = len(tainted)
        for assign in assigns:
            target = assign.targets[0]
            if not isinstance(target, ast.Name) or target.id in tainted:
                continue
            if _reads(assign.value, tainted):
                tainted[target.id] = assign.value
        if len(tainted) == before:
            break
    return tainted


def _reads(value: ast.expr, tainted: dict[str, ast.expr | None]) -> bool:
    """Tell whether a value is, or is picked from, something tainted."""
    node: ast.AST = value
    for _ in range(12):
        if isinstance(node, (ast.Await, ast.Attribute, ast.Subscript)):
            node = node.value
        elif isinstance(node, ast.Call):
            name = last(dotted(node).removesuffix("()"))
            if name in ("loads", "str", "unquote", "strip") and node.args:
                node = node.args[0]
            elif isinstance(node.func, ast.Attribute) and name in (
                "get",
                "json",
                "get_json",
                "strip",
                "dict",
                "model_dump",
                "getlist",
                "body",
                "decode",
            ):
                node = node.func.value
            else:
                return False
        elif isinstance(node, ast.JoinedStr):
            first = node.values[0] if node.values else None
            if not isinstance(first, ast.FormattedValue):
                return False
            node = first.value
        else:
            break
    return isinstance(node, ast.Name) and node.id in tainted


def _source(
    argument: ast.expr, tainted: dict[str, ast.expr | None], names: frozenset[str]
) -> ast.expr | None:
    """Expression that reads the client's value, for an argument made of it."""
    if not _reads(argument, tainted):
        return None
    if isinstance(argument, ast.Name):
        if argument.id in names:
            return argument if argument.id != "request" else None
        return tainted[argument.id] or argument
    return argument


def _guarded(view: View, function: AnyFunction) -> bool:
    for node in view.below(function, ast.If):
        text = ast.unparse(node.test)
        if _GUARDS.search(text) or ".startswith(" in text or "is_safe" in text:
            return True
    return any(
        last(view.name(c)) in ("urlparse", "urlsplit", "secure_filename")
        for c in calls_in(view, function)
    )


def _parameter(function: AnyFunction, call: ast.Call, argument: ast.expr) -> str:
    names = [a.arg for a in function.args.args]
    for keyword in call.keywords:
        if keyword.value is argument:
            return (
                keyword.arg
                if keyword.arg in names or keyword.arg in [a.arg for a in function.args.kwonlyargs]
                else ""
            )
    if names[:1] in (["self"], ["cls"]):
        names = names[1:]
    at = call.args.index(argument) if argument in call.args else -1
    return names[at] if 0 <= at < len(names) else ""


def _read_at(view: View, function: AnyFunction, source: ast.expr, names: frozenset[str]) -> int:
    """Line where the value is read; that of the parameter when it is one."""
    if isinstance(source, ast.Name) and source.id in names:
        uses = [
            n
            for n in view.below(function, ast.Name)
            if n.id == source.id and isinstance(n.ctx, ast.Load)
        ]
        return min((u.lineno for u in uses), default=function.lineno)
    return source.lineno
