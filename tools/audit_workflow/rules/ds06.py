"""Container runs as root

## What it does

Looks at the final stage of each Dockerfile and at each Kubernetes, KServe and Seldon container.  A
Dockerfile without a `USER` instruction, or whose last `USER` is root, is reported; so is a
container that says `runAsUser: 0` or `runAsNonRoot: false`, and a workload whose pod, containers
and image all leave the user open.  Files made writable for everybody (`chmod 777`) are reported
as well.

## Why is this bad?

A process that escapes from a container that runs as root is root on the host.  A model server
loads files that others wrote (models, pickles), so an escape is not far-fetched.  What everybody
may write, any process in the container may exchange, the model included.

## Known problems

Base images known to set a user (distroless nonroot, Airflow, Jupyter, Bitnami and the like) and
images of AWS Lambda, which ignores `USER`, are left out; others are not looked up.  Such a finding
can be turned off with `# mlops: ignore[DS06] base image sets a user`.

## Example

```dockerfile
FROM python:3.12-slim
COPY . /app
CMD ["python", "/app/serve.py"]
```

## Use instead

```dockerfile
FROM python:3.12-slim
COPY . /app
RUN useradd --uid 10001 app
USER 10001
CMD ["python", "/app/serve.py"]
```
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from mlops_advisor.tools.audit_workflow.repo import AuditRepository
from mlops_advisor.tools.audit_workflow.rule import LOW, MEDIUM, Hit, rule
from mlops_advisor.tools.audit_workflow.rules._serving import start_of
from mlops_advisor.tools.evidence.parse.shell import Instruction
from mlops_advisor.tools.evidence.parse.tree import Node
from mlops_advisor.tools.evidence.workloads import Workload

_OWN_USER: Final = re.compile(
    r"nonroot|unprivileged|rootless|chainguard|/lambda/|aws-lambda|apache/airflow|ap-airflow|"
    r"astro-runtime|(?:^|/)bitnami/|jupyter/|rayproject/|anyscale/|micromamba|apache/spark|"
    r"apache/superset|devcontainers|gitpod/|circleci/|cimg/|sagemaker|selenium/|kserve/|"
    r"(?:^|/)seldonio/|azureml/|azure-functions|grafana/|prom/|google/cloud-sdk"
)
_KINDS: Final = frozenset(
    "Deployment StatefulSet DaemonSet Rollout InferenceService SeldonDeployment Job CronJob"
    " Service Pod RayService".split()
)
_OPEN: Final = re.compile(
    r"\bchmod\s{1,4}(?:-\w{1,4}\s{1,4}|--\w{1,12}\s{1,4}){0,3}"
    r"(?:0?777|0?666|a\+\w{0,2}w\w{0,1}|o\+\w{0,2}w\w{0,1}|ugo\+\w{0,2}w\w{0,1})\b"
)
_OPEN_MODES: Final = (0o777, 0o666)
_UID: Final = "runAsUser"


@rule(
    "DS06",
    name="container-runs-as-root",
    dimension="deployment",
    severity=MEDIUM,
    confidence=0.9,
    fix="Add `RUN useradd --uid 10001 app` and `USER 10001` before the last CMD or ENTRYPOINT.",
    effort=(0.1, 0.5),
    sources=(
        "hadolint: DL3002",
        "checkov: CKV_DOCKER_3, CKV_DOCKER_8, CKV_K8S_16",
        "cis_docker: 4.1 a user for the container has been created",
    ),
)
def container_runs_as_root(repo: AuditRepository) -> Iterator[Hit]:
    """Report images and containers that run as root, and files that everybody may write."""
    yield from _images(repo)
    yield from _cluster(repo)
    yield from _world_writable(repo)


def _images(repo: AuditRepository) -> Iterator[Hit]:
    for path, instructions in repo.dockerfiles.items():
        if ".devcontainer" in path:
            continue
        stage, users, base = _final(instructions)
        start = start_of(instructions)[0]
        if not stage or base == "scratch":
            continue
        if users:
            if users[-1].text.split(":")[0].strip("\"' ") in ("root", "0"):
                yield Hit(path, users[-1].line, "The last USER of the image is root.")
        elif not _OWN_USER.search(base):
            why = f"The stage from `{stage[0].text}` sets no USER, so its processes run as root."
            yield Hit(path, stage[0].line, why, also=((path, start),) if start else ())


def _final(instructions: list[Instruction]) -> tuple[list[Instruction], list[Instruction], str]:
    """Find the last stage, its USER lines with those of the stages it is made from, its base."""
    stages: dict[str, list[Instruction]] = {}
    current: list[Instruction] = []
    for item in instructions:
        if item.name == "FROM":
            current = []
            stages[item.text.split()[-1].lower() if item.text.split() else ""] = current
        current.append(item)
    users: list[Instruction] = []
    stage, base = current, ""
    for _ in range(10):
        if not stage or stage[0].name != "FROM":
            break
        users = [*(i for i in stage if i.name == "USER"), *users]
        words = [w for w in stage[0].text.split() if not w.startswith("--")]
        base = words[0].lower() if words else ""
        below = stages.get(base)
        if below is None or below is stage or (len(words) == 1 and below is current):
            break
        stage = below
    return (current if current and current[0].name == "FROM" else []), users, base


def _cluster(repo: AuditRepository) -> Iterator[Hit]:
    settled = any(_nonroot(i) for i in repo.dockerfiles.values())
    for work in repo.workloads:
        if work.system != "k8s" or work.kind not in _KINDS or work.prepackaged:
            continue
        root = _says_root(work)
        if root is not None:
            yield Hit(
                work.path,
                root.line,
                f"Container `{work.name}` of {work.kind} is told to run as root.",
                "Set `runAsNonRoot: true` and a `runAsUser` above 0.",
            )
        elif not settled and not _says_user(work) and not _OWN_USER.search(work.image):
            yield Hit(
                work.path,
                work.line,
                f"Neither pod nor container `{work.name}` of {work.kind} sets `runAsNonRoot` or"
                " `runAsUser`, so it runs as the image's user, by default root.",
                "Add `securityContext: {runAsNonRoot: true, runAsUser: 10001,"
                " allowPrivilegeEscalation: false}` to the container.",
                severity=LOW,
                confidence=0.7,
            )


def _nonroot(instructions: list[Instruction]) -> bool:
    _, users, base = _final(instructions)
    if users:
        return users[-1].text.split(":")[0].strip("\"' ") not in ("root", "0")
    return bool(_OWN_USER.search(base))


def _contexts(work: Workload) -> list[Node]:
    both = (work.node.child("securityContext"), work.pod.child("securityContext"))
    return [c for c in both if c is not None]


def _says_root(work: Workload) -> Node | None:
    for context in _contexts(work):
        user, nonroot = context.child(_UID), context.child("runAsNonRoot")
        if user is not None and user.text:
            return user if user.text == "0" else None
        if nonroot is not None and nonroot.text.lower() == "false":
            return nonroot
    return None


def _says_user(work: Workload) -> bool:
    return any(
        c.child(_UID) is not None
        or c.child("runAsNonRoot") is not None
        or not c.map  # a template fills it in
        for c in _contexts(work)
    )


def _world_writable(repo: AuditRepository) -> Iterator[Hit]:
    seen: set[tuple[str, int]] = set()
    for run in repo.runs.everything:
        found = _OPEN.search(run.text) if "chmod" in run.text else None
        if found and (run.path, run.line) not in seen:
            line = _line_in(repo, run.path, run.line, found.group(0))
            seen.add((run.path, run.line))
            yield Hit(
                run.path,
                line,
                f"`{found.group(0)}` lets every user and process change these files.",
                "Give the files to the user that needs them: `chown app: PATH && chmod 750 PATH`.",
            )
    for hit in repo.code.calls("os.chmod", "*.chmod"):
        values = (*hit.call.args, *hit.call.kwargs.values())
        if any(v in _OPEN_MODES for v in values if isinstance(v, int)):
            yield Hit(
                hit.module.path,
                hit.call.line,
                "The mode lets every user and process change these files.",
                "Use `0o750` for folders and `0o640` for files.",
            )


def _line_in(repo: AuditRepository, path: str, start: int, words: str) -> int:
    """Find the line of a command that goes on over several lines."""
    at = repo.line_of(path, words, start - 1)
    return at if start <= at <= start + 60 else start
