"""One assessment in the making: what was asked, what is known, what follows from it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from mlops_advisor.tools.assess_maturity.inputs import Read
from mlops_advisor.tools.assess_maturity.merge import Merged
from mlops_advisor.tools.assess_maturity.models import AssessMaturityInput, OverlayGap
from mlops_advisor.tools.assess_maturity.scoring import (
    Known,
    Rubric,
    Standing,
    named_level,
)
from mlops_advisor.tools.assess_maturity.target import Target
from mlops_advisor.tools.common.run import RunContext
from mlops_advisor.tools.evidence.models import Outcome

LACKING = frozenset({"no", "partly"})


@dataclass(frozen=True, slots=True)
class Case:
    """The scored facts of one request; standings and bounds by dimension."""

    request: AssessMaturityInput
    context: RunContext
    rubric: Rubric
    read: Read
    merged: Merged
    standings: Mapping[str, Standing]
    lows: Mapping[str, Standing]
    highs: Mapping[str, Standing]
    level: int
    confidence: float  # probability of the overall level, 0-1
    coverage: Mapping[str, float]  # share of weighted practices known, 0-1, by dimension

    @property
    def known(self) -> Mapping[str, Known]:
        """What is known of each practice."""
        return self.merged.known

    @property
    def undecided(self) -> bool:
        """Whether answers could still change the overall level."""
        low, high = (
            named_level(s.level for s in side.values()) for side in (self.lows, self.highs)
        )
        return low != high


@dataclass(frozen=True, slots=True)
class Aim:
    """Where to go: the target, per dimension, and what a regime or a cap makes urgent."""

    target: Target
    levels: Mapping[str, int]
    regimes: tuple[OverlayGap, ...]
    urgent: frozenset[str]


def aim_of(case: Case, target: Target, regimes: tuple[OverlayGap, ...]) -> Aim:
    """Return the aim: no dimension below where it is, governance as high as a regime asks."""
    asked = {
        p
        for gap in regimes
        if gap.status != "met"
        for p in gap.practices
        if p not in case.known or not case.known[p].settled or case.known[p].answer in LACKING
    }
    # A credential in a file is an incident, whatever the target.
    asked |= {
        f.practice
        for f in case.read.facts
        if f.practice == "secrets_managed" and f.outcome is Outcome.ABSENT and f.places
    }
    caps = {s.cap.needs for s in case.standings.values() if s.cap}
    levels = {
        d: max(target.governance if d == "governance" else target.level, s.level)
        for d, s in case.standings.items()
    }
    return Aim(target, levels, regimes, frozenset(asked | caps))
