"""A preparation learns from rows that later become the test set

## What it does

Follows data through each program, also through local functions, pipeline tasks and imported
modules.  A scaler, encoder, imputer, vectoriser, feature selector or projection that is fitted
before the split is reported when what it gives, or what it was fitted on, is divided later: by
`train_test_split`, `random_split`, cross-validation, slices or boolean masks.  Means, medians and
quantiles that are filled in by hand count as well.  A script that writes such data, which another
script reads and splits, is reported too.

## Why is this bad?

The preparation has seen the test rows: their means, their categories, with feature selection even
their labels.  The score on the test set is then better than what the model does on new data.

## Known problems

`LabelEncoder` and stateless steps (`Normalizer`, hashing) are not reported: they learn nothing that
helps a model.  A mean over all rows that is harmless because it hardly moves is reported
nevertheless.

## Example

```python
X = StandardScaler().fit_transform(X)
X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0)
```

## Use instead

```python
X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0)
model = make_pipeline(StandardScaler(), LogisticRegression()).fit(X_train, y_train)
```
"""

from __future__ import annotations

from collections.abc import Iterator

from mlops_advisor.tools.audit_workflow.repo import AuditRepository
from mlops_advisor.tools.audit_workflow.rule import HIGH, MEDIUM, Hit, rule
from mlops_advisor.tools.audit_workflow.rules._dataflow import (
    at,
    fits,
    in_product,
    makers,
    named,
    product,
    quoted,
    same_file,
    written,
)
from mlops_advisor.tools.evidence.trace import (
    Fit,
    Read,
    Split,
    Trace,
    Transform,
    Value,
    Write,
    ancestors,
    origins,
    rows_of,
)


@rule(
    "DM06",
    name="leakage-fit-before-split",
    dimension="data_management",
    severity=HIGH,
    confidence=0.85,
    fix="Split first, and put the preparation into a Pipeline that is fitted on the training rows:"
    " `make_pipeline(prepare, model).fit(X_train, y_train)`.",
    effort=(0.2, 1),
    sources=(
        "kapoor_narayanan: L1.2 pre-processing on training and test set",
        "kapoor_narayanan: L1.3 feature selection on training and test set",
        "sklearn_docs: Common pitfalls, section Data leakage",
        "code_smells_ml: smell 21, Data Leakage (leaky validation strategy)",
    ),
)
def leakage_fit_before_split(repo: AuditRepository) -> Iterator[Hit]:
    """Report preparations fitted on rows that are split later."""
    seen: set[tuple[str, int]] = set()
    for trace in product(repo):
        for fit, step in fits(trace):
            if (fit.path, fit.line) in seen:
                continue
            split = _split_later(trace, fit, step)
            if split is not None:
                seen.add((fit.path, fit.line))
                yield _hit(repo, trace, fit, step, split)
    yield from _across_files(repo, seen)


def _hit(repo: AuditRepository, trace: Trace, fit: Fit, step: Value, split: Split) -> Hit:
    where = at(split, fit.path)
    data = quoted(trace, fit.data)
    what = written(repo, split.path, split.line)
    folds = split.how == "folds"
    return Hit(
        fit.path,
        fit.line,
        f"`{named(fit.estimator, step)}` learns from all rows of {data}; `{what}`{where} makes "
        f"{'validation folds' if folds else 'the test set'} of some of them afterwards.",
        also=((split.path, split.line),),
        confidence=0.7 if step.name.startswith("by hand") or folds else None,
    )


def _split_later(trace: Trace, fit: Fit, step: Value) -> Split | None:
    if fit.data.sure or fit.data.role in ("test", "validation"):
        return None
    if any(v.sure and v.role for v in ancestors((fit.data,))):
        return None
    for split in trace.of(Split):
        if split.order < fit.order or split.excludes(fit) or not in_product(split):
            continue
        if fit.data.rows not in rows_of(*split.sources):
            continue
        inside = fit.name.endswith((".adapt", ".fit_on_texts"))  # part of the model itself
        if inside or step.objects & makers(split.sources) or _applied_to_parts(trace, step, split):
            return split
    return None


def _applied_to_parts(trace: Trace, step: Value, split: Split) -> bool:
    parts = {p.id for p in split.parts}
    return any(
        any(step.objects & s.objects for s in t.estimator.steps()) and parts & origins(t.data)
        for t in trace.of(Transform)
        if t.order > split.order
    )


def _across_files(repo: AuditRepository, seen: set[tuple[str, int]]) -> Iterator[Hit]:
    """Report scripts that prepare data as a whole for another that splits them."""
    splits = [
        (read.source, split)
        for trace in product(repo)
        for read in trace.of(Read)
        for split in trace.of(Split)
        if read.source and read.value.rows in rows_of(*split.sources)
    ]
    if not splits:
        return
    for trace in product(repo):
        for fit, step in fits(trace):
            if (fit.path, fit.line) in seen or fit.data.sure or fit.data.role == "test":
                continue
            for write in trace.of(Write):
                split = next((s for p, s in splits if same_file(p, write.target)), None)
                if (
                    split is not None
                    and split.path != fit.path
                    and not any(v.sure for v in ancestors((write.value,)))
                    and step.objects & makers((write.value,))
                ):
                    seen.add((fit.path, fit.line))
                    name = write.target.rpartition("/")[2]
                    yield Hit(
                        fit.path,
                        fit.line,
                        f"`{named(fit.estimator, step)}` learns from all rows, which line"
                        f" {write.line} writes to {name}; {split.path}:{split.line} splits that"
                        " file afterwards.",
                        also=((split.path, split.line),),
                        severity=MEDIUM if step.name.startswith("by hand") else None,
                    )
                    break
