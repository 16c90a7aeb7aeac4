"""No document says what the model is for and where it fails

## What it does

Where a model is trained and also served, registered or published, looks for a model card, a section
on intended use or limits, or code that writes a card.  When none is there, the README is reported,
once.

## Why is this bad?

Who uses the model cannot know for whom it was made, on which data, and where it fails.  High-risk
systems in the EU must have this documentation.

## Known problems

A card in a registry's description or a wiki is not seen.

## Example

A repository that trains, serves, and whose README tells how to install it.

## Use instead

```markdown
# Model card
## Intended use
Price estimates for flats in Berlin; not for loans.
## Limitations
Trained on 2019-2023; houses are out of scope.
```
"""

from __future__ import annotations

from collections.abc import Iterator

from mlops_advisor.tools.audit_workflow.repo import AuditRepository
from mlops_advisor.tools.audit_workflow.rule import LOW, Hit, rule
from mlops_advisor.tools.audit_workflow.rules import _docs
from mlops_advisor.tools.evidence.models import Outcome


@rule(
    "GS18",
    name="no-model-documentation",
    dimension="governance",
    severity=LOW,
    confidence=0.75,
    fix="Write MODEL_CARD.md: intended use, data, metrics on slices, limits, owner.",
    effort=(0.5, 2),
    sources=(
        "model_cards_paper: abstract and model card template",
        "eu_ai_act: Article 11 with Annex IV, technical documentation (high-risk systems)",
    ),
    absence=True,
    searched="model cards, sections on intended use, purpose and limits, code that writes a card",
    practice="model_cards",
)
def no_model_documentation(repo: AuditRepository) -> Iterator[Hit]:
    """Report a model that others use and no document describes."""
    if repo.absent("model_cards") is None or _docs.is_course(repo):
        return
    purpose = repo.facts.get("purpose")
    if purpose is not None and purpose.outcome is Outcome.PRESENT:
        return
    training = repo.stages.training
    used = repo.stages.serving or _registered(repo)
    if (
        training is None
        or used is None
        or _docs.aside(repo, used[0])
        or _docs.aside(repo, training[0])
    ):
        return
    yield Hit(
        *_docs.anchor(repo),
        f"A model is trained (`{training[0]}`) and served or registered (`{used[0]}`), and no "
        "model card, or section of a document like one, says together what it is for, on which "
        "data it was made, and where it fails.",
        also=(training, used),
    )


def _registered(repo: AuditRepository) -> tuple[str, int] | None:
    for fact in repo.report.facts:
        shown = fact.outcome is Outcome.PRESENT and (fact.strength or 0) > 1 and fact.places
        if fact.practice == "model_registry" and shown:
            return fact.places[0].path, fact.places[0].line
    return None
