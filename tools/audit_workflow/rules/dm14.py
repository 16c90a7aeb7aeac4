"""A model is saved without the preparation that its data went through

## What it does

Reports a fitted scaler, encoder, imputer, vectoriser, selector or ColumnTransformer whose output
trains a model that is saved, logged or registered, when the preparation itself is saved nowhere.
Reports also that only a step of a Pipeline is saved (`pipe.named_steps["model"]`), and a script
that writes prepared data for training and forgets the preparation when it ends.

## Why is this bad?

In production the model needs the same preparation, with the means and categories learnt in
training.  Without the fitted object somebody will fit another one, or none: the model gets inputs
it has never seen, and answers without an error.

## Known problems

A preparation that is fitted again from stored training data at serving time is reported.

## Example

```python
scaler = StandardScaler()
model = LogisticRegression().fit(scaler.fit_transform(X_train), y_train)
joblib.dump(model, "model.joblib")
```

## Use instead

```python
model = make_pipeline(StandardScaler(), LogisticRegression()).fit(X_train, y_train)
joblib.dump(model, "model.joblib")
```
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from mlops_advisor.tools.audit_workflow.repo import AuditRepository
from mlops_advisor.tools.audit_workflow.rule import HIGH, Hit, rule
from mlops_advisor.tools.audit_workflow.rules._dataflow import (
    at,
    in_product,
    named,
    product,
    saved,
)
from mlops_advisor.tools.audit_workflow.rules._preparations import Prepared, prepared, written
from mlops_advisor.tools.evidence.trace import (
    Save,
    Trace,
    Value,
)
from mlops_advisor.tools.evidence.trace_library import sort_of

_STEP: Final = re.compile(r"named_steps|named_transformers_|\.steps|best_estimator_\.\[")


@rule(
    "DM14",
    name="preprocessing-not-persisted",
    dimension="data_management",
    severity=HIGH,
    confidence=0.8,
    fix="Save preparation and model as one Pipeline, or store the fitted preparation next to the"
    " model and load both when serving.",
    effort=(0.3, 1),
    sources=(
        "sklearn_docs: Common pitfalls, section Inconsistent preprocessing",
        "rules_of_ml: Rule #32, re-use code between training and serving pipeline",
    ),
)
def preprocessing_not_persisted(repo: AuditRepository) -> Iterator[Hit]:
    """Report preparations that are lost while the model they belong to is kept."""
    seen: set[tuple[str, int]] = set()
    for trace in product(repo):
        lost = [_hit(repo, p) for p in prepared(trace) if not p.kept]
        lost += [_written(p) for p in written(repo, trace) if not p.kept]
        for hit in (*_joined(lost), *_steps_only(trace)):
            if (hit.path, hit.line) not in seen:
                seen.add((hit.path, hit.line))
                yield hit


def _joined(hits: list[Hit]) -> Iterator[Hit]:
    """One hit for all preparations that one file lacks."""
    groups: dict[tuple[str, tuple[str, int]], list[Hit]] = {}
    for hit in hits:
        groups.setdefault((hit.path, hit.also[0]), []).append(hit)
    told: set[tuple[str, int]] = set()
    for (path, _), group in groups.items():
        group.sort(key=lambda h: h.line)
        if (path, group[0].line) not in told:
            more = [(path, h.line) for h in group[1:]]
            told.update((path, h.line) for h in group)
            yield replace(group[0], also=(*group[0].also, *more))


def _hit(repo: AuditRepository, one: Prepared) -> Hit:
    fit, save = one.fit, one.out
    served = _served_bare(repo)
    serving = f" {served[0]} loads the model and prepares nothing." if served else ""
    return Hit(
        fit.path,
        fit.line,
        f"`{named(fit.estimator, one.step)}` prepares the training data of the model that"
        f" `{save.name.rpartition('.')[2]}` stores{at(save, fit.path)}, and is itself saved"
        f" nowhere.{serving}",
        also=((save.path, save.line), *((served,) if served else ())),
    )


def _served_bare(repo: AuditRepository) -> tuple[str, int] | None:
    """Find serving code that loads a model and transforms nothing."""
    for path, line in sorted(repo.code.serving.items()):
        reached = repo.code.closure([path])
        if not any(p in repo.code.loads for p in reached):
            continue
        if not any(c.last == "transform" for p in reached for c in repo.code.modules[p].calls):
            return path, line
    return None


def _steps_only(trace: Trace) -> Iterator[Hit]:
    """Report a step of a fitted Pipeline that is saved without the Pipeline."""
    for save, value in saved(trace):
        whole = next((p for p in value.parents if sort_of(p.name) == "pipeline"), None)
        by_name = bool(_STEP.search(value.name)) and value.kind in ("unknown", "estimator")
        if not in_product(save) or (whole is None and not by_name):
            continue
        if whole is not None and value.name == whole.name:
            continue
        if whole is not None and not _forgets(trace, save, value, whole):
            continue
        if whole is None and len({id(v) for s, v in saved(trace) if s.path == save.path}) > 2:  # noqa: PLR2004
            continue
        yield Hit(
            save.path,
            save.line,
            "Only one step of the Pipeline is saved: the preparation that it was fitted with is"
            " lost, and inputs of the service reach the model unprepared.",
            fix="Save the Pipeline itself: `joblib.dump(pipeline, path)`.",
        )


def _forgets(trace: Trace, save: Save, value: Value, whole: Value) -> bool:
    others = [v for s, v in saved(trace) if s.order != save.order or v.id != value.id]
    if any(whole.same(v) and not v.same(value) for v in others):
        return False
    steps = [s for s in whole.items if not s.same(value)]
    return bool(steps) and not any(s.same(v) for s in steps for v in others)


def _written(one: Prepared) -> Hit:
    """Report a script that writes prepared data and ends: the fitted preparation is gone."""
    fit, write = one.fit, one.out
    name = write.target.rpartition("/")[2] or "a file"
    return Hit(
        fit.path,
        fit.line,
        f"`{named(fit.estimator, one.step)}` prepares the data written to {name}"
        f"{at(write, fit.path)} and is saved nowhere: nothing can prepare the inputs of the model"
        " in the same way.",
        also=((write.path, write.line),),
    )
