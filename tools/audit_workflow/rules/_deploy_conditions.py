"""Deployments whose own condition takes away that earlier stages have to succeed."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from mlops_advisor.tools.audit_workflow.repo import AuditRepository
from mlops_advisor.tools.audit_workflow.rule import HIGH, Hit
from mlops_advisor.tools.evidence.parse.ci import Job
from mlops_advisor.tools.evidence.parse.tree import Node
from mlops_advisor.tools.evidence.probes._deploy import DEPLOY, DEPLOY_ACTIONS, deploy_jobs

_ALWAYS: Final = re.compile(r"\balways\(\)|!\s{0,2}cancelled\(\)")
_ASKS: Final = re.compile(
    r"\bsuccess\(\)|!\s{0,2}failure\(\)|needs\.[\w.-]{1,80}(?:result|outputs)|\.result\b|outcome|conclusion"
)
_AZURE_ASKS: Final = re.compile(r"\bsucceeded\(|dependencies|stageDependencies")
_AZURE_SKIPS: Final = re.compile(r"^\s{0,4}(?:false|never)|\bfailed\(|\bcanceled\(")
# These copy files, reports as well as releases.
_WEAK: Final = re.compile(r"\baws s3\b|\bgsutil\b|\bscp\s|\brsync\s|\bdvc push\b|\bterraform\b")
_CLEANS: Final = re.compile(r"clean|tear|destroy|delete|undeploy|notify|rollback|report|publish")


def dropped_success(repo: AuditRepository) -> Iterator[Hit]:
    """Report conditions of deployments under which failed tests count as nothing."""
    deploying = {(j.path, j.name): j for j, _ in deploy_jobs(repo)}
    for path in sorted({p for p, _ in deploying}):
        system = repo.ci_system(path)
        names = {n for p, n in deploying if p == path}
        for doc in repo.yaml(path).docs:
            if system == "github":
                yield from _github(path, doc, names)
            elif system == "azure":
                yield from _azure(path, doc, names)
            elif system == "gitlab":
                yield from _gitlab(path, doc, names, deploying)


def _github(path: str, doc: Node, names: set[str]) -> Iterator[Hit]:
    for name, body in doc.pairs("jobs"):
        if name not in names or _CLEANS.search(name.lower()):
            continue
        condition = body.child("if")
        if condition is not None and body.child("needs") is not None and _lets(condition.text):
            yield _hit(path, condition, name, "the jobs that it needs")
        for number, step in enumerate(body.list_at("steps")):
            test = step.child("if")
            if test is not None and number and _lets(test.text) and _deploys(step):
                yield _hit(path, test, step.text_at("name") or name, "the steps before it")


def _lets(text: str) -> bool:
    return bool(_ALWAYS.search(text)) and not _ASKS.search(text)


def _deploys(step: Node) -> bool:
    run = step.text_at("run") or step.text_at("script") or step.text_at("bash")
    uses = (step.text_at("uses") or step.text_at("task")).lower()
    name = (step.text_at("name") or step.text_at("displayName")).lower()
    if _CLEANS.search(name):
        return False
    deploys = DEPLOY.search(run)
    return (deploys is not None and not _WEAK.search(deploys.group(0))) or uses.startswith(
        DEPLOY_ACTIONS
    )


def _azure(path: str, doc: Node, names: set[str]) -> Iterator[Hit]:
    """In Azure a condition of one's own replaces `succeeded()`."""
    for number, stage in enumerate(doc.list_at("stages")):
        name = stage.text_at("stage")
        if name in names and not _CLEANS.search(name.lower()):
            condition = stage.child("condition")
            if number and _replaces(condition) and not _alone(stage):
                yield _hit(path, condition, name, "the stages before it")
            for job in stage.list_at("jobs"):
                yield from _azure_job(path, job)
    for job in (*doc.list_at("jobs"), *([doc] if doc.child("steps") is not None else [])):
        yield from _azure_job(path, job)


def _alone(stage: Node) -> bool:
    """Tell whether a stage waits for no other: `dependsOn: []`."""
    needs = stage.child("dependsOn")
    return needs is not None and needs.items is not None and not needs.items


def _azure_job(path: str, job: Node) -> Iterator[Hit]:
    condition = job.child("condition")
    name = job.text_at("deployment") or job.text_at("job")
    if _replaces(condition) and job.child("dependsOn") is not None:
        steps = [s for _, s in job.find("steps")]
        if any(_deploys(i) for s in steps for i in s.items or ()):
            yield _hit(path, condition, name, "the jobs that it depends on")
    for number, step in enumerate(job.list_at("steps")):
        own = step.child("condition")
        if number and _replaces(own) and _deploys(step):
            yield _hit(path, own, step.text_at("displayName") or name, "the steps before it")


def _replaces(condition: Node | None) -> bool:
    text = condition.text if condition is not None else ""
    return bool(text) and not _AZURE_ASKS.search(text) and not _AZURE_SKIPS.search(text)


def _gitlab(
    path: str, doc: Node, names: set[str], jobs: dict[tuple[str, str], Job]
) -> Iterator[Hit]:
    for name, body in doc.pairs():
        job = jobs.get((path, name))
        if name not in names or job is None or not job.needs or _CLEANS.search(name.lower()):
            continue
        when = [body.child("when"), *(r.child("when") for r in body.list_at("rules"))]
        for node in when:
            if node is not None and node.text == "always":
                yield _hit(path, node, name, "the stages before it")
                break


def _hit(path: str, condition: Node | None, name: str, what: str) -> Hit:
    text = " ".join((condition.text if condition is not None else "").split())[:80]
    return Hit(
        path,
        condition.line if condition is not None else 0,
        f"The condition of `{name}` (`{text}`) does not ask whether {what} succeeded, so it deploys"
        " after failed tests as well.",
        "Add that they succeeded: `and(succeeded(), ...)` in Azure, `success() && ...` or"
        " `needs.test.result == 'success'` in GitHub, `when: on_success` in GitLab.",
        severity=HIGH,
        confidence=0.85,
    )
