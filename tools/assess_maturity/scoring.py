"""Odds of levels 0-4 per dimension, as in adaptive testing.

Every practice that is known adds integer points to some levels: met, to all levels at or above
its own; absent, to all below.  20 points make a level ten times as likely.  Points come from the
rubric; the sum is printed, so a reader can add it up.  Raising an answer only ever moves points
towards higher levels, therefore never lowers a score.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from mlops_advisor.resources.loaders import Knowledge
from mlops_advisor.resources.models import AnswerPoints, Cap

LEVELS = 5
Points = tuple[int, int, int, int, int]
MET = frozenset({"partly", "by_hand", "automated"})
# Sources that hint and settle nothing: the practice still counts as unknown for bounds, coverage
# and questions.
HINTS = frozenset({"file_configured", "document", "file_absent"})


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of a practice: the answer and the row of the rubric's point table."""

    answer: str
    source: str

    @property
    def settled(self) -> bool:
        """Tell knowledge from a hint."""
        return self.source not in HINTS


@dataclass(frozen=True, slots=True)
class Step:
    """Points that one fact adds: to levels >= `level` when met, below it when not."""

    what: str
    points: int
    level: int
    met: bool

    def text(self) -> str:
        """Return the step as printed in the result."""
        return f"{self.what} +{self.points} {'>=' if self.met else '<'}{self.level}"


@dataclass(frozen=True, slots=True)
class Standing:
    """The odds of one dimension and how they came about."""

    dimension: str
    points: Points
    odds: tuple[float, ...]
    steps: tuple[Step, ...]
    frequency: Points | None
    cap: Cap | None

    @property
    def score(self) -> float:
        """25 x the expected level, 0-100."""
        return 25.0 * sum(level * p for level, p in enumerate(self.odds))

    @property
    def level(self) -> int:
        """The most likely level; the lower one of equals."""
        return max(range(LEVELS), key=lambda level: (self.odds[level], -level))

    @property
    def confidence(self) -> float:
        """The probability of the named level."""
        return self.odds[self.level]

    def at_least(self, level: int) -> float:
        """Return the probability of `level` or more."""
        return math.fsum(self.odds[max(level, 0) :])


class Rubric:
    """The numbers of the rubric, arranged for quick sums."""

    def __init__(self, knowledge: Knowledge) -> None:
        """Arrange practices by dimension and points by source and answer."""
        rubric = knowledge.rubric
        self.prior: Points = rubric.prior
        self.decade = rubric.points_per_decade
        self.practices = knowledge.practices
        self.dimension_of = knowledge.dimension_of
        self.by_dimension: dict[str, tuple[str, ...]] = {
            d: tuple(p for p in knowledge.practices if knowledge.dimension_of[p] == d)
            for d in knowledge.dimensions
        }
        self.caps: dict[str, tuple[Cap, ...]] = {
            d: tuple(c for c in rubric.caps if c.dimension == d) for d in knowledge.dimensions
        }
        table = rubric.points
        self._points: dict[tuple[str, str], int] = {
            (source, answer): getattr(row, answer)
            for source in type(table).model_fields
            for row in (getattr(table, source),)
            for answer in AnswerPoints.model_fields
        }
        self.frequency: dict[str, Points] = {
            f.frequency: f.points for f in rubric.release_frequency
        }
        self.frequencies = rubric.release_frequency

    def step(self, practice: str, known: Known) -> Step | None:
        """Return the points that a known practice adds, or None when it says nothing."""
        entry = self.practices[practice]
        points = self._points[known.source, known.answer] * entry.weight
        if not points:
            return None
        return Step(practice, points, entry.level, known.answer in MET)

    def standing(
        self, dimension: str, known: Mapping[str, Known], frequency: Points | None = None
    ) -> Standing:
        """Return the odds of `dimension`; practices that are not in `known` add nothing."""
        totals = list(self.prior)
        steps: list[Step] = []
        for practice in self.by_dimension[dimension]:
            fact = known.get(practice)
            step = self.step(practice, fact) if fact is not None else None
            if step is None:
                continue
            steps.append(step)
            span = range(step.level, LEVELS) if step.met else range(step.level)
            for level in span:
                totals[level] += step.points
        if dimension != "deployment":
            frequency = None
        if frequency is not None:
            totals = [t + f for t, f in zip(totals, frequency, strict=True)]
        cap = self._cap(dimension, known)
        points = _five(totals)
        return Standing(
            dimension,
            points,
            self.odds(points, cap.below if cap else LEVELS),
            tuple(steps),
            frequency,
            cap,
        )

    def odds(self, points: Points, below: int = LEVELS) -> tuple[float, ...]:
        """Turn points into probabilities of levels 0-4; levels from `below` on get none."""
        top = max(points[:below])
        raw = [10.0 ** ((p - top) / self.decade) for p in points[:below]]
        total = math.fsum(raw)
        return tuple(r / total for r in raw) + (0.0,) * (LEVELS - below)

    def _cap(self, dimension: str, known: Mapping[str, Known]) -> Cap | None:
        # A file that was not found in one folder is no proof that the practice is absent.
        active = [
            cap
            for cap in self.caps[dimension]
            if (fact := known.get(cap.needs)) is not None
            and fact.answer == "no"
            and fact.source != "file_absent"
        ]
        return min(active, key=lambda cap: cap.below, default=None)

    def bounds(
        self,
        dimension: str,
        known: Mapping[str, Known],
        excluded: Iterable[str],
        frequency: Points | None,
    ) -> tuple[Standing, Standing]:
        """Return the standings with every unknown answered `no`, and `automated`."""
        low, high = dict(known), dict(known)
        left_out = frozenset(excluded)
        needed = (*self.by_dimension[dimension], *(c.needs for c in self.caps[dimension]))
        for practice in needed:
            fact = known.get(practice)
            if practice not in left_out and (fact is None or not fact.settled):
                low[practice] = _NO
                high[practice] = _YES
        slowest = self.frequencies[0].points if frequency is None else frequency
        fastest = self.frequencies[-1].points if frequency is None else frequency
        return (
            self.standing(dimension, low, slowest),
            self.standing(dimension, high, fastest),
        )

    def coverage(
        self, dimension: str, known: Mapping[str, Known], excluded: frozenset[str]
    ) -> float:
        """Return the share of weighted practices known, those that do not apply left out."""
        asked = [p for p in self.by_dimension[dimension] if p not in excluded]
        total = sum(self.practices[p].weight for p in asked)
        settled = [p for p in asked if p in known and known[p].settled]
        return sum(self.practices[p].weight for p in settled) / total if total else 1.0


_NO = Known("no", "response")
_YES = Known("automated", "response")


def _five(values: list[int]) -> Points:
    a, b, c, d, e = values
    return (a, b, c, d, e)


def named_level(levels: Iterable[int]) -> int:
    """Return the largest level that five of six dimensions reach and none misses by over one."""
    ordered = sorted(levels)
    return min(ordered[0] + 1, ordered[1])


def named_confidence(standings: Iterable[Standing], level: int) -> float:
    """Return the probability that the rule names `level`, dimensions being independent."""
    group = tuple(standings)
    value = _at_least(group, level) - _at_least(group, level + 1)
    return min(1.0, max(0.0, value))


def _at_least(group: tuple[Standing, ...], level: int) -> float:
    if level <= 0:
        return 1.0
    if level >= LEVELS:
        return 0.0
    reached = [s.at_least(level) for s in group]
    all_reached = math.prod(reached)
    one_short = math.fsum(
        s.odds[level - 1] * math.prod(r for j, r in enumerate(reached) if j != i)
        for i, s in enumerate(group)
    )
    return all_reached + one_short
