"""Personal or whole data in logs

## What it does

Finds log calls and prints of pipeline and serving code that write a whole data frame, a whole
request, or the environment; and log files that are kept in git.

## Why is this bad?

Logs are copied, searched and kept longer than data, by people who may not see the data.  An
environment in a log holds passwords.  A log file in git is all of this, for ever.

## Known problems

Whether a frame holds personal data is not known.  `head()`, `shape`, `columns` and the like are
fine.  Notebooks are left out.

## Example

```python
@app.post("/predict")
def predict(request: Request):
    payload = request.get_json()
    logger.info("request: %s", payload)
```

## Use instead

```python
logger.info("request %s with %d fields", request_id, len(payload))
```
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from typing import Final

from mlops_advisor.tools.audit_workflow.repo import AuditRepository
from mlops_advisor.tools.audit_workflow.rule import HIGH, LOW, Hit, Severity, rule
from mlops_advisor.tools.audit_workflow.rule import MEDIUM as _MEDIUM
from mlops_advisor.tools.audit_workflow.rules import _docs
from mlops_advisor.tools.audit_workflow.rules._calls import ending
from mlops_advisor.tools.audit_workflow.rules._docs import source
from mlops_advisor.tools.evidence.code import is_test_path
from mlops_advisor.tools.evidence.parse.python import dotted
from mlops_advisor.tools.evidence.view import View, last

_LEVELS: Final = frozenset(
    (
        "info",
        "warning",
        "warn",
        "error",
        "critical",
        "exception",
        "log",
        "success",
        "trace",
    )
)
_WRITERS: Final = _LEVELS | {"print"}
_REQUESTS: Final = (
    "request.get_json",
    "request.json",
    "request.body",
    "request.form",
    "request.data",
    "request.get_data",
    "request.values",
)
_FRAMES: Final = re.compile(
    r"^(?:pandas|polars|dask\.dataframe|modin\.pandas|geopandas|awswrangler\.\w{1,20})\."
    r"(?:read_\w{1,20}|DataFrame|concat|merge|json_normalize|scan_\w{1,20})(?:\(\))?"
    r"(?:\.(?:dropna|fillna|drop|copy|reset_index|rename|sort_values|astype|merge|query|assign|"
    r"drop_duplicates|set_index|round|join)(?:\(\))?){0,6}$|"
    r"\.(?:toPandas|to_pandas|to_dataframe|fetchall|spark\.sql)(?:\(\))?$"
)
_NO_BODY: Final = frozenset(
    "int str float bool bytes Request Response BackgroundTasks Session UploadFile Any WebSocket"
    " AsyncSession Context".split()
)
_REQUEST_PARAMS: Final = frozenset(
    (
        "request",
        "payload",
        "body",
        "event",
        "input_data",
        "data",
        "item",
        "features",
        "inputs",
        "req",
    )
)
_SMALL: Final = (
    "head", "shape", "columns", "dtypes", "describe", "info", "len", "isnull", "isna", "size",
    "nunique",
    "value_counts", "index", "sample", "tail", "keys", "type", "count", "sum", "mean",
    "memory_usage",
)  # fmt: skip
_LOG: Final = re.compile(r"\.(?:log|log\.\d{1,3}|out)$|(?:^|/)nohup\.out$")
_NOT_LOGS: Final = (
    "training_log",
    "changelog",
    "catalog",
    "/docs/",
    "/tests/",
    "/test/",
    "fixtures",
)
_WEB: Final = frozenset(("fastapi", "flask", "starlette", "bentoml", "sanic", "quart", "litestar"))
_FRAME_NAME: Final = re.compile(r"^(?:df|data_?frame|[a-z]\w{0,40}_df|df_\w{1,40})$")
_LOADS: Final = (
    "load",
    "read",
    "get_",
    "fetch",
    "query",
    "prepare",
    "preprocess",
    "clean",
    "merge",
)
_MAX_LOGS: Final = 5
_TEXTS: Final = (
    "text", "sentence", "message", "prompt", "question", "query", "review", "comment", "content",
    "description", "email", "name", "address",
)  # fmt: skip
_DEPTH: Final = 4


def _each(repo: AuditRepository, view: View) -> Iterator[Hit]:
    if not view.module.notebook and not _docs.aside(repo, view.path):
        serving = view.path in repo.code.serving or bool(view.module.roots & _WEB)
        seen: set[tuple[str, str]] = set()
        for hit, key in _calls(view, serving=serving):
            if key not in seen:
                seen.add(key)
                yield hit


@rule(
    "MO08",
    each=_each,
    name="sensitive-data-in-logs",
    dimension="monitoring",
    severity=_MEDIUM,
    confidence=0.8,
    fix="Log counts, ids and sampled or masked values; write log files outside the repository.",
    effort=(0.1, 1),
    sources=(
        "cwe: CWE-532 Insertion of Sensitive Information into Log File",
        "gdpr: Article 5(1)(c), data minimisation",
    ),
)
def sensitive_data_in_logs(repo: AuditRepository) -> Iterator[Hit]:
    """Report whole data in log calls, and log files in git."""
    yield from _log_files(repo)


def _calls(view: View, *, serving: bool) -> Iterator[tuple[Hit, tuple[str, str]]]:
    for call in ending(view, _WRITERS):
        name = view.name(call)
        printed = name == "print"
        if not (printed or _logs(name)) or (printed and not (serving or _answers(view, call))):
            continue
        for value in _values(call):
            what, severity = _what(view, value, serving=serving)
            if what:
                scope = view.function(call)
                text = source(value, 60)
                yield (
                    Hit(
                        view.path,
                        call.lineno,
                        f"`{text}` is {what}, and it is written to the log as it is.",
                        severity=severity,
                    ),
                    (scope.name if scope else "", text),
                )
                break


def _logs(name: str) -> bool:
    owner, _, method = name.rpartition(".")
    if method not in _LEVELS:
        return False
    low = owner.lower()
    return "log" in low.rpartition(".")[2] or low.startswith(("logging", "loguru", "structlog"))


def _values(call: ast.Call) -> Iterator[ast.expr]:
    """Give what a log call writes: arguments, and the parts of f-strings and of `%` and `+`."""
    stack: list[ast.expr] = [*call.args, *(k.value for k in call.keywords if k.arg != "exc_info")]
    for _ in range(60):
        if not stack:
            return
        node = stack.pop(0)
        if isinstance(node, ast.JoinedStr):
            stack += [v.value for v in node.values if isinstance(v, ast.FormattedValue)]
        elif isinstance(node, ast.BinOp):
            stack += [node.left, node.right]
        elif isinstance(node, ast.Tuple):
            stack += node.elts
        elif isinstance(node, ast.Call) and dotted(node.func) in (
            "str",
            "repr",
            "dict",
            "json.dumps",
        ):
            stack += node.args
        elif isinstance(node, ast.Call) and last(dotted(node.func)) == "format":
            stack += [*node.args, *(k.value for k in node.keywords)]
        else:
            yield node


def _what(view: View, node: ast.expr, *, serving: bool) -> tuple[str, Severity | None]:
    """Say what a value is, if it should not be logged as a whole, and how bad that is."""
    if isinstance(node, ast.Constant):
        return "", None
    raw = dotted(node)
    if isinstance(node, ast.Subscript):
        key = node.slice.value if isinstance(node.slice, ast.Constant) else ""
        sent = key in _TEXTS and _is_request(view, node.value, 0)
        return ("the text that somebody sent", None) if sent else ("", None)
    environment = raw.endswith("environ") or view.aliases.get(raw) == "os.environ"
    if raw == "os.environ.copy()" or (environment and view.name(node) == "os.environ"):
        return "the whole environment, passwords included", HIGH
    inner = _unwrapped(view, node)
    if isinstance(inner, (ast.Name, ast.Attribute, ast.Call)) and _is_frame(view, inner):
        return "a whole data frame", None if serving or inner is not node else LOW
    if _is_request(view, inner, 0):
        return "a whole request", None
    return "", None


def _answers(view: View, node: ast.AST) -> bool:
    """Tell whether a node stands in a function that answers requests."""
    function = view.function(node)
    return function is not None and (
        function.name in ("lambda_handler", "handler")
        or any(
            last(dotted(d)).removesuffix("()") in ("post", "put", "route", "api_route", "api")
            for d in function.decorator_list
        )
    )


def _unwrapped(view: View, node: ast.expr) -> ast.expr:
    """Take what becomes text: `frame` of `frame.to_dict()`, `payload` of `payload.dict()`."""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
        if node.func.attr in ("to_dict", "to_json", "to_string", "to_markdown", "to_csv"):
            return node.func.value if _is_frame(view, node.func.value) else node
        if node.func.attr in ("model_dump", "dict", "model_dump_json", "json"):
            return node.func.value if isinstance(node.func.value, ast.Name) else node
    return node


def _is_frame(view: View, node: ast.expr) -> bool:
    """Tell whether a value is a frame: made as one, loaded, or handed in, and still whole."""
    if isinstance(node, ast.Call):
        return bool(_FRAMES.search(view.name(node)))
    if not isinstance(node, (ast.Name, ast.Attribute)):
        return False
    values = view.values(dotted(node), node)
    if values and _is_part(values[-1]):
        return False
    called = bool(_FRAME_NAME.match(last(dotted(node))))
    for made in values:
        name = view.name(made) if isinstance(made, ast.Call) else ""
        if name and (_FRAMES.search(name) or (called and last(name).startswith(_LOADS))):
            return True
    return isinstance(node, ast.Name) and _is_frame_given(view, node, changed=bool(values))


def _is_part(made: ast.expr) -> bool:
    """Tell whether a value says something of a frame, and is not the frame any more."""
    if isinstance(made, ast.Call):
        return last(dotted(made)).removesuffix("()") in _SMALL
    if isinstance(made, ast.Subscript):
        return isinstance(made.slice, ast.Constant)
    return True


def _is_frame_given(view: View, node: ast.Name, *, changed: bool) -> bool:
    """Tell whether a name is a parameter annotated as a frame, or called like one."""
    function = view.function(node)
    if function is None:
        return False
    given = [a for a in (*function.args.args, *function.args.kwonlyargs) if a.arg == node.id]
    return any(
        dotted(a.annotation).endswith("DataFrame")
        if a.annotation is not None
        else bool(_FRAME_NAME.match(a.arg)) and not changed
        for a in given
    )


def _is_request(view: View, node: ast.expr, depth: int) -> bool:
    """Tell whether a value is the body of a request: read from it, or given to an endpoint."""
    node = node.value if isinstance(node, ast.Await) else node
    if dotted(node).removesuffix("()").endswith(_REQUESTS):
        return True
    if isinstance(node, ast.Call) and depth < _DEPTH:
        return _copies_request(view, node, depth + 1)
    if not isinstance(node, ast.Name) or depth > _DEPTH:
        return False
    values = view.values(node.id, node)
    return _is_request(view, values[-1], depth + 1) if values else _is_body(view, node)


def _is_body(view: View, node: ast.Name) -> bool:
    """Tell whether a name is the parameter of an endpoint that takes the body."""
    function = view.function(node)
    given = [a for a in function.args.args if a.arg == node.id] if function is not None else []
    if not given or not _answers(view, node):
        return False
    kind = last(dotted(given[0].annotation)) if given[0].annotation is not None else ""
    model = kind[:1].isupper() and kind not in _NO_BODY
    return model or (node.id in _REQUEST_PARAMS and kind not in _NO_BODY)


def _copies_request(view: View, made: ast.Call, depth: int) -> bool:
    """Tell whether a call only turns a request into another shape."""
    raw = dotted(made).removesuffix("()")
    if raw == "json.loads" and "event" in source(made, 200):
        return True
    if raw in ("dict", "json.loads", "jsonable_encoder", "json.dumps", "str") and made.args:
        return _is_request(view, made.args[0], depth)
    dumps = last(raw) in ("model_dump", "dict", "json", "model_dump_json", "to_dict", "copy")
    return (
        dumps and isinstance(made.func, ast.Attribute) and _is_request(view, made.func.value, depth)
    )


def _log_files(repo: AuditRepository) -> Iterator[Hit]:
    """Log files among the files of the repository."""
    ignored = {s.path for s in repo.workspace.skipped if "gitignore" in s.reason}
    found: dict[str, list[str]] = {}
    for path in repo.paths:
        low = f"/{path.lower()}"
        if not _LOG.search(low) or path in ignored or any(w in low for w in _NOT_LOGS):
            continue
        if any(path.startswith(f"{i}/") for i in ignored) or is_test_path(path):
            continue
        found.setdefault(path.rpartition("/")[0], []).append(path)
    for paths in found.values():
        shown = paths if len(paths) <= _MAX_LOGS else paths[:1]
        for path in shown:
            more = f" ({len(paths)} such files in this folder)" if shown != paths else ""
            yield Hit(
                path,
                1,
                f"A log file is kept in the repository{more}: what it holds is there for ever.",
                f"`git rm --cached {path}` and add `*.log` to .gitignore.",
            )
