"""Lines that changed since a revision, read from git's objects.

Only `rev-parse`, `ls-tree` and `cat-file` are run: they start no hook, filter, file-system monitor
or external diff that a hostile configuration of the work tree could name, and fetch nothing.
"""

from __future__ import annotations

import difflib
import os
import re
import shutil
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from mlops_advisor.tools.common.errors import InvalidInputError, Problem

_SECONDS: Final = 30
_REVISION: Final = re.compile(r"^[A-Za-z0-9_][\w./@{}^~+-]{0,199}$")
_LONG: Final = 4_000  # lines; above, difflib's heuristic keeps the comparison fast


def _never() -> bool:
    return False


def changed_lines(
    folder: Path,
    revision: str,
    texts: Mapping[str, str],
    expired: Callable[[], bool] = _never,
) -> dict[str, frozenset[int]]:
    """Return the lines, 1-based, that `texts` (by path below `folder`) add or change.

    A file that the revision does not hold is new: all its lines.  Raises InvalidInputError naming
    `changed_since` when there is no git, no work tree or no such revision.  Once the time is up,
    no further file is compared.
    """
    if not _REVISION.match(revision):
        raise _bad(f"'{revision[:60]}' is no revision; give a branch, tag or commit")
    git = shutil.which("git")
    if git is None:
        raise _bad("git is not installed; leave it out, or install git")
    commit = _git(git, folder, "rev-parse", "--verify", "--quiet", f"{revision}^{{commit}}")
    if commit is None:
        raise _bad(f"there is no revision '{revision}' here; fetch it first, or name another")
    above = _git(git, folder, "rev-parse", "--show-prefix") or b""
    prefix = above.decode("utf-8", "surrogateescape").removesuffix("\n")
    old = _blobs(git, folder, commit.decode().strip(), prefix)
    found: dict[str, frozenset[int]] = {}
    known = [path for path in texts if path in old]
    before = _contents(git, folder, [old[path] for path in known])
    for path, text in texts.items():
        if path not in old:
            found[path] = frozenset(range(1, text.count("\n") + 2))
    for path in known:
        if expired():
            break
        lines = _new_lines(before.get(old[path], ""), texts[path])
        if lines:
            found[path] = lines
    return found


def _new_lines(before: str, after: str) -> frozenset[int]:
    if before == after:
        return frozenset()
    one, other = before.split("\n"), after.split("\n")
    heuristic = max(len(one), len(other)) > _LONG
    matcher = difflib.SequenceMatcher(None, one, other, autojunk=heuristic)
    return frozenset(
        number
        for tag, _, _, start, end in matcher.get_opcodes()
        if tag in {"replace", "insert"}
        for number in range(start + 1, end + 1)
    )


def _blobs(git: str, folder: Path, commit: str, prefix: str) -> dict[str, str]:
    listed = _git(git, folder, "ls-tree", "-r", "-z", "--full-tree", commit) or b""
    found = {}
    for entry in listed.split(b"\0"):
        meta, _, raw = entry.partition(b"\t")
        parts = meta.split()
        path = raw.decode("utf-8", "surrogateescape")
        if len(parts) == 3 and parts[1] == b"blob" and path.startswith(prefix):  # noqa: PLR2004
            found[path[len(prefix) :]] = parts[2].decode()
    return found


def _contents(git: str, folder: Path, ids: list[str]) -> dict[str, str]:
    if not ids:
        return {}
    asked = "".join(f"{one}\n" for one in ids).encode()
    answer = _git(git, folder, "cat-file", "--batch", given=asked) or b""
    found: dict[str, str] = {}
    at = 0
    while at < len(answer):
        end = answer.index(b"\n", at)
        head = answer[at:end].split()
        if len(head) != 3:  # noqa: PLR2004 - `<id> missing`
            at = end + 1
            continue
        size = int(head[2])
        body = answer[end + 1 : end + 1 + size]
        found[head[0].decode()] = body.decode("utf-8-sig", "replace")
        at = end + 1 + size + 1
    return found


def _git(git: str, folder: Path, *command: str, given: bytes = b"") -> bytes | None:
    """Output of a git command, or None when it failed."""
    environment = {
        "PATH": os.environ.get("PATH", ""),
        "HOME": os.environ.get("HOME", "/"),
        "LC_ALL": "C",
        "GIT_OPTIONAL_LOCKS": "0",
        "GIT_NO_LAZY_FETCH": "1",
        "GIT_ALLOW_PROTOCOL": "none",
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_CONFIG_NOSYSTEM": "1",
    }
    safe = (
        "-c",
        "core.fsmonitor=false",
        "-c",
        "core.hooksPath=/dev/null",
        "-c",
        "safe.directory=*",
    )
    try:
        done = subprocess.run(  # noqa: S603 - a fixed command, no shell
            [git, "--no-pager", *safe, *command],
            cwd=folder,
            env=environment,
            input=given,
            capture_output=True,
            timeout=_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise _bad("git did not answer; leave it out") from error
    return done.stdout if done.returncode == 0 else None


def _bad(problem: str) -> InvalidInputError:
    return InvalidInputError(f"changed_since: {problem}", (Problem("changed_since", problem),))
