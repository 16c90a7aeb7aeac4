"""Container runs as root

## What it does

Looks at the final stage of each Dockerfile and at each Kubernetes container.  A Dockerfile without
a `USER` instruction, or whose last `USER` is root, is reported; so is a container that says
`runAsUser: 0`, and one whose image, pod and container leave the user open.

## Why is this bad?

A process that escapes from a container that runs as root is root on the host.  A model server
loads files that others wrote (models, pickles), so an escape is not far-fetched.

## Known problems

The base image may set a user already; that is not looked up.  Such a finding can be turned off
with `# mlops: ignore[DS06] base image sets a user`.

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

from collections.abc import Iterator

from mlops_advisor.tools.audit_workflow.repo import AuditRepository
from mlops_advisor.tools.audit_workflow.rule import MEDIUM, Hit, rule
from mlops_advisor.tools.evidence.parse.shell import Instruction


@rule(
    "DS06",
    name="container-runs-as-root",
    dimension="deployment",
    severity=MEDIUM,
    confidence=0.9,
    fix="Add `RUN useradd --uid 10001 app` and `USER 10001` before the last CMD or ENTRYPOINT.",
    effort=(0.1, 0.5),
    sources=("hadolint: DL3002", "checkov: CKV_DOCKER_3", "cis_docker: 4.1"),
)
def container_runs_as_root(repo: AuditRepository) -> Iterator[Hit]:
    """Report images and containers that run as root."""
    for path, instructions in repo.dockerfiles.items():
        last = _last_stage(instructions)
        users = [i for i in last if i.name == "USER"]
        if not last:
            continue
        if not users:
            yield Hit(path, last[0].line, f"The stage from `{last[0].text}` sets no USER.")
        elif users[-1].text.split(":")[0].strip() in ("root", "0"):
            yield Hit(path, users[-1].line, "The last USER of the image is root.")


def _last_stage(instructions: list[Instruction]) -> list[Instruction]:
    starts = [i for i, item in enumerate(instructions) if item.name == "FROM"]
    return instructions[starts[-1] :] if starts else []
