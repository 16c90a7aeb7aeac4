"""Infrastructure changed without review

## What it does

Reports `terraform apply` and `terraform destroy` (also Terragrunt, OpenTofu, Pulumi and CDK) that
approve themselves, and `-lock=false`, in CI, Makefiles and scripts.

## Why is this bad?

Nobody sees the plan before it happens: a renamed resource is a deleted database.  Without the
lock two runs write the state at the same time and break it.

## Known problems

An apply of a plan that was saved and looked at before (`terraform apply plan.tfplan`) is fine, and
so is a job that waits for a person (`environment:`).  Reviewers of that environment are set in
GitHub, not in files.

## Example

```yaml
- run: terraform apply -auto-approve
```

## Use instead

```yaml
- run: terraform plan -out=plan.tfplan
# in a job with `environment: production`, which waits for an approval:
- run: terraform apply plan.tfplan
```
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from mlops_advisor.tools.audit_workflow.repo import AuditRepository
from mlops_advisor.tools.audit_workflow.rule import HIGH, LOW, MEDIUM, Hit, Severity, rule
from mlops_advisor.tools.evidence.code import is_test_path
from mlops_advisor.tools.evidence.runs import Run

_TOOL: Final = re.compile(r"\b(?:terraform|tofu|terragrunt)\b")
_APPROVE: Final = re.compile(
    r"\b(?:apply|destroy)\b.{0,300}?--?auto-approve\b(?!=false)"
    r"|--?auto-approve\b.{0,60}\b(?:apply|destroy)\b"
)
_LOCK: Final = re.compile(r"\b(?:init|plan|apply|destroy|import|refresh)\b.{0,300}?--?lock=false")
_OTHERS: Final = re.compile(
    r"\bpulumi\s{1,4}(?:up|update|destroy)\b.{0,200}(?:--yes|\s-y\b)"
    r"|\bcdk\s{1,4}(?:deploy|destroy)\b.{0,200}(?:--require-approval[= ]never|--force)"
)


@rule(
    "GS15",
    name="iac-unreviewed-apply",
    dimension="governance",
    severity=MEDIUM,
    confidence=0.85,
    fix="Save the plan (`-out`), let somebody approve it, and apply that plan; keep the lock.",
    effort=(0.25, 1.0),
    sources=(
        (
            "terraform_docs: Running Terraform in Automation (a human operator reviews the "
            "plan before it is applied)"
        ),
    ),
)
def unreviewed_apply(repo: AuditRepository) -> Iterator[Hit]:
    """Report changes of infrastructure that nobody looks at."""
    seen: set[tuple[str, int]] = set()
    for run in (*repo.runs.ci, *repo.runs.make, *repo.runs.shell, *repo.runs.project):
        if (run.path, run.line) in seen or is_test_path(run.path):
            continue
        hit = _look(run)
        if hit is not None:
            seen.add((run.path, run.line))
            yield hit


def _look(run: Run) -> Hit | None:
    text = run.text[:2_000]
    tool = bool(_TOOL.search(text))
    if tool and _LOCK.search(text):
        why = "`-lock=false` lets two runs write the state of Terraform at the same time."
        return Hit(run.path, run.line, why, "Remove `-lock=false`.", severity=MEDIUM)
    approves = (tool and _APPROVE.search(text)) or _OTHERS.search(text)
    if not approves or (run.job is not None and run.job.environment):
        return None
    destroys = re.search(r"\bdestroy\b", text) is not None
    what = "destroys the infrastructure" if destroys else "changes the infrastructure"
    return Hit(
        run.path,
        run.line,
        f"The command {what} and approves it itself; nobody sees the plan.",
        severity=_weight(run, destroys=destroys),
    )


def _weight(run: Run, *, destroys: bool) -> Severity:
    if run.source != "ci":
        return MEDIUM if destroys else LOW
    return HIGH if destroys and run.automatic else MEDIUM
