"""Tasks that reach over the network are not retried

## What it does

Looks at the tasks of Airflow, Prefect, Dagster, Flyte, Metaflow, ZenML, Kubeflow and Argo pipelines
and at job descriptions.  An explicit zero (`retries=0`, `max_retries: 0`, `backoffLimit: 0`) is
reported where it stands.  A pipeline whose tasks call services, databases, buckets or GPUs, and
none of which is retried, is reported once.

## Why is this bad?

Networks, spot machines and APIs fail now and then.  Without a retry one short failure ends the
whole run, and somebody has to notice and start it again.

## Known problems

Retries that are set outside of the repository (in the scheduler's own configuration) are not
seen.  A task that must not run twice is right to have none.

## Example

```python
@task
def fetch():
    return requests.get(URL, timeout=10).json()
```

## Use instead

```python
@task(retries=3, retry_delay_seconds=30)
def fetch():
    return requests.get(URL, timeout=10).json()
```
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import Final

from mlops_advisor.tools.audit_workflow.repo import AuditRepository
from mlops_advisor.tools.audit_workflow.rule import MEDIUM, Hit, rule
from mlops_advisor.tools.audit_workflow.rules._pipeline import (
    DAG_CALLS,
    FLOW_WORDS,
    Task,
    dict_entry,
    flows_of,
    hard_work,
    keyword,
    own_calls,
    short,
    tasks_of,
    views_holding,
)
from mlops_advisor.tools.evidence.parse.tree import Node
from mlops_advisor.tools.evidence.view import View, last

_KEYS: Final = ("retries", "num_retries", "max_retries", "max_retry_count")
_ELSEWHERE: Final = ("DEFAULT_TASK_RETRIES", "default_task_retries", "task_default_retries")
_YAML_ZERO: Final = ("max_retries", "maxRetries", "num_retries", "max_retry_count", "maxRetryCount")
_HOW: Final = {
    "Prefect": "`@task(retries=3, retry_delay_seconds=30)`",
    "Airflow": '`"retries": 2, "retry_delay": timedelta(minutes=5)` in `default_args`',
    "Dagster": "`retry_policy=RetryPolicy(max_retries=3, delay=30, backoff=Backoff.EXPONENTIAL)`",
    "Flyte": "`@task(retries=3)`",
    "Metaflow": "`@retry(times=3)` above `@step`",
    "ZenML": "`@step(retry=StepRetryConfig(max_retries=3, delay=30, backoff=2))`",
    "KFP": "`task.set_retry(num_retries=3, backoff_duration='30s')` on the tasks of the pipeline",
}
_IDLE: Final = ("DummyOperator", "EmptyOperator", "LatestOnlyOperator", "BranchPythonOperator")
_JOB_KINDS: Final = ("Job", "CronJob", "RayJob", "PyTorchJob", "TFJob")
_ARGO_KINDS: Final = ("Workflow", "CronWorkflow", "WorkflowTemplate", "ClusterWorkflowTemplate")


@rule(
    "PL02",
    name="task-without-retries",
    dimension="model_training",
    severity=MEDIUM,
    confidence=0.75,
    fix="Give the tasks that reach over the network a few retries with a growing delay.",
    effort=(0.1, 0.5),
    sources=(
        "prefect_docs: How to retry, set the number of retries and wait between retries",
        "airflow_docs: Best Practices, Creating a task (tasks are retried and must be repeatable)",
    ),
)
def task_without_retries(repo: AuditRepository) -> Iterator[Hit]:
    """Report tasks with no retry, and explicit zeros."""
    elsewhere = any(w in f.text for f in repo.files.values() for w in _ELSEWHERE)
    for view in views_holding(repo, *FLOW_WORDS):
        if view.module.notebook or view.module.roots.isdisjoint(FLOW_WORDS):
            continue
        zeros = list(_zeros(view))
        yield from _together(view, zeros)
        if not zeros and not _any_retry(view) and not (elsewhere and _is_airflow(view)):
            yield from _absent(repo, view)
    yield from _yaml(repo)


def _is_airflow(view: View) -> bool:
    return "airflow" in view.module.roots


def _number(view: View, node: ast.expr) -> int | None:
    value = view.literal(node)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _settings(view: View) -> Iterator[tuple[int, str, ast.expr]]:
    """Line, key and value of everything that sets a number of retries."""
    for call in view.calls:
        found = keyword(call, *_KEYS)
        if found is not None and found.arg and not _is_client(view, call):
            yield found.value.lineno, found.arg, found.value
    for node in view.of(ast.Dict):
        entry = dict_entry(node, "retries")
        if entry is not None:
            yield entry[0].lineno, "retries", entry[1]


def _is_client(view: View, call: ast.Call) -> bool:
    """Tell whether the retries are those of an HTTP client or the like."""
    name = view.name(call)
    return name.startswith(("requests.", "httpx.", "urllib3.", "boto", "openai.", "anthropic."))


def _zeros(view: View) -> Iterator[tuple[int, str]]:
    for line, key, value in _settings(view):
        if _number(view, value) == 0:
            yield line, key


def _together(view: View, zeros: list[tuple[int, str]]) -> Iterator[Hit]:
    """Make one finding of the zeros of a module, at the first of them."""
    if zeros:
        zeros = sorted(zeros)
        line, key = zeros[0]
        more = f" ({len(zeros)} times in this file)" if len(zeros) > 1 else ""
        why = f"`{key}` is 0{more}: the first transient failure of a task ends the run."
        also = tuple((view.path, n) for n, _ in zeros[1:6])
        fix = f"Set `{key}` to 2 or 3 with a delay."
        yield Hit(view.path, line, why, fix, also=also, confidence=0.85)


def _any_retry(view: View) -> bool:
    if any(_number(view, value) != 0 for _, _, value in _settings(view)):
        return True
    names = ("set_retry", "retry", "RetryPolicy", "StepRetryConfig", "RetryStrategy")
    return (
        any(last(view.name(c)) in names for c in view.calls)
        or any(last(view.name(d)) == "retry" for f in view.functions for d in f.decorator_list)
        or bool({"tenacity", "backoff", "retrying", "stamina"} & view.module.roots)
    )


def _absent(repo: AuditRepository, view: View) -> Iterator[Hit]:
    dags = [c for c in view.calls if view.name(c) in DAG_CALLS]
    flows = flows_of(view)
    dags += [
        f.decorator for f in flows if f.tool == "Airflow" and isinstance(f.decorator, ast.Call)
    ]
    if dags:
        yield from _airflow(view, dags[0])
        return
    components = [f for f in flows if f.tool == "KFP"]
    if components:
        yield from _kubeflow(view, components[0])
        return
    tasks = [t for t in tasks_of(view) if t.tool not in ("KFP", "Airflow")]
    hard = [(t, work) for t in tasks if (work := hard_work(repo, view, t.function))]
    if hard:
        yield _missing(view, hard)


def _missing(view: View, hard: list[tuple[Task, str]]) -> Hit:
    first, work = hard[0]
    names = ", ".join(f"`{t.function.name}`" for t, _ in hard[:6])
    why = f"No task here is retried, and network or GPU work is done by {names} (`{short(work)}`)."
    also = tuple((view.path, t.decorator.lineno) for t, _ in hard[1:6])
    return Hit(view.path, first.decorator.lineno, why, f"Add {_HOW[first.tool]}.", also=also)


def _airflow(view: View, dag: ast.Call) -> Iterator[Hit]:
    args = keyword(dag, "default_args")
    settled = view.settled(args.value) if args is not None else None
    known = args is None or isinstance(settled, ast.Dict) or dict_entry(settled, "owner")
    operators = [
        c
        for c in view.calls
        if (name := last(view.name(c))).endswith(("Operator", "Sensor")) and name not in _IDLE
    ]
    if not known or not (operators or any(t.tool == "Airflow" for t in tasks_of(view))):
        return
    at = settled.lineno if isinstance(settled, ast.Dict) else dag.lineno
    why = "The DAG sets no `retries`, so each of its tasks is tried once."
    yield Hit(view.path, at, why, f"Add {_HOW['Airflow']}.")


def _kubeflow(view: View, flow: Task) -> Iterator[Hit]:
    made = [c for c in own_calls(flow.function) if isinstance(c.func, (ast.Name, ast.Attribute))]
    if made:
        why = f"The pipeline `{flow.function.name}` sets a retry on none of its tasks."
        line = flow.decorator.lineno
        yield Hit(view.path, line, why, f"Add {_HOW['KFP']}.", confidence=0.6)


# --- job descriptions ---------------------------------------------------------------------------


def _yaml(repo: AuditRepository) -> Iterator[Hit]:
    for file in repo.yaml_files(holding=(*_YAML_ZERO, "retryStrategy")):
        for doc in file.docs:
            for key, node in doc.find(*_YAML_ZERO):
                yield from _zero(file.path, node, key)
            for _, node in doc.find("retryStrategy"):
                yield from _zero(file.path, node.child("limit"), "retryStrategy.limit")
    for manifest in repo.kinds(*_JOB_KINDS):
        limit = manifest.node.get("spec", "backoffLimit") or manifest.node.get(
            "spec", "jobTemplate", "spec", "backoffLimit"
        )
        yield from _zero(manifest.path, limit, "backoffLimit")
    for manifest in repo.kinds(*_ARGO_KINDS):
        if manifest.api.startswith("argoproj.io"):
            yield from _argo(manifest.path, manifest.node)


def _zero(path: str, node: Node | None, key: str) -> Iterator[Hit]:
    if node is not None and node.text.strip() == "0":
        why = f"`{key}` is 0: the first transient failure ends the job."
        yield Hit(path, node.line, why, f"Set `{key}` to 2 or 3.", confidence=0.85)


def _argo(path: str, node: Node) -> Iterator[Hit]:
    spec = node.get("spec", "workflowSpec") or node.child("spec") or node
    if spec.get("templateDefaults", "retryStrategy") is not None:
        return
    work = [
        t
        for t in spec.list_at("templates")
        if t.child("container") is not None or t.child("script") is not None
    ]
    if work and not any(t.child("retryStrategy") is not None for t in work):
        names = ", ".join(f"`{t.text_at('name')}`" for t in work[:6])
        why = f"No template of the workflow has a `retryStrategy`: {names}."
        fix = "Add `retryStrategy: {limit: 3, backoff: {duration: 30s, factor: 2}}`."
        yield Hit(path, work[0].line, why, fix)
