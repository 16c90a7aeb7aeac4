"""Turn the roadmap into recommendations and next steps."""

from __future__ import annotations

from collections.abc import Sequence

from mlops_advisor.tools.assess_maturity.case import Aim, Case
from mlops_advisor.tools.assess_maturity.gaps import describe
from mlops_advisor.tools.assess_maturity.merge import Merged
from mlops_advisor.tools.assess_maturity.models import (
    Contradiction,
    Phase,
    Question,
    RoadmapItem,
)
from mlops_advisor.tools.assess_maturity.scoring import Rubric
from mlops_advisor.tools.common.models import Priority, Recommendation

MOST_PRESSING = 5  # more than five things cannot all come first


def days(low: float, high: float) -> str:
    """Return an effort range in words."""
    return f"{low:g}-{high:g} person-days" if low != high else f"{low:g} person-days"


def recommend(case: Case, aim: Aim, phases: Sequence[Phase]) -> tuple[Recommendation, ...]:
    """Return one recommendation for each roadmap item, in order."""
    rubric, merged = case.rubric, case.merged
    cites = {p: f"{g.overlay}, {g.cite}" for g in reversed(aim.regimes) for p in g.practices}
    ids = {item.practice for phase in phases for item in phase.items}
    found: list[Recommendation] = []
    pressing = 0
    for number, phase in enumerate(phases):
        for item in phase.items:
            entry = rubric.practices[item.practice]
            priority = _priority(item, number, aim.urgent)
            if priority in {"critical", "high"}:
                pressing += 1
                if pressing > MOST_PRESSING:
                    priority = "medium"
            found.append(
                Recommendation(
                    id=item.practice,
                    priority=priority,
                    action=_action(entry.action, item),
                    rationale=_rationale(rubric, merged, item, cites),
                    estimated_effort=(
                        f"{days(item.effort_days.low, item.effort_days.high)} "
                        f"({entry.effort.basis})"
                    ),
                    effort_days=item.effort_days,
                    depends_on=tuple(p for p in item.prerequisites if p in ids),
                )
            )
    return tuple(found)


def _action(action: str, item: RoadmapItem) -> str:
    if not item.confirm_first:
        return action
    return f"Check first whether this is there already. If not: {action}"


def _priority(item: RoadmapItem, phase: int, urgent: frozenset[str]) -> Priority:
    if item.practice in urgent:
        return "critical"
    if phase == 0:
        return "medium" if item.confirm_first else "high"
    return "medium" if phase == 1 else "low"


def _rationale(rubric: Rubric, merged: Merged, item: RoadmapItem, cites: dict[str, str]) -> str:
    entry = rubric.practices[item.practice]
    why = describe(item.practice, merged)
    gap = f"{entry.title} {why}" if why else f"{entry.title}: nobody has said whether it is there"
    asked = f" Asked for by {cites[item.practice]}." if item.practice in cites else ""
    return f"{gap}.{asked} {entry.buys}"


def next_steps(
    phases: Sequence[Phase],
    questions: Sequence[Question],
    contradictions: Sequence[Contradiction],
) -> tuple[str, ...]:
    """Return what to do, in order: settle, answer, build, measure again."""
    steps: list[str] = []
    if contradictions:
        first = contradictions[0]
        steps.append(
            f"Settle {len(contradictions)} contradiction(s), first {first.practice}: "
            f"{first.one} - against - {first.other}."
        )
    if questions:
        steps.append(f"Answer the open questions, first: {questions[0].question}")
    if phases:
        for item in phases[0].items[:3]:
            check = "Check, and if missing build" if item.confirm_first else "Build"
            effort = days(item.effort_days.low, item.effort_days.high)
            steps.append(
                f"{check} '{item.title}' ({item.owner}, {effort}). Done when: {item.exit_test}"
            )
    steps.append("Assess again in 90 days and pass this result as `previous`.")
    return tuple(steps)
