"""Packages that code imports and that neither Python nor the repository brings along."""

from __future__ import annotations

import sys

from mlops_advisor.tools.evidence.repository import Repository

_KNOWN = sys.stdlib_module_names


def foreign_imports(repo: Repository, folder: str) -> dict[str, tuple[str, int]]:
    """Top-level packages imported by product code below a folder, with their first place."""
    own = _own(repo)
    found: dict[str, tuple[str, int]] = {}
    for path, module in repo.code.product.items():
        if folder and not path.startswith(f"{folder}/"):
            continue
        for one in module.imports:
            root = one.module.partition(".")[0]
            if root and not one.module.startswith(".") and root not in _KNOWN and root not in own:
                found.setdefault(root, (path, one.line))
    return found


def _own(repo: Repository) -> frozenset[str]:
    """Names of folders and modules of the repository, which an import may mean."""
    names: set[str] = set()
    for path in repo.python:
        parts = path.split("/")
        names.update(parts[:-1])
        names.add(parts[-1].partition(".")[0])
    return frozenset(names)
