"""Paths that commands and files name: is the tree to hold them, and does it?"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final, cast

from mlops_advisor.tools.audit_workflow.repo import AuditRepository
from mlops_advisor.tools.evidence.ignore import IgnoreRules
from mlops_advisor.tools.evidence.repository import Repository, shared

# Files that a person writes.  Anything else (data, models, reports) may come out of a step.
WRITTEN: Final = (
    ".py", ".sh", ".ipynb", ".sql", ".yaml", ".yml", ".toml", ".cfg", ".ini", ".in", ".dockerfile",
    ".tf", ".conf", ".r", ".proto", ".j2", ".tmpl",
)  # fmt: skip
_PLAIN: Final = re.compile(r"[\w./ @+-]{1,200}")
_GENERATED: Final = re.compile(
    r"(?:^|/)(?:build|dist|out|outputs?|tmp|temp|generated|artifacts?|node_modules|site-packages|"
    r"mlruns|target|bin|\.venv|venv|env)(?:/|$)"
)


def folder_of(path: str) -> str:
    """Folder of a path, empty for the root."""
    return path.rpartition("/")[0]


def join(folder: str, path: str) -> str:
    """Path below a folder of the tree, `.` and `..` taken out; `!` when it leaves the tree."""
    parts: list[str] = [] if path.startswith("/") else [p for p in folder.split("/") if p]
    for part in path.split("/"):
        if part in ("", "."):
            continue
        if part == "..":
            if not parts:
                return "!"
            parts.pop()
        else:
            parts.append(part)
    return "/".join(parts)


def plain(text: str) -> bool:
    """Tell whether a word is a path without variables, globs and quotes."""
    return bool(_PLAIN.fullmatch(text)) and not text.startswith(("-", "~", "@"))


def folders(repo: Repository) -> frozenset[str]:
    """Every folder of the tree, the root as an empty text."""
    key = "pipeline.folders"
    if key not in repo.shared:
        found = {""}
        for path in repo.paths:
            at = path.rstrip("/")
            if path.endswith("/"):
                found.add(at)
            while "/" in at:
                at = at.rpartition("/")[0]
                if at in found:
                    break
                found.add(at)
        repo.shared[key] = frozenset(found)
    return cast("frozenset[str]", repo.shared[key])


def held(repo: AuditRepository, path: str) -> bool:
    """Tell whether the tree holds a file or folder, read or not."""
    path = path.rstrip("/")
    return path in _known(repo) or path in folders(repo) or _skipped_above(repo, path)


def anywhere(repo: AuditRepository, path: str) -> bool:
    """Tell whether some file or folder of the tree has a path as its end."""
    if held(repo, path):
        return True
    path = path.strip("/")
    end = "/" + path
    return any(p.endswith(end) for p in _by_end(repo).get(path.rpartition("/")[2], ()))


@shared
def _by_end(repo: Repository) -> dict[str, list[str]]:
    """Files and folders by the last part of their path, each with a slash before it."""
    found: dict[str, list[str]] = {}
    for path in {p.rstrip("/") for p in repo.paths} | folders(repo):
        found.setdefault(path.rpartition("/")[2], []).append("/" + path)
    return found


def alike(repo: AuditRepository, name: str) -> str:
    """File of the tree that is named most like another one of the same kind; empty for none."""
    return closest(name, _by_suffix(repo).get(name.rpartition(".")[2], [])[:500])


@shared
def _by_suffix(repo: Repository) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for path in repo.paths:
        found.setdefault(path.rpartition(".")[2], []).append(path)
    return found


def _known(repo: AuditRepository) -> frozenset[str]:
    key = "pipeline.paths"
    if key not in repo.shared:
        repo.shared[key] = frozenset(repo.paths)
    return cast("frozenset[str]", repo.shared[key])


def _skipped_above(repo: AuditRepository, path: str) -> bool:
    """Tell whether a path lies in a folder that was seen but not entered."""
    known = _known(repo)
    while "/" in path:
        path = path.rpartition("/")[0]
        if path + "/" in known:
            return True
    return False


def may_appear(repo: AuditRepository, path: str) -> bool:
    """Tell whether a missing path may come from elsewhere: ignored, built, a submodule, DVC."""
    if path == "!" or _GENERATED.search(path) or repo.workspace.truncated:
        return True
    known = _known(repo)
    if path + ".dvc" in known or any(f"{up}.dvc" in known for up in _ups(path) if up):
        return True
    if any(path == s or path.startswith(s + "/") for s in _submodules(repo)):
        return True
    for folder in (*_ups(path), ""):
        prefix = f"{folder}/" if folder else ""
        text = repo.text(f"{prefix}.gitignore")
        if not text:
            continue
        rules, inside = _rules(text), path[len(prefix) :]
        if rules.decide(inside, folder=False) or any(
            rules.decide(up, folder=True) for up in _ups(inside)
        ):
            return True
    return False


def missing(repo: AuditRepository, path: str) -> bool:
    """Tell whether the tree ought to hold a path and does not."""
    return bool(path) and path != "!" and not held(repo, path) and not may_appear(repo, path)


def _ups(path: str) -> list[str]:
    found = []
    while "/" in path:
        path = path.rpartition("/")[0]
        found.append(path)
    return found


@lru_cache(maxsize=64)
def _rules(text: str) -> IgnoreRules:
    return IgnoreRules(text)


def _submodules(repo: AuditRepository) -> list[str]:
    return re.findall(
        r"^\s{0,8}path\s{0,4}=\s{0,4}(\S{1,200})\s*$", repo.text(".gitmodules"), re.MULTILINE
    )


def closest(name: str, names: list[str]) -> str:
    """Name most like another one, or empty: what was meant, perhaps."""
    best, score = "", 0.0
    for other in sorted(names)[:500]:
        value = _alike(name.lower(), other.lower())
        if value > score:
            best, score = other, value
    return best if score >= _ALIKE else ""


_ALIKE: Final = 0.6


def _alike(a: str, b: str) -> float:
    """Share of letter pairs that two words have in common."""
    if not a or not b:
        return 0.0
    one = {a[i : i + 2] for i in range(max(1, len(a) - 1))}
    two = {b[i : i + 2] for i in range(max(1, len(b) - 1))}
    return 2 * len(one & two) / (len(one) + len(two))
