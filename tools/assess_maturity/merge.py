"""Bring answers, words and files together: one known state per practice, and what disagrees.

The strongest source speaks: enforced in files > answered > wired in files > told in free text >
configured > claimed in a document > not found.  An explicit `unknown` silences words and
documents, not files.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from mlops_advisor.tools.assess_maturity.models import Contradiction, Evidence, Response
from mlops_advisor.tools.assess_maturity.scoring import MET, Known
from mlops_advisor.tools.evidence.models import Fact, Outcome, Strength
from mlops_advisor.tools.matching.match import Match

_ORDER = ("no", "partly", "by_hand", "automated")
_FROM_STRENGTH = {
    Strength.ENFORCED: Known("automated", "file_enforced"),
    Strength.WIRED: Known("automated", "file_wired"),
    Strength.CONFIGURED: Known("partly", "file_configured"),
    Strength.CLAIMED: Known("partly", "document"),
}
_RANK = (
    "file_enforced",
    "response",
    "file_wired",
    "practice_text",
    "file_configured",
    "document",
    "file_absent",
)
_SAID = {"no": "not done", "partly": "partly done", "by_hand": "done by hand", "automated": "done"}
_ONLY_ANSWERED = {(a,): Known(a, "response") for a in _ORDER}  # the common case, made once
_SEEN = frozenset({Outcome.PRESENT, Outcome.ABSENT})
_NOT_FOUND = Known("no", "file_absent")


@dataclass(frozen=True, slots=True)
class Spoken:
    """All that was said of one practice, by source."""

    answers: tuple[str, ...]
    words: tuple[Match, ...]
    files: tuple[Fact, ...]

    @property
    def count(self) -> int:
        """How many pieces of evidence there are."""
        seen = sum(max(1, len(f.places)) for f in self.files if f.outcome in _SEEN)
        return len(self.answers) + len(self.words) + seen

    @property
    def proof(self) -> str:
        """The best evidence in words: with its place in a file if there is one."""
        for fact in self.files:
            if fact.outcome in _SEEN and fact.places:
                place = fact.places[0]
                return f"{place.path}:{place.line}: {_file_words(fact)}"
        if self.answers:
            return f"answered: {self.answers[0]}"
        if self.words:
            return f"'{_short(self.words[0].quote)}'"
        return next((_file_words(f) for f in self.files if f.outcome in _SEEN), "")

    def evidence(self, practice: str) -> tuple[Evidence, ...]:
        """Spell the evidence out."""
        return _evidence(practice, self.answers, self.words, self.files)


_ONLY_SPOKEN = {a: Spoken(a, (), ()) for a in _ONLY_ANSWERED}


@dataclass(frozen=True, slots=True)
class Merged:
    """The state of every practice that anything is known of."""

    known: Mapping[str, Known]
    excluded: frozenset[str]
    spoken: Mapping[str, Spoken]
    contradictions: tuple[Contradiction, ...]

    def evidence(self, practice: str) -> tuple[Evidence, ...]:
        """Return the evidence on a practice, made when asked for: most is never shown."""
        spoken = self.spoken.get(practice)
        return spoken.evidence(practice) if spoken is not None else ()


@dataclass(frozen=True, slots=True)
class _Side:
    known: Known
    words: str


def merge(
    order: Iterable[str],
    responses: Sequence[Response],
    matches: Sequence[Match],
    facts: Sequence[Fact],
) -> Merged:
    """Merge by practice in the rubric's `order`; the order of the inputs changes nothing."""
    answers = _answers(responses)
    told: dict[str, list[Match]] = {}
    for match in matches:
        told.setdefault(match.practice, []).append(match)
    seen: dict[str, list[Fact]] = {}
    for fact in facts:
        seen.setdefault(fact.practice, []).append(fact)
    known: dict[str, Known] = {}
    excluded: set[str] = set()
    spoken: dict[str, Spoken] = {}
    contradictions: list[Contradiction] = []
    mentioned = answers.keys() | told.keys() | seen.keys()
    for practice in order:
        if practice not in mentioned:
            continue
        answer = answers.get(practice, ())
        if answer in _ONLY_ANSWERED and practice not in told and practice not in seen:
            spoken[practice] = _ONLY_SPOKEN[answer]
            known[practice] = _ONLY_ANSWERED[answer]
            continue
        words = tuple(sorted(told.get(practice, ()), key=lambda m: (m.quote, m.answer)))
        files = tuple(sorted(seen.get(practice, ()), key=lambda f: (f.probe, f.detail)))
        spoken[practice] = Spoken(answer, words, files)
        if answer == ("not_applicable",):
            excluded.add(practice)
            continue
        sides = _sides(answer, words, files)
        if sides:
            known[practice] = sides[0].known
        contradictions.extend(_disagree(practice, answer, words, sides))
    return Merged(known, frozenset(excluded), spoken, tuple(contradictions))


def _answers(responses: Sequence[Response]) -> dict[str, tuple[str, ...]]:
    """Collect answers; two different ones to a practice are both kept, sorted."""
    found: dict[str, tuple[str, ...]] = {}
    for response in responses:
        before = found.get(response.practice)
        if before is None:
            found[response.practice] = (response.answer,)
        elif response.answer not in before:
            found[response.practice] = tuple(sorted((*before, response.answer)))
    return found


def _answered(answer: tuple[str, ...]) -> Known | None:
    """Two answers to one practice: the lower one is used, as the higher is not certain."""
    usable = [a for a in answer if a in _ORDER]
    return Known(min(usable, key=_ORDER.index), "response") if usable else None


def _told(words: Sequence[Match]) -> Known | None:
    if not words:
        return None
    said = {m.answer for m in words}
    lowest = min(said, key=_ORDER.index)
    if lowest == "no" and said & MET:
        lowest = "partly"
    return Known(lowest, "practice_text")


def _sides(answer: tuple[str, ...], words: Sequence[Match], files: Sequence[Fact]) -> list[_Side]:
    sides: list[_Side] = []
    answered = _answered(answer)
    if answered:
        sides.append(_Side(answered, f"answered: {answered.answer}"))
    told = _told(words)
    silenced = "unknown" in answer and answered is None
    if told and not silenced:
        first = words[0]
        sides.append(_Side(told, f"told: '{_short(first.quote)}' ({_SAID[told.answer]})"))
    for fact in files:
        state = _state(fact)
        if state and not (silenced and state.source == "document"):
            sides.append(_Side(state, _file_words(fact)))
    return sorted(sides, key=lambda s: _RANK.index(s.known.source))


def _state(fact: Fact) -> Known | None:
    if fact.outcome is Outcome.PRESENT and fact.strength is not None:
        return _FROM_STRENGTH[fact.strength]
    return _NOT_FOUND if fact.outcome is Outcome.ABSENT else None


def _disagree(
    practice: str, answer: tuple[str, ...], words: Sequence[Match], sides: Sequence[_Side]
) -> Iterable[Contradiction]:
    if len([a for a in answer if a != "unknown"]) > 1:
        yield Contradiction(
            practice=practice,
            one=f"answered: {answer[0]}",
            other=f"answered: {answer[1]}",
            used="the lower answer",
        )
    said = {m.answer: m.quote for m in words}
    if "no" in said and set(said) & MET:
        met = next(a for a in sorted(said) if a in MET)
        yield Contradiction(
            practice=practice,
            one=f"told: '{_short(said['no'])}' ({_SAID['no']})",
            other=f"told: '{_short(said[met])}' ({_SAID[met]})",
            used="partly, until somebody settles it",
        )
    if not sides:
        return
    used = sides[0]
    for other in sides[1:]:
        if other.known.source in {used.known.source, "file_configured"}:
            continue
        if (used.known.answer in MET) != (other.known.answer in MET):
            yield Contradiction(
                practice=practice,
                one=used.words,
                other=other.words,
                used=f"the first: {_why(used.known.source)}",
            )
            return


def _why(source: str) -> str:
    return {
        "file_enforced": "what runs and can stop something outweighs words",
        "response": "an answer outweighs words, claims and what one folder lacks",
        "file_wired": "what the code does outweighs what is told",
        "practice_text": "a statement outweighs claims and what one folder lacks",
    }.get(source, "a trace in files outweighs a claim")


def _evidence(
    practice: str, answer: tuple[str, ...], words: Sequence[Match], files: Sequence[Fact]
) -> tuple[Evidence, ...]:
    found = [
        Evidence(practice=practice, source="response", detail=f"answered: {a}") for a in answer
    ]
    for match in words:
        detail = f"'{_short(match.quote)}' ({_SAID[match.answer]})"
        found.append(Evidence(practice=practice, source="practice_text", detail=detail))
    for fact in files:
        if fact.outcome not in _SEEN:
            continue
        detail = _file_words(fact)
        if not fact.places:
            found.append(Evidence(practice=practice, source="file", detail=detail))
        found.extend(
            Evidence(
                practice=practice,
                source="file",
                detail=f"{detail}: {place.text}" if place.text else detail,
                path=place.path,
                line=place.line,
            )
            for place in fact.places
        )
    return tuple(found)


def _file_words(fact: Fact) -> str:
    if fact.outcome is Outcome.ABSENT:
        searched = f" (searched {fact.searched})" if fact.searched else ""
        return f"not found: {fact.detail}{searched}"
    strength = fact.strength.name.lower() if fact.strength else "seen"
    return f"{strength}: {fact.detail}"


def _short(text: str, limit: int = 120) -> str:
    flat = " ".join(text.split())
    return flat if len(flat) <= limit else flat[: limit - 1] + "\u2026"
