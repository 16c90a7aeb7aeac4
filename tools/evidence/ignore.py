"""The rules of .gitignore, matched in bounded time whatever the patterns are.

Own matcher: libraries turn patterns into backtracking regular expressions, and a hostile
pattern of many stars would then take for ever.  Here a star never backtracks past the last one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

_MAX_PATTERNS: Final = 2_000
_MAX_LENGTH: Final = 300
_GLOB: Final = frozenset("*?[\\")


@dataclass(frozen=True, slots=True)
class _Pattern:
    parts: tuple[str, ...]  # path segments; "**" spans any number
    negated: bool
    folder_only: bool


class IgnoreRules:
    """The patterns of one .gitignore; paths are relative to its folder, posix."""

    __slots__ = ("_complex", "_names", "_suffixes")

    def __init__(self, text: str) -> None:
        """Read patterns; over-long ones and those past a cap are left out."""
        lines = text.splitlines()[:_MAX_PATTERNS]
        patterns = [p for line in lines if (p := _parse(line)) is not None]
        # The plain cases, `name/` and `*.ext`, are most of all patterns: sets make them cheap.
        # With a negation in the file the order matters, so then all are kept in order.
        self._names: dict[str, bool] = {}
        self._suffixes: tuple[str, ...] = ()
        self._complex: tuple[_Pattern, ...] = ()
        if any(p.negated for p in patterns):
            self._complex = tuple(patterns)
            return
        suffixes, rest = [], []
        for p in patterns:
            name = p.parts[-1] if p.parts[:-1] == ("**",) else ""
            if name and not _GLOB & set(name):
                self._names[name] = self._names.get(name, True) and p.folder_only
            elif name.startswith("*") and not p.folder_only and not _GLOB & set(name[1:]):
                suffixes.append(name[1:])
            else:
                rest.append(p)
        self._suffixes, self._complex = tuple(suffixes), tuple(rest)

    def decide(self, path: str, *, folder: bool) -> bool | None:
        """Give True for ignored, False for kept by a negation, None when no pattern speaks."""
        name = path.rsplit("/", 1)[-1]
        folder_only = self._names.get(name)
        if folder_only is not None and (folder or not folder_only):
            return True
        if self._suffixes and name.endswith(self._suffixes):
            return True
        parts = path.split("/")
        for p in reversed(self._complex):
            if (folder or not p.folder_only) and _match_path(p.parts, parts):
                return not p.negated
        return None


def _parse(line: str) -> _Pattern | None:
    line = line.rstrip("\r\n")
    while line.endswith(" ") and not line.endswith("\\ "):
        line = line[:-1]
    if not line or line.startswith("#") or len(line) > _MAX_LENGTH:
        return None
    negated = line.startswith("!")
    if negated:
        line = line[1:]
    folder_only = line.endswith("/")
    line = line.rstrip("/")
    if not line:
        return None
    anchored = "/" in line
    parts = [p for p in line.lstrip("/").split("/") if p]
    if not anchored:
        parts.insert(0, "**")
    return _Pattern(tuple(parts), negated, folder_only)


def _match_path(pattern: tuple[str, ...], path: list[str]) -> bool:
    """Match segments; `**` spans any number of them.  Cost: pattern length x path length."""
    i = j = 0
    star = mark = -1
    while j < len(path):
        if i < len(pattern) and pattern[i] == "**":
            if i == len(pattern) - 1 and i > 0:
                return True  # `a/**`: everything inside
            star, mark = i, j
            i += 1
        elif i < len(pattern) and _match_name(pattern[i], path[j]):
            i, j = i + 1, j + 1
        elif star >= 0:
            mark += 1
            i, j = star + 1, mark
        else:
            return False
    return i == len(pattern)


def _match_name(pattern: str, name: str) -> bool:
    """Match one segment with `*`, `?`, `[...]` and backslash; the star never backtracks twice."""
    if not _GLOB & set(pattern):
        return pattern == name
    i = j = 0
    star = mark = -1
    while j < len(name):
        if i < len(pattern) and pattern[i] == "*":
            star, mark = i, j
            i += 1
            continue
        step = _match_one(pattern, i, name[j]) if i < len(pattern) else 0
        if step:
            i, j = i + step, j + 1
        elif star >= 0:
            mark += 1
            i, j = star + 1, mark
        else:
            return False
    return all(c == "*" for c in pattern[i:])


def _match_one(pattern: str, i: int, char: str) -> int:
    """Characters of the pattern used up by matching `char` at `i`; 0 when it does not match."""
    p = pattern[i]
    if p == "?":
        return 1
    if p == "\\" and i + 1 < len(pattern):
        return 2 if pattern[i + 1] == char else 0
    if p == "[":
        end = pattern.find("]", i + 2)
        if end > 0:
            inside = pattern[i + 1 : end]
            return end - i + 1 if _in_class(inside, char) else 0
    return 1 if p == char else 0


def _in_class(inside: str, char: str) -> bool:
    negated = inside[:1] in ("!", "^")
    if negated:
        inside = inside[1:]
    found, i = False, 0
    while i < len(inside):
        if inside[i + 1 : i + 2] == "-" and i + 2 < len(inside):
            found = found or inside[i] <= char <= inside[i + 2]
            i += 3
        else:
            found = found or inside[i] == char
            i += 1
    return found != negated
