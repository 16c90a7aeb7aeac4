"""Nothing starts the training, or it always runs for the same date

## What it does

Reports a training pipeline whose schedule is None, null, paused or commented away, and one that
nothing starts at all: no schedule, sensor, event, or CI job.  Also reports a year, month or date
fixed as the default of a pipeline that is scheduled or deployed: it would compute the same month
for ever.

## Why is this bad?

The world changes, the model does not: it goes stale, and nobody decided that it should.

## Known problems

A schedule set by hand in a user interface is not seen.  A pipeline started by another program
through an interface that leaves no trace here is not seen either.

## Example

```python
with DAG("train", schedule=None, start_date=datetime(2025, 1, 1)):
    ...
```

## Use instead

```python
with DAG("train", schedule="@weekly", start_date=datetime(2025, 1, 1), catchup=False):
    ...
```
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from typing import Final

from mlops_advisor.tools.audit_workflow.repo import AuditRepository
from mlops_advisor.tools.audit_workflow.rule import MEDIUM, Hit, rule
from mlops_advisor.tools.audit_workflow.rules._pipeline import (
    Task,
    flows_of,
    tasks_of,
    views_holding,
)
from mlops_advisor.tools.evidence.flows import Flow, Trigger
from mlops_advisor.tools.evidence.view import View

_STARTERS: Final = (
    "TriggerDagRunOperator",
    "trigger_dag",
    "dagRuns",
    "airflow dags trigger",
    "run_deployment",
    "prefect deployment run",
)
_RUNS: Final = frozenset(
    "create_run_from_job_spec create_run_from_pipeline_func start_pipeline_execution submit"
    " run_deployment start_execution create_training_job run_pipeline create_run trigger".split()
)
_BY_HAND: Final = ("DVC", "Kedro")
_PART: Final = re.compile(
    r"^(?:year|month|day|train_?(?:year|month|date)|val_?(?:year|month|date)|date|run_?date|"
    r"execution_?date|start_?date|end_?date|current_?date|ref(?:erence)?_?date|period|dates?)$"
)
_DATED: Final = re.compile(r"(?<!\d)(?:19|20)\d\d[-_/]?(?:0[1-9]|1[0-2])(?!\d)")
_YEARS: Final = range(1990, 2100)


@rule(
    "PL06",
    name="schedule-absent",
    dimension="model_training",
    severity=MEDIUM,
    confidence=0.75,
    fix="Give the training pipeline a schedule, or start it when new data comes or quality falls.",
    effort=(0.25, 2),
    searched=(
        "schedules, sensors and events of orchestrators, cron objects, CI schedules, "
        "cloud schedulers"
    ),
    practice="training_triggered",
    sources=(
        "ml_test_score: Monitor 4, models are not too stale",
        "google_mlops: level 1, ML pipeline triggers: schedule or availability of new data",
        "rules_of_ml: Rule #8, know the freshness requirements of your system",
    ),
)
def schedule_absent(repo: AuditRepository) -> Iterator[Hit]:
    """Report training pipelines that do not start by themselves, and dates that stand still."""
    off = [t for t in repo.flows.triggers if t.off and t.trains]
    started = any(w in f.text for f in repo.files.values() for w in _STARTERS)
    if not started:
        for trigger in off:
            yield _is_off(repo, trigger)
    if not off:
        yield from _none(repo)
    if _deployed(repo):
        yield from _dates(repo)


def _is_off(repo: AuditRepository, trigger: Trigger) -> Hit:
    line = trigger.line
    if trigger.path.endswith(".py"):
        found = repo.line_of(trigger.path, "schedule", trigger.line - 1)
        line = found if 0 < found <= trigger.line + 25 else line
    why = f"The {trigger.what} is written down but empty or switched off: nothing starts this."
    return Hit(trigger.path, line, why, confidence=0.8)


def _none(repo: AuditRepository) -> Iterator[Hit]:
    fact = repo.absent("training_triggered")
    if fact is None or any(_starts(repo, path) for path in repo.code.product):
        return
    flows = [f for f in repo.flows.all if f.trains and not repo.is_aside(f.path)]
    if not flows or not (repo.stages.scoring or any(f.tool not in _BY_HAND for f in flows)):
        return
    if _by_push(repo) or _frozen(repo):
        return
    flow = next((f for f in flows if f.tool not in _BY_HAND), flows[0])
    yield _never(flow, flows)


def _by_push(repo: AuditRepository) -> bool:
    """Tell whether CI, also that of a template below the root, starts the pipeline by itself."""
    for run in repo.runs.ci:
        if run.automatic and run.counts:
            for path in repo.code.closure(repo.runs.modules(run)):
                if any(c.last in (*_RUNS, "start", "upsert") for c in repo.python[path].calls):
                    return True
    return False


def _frozen(repo: AuditRepository) -> bool:
    """Tell whether all training code learns from data sets that come with a library."""
    roots = [repo.code.modules[p] for p in repo.code.training_scripts]
    made = ("sklearn.datasets.load_", "sklearn.datasets.make_", "seaborn.load_dataset")
    bundled = repo.code.calls(*(f"{m}*" for m in made))
    reads = repo.code.calls(
        "pandas.read_*", "polars.read_*", "polars.scan_*", "dask.dataframe.read_*"
    )
    return bool(roots) and bool(bundled) and not reads


def _starts(repo: AuditRepository, path: str) -> bool:
    """Tell whether a module is a cloud function that starts a pipeline when it is called."""
    module = repo.code.modules[path]
    handler = any({"event", "cloud_event"} & {p for p, _ in f.params} for f in module.functions)
    return handler and any(c.last in _RUNS for c in module.calls)


def _never(flow: Flow, flows: list[Flow]) -> Hit:
    why = f"No schedule, sensor or event starts this {flow.tool} pipeline, which trains."
    also = tuple((f.path, f.line) for f in flows if f is not flow)
    return Hit(flow.path, flow.line, why, also=also[:4], confidence=0.65)


# --- dates --------------------------------------------------------------------------------------


def _deployed(repo: AuditRepository) -> bool:
    """Tell whether a pipeline is scheduled or deployed."""
    if any(not t.off for t in repo.flows.triggers):
        return True
    if repo.named("prefect.yaml", "prefect.yml") or repo.ending("-deployment.yaml"):
        return True
    names = ("*.build_from_flow", "*.to_deployment", "*.create_recurring_run", "*.deploy")
    return any(h.module.roots & {"prefect", "kfp", "flytekit"} for h in repo.code.calls(*names))


def _dates(repo: AuditRepository) -> Iterator[Hit]:
    for view in views_holding(repo, "prefect", "kfp", "flytekit", "zenml", "dagster", "metaflow"):
        if view.module.notebook or repo.is_aside(view.path):
            continue
        flows = [t for t in flows_of(view) if t.tool != "Airflow"]
        for flow in flows:
            yield from _defaults(view, flow)
        for task in (*tasks_of(view), *flows):
            yield from _inside(view, task)


def _defaults(view: View, flow: Task) -> Iterator[Hit]:
    args = flow.function.args
    plain = [*args.posonlyargs, *args.args]
    pairs = list(zip(plain[len(plain) - len(args.defaults) :], args.defaults, strict=True))
    pairs += [
        (a, d) for a, d in zip(args.kwonlyargs, args.kw_defaults, strict=True) if d is not None
    ]
    fixed = [(a, v) for a, d in pairs if (v := _fixed(view, a.arg, d))]
    if fixed:
        shown = ", ".join(f"`{a.arg}={v}`" for a, v in fixed[:4])
        why = f"Each run of `{flow.function.name}` that is given nothing uses {shown}."
        fix = "Derive the default from the run's date, such as that of the last full month."
        yield Hit(view.path, fixed[0][0].lineno, why, fix)


def _fixed(view: View, name: str, default: ast.expr) -> str:
    value = view.literal(default)
    if isinstance(value, bool):
        return ""
    if isinstance(value, int) and _PART.match(name.lower()):
        return f"{value}" if value in _YEARS or "year" not in name.lower() else ""
    if isinstance(value, str) and _DATED.search(value) and len(value) < 200:  # noqa: PLR2004
        return f'"{value}"'
    return ""


def _inside(view: View, task: Task) -> Iterator[Hit]:
    """Find dates made of literals in the body of a task, each task once."""
    for call in view.below(task.function, ast.Call):
        if view.name(call) not in (
            "datetime.datetime",
            "datetime.date",
            "pandas.Timestamp",
            "pandas.to_datetime",
            "pendulum.datetime",
        ):
            continue
        numbers = [view.literal(a) for a in call.args[:3]]
        made = len(numbers) == 3 and all(isinstance(n, int) for n in numbers)  # noqa: PLR2004
        text = numbers[0] if len(numbers) == 1 and isinstance(numbers[0], str) else ""
        if (made and numbers[0] in _YEARS) or _DATED.search(text):
            why = f"`{ast.unparse(call)[:80]}` in `{task.function.name}` is the same in every run."
            fix = "Take the date from the run (its parameters, or the logical date)."
            yield Hit(view.path, call.lineno, why, fix, confidence=0.7)
            return
