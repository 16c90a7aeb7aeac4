"""Nobody is told when a scheduled pipeline fails

## What it does

Looks at pipelines and jobs that start by themselves: Airflow DAGs with a schedule, deployments of
Prefect with a schedule, scheduled Dagster jobs, CronJobs, Argo CronWorkflows, and processes that
start commands by the clock themselves (`schedule`, APScheduler, a loop that sleeps).  Reported is
one without a failure callback, mail, automation or hook, when no alert rule of the repository
speaks of failed jobs.

## Why is this bad?

A pipeline that fails in the night without a word is found weeks later, by its stale model.

## Known problems

Alerts that are set up by hand in the orchestrator's user interface are not seen.

## Example

```python
with DAG("retrain", schedule="@daily", default_args={"retries": 2}) as dag:
    ...
```

## Use instead

```python
with DAG(
    "retrain",
    schedule="@daily",
    default_args={"retries": 2, "on_failure_callback": notify_slack},
) as dag:
    ...
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
    flows_of,
    keyword,
    views_holding,
)
from mlops_advisor.tools.evidence.view import View, last

_CALLBACKS: Final = (
    "on_failure_callback",
    "on_failure",
    "on_crashed",
    "on_completion",
    "sla_miss_callback",
    "email_on_failure",
    "failure_hook",
    "run_failure_sensor",
    "make_slack_on_run_failure_sensor",
    "make_email_on_run_failure_sensor",
)
_SENDERS: Final = (
    "slack",
    "smtplib",
    "pagerduty",
    "opsgenie",
    "teams",
    "prefect_email",
    "apprise",
    "Automation",
    "EmailOperator",
    "send_email",
    "telegram",
    "discord",
)
_SCHEDULE: Final = ("schedule", "schedule_interval", "timetable")
_DEPLOYS: Final = ("serve", "deploy", "build_from_flow", "to_deployment")
_DEPLOY_KEYS: Final = ("schedule", "schedules", "cron", "interval", "rrule")
_OUTSIDE: Final = ("kube_job_status_failed", "kube_job_failed", "failed_job", "dag_failure")
_COMMANDS: Final = frozenset(
    "subprocess.run subprocess.call subprocess.check_call subprocess.check_output subprocess.Popen"
    " os.system".split()
)
_LOGS: Final = frozenset("error exception warning critical info print log warn".split())
_REPORTS: Final = ("requests.post", "webhook", "sentry", "healthchecks", "pushgateway", "notify")
_HOW: Final = {
    "Airflow": "Add `on_failure_callback` (or `email` with `email_on_failure=True`) to the DAG.",
    "Prefect": "Add `on_failure=[notify]` to the flow, or an automation on the state Failed.",
    "Dagster": "Add a `@run_failure_sensor` that notifies somebody.",
    "Kubernetes": "Add an alert on `kube_job_status_failed` for this job, routed to a person.",
    "Argo": "Add `onExit` with a step that notifies when `{{workflow.status}}` is not Succeeded.",
}


@rule(
    "PL03",
    name="no-failure-notification",
    dimension="model_training",
    severity=MEDIUM,
    confidence=0.7,
    fix="Tell somebody when the pipeline fails.",
    effort=(0.25, 1),
    absence=True,
    searched=(
        "failure callbacks, mail settings, hooks and automations in pipeline code; alert rules; "
        "calls of Slack, mail and paging services"
    ),
    sources=(
        "airflow_docs: Callbacks (alert when tasks have failed)",
        (
            "prometheus_docs: Alerting, Batch jobs (page when a job has not succeeded recently "
            "enough)"
        ),
        "dora: capability Proactive failure notification",
    ),
)
def no_failure_notification(repo: AuditRepository) -> Iterator[Hit]:
    """Report scheduled pipelines whose failure nobody hears of."""
    if any(w in f.text for f in repo.files.values() for w in _OUTSIDE):
        return
    told = any(
        any(w in repo.text(p) for w in (*_CALLBACKS[1:5], "Automation", "run_failure_sensor"))
        for p in repo.code.product
    )
    for view in views_holding(repo, "airflow", "prefect", "dagster"):
        roots = view.module.roots
        if view.module.notebook or roots.isdisjoint(("airflow", "prefect", "dagster")):
            continue
        if "airflow" in roots:
            yield from _airflow(repo, view)
        elif not told and not _sends(repo, view):
            yield from _prefect(view) if "prefect" in roots else _dagster(view)
    if not told:
        yield from _prefect_files(repo)
    for view in views_holding(repo, "schedule", "sleep("):
        text = repo.text(view.path)
        if not view.module.notebook and any(w in text for w in ("subprocess", "os.system")):
            yield from _own_scheduler(repo, view)
    yield from _cluster(repo)


def _sends(repo: AuditRepository, view: View) -> bool:
    text = repo.text(view.path)
    return any(w in text for w in _CALLBACKS) or any(w in text for w in _SENDERS)


def _airflow(repo: AuditRepository, view: View) -> Iterator[Hit]:
    dags = [c for c in view.calls if view.name(c) in DAG_CALLS]
    dags += [
        f.decorator
        for f in flows_of(view)
        if f.tool == "Airflow" and isinstance(f.decorator, ast.Call)
    ]
    text = repo.text(view.path)
    off = any(
        isinstance(k, ast.Constant) and k.value == "email_on_failure" and view.literal(v) is False
        for node in view.of(ast.Dict)
        for k, v in zip(node.keys, node.values, strict=True)
    )
    rest = text.replace("email_on_failure", "")
    wired = any(w in rest for w in _CALLBACKS) or ("email_on_failure" in text and not off)
    if wired or any(w in text for w in _SENDERS):
        return
    for dag in dags:
        key = keyword(dag, *_SCHEDULE)
        if key is not None and not _empty(view, key.value) and not _given_elsewhere(view, dag):
            why = "The DAG runs on a schedule, and its failure calls nobody" + (
                ": `email_on_failure` is False and there is no callback." if off else "."
            )
            yield Hit(view.path, dag.lineno, why, _HOW["Airflow"])


def _own_scheduler(repo: AuditRepository, view: View) -> Iterator[Hit]:
    """Find a scheduler written in Python whose jobs are commands, and a failure is only logged."""
    text = repo.text(view.path)
    starter = _starts_jobs(view)
    if starter is None or _sends(repo, view) or any(w in text for w in _REPORTS):
        return
    for call in view.calls:
        if view.name(call) not in _COMMANDS:
            continue
        function = view.function(call)
        logs = [
            c
            for c in view.calls
            if view.function(c) is function
            and c.lineno > call.lineno
            and last(view.name(c)) in _LOGS
            and view.inside(c, ast.ExceptHandler, ast.If)
        ]
        raised = function is not None and any(True for _ in view.below(function, ast.Raise))
        at = logs[0] if logs else call
        if not raised and (logs or not _is_checked(view, call)):
            how = "is only logged" if logs else "is not even looked at"
            why = f"This process starts jobs by the clock, and a failure {how}: nobody is told."
            fix = "Send the failure to a person (mail, Slack, a failed heartbeat), and alert on it."
            also = ((view.path, starter.lineno), (view.path, call.lineno))
            yield Hit(view.path, at.lineno, why, fix, also=also, confidence=0.65)
            return


def _starts_jobs(view: View) -> ast.Call | ast.While | None:
    """Where a module starts jobs by the clock, for ever."""
    roots = view.module.roots
    for call in view.calls:
        end = last(view.name(call))
        if "schedule" in roots and end == "do":
            return call
        if "apscheduler" in roots and end in ("add_job", "scheduled_job"):
            return call
    for loop in view.of(ast.While):
        endless = isinstance(loop.test, ast.Constant) and bool(loop.test.value)
        inside = view.walk(loop)
        leaves = any(isinstance(n, (ast.Break, ast.Return)) for n in inside)
        sleeps = any(isinstance(n, ast.Call) and view.name(n) == "time.sleep" for n in inside)
        if endless and sleeps and not leaves:
            return loop
    return None


def _is_checked(view: View, call: ast.Call) -> bool:
    """Tell whether a command that fails ends the process: an alert on it may exist."""
    name = view.name(call)
    raises = name in ("subprocess.check_call", "subprocess.check_output")
    return (raises or view.literal(view.arg(call, "check")) is True) and not view.inside(
        call, ast.Try
    )


def _empty(view: View, node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and view.literal(node) in (None, "@once", "")


def _given_elsewhere(view: View, dag: ast.Call) -> bool:
    """Tell whether `default_args` come from another module."""
    args = keyword(dag, "default_args")
    if args is None:
        return False
    value = view.settled(args.value)
    return not isinstance(value, (ast.Dict, ast.Call))


def _prefect(view: View) -> Iterator[Hit]:
    for call in view.calls:
        if last(view.name(call)) in _DEPLOYS:
            key = keyword(call, *_DEPLOY_KEYS)
            if key is not None and not _empty(view, key.value):
                why = "The deployment runs on a schedule, and nobody is told when a run fails."
                yield Hit(view.path, call.lineno, why, _HOW["Prefect"])
                return


def _dagster(view: View) -> Iterator[Hit]:
    for call in view.calls:
        if view.name(call) in ("dagster.ScheduleDefinition", "dagster.schedule"):
            why = "The schedule starts a job, and nobody is told when a run fails."
            yield Hit(view.path, call.lineno, why, _HOW["Dagster"])
            return


def _prefect_files(repo: AuditRepository) -> Iterator[Hit]:
    for trigger in repo.flows.triggers:
        if trigger.what.startswith("Prefect ") and not trigger.off:
            why = "The deployment runs on a schedule, and nobody is told when a run fails."
            yield Hit(trigger.path, trigger.line, why, _HOW["Prefect"])


def _cluster(repo: AuditRepository) -> Iterator[Hit]:
    for m in repo.kinds("CronJob", "CronWorkflow"):
        spec = m.node.child("spec")
        if spec is None or spec.text_at("suspend") == "true":
            continue
        if m.kind == "CronWorkflow" and any(True for _ in spec.find("onExit", "hooks")):
            continue
        text = repo.text(m.path).lower()
        if any(w.lower() in text for w in _SENDERS):
            continue
        tool = "Argo" if m.kind == "CronWorkflow" else "Kubernetes"
        why = f"`{m.name}` runs on a schedule, and no alert or hook speaks of its failure."
        yield Hit(m.path, m.line, why, _HOW[tool], confidence=0.6)
