"""Estimators in `trace`: made, fitted, applied and measured."""

from __future__ import annotations

import ast
from typing import Final

from mlops_advisor.tools.evidence.trace_base import Site
from mlops_advisor.tools.evidence.trace_library import (
    CHOICES,
    is_metric,
    sort_by_label,
    sort_of,
)
from mlops_advisor.tools.evidence.trace_model import (
    Choice,
    Fit,
    Predict,
    Score,
    Transform,
    Value,
    ancestors,
)
from mlops_advisor.tools.evidence.trace_run import Machine
from mlops_advisor.tools.evidence.trace_splits import (
    folded,
)

_HELD: Final = (
    "eval_set", "validation_data", "valid_sets", "evals", "val_data", "eval_dataset",
    "val_dataloaders", "X_val", "val_dataloader", "valid_loader", "test_data", "tuning_data",
    "val_loader", "validation_frame", "dev_dataset",
)  # fmt: skip
_MAX_PIPE: Final = 30
_DATA_WORDS: Final = (
    "X", "x", "data", "df", "dataset", "y", "dtrain", "train_data", "train_set", "training_frame",
    "train_dataloaders", "train_dataset", "datamodule", "X_train", "raw_documents", "train_loader",
)  # fmt: skip


def constructor_call(m: Machine, c: Site) -> Value | None:
    """`StandardScaler()`, `Pipeline([...])`, `GridSearchCV(model, ...)`."""
    if c.receiver is not None and c.receiver.kind != "ref":
        return None
    if c.callee is None or c.callee.kind != "ref":
        return None
    sort = sort_of(c.name)
    if not sort or sort == "folds":
        return m.make("object", c.name, options=c.named, items=c.args) if sort else None
    keys: tuple[str, ...] = ()
    items: tuple[Value, ...] = ()
    if sort == "pipeline":
        keys, items = _steps(m, c)
    elif sort in ("search", "model", "selector", "resampler"):
        items = tuple(v for v in c.given if v.kind == "estimator")
    options = {**{f"#{i}": v for i, v in enumerate(c.args)}, **c.named}
    held = c.arg("train_dataset") or c.arg("model") if c.last == "Trainer" else None
    return m.make(
        "estimator", c.name, (held,) if held is not None else (), items=items, keys=keys,
        options=options, line=c.line, path=c.frame.view.path,
    )  # fmt: skip


def _steps(m: Machine, c: Site) -> tuple[tuple[str, ...], tuple[Value, ...]]:
    """Names and estimators of a pipeline, however they are written."""
    found: list[tuple[str, Value]] = []
    for value in c.given:
        if value.kind == "sequence":
            found += [one for step in value.items[:_MAX_PIPE] if (one := _step(step)) is not None]
        elif value.kind == "estimator":
            found.append(("", value))
        elif value.kind == "unknown" and value in c.args:
            if sort_by_label(m.labels.get(value.id, "")):
                found.append(("", value.changed(kind="estimator")))
        elif (one := _step(value)) is not None:
            found.append(one)
    return tuple(k for k, _ in found), tuple(v for _, v in found)


def _step(step: Value) -> tuple[str, Value] | None:
    """One step: an estimator, or `("name", estimator, ...)`."""
    if step.kind == "estimator":
        return "", step
    if step.kind != "sequence" or not step.items:
        return None
    name = next((i.text for i in step.items if i.text), "")
    inner = next((i for i in step.items if i.kind in ("estimator", "sequence")), None)
    if inner is not None and inner.kind == "estimator":
        return name, inner
    unknown = next(iter(step.items[1:]), None)
    if step.items[0].text and unknown is not None and unknown.kind == "unknown":
        return name, unknown.changed(kind="estimator")
    return None


def _is_estimator(value: Value | None) -> bool:
    if value is None or value.kind in ("data", "ref", "sequence", "mapping", "function", "class"):
        return value is not None and value.kind == "ref" and bool(sort_of(value.name))
    if value.kind == "object" and sort_of(value.name) == "folds":
        return False
    return value.kind != "constant"


def data_of(c: Site) -> Value | None:
    """Give the data that a call is about."""
    if c.args:
        return c.args[0]
    return next((c.named[w] for w in _DATA_WORDS if w in c.named), None)


def fit_call(m: Machine, c: Site) -> Value | None:
    """`fit`, `fit_transform`, `fit_predict`, `partial_fit`, `train`."""
    receiver = c.receiver
    if receiver is None:
        return None
    if receiver.kind == "ref":
        return _library_train(m, c, receiver) if c.last == "train" else None
    if not _is_estimator(receiver):
        return None
    if receiver.kind == "object" and c.callee is not None:
        return c.callee  # a method of this repository, which was run
    receiver, data, target, held = _parts(m, c, receiver)
    if not (receiver.id in m.classes and fits_nothing(m, receiver)):
        options = {**receiver.options, **(c.receiver or receiver).options, **c.named}
        m.emit(Fit, c, estimator=receiver, data=data, target=target, held=held, options=options)
    if sort_of(receiver.name) == "search":
        spark = receiver.name.startswith("pyspark.") and "foldCol" not in receiver.options
        folded(m, c, data, receiver if spark else receiver.options.get("cv"))
    if c.last not in ("fit_transform", "fit_predict"):
        return receiver.changed(kind="estimator") if receiver.kind == "unknown" else receiver
    result = m.derive(data, c.last, maker=receiver, columns=())
    if c.last == "fit_transform":
        m.emit(Transform, c, estimator=receiver, data=data, result=result)
    return result


def _parts(
    m: Machine, c: Site, receiver: Value
) -> tuple[Value, Value, Value | None, tuple[Value, ...]]:
    """Tell what is fitted, on what, with which labels, and what it is measured on meanwhile."""
    data = data_of(c)
    if data is None:
        data = next((v for v in ancestors(receiver.options.values()) if v.kind == "data"), None)
    if data is None:
        data = m.make("unknown", "nothing")
    target = c.arg("y", 1) or c.arg("label")
    if target is not None and target.kind == "mapping":
        target = None  # options
    held = [v for w in _HELD if (v := c.named.get(w) or receiver.options.get(w)) is not None]
    share = c.named.get("validation_split")
    if share is not None and not (share.known and not share.const):
        held.append(m.derive(data, "validation_split", keep=False, role="validation", sure=True))
    if "ainer" in receiver.last and data.kind in ("estimator", "object"):
        # `Trainer(...).fit(model, train_loader, validation_loader)`
        model, rest = data, c.changed(args=c.args[1:])
        return model, data_of(rest) or data, None, (*held, *c.args[2:3])
    return receiver, data, target, tuple(held)


def _library_train(m: Machine, c: Site, module: Value) -> Value | None:
    """`xgb.train(params, dtrain, evals=...)`, `lgb.train`, which give the model back."""
    data = c.arg("dtrain", 1) or c.arg("train_set", 1) or c.arg("pool", 0)
    if data is None or module.name.partition(".")[0] not in ("xgboost", "lightgbm", "catboost"):
        return None
    model = m.make("estimator", f"{module.name}.Booster", options=c.named)
    held = tuple(v for w in _HELD if (v := c.named.get(w)) is not None)
    m.emit(Fit, c, estimator=model, data=data, target=data, held=held, options=c.named)
    return model


def fits_nothing(m: Machine, value: Value) -> bool:
    """Tell whether `fit` of a local class does no more than `return self`."""
    method = m.class_of(value)
    code = m.code.get(method.id) if method is not None else None
    if code is None or not isinstance(code.node, ast.ClassDef):
        return False
    for item in code.node.body:
        if isinstance(item, ast.FunctionDef) and item.name == "fit":
            body = [s for s in item.body if not isinstance(s, (ast.Expr, ast.Pass))]
            return len(body) == 1 and isinstance(body[0], ast.Return)
    return False


def fit_texts(m: Machine, c: Site) -> Value | None:
    """`tokenizer.fit_on_texts(...)`, `layer.adapt(...)`."""
    data = data_of(c)
    if c.receiver is None or data is None:
        return None
    receiver = c.receiver.changed(kind="estimator")
    m.emit(Fit, c, estimator=receiver, data=data, target=None, held=())
    return receiver


def transform_call(m: Machine, c: Site) -> Value | None:
    """`scaler.transform(X)`."""
    receiver = c.receiver
    if receiver is None or receiver.kind == "data" or not _is_estimator(receiver):
        return None
    data = data_of(c)
    if data is None or receiver.kind == "ref":
        return None
    result = m.derive(data, c.last, maker=receiver, columns=())
    m.emit(Transform, c, estimator=receiver, data=data, result=result)
    return result


def predict_call(m: Machine, c: Site) -> Value | None:
    """`model.predict(X)`."""
    receiver = c.receiver
    data = data_of(c)
    if receiver is None or receiver.kind == "data" or data is None:
        return None
    if receiver.kind in ("ref", "constant", "sequence", "mapping"):
        return None
    return predicted(m, c, receiver, data)


def predicted(m: Machine, c: Site, estimator: Value, data: Value) -> Value:
    """Give what a model answers for data."""
    result = m.derive(data, c.last or "call", maker=estimator, columns=())
    m.emit(Predict, c, estimator=estimator, data=data, result=result)
    return result


def score_call(m: Machine, c: Site) -> Value | None:
    """`model.score(X, y)`, `model.evaluate(...)`, `trainer.test(...)`."""
    receiver = c.receiver
    if receiver is None or receiver.kind in ("data", "constant", "sequence", "mapping", "ref"):
        return None
    if receiver.kind == "object" and c.last in ("test", "validate") and receiver.id in m.classes:
        return None
    if c.last in ("score", "evaluate") and not c.given and receiver.kind == "unknown":
        return None
    model = next((v for v in c.given if v.kind == "estimator"), None)
    estimator = model if model is not None and "ainer" in receiver.last else receiver
    values = tuple(v for v in c.given if v is not model)
    return _measured(m, c, values, estimator)


def metric_call(m: Machine, c: Site) -> Value | None:
    """`f1_score(y, model.predict(X))`."""
    if not is_metric(c.name) or not c.given:
        return None
    if not (c.receiver is None or c.receiver.kind == "ref"):
        return None
    return _measured(m, c, c.given, None)


def _measured(m: Machine, c: Site, values: tuple[Value, ...], estimator: Value | None) -> Value:
    parents = values if estimator is None else (*values, estimator)
    result = m.make("unknown", c.name, parents)
    m.scores.add(result.id)
    m.emit(Score, c, values=values, estimator=estimator, result=result)
    return result


def choice_call(m: Machine, c: Site) -> Value | None:
    """`max(scores)`: which of several did best."""
    if c.last not in CHOICES or not m.scores:
        return None
    receiver = (c.receiver,) if c.receiver is not None and c.receiver.kind != "ref" else ()
    values = (*receiver, *c.given)
    if any(v.id in m.scores for v in ancestors(values)):
        m.emit(Choice, c, values=values)
    return None


def backward_call(m: Machine, c: Site) -> Value | None:
    """`loss.backward()` and `optimizer.step()`: a model learns from what the loss came from."""
    if c.receiver is None:
        return None
    maker = None
    for one in ancestors((*c.args, c.receiver)):
        maker = maker or one.maker
        if maker is not None and one.kind == "data" and one.maker is None:
            m.emit(Fit, c, estimator=maker, data=one, target=None, held=())
            break
    return m.constant(None)
