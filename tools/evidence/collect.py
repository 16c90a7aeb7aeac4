"""The only reader of files: a folder or inline files become a Workspace.

The walk opens every folder and file relative to the open folder above it and follows no link,
so nothing that changes during the walk can lead it outside.  Nothing read is ever executed.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path, PurePosixPath
from typing import Final

from mlops_advisor.tools.common.errors import InvalidInputError, PathDeniedError, Problem
from mlops_advisor.tools.evidence.gitindex import tracked
from mlops_advisor.tools.evidence.ignore import IgnoreRules
from mlops_advisor.tools.evidence.models import DEFAULT_LIMITS, Limits, Skip, SourceFile, Workspace
from mlops_advisor.tools.evidence.skipping import (
    BUILD_OUTPUT,
    DATA_SUFFIXES,
    SKIPPED_FOLDERS,
    summary,
)
from mlops_advisor.tools.evidence.text import escape, plain

_FOLDER_FLAGS: Final = (
    os.O_RDONLY
    | getattr(os, "O_DIRECTORY", 0)
    | getattr(os, "O_NOFOLLOW", 0)
    | getattr(os, "O_NONBLOCK", 0)
    | getattr(os, "O_CLOEXEC", 0)
)
# O_NONBLOCK: a FIFO put in place of a file between listing and opening must not hang the walk.
_FILE_FLAGS: Final = _FOLDER_FLAGS & ~getattr(os, "O_DIRECTORY", 0)

_MAX_IGNORE_BYTES: Final = 64 << 10
_MAX_INDEX_BYTES: Final = 128 << 20
_DRIVE: Final = re.compile(r"^[A-Za-z]:")


def _never() -> bool:
    return False


def collect(
    workspace: str,
    roots: tuple[Path, ...],
    *,
    expired: Callable[[], bool] = _never,
    limits: Limits = DEFAULT_LIMITS,
) -> Workspace:
    """Read a folder that lies in one of `roots`; a relative one is taken from the first root.

    Links, devices, pipes, binaries and what is over a cap are skipped with a note. When a cap
    or the deadline cuts the reading short, `truncated` is true. Raises PathDeniedError naming
    the field `workspace` for a path outside the roots, a missing folder, a file or a link.
    """
    if os.open not in os.supports_dir_fd or os.scandir not in os.supports_fd:
        raise _denied("folders cannot be read safely on this system", "give `files` instead")
    folder = _open_workspace(workspace, roots)
    walk = _Walk(expired, limits)
    walk.run(folder)
    return walk.workspace()


def collect_inline(
    files: Sequence[tuple[str, str]], *, limits: Limits = DEFAULT_LIMITS
) -> Workspace:
    """Take files given as pairs of relative path and text.

    Raises InvalidInputError naming `files[i].path` for an absolute path, `..`, an empty path or
    one given twice, and `files` when there are too many.
    """
    if len(files) > limits.files:
        problem = f"{len(files)} files given; send at most {limits.files}"
        raise InvalidInputError(problem, (Problem("files", problem),))
    seen: dict[str, SourceFile] = {}
    skipped: list[Skip] = []
    names: set[str] = set()
    sizes: dict[str, int] = {}
    total = 0
    for i, (raw, content) in enumerate(files):
        path = _inline_path(raw, i)
        if path in names:
            raise _bad_inline(i, f"{path!r} is given twice; send each file once")
        names.add(path)
        text = plain(content)
        size = len(text.encode())
        total += size
        if "\0" in text:
            skipped.append(Skip(path, "binary content"))
            sizes[path] = size
        elif size > _file_limit(path, limits) or total > limits.total_bytes:
            skipped.append(Skip(path, f"larger than {_file_limit(path, limits)} bytes"))
            sizes[path] = size
        else:
            seen[path] = SourceFile(path, text, size)
    return Workspace(
        files=tuple(seen[p] for p in sorted(seen)),
        skipped=summary(skipped),
        paths=frozenset(names),
        sizes=sizes,
    )


def _inline_path(raw: str, i: int) -> str:
    path = raw.replace("\\", "/")
    if path.startswith("/") or _DRIVE.match(path):
        raise _bad_inline(i, f"{escape(raw)!r} is absolute; give a path relative to the project")
    pure = PurePosixPath(path)
    if ".." in pure.parts:
        raise _bad_inline(i, f"{escape(raw)!r} holds '..'; give a path inside the project")
    if not pure.parts:
        raise _bad_inline(i, "the path is empty; give a relative path such as src/train.py")
    return escape(str(pure))


def _bad_inline(i: int, what: str) -> InvalidInputError:
    field_name = f"files[{i}].path"
    return InvalidInputError(f"{field_name}: {what}", (Problem(field_name, what),))


def _denied(what: str, todo: str) -> PathDeniedError:
    return PathDeniedError(f"workspace: {what}; {todo}", (Problem("workspace", f"{what}; {todo}"),))


def _open_workspace(workspace: str, roots: tuple[Path, ...]) -> int:
    """Open the folder step by step from its root, refusing links; return its descriptor."""
    if not roots:
        raise _denied("no folder may be read here", "start the server with --root, or give `files`")
    if not workspace or "\0" in workspace:
        raise _denied("the path is empty or holds a NUL", "give a folder, for example '.'")
    shown = escape(workspace)
    base, rest = _below_root(workspace, roots)
    try:
        here = os.open(base, _FOLDER_FLAGS & ~getattr(os, "O_NOFOLLOW", 0))
    except (OSError, ValueError) as error:
        raise _denied(
            f"the allowed folder {escape(base)!r} cannot be opened", "check it"
        ) from error
    for part in PurePosixPath(rest).parts:
        try:
            below = os.open(part, _FOLDER_FLAGS, dir_fd=here)
        except (OSError, ValueError) as error:
            raise _why_not(here, part, shown) from error
        finally:
            os.close(here)
        here = below
    return here


def _below_root(workspace: str, roots: tuple[Path, ...]) -> tuple[str, str]:
    """Give the root that a path lies in, and the path from there; no file is looked at."""
    wanted = os.path.normpath(roots[0].absolute() / workspace)
    for root in roots:
        for base in (os.path.normpath(root.absolute()), str(root.resolve())):
            if wanted == base or wanted.startswith(base.rstrip("/") + "/"):
                return base, wanted[len(base) :].strip("/")
    allowed = ", ".join(escape(str(r)) for r in roots)
    raise _denied(
        f"{escape(workspace)!r} is outside the allowed folders", f"use a folder in: {allowed}"
    )


def _why_not(here: int, part: str, shown: str) -> PathDeniedError:
    try:
        mode = os.stat(part, dir_fd=here, follow_symlinks=False).st_mode
    except (OSError, ValueError):
        return _denied(f"{shown!r} does not exist", "give a folder that exists")
    if stat.S_ISLNK(mode):
        return _denied(
            f"{shown!r} leads through a symbolic link", "give the real path of the folder"
        )
    if not stat.S_ISDIR(mode):
        return _denied(f"{shown!r} is not a folder", "give the folder that holds the file")
    return _denied(f"{shown!r} cannot be opened", "check its permissions")


def _file_limit(path: str, limits: Limits) -> int:
    return limits.notebook_bytes if path.endswith(".ipynb") else limits.file_bytes


def _suffix(name: str) -> str:
    dot = name.rfind(".")
    return name[dot:].lower() if dot > 0 else ""


@dataclass(slots=True)
class _Walk:
    """One walk over one folder, depth first, the files of a folder before its sub-folders."""

    expired: Callable[[], bool]
    limits: Limits
    files: list[SourceFile] = field(default_factory=list)
    skipped: list[Skip] = field(default_factory=list)
    paths: set[str] = field(default_factory=set)
    sizes: dict[str, int] = field(default_factory=dict)
    ignored: set[str] = field(default_factory=set)
    tracked: frozenset[str] | None = None  # by git, when there is an index to tell
    tracked_folders: set[str] = field(default_factory=set)
    total: int = 0
    entries: int = 0
    truncated: bool = False

    def workspace(self) -> Workspace:
        """Give what was read, in an order that does not depend on the file system."""
        self.files.sort(key=lambda f: f.path)
        return Workspace(
            tuple(self.files),
            summary(self.skipped),
            self.truncated,
            frozenset(self.paths),
            self.sizes,
            frozenset(self.ignored),
        )

    def run(self, folder: int) -> None:
        """Read a folder and all below; closes the descriptor."""
        try:
            self._read_index(folder)
            self._folder(folder, "", 0, ())
        finally:
            os.close(folder)

    def _read_index(self, folder: int) -> None:
        """Learn what git tracks: a .gitignore does not hold for that."""
        try:
            here = os.open(".git", _FOLDER_FLAGS, dir_fd=folder)
        except OSError:
            return
        try:
            data = self._open_and_read(here, "index", _MAX_INDEX_BYTES)
        finally:
            os.close(here)
        self.tracked = tracked(data) if isinstance(data, bytes) else None
        for path in self.tracked or ():
            head = path.rpartition("/")[0]
            while head and head not in self.tracked_folders:
                self.tracked_folders.add(head)
                head = head.rpartition("/")[0]

    def _ignores(
        self, path: str, rules: tuple[tuple[int, IgnoreRules], ...], *, folder: bool
    ) -> bool:
        if self.tracked is None:
            return _ignored(path, rules, folder=folder)
        if path in (self.tracked_folders if folder else self.tracked):
            return False
        # A folder may be open only for what is tracked in it, so each one above is asked too.
        parts = path.split("/")
        above = ("/".join(parts[:n]) for n in range(1, len(parts)))
        return _ignored(path, rules, folder=folder) or any(
            _ignored(f, rules, folder=True) for f in above
        )

    def _stop(self) -> bool:
        if not self.truncated and self.expired():
            self.truncated = True
            self.skipped.append(Skip(".", "the time was up; the rest was not read"))
        return self.truncated and self._full()

    def _full(self) -> bool:
        return (
            len(self.files) >= self.limits.files
            or self.entries >= self.limits.entries
            or self.expired()
        )

    def _folder(
        self, here: int, prefix: str, depth: int, rules: tuple[tuple[int, IgnoreRules], ...]
    ) -> None:
        try:
            with os.scandir(here) as listing:
                left = max(0, self.limits.entries - self.entries)
                found = sorted(islice(listing, left), key=lambda e: e.name)
        except OSError:
            self.skipped.append(Skip(escape(prefix) or ".", "folder cannot be listed"))
            return
        self.entries += len(found)
        if self.entries >= self.limits.entries and not self.truncated:
            self.truncated = True
            self.skipped.append(
                Skip(".", f"over {self.limits.entries} entries; the rest was not read")
            )
        if any(e.name == ".gitignore" for e in found):
            text = self._open_and_read(here, ".gitignore", _MAX_IGNORE_BYTES)
            if isinstance(text, bytes):
                rules = (*rules, (len(prefix), IgnoreRules(text.decode("utf-8", "replace"))))
        folders: list[str] = []
        for entry in found:
            if self._stop():
                return
            if _is_folder(entry):
                folders.append(entry.name)
            else:
                self._file(here, entry, prefix, rules)
        for name in folders:
            if self._stop():
                return
            self._sub_folder(here, name, prefix, depth, rules)

    def _sub_folder(
        self,
        here: int,
        name: str,
        prefix: str,
        depth: int,
        rules: tuple[tuple[int, IgnoreRules], ...],
    ) -> None:
        path = prefix + name
        shown = escape(path) + "/"
        reason = SKIPPED_FOLDERS.get(name)
        if reason is None and BUILD_OUTPUT.search(path):
            reason = "build output"
        if self._ignores(path, rules, folder=True):
            self.ignored.add(shown)
            reason = reason or "listed in .gitignore"
        elif self.tracked is not None:
            if path not in self.tracked_folders and name != ".git":
                self.ignored.add(shown)
        elif reason is not None and _ignored(f"{path}/x", rules, folder=False):
            self.ignored.add(shown)  # `mlruns/*` ignores all that is in a folder and not the folder
        if reason is None and depth >= self.limits.depth:
            reason = f"deeper than {self.limits.depth} folders"
            self.truncated = True
        if reason is not None:
            self.paths.add(shown)
            self.skipped.append(Skip(shown, reason))
            return
        try:
            below = os.open(name, _FOLDER_FLAGS, dir_fd=here)
        except OSError:
            self.skipped.append(Skip(shown, "folder cannot be opened"))
            return
        try:
            if _exists(below, "pyvenv.cfg"):
                self.paths.add(shown)
                self.skipped.append(Skip(shown, "virtual environment"))
            else:
                self._folder(below, path + "/", depth + 1, rules)
        finally:
            os.close(below)

    def _file(
        self,
        here: int,
        entry: os.DirEntry[str],
        prefix: str,
        rules: tuple[tuple[int, IgnoreRules], ...],
    ) -> None:
        path = prefix + entry.name
        shown = escape(path)
        self.paths.add(shown)
        if self.tracked is not None and path not in self.tracked:
            self.ignored.add(shown)
        if entry.is_symlink():
            self.skipped.append(Skip(shown, "symbolic link"))
        elif not _is_plain(entry):
            self.skipped.append(Skip(shown, "not a plain file"))
        elif self._ignores(path, rules, folder=False):
            self.ignored.add(shown)
            self.skipped.append(Skip(shown, "listed in .gitignore"))
        elif _suffix(entry.name) in DATA_SUFFIXES:
            self.skipped.append(Skip(shown, "data or binary file by its name"))
            self._weigh(shown, entry)
        elif len(self.files) >= self.limits.files:
            self._cut(f"over {self.limits.files} files; the rest was not read")
        else:
            content = self._open_and_read(here, entry.name, _file_limit(path, self.limits))
            if not self._take(shown, content):
                self._weigh(shown, entry)

    def _weigh(self, shown: str, entry: os.DirEntry[str]) -> None:
        """Note the size of a plain file that is not read."""
        with suppress(OSError):
            self.sizes[shown] = entry.stat(follow_symlinks=False).st_size

    def _cut(self, reason: str) -> None:
        if not self.truncated:
            self.truncated = True
            self.skipped.append(Skip(".", reason))

    def _take(self, shown: str, content: bytes | str) -> bool:
        """Keep a file, or the reason for not keeping it; tell whether it was kept."""
        if isinstance(content, str):
            self.skipped.append(Skip(shown, content))
            return False
        if self.total + len(content) > self.limits.total_bytes:
            self.skipped.append(Skip(shown, f"over {self.limits.total_bytes} bytes in all"))
            self.truncated = True
            return False
        text = _decode(content)
        if text is None:
            self.skipped.append(Skip(shown, "binary content"))
            return False
        self.total += len(content)
        self.files.append(SourceFile(shown, text, len(content)))
        return True

    @staticmethod
    def _open_and_read(here: int, name: str, limit: int) -> bytes | str:
        """Bytes of a plain file of at most `limit` bytes, else the reason for not reading it."""
        try:
            fd = os.open(name, _FILE_FLAGS, dir_fd=here)
        except OSError:
            return "file cannot be opened"
        try:
            info = os.fstat(fd)
            if not stat.S_ISREG(info.st_mode):
                return "not a plain file"
            if info.st_size > limit:
                return f"larger than {limit} bytes"
            parts: list[bytes] = []
            left = limit + 1
            while left > 0 and (part := os.read(fd, min(left, 1 << 20))):
                parts.append(part)
                left -= len(part)
        except OSError:
            return "file cannot be read"
        finally:
            os.close(fd)
        return b"".join(parts) if left > 0 else f"larger than {limit} bytes"


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir(follow_symlinks=False)
    except OSError:
        return False


def _is_plain(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_file(follow_symlinks=False)
    except OSError:
        return False


def _exists(here: int, name: str) -> bool:
    try:
        os.stat(name, dir_fd=here, follow_symlinks=False)
    except OSError:
        return False
    return True


def _ignored(path: str, rules: tuple[tuple[int, IgnoreRules], ...], *, folder: bool) -> bool:
    """Ask the .gitignore files from the nearest upwards; the first that speaks decides."""
    for start, rule in reversed(rules):
        decision = rule.decide(path[start:], folder=folder)
        if decision is not None:
            return decision
    return False


def _decode(content: bytes) -> str | None:
    """Text, or None for binary.  UTF-16 with a mark is what PowerShell writes for pip freeze."""
    if content[:2] in (b"\xff\xfe", b"\xfe\xff"):
        text = content.decode("utf-16", "replace")
        return None if "\0" in text else text
    if b"\0" in content:
        return None
    return content.decode("utf-8-sig", "replace")
