"""Blocks of Terraform files by one linear scan; no expression is evaluated."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

_HEAD: Final = re.compile(
    r"^[ \t]{0,20}(resource|module|data|provider|variable|terraform)[ \t]{0,4}"
    r'(?:"([^"\n]{1,120})")?[ \t]{0,4}(?:"([^"\n]{1,120})")?[ \t]{0,4}\{',
    re.MULTILINE,
)
_MAX_BODY: Final = 400


@dataclass(frozen=True, slots=True)
class Block:
    """One top-level block: kind, type, name, and its body lines with their numbers."""

    kind: str
    type: str
    name: str
    line: int
    body: tuple[tuple[int, str], ...]

    def has(self, word: str) -> int:
        """Line of the first body line, comments aside, that holds `word`; 0 when none does."""
        return next((n for n, text in self.body if word in text), 0)

    def text(self) -> str:
        """Join the body into one text."""
        return "\n".join(text for _, text in self.body)


def parse_terraform(text: str) -> tuple[Block, ...]:
    """Blocks in order; a body ends where the next top-level block begins or its braces close."""
    lines = text.split("\n")
    blocks: list[Block] = []
    index = 0
    while index < len(lines):
        found = _HEAD.match(lines[index][:600])
        if not found:
            index += 1
            continue
        kind, first, second = found.groups()
        start, depth = index, 0
        body: list[tuple[int, str]] = []
        while index < len(lines):
            line = _code(lines[index][:2_000])
            depth += line.count("{") - line.count("}")
            if len(body) < _MAX_BODY and line.strip():
                body.append((index + 1, line))
            index += 1
            if depth <= 0:
                break
            if (
                index < len(lines)
                and depth > 0
                and _HEAD.match(lines[index][:600])
                and not lines[index][:1].isspace()
            ):
                break
        blocks.append(Block(kind, first or "", second or "", start + 1, tuple(body)))
    return tuple(blocks)


def _code(line: str) -> str:
    bare = line.lstrip()
    if bare.startswith(("#", "//")):
        return ""
    at = line.find(" #")
    return line[:at] if at >= 0 else line
