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
    reader = _Reader()
    for number, full in enumerate(text.split("\n"), 1):
        reader.take(number, full[:_MAX_LINE].strip())
    return Document(path, tuple(reader.headings), tuple(reader.sentences), tuple(reader.code))


class _Reader:
    """Takes lines one by one; knows whether it stands in a code block or a comment."""

    def __init__(self) -> None:
        self.headings: list[tuple[int, int, str]] = []
        self.sentences: list[Sentence] = []
        self.code: list[tuple[int, str]] = []
        self._above: list[tuple[int, str]] = []
        self._fence = ""
        self._comment = False

    def take(self, number: int, line: str) -> None:
        if self._fence:
            self._in_code(number, line)
        elif line.startswith(("```", "~~~")):
            self._fence = line[:3]
        elif self._comment or line.startswith("<!--"):
            self._comment = "-->" not in line
        elif line.startswith("#"):
            self._heading(number, line)
        elif line and not line.startswith(("|--", "|:", "[!", "![")):
            above = tuple(t for _, t in self._above)
            parts = (p.strip() for p in _SPLIT.split(line))
            self.sentences.extend(Sentence(number, p, above) for p in parts if p)

    def _in_code(self, number: int, line: str) -> None:
        if line.startswith(self._fence):
            self._fence = ""
        elif line:
            self.code.append((number, line))

    def _heading(self, number: int, line: str) -> None:
        title = line.lstrip("#").strip().lower()
        level = len(line) - len(line.lstrip("#"))
        self.headings.append((number, level, title))
        self._above = [(lv, t) for lv, t in self._above if lv < level] + [(level, title)]
