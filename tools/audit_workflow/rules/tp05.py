"""CI comes too late or does not block

## What it does

Reads the workflows that test, lint, build or train.  Reported are: checks that run on a push to
the default branch or by hand but never on a pull request (a folder with a `.github` of its own, as
in templates of repositories, is judged by itself); lint whose failure is thrown away
(`--exit-zero`, `|| true`, `continue-on-error`, a formatter without `--check`); CI that shows stored
results of the model and never runs the pipeline or a test.

## Why is this bad?

A check after the merge finds the fault when everybody has it.  A check that cannot fail is
decoration.  A report of stored metrics says what somebody's machine computed, not what this code
does.

## Known problems

A workflow on each push of any branch is taken as a check of pull requests.  A second job that
blocks on the same tool makes a soft one harmless; that is only recognised for the same file.

## Example

```yaml
on:
  push:
    branches: [main]
```

## Use instead

```yaml
on:
  pull_request:
  push:
    branches: [main]
```
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from mlops_advisor.tools.audit_workflow.repo import AuditRepository
from mlops_advisor.tools.audit_workflow.rule import LOW, MEDIUM, Hit, rule
from mlops_advisor.tools.audit_workflow.rules import _testing
from mlops_advisor.tools.evidence.parse.ci import Job
from mlops_advisor.tools.evidence.parse.tree import Node
from mlops_advisor.tools.evidence.runs import Run

_SOFT: Final = re.compile(
    r"--exit-zero|--exit-non-zero-on-fix=false|--fail-under[= ]0(?:\.0)?(?:\s|$)|"
    r"\|\|\s{0,4}(?:true|:|exit\s{1,4}0|echo\b)|;\s{0,4}(?:true|exit\s{1,4}0)\s{0,4}$"
)
_FORMATS: Final = re.compile(
    r"^(?:\S{0,40}\s{1,2}(?:run|-m)\s{1,2})?(?:black|isort|ruff format|autopep8|yapf)\b"
)
_CHECKS: Final = re.compile(r"--check|--diff|-c\b|--check-only|git diff|--dry-run")
_COMMITS: Final = re.compile(r"git (?:commit|diff|push)|auto-commit|create-pull-request")
_STORED: Final = re.compile(
    r"\bdvc\s{1,4}(?:pull|fetch|metrics|plots|params|exp\s{1,2}(?:diff|show))|"
    r"\bcml\s{1,4}(?:comment|publish|send)|\bcml-(?:send|publish)"
)
_SHOWS: Final = re.compile(
    r"\bdvc\s{1,4}(?:metrics|plots|params|exp\s{1,2}(?:diff|show))|\bcml\b|cat\s{1,4}\S{0,80}(?:metric|report)"
)
_REPRODUCES: Final = re.compile(
    r"\bdvc\s{1,4}(?:repro|exp\s{1,2}run)|\bmake\s{1,4}\w{0,20}(?:train|repro|test|pipeline|"
    r"eval)|mlflow run|"
    r"kedro run|papermill|snakemake"
)
_WORKS: Final = re.compile(
    r"\bdocker\s{1,4}(?:buildx\s{1,4})?build\b|\bdocker[ -]compose\b.{0,80}\bbuild\b"
    r"|\bdvc\s{1,4}repro|\bpython3?\s{1,4}\S{0,80}train\w{0,20}\.py"
    r"|\bmake\s{1,4}\w{0,20}(?:train|build|deploy)"
    r"|\b(?:run|start)-pipeline|\baz ml job create|\bsam (?:build|deploy)|\bserverless deploy"
    r"|\bmlflow run|\bkedro run|\bterraform apply|\bkubectl apply|\bbentoml build"
)
_DEFAULTS: Final = (
    "main",
    "master",
    "trunk",
    "develop",
    "dev",
    "staging",
    "production",
    "prod",
    "$default-branch",
    "release",
)


@rule(
    "TP05",
    name="ci-not-on-pull-request",
    dimension="team_practices",
    severity=MEDIUM,
    confidence=0.85,
    fix="Run tests and lint on `pull_request`, and let a failure stop the merge.",
    effort=(0.1, 1),
    sources=("openssf_scorecard: CI-Tests (tests run before pull requests are merged)",),
    practice="model_ci",
)
def ci_not_on_pull_request(repo: AuditRepository) -> Iterator[Hit]:
    """Report checks after the merge, checks that cannot fail, and reports without a run."""
    yield from _late(repo)
    yield from _soft(repo)
    yield from _stored(repo)


def _late(repo: AuditRepository) -> Iterator[Hit]:
    """Find checks that no pull request starts, in each repository that lies here by itself."""
    homes: dict[str, list[Job]] = {}
    for job in repo.jobs:
        if not job.disabled:
            homes.setdefault(_home(job.path), []).append(job)
    for jobs in homes.values():
        if any(j.system not in ("github", "azure") for j in jobs):
            continue  # those run on every push unless told otherwise
        yield from _late_in(repo, jobs)


def _home(path: str) -> str:
    """Folder that is a repository of its own: the one that holds `.github`."""
    before, found, _ = f"/{path}".partition("/.github/")
    return before.strip("/") if found else ""


def _late_in(repo: AuditRepository, jobs: list[Job]) -> Iterator[Hit]:
    checking = [j for j in jobs if _testing.checks(j) or _called(j)]
    pulled = any(j.events & {"pull_request", "call"} for j in checking or jobs)
    working = checking or [j for j in jobs if _works(j)]
    if pulled or not working:
        return
    told: list[tuple[Job, int, str]] = []
    for job in working:
        found = _trigger(repo, job)
        if found is not None and job.path not in [t[0].path for t in told]:
            told.append((job, *found))
    if not told:
        return
    job, line, when = told[0]
    if not checking and "push" not in when:
        return  # a release or a start by hand is no place for checks
    at = _testing.checks(job) or _works(job) or job.line
    what = "The checks of job" if checking else "What is built or trained in job"
    yield Hit(
        job.path,
        line,
        f"{what} `{job.name}` run{'' if checking else 's'} {when}, and no workflow runs "
        f"{'them' if checking else 'anything'} on a pull request: a fault is found after the "
        "merge.",
        "Add `pull_request:` under `on:`.",
        also=((job.path, at), *((j.path, n) for j, n, _ in told[1:])),
        confidence=None if checking else 0.75,
    )


def _works(job: Job) -> int:
    """Line of the first command of a job that builds an image, trains or deploys; 0 when none."""
    for step in job.steps:
        if step.uses.startswith(("docker/build-push-action", "iterative/setup-cml")):
            return step.line
        for command in step.commands:
            if _WORKS.search(command.text[:2_000]):
                return command.line
    return 0


def _called(job: Job) -> bool:
    return any(
        s.uses.startswith(("pre-commit/action", "psf/black", "astral-sh/ruff")) for s in job.steps
    )


def _trigger(repo: AuditRepository, job: Job) -> tuple[int, str] | None:
    """Line and words of the trigger of a workflow that leaves pull requests out."""
    for doc in repo.yaml(job.path).docs:
        on = doc.child("on") or doc.child("true") or doc.child("trigger")
        if on is None:
            continue
        push = on.child("push") if job.system == "github" else on
        return _without_push(on) if push is None else _with_push(job, on, push)
    return None


def _without_push(on: Node) -> tuple[int, str] | None:
    """Trigger of a workflow that names no push, or names it without branches."""
    kinds = [k for k, _ in on.pairs()] or (
        [on.text] if on.text else [n.text for n in on.items or ()]
    )
    if not kinds or not set(kinds) <= {"workflow_dispatch", "schedule", "release"}:
        return None
    return on.key_line or 1, f"only on {' and '.join(f'`{k}`' for k in kinds)}"


def _with_push(job: Job, on: Node, push: Node) -> tuple[int, str] | None:
    """Trigger of a workflow that a push of the default branch or of a tag starts."""
    line = (push if push is not on else on).key_line
    branches = [n.text for n in push.list_at("branches")]
    if job.system == "azure":
        branches = [n.text for n in on.items or push.list_at("branches", "include")]
    if not branches:
        return (line, "only on a tag") if push.child("tags") is not None else None
    if any(b.strip("'\"") not in _DEFAULTS for b in branches):
        return None
    return line, f"on a push to {', '.join(f'`{b}`' for b in branches)}"


def _soft(repo: AuditRepository) -> Iterator[Hit]:
    """Lint whose failure changes nothing."""
    seen: set[tuple[str, int]] = set()
    for run in _testing.ci_runs(repo, _testing.LINT):
        if not run.live or _testing.PYTEST.search(run.text) or run.where in seen:
            continue
        why = _why_soft(run)
        if why:
            seen.add(run.where)
            strict = _blocked_elsewhere(repo, run)
            yield Hit(
                *run.where,
                f"{why}: code that breaks the rules is merged all the same"
                + (" (another command blocks on a few of them)." if strict else "."),
                "Let the command fail, and list what is not wanted in its settings instead.",
                severity=LOW if strict else MEDIUM,
                also=((run.path, run.line),) if run.where != (run.path, run.line) else (),
            )


def _why_soft(run: Run) -> str:
    found = _SOFT.search(run.text)
    if found:
        return f"`{found.group(0).strip()}` makes the lint pass whatever it finds"
    if run.step is not None and run.step.soft:
        return "`continue-on-error` makes the lint step pass whatever it finds"
    if run.job is not None and run.job.soft:
        return "The job may fail without consequence, so the lint passes whatever it finds"
    text = run.text.strip()
    if _FORMATS.match(text) and not _CHECKS.search(text) and "pre-commit" not in text:
        steps = run.job.steps if run.job is not None else ()
        if not any(
            _COMMITS.search(f"{s.uses} {' '.join(c.text for c in s.commands)}") for s in steps
        ):
            return (
                f"`{text[:60]}` reformats the checkout of CI and never fails (`--check` is missing)"
            )
    return ""


def _blocked_elsewhere(repo: AuditRepository, run: Run) -> bool:
    tool = _testing.LINT.search(run.text)
    word = tool.group(0).strip("/;&| ") if tool else ""
    return any(
        r.hard and r.live and word in r.text and not _SOFT.search(r.text) and r.path == run.path
        for r in _testing.ci_runs(repo, _testing.LINT)
        if r.text != run.text
    )


def _stored(repo: AuditRepository) -> Iterator[Hit]:
    """CI that shows stored results and never runs what makes them."""
    if repo.stages.training is None and not repo.named("dvc.yaml"):
        return
    runs = [r for r in repo.runs.ci if r.counts]
    if any(_REPRODUCES.search(r.text) or _testing.PYTEST.search(r.text) for r in runs):
        return
    if any(repo.code.closure(repo.runs.modules(r)) & repo.code.training_roots for r in runs):
        return
    seen: set[str] = set()
    for run in runs:
        if run.path in seen or not _STORED.search(run.text):
            continue
        if not any(_SHOWS.search(r.text) for r in runs if r.path == run.path):
            continue
        seen.add(run.path)
        yield Hit(
            *run.where,
            f"`{run.text.strip()[:60]}` fetches stored results, and no CI command runs the "
            "pipeline "
            "or a test: the report says nothing about this change.",
            "Run `dvc repro` (on a small sample if need be) and compare its fresh metrics.",
        )
