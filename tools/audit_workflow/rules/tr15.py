"""Warnings or errors are suppressed

## What it does

Reports warnings that are turned off for everything, bare `except:`, and handlers of broad or of
network, file and registry errors that only pass, print or log around loading, training, saving,
registering or scoring and then go on as if nothing had happened.  So are answers of a server whose
bad status is only printed.

## Why is this bad?

The job ends with exit code 0 and no model, with yesterday's data, or with half the rows; the
scheduler shows success and nobody looks.

## Known problems

A handler that raises, exits, retries, falls back to another source, or returns a value that callers
check is not reported; nor is a loop of a worker that logs and takes the next message.

## Example

```python
try:
    frame = download(url)
except Exception as error:
    print(error)
```

## Use instead

```python
try:
    frame = download(url)
except requests.RequestException as error:
    raise RuntimeError(f"no data from {url}") from error
```
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import Final

from mlops_advisor.tools.audit_workflow.repo import AuditRepository
from mlops_advisor.tools.audit_workflow.rule import LOW, MEDIUM, Hit, module_rule
from mlops_advisor.tools.audit_workflow.rules._swallowed import TELLS, swallows
from mlops_advisor.tools.audit_workflow.rules._training import words_in
from mlops_advisor.tools.evidence.parse.python import dotted
from mlops_advisor.tools.evidence.view import View, last

_NARROW: Final = frozenset("category message module append lineno".split())
_OFF: Final = frozenset(("ignore", "once"))
_SUCCESS: Final = (200, 201, 202, 204)


@module_rule(
    "TR15",
    name="warnings-or-errors-suppressed",
    dimension="model_training",
    severity=MEDIUM,
    confidence=0.8,
    fix="Catch the exception you expect, and let the others stop the run.",
    effort=(0.1, 0.5),
    sources=(
        "ruff: S110 try-except-pass, BLE001 blind-except, E722 bare-except",
        "bandit: B110 try_except_pass",
    ),
    words=(
        "except",
        "warnings",
        "PYTHONWARNINGS",
        "seterr",
        "logging.disable",
        "status_code",
        ".ok",
    ),
)
def suppressed(repo: AuditRepository, view: View) -> Iterator[Hit]:
    """Report warnings turned off and errors swallowed."""
    yield from _warnings(view)
    yield from _replaced(view)
    yield from _statuses(view)
    for tried in view.of(ast.Try):
        judged = [(h, swallows(repo, view, h)) for h in tried.handlers]
        bad = [(h, s) for h, s in judged if s is not None]
        if bad:
            handler, found = max(bad, key=lambda pair: pair[1].confidence)
            yield Hit(
                view.path,
                handler.lineno,
                found.why,
                found.fix,
                also=tuple((view.path, h.lineno) for h, _ in bad if h is not handler),
                severity=LOW if found.minor or view.module.notebook else None,
                confidence=found.confidence,
            )


def _warnings(view: View) -> Iterator[Hit]:
    for call in view.calls:
        name = view.name(call)
        if name in ("warnings.filterwarnings", "warnings.simplefilter"):
            if _blanket(view, call, name) and not (_for_a_while(view, call) or _asked(view, call)):
                yield _off(view, call, "hides every warning")
        elif name == "numpy.seterr":
            if any(view.string(k.value) == "ignore" and k.arg == "all" for k in call.keywords):
                yield _off(view, call, "hides overflow, division by zero and NaN")
        elif name == "logging.disable" and (
            not call.args or last(dotted(call.args[0])) in ("CRITICAL", "ERROR", "FATAL")
        ):
            yield _off(view, call, "drops every message of the log")


def _replaced(view: View) -> Iterator[Hit]:
    for node in view.of(ast.Assign):
        target = node.targets[0]
        if dotted(target) == "warnings.warn":
            yield Hit(view.path, node.lineno, "`warnings.warn` is replaced: no warning is shown.")
        elif isinstance(target, ast.Subscript) and view.name(target.value) == "os.environ":
            key = view.string(target.slice)
            if key == "PYTHONWARNINGS" and view.string(node.value).startswith("ignore"):
                yield Hit(
                    view.path, node.lineno, "`PYTHONWARNINGS` hides every warning of this process."
                )


def _statuses(view: View) -> Iterator[Hit]:
    """Failed requests of a script whose status is only printed: the next step goes without."""
    if view.module.notebook:
        return
    for node in view.of(ast.If):
        good = _asks_for_success(node.test)
        if good is None:
            continue
        bad = node.orelse if good else node.body
        if bad and all(_only_told(s) for s in bad) and any(isinstance(s, ast.Expr) for s in bad):
            function = view.function(node)
            if function is None or not function.decorator_list:
                yield Hit(
                    view.path,
                    bad[0].lineno,
                    "A failed request is only told: what it should have brought is missing, and "
                    "the code goes on without it.",
                    "Call `response.raise_for_status()` before the body is used.",
                    confidence=0.75,
                )


def _asks_for_success(test: ast.expr) -> bool | None:
    """Tell whether a condition asks for a good answer; None when it asks for something else."""
    if isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not):
        inner = _asks_for_success(test.operand)
        return None if inner is None else not inner
    if isinstance(test, ast.Attribute) and test.attr == "ok":
        return True
    if not isinstance(test, ast.Compare) or len(test.ops) != 1:
        return None
    asked, value = test.left, test.comparators[0]
    if not (isinstance(asked, ast.Attribute) and asked.attr in ("status_code", "status")):
        return None
    success = isinstance(value, ast.Constant) and value.value in _SUCCESS
    success = success or dotted(value).endswith((".ok", ".OK"))
    if isinstance(test.ops[0], ast.Eq):
        return True if success else None
    return False if success and isinstance(test.ops[0], ast.NotEq) else None


def _only_told(statement: ast.stmt) -> bool:
    if isinstance(statement, (ast.Pass, ast.Continue)):
        return True
    call = statement.value if isinstance(statement, ast.Expr) else None
    return isinstance(call, ast.Call) and bool(TELLS.match(last(dotted(call.func))))


def _blanket(view: View, call: ast.Call, name: str) -> bool:
    if view.string(view.arg(call, "action", 0)) not in _OFF:
        return False
    keys = {k.arg for k in call.keywords}
    if name.endswith("simplefilter"):
        kind = view.arg(call, "category", 1)
        return kind is None or last(dotted(kind)) == "Warning"
    kind = view.arg(call, "category", 2)
    if kind is not None and last(dotted(kind)) != "Warning":
        return False
    return not call.args[1:] and not keys & (_NARROW - {"category"})


def _for_a_while(view: View, call: ast.Call) -> bool:
    return any(
        isinstance(up, ast.With)
        and any(view.name(i.context_expr).startswith("warnings.catch_warnings") for i in up.items)
        for up in view.above(call)
    )


def _asked(view: View, call: ast.Call) -> bool:
    """Tell whether a setting decides: `if cfg.ignore_warnings:`."""
    return any(
        isinstance(up, ast.If) and "warn" in words_in(up.test).lower() for up in view.above(call)
    )


def _off(view: View, call: ast.Call, what: str) -> Hit:
    shown = dotted(call.func)
    return Hit(
        view.path,
        call.lineno,
        f"`{shown}` {what}, those of convergence, types and deprecation among them.",
        "Filter one category for one block: `with warnings.catch_warnings():` and "
        '`warnings.filterwarnings("ignore", category=...)`.'
        if "warn" in shown or "filter" in shown
        else "Remove it.",
        severity=LOW if view.module.notebook else MEDIUM,
        confidence=0.9,
    )
