"""Monitoring that nothing starts

## What it does

Finds code that measures drift or quality of live data (Evidently, whylogs, NannyML, Alibi Detect,
own distribution tests) and looks for what starts it: a schedule of CI, of an orchestrator, of
Kubernetes, of a cloud, or a loop or scheduler in the code itself.  Monitoring that runs only when
somebody sends a request or starts a script is reported at the call that runs it.

## Why is this bad?

Nobody looks at a report that nobody makes.  Drift that is measured on request is measured after
the damage.

## Known problems

A schedule that is kept outside the repository (a crontab, a scheduler's console) is not seen.
Drift that a notebook shows is not reported.

## Example

```python
@app.get("/monitor")
def monitor():
    report = Report(metrics=[DataDriftPreset()])
    report.run(reference_data=reference, current_data=current)
    return report.as_dict()
```

## Use instead

```yaml
# .github/workflows/monitor.yml
on:
  schedule:
    - cron: "0 6 * * *"
jobs:
  drift:
    steps:
      - run: python monitoring/report.py
```
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from mlops_advisor.tools.audit_workflow.repo import AuditRepository
from mlops_advisor.tools.audit_workflow.rule import HIGH, MEDIUM, Hit, rule
from mlops_advisor.tools.audit_workflow.rules import _docs, _monitoring
from mlops_advisor.tools.evidence.code import Hit as CallHit
from mlops_advisor.tools.evidence.parse.python_model import PythonModule

_HOPS: Final = 4  # from the endpoint to the function that measures
_MANY: Final = 20


@rule(
    "MO02",
    name="monitoring-not-scheduled",
    dimension="monitoring",
    severity=HIGH,
    confidence=0.8,
    fix="Start the report from a schedule (cron of CI, CronJob, orchestrator) and keep its result.",
    effort=(0.5, 2),
    sources=(
        "se4ml: Continuously Monitor the Behaviour of Deployed Models",
        (
            "evidently_docs: Monitoring overview, batch monitoring jobs (run at regular intervals "
            "or on new data)"
        ),
    ),
    practice="data_drift_detection",
)
def monitoring_not_scheduled(repo: AuditRepository) -> Iterator[Hit]:
    """Report monitoring that runs only on request or by hand."""
    hits = [
        h
        for h in _monitoring.drift_calls(repo)
        if not h.module.notebook and not _docs.aside(repo, h.module.path)
    ]
    if any(h.call.name.startswith(_monitoring.MANAGED) for h in hits) or _managed(repo):
        return
    seen: set[tuple[str, int]] = set()
    for hit in _monitoring.running_calls(hits):
        path = hit.module.path
        if path in repo.code.training_code and not _monitors(path):
            continue  # a comparison of training data with test data
        if _monitoring.scheduled(repo, path):
            continue
        at = _caller(repo, hit)
        if at[:2] in seen:
            continue
        seen.add(at[:2])
        how = "only when a request comes in" if at[2] else "only when somebody starts it by hand"
        yield Hit(
            at[0],
            at[1],
            f"`{hit.call.name}` measures drift or quality, {how}: no schedule, sensor or loop in "
            "the repository starts it.",
            also=((path, hit.call.line),) if at[:2] != (path, hit.call.line) else (),
            severity=HIGH if at[2] else MEDIUM,
        )


def _monitors(path: str) -> bool:
    return any(w in path.lower() for w in ("monitor", "drift", "live", "production"))


def _caller(repo: AuditRepository, hit: CallHit) -> tuple[str, int, bool]:
    """Where the call is asked for: an endpoint that leads to its function, else the call itself."""
    path, call = hit.module.path, hit.call
    if _in_route(hit.module, call.line):
        return path, call.line, True
    wanted = [(path, call.scope.rpartition(".")[2])]
    seen = set(wanted)
    for _ in range(_HOPS):
        above: list[tuple[str, str]] = []
        for home, function in wanted:
            for other in sorted({home, *repo.code.importers.get(home, ())}) if function else ():
                module = repo.code.modules[other]
                for one in module.calls:
                    if one.last != function or other in repo.code.tests:
                        continue
                    if _in_route(module, one.line):
                        return other, one.line, True
                    above.append((other, one.scope.rpartition(".")[2]))
        wanted = [w for w in dict.fromkeys(above) if w not in seen][:_MANY]
        seen |= set(wanted)
    return path, call.line, False


def _in_route(module: PythonModule, line: int) -> bool:
    return any(a <= line <= b for _, a, b in _monitoring.routes(module))


def _managed(repo: AuditRepository) -> bool:
    """Tell whether a cloud's monitor with its own schedule is defined."""
    return (
        bool(
            repo.resources(
                "aws_sagemaker_monitoring_schedule", "google_vertex_ai_model_deployment_monitoring"
            )
        )
        or any(
            True
            for _ in repo.yaml_files(
                holding=("MonitoringSchedule", "monitorSchedule", "ScheduleConfig")
            )
        )
        or bool(repo.code.calls("*.create_monitoring_schedule"))
    )
