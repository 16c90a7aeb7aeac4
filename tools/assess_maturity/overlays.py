"""Regimes and generative AI: what they ask on top.  Gaps, never a score."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from mlops_advisor.resources.models import OverlaysFile, Requirement
from mlops_advisor.tools.assess_maturity.models import OverlayGap
from mlops_advisor.tools.assess_maturity.scoring import Known
from mlops_advisor.tools.common.models import Context

_DONE = frozenset({"by_hand", "automated"})
_ORDER = {"gap": 0, "unknown": 1, "met": 2}


def overlays(
    data: OverlaysFile, context: Context, known: Mapping[str, Known]
) -> tuple[OverlayGap, ...]:
    """Return the requirements that apply, gaps first, then what nobody has spoken of."""
    found: list[OverlayGap] = []
    tags = {*context.compliance, *context.workloads}
    for overlay in data.overlays:
        if not tags & set(overlay.applies_to):
            continue
        found.extend(
            OverlayGap(
                overlay=overlay.name,
                requirement=requirement.text,
                cite=requirement.cite,
                status=_status(requirement, known),
                practices=requirement.practices,
                question=requirement.question,
            )
            for requirement in overlay.requirements
        )
    return tuple(sorted(found, key=lambda gap: _ORDER[gap.status]))


def _status(
    requirement: Requirement, known: Mapping[str, Known]
) -> Literal["met", "gap", "unknown"]:
    states = [known.get(p) for p in requirement.practices]
    settled = [s for s in states if s is not None and s.settled]
    if any(s.answer not in _DONE for s in settled):
        return "gap"
    return "met" if states and len(settled) == len(states) else "unknown"
