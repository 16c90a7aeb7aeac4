"""Cut long lists so that a summary stays within its token budget; say what was cut."""

from __future__ import annotations

from typing import Any, Final

from mlops_advisor.tools.audit_workflow.models import AuditWorkflowResult
from mlops_advisor.tools.common.models import Truncated

# 8000 tokens at 3.5 characters a token: an estimate, as in assess_maturity.
LIMIT: Final = 28_000
_LISTS: Final = (
    "findings",
    "remediation_plan",
    "recommendations",
    "quick_wins",
    "strengths",
    "suppressions",
    "not_assessed",
    "next_steps",
)
# How much of each list is kept, the first row that fits.  Findings are the last to go.
_STAGES: Final = (
    (40, 12, 6, 8, 10, 10, 20, 10),
    (28, 10, 4, 6, 8, 5, 12, 8),
    (20, 8, 3, 5, 6, 3, 8, 6),
    (14, 6, 2, 4, 4, 2, 6, 5),
    (8, 4, 1, 2, 3, 1, 4, 3),
    (4, 2, 1, 1, 1, 1, 2, 2),
    (1, 1, 1, 1, 1, 1, 1, 1),
)
_SKIPS: Final = 8
_EVIDENCE: Final = 1
_DETAIL: Final = 80


def trim(result: AuditWorkflowResult) -> AuditWorkflowResult:
    """Return the result within LIMIT characters of compact JSON."""
    short = _without_detail(result)
    for row in _STAGES:
        cut = _cut(short, dict(zip(_LISTS, row, strict=True)), result)
        if len(cut.model_dump_json(exclude_none=True)) <= LIMIT:
            break
    return cut


def _without_detail(result: AuditWorkflowResult) -> AuditWorkflowResult:
    practices = {
        name: seen.model_copy(
            update={
                "evidence": seen.evidence[:_EVIDENCE],
                "detail": seen.detail
                if len(seen.detail) <= _DETAIL
                else f"{seen.detail[: _DETAIL - 1]}…",
            }
        )
        for name, seen in result.practices.items()
    }
    inventory = result.inventory.model_copy(
        update={
            "skipped": result.inventory.skipped[:_SKIPS],
            "not_analysed": result.inventory.not_analysed[:_SKIPS],
        }
    )
    return result.model_copy(update={"practices": practices, "inventory": inventory})


def _cut(
    short: AuditWorkflowResult, most: dict[str, int], whole: AuditWorkflowResult
) -> AuditWorkflowResult:
    update: dict[str, Any] = {}
    truncated: list[Truncated] = []
    for field, number in most.items():
        items = getattr(short, field)
        if len(items) > number:
            update[field] = items[:number]
            truncated.append(Truncated(field=field, shown=number, total=len(items)))
    for field in ("skipped", "not_analysed"):
        shown, total = len(getattr(short.inventory, field)), len(getattr(whole.inventory, field))
        if shown < total:
            truncated.append(Truncated(field=f"inventory.{field}", shown=shown, total=total))
    places = sum(len(seen.evidence) for seen in whole.practices.values())
    kept = sum(len(seen.evidence) for seen in short.practices.values())
    if kept < places:
        truncated.append(Truncated(field="practices.evidence", shown=kept, total=places))
    update["truncated"] = tuple(truncated)
    return short.model_copy(update=update)
