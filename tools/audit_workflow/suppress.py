"""Comments in a workspace that turn a finding off: `# mlops: ignore[DM06] why`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from mlops_advisor.tools.audit_workflow.rule import Finding
from mlops_advisor.tools.evidence.parsed import Parsed
from mlops_advisor.tools.evidence.text import excerpt

# In any language: `#`, `//`, `--` and `<!--` all may stand before it.
_COMMENT: Final = re.compile(
    r"mlops:\s{0,4}(ignore|ignore-file)\[([A-Za-z0-9_, *-]{1,200})\][ \t:]{0,4}([^\"\\\n]{0,200})"
)
_ALONE: Final = re.compile(r"^\s*\"?\s*(?:#|//|--|<!--|;)\s*mlops:")
_CELL: Final = re.compile(r"\[cell (\d{1,9}):(\d{1,9})\] ")  # as a place in a notebook begins
_FILE_LINES: Final = 30
_MAX_SPAN: Final = 40


@dataclass(frozen=True, slots=True)
class Suppression:
    """Why a finding is turned off, as written; may be empty."""

    reason: str


def suppression_of(repo: Parsed, finding: Finding) -> Suppression | None:
    """Comment that turns a finding off: on one of its lines, alone above it, or for the file."""
    whole, lines, first = _source(repo, finding)
    last = min(first + finding.end_line - finding.place.line, first + _MAX_SPAN, len(lines))
    for number in range(first, last + 1):
        found = _on(lines, number, finding.rule.id, "ignore")
        if found is not None:
            return found
    if first > 1 and _ALONE.match(lines[first - 2][:400] if first - 2 < len(lines) else ""):
        found = _on(lines, first - 1, finding.rule.id, "ignore")
        if found is not None:
            return found
    for number in range(1, min(len(whole), _FILE_LINES) + 1):
        found = _on(whole, number, finding.rule.id, "ignore-file")
        if found is not None:
            return found
    return None


def _source(repo: Parsed, finding: Finding) -> tuple[list[str], list[str], int]:
    """Lines of the file, those among which the finding stands, and its line there.

    In a notebook they are those of the code cells and of its cell: what else the file holds,
    stored outputs above all, turns nothing off.
    """
    path, line = finding.place.path, finding.place.line
    book = repo.notebooks.get(path) if path.endswith(".ipynb") else None
    if book is None or not book.lines:
        return repo.lines(path), repo.lines(path), line
    whole = [source for _, _, source in book.lines]
    at = _CELL.match(finding.place.text)
    if at is None:
        return whole, [], 1
    cell = int(at.group(1))
    return whole, [source for n, _, source in book.lines if n == cell], int(at.group(2))


def _on(lines: list[str], number: int, rule_id: str, kind: str) -> Suppression | None:
    if not 0 < number <= len(lines) or "mlops:" not in lines[number - 1]:
        return None
    for found in _COMMENT.finditer(lines[number - 1][:2_000]):
        names = [n.strip() for n in found.group(2).split(",")]
        if found.group(1) == kind and any(n and matches(rule_id, n) for n in names):
            return Suppression(excerpt(found.group(3).rstrip().removesuffix("-->")))
    return None


def matches(rule_id: str, wanted: str) -> bool:
    """Tell whether a rule id or prefix names a rule: `DM06`, `DM`, `dm`; `*` names all."""
    return wanted == "*" or rule_id.upper().startswith(wanted.upper())
