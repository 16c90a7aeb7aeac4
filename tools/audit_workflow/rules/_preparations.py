"""Which preparations training data went through, and whether what was fitted is kept."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from mlops_advisor.tools.audit_workflow.repo import AuditRepository
from mlops_advisor.tools.audit_workflow.rules._dataflow import (
    fits,
    in_product,
    is_model,
    makers,
    product,
    same_file,
    saved,
)
from mlops_advisor.tools.evidence.parse.notebook import SCRIPT
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

_TRAINING_PATH: Final = re.compile(r"train|processed|prepared|features|preprocess", re.IGNORECASE)
_LEARNT: Final = re.compile(r"_(?:\.|$|\[)")  # `mean_`, `vocabulary_`
_TARGET: Final = re.compile(
    r"^(?:y|target|label|class|species|churn\w*|outcome|category|sentiment|is_\w+|fraud|survived|"
    r"exited|diagnosis|quality)$",
    re.IGNORECASE,
)
_MAX_WALK: Final = 4_000


@dataclass(frozen=True, slots=True)
class Prepared:
    """A preparation (`step` of what `fit` fits) of the data that a stored model learns from.

    `out` is where the model is stored, or where the prepared data are written for training.
    `kept` tells that the fitted preparation is stored as well.
    """

    fit: Fit
    step: Value
    out: Save | Write
    kept: bool


def prepared(trace: Trace) -> Iterator[Prepared]:
    """Find the preparations of models that a program stores, the first store of each."""
    kept = _kept(trace)
    models = [(s, v) for s, v in saved(trace) if _is_kept_model(trace, v)]
    learnt = [f for f in trace.of(Fit) if is_model(trace, f.estimator)]
    for fit, step in (*fits(trace), *_encoders(trace)):
        if step.name.startswith("by hand"):
            continue
        own = fit.estimator.objects | step.objects
        for save, model in models:
            if not save.excludes(fit) and any(
                f.estimator.same(model) and own & makers((f.data,)) for f in learnt
            ):
                yield Prepared(fit, step, save, bool(own & kept))
                break


def written(repo: AuditRepository, trace: Trace) -> Iterator[Prepared]:
    """Find the preparations of data that a program writes for another to train on."""
    if not repo.code.training and repo.stages.training is None:
        return
    kept = _kept(trace)
    for fit, step in fits(trace):
        if step.name.startswith("by hand"):
            continue
        own = fit.estimator.objects | step.objects
        for write, value in _outputs(trace):
            script = not write.path.endswith(".ipynb") or write.function.startswith(SCRIPT)
            if write.excludes(fit) or not script:
                continue
            if own & makers((value,)) and _for_training(repo, trace, write, value):
                yield Prepared(fit, step, write, bool(own & kept))
                break


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
