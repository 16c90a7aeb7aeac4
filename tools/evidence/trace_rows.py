"""Rows and columns in `trace`: dropped, sorted, shuffled, resampled, filled, dated."""

from __future__ import annotations

import ast

from mlops_advisor.tools.evidence.trace_base import Site
from mlops_advisor.tools.evidence.trace_fits import (
    data_of,
)
from mlops_advisor.tools.evidence.trace_library import (
    SCALES,
    STATISTICS,
)
from mlops_advisor.tools.evidence.trace_model import (
    Dated,
    Fit,
    Given,
    Resample,
    Select,
    Shuffle,
    Sort,
    Value,
    ancestors,
)
from mlops_advisor.tools.evidence.trace_run import Machine
from mlops_advisor.tools.evidence.trace_splits import (
    number,
    seed_given,
)


def resample_rows(m: Machine, c: Site) -> Value | None:
    """`SMOTE().fit_resample(X, y)`, `sklearn.utils.resample(...)`."""
    if c.last == "resample":
        if not c.name.startswith("sklearn.utils"):
            return None
        data = c.arg("*", 0)
        results = [m.derive(v, "resample", keep=False) for v in c.args[:4]]
        if data is None:
            return None
        m.emit(Resample, c, data=data, result=results[0], estimator=None)
        return results[0] if len(results) == 1 else m.make("sequence", items=tuple(results))
    data = data_of(c)
    if c.receiver is None or data is None:
        return None
    results = [m.derive(v, c.last, keep=False) for v in (c.args[:2] or (data,))]
    if len(results) == 1:
        results.append(m.derive(c.named.get("y", data), c.last, keep=False))
    m.emit(Resample, c, data=data, result=results[0], estimator=c.receiver)
    return m.make("sequence", c.name, items=tuple(results))


def shuffle_rows(m: Machine, c: Site) -> Value | None:
    """`np.random.shuffle(x)`, `random.shuffle(x)`, `sklearn.utils.shuffle`, `ds.shuffle(...)`."""
    if c.receiver is not None and c.receiver.kind != "ref":
        named = any(w in c.named for w in ("seed", "buffer_size")) or bool(c.args)
        if c.receiver.kind != "data" and not named:
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


def permutation_call(m: Machine, c: Site) -> Value | None:
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


def sample_rows(m: Machine, c: Site) -> Value | None:
    """`df.sample(frac=...)`."""
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
    share = number(c.arg("frac", 1) or c.arg("fraction"))
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


def drop_columns(m: Machine, c: Site) -> Value | None:
    """Columns dropped, or rows by their index: what is left of `df.sample(...)`."""
    base = c.receiver
    if base is None or base.kind not in ("data", "unknown"):
        return None
    if base.name == "na":
        return m.derive(base, "dropna", keep=False)  # rows, in Spark
    what = c.arg("columns") or c.arg("labels", 0)
    index = c.arg("index")
    if index is not None or (what is not None and what.name.endswith(".index")):
        rest = m.derive(base, "rest", what or index or base, keep=False)
        return in_place(m, c, rest)
    names = names_in(what)
    result = m.derive(
        base, "drop", *((what,) if what is not None else ()),
        columns=tuple(n for n in base.columns if n not in names),
    )  # fmt: skip
    m.emit(Select, c, data=base, result=result, columns=names, dropped=True)
    return in_place(m, c, result)


def names_in(value: Value | None) -> tuple[str, ...]:
    """Texts of a value: one, or those of a list."""
    if value is None:
        return ()
    return tuple(v.text for v in (value.items or (value,)) if v.text)


def sort_rows(m: Machine, c: Site) -> Value | None:
    """`df.sort_values(...)`, `df.orderBy(...)`."""
    base = c.receiver
    if base is None:
        return None
    window = base.kind == "ref" and base.name.endswith(".Window")
    if base.kind not in ("data", "unknown") and not window:
        return None
    by = [v for v in (*c.args[:8], c.named.get("by")) if v is not None]
    texts = [n for v in by for n in names_in(v)] or [v.text for v in ancestors(by) if v.text]
    result = m.derive(base, c.last)
    m.emit(Sort, c, data=base, result=result, columns=tuple(texts[:8]))
    return in_place(m, c, result)


def in_place(m: Machine, c: Site, result: Value) -> Value:
    """Give the result, or put it under the name of the receiver with `inplace=True`."""
    flag = c.named.get("inplace")
    if flag is not None and flag.known and flag.const and isinstance(c.node.func, ast.Attribute):
        m.rebind(c.node.func.value, result, c.frame)
        return m.constant(None)
    return result


def append_item(m: Machine, c: Site) -> Value | None:
    """`parts.append(x)`: the list holds one more."""
    base = c.receiver
    if base is None or base.kind != "sequence" or not c.args or c.last != "append":
        return None
    new = base.changed(items=(*base.items, c.args[0])[-30:])
    if isinstance(c.node.func, ast.Attribute) and isinstance(c.node.func.value, ast.Name):
        c.frame.env[c.node.func.value.id] = new
    return m.constant(None)


def concat_rows(m: Machine, c: Site) -> Value | None:
    """Join data, below each other or side by side."""
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


def fill_missing(m: Machine, c: Site) -> Value | None:
    """`df.fillna(df.mean())`: a statistic of all rows goes into each."""
    base, filler = c.receiver, c.arg("value", 0)
    if base is None or base.kind not in ("data", "unknown"):
        return None
    result = m.derive(base, c.last, *((filler,) if filler is not None else ()))
    statistic = next((v for v in ancestors(c.given) if v.statistic), None)
    if statistic is not None and statistic.statistic == base.rows:
        result = result.changed(maker=_by_hand(m, c, f"{c.last}({statistic.last})", base))
    return in_place(m, c, result)


def _by_hand(m: Machine, c: Site, name: str, data: Value) -> Value:
    estimator = m.make("estimator", f"by hand: {name}")
    m.emit(Fit, c.changed(name=name), estimator=estimator, data=data, target=None, held=())
    return estimator


def scaled_call(m: Machine, c: Site) -> Value | None:
    """`sklearn.preprocessing.scale(X)`: a scaler that nobody can apply again."""
    if not SCALES.search(c.name) or not c.args:
        return None
    data = c.args[0]
    return m.derive(data, c.last, maker=_by_hand(m, c, c.last, data))


def grouped_call(m: Machine, c: Site) -> Value | None:
    """`df.groupby(k)[y].transform("mean")`, `df[k].map(df.groupby(k)[y].mean())`."""
    base = c.receiver
    if base is None or base.kind != "data" or not c.args:
        return None
    what = c.args[0]
    if c.last == "transform":
        grouped = any(v.name == "groupby" for v in ancestors((base,)) if v.rows == base.rows)
        if what.text not in STATISTICS or not grouped:
            return None
        name = f"groupby({what.text})"
    elif what.statistic and what.statistic == base.rows:
        name = f"map(groupby {what.last})"
    else:
        return None
    return m.derive(base, c.last, maker=_by_hand(m, c, name, base))


def standardise(m: Machine, c: Site) -> Value | None:
    """`(df - df.mean()) / df.std()`: sent by the interpreter itself."""
    if c.name != "by hand":
        return None
    left, right, result = c.args
    for data, other in ((left, right), (right, left)):
        if data.kind == "data" and other.statistic and other.statistic == data.rows:
            last = m.events[-1] if m.events else None
            if isinstance(last, Fit) and last.line == c.line and last.path == c.frame.view.path:
                return result.changed(maker=last.estimator)
            name = f"scaling by {other.last or 'its statistics'}"
            return result.changed(maker=_by_hand(m, c, name, data))
    return result


def datetime_call(m: Machine, c: Site) -> Value | None:
    """`pd.to_datetime(df["day"])`."""
    value = c.args[0] if c.args else None
    if value is None:
        return None
    column = value.columns[0] if len(value.columns) == 1 else ""
    if value.kind in ("data", "unknown"):
        m.emit(Dated, c, data=value, column=column, how="parsed")
        return m.derive(value, "to_datetime")
    return None


def lagged_call(m: Machine, c: Site) -> Value | None:
    """`df["y"].shift(1)`, `.rolling(7)`: the rows are a series in time."""
    base = c.receiver
    if base is not None and base.kind == "data":
        m.emit(Dated, c, data=base, column=(base.columns or ("",))[0], how="lagged")
    return None


def index_call(m: Machine, c: Site) -> Value | None:
    """`df.set_index("day")`."""
    base, names = c.receiver, names_in(c.arg("keys", 0))
    if base is not None and base.kind in ("data", "unknown") and names:
        m.emit(Dated, c, data=base, column=names[0], how="indexed")
        return in_place(m, c, m.derive(base, "set_index"))
    return None
