"""Start date of a DAG moves, or nothing says what to do about the past

## What it does

Reports a `start_date` of Airflow that is computed when the file is read (`days_ago(1)`,
`datetime.now()`), a scheduled DAG that has no `start_date` at all, and, for Airflow before
version 3, one with a fixed date in the past that does not set `catchup`.

## Why is this bad?

Airflow runs an interval once it is over.  A start date that moves with the clock moves the end of
the interval too: runs come at odd times or never.  Before Airflow 3 a DAG without `catchup=False`
starts one run for each interval since its start date as soon as it is switched on.

## Known problems

A DAG that is meant to backfill should say `catchup=True`, which is not reported.

## Example

```python
with DAG("retrain", schedule="@daily", start_date=days_ago(1)):
    ...
```

## Use instead

```python
with DAG("retrain", schedule="@daily", start_date=datetime(2025, 1, 1), catchup=False):
    ...
```
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from typing import Final

from mlops_advisor.tools.audit_workflow.repo import AuditRepository
from mlops_advisor.tools.audit_workflow.rule import LOW, MEDIUM, Hit, module_rule
from mlops_advisor.tools.audit_workflow.rules._pipeline import (
    DAG_CALLS,
    dict_entry,
    flows_of,
    keyword,
)
from mlops_advisor.tools.evidence.view import View, last

_MOVING: Final = frozenset(("days_ago", "now", "today", "utcnow", "yesterday", "tomorrow"))
_CONFIGURED: Final = ("CATCHUP_BY_DEFAULT", "catchup_by_default")
_VERSION_3: Final = re.compile(r"apache[-_]airflow(?:\[[^\]\n]{0,80}\])?\s{0,4}[=~>]=\s{0,4}3")
_IMAGE_3: Final = re.compile(r"apache/airflow:(?:slim-)?3|\bAIRFLOW_VERSION\b.{0,4}3\.")


@module_rule(
    "PL04",
    name="dynamic-or-missing-start-date",
    dimension="model_training",
    severity=MEDIUM,
    confidence=0.9,
    fix="Use a fixed date with a time zone, and say `catchup=False`.",
    effort=(0.1, 0.25),
    sources=(
        (
            "airflow_docs: FAQ, What's the deal with start_date (no dynamic values, no "
            "datetime.now())"
        ),
        "ruff: AIR304 (runtime value such as datetime.now() as argument of a Dag)",
    ),
    words=("airflow",),
)
def dynamic_or_missing_start_date(repo: AuditRepository, view: View) -> Iterator[Hit]:
    """Report start dates that move, lack, or come with an unset catchup."""
    if "airflow" not in view.module.roots:
        return
    moving = list(_moving(view))
    yield from moving
    dags = [c for c in view.calls if view.name(c) in DAG_CALLS]
    dags += [
        f.decorator
        for f in flows_of(view)
        if f.tool == "Airflow" and isinstance(f.decorator, ast.Call)
    ]
    for dag in dags:
        yield from _dag(repo, view, dag, moving=bool(moving))


def _moving(view: View) -> Iterator[Hit]:
    for node in _start_dates(view):
        call = _clock(view, node)
        if call is not None:
            text = ast.unparse(node)[:60]
            why = f"`start_date={text}` is computed anew each time the file is parsed."
            yield Hit(view.path, node.lineno, why)


def _start_dates(view: View) -> Iterator[ast.expr]:
    for call in view.calls:
        found = keyword(call, "start_date")
        if found is not None:
            yield _followed(view, found.value)
    for node in view.of(ast.Dict):
        entry = dict_entry(node, "start_date")
        if entry is not None:
            yield _followed(view, entry[1])


def _followed(view: View, node: ast.expr) -> ast.expr:
    return view.settled(node) or node


def _clock(view: View, node: ast.expr) -> ast.Call | None:
    for below in view.walk(node):
        if isinstance(below, ast.Call) and last(view.name(below)) in _MOVING:
            return below
    return None


def _dag(repo: AuditRepository, view: View, dag: ast.Call, *, moving: bool) -> Iterator[Hit]:
    schedule = keyword(dag, "schedule", "schedule_interval", "timetable")
    if schedule is None or view.spreads(dag):
        return
    value = view.settled(schedule.value)
    if isinstance(value, ast.Constant) and value.value in (None, "@once", "@continuous"):
        return
    if isinstance(value, (ast.List, ast.Tuple)) or _is_data_set(view, value):
        return
    if not list(_start_dates(view)):
        args = keyword(dag, "default_args")
        if args is None or isinstance(view.settled(args.value), ast.Dict):
            why = "The DAG has a schedule and no `start_date`, so its tasks cannot be scheduled."
            yield Hit(view.path, dag.lineno, why, confidence=0.7)
        return
    if moving or keyword(dag, "catchup") is not None or _three(repo, view):
        return
    why = "`catchup` is not set: before Airflow 3 all intervals since the start date are run."
    fix = "Say `catchup=False` (or `True`, if the past is to be computed)."
    yield Hit(view.path, dag.lineno, why, fix, severity=LOW, confidence=0.8)


def _is_data_set(view: View, node: ast.expr | None) -> bool:
    return isinstance(node, ast.Call) and last(view.name(node)) in ("Dataset", "Asset")


def _three(repo: AuditRepository, view: View) -> bool:
    """Tell whether Airflow is at version 3, or a setting says what the default is."""
    if any(a.startswith("airflow.sdk") for a in view.aliases.values()):
        return True
    return any(
        w in text or _VERSION_3.search(text) or _IMAGE_3.search(text)
        for w in _CONFIGURED
        for path, text in ((p, f.text) for p, f in repo.files.items())
        if not path.endswith((".py", ".ipynb", ".md"))
    )
