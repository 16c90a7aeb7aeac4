"""Which modules belong to training and which to serving or batch scoring."""

from __future__ import annotations

from collections.abc import Iterable

from mlops_advisor.tools.audit_workflow.repo import AuditRepository


def sides(repo: AuditRepository) -> tuple[list[str], list[str]]:
    """Give the modules that only training uses, and those only serving or scoring uses."""
    code = repo.code
    roots = frozenset(code.serving) | frozenset(code.batch)
    serve = code.closure(roots) - code.tests.keys()
    flows = frozenset(p for p in repo.flows.modules if p not in code.batch)
    train = code.training_code | frozenset(code.training_notebooks) | (flows - roots)
    train |= frozenset(p for p in code.feature_code if p not in serve)
    both = train & serve - roots
    return sorted(train - serve - code.tests.keys()), sorted(serve - both - code.training.keys())


def of_project(repo: AuditRepository, path: str, train: Iterable[str]) -> list[str]:
    """Give the training modules of a module's project: those with the most folders in common."""
    parts = path.split("/")[:-1]

    def common(other: str) -> int:
        count = 0
        for a, b in zip(parts, other.split("/")[:-1], strict=False):
            if a != b:
                break
            count += 1
        return count

    trains = [common(p) for p in train if p in repo.code.training]
    near = max(trains, default=0)
    return [p for p in train if common(p) >= near]
