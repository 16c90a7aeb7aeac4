"""Spark ML in `trace`: models that transform, evaluators, writers, windows over rows in time."""

from __future__ import annotations

import re
from typing import Final

from mlops_advisor.tools.evidence.trace_base import Site
from mlops_advisor.tools.evidence.trace_files import data_written, store
from mlops_advisor.tools.evidence.trace_fits import data_of
from mlops_advisor.tools.evidence.trace_library import sort_of
from mlops_advisor.tools.evidence.trace_model import (
    Dated,
    Load,
    Predict,
    Score,
    Value,
    ancestors,
)
from mlops_advisor.tools.evidence.trace_run import Machine

EVALUATOR: Final = re.compile(r"(?:^|\.)[A-Z]\w{1,40}Evaluator$")
LOADED: Final = re.compile(
    r"(?:^|\.)(?:PipelineModel|CrossValidatorModel|TrainValidationSplitModel"
    r"|\w{1,40}(?:Classification|Regression|KMeans|ALS)Model)\.(?:load|read\.load)$"
)
WRITERS: Final = frozenset("parquet csv json orc text save saveAsTable insertInto jdbc".split())
_CHAIN: Final = frozenset(("write", "overwrite", "option", "options", "mode", "format", "session"))
WINDOWED: Final = frozenset(("withColumn", "select", "with_columns"))
_LAGS: Final = ("lag", "lead", "shift", "rolling_mean", "rolling_sum")
_LINKS: Final = 8


def evaluator_call(m: Machine, c: Site) -> Value | None:
    """`BinaryClassificationEvaluator(...)`, and `evaluator.evaluate(predictions)`."""
    if c.callee is not None and c.callee.kind == "ref" and EVALUATOR.search(c.name):
        return m.make("object", c.name, options=c.named)
    base = c.receiver
    if c.last != "evaluate" or base is None or not c.args or not EVALUATOR.search(base.name):
        return None
    result = m.make("unknown", c.name, c.given)
    m.scores.add(result.id)
    m.emit(Score, c, values=c.args[:1], estimator=None, result=result)
    return result


def answer_call(m: Machine, c: Site) -> Value | None:
    """`model.transform(rows)` of Spark: what a model answers."""
    base, data = c.receiver, data_of(c)
    if c.last != "transform" or base is None or data is None or base.kind != "estimator":
        return None
    steps = list(base.steps())
    spark = any(s.name.startswith("pyspark.") for s in steps)
    loaded = bool(LOADED.search(base.name))
    if not loaded and not (spark and any(sort_of(s.name) == "model" for s in steps)):
        return None
    result = m.derive(data, c.last, maker=base, columns=())
    m.emit(Predict, c, estimator=base, data=data, result=result)
    return result


def loaded_call(m: Machine, c: Site) -> Value | None:
    """`PipelineModel.load(path)`."""
    if not LOADED.search(c.name):
        return None
    path = c.args[0].text if c.args else ""
    known = m.heap.get((0, f"saved:{path}")) if path else None
    made = known or m.make("estimator", c.name, c.args)
    m.emit(Load, c, value=made, source=path)
    return made


def writer_call(m: Machine, c: Site) -> Value | None:
    """`model.write().overwrite().save(path)`, `df.write.mode("append").parquet(path)`."""
    if c.last not in WRITERS or c.receiver is None:
        return None
    one, written = c.receiver, False
    for _ in range(_LINKS):
        name = one.last
        written = written or name == "write"
        if name not in _CHAIN or not one.parents:
            break
        one = one.parents[0]
    if not written:
        return None
    if one.kind == "estimator":
        return store(m, c, whole=False, more=(one,))
    return data_written(m, c, one) if one.kind == "data" else None


def window_call(m: Machine, c: Site) -> Value | None:
    """`df.withColumn("previous", F.lag("x").over(window))`: the rows are a series in time."""
    base = c.receiver
    if c.last not in WINDOWED or base is None:
        return None
    if base.kind in ("data", "unknown"):
        look = next((v for v in ancestors(c.given) if v.last in _LAGS), None)
        if look is not None:
            line = look.line or c.line
            m.emit_at(Dated, c.frame, line, look.name, data=base, column="", how="lagged")
    return None
