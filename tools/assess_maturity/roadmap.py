"""From gaps to phases: prerequisites first, most score for the effort, sized to the team."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import inf

from mlops_advisor.tools.assess_maturity.case import LACKING, Aim, Case
from mlops_advisor.tools.assess_maturity.models import Phase, RoadmapItem
from mlops_advisor.tools.assess_maturity.scoring import (
    LEVELS,
    Known,
    Rubric,
    Step,
    expected,
    total_of,
)
from mlops_advisor.tools.common.models import EffortDays

SHARE = 0.3  # of working time that a team can give to its way of working; judgement
_DAYS_A_WEEK = 5
_PHASES = (("Now", 4, 6), ("Next", 12, 4), ("Later", 26, 3))  # weeks, items of a summary
_AT_ONCE = {"Now": 8, "Next": 16}  # items: more at a time are started and not finished
_WORTH = 0.02  # reward below which a step is left out unless something else needs it
_EXIT = "Every exit test of the phase passes and the assessment is run again with `previous`."
_DONE = Known("automated", "response")


@dataclass(frozen=True, slots=True)
class Candidate:
    """A practice worth building: whether its absence is known, and how it ranks."""

    practice: str
    confirm_first: bool
    urgent: bool


class _Simulation:
    """Scores as items are done, one after the other.

    Only differences between levels matter to odds, so points against the levels below are kept
    as points for the levels above: a step is one addition per level.
    """

    def __init__(self, case: Case) -> None:
        self._rubric = case.rubric
        self._known = case.known
        self._base = {d: list(s.base) for d, s in case.standings.items()}
        self._nets = {d: list(s.net) for d, s in case.standings.items()}
        self._total = list(total_of(self._nets.values()))
        self._caps = {d: s.cap for d, s in case.standings.items()}
        self._lacking = {d: dict(s.lacking) for d, s in case.standings.items()}
        self._scores = {d: s.score for d, s in case.standings.items()}

    @property
    def overall(self) -> float:
        """The overall score, 0-100."""
        return sum(self._scores.values()) / len(self._scores)

    def do(self, practices: Iterable[str]) -> float:
        """Mark practices as automated; return the points of overall score gained."""
        before, rubric = self.overall, self._rubric
        done = set(practices)
        for practice in done:
            known, met = self._known.get(practice), rubric.step(practice, _DONE)
            won = _for(met) - (_for(rubric.step(practice, known)) if known is not None else 0)
            dimension, level = rubric.dimension_of[practice], rubric.practices[practice].level
            self._lacking[dimension].pop(practice, None)
            base = self._base[dimension]
            for higher in range(level, LEVELS):
                base[higher] += won
            self._nets[dimension][level - 1] += won
            self._total[level - 1] += won
        for dimension, cap in self._caps.items():
            if cap is not None and cap.needs in done:
                self._caps[dimension] = None
            self._scores[dimension] = self._score(dimension)
        return max(0.0, self.overall - before)

    def _score(self, dimension: str) -> float:
        a, b, c, d, e = self._base[dimension]
        barrier = min(self._lacking[dimension].values(), default=LEVELS)
        one, two, three, _ = self._rubric.carry(self._total, self._nets[dimension], barrier)
        two += one
        three += two
        cap = self._caps[dimension]
        points = (a, b + one, c + two, d + three, e + three)
        return expected(self._rubric.odds(points, cap.below if cap else LEVELS))


def _for(step: Step | None) -> int:
    """Return the points that a step speaks for its level; negative when it speaks against."""
    if step is None:
        return 0
    return step.points if step.met else -step.points


def candidates(case: Case, aim: Aim) -> dict[str, Candidate]:
    """Return what to build up to the target of each dimension, with all that it rests on."""
    rubric, known, excluded = case.rubric, case.known, case.merged.excluded
    found: dict[str, Candidate] = {}
    for practice, entry in rubric.practices.items():
        dimension = rubric.dimension_of[practice]
        if practice in excluded or entry.level > aim.levels[dimension]:
            continue
        state = known.get(practice)
        if state is not None and (state.settled or state.source == "file_configured"):
            wanted = state.answer in LACKING or (
                state.answer == "by_hand" and entry.weight > 1 and entry.level > 1
            )
            confirm = False
        else:
            wanted = practice in aim.urgent or (
                entry.weight > 1 and entry.level <= case.standings[dimension].level + 1
            )
            confirm = True
        if wanted:
            found[practice] = Candidate(practice, confirm, practice in aim.urgent)
    pending = list(found.values())
    while pending:
        later = pending.pop()
        for needed in rubric.practices[later.practice].prerequisites:
            state = known.get(needed)
            there = state is not None and state.settled and state.answer not in LACKING
            old = found.get(needed)
            # What something urgent rests on is urgent itself.
            if needed in excluded or there or (old and old.urgent >= later.urgent):
                continue
            confirm = not (state is not None and state.settled)
            found[needed] = Candidate(needed, confirm, later.urgent)
            pending.append(found[needed])
    return found


def build(case: Case, wanted: Mapping[str, Candidate], team_size: int) -> tuple[Phase, ...]:
    """Order the candidates and cut them into phases; items that are too big for a phase wait.

    With `detail: summary` only the first items of a phase are spelled out; its sums hold all.
    """
    rubric = case.rubric
    summary = case.request.options.detail == "summary"
    simulation = _Simulation(case)
    rewards = _rewards(case, wanted)
    wanted = _worthwhile(rubric, wanted, rewards)
    waiting = _ordered(rubric, wanted, rewards)
    phases: list[Phase] = []
    done: set[str] = set()
    for name, weeks, listed in _PHASES:
        last = name == _PHASES[-1][0]
        capacity = round(team_size * weeks * _DAYS_A_WEEK * SHARE, 1)
        limits = (inf, len(waiting)) if last else (capacity, _AT_ONCE[name])
        taken, waiting = _fill(rubric, wanted, waiting, done, limits)
        if not taken and waiting and not phases:
            smallest = min(
                (p for p in waiting if _ready(rubric, wanted, p, done)),
                key=lambda p: (rubric.practices[p].effort.high, waiting.index(p)),
            )
            taken = [smallest]
            waiting.remove(smallest)
        if not taken:
            continue
        done.update(taken)
        efforts = [rubric.practices[p].effort for p in taken]
        shown = taken[:listed] if summary else taken
        gained, whole = simulation.do(taken), sum(rewards[p] for p in taken)
        items = tuple(
            _item(rubric, wanted, p, gained * rewards[p] / whole if whole else 0.0) for p in shown
        )
        phases.append(
            Phase(
                name=name,
                weeks=weeks,
                capacity_days=capacity,
                items=items,
                items_in_all=len(taken),
                effort_days=EffortDays(
                    low=sum(e.low for e in efforts), high=sum(e.high for e in efforts)
                ),
                score_after=min(100, int(simulation.overall + 0.5)),
                exit=_EXIT,
            )
        )
    return tuple(phases)


def _worthwhile(
    rubric: Rubric, wanted: Mapping[str, Candidate], rewards: Mapping[str, float]
) -> Mapping[str, Candidate]:
    """Leave out what gains next to nothing, unless it is urgent or something kept rests on it."""
    kept = {p for p, c in wanted.items() if c.urgent or rewards[p] >= _WORTH}
    pending = list(kept)
    while pending:
        for needed in rubric.practices[pending.pop()].prerequisites:
            if needed in wanted and needed not in kept:
                kept.add(needed)
                pending.append(needed)
    return {p: c for p, c in wanted.items() if p in kept}


def _rewards(case: Case, wanted: Mapping[str, Candidate]) -> dict[str, float]:
    """Return, per candidate, the slope of the score times the points to win."""
    rubric = case.rubric
    slopes = {d: s.slopes() for d, s in case.standings.items()}
    found: dict[str, float] = {}
    for practice in wanted:
        step, known = rubric.step(practice, _DONE), case.known.get(practice)
        points = step.points if step else 0
        points -= _for(rubric.step(practice, known)) if known is not None else 0
        level = rubric.practices[practice].level
        found[practice] = slopes[rubric.dimension_of[practice]][level] * points
    return found


def _ordered(
    rubric: Rubric, wanted: Mapping[str, Candidate], rewards: Mapping[str, float]
) -> list[str]:
    """Topological order; among what is free the known gaps, urgent, rewarding first."""
    key: dict[str, tuple[object, ...]] = {}
    blocked: dict[str, int] = {}
    unlocks: dict[str, list[str]] = {}
    for practice, candidate in wanted.items():
        entry = rubric.practices[practice]
        key[practice] = (
            candidate.confirm_first,
            not candidate.urgent,
            -round(rewards[practice] / (entry.effort.low + entry.effort.high), 6),
            practice,
        )
        needs = [n for n in entry.prerequisites if n in wanted]
        blocked[practice] = len(needs)
        for needed in needs:
            unlocks.setdefault(needed, []).append(practice)
    heap = [(key[p], p) for p, count in blocked.items() if not count]
    heapq.heapify(heap)
    order: list[str] = []
    while heap:
        _, practice = heapq.heappop(heap)
        order.append(practice)
        for next_one in unlocks.get(practice, ()):
            blocked[next_one] -= 1
            if not blocked[next_one]:
                heapq.heappush(heap, (key[next_one], next_one))
    return order


def _ready(rubric: Rubric, wanted: Mapping[str, Candidate], practice: str, done: set[str]) -> bool:
    return all(n in done or n not in wanted for n in rubric.practices[practice].prerequisites)


def _fill(
    rubric: Rubric,
    wanted: Mapping[str, Candidate],
    waiting: list[str],
    done: set[str],
    limits: tuple[float, int],
) -> tuple[list[str], list[str]]:
    taken: list[str] = []
    left: list[str] = []
    capacity, most = limits
    have = set(done)
    used = 0.0
    for practice in waiting:
        high = rubric.practices[practice].effort.high
        fits = used + high <= capacity and len(taken) < most
        if fits and _ready(rubric, wanted, practice, have):
            taken.append(practice)
            have.add(practice)
            used += high
        else:
            left.append(practice)
    return taken, left


def _item(
    rubric: Rubric, wanted: Mapping[str, Candidate], practice: str, gained: float
) -> RoadmapItem:
    entry = rubric.practices[practice]
    return RoadmapItem(
        practice=practice,
        title=entry.title,
        confirm_first=wanted[practice].confirm_first,
        prerequisites=tuple(n for n in entry.prerequisites if n in wanted),
        effort_days=EffortDays(low=entry.effort.low, high=entry.effort.high),
        owner=entry.owner,
        exit_test=entry.exit_test,
        score_gained=round(gained, 2),
    )
