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
    r"(?:[-_. ](?:old|copy|copie|backup|bak|temp|tmp|orig|deprecated|unused|final_final|"
    r"2_old)\d{0,2}"
    r"|\(\d{1,2}\)|[-_ ]Copy\d{1,2}| copy(?: \d{1,2})?|^Untitled\d{0,3}|^(?:old|temp|tmp|backup|"
    r"copy_of)[-_ ]\w{1,60})$",
    re.IGNORECASE,
)
# Marks that tell a left-over even when what it was copied from is gone.
_ALONE: Final = re.compile(r"(?i)copy|[-_. ](?:old|backup|bak|orig|deprecated)|^untitled")
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
_OLD_FOLDER: Final = re.compile(
    r"(?i)^(?:old|backup|bak|deprecated|archived?|unused|trash|legacy_copy)$|[-_](?:old|backup|bak|copy)$"
)
_NOT_HERE: Final = ("{{", "node_modules", "fixtures", "/tests/data")
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
    for hit in (*_folders(repo, told), *_repeats(repo, told)):
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
    if path.endswith("/") or _MEANT.search(path) or any(w in f"/{path}" for w in _NOT_HERE):
        return None
    if low.endswith(_BACKUPS):
        if any(s.path == path and "gitignore" in s.reason for s in repo.workspace.skipped):
            return None
        what = f"`{name}` is a backup of an editor or a person: git keeps old versions."
        return Hit(path, 1, what)
    stem = name.rpartition(".")[0]
    found = _LEFT.search(stem) if low.endswith(_ENDS) and path in repo.files else None
    if found is None:
        return None
    original = _original(repo, path, stem, found.group(0))
    if not original and not _ALONE.search(found.group(0)):
        return None
    beside = f" of `{original}`" if original else ""
    return Hit(
        path,
        0 if path.endswith(".ipynb") else 1,
        f"By its name `{name}` is a left-over copy{beside}: nobody can tell which one is in use.",
        f"Delete `{path}`; git keeps what was.",
        also=((original, 1),) if original else (),
        confidence=0.85 if original else 0.7,
    )


def _folders(repo: AuditRepository, told: set[str]) -> Iterator[Hit]:
    """Folders of old code, one finding each, where the same files live on elsewhere."""
    seen: set[str] = set()
    for path in repo.code.product:
        parts = path.split("/")[:-1]
        depth = next((i for i, p in enumerate(parts) if _OLD_FOLDER.search(p)), -1)
        folder = "/".join(parts[: depth + 1])
        if depth < 0 or folder in seen or path in told or _docs.is_template(path):
            continue
        others = [
            p for p in repo.named(path.rsplit("/", 1)[-1].lower()) if not p.startswith(f"{folder}/")
        ]
        if others:
            seen.add(folder)
            yield Hit(
                path,
                0 if path.endswith(".ipynb") else 1,
                f"`{folder}/` keeps old copies (`{path}` beside `{others[0]}`): nobody can tell "
                "which one is in use.",
                f"Delete `{folder}/`; git keeps what was.",
                also=((others[0], 1),),
                confidence=0.75,
            )


def _original(repo: AuditRepository, path: str, stem: str, mark: str) -> str:
    """Path of the file whose copy one is by its name, in the same folder first; empty when none."""
    folder, _, name = path.rpartition("/")
    suffix = name.rpartition(".")[2]
    if stem == mark:
        return ""
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
                least = min(len(one), len(two))
                if least < _MIN_LINES or least < _SAME * max(len(one), len(two)):
                    continue
                if len(one & two) >= _SAME * len(one | two):
                    copy, first = _which(repo, path, other)
                    yield Hit(
                        copy,
                        1,
                        f"`{copy.rsplit('/', 1)[-1]}` repeats `{first.rsplit('/', 1)[-1]}` "
                        "nearly line by "
                        "line: a change of one misses the other.",
                        "Keep one of the two, and pass what differs as an argument.",
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
    """Report a module with nothing but code behind comment signs."""
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
