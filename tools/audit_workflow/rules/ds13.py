"""Deployment does not wait for tests

## What it does

Looks at CI jobs that deploy by themselves: a job that no job or step with tests comes before, that
waits for no approval (protected environment, manual step) and is not started by a workflow that
tests, is reported.  So are steps called "test" that only print text, deployments of a branch other
than the one that started them, jobs called "deploy" that deploy nothing, and conditions of a
deployment that no longer ask whether what came before succeeded.

## Why is this bad?

Every push goes live, broken or not.  A step that prints "no issues found" is worse than none,
because everybody believes that something is tested.

## Known problems

Branch protection is set outside the repository: tests that must pass before a merge are not seen
here.  They do not cover what is deployed when the merge itself breaks something.

## Example

```yaml
on: {push: {branches: [main]}}
jobs:
  deploy:
    runs-on: ubuntu-24.04
    steps:
      - run: ./deploy.sh
```

## Use instead

```yaml
jobs:
  test:
    ...
  deploy:
    needs: test
    environment: production
```
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from mlops_advisor.tools.audit_workflow.repo import AuditRepository
from mlops_advisor.tools.audit_workflow.rule import HIGH, MEDIUM, Hit, rule
from mlops_advisor.tools.audit_workflow.rules._deploy_conditions import dropped_success
from mlops_advisor.tools.evidence.parse.ci import Job, Step
from mlops_advisor.tools.evidence.parse.shell import Line
from mlops_advisor.tools.evidence.parse.tree import Node
from mlops_advisor.tools.evidence.probes._deploy import (
    DEPLOY,
    PUSH_IMAGE,
    deploy_jobs,
    says_deploy,
)

_TESTS: Final = re.compile(
    r"\bpytest\b|\bpy\.test\b|\bunittest\b|\btox\b|\bnox\b|\bnosetests\b|\bmake (?:\S{1,40} ){0,3}"
    r"(?:test|check|ci|validate)\S{0,30}|manage\.py test|\bgo test\b|\bnpm (?:run )?test\b|"
    r"\bnewman\b|\bbehave\b|\brobot\b|\blocust\b|tests?/\S{1,80}\.(?:py|sh)\b|"
    r"\btests?[\w-]{0,40}\.(?:py|sh)\b|"
    r"\bsmoke|great_expectations|\bgreat-expectations\b|deepchecks|\bhatch (?:run )?test|"
    r"\b(?:evaluate|validate|quality_gate|model_gate|check_model)\w{0,30}\.py"
)
# These copy files; that is a deployment only when the job says so.
_WEAK: Final = re.compile(
    r"\b(?:aws s3 sync|gsutil|scp |rsync |dvc push|huggingface-cli upload|terraform|pulumi|"
    r"docker[- ]compose)\b"
)
_RUNS_IT: Final = re.compile(
    r"\bdocker run\b[^\n]{0,200}\s-(?:d|-detach|dit|itd|p)\b|\bsystemctl (?:re)?start\b|"
    r"\bpm2 (?:re)?start\b"
)
_DOCS: Final = re.compile(
    r"\bdocs?\b|documentation|gh-?pages|github-?pages|mkdocs|sphinx|\bpages\b|website|storybook|"
    r"pypi|release-?draft|slides",
    re.IGNORECASE,
)
_TEST_NAME: Final = re.compile(
    r"\btests?\b|\btesting\b|\bunit[- ]?tests?\b|\bpytest\b|\bvalidat(?:e|ion)\b|\bsmoke\b|"
    r"\bhealth[- ]?check\b",
    re.IGNORECASE,
)
_DEV: Final = re.compile(r"^(?:dev|develop|development|test|testing|staging|feature\S{0,80}|wip)$")
_PROD: Final = re.compile(r"\bprod(?:uction)?\b")
_DEPLOY_NAME: Final = re.compile(
    r"(?:^|[^a-z])(?:deploy(?:ment|s|ing)?|cd|continuous[-_ ]?deploy\w{0,10})(?:$|[^a-z])",
    re.IGNORECASE,
)
_PULL: Final = re.compile(
    r"\bgit (?:pull|checkout|fetch|reset --hard|clone -b)\s(?:origin[ /])?(dev|develop|"
    r"development|staging|test)\b"
)
_UNDO: Final = re.compile(
    r"\bterraform (?:\S{1,40} ){0,3}destroy\b|\bkubectl (?:\S{1,40} ){0,3}delete\b|"
    r"\bhelm (?:uninstall|delete)\b|\bundeploy|\bdocker[- ]compose (?:\S{1,40} ){0,3}down\b|"
    r"delete-(?:endpoint|stack|service)\b"
)
# Commands that prepare; a job with nothing else deploys nothing.
_PREPARES: Final = re.compile(
    r"^(?:sudo )?(?:(?:python[\d.]* -m )?pip[\d]?\b|docker (?:buildx )?build\b|docker (?:images|"
    r"ps|tag|login)\b|echo\b|git\b|"
    r"pytest\b|python[\d.]* -m (?:pytest|unittest|pip)|apt(?:-get)?\b|curl -\S{0,8}fsSL|conda\b|"
    r"poetry (?:install|build)|uv (?:sync|pip|build)|"
    r"make (?:build|test|install|lint)\b|npm (?:ci|install|run build)|flake8\b|ruff\b|black\b|"
    r"mypy\b|pylint\b|"
    r"docker[- ]compose (?:\S{1,40} ){0,3}(?:build|down)\b|ls\b|cat\b|mkdir\b|cd\b|export\b|"
    r"aws (?:configure|ecr get-login)|gcloud (?:auth|config)\b|"
    r"terraform (?:init|plan|validate|fmt|destroy)\b|kubectl (?:get|describe|config|delete)\b|"
    r"bentoml build\b|dvc pull\b)"
)
_SETUP_ACTIONS: Final = (
    "actions/checkout",
    "actions/setup-",
    "actions/cache",
    "actions/upload-artifact",
    "actions/download-artifact",
    "docker/setup-",
    "docker/login-action",
    "docker/metadata-action",
    "aws-actions/configure-aws-credentials",
    "aws-actions/amazon-ecr-login",
    "google-github-actions/auth",
    "google-github-actions/setup-gcloud",
    "azure/login",
    "hashicorp/setup-terraform",
    "iterative/setup-",
    "conda-incubator/",
    "astral-sh/setup-uv",
)


@rule(
    "DS13",
    name="deploy-not-gated-by-tests",
    dimension="deployment",
    severity=HIGH,
    confidence=0.85,
    fix="Let the deploy job wait: `needs: [test]` with a job that runs the tests (or"
    " `workflow_run` with `if: github.event.workflow_run.conclusion == 'success'`), and put it into"
    " a protected `environment`.",
    effort=(0.25, 1.0),
    sources=(
        "openssf_scorecard: check CI-Tests",
        "se4ml: practice 'Run Automated Regression Tests'",
    ),
)
def deploy_not_gated_by_tests(repo: AuditRepository) -> Iterator[Hit]:
    """Report deployments that go ahead whatever the tests say."""
    yield from _ungated(repo)
    yield from _fake_tests(repo)
    yield from _other_branch(repo)
    yield from _nothing_deployed(repo)
    yield from dropped_success(repo)


# --- deployments without tests ---------------------------------------------------------------


def _ungated(repo: AuditRepository) -> Iterator[Hit]:
    names: dict[tuple[str, str], list[Job]] = {}
    for one in repo.jobs:
        names.setdefault((one.path, one.name), []).append(one)
    seen: set[str] = set()
    for job, line in sorted(_deploying(repo), key=lambda found: (found[0].path, found[1])):
        if not job.automatic or job.path in seen or _is_docs(job) or _only_asks(job):
            continue
        text = _text_at(repo, job, line)
        if _WEAK.search(text) and not (says_deploy(job) or _DEPLOY_NAME.search(_file(job))):
            continue
        before = _before(repo, job, names)
        if any(j.environment or j.manual for j in (job, *before)) or _approved(before):
            continue
        if any(_has_tests(repo, j) for j in before) or _has_tests(repo, job, until=line):
            continue
        if "workflow_run" in job.events and not job.events & {"push"}:
            continue
        seen.add(job.path)
        yield _deploys_untested(repo, job, line)


def _deploying(repo: AuditRepository) -> list[tuple[Job, int]]:
    """Jobs that deploy; one that calls itself so may just start a container."""
    found = deploy_jobs(repo)
    known = {(j.path, j.name) for j, _ in found}
    for job in repo.jobs:
        if (job.path, job.name) not in known and says_deploy(job) and not job.disabled:
            lines = [c.line for s in job.steps for c in s.commands if _RUNS_IT.search(c.text)]
            found = [*found, *((job, n) for n in lines[:1])]
    return found


def _deploys_untested(repo: AuditRepository, job: Job, line: int) -> Hit:
    elsewhere = sorted({j.path for j in repo.jobs if j.path != job.path and _has_tests(repo, j)})
    if elsewhere:
        more = f"; `{elsewhere[0]}` tests, but nothing makes the deployment wait for it"
    else:
        more = "; no job in the repository runs tests"
    return Hit(
        job.path,
        job.line,
        f"Job `{job.name}` deploys (line {line}) on {_and(sorted(job.events - {'dispatch'}))}"
        f" without a test job before it or an approval{more}.",
        also=((job.path, line),) if job.line != line else (),
    )


def _and(words: list[str]) -> str:
    return ", ".join(w.replace("_", " ") for w in words)


def _file(job: Job) -> str:
    return job.path.rsplit("/", 1)[-1].rsplit(".", 1)[0]


def _is_docs(job: Job) -> bool:
    return bool(_DOCS.search(f"{_file(job)} {job.name}".replace("_", "-")))


def _only_asks(job: Job) -> bool:
    """Tell whether a person cuts the release, or it is a check of a pull request."""
    events = job.events - {"dispatch", "call"}
    return not events or events <= {"release"} or events <= {"pull_request"}


def _text_at(repo: AuditRepository, job: Job, line: int) -> str:
    for step in job.steps:
        for command in step.commands:
            if command.line == line:
                return command.text
    lines = repo.lines(job.path)
    return lines[line - 1] if 0 < line <= len(lines) else ""


def _before(repo: AuditRepository, job: Job, names: dict[tuple[str, str], list[Job]]) -> list[Job]:
    """Jobs that must succeed first, those of called workflows included."""
    found: dict[tuple[str, str], list[Job]] = {}
    stack = _needed(repo, job, names)
    while stack:
        key = stack.pop()
        if key in found or key not in names:
            continue
        found[key] = names[key]
        for earlier in names[key]:
            stack += _needed(repo, earlier, names)
            for step in earlier.steps:
                if step.uses.startswith("./"):
                    called = step.uses.removeprefix("./")
                    stack += [k for k in names if k[0].endswith(called)]
    return [j for jobs in found.values() for j in jobs]


def _needed(
    repo: AuditRepository, job: Job, names: dict[tuple[str, str], list[Job]]
) -> list[tuple[str, str]]:
    """Keys of the jobs that one waits for; a stage of Azure waits for the one before it."""
    if job.needs or job.system != "azure" or "stages:" not in repo.text(job.path):
        return [(job.path, n) for n in job.needs]
    order = [k for k in names if k[0] == job.path]
    at = order.index((job.path, job.name))
    return order[max(0, at - 1) : at]


def _approved(before: list[Job]) -> bool:
    return any(
        "approv" in f"{j.name} {j.condition}".lower() or s.uses == "approval"
        for j in before
        for s in j.steps
    ) or any(j.condition == "input" for j in before)


def _has_tests(repo: AuditRepository, job: Job, until: int = 0) -> bool:
    """Tell whether a job tests something and fails when the tests do."""
    if job.disabled or job.soft:
        return False
    return any(
        run.job is job
        and run.counts
        and run.hard
        and (not until or run.where[1] < until)
        and _TESTS.search(run.text) is not None
        for run in repo.runs.ci
    )


# --- tests that only print -------------------------------------------------------------------


def _fake_tests(repo: AuditRepository) -> Iterator[Hit]:
    for job in repo.jobs:
        for step in job.steps:
            name = step.name or (job.name if len(_active(job)) == 1 else "")
            if step.uses or not step.commands or not _TEST_NAME.search(name.replace("_", " ")):
                continue
            if "install" in name.lower() or "set up" in name.lower() or "setup" in name.lower():
                continue
            if all(_prints(c) for c in step.commands):
                printed = step.commands[0].text[:60]
                yield Hit(
                    job.path,
                    step.line,
                    f"Step `{name}` tests nothing: all it does is `{printed}`.",
                    "Run tests here (`pytest tests/integration`), or delete the step.",
                )


def _active(job: Job) -> list[Step]:
    return [s for s in job.steps if s.commands]


def _prints(command: Line) -> bool:
    return bool(
        re.match(r"^(?:echo|printf|true|:|exit 0|sleep)\b", command.text)
    ) and not re.search(r"&&\s{0,4}(?!echo|true|sleep|printf|exit 0)|\$\(|`", command.text)


# --- other branches --------------------------------------------------------------------------


def _other_branch(repo: AuditRepository) -> Iterator[Hit]:
    deploying = {(j.path, j.name): line for j, line in deploy_jobs(repo)}
    for job in repo.jobs:
        if (job.path, job.name) not in deploying or job.system != "github":
            continue
        branches = _branches(repo, job.path)
        for step in job.steps:
            ref = step.inputs.child("ref") if step.inputs is not None else None
            if ref is not None and ref.text and "$" not in ref.text and "checkout" in step.uses:
                name = ref.text.removeprefix("refs/heads/")
                if branches and name not in {b.text for b in branches}:
                    yield _wrong(job, ref.line, name, branches[0].text)
            for command in step.commands:
                match = _PULL.search(command.text)
                if match and match.group(1) not in {b.text for b in branches}:
                    yield _wrong(
                        job, command.line, match.group(1), branches[0].text if branches else ""
                    )
        dev = next((b for b in branches if _DEV.match(b.text)), None)
        if dev is not None and all(_DEV.match(b.text) for b in branches) and _to_production(job):
            yield Hit(
                job.path,
                dev.line,
                f"Job `{job.name}` deploys to production from `{dev.text}`, a branch for work"
                " that is"
                " not finished.",
                "Deploy production from `main`, and this branch to a staging environment.",
                severity=HIGH,
                confidence=0.8,
            )


def _wrong(job: Job, line: int, name: str, tested: str) -> Hit:
    other = (
        f"while the workflow is started by `{tested}`"
        if tested
        else "whatever started the workflow"
    )
    return Hit(
        job.path,
        line,
        f"Job `{job.name}` deploys branch `{name}`, {other}: what is tested is not what goes live.",
        "Deploy the commit that started the workflow: `ref: ${{ github.sha }}`.",
    )


def _branches(repo: AuditRepository, path: str) -> list[Node]:
    found: list[Node] = []
    for doc in repo.yaml(path).docs:
        on = doc.child("on") or doc.child("true")
        for event in ("push", "workflow_run"):
            found += on.list_at(event, "branches") if on is not None else []
    return found


def _to_production(job: Job) -> bool:
    text = " ".join(c.text for s in job.steps for c in s.commands)[:20_000].lower()
    return bool(
        _PROD.search(job.environment.lower())
        or re.search(r"\bprod(?:uction)?\b", text.replace("_", " "))
    )


# --- deployments that deploy nothing -----------------------------------------------------------


def _nothing_deployed(repo: AuditRepository) -> Iterator[Hit]:
    deploying = {(j.path, j.name) for j, _ in _deploying(repo)}
    for job in repo.jobs:
        named = bool(_DEPLOY_NAME.search(job.name.replace("_", " ")))
        alone = (
            _DEPLOY_NAME.search(_file(job))
            and len({j.name for j in repo.jobs if j.path == job.path}) == 1
        )
        if not (named or alone) or job.disabled or _is_docs(job) or job.system == "cloudbuild":
            continue
        commands = [c for s in job.steps if not s.disabled for c in s.commands]
        if not commands or not _understood(job):
            continue
        undo = next((c for c in commands if _UNDO.search(c.text)), None)
        real = [
            c for c in commands if not c.idle and not _UNDO.search(c.text) and DEPLOY.search(c.text)
        ]
        if undo is not None and not real:
            yield _no_deploy(
                job, undo.line, f"`{undo.text[:60]}` takes away what runs, and nothing deploys"
            )
        elif (job.path, job.name) not in deploying and _only_prepares(commands):
            what = "prints text" if all(c.idle for c in commands) else "builds and checks"
            yield _no_deploy(job, job.line, f"it only {what}")


def _only_prepares(commands: list[Line]) -> bool:
    return all(
        (c.idle or _PREPARES.match(c.text.lstrip("@- "))) and not PUSH_IMAGE.search(c.text)
        for c in commands
    )


def _understood(job: Job) -> bool:
    """Tell whether every action of a job is one that only prepares."""
    return all(
        not s.uses or s.uses.lower().startswith(_SETUP_ACTIONS) for s in job.steps if not s.disabled
    )


def _no_deploy(job: Job, line: int, what: str) -> Hit:
    return Hit(
        job.path,
        line,
        f"Job `{job.name}` calls itself a deployment, but {what}: what is merged never goes live.",
        "Deploy here (and verify it), or give the job the name of what it does.",
        severity=MEDIUM,
        confidence=0.8,
    )
