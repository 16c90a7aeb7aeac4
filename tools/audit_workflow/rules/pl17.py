"""A name is used that nothing stands behind

## What it does

Compares both sides of what one part of the repository calls by name in another: names in code,
functions and their arguments, command-line flags and the script that takes them, make targets,
files that images and workflows copy or start, build arguments, jobs, outputs of steps, ports,
entry points, keys of configuration files, of stored documents and messages, parameters and answers
of services, variables of pipelines; and names that only one branch gives a value.

## Why is this bad?

The step fails, or goes on with a default, and it does so where nobody tries things out: in the
release, the alert, the nightly run.

## Known problems

What is made at run time is not seen.  The rule stays silent on files that are ignored by git,
built, downloaded or tracked by DVC, and on code that changes names while it runs.

## Example

```yaml
- run: python train.py --epochs 20   # train.py takes --num-epochs
```

## Use instead

```yaml
- run: python train.py --num-epochs 20
```
"""

from __future__ import annotations

from collections.abc import Iterator

from mlops_advisor.tools.audit_workflow.repo import AuditRepository
from mlops_advisor.tools.audit_workflow.rule import HIGH, Hit, rule
from mlops_advisor.tools.audit_workflow.rules._broken_commands import broken_commands
from mlops_advisor.tools.audit_workflow.rules._broken_contract import broken_contract
from mlops_advisor.tools.audit_workflow.rules._broken_deploy import broken_deploy
from mlops_advisor.tools.audit_workflow.rules._broken_documents import broken_documents
from mlops_advisor.tools.audit_workflow.rules._broken_images import broken_images
from mlops_advisor.tools.audit_workflow.rules._broken_names import broken_names
from mlops_advisor.tools.audit_workflow.rules._broken_variables import broken_variables
from mlops_advisor.tools.audit_workflow.rules._broken_workflows import broken_workflows


@rule(
    "PL17",
    name="undefined-or-broken-reference",
    dimension="model_training",
    severity=HIGH,
    confidence=0.85,
    fix="Make both sides use the same name, and run the step in CI.",
    effort=(0.1, 0.5),
    each=broken_names,
    sources=(
        "ruff: F821 undefined-name",
        (
            "actionlint: Contexts and built-in functions; Job dependencies validation; Local "
            "action inputs validation; Reusable workflows"
        ),
    ),
)
def undefined_or_broken_reference(repo: AuditRepository) -> Iterator[Hit]:
    """Report references of files whose other end is not there."""
    yield from broken_commands(repo)
    yield from broken_images(repo)
    yield from broken_deploy(repo)
    yield from broken_workflows(repo)
    yield from broken_contract(repo)
    yield from broken_variables(repo)
    yield from broken_documents(repo)
