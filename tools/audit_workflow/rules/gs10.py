"""Workflow with more rights than it needs

## What it does

Reports GitHub workflows that say nothing about `permissions` in at least one job, those that ask
for `write-all`, and those that give rights to write to every one of several jobs.

## Why is this bad?

Without the block the token may get the rights of the repository's default, in older
organisations all of them.  An action or a script that is taken over then pushes commits and
publishes releases.

## Known problems

The default of the organisation may be read-only already; that is not in the files.

## Example

```yaml
on: push
jobs:
  test:
    runs-on: ubuntu-latest
```

## Use instead

```yaml
on: push
permissions:
  contents: read
jobs:
  test:
    runs-on: ubuntu-latest
```
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from mlops_advisor.tools.audit_workflow.repo import AuditRepository
from mlops_advisor.tools.audit_workflow.rule import HIGH, LOW, MEDIUM, Hit, rule
from mlops_advisor.tools.audit_workflow.rules._supply_workflows import Workflow, workflows

_PAGES: Final = ("pages", "id-token")  # what publishing to GitHub Pages asks for
_SENSITIVE: Final = ("secrets.", "pull_request_target", "workflow_run", "git push", "docker push")


@rule(
    "GS10",
    name="gha-permissions",
    dimension="governance",
    severity=MEDIUM,
    confidence=0.85,
    fix=(
        "Write `permissions: contents: read` at the top of the workflow, and give a job that needs"
        " more its own `permissions`."
    ),
    effort=(0.1, 0.25),
    sources=(
        "zizmor: excessive-permissions",
        "openssf_scorecard: Token-Permissions",
    ),
)
def workflow_permissions(repo: AuditRepository) -> Iterator[Hit]:
    """Report missing and too broad permissions."""
    for workflow in workflows(repo):
        if workflow.events is None or not workflow.jobs:
            continue
        broad = list(_broad(workflow))
        yield from broad
        if not broad and workflow.node.child("permissions") is None:
            yield from _missing(repo, workflow)


def _missing(repo: AuditRepository, workflow: Workflow) -> Iterator[Hit]:
    bare = [name for name, job in workflow.jobs if job.child("permissions") is None]
    if not bare or workflow.events is None:
        return
    text = repo.text(workflow.path)
    jobs = workflow.node.child("jobs")
    names = ", ".join(f"`{n}`" for n in bare[:5])
    yield Hit(
        workflow.path,
        workflow.events.key_line,
        f"Neither the workflow nor its jobs ({names}) say which permissions the token needs, so "
        "it gets the default of the repository.",
        also=((workflow.path, jobs.key_line),) if jobs is not None else (),
        severity=MEDIUM if any(w in text for w in _SENSITIVE) else LOW,
    )


def _broad(workflow: Workflow) -> Iterator[Hit]:
    top = workflow.node.child("permissions")
    for owner, node in (
        ("The workflow", top),
        *((f"Job `{name}`", job.child("permissions")) for name, job in workflow.jobs),
    ):
        if node is not None and node.text == "write-all":
            why = f"{owner} gives its token every right to write (`write-all`)."
            yield Hit(workflow.path, node.line, why, severity=HIGH)
    if top is None or top.map is None or len(workflow.jobs) < 2:  # noqa: PLR2004 - several
        return
    rights = [k for k, v in top.map.items() if v.text == "write" and k not in _PAGES]
    using = [n for n, job in workflow.jobs if job.child("permissions") is None]
    if rights and len(using) > 1:
        yield Hit(
            workflow.path,
            top.key_line,
            f"All {len(using)} jobs may write ({', '.join(rights)}); give the rights to the job "
            "that needs them.",
            severity=LOW,
            confidence=0.7,
        )
