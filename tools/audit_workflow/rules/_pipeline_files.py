"""What a step of a pipeline leaves behind and what it picks up: files, tables, named models."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from mlops_advisor.tools.audit_workflow.repo import AuditRepository
from mlops_advisor.tools.audit_workflow.rules._pipeline import REMOTE, own_calls, reached
from mlops_advisor.tools.evidence.view import HOLE, AnyFunction, View, last

_WRITE_FIRST: Final = frozenset(
    "to_csv to_parquet to_pickle to_json to_feather to_excel to_hdf save_model save savez savetxt"
    " savefig write_parquet write_csv save_weights save_pretrained export_model"
    " sink_parquet".split()
)
_WRITE_SECOND: Final = frozenset(
    "joblib.dump torch.save skops.io.dump tensorflow.saved_model.save shutil.copy shutil.copyfile"
    " shutil.move urllib.request.urlretrieve".split()
)
_READ_FIRST: Final = frozenset(
    "read_csv read_parquet read_pickle read_json read_feather read_excel read_hdf read_table"
    " load_model load_weights from_pretrained scan_parquet genfromtxt loadtxt".split()
)
_READ_NAMES: Final = frozenset(
    "joblib.load torch.load numpy.load skops.io.load tensorflow.saved_model.load"
    " tensorflow.keras.models.load_model keras.models.load_model pickle.load".split()
)
_OWNER: Final = {"write_text": "w", "write_bytes": "w", "read_text": "r", "read_bytes": "r"}
_FILE: Final = re.compile(r"^(?:[\w./ \\:-]{1,300}|<\w{1,80}>)$")
_MODEL_URI: Final = re.compile(r"^models:/([\w. -]{1,100})[/@]")
_TABLE: Final = re.compile(r"\b(?:from|join)\s{1,8}([\w.\"]{2,80})", re.IGNORECASE)


@dataclass(slots=True)
class Touched:
    """Resources by key, each with the first place where it is written or read."""

    writes: dict[str, tuple[str, int]] = field(default_factory=dict)
    reads: dict[str, tuple[str, int]] = field(default_factory=dict)


def is_local(key: str) -> bool:
    """Tell whether a resource is a file of the local disk whose name is always the same."""
    return (
        key.startswith("file:")
        and "<" not in key
        and HOLE not in key
        and not any(r in key for r in REMOTE)
        and not key[5:].startswith(("/gcs/", "/s3/", "/mnt/", "/dbfs/", "dbfs:", "hdfs:"))
    )


def touched(repo: AuditRepository, view: View, function: ast.AST) -> Touched:
    """Find what a function, and what it calls in this workspace, writes and reads."""
    return _collect(repo, reached(repo, view, function))


def touched_by_module(repo: AuditRepository, view: View) -> Touched:
    """Find what a script writes and reads, whatever function does so."""
    found = Touched()
    for call in view.calls:
        _take(repo, view, call, found)
    return found


def touched_here(repo: AuditRepository, view: View, node: ast.AST) -> Touched:
    """Find what the calls below a node write and read, without following them."""
    return _collect(repo, ((view, c) for c in own_calls(node)))


def _collect(repo: AuditRepository, calls: Iterable[tuple[View, ast.Call]]) -> Touched:
    found = Touched()
    for where, call in calls:
        _take(repo, where, call, found)
    return found


def bound(view: View, call: ast.Call, function: AnyFunction, files: Touched) -> Touched:
    """Put what a call gives in place of the function's parameters in the names of resources."""
    names = [a.arg for a in (*function.args.posonlyargs, *function.args.args)]
    given = dict(zip(names, call.args, strict=False))
    given.update({k.arg: k.value for k in call.keywords if k.arg})

    def key(text: str) -> str:
        kind, _, name = text.partition(":")
        value = given.get(name.strip("<>")) if name.startswith("<") else None
        if value is None:
            return text
        return f"{kind}:{view.string(value) or ast.unparse(value)[:80]}"

    return Touched(
        {key(k): v for k, v in files.writes.items()}, {key(k): v for k, v in files.reads.items()}
    )


def text_of(repo: AuditRepository, view: View, node: ast.expr | None) -> str:
    """Text of an expression; a constant imported from a module of this workspace is followed.

    A parameter of the function around reads `<name>`.
    """
    text = view.string(node)
    if text or not isinstance(node, (ast.Name, ast.Attribute)):
        return text
    head = node.id if isinstance(node, ast.Name) else ""
    function = view.function(node)
    if head and function is not None and head in _parameters(function):
        return f"<{head}>"
    full = view.aliases.get(head, "") if head else view.name(node)
    module, _, name = full.rpartition(".")
    path = repo.code.resolve(module, view.path) if module.strip(".") else ""
    other = repo.view(path) if path and path != view.path else None
    if other is None:
        return ""
    values = other.assigned.get(other.tree, {}).get(name, [])
    return other.string(values[0]) if len(values) == 1 else ""


def _parameters(function: AnyFunction) -> frozenset[str]:
    args = function.args
    return frozenset(a.arg for a in (*args.posonlyargs, *args.args, *args.kwonlyargs))


def _take(repo: AuditRepository, view: View, call: ast.Call, found: Touched) -> None:
    name, place = view.name(call), (view.path, call.lineno)
    end = last(name)
    for mode, node in _files(view, call, name, end):
        text = text_of(repo, view, node).replace("\\", "/")
        if text and _FILE.match(text) and ("." in text or "/" in text or text[0] == "<"):
            key = "file:" + text.removeprefix("./")
            (found.writes if mode == "w" else found.reads).setdefault(key, place)
    for mode, key in _named(repo, view, call, name, end):
        (found.writes if mode == "w" else found.reads).setdefault(key, place)


def _files(
    view: View, call: ast.Call, name: str, end: str
) -> Iterable[tuple[str, ast.expr | None]]:
    if name in ("open", "io.open", "builtins.open") or end == "open":
        if name.startswith(("PIL.", "webbrowser.", "tarfile.", "zipfile.", "gzip.")):
            return
        owner = isinstance(call.func, ast.Attribute) and name not in ("io.open", "builtins.open")
        mode = view.string(view.arg(call, "mode", 0 if owner else 1)) or "r"
        target = call.func.value if owner and isinstance(call.func, ast.Attribute) else None
        kind = "w" if set(mode[:3]) & set("wax") else "r"
        yield kind, target if target is not None else view.arg(call, "file", 0)
    elif end in _OWNER and isinstance(call.func, ast.Attribute):
        yield _OWNER[end], call.func.value
    elif name in _WRITE_SECOND:
        yield "w", view.arg(call, "filename", 1) or view.arg(call, "f", 1)
    elif name in _READ_NAMES or end in _READ_FIRST:
        node = call.args[0] if call.args else None
        yield "r", node or view.arg(call, "path") or view.arg(call, "filename")
    elif end in _WRITE_FIRST and not name.startswith("bentoml."):
        node = call.args[0] if call.args else None
        yield "w", node or view.arg(call, "path") or view.arg(call, "path_or_buf")


def _named(
    repo: AuditRepository, view: View, call: ast.Call, name: str, end: str
) -> Iterable[tuple[str, str]]:
    """Find models by name and tables."""
    first = text_of(repo, view, call.args[0]) if call.args else ""
    if name == "bentoml.build":
        yield from _service(repo, first)
    elif name.startswith("bentoml."):
        yield from _bento(first or _keyword_text(repo, view, call, "name", "tag"), end)
    registered = _keyword_text(repo, view, call, "registered_model_name")
    if name == "mlflow.register_model":
        registered = text_of(repo, view, view.arg(call, "name", 1))
    if registered:
        yield "w", f"model:{registered}"
    if end == "load_model" and (found := _MODEL_URI.match(first)):
        yield "r", f"model:{found.group(1)}"
    yield from _tables(first, end)


def _keyword_text(repo: AuditRepository, view: View, call: ast.Call, *names: str) -> str:
    return next((t for n in names if (t := text_of(repo, view, view.arg(call, n)))), "")


def _bento(text: str, end: str) -> Iterable[tuple[str, str]]:
    tag = text.partition(":")[0]
    if tag and end in ("save_model", "save"):
        yield "w", f"bento:{tag}"
    elif tag and end in ("get", "load_model", "load_runner", "load"):
        yield "r", f"bento:{tag}"


def _tables(text: str, end: str) -> Iterable[tuple[str, str]]:
    if end == "to_sql" and text:
        yield "w", f"table:{text.lower()}"
    elif end in ("read_sql", "read_sql_query", "read_sql_table") and text:
        if " " not in text:
            yield "r", f"table:{text.lower()}"
        for match in _TABLE.finditer(text[:2_000]):
            yield "r", f"table:{match.group(1).strip(chr(34)).lower()}"


def _service(repo: AuditRepository, text: str) -> Iterable[tuple[str, str]]:
    """Models that a service to be built loads."""
    path = repo.runs.file_named(text.partition(":")[0])
    view = repo.view(path) if path in repo.python else None
    for call in view.calls if view is not None else ():
        name = view.name(call) if view is not None else ""
        if view is not None and name.startswith("bentoml.") and name != "bentoml.build":
            yield from _named(repo, view, call, name, last(name))
