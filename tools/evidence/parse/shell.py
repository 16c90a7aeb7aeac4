"""Shell scripts, Makefiles and Dockerfiles as command lines with their numbers."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Final

_MAX_LINE: Final = 4_000
_SOFT: Final = re.compile(
    r"\|\|\s{0,4}(?:true|:|exit\s{1,4}0|echo\b)|;\s{0,4}(?:true|exit\s{1,4}0)\s{0,4}$"
)
_NO_EFFECT: Final = re.compile(
    r"^(?:@|-)?\s{0,4}(?:echo|printf|true|:|exit 0|sleep|date|pwd|ls|set|cd|"
    r"export|env|whoami|cat|mkdir|fi|then|else|done|do)\b"
)
_TARGET: Final = re.compile(r"^([A-Za-z0-9_][\w./ -]{0,120}?)\s{0,4}::?(?!=)([^=]*)$")
_INSTRUCTION: Final = re.compile(r"^\s{0,8}([A-Za-z]{2,12})\s+(.*)$", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Line:
    """One command: its line and text; `soft` when its failure is thrown away."""

    line: int
    text: str
    soft: bool = False

    @property
    def idle(self) -> bool:
        """True for commands that do nothing by themselves, such as echo."""
        return bool(_NO_EFFECT.match(self.text)) and not re.search(r"&&|\||;", self.text)


def shell_lines(text: str, start: int = 1) -> list[Line]:
    """Commands of a script: continuations joined, comments and here-documents left out."""
    result: list[Line] = []
    buffer, first = "", 0
    until = ""
    for number, full in enumerate(text.split("\n"), start):
        raw = full[:_MAX_LINE].rstrip("\r")
        if until:
            if raw.strip() == until:
                until = ""
            continue
        bare = raw.strip()
        if not buffer and (not bare or bare.startswith("#")):
            continue
        first = first or number
        if bare.endswith("\\") and len(buffer) < _MAX_LINE:
            buffer += bare[:-1] + " "
            continue
        line = _without_comment(buffer + bare)
        buffer, where, first = "", first, 0
        if "<<" in line and (found := re.search(r"<<-?\s{0,3}['\"]?(\w{1,40})", line)):
            until = found.group(1)
        if line:
            result.append(Line(where, line, bool(_SOFT.search(line))))
    if buffer.strip():
        result.append(Line(first, buffer.strip(), bool(_SOFT.search(buffer))))
    return result


def _without_comment(line: str) -> str:
    at = line.find(" #")
    if at >= 0 and line[:at].count("'") % 2 == 0 and line[:at].count('"') % 2 == 0:
        line = line[:at]
    return line.strip()


def make_targets(text: str) -> dict[str, tuple[int, list[str], list[Line]]]:
    """Targets of a Makefile: line, prerequisites, recipe.  A leading `-` makes a line soft."""
    targets: dict[str, tuple[int, list[str], list[Line]]] = {}
    current: list[list[Line]] = []
    buffer, first = "", 0
    for number, full in enumerate(text.split("\n"), 1):
        raw = full[:_MAX_LINE].rstrip("\r")
        if buffer or raw.startswith(("\t", "        ")):
            first = first or number
            bare = raw.strip()
            if bare.endswith("\\") and len(buffer) < _MAX_LINE:
                buffer += bare[:-1] + " "
                continue
            line, where = buffer + bare, first
            buffer, first = "", 0
            soft = line.startswith(("-", "@-"))
            line = _without_comment(line.lstrip("@-+ "))
            if line and not line.startswith("#"):
                for recipe in current:
                    recipe.append(Line(where, line, soft or bool(_SOFT.search(line))))
            continue
        found = _TARGET.match(raw.partition("#")[0].rstrip())
        if found:
            current = []
            for name in found.group(1).split():
                entry = targets.setdefault(name, (number, [], []))
                entry[1].extend(found.group(2).split())
                current.append(entry[2])
        elif raw.strip() and not raw.startswith("#"):
            current = []
    return targets


@dataclass(frozen=True, slots=True)
class Instruction:
    """One instruction of a Dockerfile, upper-case name, its text joined."""

    line: int
    name: str
    text: str


def dockerfile(text: str) -> list[Instruction]:
    """Instructions of a Dockerfile; exec forms are joined into a command line."""
    result: list[Instruction] = []
    for line in shell_lines(text):
        found = _INSTRUCTION.match(line.text)
        if not found:
            continue
        name, rest = found.group(1).upper(), found.group(2).strip()
        if rest.startswith("[") and name in ("CMD", "ENTRYPOINT", "RUN"):
            try:
                parts = json.loads(rest)
            except (ValueError, RecursionError):
                parts = []
            if isinstance(parts, list) and parts:
                rest = " ".join(f"{p}" for p in parts)
        result.append(Instruction(line.line, name, rest))
    return result
