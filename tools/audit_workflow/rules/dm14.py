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
    fits,
    in_product,
    is_model,
    makers,
    named,
    product,
    same_file,
    saved,
)
from mlops_advisor.tools.evidence.trace import (
    Fit,
    Read,
    Save,
    Select,
    Trace,
    Value,
    Write,
    ancestors,
)
from mlops_advisor.tools.evidence.trace_library import sort_of

_STEP: Final = re.compile(r"named_steps|named_transformers_|\.steps|best_estimator_\.\[")
_TRAINING_PATH: Final = re.compile(r"train|processed|prepared|features|preprocess", re.IGNORECASE)
_LEARNT: Final = re.compile(r"_(?:\.|$|\[)")  # `mean_`, `vocabulary_`
_TARGET: Final = re.compile(
    r"^(?:y|target|label|class|species|churn\w*|outcome|category|sentiment|is_\w+|fraud|survived|"
    r"exited|diagnosis|quality)$",
    re.IGNORECASE,
)
_MAX_WALK: Final = 4_000


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
        kept = _kept(trace)
        lost = [*_lost(repo, trace, kept), *_written(repo, trace, kept)]
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


def _kept(trace: Trace) -> frozenset[int]:
    """Objects that are stored, alone, inside others, or as numbers taken from them."""
    found: set[int] = set()
    stack = [value for _, value in saved(trace)]
    seen: set[int] = set()
    while stack and len(seen) < _MAX_WALK:
        one = stack.pop()
        if one.id in seen:
            continue
        seen.add(one.id)
        found |= one.objects
        stack.extend(one.items)
        if one.kind not in ("data", "mask", "unknown") or _LEARNT.search(one.name):
            stack.extend(one.parents)
    for write in trace.of(Write):
        if write.value.kind in ("estimator", "object"):
            found |= write.value.objects
    return frozenset(found)


def _lost(repo: AuditRepository, trace: Trace, kept: frozenset[int]) -> Iterator[Hit]:
    models = [(s, v) for s, v in saved(trace) if _is_kept_model(trace, v)]
    learnt = [f for f in trace.of(Fit) if is_model(trace, f.estimator)]
    for fit, step in (*fits(trace), *_encoders(trace)):
        if step.name.startswith("by hand") or _is_kept(fit, step, kept):
            continue
        for save, model in models:
            used = [
                f
                for f in learnt
                if f.estimator.same(model)
                and (fit.estimator.objects | step.objects) & makers((f.data,))
            ]
            if used and not save.excludes(fit):
                yield _hit(repo, fit, step, save)
                break


def _encoders(trace: Trace) -> Iterator[tuple[Fit, Value]]:
    """Find encoders of labels that are used on features."""
    targets = {c for f in trace.of(Fit) if f.target is not None for c in f.target.columns}
    for select in trace.of(Select):
        if select.dropped:
            targets.update(select.columns)
    for fit in trace.of(Fit):
        step = fit.estimator if sort_of(fit.estimator.name) == "labels" else None
        if step is None or not in_product(fit):
            continue
        columns = fit.data.columns
        if (not columns and fit.loops) or (
            len(columns) == 1 and columns[0] not in targets and not _TARGET.match(columns[0])
        ):
            yield fit, step


def _is_kept_model(trace: Trace, value: Value) -> bool:
    return value.kind in ("estimator", "unknown", "object") and is_model(trace, value)


def _is_kept(fit: Fit, step: Value, kept: frozenset[int]) -> bool:
    return bool((fit.estimator.objects | step.objects) & kept)


def _hit(repo: AuditRepository, fit: Fit, step: Value, save: Save) -> Hit:
    served = _served_bare(repo)
    serving = f" {served[0]} loads the model and prepares nothing." if served else ""
    return Hit(
        fit.path,
        fit.line,
        f"`{named(fit.estimator, step)}` prepares the training data of the model that"
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


def _written(repo: AuditRepository, trace: Trace, kept: frozenset[int]) -> Iterator[Hit]:
    """Report a script that writes prepared data and ends: the fitted preparation is gone."""
    if not repo.code.training and repo.stages.training is None:
        return
    for fit, step in fits(trace):
        if step.name.startswith("by hand") or _is_kept(fit, step, kept):
            continue
        for write, value in _outputs(trace):
            if write.excludes(fit) or write.path.endswith(".ipynb"):
                continue
            prepared = (fit.estimator.objects | step.objects) & makers((value,))
            if prepared and _for_training(repo, trace, write, value):
                name = write.target.rpartition("/")[2] or "a file"
                yield Hit(
                    fit.path,
                    fit.line,
                    f"`{named(fit.estimator, step)}` prepares the data written to {name}"
                    f"{at(write, fit.path)} and is saved nowhere: nothing can prepare the inputs of"
                    " the model in the same way.",
                    also=((write.path, write.line),),
                )
                break


def _outputs(trace: Trace) -> Iterator[tuple[Write | Save, Value]]:
    for write in trace.of(Write):
        yield write, write.value
    for save, value in saved(trace):
        if value.kind == "data":
            yield save, value


def _for_training(repo: AuditRepository, trace: Trace, write: Write | Save, value: Value) -> bool:
    if value.role == "train" or "train" in write.target.lower():
        return True
    for other in product(repo):
        if other.path == trace.path:
            continue
        for read in other.of(Read):
            if same_file(read.source, write.target) and any(
                read.value.rows in {a.rows for a in ancestors((f.data,))} for f in other.of(Fit)
            ):
                return True
    return bool(_TRAINING_PATH.search(write.target)) and write.path in repo.code.feature_code
