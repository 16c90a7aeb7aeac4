"""GitHub action that is not pinned to a commit

## What it does

Reports `uses:` lines that name a tag or a branch instead of a commit: every action of a third
party once for each workflow, and those of GitHub itself (`actions/*`, `github/*`) together, once
for each workflow and with low severity.

## Why is this bad?

A tag can be moved.  In March 2025 the tags of `tj-actions/changed-files` were, and printed the
secrets of thousands of repositories into their logs.

## Known problems

Whether the owner of an action is the owner of the repository is not known.  Actions in the
repository itself and images pinned by digest are fine.

## Example

```yaml
- uses: iterative/setup-cml@v2
```

## Use instead

```yaml
- uses: iterative/setup-cml@1234567890abcdef1234567890abcdef12345678 # v2.0.1
```
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from mlops_advisor.tools.audit_workflow.repo import AuditRepository
from mlops_advisor.tools.audit_workflow.rule import HIGH, LOW, MEDIUM, Hit, rule
from mlops_advisor.tools.audit_workflow.rules._supply_workflows import Workflow, workflows

_COMMIT: Final = re.compile(r"^(?:[0-9a-f]{40}|[0-9a-f]{64}|sha256:[0-9a-f]{64})$")
_BRANCHES: Final = frozenset(("main", "master", "develop", "dev", "trunk", "latest", "head"))
_FIRST_PARTY: Final = ("actions/", "github/")


@rule(
    "GS09",
    name="gha-unpinned-action",
    dimension="governance",
    severity=MEDIUM,
    confidence=0.9,
    fix=(
        "Name the full commit and keep the version in a comment, `uses: owner/action@<commit> #"
        " v2.0.1`; Dependabot or Renovate then keeps it current."
    ),
    effort=(0.1, 0.25),
    sources=(
        "zizmor: unpinned-uses",
        "openssf_scorecard: Pinned-Dependencies",
    ),
)
def unpinned_action(repo: AuditRepository) -> Iterator[Hit]:
    """Report actions by tag or branch."""
    for workflow in workflows(repo):
        own: list[tuple[int, str]] = []
        others: dict[str, list[int]] = {}
        for line, text in _used(workflow):
            name, _, ref = text.partition("@")
            if name.startswith(("./", "../")) or _COMMIT.match(ref.rpartition(":")[2] or ref):
                continue
            if name.startswith(_FIRST_PARTY):
                own.append((line, text))
            elif not name.startswith("docker://"):
                others.setdefault(text, []).append(line)
        for text, lines in others.items():
            yield _third_party(workflow, text, lines)
        if own and not others:
            names = ", ".join(dict.fromkeys(f"`{t}`" for _, t in own))
            yield Hit(
                workflow.path,
                own[0][0],
                f"Actions of GitHub are named by tag: {names}.",
                also=tuple((workflow.path, n) for n, _ in own[1:]),
                severity=LOW,
            )


def _third_party(workflow: Workflow, text: str, lines: list[int]) -> Hit:
    _, _, ref = text.partition("@")
    moving = ref.lower() in _BRANCHES or not ref
    what = f"branch `{ref}`" if ref and moving else f"tag `{ref}`" if ref else "no version"
    return Hit(
        workflow.path,
        lines[0],
        f"`{text}` runs the code of a third party by {what}, which its owner can change.",
        also=tuple((workflow.path, n) for n in lines[1:]),
        severity=HIGH if moving else MEDIUM,
    )


def _used(workflow: Workflow) -> Iterator[tuple[int, str]]:
    for _, job in workflow.jobs:
        node = job.child("uses")
        if node is not None and node.text:
            yield node.line, node.text
    for _, step in workflow.steps:
        node = step.child("uses")
        if node is not None and node.text and "${{" not in node.text:
            yield node.line, node.text
