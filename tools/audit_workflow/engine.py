"""Runs rules over a repository: hits become findings that are located, redacted, merged, sorted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from hashlib import sha256
from itertools import islice
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


class _Kept:
    """Hits by rule and place, each once, and not more of one rule than anybody would read."""

    def __init__(self) -> None:
        self.hits: dict[tuple[str, str, int, str], tuple[Rule, Hit]] = {}
        self.omitted: set[str] = set()
        self._counts: Counter[str] = Counter()
        self._failed: set[str] = set()

    def take(
        self, repo: AuditRepository, rule: Rule, where: str, check: Callable[[], Iterable[Hit]]
    ) -> None:
        """Run a check and keep its hits.  One that breaks on odd files must not take the rest.

        A check during which the time ran out saw files that were no longer parsed: what it says
        is not believed.
        """
        hits: list[Hit] = []
        try:
            for hit in islice(check(), _MAX_PER_RULE + 1 - self._counts[rule.id]):
                hits.append(hit)  # noqa: PERF402 - what came before an error is kept
        except Exception as error:  # noqa: BLE001 - said in the result, and a test forbids it
            if rule.id not in self._failed:  # the first place is enough to look into it
                self.omitted.add(f"{rule.id}: failed on {where} ({type(error).__name__})")
            self._failed.add(rule.id)
        if repo.cut:
            self.omitted.add(rule.id)
            return
        for hit in hits:
            self._counts[rule.id] += 1
            if self._counts[rule.id] > _MAX_PER_RULE:
                self.omitted.add(f"{rule.id}: over {_MAX_PER_RULE} findings, the rest left out")
                return
            self.hits.setdefault((rule.id, hit.path, hit.line, hit.text), (rule, hit))


def examine(
    repo: AuditRepository,
    rules: Sequence[Rule],
    progress: Callable[[int, int, str], None] = lambda _done, _total, _message: None,
) -> Audit:
    """Run rules.  The order of files and rules changes nothing in the result."""
    of_repository = [r for r in rules if r.check is not None]
    total = len(repo.python) + len(of_repository)
    kept = _Kept()
    _examine_modules(repo, rules, kept, lambda n, path: progress(n, total, path))
    for done, rule in enumerate(of_repository, len(repo.python)):
        if repo.late():
            kept.omitted.add(rule.id)
        elif rule.check is not None:
            progress(done, total, rule.id)
            kept.take(repo, rule, "the repository", partial(rule.check, repo))
    return settle(repo, kept.hits.values(), kept.omitted)


def _examine_modules(
    repo: AuditRepository,
    rules: Sequence[Rule],
    kept: _Kept,
    progress: Callable[[int, str], None],
) -> None:
    """Run the rules of single modules, file by file, so that a tree is needed only once."""
    of_modules = [r for r in rules if r.check_module is not None]
    for done, path in enumerate(repo.python):
        if repo.late():
            break
        text = repo.code_text(path)
        test = is_test_path(path)
        wanted = [
            r
            for r in of_modules
            if (r.tests or not test) and (not r.words or any(w in text for w in r.words))
        ]
        view = repo.view(path) if wanted else None
        if view is not None:
            progress(done, path)
            for rule in wanted:
                if rule.check_module is not None:
                    kept.take(repo, rule, path, partial(rule.check_module, repo, view))
    if repo.late():  # also when there was no time to parse a single module
        kept.omitted.update(r.id for r in of_modules)


def order(finding: Finding) -> tuple[int, str, str, int, str]:
    """Sort key: worst first, then by rule and place."""
    place = finding.place
    worst = ORDER.index(finding.severity)
    return worst, finding.rule.id, place.path, place.line, finding.why


def settle(
    repo: AuditRepository,
    hits: Iterable[tuple[Rule, Hit]],
    omitted: set[str],
    before: Iterable[Finding] = (),
) -> Audit:
    """Turn hits into findings: located, redacted, copies merged, suppressed ones apart.

    No fingerprint is one of those that findings `before` have.
    """
    findings = sorted((_finding(repo, rule, hit) for rule, hit in hits), key=order)
    findings = _fingerprinted(_once_per_copy(repo, findings), before)
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
    if hit.line > 0:
        place = repo.place(hit.path, hit.line, hit.text)
    else:
        place = Place(hit.path, 1, excerpt(hit.text or (repo.lines(hit.path) or [""])[0]))
    return Finding(
        rule,
        place,
        max(place.line, hit.end_line + place.line - hit.line if hit.end_line else 0),
        hit.severity or rule.severity,
        hit.confidence if hit.confidence is not None else rule.confidence,
        excerpt(hit.why, _MAX_WORDS),
        redact(hit.fix or rule.fix)[:_MAX_WORDS],
        tuple(repo.place(p, n) for p, n in hit.also[:_MAX_ALSO]),
    )


def _once_per_copy(repo: AuditRepository, findings: list[Finding]) -> list[Finding]:
    """Report what stands in several identical files once, in the topmost, and name the copies."""
    digests: dict[str, str] = {}
    first: dict[tuple[str, int, str, str, str], int] = {}
    result: list[Finding] = []
    for finding in sorted(findings, key=lambda f: (f.place.path.count("/"), *order(f))):
        place = finding.place
        if place.path not in digests:
            text = repo.text(place.path)
            digests[place.path] = _digest(text) if text else f"\0{place.path}"
        key = (finding.rule.id, place.line, place.text, finding.why, digests[place.path])
        known = first.setdefault(key, len(result))
        if known == len(result) or result[known].place.path == place.path:
            result.append(finding)
        elif len(result[known].places) < _MAX_ALSO:
            joined = (*result[known].places, place)
            result[known] = replace(result[known], places=joined)
    return sorted(result, key=order)


def _fingerprinted(findings: list[Finding], before: Iterable[Finding]) -> list[Finding]:
    """Give each finding a key that survives moved lines: rule, path, text, and which of equals."""
    seen = Counter(_key(f) for f in before)
    result = []
    for finding in findings:
        key = _key(finding)
        seen[key] += 1
        result.append(replace(finding, fingerprint=_digest(f"{key}\0{seen[key]}")[:16]))
    return result


def _key(finding: Finding) -> str:
    return f"{finding.rule.id}\0{finding.place.path}\0{_plain(finding.place)}"


def _plain(place: Place) -> str:
    text = place.text
    return text.partition("] ")[2] if text.startswith("[cell ") else text


def _digest(text: str) -> str:
    return sha256(text.encode("utf-8", "replace")).hexdigest()
