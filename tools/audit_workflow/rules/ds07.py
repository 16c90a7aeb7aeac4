"""Development server where others reach it

## What it does

Looks for development servers (`flask run`, `app.run()` of Flask, `uvicorn --reload`,
`fastapi dev`, `manage.py runserver`, `mlflow ui`) that a Dockerfile, compose file, Kubernetes
object, Procfile or systemd unit starts, and for code that turns a debugger or reloader on
(`debug=True`, `reload=True`, `FLASK_DEBUG=1`).

## Why is this bad?

Werkzeug's debugger runs any code that a visitor sends.  A development server handles few requests
at once, reloads itself, and its makers say not to use it in production.

## Known problems

`app.run(debug=True)` under `if __name__ == "__main__"` is harmless when only developers start the
file; it is reported, because the next Dockerfile is likely to do the same.  Compose files whose
name says that they are for development are left out.

## Example

```python
if __name__ == "__main__":
    app.run(debug=True, host="0.0.0.0")
```

## Use instead

```dockerfile
CMD ["gunicorn", "--bind", "0.0.0.0:8000", "--workers", "4", "app:app"]
```
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from typing import Final

from mlops_advisor.tools.audit_workflow.repo import AuditRepository
from mlops_advisor.tools.audit_workflow.rule import HIGH, LOW, MEDIUM, Hit, rule
from mlops_advisor.tools.audit_workflow.rules._serving import start_of, started_near
from mlops_advisor.tools.evidence.view import View, last

_DEV: Final = re.compile(
    r"\bflask(?:\s--\S{1,40}(?:\s(?!run\b)\S{1,60})?){0,3}\srun\b|"
    r"\b(?:uvicorn|hypercorn|gunicorn|sanic)\b[^&|;]{0,300}--(?:auto-)?reload\b|\bfastapi dev\b|"
    r"\bmanage\.py\srunserver\b|\bmlflow ui\b|\bbentoml serve\b[^&|;]{0,200}--(?:reload|"
    r"development)|"
    r"\bflask\b[^&|;]{0,80}--debug\b"
)
_GOOD: Final = re.compile(r"\b(?:gunicorn|uvicorn|waitress|hypercorn|uwsgi|mod_wsgi)\b")
_DEV_FILES: Final = re.compile(
    r"(?:^|[./_-])(?:dev|develop|development|override|local|test|tests|ci)(?:[./_-]|$)"
)
_ON: Final = ("1", "true", "yes", "on", "development")
_SWITCH: Final = re.compile(r"\b(FLASK_DEBUG|FLASK_ENV)[=\s]{1,3}[\"']?(\w{1,12})")
_FRAMEWORKS: Final = frozenset(
    ("flask", "quart", "dash", "connexion", "bottle", "sanic", "flask_restful", "flask_restx")
)
_EXEC: Final = re.compile(
    r"^\s{0,8}(?:ExecStart\s{0,4}=|[a-z]{2,20}:|command\s{0,4}=)\s{0,8}(.{1,600})"
)


@rule(
    "DS07",
    name="dev-server-in-production",
    dimension="deployment",
    severity=MEDIUM,
    confidence=0.85,
    fix="Start the application with a production server:"
    " `gunicorn --bind 0.0.0.0:8000 --workers 4 app:app` (`-k uvicorn.workers.UvicornWorker` for"
    " ASGI), and take debug settings from the environment, off by default.",
    effort=(0.1, 0.5),
    sources=(
        "flask_docs: Debugging Application Errors and Deploying to Production",
        "ruff: S201 flask-debug-true",
        "fastapi_docs: Run a Server Manually (--reload is for development)",
    ),
)
def dev_server_in_production(repo: AuditRepository) -> Iterator[Hit]:
    """Report development servers that are deployed, and debuggers that are on."""
    runs: dict[str, list[ast.Call]] = {}
    started = dict(_started(repo))
    for path in repo.code.product:
        if path.endswith(".ipynb") or ".run" not in repo.text(path):
            continue
        view = repo.view(path)
        if view is not None:
            runs[path] = [c for c in view.calls if _flask_run(view, c)]
            yield from _debug(view, path in started)
    yield from _commands(repo)
    yield from _plain_runs(runs, started)
    yield from _switches(repo)


# --- code ----------------------------------------------------------------------------------


def _flask_run(view: View, call: ast.Call) -> bool:
    name = view.name(call)
    if last(name) not in ("run", "run_server") or not view.module.roots & _FRAMEWORKS:
        return False
    owner = name.rpartition(".")[0].lower()
    return "app" in owner or "flask" in owner or "server" in owner or "dash" in owner


def _by_hand(view: View, call: ast.Call) -> bool:
    """Tell whether a call runs only when somebody starts the file itself."""
    block = view.main_block
    return block is not None and any(up is block for up in view.above(call))


def _debug(view: View, deployed: bool) -> Iterator[Hit]:  # noqa: FBT001 - one caller
    for call in view.calls:
        name = view.name(call)
        if _flask_run(view, call) and view.literal(view.arg(call, "debug", 2)) is True:
            host = view.string(view.arg(call, "host", 0))
            open_ = host in ("0.0.0.0", "::")  # noqa: S104 - compared, not bound
            why = "`debug=True` starts Werkzeug's debugger, which runs code that a visitor sends"
            where = f"; `host={host!r}` lets everybody reach it" if open_ else ""
            severity = HIGH if open_ or deployed else MEDIUM
            yield Hit(view.path, call.lineno, f"{why}{where}.", severity=severity)
        elif (
            name in ("uvicorn.run", "hypercorn.run")
            and view.literal(view.arg(call, "reload")) is True
            and (deployed or not _by_hand(view, call))
        ):
            yield Hit(
                view.path,
                call.lineno,
                "`reload=True` is for development: it watches files and allows one worker only.",
                severity=MEDIUM if deployed else LOW,
            )
    for assign in view.of(ast.Assign):
        target = ast.unparse(assign.targets[0]) if len(assign.targets) == 1 else ""
        if (
            target.endswith((".debug", "config['DEBUG']"))
            and view.module.roots & _FRAMEWORKS
            and isinstance(assign.value, ast.Constant)
            and assign.value.value is True
        ):
            yield Hit(view.path, assign.lineno, f"`{target} = True` turns the debugger on.")


def _plain_runs(
    runs: dict[str, list[ast.Call]], started: dict[str, tuple[str, int]]
) -> Iterator[Hit]:
    """Report containers that start a file whose `app.run()` is Flask's own server."""
    for path, (where, line) in sorted(started.items()):
        calls = runs.get(path, [])
        if calls:
            yield Hit(
                where,
                line,
                f"This starts `{path}`, whose `app.run()` (line {calls[0].lineno}) is Flask's"
                " development server.",
                also=((path, calls[0].lineno),),
            )


# --- commands ------------------------------------------------------------------------------


def _starts(repo: AuditRepository) -> Iterator[tuple[str, int, str]]:
    """Commands that a deployment starts."""
    for path, instructions in repo.dockerfiles.items():
        line, text = start_of(instructions)
        if text and not _DEV_FILES.search(path.lower()):
            yield path, line, text
    for work in repo.workloads:
        node = work.node.child("command") or work.node.child("args")
        if work.command and not (work.system == "compose" and _DEV_FILES.search(work.path.lower())):
            yield work.path, node.line if node is not None else work.line, work.command
    for path in repo.files:
        name = path.rsplit("/", 1)[-1].lower()
        if name == "procfile" or name.endswith(".service") or "supervisor" in name:
            for number, text in enumerate(repo.lines(path), 1):
                found = _EXEC.match(text[:800])
                if found:
                    yield path, number, found.group(1)


def _started(repo: AuditRepository) -> Iterator[tuple[str, tuple[str, int]]]:
    for path, line, text in _starts(repo):
        if not _GOOD.search(text):
            for module in sorted(started_near(repo, path, text)):
                yield module, (path, line)


def _commands(repo: AuditRepository) -> Iterator[Hit]:
    for path, line, text in _starts(repo):
        found = _DEV.search(text[:2_000])
        if found:
            what = " ".join(found.group(0).split())[:80]
            severity = LOW if "mlflow ui" in what else MEDIUM
            why = f"`{what}` is a development server, and this is what the deployment starts."
            yield Hit(path, line, why, severity=severity)


def _switches(repo: AuditRepository) -> Iterator[Hit]:
    for path, instructions in repo.dockerfiles.items():
        for item in instructions:
            found = _SWITCH.search(item.text[:2_000]) if item.name == "ENV" else None
            if found and found.group(2).lower() in _ON:
                yield Hit(path, item.line, f"`{found.group(1)}` turns Flask's debugger on.")
    for work in repo.workloads:
        if work.system == "compose" and _DEV_FILES.search(work.path.lower()):
            continue
        for setting in work.env:
            if setting.name in ("FLASK_DEBUG", "FLASK_ENV") and setting.value.lower() in _ON:
                yield Hit(
                    work.path,
                    setting.line,
                    f"`{setting.name}={setting.value}` turns Flask's debugger on in `{work.name}`.",
                )
