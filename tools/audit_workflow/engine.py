"""Runs rules over a repository: hits become findings that are located, redacted, merged, sorted."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Final

from mlops_advisor.tools.audit_workflow.repo import AuditRepository
from mlops_advisor.tools.audit_workflow.rule import ORDER, Finding, Hit, Rule
from mlops_advisor.tools.audit_workflow.suppress import Suppression, suppression_of
from mlops_advisor.tools.evidence.code import is_test_path
from mlops_advisor.tools.evidence.models import Place
from mlops_advisor.tools.evidence.text import excerpt, redact

_MAX_WORDS: Final = 1_200
_MAX_ALSO: Final = 5
_MAX_PER_RULE: Final = 2_000  # of one rule; a workspace with more has one problem, not more


@dataclass(frozen=True, slots=True)
class Suppressed:
    """A finding that a comment in the workspace turned off, with the reason given."""

    finding: Finding
    reason: str


@dataclass(frozen=True, slots=True)
class Audit:
    """What rules found.  `omitted` rules did not run, or not on everything: the time was up."""

    findings: tuple[Finding, ...]
    suppressed: tuple[Suppressed, ...]
    omitted: tuple[str, ...]


def examine(
    repo: AuditRepository,
    rules: Sequence[Rule],
    progress: Callable[[int, int, str], None] = lambda _done, _total, _message: None,
) -> Audit:
    """Run rules.  The order of files and rules changes nothing in the result."""
    of_modules = [r for r in rules if r.check_module is not None]
    of_repository = [r for r in rules if r.check is not None]
    total = len(repo.python) + len(of_repository)
    hits: dict[tuple[str, str, int, str], tuple[Rule, Hit]] = {}
    omitted: set[str] = set()
    counts: dict[str, int] = {}

    def keep(rule: Rule, found: Iterable[Hit]) -> None:
        for hit in found:
            counts[rule.id] = counts.get(rule.id, 0) + 1
            if counts[rule.id] > _MAX_PER_RULE:
                return
            hits.setdefault((rule.id, hit.path, hit.line, hit.text), (rule, hit))

    done = 0
    for path in repo.python:
        done += 1
        if repo.late():
            omitted.update(r.id for r in of_modules)
            break
        text = repo.text(path)
        test = is_test_path(path)
        wanted = [
            r
            for r in of_modules
            if (r.tests or not test) and (not r.words or any(w in text for w in r.words))
        ]
        view = repo.view(path) if wanted else None
        if view is not None:
            progress(done, total, path)
            for rule in wanted:
                if rule.check_module is not None:
                    keep(rule, rule.check_module(repo, view))
    for rule in of_repository:
        done += 1
        if repo.late():
            omitted.add(rule.id)
            continue
        progress(done, total, rule.id)
        if rule.check is not None:
            keep(rule, rule.check(repo))
    return _settle(repo, hits.values(), omitted)


def _settle(
    repo: AuditRepository, hits: Iterable[tuple[Rule, Hit]], omitted: set[str]
) -> Audit:
    findings = sorted(
        (_finding(repo, rule, hit) for rule, hit in hits),
        key=lambda f: (ORDER.index(f.severity), f.rule.id, f.place.path, f.place.line, f.why),
    )
    findings = _fingerprinted(_once_per_copy(repo, findings))
    kept: list[Finding] = []
    suppressed: list[Suppressed] = []
    for finding in findings:
        found: Suppression | None = suppression_of(repo, finding)
        if found is None:
            kept.append(finding)
        else:
            suppressed.append(Suppressed(finding, found.reason))
    return Audit(tuple(kept), tuple(suppressed), tuple(sorted(omitted)))


def _finding(repo: AuditRepository, rule: Rule, hit: Hit) -> Finding:
    place = repo.place(hit.path, hit.line, hit.text)
    return Finding(
        rule,
        place,
        max(place.line, hit.end_line + place.line - hit.line if hit.end_line else place.line),
        hit.severity or rule.severity,
        hit.confidence if hit.confidence is not None else rule.confidence,
        excerpt(hit.why, _MAX_WORDS),
        redact(hit.fix or rule.fix)[:_MAX_WORDS],
        tuple(repo.place(p, n) for p, n in hit.also[:_MAX_ALSO]),
    )


def _once_per_copy(repo: AuditRepository, findings: list[Finding]) -> list[Finding]:
    """Report what stands in several identical files once, and name the copies."""
    first: dict[tuple[str, int, str, str], Finding] = {}
    result: list[Finding] = []
    for finding in findings:
        text = repo.text(finding.place.path)
        key = (finding.rule.id, finding.place.line, finding.why, _digest(text))
        known = first.get(key) if text else None
        if known is None:
            first[key] = finding
            result.append(finding)
        elif len(known.places) < _MAX_ALSO:
            joined = replace(known, places=(*known.places, finding.place))
            first[key] = joined
            result[result.index(known)] = joined
    return result


def _fingerprinted(findings: list[Finding]) -> list[Finding]:
    """Give each finding a key that survives moved lines: rule, path, text, and which of equals."""
    seen: dict[str, int] = {}
    result = []
    for finding in findings:
        key = f"{finding.rule.id}\0{finding.place.path}\0{_plain(finding.place)}"
        number = seen[key] = seen.get(key, 0) + 1
        result.append(replace(finding, fingerprint=_digest(f"{key}\0{number}")[:16]))
    return result


def _plain(place: Place) -> str:
    text = place.text
    return text.partition("] ")[2] if text.startswith("[cell ") else text


def _digest(text: str) -> str:
    return sha256(text.encode("utf-8", "replace")).hexdigest()
