"""What rules on the flow of data share: what learns from rows, which model, which names."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator
from typing import Final

from mlops_advisor.tools.audit_workflow.repo import AuditRepository
from mlops_advisor.tools.audit_workflow.rules._training import source_line
from mlops_advisor.tools.evidence.code import is_test_path
from mlops_advisor.tools.evidence.trace import (
    Event,
    Fit,
    Load,
    Predict,
    Save,
    Score,
    Trace,
    Transform,
    Value,
    ancestors,
    traces,
)
from mlops_advisor.tools.evidence.trace_library import sort_by_label, sort_of
from mlops_advisor.tools.evidence.view import View

_CLASSIFIES: Final = re.compile(
    r"Classifier|LogisticRegression|SVC\b|NB\b|Discriminant|ForSequenceClassification|"
    r"ForTokenClassification|ForImageClassification|Perceptron"
)
_REGRESSES: Final = re.compile(
    r"Regressor|LinearRegression|Ridge\b|Lasso|ElasticNet|SVR\b|GeneralizedLinear|Prophet|ARIMA"
)
_CLASS_METRICS: Final = re.compile(
    r"(?:^|\.)(?:accuracy_score|balanced_accuracy_score|f1_score|precision_score|recall_score|"
    r"roc_auc_score|classification_report|confusion_matrix|average_precision_score|log_loss|"
    r"precision_recall_fscore_support|precision_recall_curve|roc_curve|matthews_corrcoef|"
    r"CategoricalAccuracy|cohen_kappa_score|multiclass_\w{1,30})$"
)
_CLASS_LOSSES: Final = re.compile(
    r"(?:binary|categorical)_crossentropy|CrossEntropyLoss|BCEWithLogitsLoss|BCELoss|NLLLoss"
    r"|binary:logistic|multi:soft(?:max|prob)"
)
_OWN_FOLDS: Final = ("AutoML", "autogluon", "TabularPredictor", "RegressionCV")
_MAX_SEARCHED: Final = 200_000
_MAX_TEXT: Final = 60


def product(repo: AuditRepository) -> Iterator[Trace]:
    """Traces of code that is not a test."""
    return traces(repo)


def in_product(event: Event) -> bool:
    """Tell whether an event stands outside tests."""
    return not is_test_path(event.path)


def preparer(trace: Trace, estimator: Value, *, labels: bool = False) -> Value | None:
    """Step of an estimator that learns a preparation from rows; None for models and stateless ones.

    Encoders of labels count only when asked for.
    """
    for step in estimator.steps():
        sort = _sort(trace, step)
        if sort in ("preprocessor", "selector") or (labels and sort == "labels"):
            return step
        if sort == "model":
            return None
    return None


def _sort(trace: Trace, step: Value) -> str:
    if step.name.startswith("by hand"):
        return "preprocessor"
    base, _, own = step.name.partition(":")
    if own:
        mixins = ("TransformerMixin",)
        if base.endswith(mixins) or (base.endswith("BaseEstimator") and sort_of(own)):
            return sort_of(own) or "preprocessor"
        return "model"
    sort = sort_of(step.name)
    if sort in ("pipeline", "search"):
        return ""
    if not sort and step.kind in ("unknown", "estimator"):
        return sort_by_label(trace.labels.get(step.id, ""))
    return sort


def is_model(trace: Trace, estimator: Value) -> bool:
    """Tell whether an estimator is, or ends in, a model."""
    steps = list(estimator.steps())
    if any(_sort(trace, s) == "model" for s in steps):
        return True
    if preparer(trace, estimator, labels=True) is not None:
        return False
    sort = sort_of(estimator.name)
    return sort in ("search", "model", "") and estimator.kind in ("estimator", "unknown")


def fits(trace: Trace) -> Iterator[tuple[Fit, Value]]:
    """Fits of preparations, with the step that learns."""
    for fit in trace.of(Fit):
        if in_product(fit) and not any(_sort(trace, s) == "model" for s in fit.estimator.steps()):
            step = preparer(trace, fit.estimator)
            if step is not None:
                yield fit, step


def makers(values: Iterable[Value]) -> frozenset[int]:
    """Objects of the estimators whose output the values were made from."""
    found: set[int] = set()
    for one in ancestors(values):
        if one.maker is not None:
            for step in one.maker.steps():
                found |= step.objects
    return frozenset(found)


def class_of(step: Value) -> str:
    """Short name of an estimator: `StandardScaler`."""
    if step.name.startswith("by hand: "):
        return step.name.removeprefix("by hand: ")
    return (step.name.rpartition(":")[2] or step.name).rpartition(".")[2].removesuffix("()")


def named(estimator: Value, step: Value) -> str:
    """Name of an estimator with that of the step inside that matters."""
    outer, inner = class_of(estimator), class_of(step)
    return outer if outer == inner or not outer else f"{outer} with {inner}"


def at(event: Event, path: str) -> str:
    """Where an event stands, in brackets; no line for a notebook, where it is one of a cell."""
    if event.path.endswith(".ipynb"):
        return "" if event.path == path else f" ({event.path})"
    return f" (line {event.line})" if event.path == path else f" ({event.path}:{event.line})"


def classifies(repo: AuditRepository, trace: Trace) -> bool | None:
    """Tell whether the models of a trace classify; None when nothing says so either way."""
    if trace.of(Fit) and _CLASS_LOSSES.search(repo.text(trace.path)[:_MAX_SEARCHED]):
        return True
    names = [s.name for f in trace.of(Fit) for s in f.estimator.steps()]
    metrics = [e.name for e in trace.of(Score)]
    if any(_CLASSIFIES.search(n) for n in names) or any(_CLASS_METRICS.search(m) for m in metrics):
        return True
    if any(_REGRESSES.search(n) for n in names):
        return False
    regressing = (
        "mean_squared_error",
        "mean_absolute_error",
        "r2_score",
        "root_mean_squared_error",
    )
    return False if any(m.endswith(regressing) for m in metrics) else None


def quoted(trace: Trace, value: Value | None, default: str = "the data") -> str:
    """Name of a value in backticks, or plain words when it has none."""
    label = trace.label(value, "") if value is not None else ""
    return f"`{label}`" if label.isidentifier() else default


def saved(trace: Trace) -> Iterator[tuple[Save, Value]]:
    """Go through what is stored, one value at a time."""
    for save in trace.of(Save):
        for value in save.values:
            yield save, value


def written(repo: AuditRepository, path: str, line: int) -> str:
    """Source of a line, for a sentence."""
    view = repo.view(path)
    text = source_line(repo, view, line).strip() if view is not None else ""
    return text if len(text) <= _MAX_TEXT else text[: _MAX_TEXT - 1].rstrip() + "…"


def transforms(trace: Trace, estimator: Value) -> list[Transform]:
    """Find the uses of a preparation."""
    return [t for t in trace.of(Transform) if t.estimator.same(estimator)]


def loaded_names(view: View) -> dict[str, int]:
    """Names that a module reads, with how often."""
    found: dict[str, int] = {}
    for node in view.of(ast.Name):
        if isinstance(node.ctx, ast.Load):
            found[node.id] = found.get(node.id, 0) + 1
    return found


def same_file(one: str, other: str) -> bool:
    """Tell whether two texts of paths, with `{}` for unknown parts, may name one file."""
    a, b = _tail(one), _tail(other)
    if not a or not b or a[-1] != b[-1] or not a[-1].replace("{}", "").strip("._-"):
        return False
    if "{}" in a[-1] or "." not in a[-1]:
        return False
    return len(a) < 2 or len(b) < 2 or "{}" in (a[-2] + b[-2]) or a[-2] == b[-2]  # noqa: PLR2004


def _tail(path: str) -> list[str]:
    return [p for p in path.replace("\\", "/").split("/") if p not in ("", ".")][-2:]


# --- evaluation -------------------------------------------------------------------------------


def judged(trace: Trace, fit: Fit) -> bool:
    """Tell whether something measures a fitted model on rows that it was not fitted on."""
    model = fit.estimator
    if fit.held or any(sort_of(s.name) == "search" for s in model.steps()):
        return True
    if any(
        w in model.name for w in ("AutoML", "autogluon", "TabularPredictor", "LogisticRegressionCV")
    ):
        return True
    if trace.of(Load) and any(s.order > fit.order for s in trace.of(Score)):
        return True  # it is loaded again and measured
    classes = {s.name for s in model.steps() if s.name}
    for predict in trace.of(Predict):
        mine = predict.estimator.same(model) or _alike(predict.estimator, classes)
        if mine and _other(predict.data, fit):
            return True
    for score in trace.of(Score):
        other = score.estimator
        mine = other is not None and (other.same(model) or _alike(other, classes))
        if (mine or model.objects & makers(score.values)) and (
            not score.values or any(_other(v, fit) for v in score.values)
        ):
            return True
    return False


def _alike(estimator: Value, classes: set[str]) -> bool:
    """Tell whether an estimator is of the same kind: the one of another cell, or of each fold."""
    return bool(classes & {s.name for s in estimator.steps() if "." in s.name})


def _other(value: Value, fit: Fit) -> bool:
    """Tell whether a value holds rows that a model was not fitted on."""
    if value.kind in ("constant", "text", "ref", "function"):
        return False
    if value.kind in ("sequence", "mapping"):
        return any(_other(v, fit) for v in value.items)
    if value.role and fit.data.role and value.role != fit.data.role:
        return True
    return value.rows != fit.data.rows and not (
        fit.target is not None and value.rows == fit.target.rows
    )
