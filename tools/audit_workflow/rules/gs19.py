"""A release needs nobody's approval

## What it does

Where CI deploys a model by itself, looks for a step that waits for a person: an environment, a
manual job, an approval state of the registry, and for owners of the code.  When there is neither
approval nor owner, the deploying command is reported, once.

## Why is this bad?

When a model harms somebody, there has to be a person who let it go, and a record of it.

## Known problems

Reviewers of an environment and rules of branches are set in the web interface; a named environment
counts as approval.

## Example

```yaml
deploy:
  steps:
    - run: python deploy.py --stage production
```

## Use instead

```yaml
deploy:
  environment: production   # with required reviewers
  steps:
    - run: python deploy.py --stage production
```
"""

from __future__ import annotations

from collections.abc import Iterator

from mlops_advisor.tools.audit_workflow.repo import AuditRepository
from mlops_advisor.tools.audit_workflow.rule import LOW, Hit, rule
from mlops_advisor.tools.audit_workflow.rules import _docs
from mlops_advisor.tools.evidence.models import Outcome


@rule(
    "GS19",
    name="no-approval-or-audit-trail",
    dimension="governance",
    severity=LOW,
    confidence=0.65,
    fix="Give the job an `environment` with required reviewers, and name owners in CODEOWNERS.",
    effort=(0.2, 1),
    sources=(
        "nist_ai_rmf: GOVERN 2.1: roles and responsibilities are documented and clear",
        "se4ml: Provide Audit Trails",
        "github_docs: Deployments and environments, required reviewers",
    ),
    absence=True,
    searched="environments and manual jobs of CI, approval states of registries, CODEOWNERS, "
    "owners",
    practice="release_approval",
)
def no_approval_or_audit_trail(repo: AuditRepository) -> Iterator[Hit]:
    """Report a deployment by CI that no person lets go."""
    fact = repo.absent("release_approval")
    if fact is None or fact.outcome is not Outcome.ABSENT or not fact.places:
        return
    if repo.named("codeowners") or _docs.is_course(repo):
        return
    place = fact.places[0]
    if _docs.aside(repo, place.path):
        return
    yield Hit(
        place.path,
        place.line,
        "This deploys a model without a person's approval, and no file names an owner: nobody "
        "answers "
        "for the release.",
    )
