"""A service runs inside a pipeline task, or two services want one port

## What it does

Reports commands and calls that start a server and do not come back (`uvicorn`, `gunicorn`,
`flask run`, `bentoml serve`, `mlflow models serve`, `streamlit run` ...) in a task of an
orchestrator or a DVC stage, and two services that publish the same port of one host.

## Why is this bad?

The task never ends and holds its worker; when the worker restarts the service is gone.  Of two
services on one port only one starts.

## Known problems

Services of one compose file that are never started together should have profiles; those with
different profiles are not reported.

## Example

```python
serve = BashOperator(task_id="serve", bash_command="bentoml serve iris:latest --port 3000")
```

## Use instead

```python
deploy = BashOperator(task_id="deploy", bash_command="kubectl apply -f k8s/service.yaml")
```
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from typing import Final

from mlops_advisor.tools.audit_workflow.repo import AuditRepository
from mlops_advisor.tools.audit_workflow.rule import HIGH, MEDIUM, Hit, rule
from mlops_advisor.tools.audit_workflow.rules._pipeline import (
    definition,
    reached,
    tasks_of,
    views_holding,
)
from mlops_advisor.tools.evidence.parse.tree import Node
from mlops_advisor.tools.evidence.view import View, last, strings_in
from mlops_advisor.tools.evidence.workloads import Port, Workload

_SERVER: Final = re.compile(
    r"(?:^|[\s;&|(/'\"])(?:uvicorn\s+\S|gunicorn\s+\S|hypercorn\s+\S|flask\s+(?:--app\s+\S+\s+)?run\b|"
    r"bentoml\s+serve|mlflow\s+(?:models\s+serve|ui|server)\b|streamlit\s+run|torchserve\s+--start|"
    r"tensorboard\s+--logdir|jupyter\s+(?:notebook|lab)\b|fastapi\s+(?:run|dev)\b|ray\s+serve\b|"
    r"seldon-core-microservice|mlserver\s+start|tritonserver\b|tensorflow_model_server\b|"
    r"prefect\s+(?:server|worker|agent)\s+start|airflow\s+(?:webserver|scheduler|standalone)\b)"
)
_AWAY: Final = re.compile(
    r"(?<!&)&\s{0,4}$|\bnohup\b|docker\s+run\s[^;|]{0,200}-d\b|--daemon\b|-D\s"
)
_SERVE_CALLS: Final = frozenset(
    (
        "uvicorn.run",
        "waitress.serve",
        "bentoml.serve",
        "flask.Flask().run",
        "gradio.Interface().launch",
    )
)
_OPERATORS: Final = ("BashOperator", "ShellOperation", "shell_run_command", "ShellTask")
_TOOLS: Final = ("airflow", "prefect", "dagster", "flytekit", "kfp", "zenml", "metaflow", "luigi")


@rule(
    "PL11",
    name="service-run-inside-orchestrator",
    dimension="model_training",
    severity=HIGH,
    confidence=0.9,
    fix="Deploy the service to a platform that runs services; let the task only start the rollout.",
    effort=(0.5, 3),
    sources=(
        (
            "twelve_factor: XII. Admin processes (one-off tasks run apart from long-running "
            "processes)"
        ),
    ),
)
def service_run_inside_orchestrator(repo: AuditRepository) -> Iterator[Hit]:
    """Report servers started in tasks, and ports that are wanted twice."""
    for view in views_holding(repo, *_TOOLS):
        if not view.module.notebook and not view.module.roots.isdisjoint(_TOOLS):
            yield from _in_tasks(repo, view)
    for run in repo.runs.dvc:
        if _serves(run.text):
            why = f"`{run.text[:80]}` does not end, so the stage never does."
            yield Hit(run.path, run.line, why)
    yield from _compose_ports(repo)
    yield from _node_ports(repo)


def _serves(text: str) -> bool:
    text = text[:1_000]
    return bool(_SERVER.search(text)) and not _AWAY.search(text)


def _in_tasks(repo: AuditRepository, view: View) -> Iterator[Hit]:
    done: set[int] = set()
    for call in view.calls:
        if last(view.name(call)) in _OPERATORS:
            node = view.arg(call, "bash_command") or view.arg(call, "commands")
            texts = [view.string(node)] if node is not None else []
            texts += [n.value for n in strings_in(call) if isinstance(n.value, str)]
            text = next((t for t in texts if _serves(t)), "")
            if text:
                why = f"`{text.strip()[:80]}` does not end, so the task never does."
                yield Hit(view.path, node.lineno if node is not None else call.lineno, why)
    functions = [(t.function.name, view, t.function) for t in tasks_of(view)]
    for call in view.calls:
        node = view.arg(call, "python_callable")
        target = definition(repo, view, node) if node is not None else None
        if target is not None:
            functions.append((target.function.name, target.view, target.function))
    for name, where, function in functions:
        for here, call in reached(repo, where, function):
            what = _server_call(here, call)
            if what and id(call) not in done:
                done.add(id(call))
                why = f"`{what}` does not return, so the task `{name}` never ends."
                yield Hit(here.path, call.lineno, why, also=((where.path, function.lineno),))


def _server_call(view: View, call: ast.Call) -> str:
    name = view.name(call)
    if name in _SERVE_CALLS:
        return name
    if name.startswith(("subprocess.", "os.system", "os.popen")) and call.args:
        if name == "subprocess.Popen":
            return ""
        node = view.settled(call.args[0])
        text = (
            " ".join(view.string(e) for e in node.elts[:20])
            if isinstance(node, (ast.List, ast.Tuple))
            else view.string(node)
        )
        return text[:80] if _serves(text) else ""
    return ""


# --- ports --------------------------------------------------------------------------------------


def _compose_ports(repo: AuditRepository) -> Iterator[Hit]:
    taken: dict[tuple[str, str], list[tuple[Workload, Port]]] = {}
    for workload in repo.workloads:
        if workload.system != "compose":
            continue
        for port in workload.ports:
            if port.published.isdigit() and port.published != "0":
                key = (workload.path, f"{port.published}{_protocol(repo, workload.path, port)}")
                for other, first in taken.get(key, ()):
                    if other is not workload and _together(other.node, workload.node, first, port):
                        yield _conflict(workload, port, other, first)
                        break
                taken.setdefault(key, []).append((workload, port))


def _protocol(repo: AuditRepository, path: str, port: Port) -> str:
    lines = repo.lines(path)
    return "/udp" if 0 < port.line <= len(lines) and "udp" in lines[port.line - 1] else ""


def _together(one: Node, two: Node, first: Port, second: Port) -> bool:
    if first.host and second.host and first.host != second.host:
        return False
    left = {n.text for n in one.list_at("profiles")}
    right = {n.text for n in two.list_at("profiles")}
    return not left or not right or bool(left & right)


def _conflict(workload: Workload, port: Port, other: Workload, first: Port) -> Hit:
    why = (
        f"`{workload.name}` and `{other.name}` both publish port {port.published} of the host: "
        "the second of them does not start."
    )
    fix = f"Publish `{workload.name}` on another port, such as {int(port.published[:5]) + 1}."
    also = ((other.path, first.line),)
    return Hit(workload.path, port.line, why, fix, also=also, severity=MEDIUM)


def _node_ports(repo: AuditRepository) -> Iterator[Hit]:
    seen: dict[str, tuple[str, int, str]] = {}
    for manifest in repo.kinds("Service"):
        for port in manifest.node.list_at("spec", "ports"):
            node = port.child("nodePort")
            if node is None or not node.text.isdigit():
                continue
            known = seen.setdefault(node.text, (manifest.path, node.line, manifest.name))
            same = manifest.path.rpartition("/")[0] == known[0].rpartition("/")[0]
            if known[2] != manifest.name and same:
                why = f"`{manifest.name}` and `{known[2]}` both ask for node port {node.text}."
                yield Hit(manifest.path, node.line, why, also=(known[:2],), severity=MEDIUM)
