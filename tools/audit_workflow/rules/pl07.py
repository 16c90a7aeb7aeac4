"""Tasks hand files to each other over a local disk

## What it does

Follows the files that each task of an Airflow, Kubeflow, Flyte, Dagster, ZenML or Metaflow
pipeline writes and reads, through the functions and scripts of the repository that it calls.  A
fixed local path that one task writes and another reads is reported at the write.

## Why is this bad?

Tasks may run on different machines, and then the file is not there.  On one machine two runs at
the same time overwrite each other's file, and a run that fails leaves an old one behind.

## Known problems

A path on a volume that all workers share is not told apart, unless it lies below `/mnt`.

## Example

```python
@task
def prepare():
    frame.to_csv("/tmp/train.csv")

@task
def train():
    frame = pd.read_csv("/tmp/train.csv")
```

## Use instead

```python
@task
def prepare(run_id: str) -> str:
    path = f"s3://ml-data/{run_id}/train.parquet"
    frame.to_parquet(path)
    return path

@task
def train(path: str):
    frame = pd.read_parquet(path)
```
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import Final, NamedTuple

from mlops_advisor.tools.audit_workflow.repo import AuditRepository
from mlops_advisor.tools.audit_workflow.rule import MEDIUM, Hit, rule
from mlops_advisor.tools.audit_workflow.rules._pipeline import definition, tasks_of, views_holding
from mlops_advisor.tools.audit_workflow.rules._pipeline_files import (
    Touched,
    is_local,
    touched,
    touched_by_module,
)
from mlops_advisor.tools.evidence.view import View, last

_TOOLS: Final = ("airflow", "kfp", "flytekit", "dagster", "zenml", "metaflow")


class _Step(NamedTuple):
    name: str
    line: int
    files: Touched


@rule(
    "PL07",
    name="local-disk-handoff",
    dimension="model_training",
    severity=MEDIUM,
    confidence=0.75,
    fix="Write to object storage under the id of the run, and hand the path on as a value.",
    effort=(0.5, 2),
    sources=(
        (
            "airflow_docs: Best Practices, Communication (no files on the local filesystem, use "
            "XCom or remote storage)"
        ),
    ),
)
def local_disk_handoff(repo: AuditRepository) -> Iterator[Hit]:
    """Report fixed local files that one task writes and another reads."""
    for view in views_holding(repo, *_TOOLS):
        if view.module.notebook or view.module.roots.isdisjoint(_TOOLS):
            continue
        steps = _steps(repo, view)
        done: set[tuple[str, int]] = set()
        for key, writer, reader in _shared(steps):
            place = writer.files.writes[key]
            if place not in done:
                done.add(place)
                other = reader.files.reads[key]
                why = (
                    f"`{writer.name}` writes `{key[5:]}` to the local disk and `{reader.name}` "
                    "reads it there: another worker, or another run, has another file."
                )
                yield Hit(*place, why, also=(other, (view.path, writer.line)))


def _steps(repo: AuditRepository, view: View) -> list[_Step]:
    found = [
        _Step(t.function.name, t.function.lineno, touched(repo, view, t.function))
        for t in tasks_of(view)
        if t.tool != "Prefect"
    ]
    for call in view.calls:
        name = last(view.name(call))
        if name in ("PythonOperator", "PythonVirtualenvOperator", "ExternalPythonOperator"):
            node = view.arg(call, "python_callable")
            target = definition(repo, view, node) if node is not None else None
            if target is not None:
                files = touched(repo, target.view, target.function)
                found.append(_Step(_task_id(view, call), call.lineno, files))
        elif name == "BashOperator":
            files = _of_command(repo, view.string(view.arg(call, "bash_command")))
            found.append(_Step(_task_id(view, call), call.lineno, files))
    return found


def _task_id(view: View, call: ast.Call) -> str:
    return view.string(view.arg(call, "task_id", 0)) or "task"


def _of_command(repo: AuditRepository, text: str) -> Touched:
    found = Touched()
    for path in sorted(repo.runs.started(text)):
        script = repo.view(path)
        if script is not None:
            below = touched_by_module(repo, script)
            found.writes.update(below.writes)
            found.reads.update(below.reads)
    return found


def _shared(steps: list[_Step]) -> Iterator[tuple[str, _Step, _Step]]:
    readers: dict[str, list[_Step]] = {}
    for step in steps:
        for key in step.files.reads:
            readers.setdefault(key, []).append(step)
    for step in steps:
        for key in step.files.writes:
            other = next((r for r in readers.get(key, ()) if r.line != step.line), None)
            if other is not None and is_local(key):
                yield key, step, other
