"""Unsafe loading of a serialised object or archive

## What it does

Reports calls that run code hidden in the file they read: `pickle`, `joblib`, `dill`,
`cloudpickle` and pandas' `read_pickle`, `torch.load` without `weights_only=True` (before torch
2.6), `numpy.load` with `allow_pickle=True`, `yaml.load` without a safe loader, and
`tarfile.extractall` without `filter=`.  Severity is high where the file is downloaded or sent by
a client.

## Why is this bad?

A pickle is a program.  Whoever can put a file into the bucket, the registry or the request runs
code with the rights of the service; an archive can write outside the folder it is unpacked into.

## Known problems

A file that the same script wrote a few lines before is not reported.  Whether a checksum is
verified elsewhere is not seen.

## Example

```python
model = torch.load(path)
```

## Use instead

```python
model.load_state_dict(torch.load(path, weights_only=True))
```
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cached_property
from typing import Final

from mlops_advisor.tools.audit_workflow.repo import AuditRepository
from mlops_advisor.tools.audit_workflow.rule import HIGH, LOW, MEDIUM, Hit, module_rule
from mlops_advisor.tools.audit_workflow.rules._supply import newest_pin
from mlops_advisor.tools.evidence.repository import Repository, shared
from mlops_advisor.tools.evidence.view import HOLE, View, last, names_read

_LOADS: Final = {
    "pickle.load": "a pickle",
    "pickle.loads": "a pickle",
    "pickle.Unpickler": "a pickle",
    "_pickle.load": "a pickle",
    "_pickle.loads": "a pickle",
    "cPickle.load": "a pickle",
    "cPickle.loads": "a pickle",
    "dill.load": "a pickle",
    "dill.loads": "a pickle",
    "cloudpickle.load": "a pickle",
    "cloudpickle.loads": "a pickle",
    "joblib.load": "a pickle",
    "sklearn.externals.joblib.load": "a pickle",
    "pandas.read_pickle": "a pickle",
    "shelve.open": "a pickle",
    "torch.load": "a pickle",
    "keras.models.load_model": "",
}
_LOADERS: Final = ("SafeLoader", "CSafeLoader", "BaseLoader", "CBaseLoader")
_FETCHES: Final = (
    *("download", "requests.get", "urlopen", "urlretrieve", "get_object", "hf_hub_download"),
    *("snapshot_download", "blob", "gdown", "wget", "httpx.get", "from_uri", "load_artifact"),
    *("fetch", "s3fs", "gcsfs", "fsspec.open", "smart_open", "load_object", "read_key"),
)
_CLIENT: Final = (
    "request.",
    "upload",
    "UploadFile",
    "recv",
    "redis",
    "consumer",
    "body",
    "payload",
)
_REMOTE: Final = re.compile(r"^(?:https?|s3|gs|abfss?|wasbs?|ftp)://")
_WRITES: Final = frozenset(("dump", "dumps", "save", "to_pickle"))
_TORCH: Final = (2, 6)
_NEAR: Final = 400
_TOGETHER: Final = 4  # lines between two calls of one kind that are one finding


@module_rule(
    "GS04",
    name="unsafe-deserialization",
    dimension="governance",
    severity=MEDIUM,
    confidence=0.8,
    fix=(
        "Keep models in a format that holds no code (safetensors, ONNX, skops, the library's own"
        " `load_model`), or compare a checksum from a trusted place before loading."
    ),
    effort=(0.25, 2.0),
    sources=(
        "cwe: CWE-502 Deserialization of Untrusted Data",
        "bandit: B301 pickle, B614 pytorch_load, B506 yaml_load, B202 tarfile_unsafe_members",
        "modelscan: Why You Should Scan Models (model serialization attack)",
    ),
    words=("pickle", "joblib", "dill", "torch", "allow_pickle", "yaml", "extract", "shelve"),
)
def unsafe_deserialization(repo: AuditRepository, view: View) -> Iterator[Hit]:
    """Report calls that run what a file says, those that stand together once."""
    previous: tuple[str, ast.AST, int] | None = None
    around = _Around(view)
    for call in sorted(view.calls, key=lambda c: c.lineno):
        name = view.name(call)
        tail = last(name)
        if tail not in _TAILS:
            continue
        what = _unsafe(repo, view, call, name, tail)
        if not what or _own(around, call):
            continue
        here = (name, view.scope(call), call.lineno)
        near = (
            previous is not None and previous[:2] == here[:2] and here[2] - previous[2] <= _TOGETHER
        )
        previous = here
        if near:
            continue
        remote = _origin(around, call)
        made_here = not remote and _written_elsewhere(repo, view, call)
        yield Hit(
            view.path,
            call.lineno,
            f"`{_shown(name)}` {what}{f'; the file is {remote}' if remote else ''}.",
            _advice(name, tail),
            severity=HIGH if remote else LOW if made_here else MEDIUM,
            confidence=0.9 if remote else 0.75,
        )


_TAILS: Final = frozenset(
    "load loads Unpickler read_pickle open load_all full_load unsafe_load extractall unpack_archive"
    " unsafe_load_all".split()
)


def _shown(name: str) -> str:
    return re.sub(r"\(\)", "", name)[-60:]


def _unsafe(repo: AuditRepository, view: View, call: ast.Call, name: str, tail: str) -> str:
    """Say what the call does with a hostile file; empty when it is safe."""
    if name == "torch.load":
        return "" if _weights_only(repo, view, call) else "runs the pickle inside of the file"
    if _LOADS.get(name):
        return "runs whatever the pickle says"
    if name in ("numpy.load", "numpy.lib.npyio.load"):
        allowed = view.literal(view.arg(call, "allow_pickle")) is True
        return "runs the pickles inside of the array (`allow_pickle=True`)" if allowed else ""
    if name.startswith(("yaml.", "ruamel.yaml.")):
        return _yaml(view, call, name, tail)
    bare = view.arg(call, "filter") is None and "members" not in _keys(call)
    if tail == "extractall" and bare and ("tar" in name.lower() or _opened_as_tar(view, call)):
        return "lets the archive write outside of the folder (no `filter=`)"
    return ""


def _keys(call: ast.Call) -> tuple[str, ...]:
    return tuple(k.arg or "" for k in call.keywords)


def _weights_only(repo: AuditRepository, view: View, call: ast.Call) -> bool:
    given = view.arg(call, "weights_only")
    if given is not None:
        return view.literal(given) is not False
    return not view.spreads(call) and (newest_pin(repo, "torch") or (0,)) >= _TORCH


def _yaml(view: View, call: ast.Call, name: str, tail: str) -> str:
    if tail in ("unsafe_load", "unsafe_load_all"):
        return "makes any Python object that the file names"
    if tail not in ("load", "load_all") or not name.startswith("yaml."):
        return ""
    loader = view.arg(call, "Loader", 1)
    if loader is None:
        return "" if view.spreads(call) else "is called without a safe loader"
    loader_name = last(view.name(loader))
    if loader_name in _LOADERS or loader_name not in (
        "Loader",
        "UnsafeLoader",
        "CLoader",
        "FullLoader",
    ):
        return ""
    return "" if loader_name == "FullLoader" else f"makes any Python object (`{loader_name}`)"


def _opened_as_tar(view: View, call: ast.Call) -> bool:
    func = call.func
    owner = func.value if isinstance(func, ast.Attribute) else None
    value = view.settled(owner) if isinstance(owner, ast.expr) else None
    return value is not None and "tarfile" in view.name(value)


class _Around:
    """What the functions of one module write and fetch, found once: line and text by scope."""

    def __init__(self, view: View) -> None:
        self.view = view

    @cached_property
    def written(self) -> dict[tuple[ast.AST, str], list[int]]:
        """Lines at which a file (or bytes) is written, by scope and path."""
        found: dict[tuple[ast.AST, str], list[int]] = {}
        view = self.view
        for call in view.calls:
            if last(view.name(call)) in _WRITES:
                for argument in (*call.args, *(k.value for k in call.keywords)):
                    key = _key(view, argument)
                    if key:
                        found.setdefault((view.scope(call), key), []).append(call.lineno)
        return found

    @cached_property
    def fetched(self) -> dict[tuple[ast.AST, str], int]:
        """First line at which a variable takes part in a download, by scope and name."""
        found: dict[tuple[ast.AST, str], int] = {}
        for call in self.view.calls:
            if "download" in self.view.name(call).lower():
                for argument in (*call.args, *(k.value for k in call.keywords)):
                    for name in (*names_read(argument), self.view.string(argument)):
                        if name and name != HOLE:
                            found.setdefault((self.view.scope(call), name), call.lineno)
        return found


def _own(around: _Around, call: ast.Call) -> bool:
    """Tell whether the same function wrote the file (or the bytes) just before."""
    target = _path_of(around.view, call)
    key = _key(around.view, target) if target is not None else ""
    lines = around.written.get((around.view.scope(call), key), []) if key else []
    return any(0 < call.lineno - line < _NEAR for line in lines)


@shared
def _written(repo: Repository) -> frozenset[str]:
    """Names of files that the code of the repository writes as pickles."""
    names: set[str] = set()
    for module in repo.code.product.values():
        for call in module.calls:
            if call.last in _WRITES or call.last == "open":
                texts = [a for a in (*call.args, *call.kwargs.values()) if isinstance(a, str)]
                if call.last != "open" or any(t in ("wb", "bw", "wb+") for t in texts):
                    names.update(t.rsplit("/", 1)[-1] for t in texts if "." in t)
    return frozenset(names)


def _written_elsewhere(repo: AuditRepository, view: View, call: ast.Call) -> bool:
    """Tell whether another program of the repository writes a file of the same name."""
    target = _path_of(view, call)
    name = view.string(target).rsplit("/", 1)[-1] if target is not None else ""
    return bool(name) and "{}" not in name and name in _written(repo)


def _path_of(view: View, call: ast.Call) -> ast.expr | None:
    """Follow the file object of `pickle.load(f)` to the path that `open` was given."""
    node = call.args[0] if call.args else next((k.value for k in call.keywords), None)
    if isinstance(node, ast.Name):
        values = [v for v in view.values(node.id, node) if isinstance(v, ast.Call)]
        opened = next((v for v in reversed(values) if v.lineno <= call.lineno), None)
        if opened is not None and last(view.name(opened)) == "open" and opened.args:
            return opened.args[0]
    if isinstance(node, ast.Call) and last(view.name(node)) == "open" and node.args:
        return node.args[0]
    return node


def _key(view: View, node: ast.expr) -> str:
    if isinstance(node, ast.Name):
        opened = [v for v in view.values(node.id, node) if isinstance(v, ast.Call)]
        if opened and last(view.name(opened[-1])) == "open" and opened[-1].args:
            node = opened[-1].args[0]
    if isinstance(node, ast.Call) and last(view.name(node)) == "open" and node.args:
        node = node.args[0]
    text = view.string(node)
    if text and "{}" not in text:
        return text
    return (
        ast.dump(node)[:300] if isinstance(node, (ast.Name, ast.Attribute, ast.JoinedStr)) else ""
    )


def _origin(around: _Around, call: ast.Call) -> str:
    """Say where the file comes from, when from somewhere else."""
    view, target = around.view, _path_of(around.view, call)
    if target is None:
        return ""
    text = view.string(target)
    if _REMOTE.match(text):
        return "at a remote address"
    names = _names(view, target)
    if any(w in n for n in names for w in _CLIENT):
        return "sent by a client"
    if any(w in n for n in names for w in _FETCHES):
        return "downloaded"
    scope = view.scope(call)
    for name in (*names_read(target), text):
        if around.fetched.get((scope, name), call.lineno) < call.lineno:
            return "downloaded"
    return ""


def _names(view: View, node: ast.expr, depth: int = 0) -> list[str]:
    """Names of the calls that a value is made by."""
    found = [view.name(n) for n in view.walk(node) if isinstance(n, (ast.Call, ast.Attribute))]
    if depth < 3:  # noqa: PLR2004 - steps back
        for name in (n for n in view.walk(node) if isinstance(n, ast.Name)):
            for value in view.values(name.id, name)[-2:]:
                if value is not node:
                    found += _names(view, value, depth + 1)
    return found[:50]


def _advice(name: str, tail: str) -> str:
    if name == "torch.load":
        return "Pass `weights_only=True` and load a state dict, or use safetensors."
    if name.startswith("yaml."):
        return "Use `yaml.safe_load(...)`."
    if tail == "extractall":
        return 'Pass `filter="data"`.'
    return ""
