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
from mlops_advisor.tools.audit_workflow.rules._docs import source
from mlops_advisor.tools.evidence.code import is_test_path
from mlops_advisor.tools.evidence.view import View, dotted, last

_LEVELS: Final = frozenset(
    (
        "debug",
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
_MAX_LOGS: Final = 5


def _each(repo: AuditRepository, view: View) -> Iterator[Hit]:
    if not view.module.notebook and not _docs.aside(repo, view.path):
        serving = view.path in repo.code.serving
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
    for call in view.calls:
        name = view.name(call)
        printed = name == "print"
        if not (printed or _logs(name)) or (printed and not serving):
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
                        f"`{text}` is {what}, and it is written to the log as a whole.",
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
    raw = dotted(node)
    if isinstance(node, ast.Subscript):
        return "", None
    if raw in ("os.environ", "os.environ.copy()") or view.name(node) == "os.environ":
        return "the whole environment, passwords included", HIGH
    inner = _unwrapped(view, node)
    if isinstance(inner, (ast.Name, ast.Attribute)) and _is_frame(view, inner):
        return "a whole data frame", None if serving else LOW
    if serving and _is_request(view, inner):
        return "a whole request", None
    return "", None


def _unwrapped(view: View, node: ast.expr) -> ast.expr:
    """Take what becomes text: `frame` of `frame.to_dict()`, `payload` of `payload.dict()`."""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
        if node.func.attr in ("to_dict", "to_json", "to_string", "to_markdown"):
            return node.func.value if _is_frame(view, node.func.value) else node
        if node.func.attr in ("model_dump", "dict", "model_dump_json", "json"):
            return node.func.value if isinstance(node.func.value, ast.Name) else node
    return node


def _is_frame(view: View, node: ast.expr) -> bool:
    values = view.values(dotted(node), node) if isinstance(node, (ast.Name, ast.Attribute)) else []
    if values:
        made = values[-1]
        return isinstance(made, ast.Call) and bool(_FRAMES.search(view.name(made)))
    function = view.function(node)
    if function is None or not isinstance(node, ast.Name):
        return False
    return any(
        a.arg == node.id and a.annotation is not None and dotted(a.annotation).endswith("DataFrame")
        for a in (*function.args.args, *function.args.kwonlyargs)
    )


def _is_request(view: View, node: ast.expr) -> bool:
    """Tell whether a value is the body of a request: read from it, or given to an endpoint."""
    raw = dotted(node).removesuffix("()")
    if raw.endswith(_REQUESTS):
        return True
    if not isinstance(node, ast.Name):
        return False
    values = view.values(node.id, node)
    if values:
        made = values[-1]
        made = made.value if isinstance(made, ast.Await) else made
        raw = dotted(made).removesuffix("()")
        return raw.endswith(("get_json", "request.json", "request.get_data", "request.body")) or (
            raw == "json.loads" and isinstance(made, ast.Call) and "event" in source(made, 200)
        )
    function = view.function(node)
    given = [a for a in function.args.args if a.arg == node.id] if function is not None else []
    if function is None or not given:
        return False
    kind = last(dotted(given[0].annotation)) if given[0].annotation is not None else ""
    model = kind[:1].isupper() and kind not in _NO_BODY
    if not (model or (node.id in _REQUEST_PARAMS and kind not in _NO_BODY)):
        return False
    return function.name in ("lambda_handler", "handler") or any(
        last(dotted(d)).removesuffix("()") in ("post", "put", "route", "api_route", "api")
        for d in function.decorator_list
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
