"""Files that are left over: copies, backups, and code that is commented out."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from collections.abc import Iterator
from typing import Final

from mlops_advisor.tools.audit_workflow.repo import AuditRepository
from mlops_advisor.tools.audit_workflow.rule import Hit
from mlops_advisor.tools.audit_workflow.rules import _docs

MANY: Final = 5  # files; less is a sample
_LEFT: Final = re.compile(
    r"(?:[-_. ](?:old|copy|copie|backup|bak|temp|tmp|orig|deprecated|unused|final_final|2_old)\d{0,2}"
    r"|\(\d{1,2}\)|[-_ ]Copy\d{1,2}| copy(?: \d{1,2})?|^Untitled\d{0,3}|^(?:old|temp|tmp|backup|copy_of)[-_ ]\w{1,60})$",
    re.IGNORECASE,
)
_ENDS: Final = (
    ".py",
    ".ipynb",
    ".yml",
    ".yaml",
    ".sh",
    ".sql",
    ".r",
    ".json",
    ".toml",
    ".dockerfile",
)
_BACKUPS: Final = (".bak", ".orig", ".old", ".swp", ".py~", ".save", ".rej")
_MEANT: Final = re.compile(
    r"(?:^|[/_-])(?:backup_(?:db|data|model)|make_backup|temp(?:erature|late|oral)|tempfile|create_temp|gold|"
    r"threshold|scaffold|unfold|kfold|household|test_)",
    re.IGNORECASE,
)
_SAME: Final = 0.9
_MIN_LINES: Final = 15
_MIN_COMMENTS: Final = 6
_MAX_FOLDER: Final = 60
_CODE: Final = re.compile(r"[=(\[:]|^(?:import|from|return|def|class|if|for|with|print)\b")


def copies(repo: AuditRepository) -> Iterator[Hit]:
    """Left-over files: by their names, by what they repeat, by what they hold."""
    told: set[str] = set()
    for path in repo.paths:
        hit = _by_name(repo, path)
        if hit is not None:
            told.add(path)
            yield hit
    for hit in _repeats(repo, told):
        told.add(hit.path)
        yield hit
    for path in repo.code.product:
        if path not in told and not repo.python[path].notebook and not _docs.aside(repo, path):
            hit = _commented(repo, path)
            if hit is not None:
                yield hit


def _by_name(repo: AuditRepository, path: str) -> Hit | None:
    name = path.rsplit("/", 1)[-1]
    low = name.lower()
    if path.endswith("/") or _MEANT.search(path) or "{{" in path or "node_modules" in path:
        return None
    ignored = any(s.path == path and "gitignore" in s.reason for s in repo.workspace.skipped)
    if ignored or "fixtures" in path or "/tests/data" in f"/{path}":
        return None
    if low.endswith(_BACKUPS) and path in repo.paths:
        return Hit(
            path, 1, f"`{name}` is a backup of an editor or a person: git keeps old versions."
        )
    if not low.endswith(_ENDS):
        return None
    stem = name.rpartition(".")[0]
    found = _LEFT.search(stem)
    if found is None or path not in repo.files:
        return None
    original = _original(repo, path, stem, found.group(0))
    if not original and stem.lower().startswith(("old", "temp", "tmp", "backup")):
        return None
    if not original and not stem.lower().startswith("untitled") and "opy" not in found.group(0):
        return None
    beside = f" of `{original}`" if original else ""
    return Hit(
        path,
        1,
        f"By its name `{name}` is a left-over copy{beside}: nobody can tell which one is in use.",
        f"Delete `{path}`; git keeps what was.",
        also=((original, 1),) if original else (),
        confidence=0.85 if original else 0.7,
    )


def _original(repo: AuditRepository, path: str, stem: str, mark: str) -> str:
    """Path of the file whose copy one is by its name, in the same folder first; empty when none."""
    folder, _, name = path.rpartition("/")
    suffix = name.rpartition(".")[2]
    plain = stem[: -len(mark)] if stem.endswith(mark) else ""
    if not plain:
        plain = re.sub(r"^(?:old|temp|tmp|backup|copy_of)[-_ ]", "", stem, flags=re.IGNORECASE)
    wanted = f"{plain}.{suffix}".strip()
    here = f"{folder}/{wanted}" if folder else wanted
    if plain and here in repo.files:
        return here
    if not plain or plain == stem:
        return ""
    return next((p for p in repo.named(wanted.lower()) if p != path), "")


def _repeats(repo: AuditRepository, told: set[str]) -> Iterator[Hit]:
    """Modules that repeat another one of the same folder nearly line by line."""
    if _docs.is_course(repo):
        return  # lessons repeat what went before
    folders: dict[str, list[str]] = defaultdict(list)
    for path, module in repo.code.product.items():
        plain = not module.notebook and not _docs.aside(repo, path) and not module.problem
        if plain and path not in told and not path.endswith("__init__.py"):
            folders[path.rpartition("/")[0]].append(path)
    for paths in folders.values():
        if len(paths) > _MAX_FOLDER:
            continue
        lines = {p: _lines(repo, p) for p in paths}
        for index, path in enumerate(paths):
            for other in paths[index + 1 :]:
                one, two = lines[path], lines[other]
                if min(len(one), len(two)) < _MIN_LINES:
                    continue
                if len(one & two) >= _SAME * len(one | two):
                    copy, first = _which(repo, path, other)
                    yield Hit(
                        copy,
                        1,
                        f"`{copy.rsplit('/', 1)[-1]}` repeats `{first.rsplit('/', 1)[-1]}` nearly line by "
                        "line: a change of one misses the other.",
                        f"Keep one of the two, and pass what differs as an argument.",
                        also=((first, 1),),
                    )


def _lines(repo: AuditRepository, path: str) -> frozenset[str]:
    return frozenset(
        s
        for line in repo.lines(path)[:3_000]
        if len(s := line.strip()) > len("x = 1") and not s.startswith(("#", "import ", "from "))
    )


def _which(repo: AuditRepository, one: str, two: str) -> tuple[str, str]:
    """Copy and original: the one that nothing imports or runs is the copy, else the longer name."""
    used = {
        p: bool(repo.code.importers.get(p)) + (p in repo.runs.by_hand or p in repo.runs.automatic)
        for p in (one, two)
    }
    first, second = sorted((one, two), key=lambda p: (-used[p], len(p), p))
    return second, first


def _commented(repo: AuditRepository, path: str) -> Hit | None:
    """A module with nothing but code behind comment signs."""
    module = repo.python[path]
    if module.calls or module.functions or module.classes or module.constants or module.imports:
        return None
    found: list[tuple[int, str]] = []
    for number, line in enumerate(repo.lines(path)[:2_000], 1):
        bare = line.strip()
        if bare.startswith("#"):
            found.append((number, bare.lstrip("#").strip()))
    code = [n for n, text in found if _is_code(text)]
    if len(code) < _MIN_COMMENTS or len(code) * 2 < len(found):
        return None
    return Hit(
        path,
        code[0],
        f"This module holds only code that is commented out ({len(code)} lines): it does nothing.",
        f"Delete `{path}`; git keeps what was.",
    )


def _is_code(text: str) -> bool:
    if not _CODE.search(text):
        return False
    try:
        ast.parse(text.rstrip(":") if text.endswith(":") else text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return bool(
            re.match(
                r"(?:def|class|if|for|while|with|try|else|elif|except)\b[^.]{0,200}:\s{0,4}$", text
            )
        )
    return True
