"""How high to aim: the level that the risk of the models justifies, not the highest there is."""

from __future__ import annotations

from dataclasses import dataclass

from mlops_advisor.tools.common.models import Assumption, Context

_SMALL_TEAM = 3
_LARGE_TEAM = 20
# Regimes whose requirements sit at governance level 3 (risk class, independent review, cards).
_STRICT = frozenset({"eu_ai_act_high_risk", "sr_11_7", "iso_42001", "hipaa", "fedramp"})


@dataclass(frozen=True, slots=True)
class Target:
    """The level to aim at, overall and for governance, and why."""

    level: int
    governance: int
    why: str
    assumptions: tuple[Assumption, ...]
    warnings: tuple[str, ...]


def choose(context: Context, asked: int | None, current: int) -> Target:
    """Return the target: never below the current level, justified by criticality and workload."""
    assumptions: list[Assumption] = []
    warnings: list[str] = []
    live = sorted({"online", "streaming", "edge", "llm"} & set(context.workloads))
    criticality = context.criticality
    if criticality is None:
        criticality = "medium" if live else "low"
        assumptions.append(
            Assumption(
                field="context.criticality",
                value=criticality,
                why=f"not given; workloads: {', '.join(context.workloads) or 'not given'}",
            )
        )
    level, why = _justified(criticality, live, context.team_size)
    if asked is not None:
        if asked > level:
            warnings.append(
                f"target_level {asked} is above level {level}, which the risk justifies ({why}); "
                "the extra levels cost effort that nothing given here asks for"
            )
        level, why = asked, "asked for"
    strict = sorted(_STRICT & set(context.compliance))
    if current > level:
        level, why = current, f"the team is already there; the risk alone justifies less ({why})"
    governance = level
    if strict:
        governance = max(level, 3)
        if governance > level:
            why += f"; governance at level 3 because of {', '.join(strict)}"
    return Target(level, governance, why, tuple(assumptions), tuple(warnings))


def _justified(criticality: str, live: list[str], team_size: int | None) -> tuple[int, str]:
    served = f"{', '.join(live)} workloads" if live else "no workload that serves live"
    if criticality == "high":
        if live and team_size is not None and team_size >= _LARGE_TEAM:
            return 4, f"high criticality, {served} and a team of {team_size}"
        return 3, f"high criticality and {served}"
    if criticality == "medium" and live:
        if team_size is not None and team_size <= _SMALL_TEAM:
            return 2, f"medium criticality, but {team_size} people cannot keep up level 3"
        return 3, f"medium criticality and {served}"
    return 2, f"{criticality} criticality and {served}: reliable is enough"
