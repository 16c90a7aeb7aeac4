"""HTTP call without a timeout

## What it does

Reports calls of `requests`, `urllib.request.urlopen`, `httpx` with `timeout=None` and of sessions
of `requests` that give no `timeout`, in code of the product.

## Why is this bad?

`requests` and `urlopen` wait forever by default.  A server that accepts the connection and does
not answer hangs the step, and with it the pipeline or every worker of the service.

## Known problems

A session whose adapter or subclass sets a timeout is taken to be bounded.

## Example

```python
rows = requests.get(url).json()
```

## Use instead

```python
rows = requests.get(url, timeout=10).json()
```
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import Final

from mlops_advisor.tools.audit_workflow.repo import AuditRepository
from mlops_advisor.tools.audit_workflow.rule import LOW, MEDIUM, Hit, Severity, module_rule
from mlops_advisor.tools.audit_workflow.rules._training import words_in
from mlops_advisor.tools.evidence.parse.python import dotted
from mlops_advisor.tools.evidence.view import View, last

_VERBS: Final = frozenset("get post put delete patch head options request".split())
_SESSIONS: Final = (
    "requests.Session()",
    "requests.session()",
    "requests.sessions.Session()",
)
_PLACE: Final = 2  # of the timeout among the arguments of urlopen
_URLOPEN: Final = frozenset(("urllib.request.urlopen", "urllib2.urlopen"))


@module_rule(
    "PL16",
    name="no-timeout-http",
    dimension="model_training",
    severity=MEDIUM,
    confidence=0.9,
    fix="Pass `timeout=10` (seconds) and handle `requests.Timeout`.",
    effort=(0.05, 0.2),
    sources=(
        "ruff: S113 request-without-timeout",
        "bandit: B113 request_without_timeout",
        "requests_docs: Advanced Usage, Timeouts",
    ),
    words=("requests", "urlopen", "httpx"),
)
def http_without_timeout(repo: AuditRepository, view: View) -> Iterator[Hit]:
    """Report HTTP calls that may wait forever."""
    if view.path.rpartition("/")[2] == "test.py":
        return
    bounded = _adapter(view)
    severity = LOW if view.module.notebook or repo.is_aside(view.path) else None
    for call in view.calls:
        name = view.name(call)
        root, short = name.partition(".")[0], last(name)
        if root in ("requests", "httpx") and short in _VERBS and _is_request(name):
            if _unbounded(view, call, httpx=root == "httpx") and not (
                bounded and name.startswith(_SESSIONS)
            ):
                yield _hit(view, call, name, severity)
        elif (
            name in _URLOPEN and not call.args[_PLACE:] and _unbounded(view, call, httpx=False)
        ) or (name in ("httpx.Client", "httpx.AsyncClient") and _is_none(view, call)):
            yield _hit(view, call, name, severity)


def _is_request(name: str) -> bool:
    owner = name.rpartition(".")[0]
    return owner in ("requests", "requests.api", "httpx") or owner in _SESSIONS


def _unbounded(view: View, call: ast.Call, *, httpx: bool) -> bool:
    given = view.arg(call, "timeout")
    if given is not None:
        return _is_none(view, call)
    return not httpx and not view.spreads(call)


def _is_none(view: View, call: ast.Call) -> bool:
    given = view.settled(view.arg(call, "timeout"))
    return isinstance(given, ast.Constant) and given.value is None


def _adapter(view: View) -> bool:
    """Tell whether the module gives its sessions a timeout in one place."""
    for node in view.of(ast.ClassDef):
        bases = " ".join(dotted(b) for b in node.bases)
        if ("HTTPAdapter" in bases or "Session" in bases) and "timeout" in words_in(node):
            return True
    return any(
        last(dotted(n.targets[0])) in ("request", "send", "timeout")
        for n in view.of(ast.Assign)
        if isinstance(n.targets[0], ast.Attribute)
    )


def _hit(view: View, call: ast.Call, name: str, severity: Severity | None) -> Hit:
    given = view.arg(call, "timeout") is not None
    said = "has `timeout=None`" if given else "has no `timeout`"
    shown = dotted(call.func)
    return Hit(
        view.path,
        call.lineno,
        f"`{shown}` {said}: `{name.partition('.')[0]}` then waits as long as the server likes.",
        f"Write `{shown}(..., timeout=10)`.",
        severity=severity,
    )
