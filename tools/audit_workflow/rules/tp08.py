"""The documents say what the repository does not hold

## What it does

Reads README and other documents, the documentation given with the request, and comments beside
schedules.  Reported, at the sentence, are: practices said to be in place (drift detection, CI, a
registry ...) of which neither code nor configuration shows a trace; tools named as in use that
occur in no other file; files, folders, commands, make targets and badges that do not exist;
variables that nothing reads; ports, endpoints and Python versions that differ from the code; and
comments and docstrings that the code beside them contradicts: another schedule, another split or
default, `idempotent` above code that only appends.

## Why is this bad?

People decide on what documents say: an audit, a new colleague, the one who is called at night.

## Known problems

Plans, negations, questions and open tasks are no claims.  Course material and templates are left
out.  A tool may be run elsewhere; then the document should say where.

## Example

```markdown
The service runs on Kubernetes and is monitored with Prometheus.   <!-- no manifest, no metrics -->
```

## Use instead

```markdown
The service runs with docker compose (see `docker-compose.yml`).  Planned: Kubernetes.
```
"""

from __future__ import annotations

from collections.abc import Iterator

from mlops_advisor.tools.audit_workflow.repo import AuditRepository
from mlops_advisor.tools.audit_workflow.rule import HIGH, Hit, rule
from mlops_advisor.tools.audit_workflow.rules import (
    _docs,
    _docs_claims,
    _docs_code,
    _docs_env,
    _docs_facts,
    _docs_paths,
    _docs_schedules,
)
from mlops_advisor.tools.evidence.view import View


def _each(repo: AuditRepository, view: View) -> Iterator[Hit]:
    if not _docs.aside(repo, view.path):
        yield from _docs_code.contradictions(repo, view)


@rule(
    "TP08",
    each=_each,
    words=('"""', "train_test_split", "Fold", "GridSearchCV", "cross_val_score", "schedule"),
    name="docs-claim-without-evidence",
    dimension="team_practices",
    severity=HIGH,
    confidence=0.8,
    fix="Write what is there; move the rest under `Planned`, or build it.",
    effort=(0.1, 1),
    sources=("dora: capability Documentation quality",),
)
def docs_claim_without_evidence(repo: AuditRepository) -> Iterator[Hit]:
    """Report what documents and comments say and files do not show."""
    yield from _docs_schedules.mismatches(repo)
    yield from _docs_claims.given(repo)
    if _docs.is_course(repo):
        return
    seen: set[tuple[str, int]] = set()
    for hit in (
        *_docs_claims.practices(repo),
        *_docs_claims.tools(repo),
        *_docs_paths.missing(repo),
        *_docs_facts.mismatches(repo),
        *_docs_env.unread(repo),
    ):
        if (hit.path, hit.line) not in seen:
            seen.add((hit.path, hit.line))
            yield hit
