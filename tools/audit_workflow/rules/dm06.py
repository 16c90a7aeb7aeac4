"""A preparation learns from rows that later become the test set

## What it does

Follows data through each program, also through local functions, pipeline tasks and imported
modules.  A scaler, encoder, imputer, vectoriser, feature selector or projection that is fitted
before the split is reported when what it gives, or what it was fitted on, is divided later: by
`train_test_split`, `random_split`, cross-validation, slices or boolean masks.  Means, medians and
quantiles that are filled in by hand count as well.  A script that writes such data, which another
script reads and splits, is reported too.  Where a flow puts the two together from imported
functions, the finding stands in the flow, at the call that hands over all rows.

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
from typing import Final

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
    Step,
    Trace,
    Transform,
    Value,
    Write,
    ancestors,
    origins,
    rows_of,
)

_MAX_FLOWS: Final = 3  # that hand their rows to one preparation


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
    seen: dict[tuple[str, int], dict[tuple[str, int], Hit]] = {}
    for trace in product(repo):
        done: set[tuple[str, int]] = set()
        for fit, step in fits(trace):
            own = (fit.path, fit.line)
            known = seen.get(own, {})
            if own in known or own in done or len(known) >= _MAX_FLOWS:
                continue
            split = _split_later(trace, fit, step)
            if split is not None:
                done.add(own)
                hit = _hit(repo, trace, fit, step, split)
                seen.setdefault(own, {}).setdefault((hit.path, hit.line), hit)
    for own, hits in seen.items():
        yield from [hits[own]] if own in hits else hits.values()
    yield from _across_files(repo, set(seen))


def _hit(repo: AuditRepository, trace: Trace, fit: Fit, step: Value, split: Split) -> Hit:
    entry = _entrance(fit, split)
    path, line = (fit.path, fit.line) if entry is None else (entry.path, entry.line)
    where = at(split, path)
    data = quoted(trace, fit.data)
    what = written(repo, split.path, split.line)
    folds = split.how == "folds"
    learns = f"`{named(fit.estimator, step)}` learns from all rows of {data}"
    if entry is not None:
        learns = f"This call hands all rows to `{fit.function}`, where {learns}{at(fit, path)}"
    return Hit(
        path,
        line,
        f"{learns}; `{what}`{where} makes "
        f"{'validation folds' if folds else 'the test set'} of some of them afterwards.",
        also=((fit.path, fit.line), (split.path, split.line))[entry is None :],
        confidence=0.7 if step.name.startswith("by hand") or folds else None,
    )


def _entrance(fit: Fit, split: Split) -> Step | None:
    """Find the call that hands all rows to a function of another module, which learns from them.

    None when the module that learns also knows that the rows are divided: the fault is its own.
    """
    common = 0
    for mine, other in zip(fit.calls, split.calls, strict=False):
        if mine != other:
            break
        common += 1
    inner = fit.calls[common:]
    if not inner or inner[0].path == fit.path or any(step.bound for step in inner):
        return None
    return inner[0]


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
