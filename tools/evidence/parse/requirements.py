"""Requirement files: how many entries, how many of them fixed to one version."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

_NAME: Final = re.compile(r"^([A-Za-z0-9][\w.-]{0,120})(?:\[[^\]]{0,200}\])?\s{0,8}(.*)$")


@dataclass(frozen=True, slots=True)
class Requirements:
    """Counts of one file; `loose_line` is the first line that is not fixed (0: none)."""

    path: str
    names: tuple[str, ...]
    fixed: int
    hashed: int
    loose_line: int
    first_line: int


def parse_requirements(path: str, text: str) -> Requirements:
    """Count entries; options, comments and included files are not entries."""
    names: list[str] = []
    fixed = hashed = loose_line = first_line = 0
    joined = text.replace("\\\r\n", " ").replace("\\\n", "\x1f")
    number = 1
    for raw in joined.split("\n"):
        here = number
        number += 1 + raw.count("\x1f")
        line = raw.replace("\x1f", " ").partition(" #")[0].strip()
        if not line or line.startswith(("#", "-")):
            continue
        found = _NAME.match(line[:1_000])
        if not found:
            continue
        names.append(found.group(1).lower().replace("_", "-"))
        rest = found.group(2)
        first_line = first_line or here
        if "--hash=" in line:
            hashed += 1
        if re.match(r"={2,3}\s{0,3}[^\s*]{1,80}(?:\s|;|$)", rest) or re.search(
            r"@\s{0,3}\S{1,300}@[0-9a-f]{40}", rest
        ):
            fixed += 1
        elif not loose_line:
            loose_line = here
    return Requirements(path, tuple(names), fixed, hashed, loose_line, first_line)
