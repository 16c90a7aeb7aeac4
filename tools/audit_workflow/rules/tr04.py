"""Training without experiment tracking

## What it does

Reports the place where a training script saves its model or prints its metrics when no run is
recorded in MLflow, W&B, Neptune, Comet, ClearML, DVCLive or a tracker of a cloud, in the whole
workspace or in this script's part of it (a notebook that tracks does not help the script).

## Why is this bad?

The metrics are gone with the terminal. Nobody can later tell which parameters and data gave the
model in use, or whether a new one is better.

## Known problems

Trackers that are not known by name are not seen. DVC stages with `metrics` count as tracking.

## Example

```python
model.fit(X_train, y_train)
print("accuracy", accuracy_score(y_test, model.predict(X_test)))
joblib.dump(model, "model.pkl")
```

## Use instead

```python
with mlflow.start_run():
    mlflow.log_params(params)
    model.fit(X_train, y_train)
    mlflow.log_metric("accuracy", accuracy_score(y_test, model.predict(X_test)))
    mlflow.sklearn.log_model(model, name="model")
```
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from mlops_advisor.tools.audit_workflow.repo import AuditRepository
from mlops_advisor.tools.audit_workflow.rule import MEDIUM, Hit, rule
from mlops_advisor.tools.audit_workflow.rules._tracking import (
    kinds_around,
    saves_of,
    tracked_modules,
)
from mlops_advisor.tools.evidence.parse.python_model import Call

_MOST: Final = 4
# SageMaker and Vertex record each run of a pipeline as an experiment by themselves.
_RECORDING: Final = (
    "sagemaker.workflow.pipeline.Pipeline",
    "sagemaker.mlops.workflow.pipeline.Pipeline",
    "google.cloud.aiplatform.init",
)
_METRICS: Final = "sklearn.metrics."
_SEARCHED: Final = (
    "calls of MLflow, W&B, Neptune, Comet, ClearML, DVCLive, Aim and cloud trackers in Python and"
    " notebooks; metrics of DVC stages"
)


@rule(
    "TR04",
    name="no-experiment-tracking",
    dimension="model_training",
    severity=MEDIUM,
    confidence=0.85,
    fix="Start a run (`mlflow.start_run()`), log parameters, metrics, the model and the data"
    " version in it.",
    effort=(0.5, 2),
    sources=(
        "se4ml: Share Status and Outcomes of Experiments Within the Team",
        "kreuzberger: principle P7, ML metadata tracking and logging",
    ),
    absence=True,
    searched=_SEARCHED,
    practice="experiment_tracking",
)
def no_experiment_tracking(repo: AuditRepository) -> Iterator[Hit]:
    """Report training that records its runs nowhere."""
    if _dvc_metrics(repo) or repo.code.calls(*_RECORDING):
        return
    fact = repo.absent("experiment_tracking")
    tracked = tracked_modules(repo)
    only_notebooks = bool(tracked) and all(repo.code.modules[p].notebook for p in tracked)
    if fact is None and not only_notebooks:
        return
    where = f"only {tracked[0]} does" if tracked else "nothing in the workspace does"
    places = _places(repo)
    for path, call, what in places[:_MOST]:
        kind = "notebook" if path.endswith(".ipynb") else "script"
        yield Hit(
            path,
            call.line,
            f"This {kind} {what}, and records parameters and metrics in no tracker ({where}).",
            also=tuple((p, c.line) for p, c, _ in places[_MOST:]),
            confidence=0.6 if tracked else None,
        )


def _places(repo: AuditRepository) -> list[tuple[str, Call, str]]:
    """Where models are saved or measured: one place for each folder of training code."""
    code = repo.code
    scripts = [p for p in code.training_scripts if not repo.is_aside(p)]
    wanted = scripts or [p for p in code.training_notebooks if not repo.is_aside(p)]
    found: dict[str, tuple[str, Call, str]] = {}
    for path in wanted:
        if kinds_around(repo, path):
            continue
        place = _place(repo, path)
        folder = path.rpartition("/")[0]
        if folder not in found or (found[folder][2].startswith("fits") and place[2][:4] != "fits"):
            found[folder] = place
    return list(found.values())


def _place(repo: AuditRepository, path: str) -> tuple[str, Call, str]:
    module = repo.code.modules[path]
    saved = next(iter(saves_of(module)), None)
    if saved is not None:
        return path, saved, "fits and saves a model"
    measured = next((c for c in module.calls if c.name.startswith(_METRICS)), None)
    if measured is not None:
        return path, measured, "fits a model and measures it"
    return path, repo.code.training[path], "fits a model"


def _dvc_metrics(repo: AuditRepository) -> bool:
    return any(
        node.truthy
        for file in repo.yaml_files(named=("dvc.yaml",))
        for doc in file.docs
        for _, node in doc.find("metrics")
    )
