"""Files that git holds: sizes, what is ignored, what LFS or DVC keeps elsewhere."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from mlops_advisor.tools.audit_workflow.repo import AuditRepository
from mlops_advisor.tools.evidence.ignore import IgnoreRules
from mlops_advisor.tools.evidence.repository import Repository, shared

_POINTER: Final = "version https://git-lfs"
_POINTER_BYTES: Final = 200  # an LFS pointer is some 130 bytes
_WORDS: Final = re.compile(r"[a-z]+")
_ASIDE: Final = frozenset(
    "test tests testing testdata fixture fixtures mock mocks sample samples docs doc images assets"
    " static vendor thirdparty".split()
)
_MAX_ALONE: Final = 3  # so many of one folder are reported one by one
_MEGA: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class Blob:
    """One file in the tree; the size is in bytes."""

    path: str
    size: int

    @property
    def folder(self) -> str:
        """Folder it lies in, without a slash at the end."""
        return self.path.rpartition("/")[0]

    @property
    def name(self) -> str:
        """File name, lower case."""
        return self.path.rpartition("/")[2].lower()

    @property
    def shown(self) -> str:
        """Name and size in words."""
        return f"{self.path.rpartition('/')[2]} ({size_of(self.size)})"


def size_of(count: int) -> str:
    """Size in words."""
    return f"{count / _MEGA:.1f} MB" if count >= _MEGA else f"{max(1, count >> 10)} kB"


def words_of(path: str) -> frozenset[str]:
    """Words, lower case, that the folders and the name of a path are made of."""
    return frozenset(_WORDS.findall(path.lower()))


def is_fixture(path: str) -> bool:
    """Tell whether a file lies in a folder of tests, samples, documents or pictures."""
    return not _ASIDE.isdisjoint(words_of(path.rpartition("/")[0]))


@shared
def _kept(repo: Repository) -> tuple[Blob, ...]:
    sizes = dict(repo.workspace.sizes)
    sizes.update((p, f.size) for p, f in repo.files.items())
    rules = _lfs(repo)
    found = []
    for path in sorted(sizes):
        if path in repo.workspace.ignored or f"{path}.dvc" in repo.workspace.paths:
            continue
        text = repo.text(path)
        pointer = text.startswith(_POINTER) if text else sizes[path] <= _POINTER_BYTES
        if not pointer and not _in_lfs(path, rules):
            found.append(Blob(path, sizes[path]))
    return tuple(found)


def kept_in_git(repo: AuditRepository) -> tuple[Blob, ...]:
    """Files with content that git holds or would take: not ignored, no LFS pointer, not DVC's."""
    return _kept(repo)


def _lfs(repo: Repository) -> list[tuple[str, IgnoreRules]]:
    found = []
    for path in repo.named(".gitattributes"):
        patterns = [line.split()[0] for line in repo.lines(path) if "filter=lfs" in line]
        folder = path.rpartition("/")[0]
        found.append((f"{folder}/" if folder else "", IgnoreRules("\n".join(patterns))))
    return found


def _in_lfs(path: str, rules: list[tuple[str, IgnoreRules]]) -> bool:
    return any(
        path.startswith(base) and rule.decide(path[len(base) :], folder=False)
        for base, rule in rules
    )


def grouped(found: Iterable[Blob]) -> Iterator[tuple[Blob, list[Blob]]]:
    """Files one by one; of a folder with more than a few only the largest, with the others."""
    folders: dict[str, list[Blob]] = {}
    for blob in found:
        folders.setdefault(blob.folder, []).append(blob)
    for blobs in folders.values():
        if len(blobs) <= _MAX_ALONE:
            yield from ((b, []) for b in blobs)
        else:
            ranked = sorted(blobs, key=lambda b: (-b.size, b.path))
            yield ranked[0], ranked[1:]
