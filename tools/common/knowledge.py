"""Say which knowledge an answer rests on, and how old it is."""

from __future__ import annotations

from datetime import date

from mlops_advisor.tools.common.models import KnowledgeInfo
from mlops_advisor.tools.common.run import RunContext

STALE_AFTER_DAYS = 30


def knowledge_info(context: RunContext, *used: str) -> KnowledgeInfo:
    """Return version and dates; `used` are ISO dates of further facts that the answer uses."""
    rubric = context.knowledge.rubric
    oldest = min(rubric.reviewed, *used) if used else rubric.reviewed
    age = (context.as_of - date.fromisoformat(oldest)).days
    return KnowledgeInfo(
        version=rubric.version,
        catalog_reviewed=rubric.reviewed,
        oldest_fact=oldest,
        stale=age > STALE_AFTER_DAYS,
    )
