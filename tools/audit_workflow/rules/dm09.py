"""Data of a time series are split at random

## What it does

Reports a random split (`train_test_split` with shuffling, a shuffled `KFold`) of rows that the same
program treats as a series in time: it sorts them by a date, makes the date their index, or builds
lags and rolling windows from them.

## Why is this bad?

Rows of tomorrow are in the training set when the row of today is tested.  Neighbours in time are
alike, so the model looks much better than it will be on days that have not come yet.

## Known problems

A date column alone is no sign: many tables hold one that has nothing to do with what is predicted.

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
from typing import Final

from mlops_advisor.tools.audit_workflow.repo import AuditRepository
from mlops_advisor.tools.audit_workflow.rule import HIGH, Hit, rule
from mlops_advisor.tools.audit_workflow.rules._dataflow import (
    in_product,
    product,
    quoted,
)
from mlops_advisor.tools.evidence.trace import Dated, Event, Sort, Split, Trace, rows_of

_DATE_WORDS: Final = ("date", "time", "timestamp", "day", "month", "year", "week", "datetime", "ds")


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
            if split.how == "slice" or split.shuffle != "yes" or not in_product(split):
                continue
            sign = _sign(trace, split)
            if sign is not None and (split.path, split.line) not in seen:
                seen.add((split.path, split.line))
                event, how = sign
                yield Hit(
                    split.path,
                    split.line,
                    f"`{split.name.rpartition('.')[2]}` shuffles {quoted(trace, split.sources[0])},"
                    f" whose rows are in time: {how}. Later rows train the model that is tested"
                    " on earlier ones.",
                    also=((event.path, event.line),),
                )


def _sign(trace: Trace, split: Split) -> tuple[Event, str] | None:
    rows = rows_of(*split.sources)
    dated = [
        e
        for e in trace.of(Dated)
        if e.order < split.order and e.data.rows in rows and not e.excludes(split)
    ]
    parsed = {e.column for e in dated if e.how == "parsed"}
    for event in dated:
        if event.how == "lagged":
            return event, f"`{event.name.rpartition('.')[2]}` looks back at earlier ones"
        if event.how == "indexed" and (event.column in parsed or _is_date(event.column)):
            return event, f"`{event.column}` is their index"
    for sort in trace.of(Sort):
        if sort.order < split.order and sort.data.rows in rows:
            column = next((c for c in sort.columns if c in parsed or _is_date(c)), "")
            if column and (parsed or _is_date(column)):
                return sort, f"they are sorted by `{column}`"
    return None


def _is_date(column: str) -> bool:
    words = column.lower().replace("-", "_").split("_")
    return any(w in _DATE_WORDS for w in words) or column.lower().endswith(("date", "time"))
