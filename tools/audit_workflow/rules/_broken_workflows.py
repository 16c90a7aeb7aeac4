"""References of GitHub workflows that do not hold: jobs, steps, outputs, inputs, files."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from mlops_advisor.tools.audit_workflow.repo import AuditRepository
from mlops_advisor.tools.audit_workflow.rule import HIGH, Hit
from mlops_advisor.tools.audit_workflow.rules._pipeline_paths import (
    closest,
    held,
    join,
    may_appear,
    plain,
)
from mlops_advisor.tools.evidence.arguments import words_of
from mlops_advisor.tools.evidence.parse.shell import shell_lines
from mlops_advisor.tools.evidence.parse.tree import Node

_NEEDS: Final = re.compile(r"\bneeds\.([\w-]{1,80})\.(?:outputs\.([\w-]{1,80})|result)")
_STEPS: Final = re.compile(r"\bsteps\.([\w-]{1,80})\.(?:outputs\.([\w-]{1,80})|outcome|conclusion)")
_INPUTS: Final = re.compile(r"(?<![\w.])(?:github\.event\.)?inputs\.([\w-]{1,80})")
_MATRIX: Final = re.compile(r"(?<![\w.])matrix\.([\w-]{1,80})")
_EXPRESSION: Final = re.compile(r"\$\{\{(.{1,400}?)\}\}")
_FILE_INPUTS: Final = ("python-version-file", "node-version-file", "go-version-file")
_SHORT: Final = 2
_PUSH: Final = re.compile(r"^(?:docker|podman)$")


def broken_workflows(repo: AuditRepository) -> Iterator[Hit]:
    """Find what workflows name and nothing holds."""
    names = {
        doc.text_at("name")
        for path in repo.ci_paths
        if ".github/workflows/" in path
        for doc in repo.yaml(path).docs
    }
    for path in repo.ci_paths:
        if ".github/workflows/" not in path:
            continue
        root = path.partition(".github/workflows/")[0]
        for doc in repo.yaml(path).docs:
            yield from _triggers(path, doc, names)
            yield from _jobs(repo, root, path, doc)


def _triggers(path: str, doc: Node, names: set[str]) -> Iterator[Hit]:
    on = doc.child("on") or doc.child("true")
    wanted = on.get("workflow_run", "workflows") if on is not None else None
    for node in (wanted.items or [wanted]) if wanted is not None else ():
        if node.text and node.text not in names and not any(n == "" for n in names):
            near = closest(node.text, sorted(names))
            hint = f" There is `{near}`." if near else ""
            why = f"No workflow is called `{node.text}`, so this one never starts.{hint}"
            yield Hit(path, node.line, why, severity=HIGH, confidence=0.9)


def _jobs(repo: AuditRepository, root: str, path: str, doc: Node) -> Iterator[Hit]:
    jobs = dict(doc.pairs("jobs"))
    inputs = _declared_inputs(doc)
    for name, job in jobs.items():
        needs = [n for n in job.list_at("needs") if n.text]
        for node in needs:
            if node.text not in jobs and "$" not in node.text:
                near = closest(node.text, sorted(jobs))
                hint = f" There is `{near}`." if near else ""
                why = f"`{name}` needs the job `{node.text}`, which does not exist.{hint}"
                yield Hit(path, node.line, why, severity=HIGH, confidence=0.95)
        yield from _expressions(path, name, job, jobs, inputs)
        yield from _uses(repo, root, path, job)
        yield from _pushed(path, job)


def _declared_inputs(doc: Node) -> frozenset[str] | None:
    """Find the inputs of a workflow; None when it has no event that takes any."""
    on = doc.child("on") or doc.child("true")
    found: set[str] = set()
    known = False
    for event in ("workflow_dispatch", "workflow_call"):
        if on is not None and (
            on.child(event) is not None or event in (on.text, *(n.text for n in on.items or ()))
        ):
            known = True
            found.update(k for k, _ in on.pairs(event, "inputs"))
    return frozenset(found) if known else None


def _texts(job: Node) -> Iterator[tuple[int, str]]:
    """Expressions of a job with their lines."""
    for key, node in job.walk():
        if not node.text or key == "name" or len(node.text) > 20_000:  # noqa: PLR2004
            continue
        if key == "if" and "${{" not in node.text:
            yield node.line, node.text
        for match in _EXPRESSION.finditer(node.text):
            yield (
                node.line + (1 if node.block else 0) + node.text.count("\n", 0, match.start()),
                match.group(1),
            )
    for node in job.below():
        for item in node.items or ():
            for match in _EXPRESSION.finditer(item.text[:2_000]):
                yield item.line, match.group(1)


def _expressions(
    path: str, name: str, job: Node, jobs: dict[str, Node], inputs: frozenset[str] | None
) -> Iterator[Hit]:
    steps = {n: s for s in job.list_at("steps") if (n := s.text_at("id"))}
    matrix = job.get("strategy", "matrix")
    needs = {n.text for n in job.list_at("needs")}
    seen: set[str] = set()
    wrong: dict[int, list[str]] = {}
    for line, text in _texts(job):
        for why in (
            *_wrong_needs(name, text, jobs, needs),
            *_wrong_steps(text, steps),
            *_wrong_inputs(text, inputs),
            *_wrong_matrix(text, matrix, job),
        ):
            if why not in seen:
                seen.add(why)
                wrong.setdefault(line, []).append(why)
    for line, reasons in wrong.items():
        yield Hit(path, line, " ".join(reasons[:3]), severity=HIGH, confidence=0.9)


def _wrong_needs(name: str, text: str, jobs: dict[str, Node], needs: set[str]) -> Iterator[str]:
    for other, output in _NEEDS.findall(text):
        if other not in needs:
            if other in jobs:
                yield f"`needs.{other}` is empty: `{name}` does not need `{other}`."
            else:
                yield f"`needs.{other}` is empty: there is no job `{other}`."
        elif output and other in jobs and jobs[other].child("uses") is None:
            known = [k for k, _ in jobs[other].pairs("outputs")]
            if output not in known:
                what = f"needs.{other}.outputs.{output}"
                yield f"`{what}` is empty: `{other}` declares no such output."


def _wrong_steps(text: str, steps: dict[str, Node]) -> Iterator[str]:
    for step, output in _STEPS.findall(text):
        if step not in steps:
            near = closest(step, sorted(steps))
            hint = f" There is `{near}`." if near else ""
            yield f"`steps.{step}` is empty: no step of this job has that id.{hint}"
        elif output:
            run = steps[step].text_at("run")
            if run and output not in run and not re.search(r"\.(?:py|sh|js)\b|\bmake\b", run):
                yield f"`steps.{step}.outputs.{output}` is empty: the step never sets `{output}`."


def _wrong_inputs(text: str, inputs: frozenset[str] | None) -> Iterator[str]:
    for name in _INPUTS.findall(text):
        if inputs is not None and name not in inputs:
            yield f"`inputs.{name}` is empty: the workflow declares no such input."


def _wrong_matrix(text: str, matrix: Node | None, job: Node) -> Iterator[str]:
    if matrix is not None and matrix.map is None:
        return
    known = {k for k, _ in matrix.pairs()} if matrix is not None else set()
    for item in matrix.list_at("include") if matrix is not None else ():
        if item.map is None:
            return
        known |= set(item.map)
    if matrix is not None and any(n.text.startswith("${{") for _, n in matrix.pairs("include")):
        return
    if matrix is not None and "${{" in matrix.text_at("include"):
        return
    for name in _MATRIX.findall(text):
        if name not in known and job.child("uses") is None:
            yield f"`matrix.{name}` is empty: the matrix of the job has no such key."


def _uses(repo: AuditRepository, root: str, path: str, job: Node) -> Iterator[Hit]:
    elsewhere = any(
        s.get("with", "repository") is not None or s.get("with", "path") is not None
        for s in job.list_at("steps")
        if s.text_at("uses").startswith("actions/checkout")
    )
    nodes = [job, *job.list_at("steps")]
    for node in nodes:
        uses = node.child("uses")
        if uses is not None and uses.text.startswith("./") and not elsewhere:
            target = join(root, uses.text.partition("@")[0])
            there = (
                held(repo, target)
                if target.endswith((".yml", ".yaml"))
                else any(
                    held(repo, f"{target}/{n}") for n in ("action.yml", "action.yaml", "Dockerfile")
                )
            )
            if not there and not may_appear(repo, target):
                why = f"There is no `{target}` to use."
                yield Hit(path, uses.line, why, severity=HIGH, confidence=0.9)
        folder = node.child("working-directory")
        if folder is not None and plain(folder.text) and not elsewhere:
            yield from _folder(repo, root, path, folder)
        for key in _FILE_INPUTS:
            file = node.get("with", key)
            if file is not None and plain(file.text) and not elsewhere:
                target = join(root, file.text)
                if not held(repo, target) and not may_appear(repo, target):
                    yield Hit(
                        path, file.line, f"There is no `{target}`.", severity=HIGH, confidence=0.85
                    )


def _folder(repo: AuditRepository, root: str, path: str, node: Node) -> Iterator[Hit]:
    target = join(root, node.text)
    text = repo.text(path)
    made = "git clone" in text or "mkdir" in text or "unzip" in text or "cookiecutter" in text
    if target and not held(repo, target) and not may_appear(repo, target) and not made:
        why = f"There is no folder `{target}` to work in."
        yield Hit(path, node.line, why, severity=HIGH, confidence=0.85)


def _pushed(path: str, job: Node) -> Iterator[Hit]:
    """Find images that a job pushes and never builds or tags under that name."""
    made: set[str] = set()
    pushed: list[tuple[str, int]] = []
    for step in job.list_at("steps"):
        if _hidden_build(step.text_at("uses")):
            return
        for line, words in _commands(step):
            if _PUSH.match(words[0]) and len(words) > _SHORT:
                if words[1] in ("build", "tag", "buildx", "pull"):
                    made.update(_bare(w) for w in words[2:])
                elif words[1] == "push" and not words[-1].startswith("-"):
                    pushed.append((_bare(words[-1]), line))
            elif any(w in ("make", "pull", "compose") or w.endswith(".sh") for w in words):
                return
    for image, line in pushed:
        if made and not any(_same(image, m) for m in made):
            shown = next((m for m in sorted(made) if "/" in m or ":" in m), "")
            hint = f" The job builds `{shown}`." if shown else ""
            why = f"`{image}` is pushed, but no step builds or tags it.{hint}"
            yield Hit(path, line, why, severity=HIGH, confidence=0.8)


def _commands(step: Node) -> Iterator[tuple[int, list[str]]]:
    run = step.child("run")
    if run is not None:
        for command in shell_lines(run.text, run.line + (1 if run.block else 0)):
            for words in words_of(command.text):
                yield command.line, words


def _hidden_build(uses: str) -> bool:
    """Tell whether an action may build images whose names are not seen."""
    builds = any(w in uses for w in ("docker", "build", "ecr", "gcr", "acr"))
    return builds and "login" not in uses and "checkout" not in uses


def _bare(text: str) -> str:
    return text.replace("{", "").replace("}", "").replace(" ", "")


def _same(image: str, made: str) -> bool:
    """Tell whether two references mean the same: one may leave the tag to the default."""
    return (
        image in (made, made.partition("=")[2])
        or f"{image}:latest" == made
        or f"{made}:latest" == image
        or (image.partition(":")[0] == made.partition(":")[0] and ("$" in image or "$" in made))
    )
