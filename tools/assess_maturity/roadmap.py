"""From gaps to phases: prerequisites first, most score for the effort, sized to the team."""

from __future__ import annotations

import heapq
from collections.abc import Mapping
from dataclasses import dataclass

from mlops_advisor.tools.assess_maturity.case import LACKING, Aim, Case
from mlops_advisor.tools.assess_maturity.models import Phase, RoadmapItem
from mlops_advisor.tools.assess_maturity.scoring import (
    LEVELS,
    Known,
    Net,
    Rubric,
    Step,
    carried,
    expected,
    shifted,
    total_of,
)
from mlops_advisor.tools.common.models import EffortDays

SHARE = 0.3  # of working time that a team can give to its way of working; judgement
_DAYS_A_WEEK = 5
_PHASES = (("Now", 4, 6), ("Next", 12, 4), ("Later", 26, 3))  # weeks, items of a summary
_EXIT = "Every exit test of the phase passes and the assessment is run again with `previous`."
_DONE = Known("automated", "response")


@dataclass(frozen=True, slots=True)
class Candidate:
    """A practice worth building: whether its absence is known, and how it ranks."""

    practice: str
    confirm_first: bool
    urgent: bool


class _Simulation:
    """Scores as items are done, one after the other."""

    def __init__(self, case: Case) -> None:
        self._rubric = case.rubric
        self._known = case.known
        self._base = {d: s.base for d, s in case.standings.items()}
        self._nets = {d: s.net for d, s in case.standings.items()}
        self._total = total_of(self._nets.values())
        self._carry = {d: s.carry for d, s in case.standings.items()}
        self._caps = {d: s.cap for d, s in case.standings.items()}
        self._scores = {d: s.score for d, s in case.standings.items()}

    @property
    def overall(self) -> float:
        """The overall score, 0-100."""
        return sum(self._scores.values()) / len(self._scores)

    def do(self, *practices: str) -> float:
        """Mark practices as automated; return the points of overall score gained."""
        before = self.overall
        touched: set[str] = set()
        for practice in practices:
            touched |= self._apply(practice)
            for capped, cap in self._caps.items():
                if cap is not None and cap.needs == practice:
                    self._caps[capped] = None
                    touched.add(capped)
        for dimension in touched:
            cap = self._caps[dimension]
            points = carried(self._base[dimension], self._carry[dimension])
            odds = self._rubric.odds(points, cap.below if cap else LEVELS)
            self._scores[dimension] = expected(odds)
        return max(0.0, self.overall - before)

    def _apply(self, practice: str) -> set[str]:
        """Add the points of one practice; return the dimensions whose points change."""
        dimension = self._rubric.dimension_of[practice]
        done, known = self._rubric.step(practice, _DONE), self._known.get(practice)
        now = self._rubric.step(practice, known) if known is not None else None
        base = shifted(shifted(self._base[dimension], now, -1), done, 1)
        self._base[dimension] = base
        won = (done.points if done else 0) - _for(now)
        at = self._rubric.practices[practice].level - 1
        self._nets[dimension] = _raised(self._nets[dimension], at, won)
        self._total = _raised(self._total, at, won)
        touched = {dimension}
        if at == LEVELS - 2:
            return touched  # level 4 is never lent
        for other, carry in self._carry.items():
            # Only what is lent for this level can have changed.
            lent = self._rubric.lent(self._total[at] - self._nets[other][at])
            if lent != carry[at]:
                self._carry[other] = _raised(carry, at, lent - carry[at])
                touched.add(other)
        return touched


def _raised(net: Net, at: int, points: int) -> Net:
    changed = list(net)
    changed[at] += points
    a, b, c, d = changed
    return (a, b, c, d)


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
    waiting = _ordered(case, wanted)
    phases: list[Phase] = []
    done: set[str] = set()
    for name, weeks, listed in _PHASES:
        last = name == _PHASES[-1][0]
        capacity = round(team_size * weeks * _DAYS_A_WEEK * SHARE, 1)
        taken, waiting = _fill(rubric, wanted, waiting, done, None if last else capacity)
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
        items = tuple(_item(rubric, wanted, p, simulation.do(p)) for p in shown)
        simulation.do(*taken[len(shown) :])
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


def _ordered(case: Case, wanted: Mapping[str, Candidate]) -> list[str]:
    """Topological order; among what is free the known gaps, urgent, low, rewarding first.

    The reward is the slope of the score times the points to win, per person-day.
    """
    rubric = case.rubric
    slopes = {d: s.slopes() for d, s in case.standings.items()}
    key: dict[str, tuple[object, ...]] = {}
    blocked: dict[str, int] = {}
    unlocks: dict[str, list[str]] = {}
    for practice, candidate in wanted.items():
        entry = rubric.practices[practice]
        step, known = rubric.step(practice, _DONE), case.known.get(practice)
        points = step.points if step else 0
        points -= _for(rubric.step(practice, known)) if known is not None else 0
        reward = slopes[rubric.dimension_of[practice]][entry.level] * points
        key[practice] = (
            candidate.confirm_first,
            not candidate.urgent,
            entry.level,
            -round(reward / (entry.effort.low + entry.effort.high), 6),
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
    capacity: float | None,
) -> tuple[list[str], list[str]]:
    taken: list[str] = []
    left: list[str] = []
    have = set(done)
    used = 0.0
    for practice in waiting:
        high = rubric.practices[practice].effort.high
        fits = capacity is None or used + high <= capacity
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
