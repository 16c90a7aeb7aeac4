"""Code that uses a model, and the answer when there is none."""

from __future__ import annotations

from mlops_advisor.tools.evidence.probes._base import Verdict, absent, not_applicable, unknown
from mlops_advisor.tools.evidence.repository import Repository, shared


@shared
def scoring_code(repo: Repository) -> frozenset[str]:
    """Modules of services and of batch scoring, with what they import."""
    return repo.code.serving_code | repo.code.closure(frozenset(repo.code.batch))


def needs_scoring(repo: Repository, detail: str) -> Verdict:
    """Absent where a model is used, else open or not applicable."""
    if repo.stages.scoring is not None:
        return absent(repo, detail, [repo.stages.scoring])
    if repo.stages.training is not None:
        return unknown("Only training is here; where the model is used is not shown.")
    return not_applicable("Nothing here uses a model.")
