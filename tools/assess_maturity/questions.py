"""Which questions tell most: expected information over the odds, as in adaptive testing.

A practice of level L with points w is answered yes with probability r/(1+r) by a team at L or
above and 1/(1+r) by one below, with r = 10^(w/20).  The information of its answer about the level
is then h(q) - h(r/(1+r)), where q is the probability of a yes under the present odds and h the
binary entropy in bits.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice

from mlops_advisor.tools.assess_maturity.case import Case
from mlops_advisor.tools.assess_maturity.scoring import Rubric, Standing

PER_DIMENSION = 3  # content balancing: a list that asks about one dimension only tells little
ANSWERS = ("no", "partly", "by_hand", "automated", "not_applicable", "unknown")


@dataclass(frozen=True, slots=True)
class Ranked:
    """A practice worth asking about, and the bits its answer is expected to tell."""

    practice: str
    dimension: str
    bits: float


def entropy(q: float) -> float:
    """Return the binary entropy of `q` in bits."""
    if q <= 0.0 or q >= 1.0:
        return 0.0
    return -(q * math.log2(q) + (1 - q) * math.log2(1 - q))


@lru_cache(maxsize=256)
def _yes(points: int, decade: int) -> tuple[float, float]:
    ratio = 10.0 ** (points / decade)
    chance = ratio / (1.0 + ratio)
    return chance, entropy(chance)


def information(standing: Standing, level: int, points: int, decade: int) -> float:
    """Return the expected bits that a yes/no on a practice of `level` tells about the level."""
    chance, noise = _yes(points, decade)
    reached = standing.at_least(level)
    yes = chance * reached + (1.0 - chance) * (1.0 - reached)
    return max(0.0, entropy(yes) - noise)


def rank(case: Case, *, limit: int) -> tuple[Ranked, ...]:
    """Return what to ask, the most informative first, at most PER_DIMENSION of a dimension."""
    rubric, known, excluded = case.rubric, case.known, case.merged.excluded
    key_only = case.request.options.scope == "minimal"
    points = {w: _points(rubric, w) for w in (1, 2)}
    # Who has said "unknown" once is not asked again.
    asked = {r.practice for r in case.request.responses if r.answer == "unknown"}
    # Among equals the first of every dimension comes before the second of any.
    found: list[tuple[float, int, int, str, str]] = []
    for number, (dimension, standing) in enumerate(case.standings.items()):
        told = sorted(
            (-round(information(standing, level, points[weight], rubric.decade), 9), level, names)
            for (level, weight), names in rubric.kinds[dimension].items()
            if weight > 1 or not key_only
        )
        open_ones = (
            (bits, p)
            for bits, _, names in told
            for p in names
            if p not in excluded and p not in asked and not (p in known and known[p].settled)
        )
        found.extend(
            (bits, place, number, p, dimension)
            for place, (bits, p) in enumerate(islice(open_ones, PER_DIMENSION))
        )
    found.sort()
    return tuple(Ranked(p, dimension, -bits) for bits, _, _, p, dimension in found[:limit])


def _points(rubric: Rubric, weight: int) -> int:
    return rubric.points_of("response", "automated") * weight
