"""The order in which to mend findings: what others rest on first, then worst and cheapest."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from math import sqrt
from typing import Final

from mlops_advisor.tools.audit_workflow.models import PlanStep
from mlops_advisor.tools.audit_workflow.risk import points, worst
from mlops_advisor.tools.audit_workflow.rule import Finding
from mlops_advisor.tools.common.models import EffortDays

# A step on the left is worth little before those on the right are done.  Kept without cycles.
AFTER: Final = {
    "DM03": ("DM01",),
    "DM07": ("DM06",),
    "DM13": ("DM14",),
    "DS01": ("DM06", "DM07", "DM08", "DM12", "TR10", "TR12", "TR14"),
    "DS02": ("TR05",),
    "DS11": ("DS07",),
    "DS12": ("DS02", "DS13"),
    "DS13": ("TP01", "TP04", "TP05"),
    "DS14": ("GS06",),
    "GS08": ("GS06",),
    "GS18": ("TR10",),
    "GS19": ("DS01",),
    "MO02": ("MO01", "MO04"),
    "MO03": ("MO01", "MO02", "MO04", "MO06"),
    "MO04": ("MO01",),
    "PL02": ("PL01",),
    "PL03": ("PL01",),
    "PL06": ("PL01", "DS01"),
    "TP02": ("TP01",),
    "TP03": ("TP01",),
    "TP05": ("TP04",),
    "TP07": ("TP01",),
    "TR03": ("TR01",),
    "TR05": ("TR04",),
    "TR06": ("TR04",),
    "TR07": ("TR04",),
    "TR09": ("TR10",),
    "TR11": ("TR10",),
    "TR12": ("TR10",),
}
_FURTHER: Final = 0.25  # each further finding of a rule costs a quarter of the first
_PLACES: Final = 5


def plan(findings: Sequence[Finding], target: str) -> tuple[PlanStep, ...]:
    """Order the steps as AFTER asks; `target` is what the re-check command audits."""
    groups: dict[str, list[Finding]] = defaultdict(list)
    for finding in findings:
        groups[finding.rule.id].append(finding)
    steps = []
    for number, rule_id in enumerate(_ordered(groups), 1):
        group = groups[rule_id]
        rule = group[0].rule
        many = 1 + _FURTHER * (len(group) - 1)
        where = "" if len(group) == 1 else f" ({len(group)} places)"
        steps.append(
            PlanStep(
                order=number,
                rule_id=rule_id,
                action=f"{rule.title}{where}: {group[0].fix}",
                findings=len(group),
                places=tuple(f"{f.place.path}:{f.place.line}" for f in group[:_PLACES]),
                severity=worst(group).value,
                effort_days=EffortDays(
                    low=round(rule.effort_days[0] * many, 1),
                    high=round(rule.effort_days[1] * many, 1),
                ),
                depends_on=tuple(r for r in AFTER.get(rule_id, ()) if r in groups),
                recheck=f"mlops-advisor audit {target} --select {rule_id} --fail-on info",
            )
        )
    return tuple(steps)


def _ordered(groups: dict[str, list[Finding]]) -> Iterable[str]:
    """Topological order; among those that may come next, the most risk per day of work."""
    left = set(groups)
    while left:
        free = [r for r in left if not left.intersection(AFTER.get(r, ()))]
        best = min(free or left, key=lambda r: (-_worth(groups[r]), r))
        left.discard(best)
        yield best


def _worth(group: list[Finding]) -> float:
    days = sum(group[0].rule.effort_days) / 2
    return points(group) / sqrt(max(days, 0.1))
