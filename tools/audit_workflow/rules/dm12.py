"""Classes are balanced before the split

## What it does

Reports over-sampling (`SMOTE`, `ADASYN`, `RandomOverSampler`, `sklearn.utils.resample`,
`df.sample(replace=True)`) and under-sampling whose result is split into training and test rows
afterwards, or cross-validated, outside an imblearn Pipeline.

## Why is this bad?

Copies of one row, or points made between two rows, land on both sides of the split: the test set
holds what the model has learnt by heart.  Its share of classes is no longer that of the world, so
precision says nothing.

## Known problems

A cross-validation on balanced training rows is reported even when a test set that was set aside
before gives the final score.

## Example

```python
X, y = SMOTE(random_state=0).fit_resample(X, y)
X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0)
```

## Use instead

```python
X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0)
model = imblearn.pipeline.make_pipeline(SMOTE(random_state=0), LogisticRegression())
model.fit(X_train, y_train)
```
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from mlops_advisor.tools.audit_workflow.repo import AuditRepository
from mlops_advisor.tools.audit_workflow.rule import HIGH, MEDIUM, Hit, rule
from mlops_advisor.tools.audit_workflow.rules._dataflow import (
    at,
    class_of,
    in_product,
    product,
    quoted,
    written,
)
from mlops_advisor.tools.evidence.trace import Event, Fit, Resample, Split, Trace, origins
from mlops_advisor.tools.evidence.trace_library import sort_of

_UNDER: Final = frozenset(
    "RandomUnderSampler NearMiss TomekLinks EditedNearestNeighbours ClusterCentroids"
    " CondensedNearestNeighbour OneSidedSelection InstanceHardnessThreshold".split()
)


@rule(
    "DM12",
    name="oversample-before-split",
    dimension="data_management",
    severity=HIGH,
    confidence=0.9,
    fix="Split first; balance the training rows only: a step of an `imblearn.pipeline.Pipeline`.",
    effort=(0.2, 0.5),
    sources=(
        "kapoor_narayanan: L1.2 pre-processing on training and test set (names oversampling)",
        "imblearn_docs: Common pitfalls, section Data leakage",
    ),
)
def oversample_before_split(repo: AuditRepository) -> Iterator[Hit]:
    """Report resampling whose result is split or cross-validated later."""
    seen: set[tuple[str, int]] = set()
    for trace in product(repo):
        for resample in trace.of(Resample):
            if (resample.path, resample.line) in seen or not in_product(resample):
                continue
            after = _after(trace, resample)
            if after is None:
                continue
            seen.add((resample.path, resample.line))
            yield _hit(repo, trace, resample, after)


def _hit(repo: AuditRepository, trace: Trace, resample: Resample, after: Event) -> Hit:
    name = class_of(resample.estimator) if resample.estimator is not None else "resampling"
    folds = isinstance(after, Fit) or (isinstance(after, Split) and after.how == "folds")
    under = name in _UNDER
    what = (
        "drops rows of the larger class, so the test set has not the share of classes of the world"
        if under
        else "puts copies or neighbours of one row on both sides"
    )
    return Hit(
        resample.path,
        resample.line,
        f"`{name or 'resample'}` balances {quoted(trace, resample.data)} before"
        f" `{written(repo, after.path, after.line)}`{at(after, resample.path)} divides it: this"
        f" {what}.",
        also=((after.path, after.line),),
        severity=MEDIUM if under or (folds and resample.data.role == "train") else None,
        confidence=0.7 if folds else None,
    )


def _after(trace: Trace, resample: Resample) -> Event | None:
    made = resample.result.id
    for split in trace.of(Split):
        if split.order > resample.order and not split.excludes(resample):
            parted = resample.data.role == "train" and resample.data.sure
            if made in origins(*split.sources) and (split.how == "folds" or not parted):
                return split
    for fit in trace.of(Fit):
        searching = sort_of(fit.estimator.name) == "search"
        if searching and fit.order > resample.order and made in origins(fit.data):
            return fit
    return None
