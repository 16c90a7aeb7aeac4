"""Default credentials

## What it does

Reports user names and passwords that everybody tries first (admin, airflow, postgres, minioadmin
and the like) in compose files, Kubernetes objects, `.env` files, charts, Terraform and code, and
databases that ask for no password at all (`POSTGRES_HOST_AUTH_METHOD=trust`,
`ALLOW_EMPTY_PASSWORD=yes`).  Once for each service or file.

## Why is this bad?

Scanners try these values within minutes on every port that can be reached.  A tracking server or
an orchestrator that is taken over runs any code on the training machines.

## Known problems

A file that says in its name or its first lines that it is for development only is reported with
medium severity; a value used against localhost only is not reported.

## Example

```yaml
services:
  db:
    image: postgres:16
    ports: ["5432:5432"]
    environment:
      POSTGRES_PASSWORD: postgres
```

## Use instead

```yaml
services:
  db:
    image: postgres:16
    environment:
      POSTGRES_PASSWORD: ${POSTGRES_PASSWORD:?set it in .env}
```
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from mlops_advisor.tools.audit_workflow.repo import AuditRepository
from mlops_advisor.tools.audit_workflow.rule import HIGH, MEDIUM, Hit, rule
from mlops_advisor.tools.audit_workflow.rules._secrets import (
    for_development,
    is_template,
    leaks,
    near,
)
from mlops_advisor.tools.evidence.code import is_test_path
from mlops_advisor.tools.evidence.workloads import Workload

_TOGETHER: Final = 4  # lines
_HERE: Final = ("localhost", "127.0.0.1")
_OPEN: Final = re.compile(
    r"(?i)^\s{0,40}-?\s{0,4}(?:(?:ENV|export)\s{1,4})?[\"']?"
    r"(?:(POSTGRES_HOST_AUTH_METHOD)[\"']?\s{0,4}[:=]\s{0,4}[\"']?trust\b"
    r"|((?:\w{1,30}_)?ALLOW_EMPTY_(?:ROOT_)?PASSWORD)[\"']?\s{0,4}[:=]\s{0,4}[\"']?(?:yes|true|1)\b)"
)
_OPEN_WORDS: Final = ("POSTGRES_HOST_AUTH_METHOD", "ALLOW_EMPTY_")
_NO_CONFIG: Final = (".md", ".rst", ".txt")


@rule(
    "GS02",
    name="default-credentials",
    dimension="governance",
    severity=HIGH,
    confidence=0.8,
    fix=(
        "Take the password from a secret: `${POSTGRES_PASSWORD:?not set}` in compose, a"
        " `secretKeyRef` in Kubernetes, `os.environ[...]` in code, and choose a random value."
    ),
    effort=(0.1, 0.5),
    sources=(
        "cwe: CWE-1392 Use of Default Credentials",
        (
            "airflow_docs: Running Airflow in Docker, caution (no security guarantees for "
            "production)"
        ),
    ),
)
def default_credentials(repo: AuditRepository) -> Iterator[Hit]:
    """Report default credentials at their lines, those of one service that stand together once."""
    places: dict[tuple[str, str], list[tuple[int, str, str]]] = {}
    services = _services(repo)
    for secret in leaks(repo):
        if not secret.default or secret.local or _here(repo, secret.path, secret.line):
            continue
        name = secret.name or "a URL"
        owner = _owner(services.get(secret.path, []), secret.line)
        key = (secret.path, owner.name if owner else "")
        places.setdefault(key, []).append((secret.line, name, secret.masked))
    for path, line, name in _open(repo):
        owner = _owner(services.get(path, []), line)
        key = (path, owner.name if owner else "")
        places.setdefault(key, []).append((line, name, repo.lines(path)[line - 1]))
    for (path, owner_name), found in places.items():
        for near_by in _clusters(sorted(found)):
            workload = _owner(services.get(path, []), near_by[0][0])
            yield _hit(repo, path, workload, owner_name, near_by)


def _clusters(found: list[tuple[int, str, str]]) -> list[list[tuple[int, str, str]]]:
    """Credentials that stand together: a user and a password, a password and its URL."""
    groups: list[list[tuple[int, str, str]]] = []
    for one in found:
        if groups and one[0] - groups[-1][0][0] <= _TOGETHER:
            groups[-1].append(one)
        else:
            groups.append([one])
    return groups


def _hit(
    repo: AuditRepository,
    path: str,
    workload: Workload | None,
    owner: str,
    found: list[tuple[int, str, str]],
) -> Hit:
    line, _, text = found[0]
    names = ", ".join(dict.fromkeys(f"`{name}`" for _, name, _ in found[:6]))
    published = workload is not None and (workload.ports or workload.system == "k8s")
    development = for_development(repo, path)
    who = f"Service `{owner}` runs" if owner else "A server is reached or started"
    reach = " and its port is published" if published and workload and workload.ports else ""
    return Hit(
        path,
        line,
        f"{who} with a well-known default or with no password at all ({names}){reach}.",
        text=text,
        also=tuple((path, n) for n, _, _ in found[1:]),
        severity=HIGH if published and not development else MEDIUM,
        confidence=0.85 if published else 0.7,
    )


def _here(repo: AuditRepository, path: str, line: int) -> bool:
    """Tell whether the value is for a server on the same machine, as in a sandbox."""
    low = path.lower()
    if any(path == f.path for f in repo.compose):
        return False
    return "sandbox" in low or near(repo, path, line, _HERE, 3 if low.endswith(".py") else 8)


def _services(repo: AuditRepository) -> dict[str, list[Workload]]:
    found: dict[str, list[Workload]] = {}
    for workload in repo.workloads:
        found.setdefault(workload.path, []).append(workload)
    return found


def _owner(workloads: list[Workload], line: int) -> Workload | None:
    """Service or container that a line belongs to: the last that begins above it."""
    above = [w for w in workloads if w.line <= line]
    return above[-1] if above else None


def _open(repo: AuditRepository) -> Iterator[tuple[str, int, str]]:
    """Find settings that let everybody in."""
    for path, file in repo.files.items():
        if not any(w in file.text for w in _OPEN_WORDS) or path.lower().endswith(_NO_CONFIG):
            continue
        if is_test_path(path) or is_template(path) or ".github/workflows/" in path:
            continue
        for number, line in enumerate(repo.lines(path), 1):
            match = _OPEN.match(line[:300])
            if match:
                yield path, number, match.group(1) or match.group(2)
