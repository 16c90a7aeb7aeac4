"""What calls of libraries give, and the events they are: the other half of `trace`."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Final, TypeAlias

from mlops_advisor.tools.evidence.trace_base import Site
from mlops_advisor.tools.evidence.trace_files import (
    KERAS_SAVES,
    is_path_call,
    is_write,
    load_call,
    path_call,
    read_call,
    save_call,
    seed_call,
    store,
    write_call,
)
from mlops_advisor.tools.evidence.trace_fits import (
    backward_call,
    choice_call,
    constructor_call,
    data_of,
    fit_call,
    fit_texts,
    fits_nothing,
    metric_call,
    predict_call,
    predicted,
    score_call,
    transform_call,
)
from mlops_advisor.tools.evidence.trace_library import (
    CHOICES,
    LOADS,
    READS,
    ROW_KEEPING,
    ROW_TAKING,
    SAVES,
    SCALES,
    SPARK_READ,
    STATISTICS,
    WRAPPERS,
    is_metric,
    seed_family,
    sort_of,
)
from mlops_advisor.tools.evidence.trace_model import (
    Fit,
    Kind,
    Predict,
    Role,
    Step,
    Transform,
    Value,
)
from mlops_advisor.tools.evidence.trace_rows import (
    append_item,
    concat_rows,
    datetime_call,
    drop_columns,
    fill_missing,
    grouped_call,
    in_place,
    index_call,
    lagged_call,
    permutation_call,
    resample_rows,
    sample_rows,
    scaled_call,
    shuffle_rows,
    sort_rows,
    standardise,
)
from mlops_advisor.tools.evidence.trace_run import Machine
from mlops_advisor.tools.evidence.trace_spark import (
    EVALUATOR,
    LOADED,
    WINDOWED,
    WRITERS,
    answer_call,
    evaluator_call,
    loaded_call,
    window_call,
    writer_call,
)
from mlops_advisor.tools.evidence.trace_splits import (
    cross_validation,
    make_folds,
    numpy_split,
    random_split,
    train_test_split,
)

Handler: TypeAlias = Callable[[Machine, Site], Value | None]


_PREDICTS: Final = frozenset(
    "predict predict_proba decision_function predict_log_proba predict_classes score_samples"
    " forecast predict_on_batch inplace_predict get_forecast".split()
)


_CACHED: Final = 16_384
_STORING: Final = re.compile(
    r"^_?(?:save|dump|persist|store|register|export|upload|log_|put|write|pickle|serialize|publish)"
)


def library(m: Machine, c: Site) -> Value:
    """Give the result of a call, with the events it is."""
    if c.local:
        return _local(m, c)
    receiver = c.receiver
    looks, stores = _looks(c.name, c.last, "" if receiver is None else receiver.name)
    for look in looks:
        found = look(m, c)
        if found is not None:
            return found
    if "inplace" in c.named and (changed := _changed(m, c)) is not None:
        return changed
    if receiver is not None and (passed := _passing(m, c)) is not None:
        return passed
    if c.callee is not None and c.callee.kind == "estimator":
        local = _called_object(m, c)
        if local is not None:
            return local
    _run_callbacks(m, c)
    if stores and any(v.kind == "estimator" for v in c.given):
        store(m, c, whole=False)
    return _default(m, c)


def _local(m: Machine, c: Site) -> Value:
    """See in a local function what its name says, beside what its body did."""
    result = c.callee if c.callee is not None else m.constant(None)
    receiver, data = c.receiver, data_of(c)
    if receiver is not None and receiver.kind == "estimator" and data is not None:
        if c.last in ("fit", "fit_transform", "partial_fit") and not fits_nothing(m, receiver):
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
        seed_call(m, c)
    elif SAVES.search(c.name):
        save_call(m, c)
    return result


def _default(m: Machine, c: Site) -> Value:  # noqa: PLR0911
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
    kind: Kind = "data" if data or c.last in WRAPPERS else "unknown"
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
        m.calls.append(Step(c.frame.view.path, c.line, bound=False))
        m.inline(value, first, {}, within=c.name)
        m.calls.pop()


def _called_object(m: Machine, c: Site) -> Value | None:
    """`model(x)`: an estimator called like a function."""
    callee = c.callee
    if callee is None or callee.kind != "estimator" or not c.args or c.receiver is not None:
        return None
    return predicted(m, c, callee, c.args[0])


def _changed(m: Machine, c: Site) -> Value | None:
    """`df.dropna(inplace=True)` and the like: the name stands for the new rows."""
    if c.receiver is None or "inplace" not in c.named or c.receiver.kind not in ("data", "unknown"):
        return None
    return in_place(m, c, _default(m, c))


def _passing(m: Machine, c: Site) -> Value | None:  # noqa: PLR0911
    """Look through what gives back what it got: `.result()`, `.get()`, `ray.get(x)`."""
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


_BUILTINS: Final = frozenset(
    "zip enumerate dict types.SimpleNamespace argparse.Namespace list tuple tqdm tqdm.tqdm range"
    " len print isinstance type int float".split()
)


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


_BY_HANDLER: Final[tuple[tuple[str, tuple[Handler, ...]], ...]] = (
    (
        "fit fit_transform partial_fit fit_predict train fit_generator train_on_batch",
        (fit_call,),
    ),
    ("fit_on_texts adapt", (fit_texts,)),
    (
        "transform",
        (
            grouped_call,
            transform_call,
        ),
    ),
    ("map", (grouped_call,)),
    ("texts_to_sequences", (transform_call,)),
    ("score evaluate test validate", (score_call,)),
    ("backward apply_gradients", (backward_call,)),
    ("train_test_split", (train_test_split,)),
    ("random_split randomSplit", (random_split,)),
    ("split array_split", (numpy_split,)),
    ("cross_val_score cross_validate cross_val_predict", (cross_validation,)),
    ("fit_resample fit_sample resample", (resample_rows,)),
    ("shuffle random_shuffle", (shuffle_rows,)),
    ("permutation", (permutation_call,)),
    ("sample", (sample_rows,)),
    ("drop", (drop_columns,)),
    ("sort_values sort_index orderBy sort", (sort_rows,)),
    ("concat concatenate vstack hstack column_stack union", (concat_rows,)),
    ("append", (append_item,)),
    ("fillna clip", (fill_missing,)),
    ("to_datetime", (datetime_call,)),
    ("shift rolling lag diff pct_change ewm", (lagged_call,)),
    ("set_index", (index_call,)),
)
_BY_LAST: Final[Mapping[str, tuple[Handler, ...]]] = {
    last: handlers for names, handlers in _BY_HANDLER for last in names.split()
}


@lru_cache(_CACHED)
def _looks(name: str, last: str, base: str) -> tuple[tuple[Handler, ...], bool]:
    """Give what may know a call, by its name, its last part and the name of its receiver.

    Also whether the call stores things by its name.
    """
    found = [look for look, may in _LOOKS if may(name, last, base)]
    if last in _PREDICTS:
        found.append(predict_call)
    else:
        found += _BY_LAST.get(last, ())
    if is_metric(name):
        found.append(metric_call)
    return tuple(found), _STORING.search(last) is not None


_LOOKS: Final[tuple[tuple[Handler, Callable[[str, str, str], object]], ...]] = (
    (standardise, lambda name, _last, _base: name == "by hand"),
    (evaluator_call, lambda name, last, _base: last == "evaluate" or EVALUATOR.search(name)),
    (loaded_call, lambda name, _last, _base: LOADED.search(name)),
    (answer_call, lambda _name, last, _base: last == "transform"),
    (writer_call, lambda _name, last, _base: last in WRITERS),
    (window_call, lambda _name, last, _base: last in WINDOWED),
    (choice_call, lambda _name, last, _base: last in CHOICES),
    (scaled_call, lambda name, _last, _base: SCALES.search(name)),
    (seed_call, lambda name, _last, _base: seed_family(name)),
    (make_folds, lambda name, _last, _base: sort_of(name) == "folds"),
    (constructor_call, lambda name, _last, _base: sort_of(name)),
    (path_call, lambda name, last, _base: is_path_call(name, last)),
    (_zip, lambda name, _last, _base: name in _BUILTINS),
    (
        read_call,
        lambda name, _last, base: (
            READS.search(name) or SPARK_READ.search(base) or ".datasets." in name
        ),
    ),
    (load_call, lambda name, _last, _base: LOADS.search(name)),
    (
        save_call,
        lambda name, last, _base: (
            last in KERAS_SAVES or SAVES.search(name) or SAVES.search(f".{last}")
        ),
    ),
    (write_call, lambda name, last, _base: is_write(name, last)),
)
