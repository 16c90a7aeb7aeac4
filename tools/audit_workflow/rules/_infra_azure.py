"""Steps of Azure Pipelines that change infrastructure, those in templates included."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from mlops_advisor.tools.evidence.parse.shell import shell_lines
from mlops_advisor.tools.evidence.parse.tree import Node
from mlops_advisor.tools.evidence.repository import Repository, shared

_WORDS: Final = ("Terraform", "terraform", "AzureResource", "az deployment", "az group deployment")
_TERRAFORM: Final = re.compile(
    r"^(?:[\w-]{1,60}\.){0,4}Terraform(?:Task|CLI|CLITask)?(?:V\d)?@", re.IGNORECASE
)
_TEMPLATE: Final = re.compile(
    r"^(?:[\w-]{1,60}\.){0,4}AzureResource(?:ManagerTemplate|Group)Deployment@"
)
_APPLY: Final = re.compile(r"\b(?:terraform|tofu|terragrunt)\b.{0,200}?\bapply\b")
_AZ: Final = re.compile(r"\baz\s{1,4}(?:deployment|group deployment)\b.{0,60}?\bcreate\b")
_LIMITS: Final = re.compile(
    r"Build\.Reason|SourceBranch|System\.PullRequest|isMain|is_main|refs/heads|manual",
    re.IGNORECASE,
)
_SCRIPTS: Final = ("script", "bash", "pwsh", "powershell")
_DEPTH: Final = 14


@dataclass(frozen=True, slots=True)
class Change:
    """One step that changes infrastructure.  `pulls`: a pull request starts it."""

    path: str
    line: int
    what: str
    terraform: bool
    pulls: bool
    guarded: bool  # waits for a person, or runs on some branches only
    root: tuple[str, int] | None = None


@dataclass(frozen=True, slots=True)
class _Root:
    path: str
    line: int
    pulls: bool


def changes(repo: Repository) -> Iterator[Change]:
    """Give every step of an Azure pipeline, or of a template it takes in, that applies."""
    pipelines = _pipelines(repo)
    if not pipelines:
        return
    for file in repo.yaml_files(holding=_WORDS):
        roots = _roots_of(repo, file.path)
        if not roots:
            continue
        root = next((r for r in roots if r.pulls), roots[0])
        for doc in file.docs:
            for step, guarded in _steps(doc, guarded=False, depth=0, seen=set()):
                found = _change(step)
                if found is not None:
                    what, line, terraform = found
                    limited = guarded or bool(_LIMITS.search(step.text_at("condition")))
                    also = (root.path, root.line) if root.path != file.path or root.pulls else None
                    yield Change(file.path, line, what, terraform, root.pulls, limited, also)


@shared
def _pipelines(repo: Repository) -> dict[str, _Root]:
    """Azure pipelines with a trigger of their own."""
    found: dict[str, _Root] = {}
    for file in repo.yaml_files(holding=("steps:", "stages:", "jobs:", "extends:")):
        for doc in file.docs[:1]:
            if doc.child("on") is not None or doc.child("true") is not None:
                continue
            keys = {k for k, _ in doc.pairs()}
            azure = repo.ci_system(file.path) == "azure" or bool(
                keys & {"pool", "pr", "trigger"} and keys & {"steps", "stages", "jobs", "extends"}
            )
            if azure:
                pr = doc.child("pr")
                pulls = pr is not None and pr.text != "none"
                found[file.path] = _Root(file.path, pr.key_line if pr is not None else 1, pulls)
    return found


@shared
def _users(repo: Repository) -> dict[str, set[str]]:
    """Files that take in a template, by the path of the template."""
    found: dict[str, set[str]] = {}
    for file in repo.yaml_files(holding=("template:",)):
        for doc in file.docs:
            for _, node in doc.find("template"):
                name = node.text.partition("@")[0].strip()
                target = repo.runs.file_named(name.replace("../", "")) if name else ""
                if target and target != file.path:
                    found.setdefault(target, set()).add(file.path)
    return found


def _roots_of(repo: Repository, path: str) -> list[_Root]:
    pipelines, users = _pipelines(repo), _users(repo)
    seen, stack = {path}, [path]
    while stack:
        for user in sorted(users.get(stack.pop(), ())):
            if user not in seen:
                seen.add(user)
                stack.append(user)
    roots = [pipelines[p] for p in sorted(seen) if p in pipelines]
    above = [r for r in roots if r.path != path]
    return above or roots


def _steps(node: Node, *, guarded: bool, depth: int, seen: set[int]) -> Iterator[tuple[Node, bool]]:
    """Give steps below a node, and whether a condition or an environment stands above them."""
    if depth > _DEPTH or id(node) in seen:
        return
    seen.add(id(node))
    here = guarded or bool(_LIMITS.search(node.text_at("condition")))
    here = here or node.child("environment") is not None
    if node.child("task") is not None or any(node.child(k) is not None for k in _SCRIPTS):
        yield node, here
        return
    for key, child in node.pairs():
        limited = here or (key.startswith("${{") and bool(_LIMITS.search(key)))
        if child.map is not None or child.items is not None:
            yield from _steps(child, guarded=limited, depth=depth + 1, seen=seen)
    for item in node.items or ():
        yield from _steps(item, guarded=here, depth=depth + 1, seen=seen)


def _change(step: Node) -> tuple[str, int, bool] | None:
    """Say what a step changes, where, and whether by Terraform; None when it changes nothing."""
    task, inputs = step.text_at("task"), step.child("inputs") or Node(0)
    named = step.child("task") or step
    if _TERRAFORM.match(task):
        command = inputs.child("command")
        if command is not None and command.text.lower() in ("apply", "destroy"):
            return f"`{task}` with `command: {command.text}`", command.line, True
        return None
    if _TEMPLATE.match(task):
        mode = inputs.text_at("deploymentMode").lower()
        action = (inputs.text_at("action") or inputs.text_at("deploymentScope")).lower()
        creates = not action or "create" in action or "group" in action or "sub" in action
        return (f"`{task}`", named.line, False) if creates and mode != "validation" else None
    scripts = [step.child(k) for k in _SCRIPTS]
    scripts += [inputs.child("script"), inputs.child("inlineScript")]
    for script in scripts:
        if script is None:
            continue
        for line in shell_lines(script.text, script.line + (1 if script.block else 0)):
            if _APPLY.search(line.text[:2_000]):
                return f"`{line.text[:60]}`", line.line, True
            if _AZ.search(line.text[:2_000]) and "what-if" not in line.text:
                return f"`{line.text[:60]}`", line.line, False
    return None
