"""Predictions are not kept

## What it does

Looks at services that answer with a model: at endpoints that neither store nor log what was asked
and what was answered, and at endpoint resources without data capture.  One finding a repository,
at the endpoint.

## Why is this bad?

Without inputs and outputs of live requests, drift cannot be measured, a complaint cannot be
looked into, and tomorrow's training data has to be made up.

## Known problems

A gateway or a service mesh may record requests outside the repository.

## Example

```python
@app.post("/predict")
def predict(features: Features):
    return {"price": model.predict([features.values()])[0]}
```

## Use instead

```python
@app.post("/predict")
def predict(features: Features, tasks: BackgroundTasks):
    price = model.predict([features.values()])[0]
    tasks.add_task(store_prediction, features, price, MODEL_VERSION)
    return {"price": price}
```
"""

from __future__ import annotations

from collections.abc import Iterator

from mlops_advisor.tools.audit_workflow.repo import AuditRepository
from mlops_advisor.tools.audit_workflow.rule import MEDIUM, Hit, rule
from mlops_advisor.tools.audit_workflow.rules import _docs, _monitoring


@rule(
    "MO05",
    name="predictions-not-logged",
    dimension="monitoring",
    severity=MEDIUM,
    confidence=0.8,
    fix=(
        "Store request id, inputs (or a sample), prediction and model version for each answer, off "
        "the request path; on SageMaker add a `DataCaptureConfig`."
    ),
    effort=(0.5, 3),
    sources=(
        "se4ml: Log Production Predictions with the Model's Version and Input Data",
        "rules_of_ml: Rule #29, save the set of features used at serving time",
        (
            "google_mlops: MLOps level 0, characteristics: lack of tracking and logging of "
            "predictions"
        ),
    ),
    absence=True,
    searched=(
        "writes and log calls of predictions in scoring code, data capture of SageMaker, KServe, "
        "Seldon and Azure ML, whylogs and Evidently collectors"
    ),
    practice="prediction_logging",
)
def predictions_not_logged(repo: AuditRepository) -> Iterator[Hit]:
    """Report the endpoint whose requests and answers leave no trace."""
    resource = _monitoring.endpoint_resource(repo, capturing=True)
    if resource is not None and not _docs.aside(repo, resource[0]):
        yield Hit(
            *resource,
            "The endpoint is created without data capture: its requests and predictions are not "
            "kept.",
            "Add `DataCaptureConfig` with `EnableCapture: true`, input and output, and a bucket.",
        )
        return
    none = repo.absent("prediction_logging") is not None
    if _docs.is_course(repo):
        return
    told: set[str] = set()
    seen = _monitoring.shown_in(repo, "prediction_logging")
    for path, alone in _monitoring.lacking(repo, seen, none=none):
        line = _monitoring.predicting_route(repo, path)
        home = _monitoring.home_of(repo, path)
        if line and home not in told:
            told.add(home)
            other = "" if alone else " (another service of the repository does)"
            yield Hit(
                path,
                line,
                "This endpoint answers with a prediction and keeps neither the request nor the "
                f"answer: nothing here writes or logs them{other}.",
                confidence=None if alone else 0.65,
            )
    if told or not none:
        return
    if repo.code.serving or repo.stages.serving is None:
        return
    place = repo.stages.serving
    if not _docs.aside(repo, place[0]):
        yield Hit(*place, "A model is served here, and nothing keeps its requests and predictions.")
