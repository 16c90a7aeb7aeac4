"""Headings, sentences and code blocks of Markdown and plain-text documents."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

_MAX_LINE: Final = 2_000
_SPLIT: Final = re.compile(r"(?<=[.!?;])\s+")


@dataclass(frozen=True, slots=True)
class Sentence:
    """One sentence, its line and the headings above it, lower case, nearest last."""

    line: int
    text: str
    headings: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Document:
    """A document: headings (line, level, text), sentences, code lines (line, text)."""

    path: str
    headings: tuple[tuple[int, int, str], ...]
    sentences: tuple[Sentence, ...]
    code: tuple[tuple[int, str], ...]


def parse_markdown(path: str, text: str) -> Document:
    """Read a document line by line."""
    headings: list[tuple[int, int, str]] = []
    sentences: list[Sentence] = []
    code: list[tuple[int, str]] = []
    above: list[tuple[int, str]] = []
    fence = ""
    comment = False
    for number, full in enumerate(text.split("\n"), 1):
        line = full[:_MAX_LINE].strip()
        if fence:
            if line.startswith(fence):
                fence = ""
            elif line:
                code.append((number, line))
            continue
        if line.startswith(("```", "~~~")):
            fence = line[:3]
            continue
        if comment or line.startswith("<!--"):
            comment = "-->" not in line
            continue
        if line.startswith("#"):
            title = line.lstrip("#").strip().lower()
            level = len(line) - len(line.lstrip("#"))
            headings.append((number, level, title))
            above = [(lv, t) for lv, t in above if lv < level] + [(level, title)]
            continue
        if not line or line.startswith(("|--", "|:", "[!", "![")):
            continue
        path_above = tuple(t for _, t in above)
        for part in _SPLIT.split(line):
            if part.strip():
                sentences.append(Sentence(number, part.strip(), path_above))
    return Document(path, tuple(headings), tuple(sentences), tuple(code))
