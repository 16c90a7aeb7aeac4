"""Rules that report what a test tells them to, so that it tests the engine and not a rule."""

from __future__ import annotations

from collections.abc import Iterator

from mlops_advisor.tools.audit_workflow.repo import AuditRepository
from mlops_advisor.tools.audit_workflow.rule import HIGH, MEDIUM, Hit, Rule, Severity, rule

TOKEN = "ghp_" + "a1B2c3D4" * 5
WORD = "defect"


def marked(id_: str = "ZZ01", severity: Severity = MEDIUM, word: str = WORD) -> Rule:
    """Make a rule that reports every line with a word, in notebooks every line of the cells."""

    @rule(
        id_,
        name="marked",
        dimension="deployment",
        severity=severity,
        confidence=0.8,
        fix="Take the word out.",
        effort=(0.1, 0.2),
        sources=(),
    )
    def check(repo: AuditRepository) -> Iterator[Hit]:
        for path in repo.files:
            book = repo.notebooks.get(path)
            lines = repo.lines(path) if book is None else [source for _, _, source in book.lines]
            for number, line in enumerate(lines, 1):
                if word in line:
                    yield Hit(path, number, "It says so.")

    return check


def given(*hits: Hit, id_: str = "ZZ01") -> Rule:
    """Make a rule that reports what it is told."""

    @rule(
        id_,
        name="given",
        dimension="governance",
        severity=HIGH,
        confidence=0.8,
        fix="Mend it.",
        effort=(0.1, 0.2),
        sources=(),
    )
    def check(_repo: AuditRepository) -> Iterator[Hit]:
        yield from hits

    return check
