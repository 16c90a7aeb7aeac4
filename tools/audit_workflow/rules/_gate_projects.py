"""Projects of a repository that holds several, and whether each has a gate of its own."""

from __future__ import annotations

from typing import Final

from mlops_advisor.tools.audit_workflow.repo import AuditRepository
from mlops_advisor.tools.audit_workflow.rules._gates import gate_exists
from mlops_advisor.tools.evidence.probes.evaluation import is_metric
from mlops_advisor.tools.evidence.repository import Repository, shared

_MARKS: Final = (
    *("pyproject.toml", "setup.py", "setup.cfg", "pipfile", "dvc.yaml", "mlproject"),
    *("environment.yml", "environment.yaml", "conda.yaml", "bentofile.yaml", "dockerfile"),
    *("requirements.txt", "poetry.lock", "uv.lock"),
)
_MAX_DEPTH: Final = 4


@shared
def projects(repo: Repository) -> tuple[str, ...]:
    """Folders, with a slash, of projects that lie beside each other; empty when there is one.

    A project brings its own environment and its own training.
    """
    marks = {p for n in _MARKS for p in repo.named(n)}
    marks |= {r.path for r in repo.requirements}
    base = ""
    for _ in range(_MAX_DEPTH):
        trains = {_top(p, base) for p in repo.code.training if p.startswith(base)}
        has = {_top(p, base) for p in marks if p.startswith(base)}
        found = sorted((trains & has) - {""})
        if len(found) > 1:
            return tuple(f"{base}{name}/" for name in found)
        if not found:
            return ()
        base = f"{base}{found[0]}/"
    return ()


def _top(path: str, base: str) -> str:
    head, slash, _ = path[len(base) :].partition("/")
    return head if slash else ""


def project_of(repo: Repository, path: str) -> str:
    """Folder of the project that a file belongs to; empty for what belongs to all of them."""
    return next((p for p in projects(repo) if path.startswith(p)), "")


def has_gate(repo: AuditRepository, project: str) -> bool:
    """Tell whether a condition on a metric stops or decides in one project, or for all of them."""
    if not gate_exists(repo):
        return False
    if not project:
        return True
    return project in _gated(repo) or "" in _gated(repo)


@shared
def _gated(repo: Repository) -> frozenset[str]:
    """Projects in which the probe, or a comparison of a metric that stops, was seen."""
    facts = getattr(repo, "facts", {})
    found = {project_of(repo, place.path) for place in facts["gate"].places}
    for path, module in repo.code.modules.items():
        if any(c.compares and any(is_metric(n) for n in c.names) for c in module.checks):
            found.add(project_of(repo, path))
    return frozenset(found)
