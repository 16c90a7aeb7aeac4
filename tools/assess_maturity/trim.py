"""Cut long lists so that a summary stays within its token budget; say what was cut."""

from __future__ import annotations

from typing import Any, TypeVar

from mlops_advisor.tools.assess_maturity.models import AssessMaturityResult
from mlops_advisor.tools.common.models import Truncated

T = TypeVar("T")

# 8000 tokens at 3.5 characters a token: an estimate, no tokenizer was at hand to measure it.
LIMIT = 28_000
# Evidence is the last to go: it is what the answer rests on.
_COLUMNS = ("evidence", "gaps", "recommendations", "overlays", "skipped", "other", "questions")
_STAGES = tuple(
    dict(zip(_COLUMNS, row, strict=True))
    for row in (
        (3, 3, 6, 8, 6, 8, 12),
        (3, 2, 5, 4, 3, 5, 8),
        (3, 2, 4, 3, 2, 3, 6),
        (2, 1, 3, 2, 1, 2, 5),
        (1, 1, 2, 1, 1, 1, 3),
    )
)
_OTHER = ("contradictions", "unread", "not_assessed", "warnings")


def trim(result: AssessMaturityResult) -> AssessMaturityResult:
    """Return the result within LIMIT characters of compact JSON."""
    for stage in _STAGES:
        cut = _cut(result, stage)
        if len(cut.model_dump_json(exclude_none=True)) <= LIMIT:
            break
    return cut


def _cut(result: AssessMaturityResult, stage: dict[str, int]) -> AssessMaturityResult:
    truncated: list[Truncated] = []

    def first(field: str, items: tuple[T, ...], most: int) -> tuple[T, ...]:
        return counted(field, items, most, len(items))

    def counted(field: str, items: tuple[T, ...], most: int, total: int) -> tuple[T, ...]:
        shown = items[:most]
        if len(shown) < total:
            truncated.append(Truncated(field=field, shown=len(shown), total=total))
        return shown

    dimensions = []
    for d in result.dimensions:
        evidence, gaps = stage["evidence"], stage["gaps"]
        name = f"dimensions.{d.id}"
        shorter = {
            "evidence": counted(f"{name}.evidence", d.evidence, evidence, d.evidence_in_all),
            "gaps": counted(f"{name}.gaps", d.gaps, gaps, d.gaps_in_all),
        }
        same = len(d.evidence) <= evidence and len(d.gaps) <= gaps
        dimensions.append(d if same else d.model_copy(update=shorter))
    in_all = sum(phase.items_in_all for phase in result.roadmap)
    most = stage["recommendations"] + 2
    kept = counted("recommendations", result.recommendations, most, in_all)
    roadmap = []
    for phase in result.roadmap:
        field = f"roadmap.{phase.name}.items"
        items = counted(field, phase.items, stage["recommendations"], phase.items_in_all)
        same = len(items) == len(phase.items)
        roadmap.append(phase if same else phase.model_copy(update={"items": items}))
    update: dict[str, Any] = {
        "dimensions": tuple(dimensions),
        "recommendations": kept,
        "roadmap": tuple(roadmap),
        "questions": first("questions", result.questions, stage["questions"]),
        "overlays": first("overlays", result.overlays, stage["overlays"]),
        **{name: first(name, getattr(result, name), stage["other"]) for name in _OTHER},
    }
    if result.inventory is not None:
        skipped = first("inventory.skipped", result.inventory.skipped, stage["skipped"])
        update["inventory"] = result.inventory.model_copy(update={"skipped": skipped})
    update["truncated"] = tuple(truncated)
    return result.model_copy(update=update)
