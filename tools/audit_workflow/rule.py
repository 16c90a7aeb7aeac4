"""What a rule is and what it finds."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final, TypeAlias

from mlops_advisor.tools.audit_workflow.repo import AuditRepository
from mlops_advisor.tools.common.models import DimensionId
from mlops_advisor.tools.evidence.models import Place
from mlops_advisor.tools.evidence.view import View


class Severity(StrEnum):
    """How much harm a finding does when it is true.  The table with meanings is in `report`."""

    CRITICAL = "critical"
    HIGH = "high"
    MEDIUM = "medium"
    LOW = "low"
    INFO = "info"


ORDER: Final = tuple(Severity)  # worst first
CRITICAL, HIGH, MEDIUM, LOW, INFO = ORDER


@dataclass(frozen=True, slots=True)
class Hit:
    """One place where a rule is broken.

    `line` is 1-based, for a notebook that of the joined cells (as in a View); 0 means the file as a
    whole, for what several lines say together. `why` says what is
    wrong here, with the names and values at hand; `fix` which change mends it. Empty: the rule's
    own. `text` replaces the source line as evidence. `also` are the other ends of a cross-file
    finding. `severity` and `confidence` override the rule's.
    """

    path: str
    line: int
    why: str = ""
    fix: str = ""
    end_line: int = 0
    text: str = ""
    also: tuple[tuple[str, int], ...] = ()
    severity: Severity | None = None
    confidence: float | None = None


RepositoryCheck: TypeAlias = Callable[[AuditRepository], Iterable[Hit]]
ModuleCheck: TypeAlias = Callable[[AuditRepository, View], Iterable[Hit]]


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule.  `confidence` 0-1: how often a hit is right; `effort_days` to mend one finding.

    `check` looks at the whole repository, `check_module` at one Python module or notebook whose
    text holds one of `words` (empty: any). An `absence` rule states that something is missing:
    it names what was searched.
    """

    id: str
    name: str
    title: str
    dimension: DimensionId
    severity: Severity
    confidence: float
    fix: str
    effort_days: tuple[float, float]
    sources: tuple[str, ...]
    doc: str
    check: RepositoryCheck | None = None
    check_module: ModuleCheck | None = None
    words: tuple[str, ...] = ()
    tests: bool = False
    absence: bool = False
    searched: str = ""
    practice: str = ""


def _documented(made: Rule, module: str) -> Rule:
    """Fill in title and documentation: the docstring of the module that holds the check."""
    doc = (sys.modules[module].__doc__ or "").strip()
    return replace(made, title=doc.partition("\n")[0].rstrip("."), doc=doc)


def rule(  # noqa: PLR0913 - metadata, all by keyword
    id_: str,
    *,
    name: str,
    dimension: DimensionId,
    severity: Severity,
    confidence: float,
    fix: str,
    effort: tuple[float, float],
    sources: tuple[str, ...],
    absence: bool = False,
    searched: str = "",
    practice: str = "",
    each: ModuleCheck | None = None,
    words: tuple[str, ...] = (),
) -> Callable[[RepositoryCheck], Rule]:
    """Make a function of the repository a rule.

    `effort` in person-days, low and high; `practice` is the practice of the rubric that the rule
    speaks of, if there is one.  `each` looks at one module after the other, as in `module_rule`:
    a check that went through all trees by itself would parse a large repository once more.
    """
    made = Rule(
        id=id_,
        name=name,
        title="",
        dimension=dimension,
        severity=severity,
        confidence=confidence,
        fix=fix,
        effort_days=effort,
        sources=sources,
        doc="",
        words=words,
        absence=absence,
        searched=searched,
        practice=practice,
    )

    def make(check: RepositoryCheck) -> Rule:
        return replace(_documented(made, check.__module__), check=check, check_module=each)

    return make


def module_rule(  # noqa: PLR0913 - metadata, all by keyword
    id_: str,
    *,
    name: str,
    dimension: DimensionId,
    severity: Severity,
    confidence: float,
    fix: str,
    effort: tuple[float, float],
    sources: tuple[str, ...],
    words: tuple[str, ...] = (),
    tests: bool = False,
    practice: str = "",
) -> Callable[[ModuleCheck], Rule]:
    """Make a function of one Python module a rule; modules of tests are left out unless `tests`.

    `words`: the check is only called for a module whose text holds one of them.
    """
    made = Rule(
        id=id_,
        name=name,
        title="",
        dimension=dimension,
        severity=severity,
        confidence=confidence,
        fix=fix,
        effort_days=effort,
        sources=sources,
        doc="",
        words=words,
        tests=tests,
        practice=practice,
    )

    def make(check: ModuleCheck) -> Rule:
        return replace(_documented(made, check.__module__), check_module=check)

    return make


@dataclass(frozen=True, slots=True)
class Finding:
    """A hit with its rule, located and redacted; `places` are other places it rests on."""

    rule: Rule
    place: Place
    end_line: int
    severity: Severity
    confidence: float
    why: str
    fix: str
    places: tuple[Place, ...] = ()
    fingerprint: str = ""
