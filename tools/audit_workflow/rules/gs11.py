"""Dangerous pattern in a workflow

## What it does

Reports in GitHub workflows:

* text that a stranger chooses (title of an issue, name of a branch) put into a script by
  `${{ }}`;
* secrets put into a script by `${{ secrets.X }}` instead of an environment variable;
* `pull_request_target` with a checkout of the code of the pull request;
* conditions that are always true, such as `if: ${{ x }} == 'y'` or `a || 'b'`;
* self-hosted runners that run pull requests.

## Why is this bad?

`${{ }}` is replaced before the shell sees the script, so a branch named `$(curl ...)` runs, and a
secret with a quote breaks out of its string and shows up in process lists and error messages.  A
condition that is always true lets a deployment run that somebody wanted to stop.

## Known problems

Inputs of `workflow_dispatch` are not reported: only people with write access choose them.

## Example

```yaml
- run: docker login -u ci -p ${{ secrets.REGISTRY_PASSWORD }}
```

## Use instead

```yaml
- run: echo "$REGISTRY_PASSWORD" | docker login -u ci --password-stdin
  env:
    REGISTRY_PASSWORD: ${{ secrets.REGISTRY_PASSWORD }}
```
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from mlops_advisor.tools.audit_workflow.repo import AuditRepository
from mlops_advisor.tools.audit_workflow.rule import HIGH, MEDIUM, Hit, rule
from mlops_advisor.tools.audit_workflow.rules._supply_workflows import Workflow, script, workflows
from mlops_advisor.tools.evidence.parse.tree import Node

_EXPRESSION: Final = re.compile(r"\$\{\{([^}]{1,400})\}\}")
_UNTRUSTED: Final = re.compile(
    r"github\.head_ref|github\.event\.(?:issue|pull_request|comment|review|review_comment|"
    r"discussion|pages|commits|head_commit|workflow_run)\b[\w.\[\]*]{0,80}\.(?:title|body|message|"
    r"head_branch|ref|label|email|name|page_name|default_branch)\b"
)
_SECRET: Final = re.compile(r"\bsecrets\.(\w{1,80})")
_WHOLE: Final = re.compile(r"^\s{0,40}\$\{\{[^}]{0,2000}\}\}$")
_LITERAL_OR: Final = re.compile(
    r"\|\|\s{0,4}(?:'[^'\n]{1,200}'|true\b)\s{0,4}(?:$|\|\||\)|&&|\}\})"
)
_EITHER_NOT: Final = re.compile(
    r"([\w.]{2,80})\s{0,4}!=\s{0,4}('[^'\n]{0,200}')\s{0,4}\|\|\s{0,4}\1\s{0,4}!=\s{0,4}('[^'\n]{0,200}')"
)
_PULL_CODE: Final = re.compile(r"github\.(?:event\.pull_request\.head|head_ref)|refs/pull/")


@rule(
    "GS11",
    name="gha-dangerous-pattern",
    dimension="governance",
    severity=HIGH,
    confidence=0.9,
    fix='Hand values over in `env:` and quote them in the script (`"$NAME"`).',
    effort=(0.1, 0.5),
    sources=(
        (
            "zizmor: template-injection, dangerous-triggers, unsound-condition, "
            "overprovisioned-secrets, self-hosted-runner"
        ),
        "openssf_scorecard: Dangerous-Workflow",
        "actionlint: Script injection by potentially untrusted inputs",
    ),
)
def dangerous_pattern(repo: AuditRepository) -> Iterator[Hit]:
    """Report patterns that let strangers in or conditions that hold nothing back."""
    for workflow in workflows(repo):
        yield from _scripts(workflow)
        yield from _conditions(workflow)
        yield from _strangers(workflow)


def _scripts(workflow: Workflow) -> Iterator[Hit]:
    for _, step in workflow.steps:
        found = script(step)
        if found is None:
            continue
        node, start = found
        secrets: dict[str, int] = {}
        unsafe: dict[str, int] = {}
        for offset, line in enumerate(node.text.split("\n")):
            for match in _EXPRESSION.finditer(line[:4_000]):
                for name in _SECRET.findall(match[1]):
                    secrets.setdefault(name, start + offset)
                if _UNTRUSTED.search(match[1]):
                    unsafe.setdefault(match[1].strip(), start + offset)
        if secrets:
            yield _expanded(workflow.path, secrets)
        if unsafe:
            names = ", ".join(f"`{n}`" for n in unsafe)
            why = f"The script holds {names}, text that anybody can choose, as code."
            yield Hit(workflow.path, min(unsafe.values()), why)


def _expanded(path: str, secrets: dict[str, int]) -> Hit:
    names = ", ".join(f"`{n}`" for n in secrets)
    first = next(iter(secrets))
    return Hit(
        path,
        min(secrets.values()),
        f"The script gets {names} by `${{{{ }}}}`: written into the shell's text, not handed over.",
        f'Set `env: {first}: ${{{{ secrets.{first} }}}}` at the step and write `"${first}"`.',
        severity=MEDIUM,
    )


def _conditions(workflow: Workflow) -> Iterator[Hit]:
    for _, job in workflow.jobs:
        for node in (job.child("if"), *(s.child("if") for s in job.list_at("steps"))):
            if node is not None and (why := _always(node)):
                yield Hit(
                    workflow.path,
                    node.line,
                    f"The condition is always true: {why}",
                    "Write the whole condition as one expression, `if: ${{ a == 'b' && c }}` or "
                    "without `${{ }}` at all, and compare each side of `||`.",
                    severity=HIGH,
                )


def _always(node: Node) -> str:
    """Why a condition always holds; empty when it does not."""
    text = node.text
    if "${{" in text and not (_WHOLE.match(text) and text.count("${{") == 1):
        if node.block and _WHOLE.match(text.rstrip("\n")) and not text.endswith("\n"):
            return ""
        return "text outside of `${{ }}` makes it a string that is not empty."
    inner = text.strip().removeprefix("${{").removesuffix("}}").strip()
    if _LITERAL_OR.search(inner):
        return "one side of `||` is a plain text, which counts as true."
    found = _EITHER_NOT.search(inner)
    if found and found.group(2) != found.group(3):
        return f"`{found.group(1)}` always differs from one of the two values."
    return ""


def _strangers(workflow: Workflow) -> Iterator[Hit]:
    target = workflow.starts_on("pull_request_target")
    pulls = workflow.starts_on("pull_request", "pull_request_target")
    for name, step in workflow.steps if target else ():
        node = step.get("with", "ref") or step.get("with", "repository")
        if "checkout" in step.text_at("uses") and node and _PULL_CODE.search(node.text):
            yield Hit(
                workflow.path,
                node.line,
                f"Job `{name}` checks out the code of a pull request in a run that has the secrets "
                "of this repository (`pull_request_target`).",
                "Use the event `pull_request`, or run nothing that the pull request can change.",
            )
    for name, job in workflow.jobs if pulls else ():
        node = job.child("runs-on")
        labels = (
            [n.text for n in node.items] if node and node.items else [node.text if node else ""]
        )
        if node is not None and "self-hosted" in labels and "pull_request" not in job.text_at("if"):
            yield Hit(
                workflow.path,
                node.line,
                f"Job `{name}` runs pull requests on a self-hosted runner, whose machine keeps "
                "what a stranger leaves on it.",
                "Run pull requests on hosted runners, or on runners that live for one job.",
                severity=MEDIUM,
                confidence=0.7,
            )
