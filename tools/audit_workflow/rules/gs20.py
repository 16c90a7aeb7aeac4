"""More rights than the work needs

## What it does

Reports rights without bounds in Terraform, CloudFormation, policy files and Kubernetes: policies
that allow a whole service (`s3:*`) or everything on all resources, managed policies such as
`AdministratorAccess` and `...FullAccess`, `roles/owner` and `roles/editor` of a project, the role
`cluster-admin`, and cluster roles with `*` for verbs and resources.

## Why is this bad?

Training jobs and model servers run code and files of others.  Whoever gets into one of them has its
rights: with `s3:*` on everything that is every data set and every model of the account.

## Known problems

What a boundary, an organisation policy or a condition takes away again is seen only when the
condition stands in the same statement.

## Example

```hcl
statement {
  actions   = ["s3:*"]
  resources = ["*"]
}
```

## Use instead

```hcl
statement {
  actions   = ["s3:GetObject", "s3:PutObject"]
  resources = ["${aws_s3_bucket.models.arn}/*"]
}
```
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from mlops_advisor.tools.audit_workflow.repo import AuditRepository
from mlops_advisor.tools.audit_workflow.rule import HIGH, Hit, rule
from mlops_advisor.tools.evidence.code import is_test_path
from mlops_advisor.tools.evidence.parse.terraform import Block
from mlops_advisor.tools.evidence.parse.tree import Node

_MANAGED: Final = re.compile(
    r"arn:aws[\w-]{0,10}:iam::aws:policy/(?:[\w-]{1,40}/)?"
    r"((?:[A-Za-z0-9-]{1,60}FullAccess)|AdministratorAccess|PowerUserAccess)\b"
)
_ACTIONS: Final = re.compile(r"^\s{0,40}\"?(?:actions?|Action)\"?\s{0,20}[=:]", re.IGNORECASE)
_RESOURCES: Final = re.compile(
    r"^\s{0,40}\"?(?:resources?)\"?\s{0,20}[=:]\s{0,4}(?:\[\s{0,4})?\"\*\"", re.IGNORECASE
)
_WILD: Final = re.compile(r"\"((?:[a-z0-9-]{1,40}:)?\*)\"")
_EDGE: Final = re.compile(r"^\s{0,40}(?:\}|statement\b|\{)")
_CONDITION: Final = re.compile(r"^\s{0,40}\"?condition\"?\b", re.IGNORECASE)
_OWNER: Final = re.compile(r"\"(roles/(?:owner|editor))\"")
_FILES: Final = (".tf", ".yml", ".yaml", ".json", ".py", ".sh")
_NEAR: Final = 12  # lines of one statement


@rule(
    "GS20",
    name="rights-too-broad",
    dimension="governance",
    severity=HIGH,
    confidence=0.85,
    fix="Allow the actions that are used, on the buckets, endpoints and tables that are used.",
    effort=(0.25, 1.0),
    sources=("cwe: CWE-732 Incorrect Permission Assignment for Critical Resource",),
)
def rights_too_broad(repo: AuditRepository) -> Iterator[Hit]:
    """Report policies, roles and bindings without bounds."""
    for path in repo.ending(*_FILES):
        if "iam::aws:policy/" in repo.text(path) and not is_test_path(path):
            yield from _managed(repo, path)
    for path, block in repo.terraform:
        yield from _statements(path, block.body)
        yield from _project_roles(path, block)
    yield from _documents(repo)
    yield from _cluster(repo)


def _managed(repo: AuditRepository, path: str) -> Iterator[Hit]:
    for number, line in enumerate(repo.lines(path), 1):
        found = _MANAGED.search(line[:2_000])
        if found and not line.lstrip().startswith(("#", "//")):
            yield Hit(path, number, f"`{found.group(1)}` allows everything the service can do.")


def _statements(path: str, body: tuple[tuple[int, str], ...]) -> Iterator[Hit]:
    """Actions with a wildcard whose statement holds for every resource."""
    for at, (number, line) in enumerate(body):
        if not _ACTIONS.match(line[:400]):
            continue
        wild = _wild(body, at)
        near = _statement(body, at)
        if not wild or any(_CONDITION.match(t[:200]) for t in near):
            continue
        if any(_RESOURCES.match(t[:400]) for t in near):
            yield Hit(path, number, _why(wild))


def _statement(body: tuple[tuple[int, str], ...], at: int) -> list[str]:
    """Lines of the statement around its actions: up to the braces, or the next actions."""
    first = at
    while first > 0 and at - first < _NEAR and not _EDGE.search(body[first - 1][1][:400]):
        first -= 1
    last = at + 1
    while last < len(body) and last - at < _NEAR and not _EDGE.search(body[last][1][:400]):
        last += 1
    return [text for _, text in body[first : last + 1]]


def _wild(body: tuple[tuple[int, str], ...], at: int) -> list[str]:
    """Actions with a wildcard in the list that begins at a line."""
    found: list[str] = []
    for _, text in body[at : at + _NEAR]:
        found += _WILD.findall(text[:400])
        if "]" in text or "[" not in body[at][1]:
            break
    return found


def _why(wild: list[str]) -> str:
    shown = ", ".join(f"`{w}`" for w in dict.fromkeys(wild))
    return f"{shown} is allowed on every resource of the account."


def _project_roles(path: str, block: Block) -> Iterator[Hit]:
    if not block.type.startswith("google_") or "_iam_" not in block.type:
        return
    for number, line in block.body:
        found = _OWNER.search(line[:400])
        if found:
            yield Hit(
                path, number, f"`{found.group(1)}` may change nearly everything in a project."
            )


def _documents(repo: AuditRepository) -> Iterator[Hit]:
    """Policies in CloudFormation, SAM and JSON files."""
    for file in repo.yaml_files(holding=("Action:", 'Action":')):
        for doc in file.docs:
            for node in doc.below():
                wild = _allowed(node)
                if wild:
                    action = node.child("Action") or node
                    yield Hit(file.path, action.line, _why(wild))
    for path in repo.ending(".json"):
        text = repo.text(path)
        tree = repo.tree(path) if '"Action"' in text and '"Effect"' in text else None
        for node in tree.below() if tree is not None else ():
            wild = _allowed(node)
            if wild:
                yield Hit(path, repo.line_of(path, f'"{wild[0]}"') or 1, _why(wild))


def _allowed(node: Node) -> list[str]:
    """Wildcard actions of a statement that allows them on everything without a condition."""
    if node.text_at("Effect") != "Allow" or node.child("Condition") is not None:
        return []
    if not any(r.text == "*" for r in node.list_at("Resource")):
        return []
    return [a.text for a in node.list_at("Action") if a.text == "*" or a.text.endswith(":*")]


def _cluster(repo: AuditRepository) -> Iterator[Hit]:
    for manifest in repo.kinds("ClusterRoleBinding", "RoleBinding"):
        if manifest.node.text_at("roleRef", "name") == "cluster-admin":
            node = manifest.node.get("roleRef", "name")
            line = node.line if node is not None else manifest.line
            yield Hit(manifest.path, line, "`cluster-admin` may do everything in the cluster.")
    for manifest in repo.kinds("ClusterRole", "Role"):
        for entry in manifest.node.list_at("rules"):
            both = all("*" in [n.text for n in entry.list_at(k)] for k in ("verbs", "resources"))
            if both:
                yield Hit(manifest.path, entry.line, "Every verb is allowed on every resource.")
