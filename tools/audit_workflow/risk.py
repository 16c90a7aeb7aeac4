"""Risk of findings: likelihood x impact, bounded, and never lowered by one more finding."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Final, Literal, TypeAlias

from mlops_advisor.tools.audit_workflow.rule import (
    CRITICAL,
    HIGH,
    INFO,
    LOW,
    MEDIUM,
    Finding,
    Severity,
)

Level: TypeAlias = Literal["none", "low", "medium", "high", "critical"]

IMPACT: Final = {CRITICAL: 40, HIGH: 15, MEDIUM: 5, LOW: 1, INFO: 0}
MEANING: Final = {
    CRITICAL: "Data, credentials or decisions are at risk now: stop and mend it before anything "
    "else. A leaked key, a model that learns the answer, the worst model chosen.",
    HIGH: "A result cannot be trusted, or production can fail or be abused: mend it before the "
    "next release. Leakage, an ungated deployment, a gate that gates nothing.",
    MEDIUM: "Makes failures likely, or makes them hard to notice or to undo: plan it.",
    LOW: "Costs time or clarity: mend it when you are there.",
    INFO: "Worth knowing; nothing is wrong.",
}
HALF: Final = 50  # points at which the score is 50
FORMULA: Final = (
    "points of a finding = impact (critical 40, high 15, medium 5, low 1, info 0) x confidence; "
    "the k-th highest of one rule counts 1/k; score = 100 x points / (points + 50), rounded; "
    "level: none 0, low to 14, medium to 39, high to 69, critical from 70"
)
_BANDS: Final[tuple[tuple[int, Level], ...]] = ((70, "critical"), (40, "high"), (15, "medium"))


def points(findings: Iterable[Finding]) -> float:
    """Sum the points of findings as FORMULA says."""
    by_rule: dict[str, list[float]] = defaultdict(list)
    for finding in findings:
        by_rule[finding.rule.id].append(IMPACT[finding.severity] * finding.confidence)
    return sum(
        worth / place
        for one in by_rule.values()
        for place, worth in enumerate(sorted(one, reverse=True), 1)
    )


def score(findings: Iterable[Finding]) -> int:
    """Score 0-100; at least 1 when there is any finding that counts."""
    total = points(findings)
    return max(1, round(100 * total / (total + HALF))) if total else 0


def level(value: int) -> Level:
    """Band of a score."""
    for least, name in _BANDS:
        if value >= least:
            return name
    return "low" if value else "none"


def worst(findings: Iterable[Finding]) -> Severity:
    """Worst severity among findings; info when there are none."""
    return max((f.severity for f in findings), key=lambda s: IMPACT[s], default=INFO)
