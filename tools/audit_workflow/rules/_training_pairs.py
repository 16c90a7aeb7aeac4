"""Settings that name a metric and, beside it, which way it is better."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final, NamedTuple

from mlops_advisor.tools.audit_workflow.rules._training_metrics import UP, direction, way_of

# Key of the metric, key of the direction.
_PAIRS: Final = (
    ("monitor", "mode"),
    ("metric", "mode"),
    ("metric_for_best_model", "greater_is_better"),
    ("optimized_metric", "direction"),
    ("objectiveMetricName", "type"),
    ("objective_metric_name", "objective_type"),
    ("MetricName", "Type"),
    ("metric_name", "goal"),
    ("metric", "goal"),
    ("name", "goal"),
    ("primary_metric", "goal"),
    ("primary_metric_name", "primary_metric_goal"),
    ("metric", "direction"),
    ("metric_name", "direction"),
    ("objective", "direction"),
    ("metric", "objective"),
    ("metric", "greater_is_better"),
    ("metric_name", "greater_is_better"),
    ("metric", "higher_is_better"),
    ("metric_name", "higher_is_better"),
    ("metric", "maximize"),
    ("metric_name", "mode"),
    ("eval_metric", "maximize"),
    ("score_name", "mode"),
    ("best_metric", "mode"),
    ("name", "direction"),
)
WAY_KEYS: Final = frozenset(way for _, way in _PAIRS)
_TRUE: Final = ("true", "yes", "1")
_FALSE: Final = ("false", "no", "0")


class Mismatch(NamedTuple):
    """A metric whose direction is set wrongly: the two keys, their values, what is right."""

    metric_key: str
    metric: str
    way_key: str
    way: str
    right: str


def mismatches(settings: Mapping[str, str]) -> Iterator[Mismatch]:
    """Find metrics and directions among settings, key to text, that do not fit each other."""
    for metric_key, way_key in _PAIRS:
        metric, set_to = settings.get(metric_key, ""), settings.get(way_key, "")
        if not metric or not set_to:
            continue
        right = direction(metric)
        said = _said(way_key, set_to)
        if right and said and right != said:
            yield Mismatch(metric_key, metric, way_key, set_to, _right(way_key, set_to, right))
            return


def _said(key: str, value: str) -> str:
    low = value.lower()
    if key in ("greater_is_better", "higher_is_better", "maximize"):
        return UP if low in _TRUE else "min" if low in _FALSE else ""
    return way_of(value)


def _right(key: str, value: str, right: str) -> str:
    if key in ("greater_is_better", "higher_is_better", "maximize"):
        text = f"{right == UP}"
        return text.lower() if value[:1].islower() else text
    if value.lower() in ("min", "max"):
        return right
    return f"{right}imize" if value[:1].islower() else f"{right.capitalize()}imize"
