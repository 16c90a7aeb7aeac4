"""Data of a time series are split at random

## What it does

Reports a random split (`train_test_split` with shuffling, `KFold`, `randomSplit` and
`CrossValidator` of Spark) of rows that are a series in time: the program, or the one that wrote the
table, sorts them by a date, makes the date their index, builds lags and rolling windows from them,
or the names of the features (`sales_lag_7`, `prev_amount`, `count_24h`) say so, in the module, in a
list that it imports or in its configuration.

## Why is this bad?

Rows of tomorrow are in the training set when the row of today is tested.  Neighbours in time are
alike, so the model looks much better than it will be on days that have not come yet.

## Known problems

A date column alone is no sign: many tables hold one that has nothing to do with what is predicted.
Names of features are weaker evidence than what the code does with the rows.

## Example

```python
df = df.sort_values("date")
df["lag_1"] = df["sales"].shift(1)
train, test = train_test_split(df, test_size=0.2, random_state=0)
```

## Use instead

```python
df = df.sort_values("date")
train, test = df[df["date"] < "2024-01-01"], df[df["date"] >= "2024-01-01"]
```
"""

from __future__ import annotations

from collections.abc import Iterator

from mlops_advisor.tools.audit_workflow.repo import AuditRepository
from mlops_advisor.tools.audit_workflow.rule import HIGH, Hit, rule
from mlops_advisor.tools.audit_workflow.rules._data_time import sign_of
from mlops_advisor.tools.audit_workflow.rules._dataflow import in_product, product, quoted
from mlops_advisor.tools.evidence.trace import Split, Trace
from mlops_advisor.tools.evidence.trace_library import ORDERED_FOLDS


@rule(
    "DM09",
    name="temporal-data-random-split",
    dimension="data_management",
    severity=HIGH,
    confidence=0.75,
    fix="Split at a date, or cross-validate with `TimeSeriesSplit`, so that every test row is later"
    " than every training row.",
    effort=(0.2, 0.5),
    sources=(
        "kapoor_narayanan: L3.1 temporal leakage",
        "rules_of_ml: Rule #33, data until January 5th, test on January 6th and after",
    ),
)
def temporal_data_random_split(repo: AuditRepository) -> Iterator[Hit]:
    """Report random splits of rows that are ordered in time."""
    seen: set[tuple[str, int]] = set()
    for trace in product(repo):
        for split in trace.of(Split):
            if not _mixes(split) or not in_product(split):
                continue
            hit = _hit(repo, trace, split)
            if hit is not None and (hit.path, hit.line) not in seen:
                seen.add((hit.path, hit.line))
                yield hit


def _mixes(split: Split) -> bool:
    """Tell whether later rows may train what earlier ones test."""
    if split.how == "slice" or any(v.sure and v.role == "test" for v in split.sources):
        return False
    maker = split.splitter
    if maker is not None and maker.last in ORDERED_FOLDS:
        return False
    folds = split.how == "folds" and maker is not None and maker.last.endswith("KFold")
    return split.shuffle == "yes" or folds


def _hit(repo: AuditRepository, trace: Trace, split: Split) -> Hit | None:
    sign = sign_of(repo, trace, split)
    if sign is None:
        return None
    maker = split.splitter
    own = maker is not None and maker.kind == "estimator" and maker.line > 0  # a search of Spark
    path, line = (maker.path, maker.line) if own and maker is not None else (split.path, split.line)
    what = maker.last if own and maker is not None else split.name.rpartition(".")[2]
    does = "shuffles" if split.shuffle == "yes" and not own else "makes folds of"
    return Hit(
        path,
        line,
        f"`{what}` {does} {quoted(trace, split.sources[0])}, whose rows are in time: {sign.how}."
        " Later rows train the model that is tested on earlier ones.",
        also=((sign.path, sign.line),),
        confidence=0.55 if sign.weak or split.shuffle != "yes" else None,
    )
