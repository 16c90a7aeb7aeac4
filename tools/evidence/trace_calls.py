"""What calls of libraries give, and the events they are: the other half of `trace`."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Final, TypeAlias

from mlops_advisor.tools.evidence.trace_library import (
    LOADS,
    READS,
    ROW_KEEPING,
    ROW_TAKING,
    SAVES,
    SPARK_READ,
    STATISTICS,
    WRAPPERS,
    WRITES,
    is_metric,
    role_of_name,
    seed_family,
    sort_by_label,
    sort_of,
)
from mlops_advisor.tools.evidence.trace_model import (
    Dated,
    Fit,
    Given,
    Load,
    Predict,
    Read,
    Resample,
    Role,
    Save,
    Score,
    Seeded,
    Select,
    Shuffle,
    Sort,
    Split,
    Transform,
    Value,
    Write,
    ancestors,
)
from mlops_advisor.tools.evidence.trace_run import Machine, Site

Handler: TypeAlias = Callable[[Machine, Site], Value | None]

_MAX_PARTS: Final = 16
_SEED_WORDS: Final = ("random_state", "seed", "generator", "rng", "random_seed", "split_seed")
_PATH_CALLS: Final = frozenset(
    "os.path.join pathlib.Path pathlib.PurePath pathlib.PosixPath str os.path.abspath Path"
    " os.path.expanduser os.path.normpath os.fspath hydra.utils.to_absolute_path".split()
)
_PATH_METHODS: Final = frozenset(
    ("resolve", "absolute", "as_posix", "expanduser", "joinpath", "format", "with_suffix")
)
_PREDICTS: Final = frozenset(
    "predict predict_proba decision_function predict_log_proba predict_classes score_samples"
    " forecast predict_on_batch inplace_predict get_forecast".split()
)
_HELD: Final = (
    "eval_set", "validation_data", "valid_sets", "evals", "val_data", "eval_dataset",
    "val_dataloaders", "X_val", "val_dataloader", "valid_loader", "test_data", "tuning_data",
    "val_loader", "validation_frame", "dev_dataset",
)  # fmt: skip
_DATA_WORDS: Final = (
    "X", "x", "data", "df", "dataset", "y", "dtrain", "train_data", "train_set", "training_frame",
    "train_dataloaders", "train_dataset", "datamodule", "X_train", "raw_documents", "train_loader",
)  # fmt: skip
_STORING: Final = re.compile(
    r"^_?(?:save|dump|persist|store|register|export|upload|log_|put|write|pickle|serialize|publish)"
)


def library(m: Machine, c: Site) -> Value:
    """Result of a call, with the events it is."""
    if c.local:
        return _local(m, c)
    for look in _LOOKS:
        found = look(m, c)
        if found is not None:
            return found
    if c.callee is not None and c.callee.kind not in ("ref", "function", "class"):
        local = _called_object(m, c)
        if local is not None:
            return local
    _run_callbacks(m, c)
    if _STORING.search(c.last) and any(v.kind == "estimator" for v in c.given):
        _stored(m, c, whole=False)
    return _default(m, c)


def _local(m: Machine, c: Site) -> Value:
    """See in a local function what its name says, beside what its body did."""
    result = c.callee if c.callee is not None else m.constant(None)
    receiver, data = c.receiver, _data_of(c)
    if receiver is not None and receiver.kind == "estimator" and data is not None:
        if c.last in ("fit", "fit_transform", "partial_fit") and not _fits_nothing(m, receiver):
            m.emit(Fit, c, estimator=receiver, data=data, target=c.arg("y", 1), held=())
        if c.last == "fit":
            return receiver
        if c.last in ("transform", "fit_transform") or c.last in _PREDICTS:
            made = m.derive(data, c.last, result, maker=receiver, columns=result.columns)
            if c.last in _PREDICTS:
                m.emit(Predict, c, estimator=receiver, data=data, result=made)
            else:
                m.emit(Transform, c, estimator=receiver, data=data, result=made)
            return made
    elif seed_family(c.name):
        _seed(m, c)
    elif SAVES.search(c.name):
        _save(m, c)
    return result


# --- what a call gives when nothing special is known ------------------------------------------


def _default(m: Machine, c: Site) -> Value:
    base = c.receiver if c.receiver is not None and c.receiver.kind != "ref" else None
    given = c.given
    if base is not None and base.kind == "data":
        if c.last in STATISTICS:
            return m.make("unknown", c.last, (base,), statistic=base.rows)
        taking = c.last in ROW_TAKING and c.last not in ROW_KEEPING
        keep = c.last in ROW_KEEPING or (not taking and not any(v.kind == "data" for v in given))
        return m.derive(base, c.last, *given, keep=keep)
    if base is not None and base.kind == "unknown" and base.statistic:
        return m.make("unknown", c.last, (base, *given), statistic=base.statistic)
    data = [v for v in given if v.kind in ("data", "mask")]
    if not data:
        inside = [i for v in given if v.kind == "sequence" for i in v.items if i.kind == "data"]
        data = inside if len({i.rows for i in inside}) == 1 else []
    if data and c.last in STATISTICS:
        return m.make("unknown", c.last, data, statistic=data[0].rows)
    if data and c.last in WRAPPERS:
        return m.derive(data[0], c.last, *given[1:])
    parents = (*((base,) if base is not None else ()), *given)
    roles = {v.role for v in parents if v.role or v.kind == "data"}
    role: Role = roles.pop() if len(roles) == 1 else ""
    sure = bool(role) and any(v.sure for v in parents if v.role)
    frame_like = base is not None and base.kind == "unknown" and c.last in _FRAME_METHODS
    if frame_like and base is not None:
        return m.derive(base, c.last, *given, keep=c.last in ROW_KEEPING)
    kind = "data" if data or c.last in WRAPPERS else "unknown"
    return m.make(
        kind, c.name, parents, role=role, sure=sure, options=c.named, line=c.line,
        path=c.frame.view.path,
    )  # fmt: skip


_FRAME_METHODS: Final = frozenset(
    "drop dropna fillna astype sort_values reset_index set_index drop_duplicates sample query"
    " groupby merge select_dtypes withColumn select to_numpy assign iloc rename to_frame head"
    " tail loc get_dummies isin with_columns filter toPandas to_pandas interpolate".split()
)


def _run_callbacks(m: Machine, c: Site) -> None:
    """Run local functions that are handed over: objectives, callables of operators, `.pipe`."""
    for value in c.given[:8]:
        if value.kind != "function" or value.id not in m.code:
            continue
        first: tuple[Value, ...] = ()
        if c.receiver is not None and c.receiver.kind == "data":
            first = (c.receiver,)
        else:
            first = tuple(v for v in c.args if v.kind == "data")[:1]
        m.inline(value, first, {}, within=c.name)


def _called_object(m: Machine, c: Site) -> Value | None:
    """`model(x)`: an estimator called like a function."""
    callee = c.callee
    if callee is None or callee.kind != "estimator" or not c.args or c.receiver is not None:
        return None
    return _predicted(m, c, callee, c.args[0])


# --- estimators ---------------------------------------------------------------------------------


def _constructor(m: Machine, c: Site) -> Value | None:
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
        options=options,
    )  # fmt: skip


def _steps(m: Machine, c: Site) -> tuple[tuple[str, ...], tuple[Value, ...]]:
    keys: list[str] = []
    items: list[Value] = []
    for value in c.given:
        steps = value.items if value.kind == "sequence" else (value,)
        for step in steps[:30]:
            if step.kind == "estimator":
                keys.append("")
                items.append(step)
            elif step.kind == "sequence":
                inner = next((i for i in step.items if i.kind in ("estimator", "sequence")), None)
                if inner is not None and inner.kind == "estimator":
                    keys.append(next((i.text for i in step.items if i.text), ""))
                    items.append(inner)
                elif step.items and step.items[0].text:
                    unknown = next(iter(step.items[1:]), None)
                    if unknown is not None and unknown.kind == "unknown":
                        keys.append(step.items[0].text)
                        items.append(replace(unknown, kind="estimator"))
            elif step.kind == "unknown" and value.kind != "sequence" and value in c.args:
                if sort_by_label(m.labels.get(step.id, "")):
                    keys.append("")
                    items.append(replace(step, kind="estimator"))
    return tuple(keys), tuple(items)


def _is_estimator(m: Machine, value: Value | None) -> bool:
    if value is None or value.kind in ("data", "ref", "sequence", "mapping", "function", "class"):
        return value is not None and value.kind == "ref" and bool(sort_of(value.name))
    if value.kind == "object" and sort_of(value.name) == "folds":
        return False
    return value.kind != "constant"


def _data_of(c: Site) -> Value | None:
    if c.args:
        return c.args[0]
    return next((c.named[w] for w in _DATA_WORDS if w in c.named), None)


def _fit(m: Machine, c: Site) -> Value | None:
    """`fit`, `fit_transform`, `fit_predict`, `partial_fit`, `adapt`, `train`."""
    receiver = c.receiver
    if receiver is None or not _is_estimator(m, receiver):
        return None
    if receiver.kind == "object" and c.callee is not None:
        return c.callee  # a method of this repository, which was run
    if receiver.kind == "ref" and c.last != "train":
        return None
    data = _data_of(c)
    if data is None:
        data = next((v for v in ancestors(receiver.options.values()) if v.kind == "data"), None)
    if data is None:
        data = m.make("unknown", "nothing")
    target = c.arg("y", 1) or c.arg("label")
    if target is not None and target.kind == "mapping":
        target = None  # options
    held = tuple(v for w in _HELD if (v := c.named.get(w)) is not None)
    if "ainer" in receiver.last or receiver.last in ("Trainer", "Learner"):
        model = data if data.kind in ("estimator", "object") else None
        loaders = [v for v in c.args[1:]] + [c.named[w] for w in _DATA_WORDS[:0] if w in c.named]
        if model is not None:
            held += tuple(c.args[2:3])
            data = next(iter(loaders), None) or _data_of(replace(c, args=())) or data
            receiver, target = model, None
    stateless = receiver.id in m.classes and _fits_nothing(m, receiver)
    if not stateless:
        share = c.named.get("validation_split")
        if share is not None and not (share.known and not share.const):
            held += (m.derive(data, "validation_split", keep=False, role="validation", sure=True),)
        m.emit(Fit, c, estimator=receiver, data=data, target=target, held=held, options=c.named)
    if c.last in ("fit_transform", "fit_predict"):
        result = m.derive(data, c.last, maker=receiver, columns=())
        if c.last == "fit_transform":
            m.emit(Transform, c, estimator=receiver, data=data, result=result)
        return result
    if c.last in ("fit", "train") and receiver.kind != "unknown":
        return receiver
    return replace(receiver, kind="estimator") if receiver.kind == "unknown" else receiver


def _fits_nothing(m: Machine, value: Value) -> bool:
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


def _fit_texts(m: Machine, c: Site) -> Value | None:
    data = _data_of(c)
    if c.receiver is None or data is None:
        return None
    receiver = replace(c.receiver, kind="estimator")
    m.emit(Fit, c, estimator=receiver, data=data, target=None, held=())
    return receiver


def _transform(m: Machine, c: Site) -> Value | None:
    receiver = c.receiver
    if receiver is None or receiver.kind == "data" or not _is_estimator(m, receiver):
        return None
    data = _data_of(c)
    if data is None or receiver.kind == "ref":
        return None
    result = m.derive(data, c.last, maker=receiver, columns=())
    m.emit(Transform, c, estimator=receiver, data=data, result=result)
    return result


def _predict(m: Machine, c: Site) -> Value | None:
    receiver = c.receiver
    data = _data_of(c)
    if receiver is None or receiver.kind == "data" or data is None:
        return None
    if receiver.kind in ("ref", "constant", "sequence", "mapping"):
        return None
    return _predicted(m, c, receiver, data)


def _predicted(m: Machine, c: Site, estimator: Value, data: Value) -> Value:
    result = m.derive(data, c.last or "call", maker=estimator, columns=())
    m.emit(Predict, c, estimator=estimator, data=data, result=result)
    return result


def _score(m: Machine, c: Site) -> Value | None:
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
    m.emit(Score, c, values=values, estimator=estimator)
    return m.make("unknown", c.name, (*values, receiver))


def _metric(m: Machine, c: Site) -> Value | None:
    if not is_metric(c.name) or not c.given:
        return None
    if not (c.receiver is None or c.receiver.kind == "ref"):
        return None
    m.emit(Score, c, values=c.given, estimator=None)
    return m.make("unknown", c.name, c.given)


def _backward(m: Machine, c: Site) -> Value | None:
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


# --- splits -------------------------------------------------------------------------------------


def seed_given(c: Site, position: int = -1) -> Given:
    """Whether a call is given a seed; maybe: it takes arguments that are not known."""
    for word in _SEED_WORDS:
        value = c.arg(word)
        if value is not None:
            return "no" if value.known and value.const is None else "yes"
    if 0 <= position < len(c.args):
        value = c.args[position]
        return "no" if value.known and value.const is None else "yes"
    return "maybe" if c.spread else "no"


def _flag(c: Site, name: str, default: Given) -> Given:
    value = c.named.get(name)
    if value is None:
        return "maybe" if c.spread else default
    if value.known:
        return "yes" if value.const else "no"
    return "maybe" if value.kind == "unknown" and value.name == "parameter" else "yes"


def _number(value: Value | None) -> float | None:
    if value is None or not value.known or isinstance(value.const, (str, bool)):
        return None
    return float(value.const) if value.const is not None else None


def _shares(c: Site) -> tuple[float, ...]:
    test, train = _number(c.named.get("test_size")), _number(c.named.get("train_size"))
    if test is not None and 0 < test < 1:
        return (1 - test if train is None else train, test)
    if train is not None and 0 < train < 1:
        return (train, 1 - train)
    return ()


def _train_test_split(m: Machine, c: Site) -> Value | None:
    arrays = list(c.args)
    if c.last == "train_test_split" and c.receiver is not None and c.receiver.kind != "ref":
        return _dataset_split(m, c)
    if not arrays:
        return None
    sources: list[Value] = []
    for value in arrays:
        if value.kind == "sequence" and value.items:
            sources.extend(value.items)
        else:
            sources.append(value)
    parts: list[Value] = []
    roles: tuple[Role, Role] = ("train", "test")
    for source in sources[:_MAX_PARTS]:
        for role in roles:
            parts.append(_part(m, source, c, role))
    m.emit(
        Split, c, sources=tuple(sources), parts=tuple(parts), how="call",
        seed=seed_given(c), shuffle=_flag(c, "shuffle", "yes"),
        stratify=_flag(c, "stratify", "no"), shares=_shares(c),
    )  # fmt: skip
    return m.make("sequence", c.name, items=tuple(parts))


def _part(m: Machine, source: Value, c: Site, role: Role) -> Value:
    kind = source.kind if source.kind == "mask" else "data"
    return replace(
        m.derive(source, c.name, keep=False, role=role, sure=True, columns=source.columns),
        kind=kind,
    )


def _dataset_split(m: Machine, c: Site) -> Value | None:
    """`train_test_split` of a Hugging Face dataset, or of Ray data."""
    base = c.receiver
    if base is None:
        return None
    train, test = _part(m, base, c, "train"), _part(m, base, c, "test")
    m.emit(
        Split, c, sources=(base,), parts=(train, test), how="call",
        seed=seed_given(c), shuffle=_flag(c, "shuffle", "yes"),
        stratify=_flag(c, "stratify_by_column", "no"), shares=_shares(c),
    )  # fmt: skip
    if base.kind != "data" or c.last != "train_test_split":
        return m.make("mapping", c.name, keys=("train", "test"), items=(train, test))
    return m.make("mapping", c.name, keys=("train", "test"), items=(train, test))


def _random_split(m: Machine, c: Site) -> Value | None:
    """torch `random_split`, Spark `randomSplit`, `np.split` of shuffled rows, `Subset`."""
    spark = c.last in ("randomSplit", "random_split") and c.receiver is not None
    spark = spark and c.receiver is not None and c.receiver.kind != "ref"
    source = c.receiver if spark else (c.arg("dataset", 0) or c.arg("ary", 0))
    sizes = (
        c.arg("weights", 0) if spark else (c.arg("lengths", 1) or c.arg("indices_or_sections", 1))
    )
    if source is None:
        return None
    count = len(sizes.items) if sizes is not None and sizes.items else 2
    if sizes is not None and c.last == "split":
        count += 1
    names: tuple[Role, ...] = ("train", "test") if count == 2 else ("train", "validation", "test")  # noqa: PLR2004
    parts = tuple(_part(m, source, c, r) for r in names[: max(2, min(count, 3))])
    shares = tuple(n for v in (sizes.items if sizes is not None else ()) if (n := _number(v)))
    total = sum(shares)
    random = c.last != "split"
    m.emit(
        Split, c, sources=(source,), parts=parts, how="call" if random else "slice",
        seed=seed_given(c, 1 if spark else 2) if random else "yes",
        shuffle="yes" if random else "no", stratify="no",
        shares=tuple(s / total for s in shares) if random and total and len(shares) == count else (),
    )  # fmt: skip
    return m.make("sequence", c.name, items=parts)


def _numpy_split(m: Machine, c: Site) -> Value | None:
    if c.receiver is not None and c.receiver.kind == "ref" and c.receiver.name in ("numpy", "np"):
        return _random_split(m, c)
    return _folds(m, c)


def _folds(m: Machine, c: Site) -> Value | None:
    """`KFold(...).split(X)`, also of splitters that are made elsewhere."""
    splitter = c.receiver
    if splitter is None or not c.args:
        return None
    known = sort_of(splitter.name) == "folds"
    label = m.labels.get(splitter.id, "").lower()
    hinted = splitter.kind in ("unknown", "object") and (
        any(w in label for w in ("fold", "splitter", "tscv", "kf", "sss", "gss")) or label == "cv"
    )
    if not known and not hinted:
        return None
    source = c.args[0]
    name = splitter.last if known else ""
    train = m.make("unknown", "fold", (source,), role="train", sure=True)
    test = m.make("unknown", "fold", (source,), role="test", sure=True)
    shuffled: Given = "maybe"
    seed: Given = "maybe"
    if known:
        own = replace(c, named=dict(splitter.options), args=splitter.items)
        shuffled = "yes" if "Shuffle" in name else _flag(own, "shuffle", "no")
        shuffled = "yes" if name.startswith("Repeated") else shuffled
        seed = seed_given(own, 2 if name in ("KFold", "StratifiedKFold") else -1)
    m.emit(
        Split, c, sources=c.args, parts=(train, test), how="folds", seed=seed, shuffle=shuffled,
        stratify="yes" if "Stratified" in name else "no", shares=(),
    )  # fmt: skip
    pair = m.make("sequence", items=(train, test))
    return m.make("sequence", "each", items=(pair,))


def _cross_validation(m: Machine, c: Site) -> Value | None:
    """`cross_val_score(model, X, y, cv=...)`, `cross_validate`, `xgb.cv`."""
    if c.receiver is not None and c.receiver.kind != "ref":
        return None
    model = c.arg("estimator", 0)
    data = c.arg("X", 1)
    if model is None or data is None:
        return None
    cv = c.arg("cv")
    ordered = cv is not None and cv.kind == "object"
    shuffled: Given = "no"
    seed: Given = "maybe"
    stratify: Given = "maybe"
    if cv is not None and ordered:
        own = replace(c, named=dict(cv.options), args=cv.items)
        shuffled, seed = _flag(own, "shuffle", "no"), seed_given(own)
        stratify = "yes" if "Stratified" in cv.last else "no"
    fold = _part(m, data, c, "test")
    m.emit(
        Split, c, sources=(data,), parts=(_part(m, data, c, "train"), fold), how="folds",
        seed=seed, shuffle=shuffled, stratify=stratify, shares=(),
    )  # fmt: skip
    m.emit(Score, c, values=(fold,), estimator=model)
    return m.make("unknown", c.name, (data, model), maker=model)


def _make_folds(m: Machine, c: Site) -> Value | None:
    """Splitters themselves are objects; nothing is divided yet."""
    if sort_of(c.name) != "folds" or c.callee is None or c.callee.kind != "ref":
        return None
    return m.make("object", c.name, items=c.args, options=c.named)


# --- rows -----------------------------------------------------------------------------------------


def _resample(m: Machine, c: Site) -> Value | None:
    if c.last == "resample":
        if not c.name.startswith("sklearn.utils"):
            return None
        data = c.arg("*", 0)
        results = [m.derive(v, "resample", keep=False) for v in c.args[:4]]
        if data is None:
            return None
        m.emit(Resample, c, data=data, result=results[0], estimator=None)
        return results[0] if len(results) == 1 else m.make("sequence", items=tuple(results))
    data = _data_of(c)
    if c.receiver is None or data is None:
        return None
    results = [m.derive(v, c.last, keep=False) for v in (c.args[:2] or (data,))]
    if len(results) == 1:
        results.append(m.derive(c.named.get("y", data), c.last, keep=False))
    m.emit(Resample, c, data=data, result=results[0], estimator=c.receiver)
    return m.make("sequence", c.name, items=tuple(results))


def _shuffle(m: Machine, c: Site) -> Value | None:
    """`np.random.shuffle(x)`, `random.shuffle(x)`, `sklearn.utils.shuffle`, `ds.shuffle(...)`."""
    if c.receiver is not None and c.receiver.kind != "ref":
        if c.receiver.kind != "data" and not any(w in c.named for w in ("seed", "buffer_size")):
            if "rng" not in m.labels.get(c.receiver.id, "") and not c.args:
                return None
        source = c.receiver if c.receiver.kind == "data" else (c.args or (c.receiver,))[0]
        if "default_rng" in c.receiver.name or "Random" in c.receiver.last:
            seed: Given = "yes" if c.receiver.parents or c.receiver.options else "no"
        else:
            seed = seed_given(c)
        result = m.derive(source, c.last)
        m.emit(Shuffle, c, data=source, result=result, seed=seed, share=1.0)
        if source is not c.receiver and c.node.args:
            m.rebind(c.node.args[0], result, c.frame)
        return result
    if not c.args:
        return None
    results = [
        m.derive(v, c.last) if v.kind in ("data", "unknown", "sequence") else v for v in c.args
    ]
    seed = seed_given(c)
    m.emit(Shuffle, c, data=c.args[0], result=results[0], seed=seed, share=1.0)
    if c.name in ("numpy.random.shuffle", "random.shuffle") and c.node.args:
        m.rebind(c.node.args[0], results[0], c.frame)
        return m.constant(None)
    return results[0] if len(results) == 1 else m.make("sequence", items=tuple(results))


def _permutation(m: Machine, c: Site) -> Value | None:
    """`np.random.permutation(n)`: random order of rows, to be used as an index."""
    if c.receiver is None or not c.args:
        return None
    if c.receiver.kind == "ref":
        seed: Given = "no"
    else:
        seed = "yes" if c.receiver.parents or c.receiver.options else "maybe"
    result = m.derive(c.args[0], "permutation")
    m.emit(Shuffle, c, data=c.args[0], result=result, seed=seed, share=1.0)
    return result


def _sample(m: Machine, c: Site) -> Value | None:
    base = c.receiver
    if base is None or base.kind in (
        "ref",
        "estimator",
        "object",
        "sequence",
        "mapping",
        "constant",
    ):
        return None
    if base.kind == "unknown" and not ({"frac", "random_state", "fraction", "n"} & set(c.named)):
        return None
    share = _number(c.arg("frac", 1) or c.arg("fraction"))
    whole = share is not None and share >= 1
    result = m.derive(base, "sample", keep=whole)
    again = c.named.get("replace")
    if again is not None and again.known and again.const:
        m.emit(Resample, c, data=base, result=result, estimator=None)
        return result
    m.emit(
        Shuffle,
        c,
        data=base,
        result=result,
        seed=seed_given(c),
        share=share if share is not None else 0.0,
    )
    return result


def _drop(m: Machine, c: Site) -> Value | None:
    """Columns dropped, or rows by their index: what is left of `df.sample(...)`."""
    base = c.receiver
    if base is None or base.kind not in ("data", "unknown"):
        return None
    what = c.arg("columns") or c.arg("labels", 0)
    index = c.arg("index")
    if index is not None or (what is not None and what.name.endswith(".index")):
        rest = m.derive(base, "rest", what or index or base, keep=False)
        return _in_place(m, c, rest)
    names = _names(what)
    result = m.derive(
        base, "drop", *((what,) if what is not None else ()),
        columns=tuple(n for n in base.columns if n not in names),
    )  # fmt: skip
    m.emit(Select, c, data=base, result=result, columns=names, dropped=True)
    return _in_place(m, c, result)


def _names(value: Value | None) -> tuple[str, ...]:
    if value is None:
        return ()
    return tuple(v.text for v in (value.items or (value,)) if v.text)


def _sort(m: Machine, c: Site) -> Value | None:
    base = c.receiver
    if base is None or base.kind not in ("data", "unknown"):
        return None
    by = c.arg("by", 0)
    result = m.derive(base, c.last)
    m.emit(Sort, c, data=base, result=result, columns=_names(by))
    return _in_place(m, c, result)


def _in_place(m: Machine, c: Site, result: Value) -> Value:
    flag = c.named.get("inplace")
    if flag is not None and flag.known and flag.const and isinstance(c.node.func, ast.Attribute):
        m.rebind(c.node.func.value, result, c.frame)
        return m.constant(None)
    return result


def _changed(m: Machine, c: Site) -> Value | None:
    """`df.dropna(inplace=True)` and the like: the name stands for the new rows."""
    if c.receiver is None or "inplace" not in c.named or c.receiver.kind not in ("data", "unknown"):
        return None
    return _in_place(m, c, _default(m, c))


def _append(m: Machine, c: Site) -> Value | None:
    """`parts.append(x)`: the list holds one more."""
    base = c.receiver
    if base is None or base.kind != "sequence" or not c.args or c.last != "append":
        return None
    new = replace(base, items=(*base.items, c.args[0])[-30:])
    if isinstance(c.node.func, ast.Attribute) and isinstance(c.node.func.value, ast.Name):
        c.frame.env[c.node.func.value.id] = new
    return m.constant(None)


def _concat(m: Machine, c: Site) -> Value | None:
    given = [v for a in c.args[:2] for v in (a.items if a.kind == "sequence" else (a,))]
    if c.receiver is not None and c.receiver.kind == "data":
        given.insert(0, c.receiver)
    data = [v for v in given if v.kind in ("data", "unknown")]
    if not data:
        return None
    axis = c.named.get("axis")
    wide = c.last in ("hstack", "column_stack") or (
        axis is not None and axis.const in (1, "columns")
    )
    if wide or len({v.rows for v in data}) == 1:
        return m.derive(data[0], c.last, *data[1:], columns=())
    roles = {v.role for v in data}
    role = roles.pop() if len(roles) == 1 else ""
    return m.make("data", c.last, data, role=role, sure=bool(role) and all(v.sure for v in data))


def _fillna(m: Machine, c: Site) -> Value | None:
    """`df.fillna(df.mean())`: a statistic of all rows goes into each."""
    base, filler = c.receiver, c.arg("value", 0)
    if base is None or base.kind not in ("data", "unknown"):
        return None
    result = m.derive(base, c.last, *((filler,) if filler is not None else ()))
    statistic = next((v for v in ancestors(c.given) if v.statistic), None)
    if statistic is not None and statistic.statistic == base.rows:
        result = replace(result, maker=_by_hand(m, c, f"{c.last}({statistic.last})", base))
    return _in_place(m, c, result)


def _by_hand(m: Machine, c: Site, name: str, data: Value) -> Value:
    estimator = m.make("estimator", f"by hand: {name}")
    m.emit(Fit, replace(c, name=name), estimator=estimator, data=data, target=None, held=())
    return estimator


def _standardise(m: Machine, c: Site) -> Value | None:
    """`(df - df.mean()) / df.std()`: sent by the interpreter itself."""
    if c.name != "by hand":
        return None
    left, right, result = c.args
    for data, other in ((left, right), (right, left)):
        if data.kind == "data" and other.statistic and other.statistic == data.rows:
            last = m.events[-1] if m.events else None
            if isinstance(last, Fit) and last.line == c.line and last.path == c.frame.view.path:
                return replace(result, maker=last.estimator)
            name = f"scaling by {other.last or 'its statistics'}"
            return replace(result, maker=_by_hand(m, c, name, data))
    return result


# --- dates ----------------------------------------------------------------------------------------


def _to_datetime(m: Machine, c: Site) -> Value | None:
    value = c.args[0] if c.args else None
    if value is None:
        return None
    column = value.columns[0] if len(value.columns) == 1 else ""
    if value.kind in ("data", "unknown"):
        m.emit(Dated, c, data=value, column=column, how="parsed")
        return m.derive(value, "to_datetime")
    return None


def _lag(m: Machine, c: Site) -> Value | None:
    base = c.receiver
    if base is not None and base.kind == "data":
        m.emit(Dated, c, data=base, column=(base.columns or ("",))[0], how="lagged")
    return None


def _set_index(m: Machine, c: Site) -> Value | None:
    base, names = c.receiver, _names(c.arg("keys", 0))
    if base is not None and base.kind in ("data", "unknown") and names:
        m.emit(Dated, c, data=base, column=names[0], how="indexed")
        return _in_place(m, c, m.derive(base, "set_index"))
    return None


# --- files ----------------------------------------------------------------------------------------


def _path(m: Machine, c: Site) -> Value | None:
    if c.name in _PATH_CALLS and c.args:
        texts = [v.text or "{}" for v in c.args]
        return m.make("text", c.name, c.args, const="/".join(texts)[:300])
    if c.last in _PATH_METHODS and c.receiver is not None and c.receiver.text:
        rest = [v.text or "{}" for v in c.args] if c.last == "joinpath" else []
        return m.make("text", c.name, (c.receiver,), const="/".join((c.receiver.text, *rest)))
    if c.name in ("os.getenv", "os.environ.get") and len(c.args) > 1:
        return m.make("text", c.name, c.args, const=c.args[1].const)
    if c.last == "open" and (c.receiver is None or c.receiver.text):
        where = c.receiver if c.receiver is not None else (c.args or (None,))[0]
        if where is not None:
            return m.make("file", "open", (where,), const=where.text or None)
    return None


def _key_of(m: Machine, value: Value | None) -> str:
    """What two uses of one path have in common."""
    if value is None:
        return ""
    return value.text or f"@{min(value.objects, default=value.id)}"


def _read(m: Machine, c: Site) -> Value | None:
    name = c.name
    spark = c.receiver is not None and SPARK_READ.search(c.receiver.name)
    if not (READS.search(name) or spark):
        return _known_set(m, c)
    if c.receiver is not None and c.receiver.kind == "data":
        return None
    source = c.args[0] if c.args else next(iter(c.named.values()), None)
    stored = m.heap.get((0, _key_of(m, source)))
    parents = tuple(v for v in (source, stored) if v is not None)
    split = c.named.get("split")
    role = role_of_name((split.text if split is not None else "").partition("[")[0])
    path = source.text if source is not None else ""
    role = role or role_of_name(path.rpartition("/")[2].partition(".")[0])
    if stored is not None:
        result = m.derive(stored, name, *parents)
    elif (
        split is None and name.endswith("load_dataset") and not name.startswith(("seaborn", "sns"))
    ):
        result = m.make("data", "load_dataset", parents, role=role)
    else:
        columns = _names(c.named.get("usecols") or c.named.get("columns"))
        result = m.make("data", name, parents, role=role, sure=split is not None, columns=columns)
    m.emit(Read, c, value=result, source=path)
    dates = c.named.get("parse_dates")
    if dates is not None and (dates.items or dates.const is True):
        m.emit(Dated, c, data=result, column=(_names(dates) or ("",))[0], how="parsed")
    pair = c.named.get("return_X_y")
    if pair is not None and pair.const:
        return m.make("sequence", items=(result, m.derive(result, "target")))
    return result


def _known_set(m: Machine, c: Site) -> Value | None:
    """Data sets that come divided: keras, torchvision."""
    if c.last == "load_data" and ".datasets." in c.name:
        made = [m.make("data", c.name, role=r, sure=True) for r in ("train", "test")]
        pairs = [m.make("sequence", items=(v, m.derive(v, "target"))) for v in made]
        m.emit(Read, c, value=made[0], source=c.name)
        return m.make("sequence", items=tuple(pairs))
    if ".datasets." in c.name and c.name.startswith(("torchvision.", "torchtext.", "torchaudio.")):
        flag, split = c.named.get("train"), c.named.get("split")
        role: Role = "" if split is None else role_of_name(split.text)
        if flag is not None and flag.known:
            role = "train" if flag.const else "test"
        result = m.make("data", c.name, role=role, sure=bool(role))
        m.emit(Read, c, value=result, source=c.name)
        return result
    return None


def _write(m: Machine, c: Site) -> Value | None:
    if not WRITES.search(c.name if c.name.startswith(("numpy", "np.", "scipy")) else f".{c.last}"):
        return None
    plain = c.receiver is not None and c.receiver.kind != "ref"
    value = c.receiver if plain else (c.args[1] if len(c.args) > 1 else (c.args or (None,))[0])
    target = (c.args or (None,))[0] or next(iter(c.named.values()), None)
    if value is None or value.kind in ("constant", "text"):
        return None
    m.emit(Write, c, value=value, target=target.text if target is not None else "")
    if target is not None:
        m.heap[0, _key_of(m, target)] = value
    return m.constant(None)


def _save(m: Machine, c: Site) -> Value | None:
    name = c.name if c.receiver is None or c.receiver.kind == "ref" else f".{c.last}"
    whole = c.receiver is not None and c.receiver.kind in ("estimator", "unknown", "object")
    keras = (
        c.last in ("save", "export")
        and whole
        and c.receiver is not None
        and (c.receiver.kind == "estimator" or bool(sort_by_label(m.labels.get(c.receiver.id, ""))))
    )
    if not (SAVES.search(name) or keras):
        return None
    return _stored(m, c, whole=whole)


def _stored(m: Machine, c: Site, *, whole: bool) -> Value:
    values = [v for v in c.given if v.kind not in ("constant", "text", "file", "ref")]
    if whole and c.receiver is not None:
        values.append(c.receiver)
    flat = [i for v in values for i in (v, *(v.items if v.kind in ("sequence", "mapping") else ()))]
    own = frozenset().union(*(v.objects for v in flat if v.objects & m.classes.keys()))
    flat += [v for (one, _), v in m.heap.items() if one in own][:40]
    place = next((v for v in (*c.args[::-1], *c.named.values()) if v.text), None)
    m.emit(Save, c, values=tuple(flat), target=place.text if place is not None else "")
    if place is not None and values:
        m.heap[0, f"saved:{place.text}"] = values[0]
    return m.make("unknown", c.name)


def _load(m: Machine, c: Site) -> Value | None:
    if not LOADS.search(c.name):
        return None
    if c.receiver is not None and c.receiver.kind in ("data", "object"):
        return None
    source = next((v for v in c.given if v.text), None)
    known = m.heap.get((0, f"saved:{source.text}")) if source is not None else None
    made = known or m.make("estimator", c.name, c.args)
    m.emit(Load, c, value=made, source=source.text if source is not None else "")
    return made


def _seed(m: Machine, c: Site) -> Value | None:
    family = seed_family(c.name)
    if not family:
        return None
    families = ("numpy", "random", "torch", "tensorflow") if family == "all" else (family,)
    m.emit(Seeded, c, families=frozenset(families))
    return m.constant(None)


def _passing(m: Machine, c: Site) -> Value | None:
    """What gives its receiver or argument back: `.result()`, `.get()`, `ray.get(x)`."""
    base = c.receiver
    if base is None:
        return None
    if base.kind == "ref" and base.name in ("ray", "dask") and c.args:
        return c.args[0]
    if c.last in ("result", "output", "collect_result") and not c.args and base.kind != "ref":
        return base
    if base.kind == "mapping" and c.last in ("get", "pop") and c.args:
        key = str(c.args[0].const)
        if key in base.keys:
            return base.items[base.keys.index(key)]
    if base.kind in ("mapping", "unknown") and c.last in ("values", "items") and base.items:
        return _items(m, base, c.last)
    if base.kind == "sequence" and base.name == "each" and c.last == "append":
        return None
    return None


def _items(m: Machine, base: Value, how: str) -> Value:
    if how == "values":
        return m.make("sequence", items=base.items)
    pairs = zip(base.keys, base.items, strict=False)
    made = [m.make("sequence", items=(m.constant(k), v)) for k, v in pairs]
    return m.make("sequence", items=tuple(made))


def _zip(m: Machine, c: Site) -> Value | None:
    if c.name == "zip" and c.args and all(v.kind == "sequence" and v.items for v in c.args):
        rows = zip(*(v.items for v in c.args), strict=False)
        return m.make("sequence", items=tuple(m.make("sequence", items=r) for r in rows))
    if c.name == "enumerate" and c.args:
        one = m.element(c.args[0])
        pair = m.make("sequence", items=(m.make("unknown", "number"), one))
        return m.make("sequence", "each", items=(pair,))
    if c.name in ("dict", "types.SimpleNamespace", "argparse.Namespace") and c.named and not c.args:
        return m.make("mapping", keys=tuple(c.named), items=tuple(c.named.values()))
    if c.name in ("list", "tuple", "tqdm", "tqdm.tqdm") and c.args and c.args[0].kind == "sequence":
        return c.args[0]
    if c.name in ("range", "len", "print", "isinstance", "type", "int", "float"):
        return m.make("unknown", c.name, c.args)
    return None


_BY_LAST: Final[Mapping[str, tuple[Handler, ...]]] = {
    "fit": (_fit,), "fit_transform": (_fit,), "partial_fit": (_fit,), "fit_predict": (_fit,),
    "train": (_fit,), "fit_generator": (_fit,), "finetune": (_fit,), "fit_one_cycle": (_fit,),
    "fit_on_texts": (_fit_texts,), "adapt": (_fit_texts,), "train_on_batch": (_fit,),
    "transform": (_transform,), "texts_to_sequences": (_transform,),
    "score": (_score,), "evaluate": (_score,), "test": (_score,), "validate": (_score,),
    "backward": (_backward,), "apply_gradients": (_backward,),
    "train_test_split": (_train_test_split,), "random_split": (_random_split,),
    "randomSplit": (_random_split,), "split": (_numpy_split,), "array_split": (_numpy_split,),
    "cross_val_score": (_cross_validation,), "cross_validate": (_cross_validation,),
    "cross_val_predict": (_cross_validation,), "fit_resample": (_resample,),
    "fit_sample": (_resample,), "resample": (_resample,), "shuffle": (_shuffle,),
    "random_shuffle": (_shuffle,), "permutation": (_permutation,), "sample": (_sample,),
    "drop": (_drop,), "sort_values": (_sort,), "sort_index": (_sort,), "orderBy": (_sort,),
    "sort": (_sort,), "concat": (_concat,), "concatenate": (_concat,), "vstack": (_concat,),
    "hstack": (_concat,), "column_stack": (_concat,), "union": (_concat,), "append": (_append,),
    "fillna": (_fillna,), "clip": (_fillna,), "to_datetime": (_to_datetime,), "shift": (_lag,),
    "rolling": (_lag,), "lag": (_lag,), "set_index": (_set_index,),
}  # fmt: skip


def _by_last(m: Machine, c: Site) -> Value | None:
    if c.last in _PREDICTS:
        return _predict(m, c)
    for handler in _BY_LAST.get(c.last, ()):
        found = handler(m, c)
        if found is not None:
            return found
    return None


_LOOKS: Final[tuple[Handler, ...]] = (
    _standardise,
    _seed,
    _make_folds,
    _constructor,
    _path,
    _zip,
    _read,
    _load,
    _save,
    _write,
    _by_last,
    _metric,
    _changed,
    _passing,
)
