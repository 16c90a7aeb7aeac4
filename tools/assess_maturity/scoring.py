"""Odds of levels 0-4 per dimension, as in adaptive testing.

Every practice that is known adds integer points to some levels: met, to all levels at or above
its own; absent, to all below.  20 points make a level ten times as likely.  Points come from the
rubric; the sum is printed, so a reader can add it up.  Raising an answer only ever moves points
towards higher levels, therefore never lowers a score.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from mlops_advisor.resources.loaders import Knowledge
from mlops_advisor.resources.models import AnswerPoints, Cap

LEVELS = 5
_HALF = 0.5
Points = tuple[int, int, int, int, int]  # of levels 0-4
Net = tuple[int, int, int, int]  # for having reached levels 1-4, against not having
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
    text: str  # as printed in the result


@dataclass(frozen=True, slots=True)
class Standing:
    """The odds of one dimension and how they came about.

    `score` is 25 x the expected level, 0-100.  `level` is the median level: as likely exceeded
    as missed, so that one strong claim cannot name it.  `reached[L]` is the probability of at
    least level L.
    """

    dimension: str
    base: Points  # prior, own practices and release frequency
    net: Net  # own practices alone
    carry: Net  # lent by the other dimensions
    lacking: Mapping[str, int]  # key practices that are absent, with their level
    points: Points
    odds: tuple[float, ...]
    reached: tuple[float, ...]
    score: float
    level: int
    steps: tuple[Step, ...]
    frequency: Points | None
    cap: Cap | None

    @property
    def confidence(self) -> float:
        """The probability of the named level."""
        return self.odds[self.level]

    def at_least(self, level: int) -> float:
        """Return the probability of `level` or more."""
        return self.reached[max(level, 0)] if level < LEVELS else 0.0

    def slopes(self) -> tuple[float, ...]:
        """Return, per level, the score gained per natural unit of log-odds on that level and up.

        The derivative of the expected level: its covariance with having reached the level.
        """
        found = [0.0] * LEVELS
        above = 0.0
        for level in range(LEVELS - 1, 0, -1):
            above += level * self.odds[level]
            found[level] = 25.0 * above - self.score * self.reached[level]
        return tuple(found)


Standings = dict[str, Standing]


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
        self.frequencies = rubric.release_frequency
        self._carry = rubric.carry
        self._steps: dict[tuple[str, str, str], Step | None] = {}
        no, yes = self._points["response", "no"], self._points["response", "automated"]
        # Per dimension: practice, level, and the points when it turns out absent or met.
        self._open = {
            d: tuple(
                (p.id, p.level, no * p.weight, yes * p.weight)
                for p in (knowledge.practices[name] for name in own)
            )
            for d, own in self.by_dimension.items()
        }
        most = max(self.prior) + sum(sum(map(abs, f.points)) for f in self.frequencies)
        most += 4 * LEVELS * rubric.carry.most
        most += 2 * max(self._points.values()) * len(self.practices)
        self._keys = {
            d: tuple(
                (name, self.practices[name].level)
                for name in own
                if self.practices[name].weight > 1
            )
            for d, own in self.by_dimension.items()
        }
        # Per dimension and kind (level, weight): the practices, for quick looks by kind.
        self.kinds: dict[str, dict[tuple[int, int], list[str]]] = {}
        for d, own in self.by_dimension.items():
            kinds = self.kinds.setdefault(d, {})
            for name in own:
                entry = knowledge.practices[name]
                kinds.setdefault((entry.level, entry.weight), []).append(name)
        self._share = [10.0 ** (-p / self.decade) for p in range(most + 1)]

    def points_of(self, source: str, answer: str) -> int:
        """Return the points of an answer for a practice of weight 1."""
        return self._points[source, answer]

    def step(self, practice: str, known: Known) -> Step | None:
        """Return the points that a known practice adds, or None when it says nothing."""
        key = (practice, known.source, known.answer)
        if key not in self._steps:
            entry = self.practices[practice]
            points = self._points[known.source, known.answer] * entry.weight
            met = known.answer in MET
            text = f"{practice} +{points} {'>=' if met else '<'}{entry.level}"
            self._steps[key] = Step(practice, points, entry.level, met, text) if points else None
        return self._steps[key]

    def assess(
        self,
        known: Mapping[str, Known],
        excluded: frozenset[str] = frozenset(),
        frequency: Points | None = None,
    ) -> tuple[Standings, Standings, Standings]:
        """Return the odds as they are, and with every unknown answered `no`, and `automated`.

        A hint (configured, claimed, not found) counts as unknown for the two bounds.
        """
        slowest = fastest = frequency
        if frequency is None:
            slowest, fastest = self.frequencies[0].points, self.frequencies[-1].points
        sides = tuple(
            dict(zip(self.by_dimension, column, strict=True))
            for column in zip(
                *(self._tallies(d, known, excluded) for d in self.by_dimension), strict=True
            )
        )
        now, low, high = sides
        return (
            self._standings(now, known, excluded, frequency, open_counts=False),
            self._standings(low, known, excluded, slowest, open_counts=True),
            self._standings(high, known, excluded, fastest, open_counts=False),
        )

    def _tallies(
        self, dimension: str, known: Mapping[str, Known], excluded: frozenset[str]
    ) -> tuple[_Tally, _Tally, _Tally]:
        now, low, high = _Tally(), _Tally(), _Tally()
        for practice, level, if_no, if_yes in self._open[dimension]:
            fact = known.get(practice)
            settled = False
            if fact is not None and (step := self.step(practice, fact)) is not None:
                now.steps.append(step)
                now.add(step)
                settled = fact.settled
                if settled:
                    low.add(step)
                    high.add(step)
            if not settled and practice not in excluded:
                low.down[level] += if_no
                high.up[level] += if_yes
        return now, low, high

    def _standings(
        self,
        tallies: Mapping[str, _Tally],
        known: Mapping[str, Known],
        excluded: frozenset[str],
        frequency: Points | None,
        *,
        open_counts: bool,
    ) -> Standings:
        nets = {d: t.net() for d, t in tallies.items()}
        total = total_of(nets.values())
        found: Standings = {}
        for dimension, tally in tallies.items():
            lacking = self._lacking_keys(dimension, known, excluded, open_counts=open_counts)
            own_frequency = frequency if dimension == "deployment" else None
            cap = self._cap(dimension, known, excluded, open_counts=open_counts)
            base = tally.points(self.prior, own_frequency)
            carry = self.carry(total, nets[dimension], min(lacking.values(), default=LEVELS))
            points = carried(base, carry)
            odds = self.odds(points, cap.below if cap else LEVELS)
            reached = _reached(odds)
            found[dimension] = Standing(
                dimension=dimension,
                base=base,
                net=nets[dimension],
                carry=carry,
                lacking=lacking,
                points=points,
                odds=odds,
                reached=reached,
                score=expected(odds),
                level=sum(1 for p in reached[1:] if p > _HALF),
                steps=tuple(tally.steps),
                frequency=own_frequency,
                cap=cap,
            )
        return found

    def carry(self, total: Sequence[int], own: Sequence[int], barrier: int) -> Net:
        """Return the points that the other dimensions lend, per level, within bounds.

        Practices go together: a team strong in five dimensions is seldom at zero in the sixth.
        Level 4 has to be shown and is never lent; nor is a level from `barrier` on, whose key
        practice is absent.  Truncating towards zero and clamping keep the order, so nothing
        raised can lower a score.
        """
        most, divisor = self._carry.most, self._carry.divisor
        lent = [0, 0, 0, 0]
        for at in range(LEVELS - 2):
            part = int((total[at] - own[at]) / divisor)
            if part > 0:
                lent[at] = min(part, most) if at + 1 < barrier else 0
            else:
                lent[at] = max(part, -most)
        a, b, c, d = lent
        return (a, b, c, d)

    def _lacking_keys(
        self,
        dimension: str,
        known: Mapping[str, Known],
        excluded: frozenset[str],
        *,
        open_counts: bool,
    ) -> dict[str, int]:
        """Return the key practices that are absent, or may be if `open_counts`, by level."""
        found: dict[str, int] = {}
        for practice, level in self._keys[dimension]:
            fact = known.get(practice)
            if fact is None:
                absent = open_counts
            else:
                absent = fact.answer == "no" or (open_counts and not fact.settled)
            if absent and practice not in excluded:
                found[practice] = level
        return found

    def _cap(
        self,
        dimension: str,
        known: Mapping[str, Known],
        excluded: frozenset[str],
        *,
        open_counts: bool,
    ) -> Cap | None:
        """Return the lowest cap whose prerequisite is absent, or may be if `open_counts`."""
        if not self.caps[dimension]:
            return None
        active = [
            cap
            for cap in self.caps[dimension]
            if cap.needs not in excluded and _absent(known.get(cap.needs), open_counts=open_counts)
        ]
        return min(active, key=lambda cap: cap.below, default=None)

    def odds(self, points: Points, below: int = LEVELS) -> tuple[float, ...]:
        """Turn points into probabilities of levels 0-4; levels from `below` on get none."""
        allowed = points if below == LEVELS else points[:below]
        top = max(allowed)
        share = self._share
        raw = [share[top - p] for p in allowed]
        total = sum(raw)
        odds = [r / total for r in raw]
        odds.extend([0.0] * (LEVELS - below))
        return tuple(odds)

    def coverage(
        self, dimension: str, known: Mapping[str, Known], excluded: frozenset[str]
    ) -> float:
        """Return the share of weighted practices known, those that do not apply left out."""
        total = settled = 0
        for practice in self.by_dimension[dimension]:
            if practice in excluded:
                continue
            weight = self.practices[practice].weight
            total += weight
            if (fact := known.get(practice)) is not None and fact.settled:
                settled += weight
        return settled / total if total else 1.0


def _absent(fact: Known | None, *, open_counts: bool) -> bool:
    """Absence is certain only when told; a file not found in one folder is no proof of it."""
    if fact is None or not fact.settled:
        return open_counts
    return fact.answer == "no"


class _Tally:
    """Sums of points: `up[L]` goes to levels from L on, `down[L]` to the levels below L."""

    __slots__ = ("down", "steps", "up")

    def __init__(self) -> None:
        self.steps: list[Step] = []
        self.up = [0] * (LEVELS + 1)
        self.down = [0] * (LEVELS + 1)

    def add(self, step: Step) -> None:
        side = self.up if step.met else self.down
        side[step.level] += step.points

    def net(self) -> Net:
        """Return, for levels 1-4, the points for having reached them less those against."""
        up, down = self.up, self.down
        return (up[1] - down[1], up[2] - down[2], up[3] - down[3], up[4] - down[4])

    def points(self, prior: Points, frequency: Points | None) -> Points:
        """Return the points of levels 0-4."""
        up, down = self.up, self.down
        rising = [0] * LEVELS
        total = 0
        for level in range(LEVELS):
            total += up[level]
            rising[level] = prior[level] + total
        total = 0
        for level in range(LEVELS - 1, -1, -1):
            total += down[level + 1]
            rising[level] += total
        if frequency is not None:
            rising = [r + f for r, f in zip(rising, frequency, strict=True)]
        a, b, c, d, e = rising
        return (a, b, c, d, e)


def _reached(odds: tuple[float, ...]) -> tuple[float, ...]:
    a, b, c, d, e = odds
    return (a + b + c + d + e, b + c + d + e, c + d + e, d + e, e)


def expected(odds: tuple[float, ...]) -> float:
    """Return 25 x the expected level, 0-100."""
    _, b, c, d, e = odds
    return min(100.0, 25.0 * b + 50.0 * c + 75.0 * d + 100.0 * e)


_NOTHING_LENT: Net = (0, 0, 0, 0)


def carried(points: Points, carry: Net) -> Points:
    """Return `points` with what the other dimensions lend: to levels from L on, or below L."""
    if not any(carry):
        return points
    changed = list(points)
    up = down = 0
    for level in range(1, LEVELS):
        up += max(0, carry[level - 1])
        changed[level] += up
    for level in range(LEVELS - 1, 0, -1):
        down -= min(0, carry[level - 1])
        changed[level - 1] += down
    a, b, c, d, e = changed
    return (a, b, c, d, e)


def total_of(nets: Iterable[Sequence[int]]) -> Net:
    """Return the sum of nets, level by level."""
    a, b, c, d = (sum(column) for column in zip(*nets, strict=True))
    return (a, b, c, d)


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
    one_short = sum(
        s.odds[level - 1] * math.prod(r for j, r in enumerate(reached) if j != i)
        for i, s in enumerate(group)
    )
    return all_reached + one_short
