"""What tells that rows of a table follow each other in time: names, windows, order, writers."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

from mlops_advisor.tools.audit_workflow.repo import AuditRepository
from mlops_advisor.tools.audit_workflow.rules._called import called
from mlops_advisor.tools.audit_workflow.rules._data_frames import configured, text_list
from mlops_advisor.tools.audit_workflow.rules._dataflow import in_product, product, same_file
from mlops_advisor.tools.evidence.code import is_test_path
from mlops_advisor.tools.evidence.parse.python import dotted
from mlops_advisor.tools.evidence.repository import Repository, shared
from mlops_advisor.tools.evidence.trace import (
    Dated,
    Read,
    Sort,
    Split,
    Trace,
    Value,
    Write,
    ancestors,
    rows_of,
)
from mlops_advisor.tools.evidence.view import View

_DATE_WORDS: Final = frozenset("date time timestamp day month year week datetime ds ts".split())
# Names that say it alone, ...
_LAGGED: Final = re.compile(
    r"(?i)(?:^|_)(?:lag(?:s|ged)?_?\d{0,3}|rolling|(?:s|e|w)?ma_?\d{1,3}|ewma?|moving_av(?:era)?ge?)"
    r"(?:_|$)"
)
# ... and those that could mean something else: two of them do.
_LOOKS_BACK: Final = re.compile(
    r"(?i)^(?:prev|previous|yesterday)_\w|_(?:last|past|prev|prior)_?\d{0,3}[a-z]{0,6}$"
    r"|_(?![23]d$)\d{1,3}_?(?:min|h|hr|hrs|hours?|d|days?|w|weeks?)$|_t_?minus_?\d|_roll\d{0,3}$"
)
_DATED: Final = re.compile(
    r"(?i)^(?:\w{1,30}_)?(?:timestamp|datetime|event_?time|date)$|^(?:ts|ds|dt|event_ts)$"
)
_SEQUENCES: Final = re.compile(
    r"(?i)^(?:_?(?:create|make|build|get|generate)_(?:sequences?|windows?|lags?|lag_features"
    r"|rolling_features)|series_to_supervised|sliding_window_view|split_sequences?"
    r"|timeseries_dataset_from_array|TimeseriesGenerator)$"
)
_COLUMN_CALLS: Final = frozenset(("withColumn", "alias", "label", "with_columns"))
_TRACKED: Final = ("mlflow", "wandb", "runs", "experiment")
_LEAST: Final = 2
_MAX_NAMES: Final = 3_000
_MAX_NAME: Final = 80
_MIN_TABLE: Final = 6


class Sign(NamedTuple):
    """What says that rows are in time, and where."""

    path: str
    line: int
    how: str
    weak: bool = False


def sign_of(repo: AuditRepository, trace: Trace, split: Split) -> Sign | None:
    """Find what tells that the rows of a split are in time; None when nothing does."""
    return (
        _followed(trace, split)
        or _ordered(trace, split)
        or _said(repo, split.path)
        or _said(repo, trace.path)
        or _from_elsewhere(repo, trace, split)
        or _from_config(repo, split.path)
    )


def is_date(column: str) -> bool:
    """Tell whether a column is called like a date."""
    words = column.lower().replace("-", "_").split("_")
    return any(w in _DATE_WORDS for w in words) or column.lower().endswith(("date", "time"))


# --- what happens to the rows themselves ------------------------------------------------------


def _followed(trace: Trace, split: Split) -> Sign | None:
    rows = rows_of(*split.sources)
    dated = [
        e
        for e in trace.of(Dated)
        if e.order < split.order and e.data.rows in rows and not e.excludes(split)
    ]
    parsed = {e.column for e in dated if e.how == "parsed"}
    for event in dated:
        if event.how == "lagged":
            how = f"`{event.name.rpartition('.')[2]}` looks back at earlier ones"
            return Sign(event.path, event.line, how)
        if event.how == "indexed" and (event.column in parsed or is_date(event.column)):
            return Sign(event.path, event.line, f"`{event.column}` is their index")
    for sort in trace.of(Sort):
        if sort.order < split.order and sort.data.rows in rows:
            column = next((c for c in sort.columns if c in parsed or is_date(c)), "")
            if column:
                return Sign(sort.path, sort.line, f"they are sorted by `{column}`")
    return None


def _ordered(trace: Trace, split: Split) -> Sign | None:
    """Find a window of Spark, or another function, that orders rows by time in the module."""
    for sort in trace.of(Sort):
        column = next((c for c in sort.columns if _DATED.match(c)), "")
        if not column or sort.path != split.path:
            continue
        if _is_window(sort.data):
            return Sign(sort.path, sort.line, f"a window orders them by `{column}`")
        label = trace.label(sort.data, "").lower()
        tracked = any(v.name.startswith(_TRACKED) for v in ancestors((sort.data,)))
        if sort.entry != split.entry and not tracked and not any(w in label for w in _TRACKED):
            how = f"`{sort.function}` sorts such rows by `{column}`"
            return Sign(sort.path, sort.line, how, weak=True)
    return None


def _is_window(value: Value) -> bool:
    return any(
        v.name.startswith("pyspark.sql.") and ".Window" in v.name for v in ancestors((value,))
    )


# --- names ------------------------------------------------------------------------------------


def in_time(names: Iterable[str]) -> tuple[str, ...]:
    """Names of features that look back in time; empty when too few do."""
    found = [n for n in dict.fromkeys(names) if len(n) < _MAX_NAME]
    sure = [n for n in found if _LAGGED.search(n) and not n.isalpha()]
    if sure:
        return tuple(sure)
    hints = [n for n in found if _LOOKS_BACK.search(n)]
    return tuple(hints) if len(hints) >= _LEAST else ()


@shared
def _known(_repo: Repository) -> dict[str, Sign | None]:
    return {}


def _said(repo: AuditRepository, path: str) -> Sign | None:
    """Find names of features, or makers of sequences, in a module that say so."""
    known = _known(repo)
    if path not in known:
        view = repo.view(path)
        known[path] = _sign_in(view) if view is not None else None
    return known[path]


def _sign_in(view: View) -> Sign | None:
    lines: dict[str, int] = {}
    for name, line in _columns(view):
        lines.setdefault(name, line)
    found = in_time(lines)
    if found:
        shown = ", ".join(f"`{n}`" for n in found[:3])
        weak = not any(_LAGGED.search(n) for n in found)
        return Sign(view.path, lines[found[0]], f"features look back in time ({shown})", weak)
    for call in view.calls:
        if _SEQUENCES.match(called(call) or dotted(call.func)):
            how = f"`{dotted(call.func)}` cuts windows out of a series"
            return Sign(view.path, call.lineno, how)
    return None


def _columns(view: View) -> Iterator[tuple[str, int]]:
    """Names of columns that a module writes down, with their lines."""
    count = 0
    for node in (*view.of(ast.List), *view.of(ast.Tuple)):
        for name in text_list(node):
            yield name, node.lineno
            count += 1
        if count > _MAX_NAMES:
            return
    for subscript in view.of(ast.Subscript):
        if isinstance(subscript.slice, ast.Constant) and isinstance(subscript.slice.value, str):
            yield subscript.slice.value, subscript.lineno
    for call in view.calls:
        short = called(call)
        if short in _COLUMN_CALLS and call.args and isinstance(call.args[0], ast.Constant):
            yield str(call.args[0].value), call.lineno
        elif short == "assign":
            yield from ((k.arg, call.lineno) for k in call.keywords if k.arg)


# --- other places -----------------------------------------------------------------------------


def _from_elsewhere(repo: AuditRepository, trace: Trace, split: Split) -> Sign | None:
    """Look into modules that write what is split here, and those that list its features."""
    rows = rows_of(*split.sources)
    sources = [r.source for r in trace.of(Read) if r.source and r.value.rows in rows]
    for other in product(repo) if sources else ():
        if other.path == trace.path:
            continue
        for write in other.of(Write):
            if any(_same(s, write.target) for s in sources):
                sign = _looked_back(other, write) or _said(repo, write.path)
                if sign is not None:
                    return sign
    if not any(v.kind == "data" for v in split.sources):
        return None
    for path in sorted(repo.code.edges.get(split.path, ())):
        if not is_test_path(path) and (sign := _said(repo, path)) is not None:
            return sign
    return None


def _looked_back(trace: Trace, write: Write) -> Sign | None:
    rows = rows_of(write.value)
    for event in trace.of(Dated):
        if event.how == "lagged" and event.data.rows in rows and in_product(event):
            how = (
                f"`{event.name.rpartition('.')[2]}` looked back at earlier ones when they were made"
            )
            return Sign(event.path, event.line, how)
    return None


def _same(one: str, other: str) -> bool:
    """Tell whether two texts name one file or table."""
    if same_file(one, other):
        return True
    a, b = one.rstrip("/").rpartition("/")[2], other.rstrip("/").rpartition("/")[2]
    return a == b and len(a) >= _MIN_TABLE and "{}" not in a


@shared
def _keys(repo: Repository) -> frozenset[str]:
    return frozenset(n.key for n in configured(repo) if n.key)


def _from_config(repo: AuditRepository, path: str) -> Sign | None:
    """Find a list of features in a configuration whose key the module reads."""
    text = repo.text(path)
    keys = {k for k in _keys(repo) if k in text}
    places = [n for n in configured(repo) if n.key in keys] if keys else []
    folder = path.partition("/")[0]
    for named in places:
        near = len(places) == 1 or named.path.partition("/")[0] in (folder, named.path)
        found = in_time(named.names) if near else ()
        if found:
            shown = ", ".join(f"`{n}`" for n in found[:3])
            weak = not any(_LAGGED.search(n) for n in found)
            return Sign(named.path, named.line, f"features look back in time ({shown})", weak)
    return None
