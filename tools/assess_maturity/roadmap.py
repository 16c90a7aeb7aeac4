"""From gaps to phases: prerequisites first, most score for the effort, sized to the team."""

from __future__ import annotations

import heapq
from collections.abc import Mapping
from dataclasses import dataclass

from mlops_advisor.tools.assess_maturity.case import LACKING, Aim, Case
from mlops_advisor.tools.assess_maturity.models import Phase, RoadmapItem
from mlops_advisor.tools.assess_maturity.scoring import Known, Rubric, Standing, Step
from mlops_advisor.tools.common.models import EffortDays

SHARE = 0.3  # of working time that a team can give to its way of working; judgement
_DAYS_A_WEEK = 5
_PHASES = (("Now", 4), ("Next", 12), ("Later", 26))
_DONE = Known("automated", "response")


@dataclass(frozen=True, slots=True)
class Candidate:
    """A practice worth building: whether its absence is known, and how it ranks."""

    practice: str
    confirm_first: bool
    urgent: bool


class _Simulation:
    """Scores as items are done, one after the other."""

    def __init__(
        self,
        rubric: Rubric,
        known: Mapping[str, Known],
        standings: Mapping[str, Standing],
    ) -> None:
        self._rubric = rubric
        self._known = dict(known)
        self._standing = dict(standings)
        self._frequency = standings["deployment"].frequency
        self.scores = {d: s.score for d, s in standings.items()}

    @property
    def overall(self) -> float:
        return sum(self.scores.values()) / len(self.scores)

    def gain(self, practice: str) -> float:
        """Return the points of overall score that `practice` alone would bring, caps aside."""
        dimension = self._rubric.dimension_of[practice]
        now = self._standing[dimension]
        totals = list(now.points)
        for step, sign in ((self._step(practice), -1), (self._rubric.step(practice, _DONE), 1)):
            if step is None:
                continue
            for level in range(step.level, 5) if step.met else range(step.level):
                totals[level] += sign * step.points
        a, b, c, d, e = totals
        odds = self._rubric.odds((a, b, c, d, e), now.cap.below if now.cap else 5)
        after = 25.0 * sum(level * p for level, p in enumerate(odds))
        return max(0.0, after - self.scores[dimension]) / len(self.scores)

    def do(self, practice: str) -> float:
        """Mark `practice` as automated; return the points of overall score gained."""
        before = self.overall
        self._known[practice] = _DONE
        for dimension in self._touched(practice):
            standing = self._rubric.standing(dimension, self._known, self._frequency)
            self._standing[dimension] = standing
            self.scores[dimension] = standing.score
        return max(0.0, self.overall - before)

    def _touched(self, practice: str) -> set[str]:
        capped = {
            d for d, caps in self._rubric.caps.items() if any(c.needs == practice for c in caps)
        }
        return {self._rubric.dimension_of[practice], *capped}

    def _step(self, practice: str) -> Step | None:
        known = self._known.get(practice)
        return self._rubric.step(practice, known) if known else None


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
    """Order the candidates and cut them into phases; items that are too big for a phase wait."""
    rubric = case.rubric
    simulation = _Simulation(rubric, case.known, case.standings)
    waiting = _ordered(rubric, wanted, simulation)
    phases: list[Phase] = []
    done: set[str] = set()
    for name, weeks in _PHASES:
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
        items = tuple(_item(rubric, wanted, p, simulation.do(p)) for p in taken)
        phases.append(_phase(name, weeks, capacity, items, simulation.overall))
    return tuple(phases)


def _ordered(rubric: Rubric, wanted: Mapping[str, Candidate], simulation: _Simulation) -> list[str]:
    """Topological order; among what is free the urgent, known, low, most rewarding first."""
    key: dict[str, tuple[object, ...]] = {}
    blocked: dict[str, int] = {}
    unlocks: dict[str, list[str]] = {}
    for practice, candidate in wanted.items():
        entry = rubric.practices[practice]
        effort = (entry.effort.low + entry.effort.high) / 2
        key[practice] = (
            not candidate.urgent,
            candidate.confirm_first,
            entry.level,
            -round(simulation.gain(practice) / effort, 6),
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
        action=entry.action,
        confirm_first=wanted[practice].confirm_first,
        prerequisites=tuple(n for n in entry.prerequisites if n in wanted),
        effort_days=EffortDays(low=entry.effort.low, high=entry.effort.high),
        effort_basis=entry.effort.basis,
        owner=entry.owner,
        exit_test=entry.exit_test,
        score_gained=round(gained, 2),
    )


def _phase(
    name: str, weeks: int, capacity: float, items: tuple[RoadmapItem, ...], overall: float
) -> Phase:
    low = sum(i.effort_days.low for i in items)
    high = sum(i.effort_days.high for i in items)
    return Phase(
        name=name,
        weeks=weeks,
        capacity_days=capacity,
        items=items,
        effort_days=EffortDays(low=low, high=high),
        score_after=min(100, int(overall + 0.5)),
        exit="Every exit test of the phase passes and the assessment is run again with `previous`.",
    )
