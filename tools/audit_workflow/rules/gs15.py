"""Infrastructure changed without review

## What it does

Reports `terraform apply` and `terraform destroy` (also Terragrunt, OpenTofu, Pulumi and CDK) that
approve themselves, and `-lock=false`, in CI, Makefiles and scripts; and every command, action or
task (Terraform, ARM and Bicep, CloudFormation, CDK, Pulumi) that a pull request starts.  Azure
Pipelines are followed into their templates; their Terraform task approves by itself.

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
from mlops_advisor.tools.audit_workflow.rules import _infra_azure
from mlops_advisor.tools.evidence.code import is_test_path
from mlops_advisor.tools.evidence.parse.ci import Job, Step
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
_CHANGES: Final = re.compile(
    r"\b(?:terraform|tofu|terragrunt)\b.{0,200}?\b(?:apply|destroy)\b"
    r"|\baz\s{1,4}(?:deployment|group deployment)\b.{0,60}?\bcreate\b"
    r"|\baws\s{1,4}cloudformation\s{1,4}(?:deploy|create-stack|update-stack)\b"
    r"|\b(?:pulumi\s{1,4}(?:up|destroy)|cdk\s{1,4}(?:deploy|destroy)|sam\s{1,4}deploy)\b"
)
_ACTIONS: Final = ("aws-actions/aws-cloudformation-github-deploy", "azure/arm-deploy",
    "Azure/arm-deploy")  # fmt: skip
_LIMITS: Final = re.compile(
    r"event_name\s{0,3}[!=]=|github\.ref|merged|refs/heads|Build\.Reason|SourceBranch|base_ref"
    r"|workflow_dispatch"
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
    for change in _infra_azure.changes(repo):
        hit = _azure(change)
        seen.add((change.path, change.line))
        if hit is not None:
            yield hit
    for run in (*repo.runs.ci, *repo.runs.make, *repo.runs.shell, *repo.runs.project):
        if (run.path, run.line) in seen or is_test_path(run.path):
            continue
        hit = _look(run)
        if hit is not None:
            seen.add((run.path, run.line))
            yield hit
    for job in repo.jobs:
        for step in job.steps if _from_pull(job, None) else ():
            if step.uses.startswith(_ACTIONS) and _from_pull(job, step):
                yield _pulled(job.path, step.line, f"`{step.uses[:60]}`")


def _azure(change: _infra_azure.Change) -> Hit | None:
    if change.guarded:
        return None
    if change.pulls:
        return _pulled(change.path, change.line, change.what, change.root)
    return Hit(
        change.path,
        change.line,
        f"{change.what} changes the infrastructure on every run of the pipeline; nobody sees "
        "what will change before it does.",
        "Save the plan in one stage, and apply it in a deployment job with an `environment` that "
        "waits for an approval.",
        also=(change.root,) if change.root else (),
        severity=MEDIUM if change.terraform else LOW,
        confidence=0.8 if change.terraform else 0.6,
    )


def _pulled(path: str, line: int, what: str, root: tuple[str, int] | None = None) -> Hit:
    return Hit(
        path,
        line,
        f"{what} changes the infrastructure, and a pull request starts it: whoever opens one "
        "changes what runs, before anybody has looked.",
        "Only plan (or validate) on pull requests; apply after the merge, behind an approval.",
        also=(root,) if root else (),
        severity=HIGH,
    )


def _from_pull(job: Job | None, step: Step | None) -> bool:
    """Tell whether a pull request starts a step, and no condition or person stands between."""
    if job is None or "pull_request" not in job.events or job.manual or job.environment:
        return False
    condition = f"{job.condition} {step.condition if step is not None else ''}"
    return not (job.disabled or _LIMITS.search(condition))


def _look(run: Run) -> Hit | None:
    text = run.text[:2_000]
    tool = bool(_TOOL.search(text))
    if tool and _LOCK.search(text):
        why = "`-lock=false` lets two runs write the state of Terraform at the same time."
        return Hit(run.path, run.line, why, "Remove `-lock=false`.", severity=MEDIUM)
    if run.live and _from_pull(run.job, run.step) and _CHANGES.search(text):
        return _pulled(run.path, run.line, f"`{text.strip()[:60]}`")
    approves = (tool and _APPROVE.search(text)) or _OTHERS.search(text)
    if not approves or (run.job is not None and (run.job.environment or run.job.manual)):
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
