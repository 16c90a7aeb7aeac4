"""Match free text to practices: what it asserts, denies, plans, or says is done by hand.

Cues follow NegEx and ConText (Chapman et al. 2001, Harkema et al. 2009): phrases with a reach,
ended by the next statement.  Deterministic; the words that led to each match are quoted.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from mlops_advisor.resources.models import Practice
from mlops_advisor.tools.matching.clauses import AUXILIARIES, Clause, clauses_of
from mlops_advisor.tools.matching.patterns import Pattern, Span, Vocabulary

_REACH = 7
_ORDER = ("no", "partly", "by_hand", "automated")
_JOINING = frozenset({",", "(", ")", "\u2013", "\u2014", "-", "&"})


@dataclass(frozen=True, slots=True)
class Match:
    """One practice read in one clause: the answer, and the quoted words."""

    practice: str
    answer: str
    quote: str
    item: int


@dataclass(frozen=True, slots=True)
class Reading:
    """All matches of a list of texts, and the sentences in which nothing was recognised."""

    matches: tuple[Match, ...]
    unread: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Rule:
    practice: str
    pattern: Pattern
    denies: bool


@dataclass(frozen=True, slots=True)
class _Cues:
    negated: frozenset[int]
    planned: bool
    past: bool
    partly: bool
    by_hand: bool


class Matcher:
    """Patterns of all practices compiled once; `read` is pure."""

    def __init__(
        self,
        practices: Iterable[Practice],
        concepts: Mapping[str, tuple[str, ...]],
        cues: Mapping[str, tuple[str, ...]],
    ) -> None:
        """Compile.  Raises PatternError for a pattern that is not in the language."""
        self._vocabulary = Vocabulary(concepts)
        self._cue = {name: self._vocabulary.term("|".join(words)) for name, words in cues.items()}
        self._rules: list[_Rule] = []
        for practice in practices:
            for texts, denies in ((practice.says, False), (practice.denies, True)):
                for text in texts:
                    rule = _Rule(practice.id, self._vocabulary.pattern(text), denies)
                    self._rules.append(rule)
        self._by_first: dict[int, list[_Rule]] = {}
        for rule in self._rules:
            self._by_first.setdefault(rule.pattern.wanted[0], []).append(rule)

    def read(self, texts: Sequence[str]) -> Reading:
        """Return the matches in order of the texts; the order of texts changes nothing else."""
        matches: list[Match] = []
        unread: list[str] = []
        for item, text in enumerate(texts):
            for clause in clauses_of(text):
                quote = text[clause.start : clause.end].strip()
                found = self._clause(clause)
                matches.extend(Match(p, a, quote, item) for p, a in found)
                if not found and len(quote.split()) > 1:
                    unread.append(quote)
        return Reading(tuple(matches), tuple(unread))

    def concepts_in(self, text: str, names: Iterable[str]) -> tuple[str, ...]:
        """Return which of the concepts `names` are mentioned in `text`."""
        words = [t.word for c in clauses_of(text) for t in c.tokens if t.word not in _JOINING]
        hits = self._vocabulary.found(words)
        return tuple(n for n in names if self._vocabulary.term(f"@{n}") in hits)

    def _clause(self, clause: Clause) -> list[tuple[str, str]]:
        tokens = [t for t in clause.tokens if t.word not in _JOINING]
        words = [t.word for t in tokens]
        hits = self._vocabulary.found(words)
        cues = self._cues(words, hits)
        own = clause.start
        answers: dict[str, list[str]] = {}
        for first in hits:
            for rule in self._by_first.get(first, ()):
                if not self._fits(rule.pattern, hits):
                    continue
                spans = [hits[term] for term in rule.pattern.wanted]
                if all(tokens[s[0]].start < own for group in spans for s in group):
                    continue
                answer = _answer(rule, spans, cues)
                if answer is not None:
                    answers.setdefault(rule.practice, []).append(answer)
        return [(p, min(a, key=_ORDER.index)) for p, a in sorted(answers.items())]

    @staticmethod
    def _fits(pattern: Pattern, hits: Mapping[int, list[Span]]) -> bool:
        return all(t in hits for t in pattern.wanted) and not any(
            t in hits for t in pattern.unwanted
        )

    def _cues(self, words: list[str], hits: Mapping[int, list[Span]]) -> _Cues:
        spans = {name: hits.get(term, []) for name, term in self._cue.items()}
        masked = {i for s in spans["not_a_negation"] for i in range(s[0], s[1] + 1)}
        subjects = [s for s in spans["negation_subject"] if s[0] not in masked]
        forward = [s for s in spans["negation_forward"] if s[0] not in masked]
        # "nothing goes live without review" and "never unless" assert what follows.
        double = [
            i
            for i, w in enumerate(words)
            if w in {"without", "unless", "until"} and i not in masked
        ]
        outer = [s for s in (*subjects, *forward) if double and s[0] < double[-1]]
        if outer:
            last = double[-1]
            subjects = [s for s in subjects if s[0] > last]
            forward = [s for s in forward if s[0] > last]
        negated: set[int] = set()
        for _, last_word in subjects:
            negated.update(range(last_word + 1, min(len(words), last_word + 2 * _REACH)))
        for _, last_word in forward:
            for i in range(last_word + 1, min(len(words), last_word + 1 + _REACH)):
                if words[i] in AUXILIARIES and i > last_word + 1:
                    break
                negated.add(i)
        for first, _ in spans["negation_backward"]:
            if first not in masked:
                negated.update(range(max(0, first - 2 * _REACH), first))
        return _Cues(
            frozenset(negated),
            planned=bool(spans["planned"]),
            past=bool(spans["past"]),
            partly=bool(spans["partly"]),
            by_hand=bool(spans["by_hand"]),
        )


def _answer(rule: _Rule, spans: list[list[Span]], cues: _Cues) -> str | None:
    negated = any(all(s[1] in cues.negated for s in group) for group in spans)
    unreal = negated or cues.planned or cues.past
    if rule.denies:
        if unreal:
            return None
        return rule.pattern.answer or ("partly" if cues.partly else "no")
    if unreal:
        return "no"
    if rule.pattern.answer is not None:
        return rule.pattern.answer
    if cues.partly:
        return "partly"
    return "by_hand" if cues.by_hand else "automated"
