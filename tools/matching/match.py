"""Match free text to practices: what it asserts, denies, plans, or says is done by hand.

Cues follow NegEx and ConText (Chapman et al. 2001, Harkema et al. 2009): phrases with a reach,
ended by the next statement.  Deterministic; the words that led to each match are quoted.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import groupby

from snowballstemmer import stemmer

from mlops_advisor.resources.models import Concepts, Practice, WordWeights
from mlops_advisor.tools.matching.clauses import AUXILIARIES, Clause, clauses_of
from mlops_advisor.tools.matching.patterns import Pattern, Span, Vocabulary
from mlops_advisor.tools.matching.words import (
    ENOUGH,
    NOTHING,
    SCALE,
    SHORTEST,
    STOP_WORDS,
    guess,
)

_REACH = 7  # words that a negation reaches
_SHORT = 6  # words of a clause that only takes back a part
_CLAUSES = 24  # clauses of one sentence looked at together
_WINDOW = 22  # words that a pattern may span across clauses of one sentence
_ORDER = ("no", "partly", "by_hand", "automated")
_CONDITIONS = frozenset({"if", "when", "whenever", "should", "unless"})
_NEGATIONS = frozenset({"no", "not", "never", "nobody", "none", "nothing", "without", "cannot"})
_ADVERBS = frozenset(
    {"yet", "even", "really", "ever", "currently", "actually", "always", "so", "far"}
)
_TODAY = frozenset({"now", "today", "nowadays", "since", "meanwhile", "currently"})
_IN_CONDITIONS = frozenset({"negation_subject", "not_a_negation", "not_by_hand"})
_DOUBLE = frozenset({"without", "unless", "until"})
_RELEASED = frozenset(
    {"live", "production", "out", "ships", "ship", "shipped", "released", "deployed", "merged"}
)
_JOINING = frozenset({",", ":", "(", ")", "\u2013", "\u2014", "-", "&"})


def _never() -> bool:
    return False


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
    left: int = 0


@dataclass(frozen=True, slots=True)
class _Rule:
    practice: str
    pattern: Pattern
    denies: bool
    negates: bool  # a denial that holds its own negation: "without anyone looking"


@dataclass(frozen=True, slots=True)
class _Cues:
    """What the words around say: negated positions, and marks that hold for the whole clause."""

    negated: frozenset[int]
    masked: frozenset[int]  # words of "no manual steps" and the like, which state no absence
    doubled: bool  # "nothing ... without": what is denied here is asserted
    elsewhere: bool  # about somebody else
    planned: bool
    past: bool
    partly: bool
    by_hand: bool
    shaken: bool = False  # taken back in part by what follows


@dataclass(frozen=True, slots=True)
class _Sentence:
    """The words of a sentence with the clause of each; a carried subject stands twice."""

    words: tuple[str, ...]
    clause_of: tuple[int, ...]
    own: tuple[bool, ...]
    cues: tuple[_Cues, ...]
    offsets: tuple[int, ...]
    quotes: tuple[tuple[int, int], ...]


class Matcher:
    """Patterns of all practices compiled once; `read` is pure."""

    def __init__(
        self,
        practices: Iterable[Practice],
        lexicon: Concepts,
        words: WordWeights | None = None,
    ) -> None:
        """Compile.  Raises PatternError for a pattern that is not in the language.

        Without `words` only patterns are read.
        """
        self._words = words
        self._stem = lru_cache(maxsize=50_000)(stemmer("english").stemWord)
        self._vocabulary = Vocabulary(lexicon.concepts, lexicon.guards)
        self._cue = {
            name: self._vocabulary.term("|".join(words)) for name, words in lexicon.cues.items()
        }
        self._concepts = {name: self._vocabulary.term(f"@{name}") for name in lexicon.concepts}
        self._by_first: dict[int, list[_Rule]] = {}
        for practice in practices:
            for texts, denies in ((practice.says, False), (practice.denies, True)):
                for text in texts:
                    negates = denies and _holds_negation(text)
                    rule = _Rule(practice.id, self._vocabulary.pattern(text), denies, negates)
                    self._by_first.setdefault(rule.pattern.wanted[0], []).append(rule)

    def read(self, texts: Sequence[str], expired: Callable[[], bool] = _never) -> Reading:
        """Return the matches in order of the texts; the order of texts changes nothing else.

        When the time is up the rest is left unread; `left` says how many texts that are.
        """
        matches: list[Match] = []
        unread: list[str] = []
        for item, text in enumerate(texts):
            if expired():
                return Reading(tuple(matches), tuple(unread), len(texts) - item)
            for sentence in self._sentences(text):
                found = self._sentence(sentence)
                if self._words is not None:
                    found.extend(self._guessed(sentence, found))
                touched: set[int] = set()
                for practice, answer, first, last in found:
                    start, end = sentence.quotes[first][0], sentence.quotes[last][1]
                    matches.append(Match(practice, answer, text[start:end].strip(), item))
                    touched.update(range(first, last + 1))
                for number, (start, end) in enumerate(sentence.quotes):
                    quote = text[start:end].strip()
                    if number not in touched and len(quote.split()) > 1:
                        unread.append(quote)
        return Reading(tuple(matches), tuple(unread))

    def concepts_in(self, text: str, names: Iterable[str]) -> tuple[str, ...]:
        """Return which of the concepts `names` are mentioned in `text`."""
        words = [t.word for c in clauses_of(text) for t in c.tokens if t.word not in _JOINING]
        hits = self._vocabulary.found(words)
        return tuple(n for n in names if self._concepts[n] in hits)

    def _sentences(self, text: str) -> Iterable[_Sentence]:
        for _, run in groupby(clauses_of(text), key=lambda c: c.sentence):
            for group in _batched(run):
                words: list[str] = []
                clause_of: list[int] = []
                own: list[bool] = []
                cues: list[_Cues] = []
                offsets: list[int] = []
                quotes: list[tuple[int, int]] = []
                for number, clause in enumerate(group):
                    tokens = [t for t in clause.tokens if t.word not in _JOINING]
                    offsets.append(len(words))
                    words.extend(t.word for t in tokens)
                    clause_of.extend(number for _ in tokens)
                    own.extend(t.start >= clause.start for t in tokens)
                    # No phrase runs from one clause into the next.
                    words.append("|")
                    clause_of.append(number)
                    own.append(False)
                    cues.append(self._cues([t.word for t in tokens]))
                    # "..., the others do not", "... but nobody follows it", "... when we
                    # remember": what was just said holds in part at best.
                    said = [t.word for t in tokens if t.start >= clause.start]
                    if number and _takes_back(said):
                        cues[-2] = replace(cues[-2], shaken=True)
                    quotes.append((clause.start, clause.end))
                yield _Sentence(
                    tuple(words), tuple(clause_of), tuple(own), tuple(cues), tuple(offsets),
                    tuple(quotes),
                )  # fmt: skip

    def _sentence(self, sentence: _Sentence) -> list[tuple[str, str, int, int]]:
        """Return (practice, answer, first clause, last clause), in one clause where possible."""
        hits = self._vocabulary.found(list(sentence.words))
        found: dict[tuple[str, int, int], list[tuple[bool, str]]] = {}
        for first in hits:
            for rule in self._by_first.get(first, ()):
                if any(term not in hits for term in rule.pattern.wanted):
                    continue
                for place, spans in _places(rule.pattern, hits, sentence):
                    answer = _answer(rule, spans, sentence)
                    if answer is not None:
                        # A pattern that settles for `partly` yields to one that says more.
                        weak = answer == rule.pattern.answer == "partly" and not rule.denies
                        found.setdefault((rule.practice, *place), []).append((weak, answer))
        # What one clause says outweighs what is put together from several.
        plain = {practice for practice, first, last in found if first == last}
        return [
            (practice, _lowest(answers), first, last)
            for (practice, first, last), answers in sorted(found.items())
            if first == last or practice not in plain
        ]

    def features(self, text: str) -> tuple[str, ...]:
        """Return the stems and concepts of a text, as the word weights know them."""
        tokens = [t for c in clauses_of(text) for t in c.tokens[c.carried :]]
        return self._features([t.word for t in tokens])

    def _features(self, words: Sequence[str]) -> tuple[str, ...]:
        hits = self._vocabulary.found(list(words))
        stems = (self._stem(w) for w in words if w not in STOP_WORDS and not w.isdigit())
        concepts = (f"@{name}" for name, term in self._concepts.items() if term in hits)
        return (*stems, *concepts)

    def _guessed(
        self, sentence: _Sentence, found: Sequence[tuple[str, str, int, int]]
    ) -> list[tuple[str, str, int, int]]:
        """Return what the words of clauses say in which no pattern was found."""
        touched = {n for _, _, first, last in found for n in range(first, last + 1)}
        read = {practice for practice, *_ in found}
        count = len(sentence.cues)
        stretches = [(n, n) for n in range(count) if n not in touched]
        if count > 1 and not touched:
            stretches.append((0, count - 1))
        best: dict[str, tuple[float, str, int, int]] = {}
        for first, last in stretches:
            taken = self._guess(sentence, first, last)
            if taken is None or taken[0] in read:
                continue
            practice, score, answer = taken
            if practice not in best or best[practice][0] < score:
                best[practice] = (score, answer, first, last)
        return [(p, answer, first, last) for p, (_, answer, first, last) in sorted(best.items())]

    def _guess(self, sentence: _Sentence, first: int, last: int) -> tuple[str, float, str] | None:
        places = [
            i
            for i, word in enumerate(sentence.words)
            if first <= sentence.clause_of[i] <= last and word != "|"
        ]
        if self._words is None or sum(sentence.own[i] for i in places) < SHORTEST:
            return None
        taken = guess(self._words, self._features([sentence.words[i] for i in places]))
        if taken is None or taken.practice == NOTHING or taken.score < ENOUGH * SCALE:
            return None
        weighty = [i for i in places if self._stem(sentence.words[i]) in taken.words]
        negated = any(_negated((i, i), sentence) for i in weighty)
        cues = sentence.cues[first : last + 1]
        past = any(c.past for c in cues)
        if any(c.elsewhere for c in cues):
            return None
        if taken.polarity == "no":
            doubled = any(c.doubled for c in cues)
            return None if negated or past or doubled else (taken.practice, taken.score, "no")
        if negated or past or any(c.planned for c in cues):
            return taken.practice, taken.score, "no"
        return taken.practice, taken.score, _degree(cues)

    def _cues(self, words: list[str]) -> _Cues:
        hits = self._vocabulary.found(words)
        spans = {name: hits.get(term, []) for name, term in self._cue.items()}
        # "If a column goes missing" denies nothing: it says when something happens.  A "nobody"
        # after it does.
        condition = bool(words) and words[0] in _CONDITIONS
        if condition:
            spans = {name: s if name in _IN_CONDITIONS else [] for name, s in spans.items()}
        masked = {i for s in spans["not_a_negation"] for i in range(s[0], s[1] + 1)}
        subjects = [s for s in spans["negation_subject"] if s[0] not in masked]
        forward = [s for s in spans["negation_forward"] if s[0] not in masked]
        # "Nothing goes live without review" and "never unless" assert what follows.
        # So does "a release is blocked without a card".
        double = [
            i
            for i, w in enumerate(words)
            if (w in _DOUBLE or (w == "before" and _RELEASED & set(words[:i]))) and i not in masked
        ]
        outer = (*subjects, *forward, *spans["blocks"])
        # "Without sign-off nothing goes live" says the same the other way round.
        turned = bool(double) and any(s[0] > double[0] for s in subjects)
        doubled = turned or (bool(double) and any(s[0] < double[-1] for s in outer))
        if turned:
            subjects, forward = [], []
        elif doubled:
            subjects = [s for s in subjects if s[0] > double[-1]]
            forward = [s for s in forward if s[0] > double[-1]]
        negated: set[int] = set()
        for _, last in subjects:
            negated.update(range(last + 1, min(len(words), last + 2 * _REACH)))
        for _, last in forward:
            for i in range(last + 1, min(len(words), last + 1 + _REACH)):
                # "not yet have" is one verb group; "that is not critical is deployed" is two.
                if words[i] in AUXILIARIES and not _ADVERBS.issuperset(words[last + 1 : i]):
                    break
                negated.add(i)
        for first, _ in spans["negation_backward"]:
            if first not in masked:
                negated.update(range(max(0, first - 2 * _REACH), first))
        shares = any(
            a.isdigit() and b == "of" and (c.isdigit() or d.isdigit())
            for a, b, c, d in zip(words, words[1:], words[2:], [*words[3:], ""], strict=False)
        )
        return _Cues(
            frozenset(negated),
            frozenset(masked),
            doubled=doubled,
            elsewhere=bool(spans["elsewhere"]),
            planned=bool(spans["planned"]),
            # "What used to be a notebook is now a pipeline" speaks of today.
            past=bool(spans["past"]) and not _TODAY & set(words),
            partly=shares or bool(spans["partly"]),
            by_hand=any(
                s[0] not in masked and not any(m[0] <= s[0] <= m[1] for m in spans["not_by_hand"])
                for s in spans["by_hand"]
            ),
        )


def _takes_back(words: Sequence[str]) -> bool:
    if len(words) <= _SHORT and words[-1:] == ["not"]:
        return True
    if words[:1] == ["except"]:
        return True
    if words[:1] == ["but"] and len(words) <= 2 * _SHORT:
        return bool({"nobody", "never", "rarely", "seldom"} & set(words))
    if words[:1] not in (["when"], ["if"]):
        return False
    return bool({"remember", "remembers"} & set(words)) or words[1:] in (
        ["time"],
        ["there", "is", "time"],
        ["time", "allows"],
        ["time", "permits"],
    )


def _batched(clauses: Iterable[Clause]) -> Iterable[list[Clause]]:
    """Cut a sentence that never ends, so that the work stays in proportion to the text."""
    batch: list[Clause] = []
    for clause in clauses:
        batch.append(clause)
        if len(batch) == _CLAUSES:
            yield batch
            batch = []
    if batch:
        yield batch


_Place = tuple[int, int]


def _holds_negation(text: str) -> bool:
    wanted = " ".join(term for term in text.split() if not term.startswith("!"))
    return bool(_NEGATIONS & set(re.split(r"[ |_]", wanted)))


def _lowest(answers: Sequence[tuple[bool, str]]) -> str:
    strong = [answer for weak, answer in answers if not weak]
    return min(strong or [answer for _, answer in answers], key=_ORDER.index)


def _places(
    pattern: Pattern, hits: Mapping[int, list[Span]], sentence: _Sentence
) -> Iterable[tuple[_Place, list[list[Span]]]]:
    """Yield the clauses in which the pattern holds; failing that, the sentence as a whole."""
    inside = False
    for number in range(len(sentence.cues)):
        spans = [
            [s for s in hits[term] if sentence.clause_of[s[0]] == number] for term in pattern.wanted
        ]
        if not all(spans) or not any(sentence.own[s[0]] for group in spans for s in group):
            continue
        inside = True
        if not any(
            sentence.clause_of[s[0]] == number
            for term in pattern.unwanted
            for s in hits.get(term, ())
        ):
            yield (number, number), spans
    if inside or len(pattern.wanted) == 1 or any(t in hits for t in pattern.unwanted):
        return
    tight = _tightest([hits[term] for term in pattern.wanted])
    first = min(s[0] for s in tight)
    last = max(s[1] for s in tight)
    if last - first <= _WINDOW:
        place = (sentence.clause_of[first], sentence.clause_of[last])
        yield place, [[span] for span in tight]


def _tightest(groups: Sequence[Sequence[Span]]) -> list[Span]:
    """Return one span of each group, all as close together as they can be."""
    marks = sorted((span, n) for n, group in enumerate(groups) for span in group)
    latest: dict[int, Span] = {}
    best: list[Span] = []
    width = -1
    for span, number in marks:
        latest[number] = span
        if len(latest) == len(groups):
            reach = max(s[1] for s in latest.values()) - min(s[0] for s in latest.values())
            if width < 0 or reach < width:
                best, width = [latest[n] for n in range(len(groups))], reach
    return best


def _answer(rule: _Rule, spans: list[list[Span]], sentence: _Sentence) -> str | None:
    touched = {sentence.clause_of[s[0]] for group in spans for s in group}
    cues = [sentence.cues[n] for n in touched]
    negated = not rule.negates and any(all(_negated(s, sentence) for s in group) for group in spans)
    if any(c.elsewhere for c in cues):
        return None
    past = any(c.past for c in cues)
    partly = any(c.partly for c in cues)
    if rule.denies:
        hidden = any(all(_masked(s, sentence) for s in group) for group in spans)
        if negated or past or hidden or (any(c.doubled for c in cues) and not rule.negates):
            return None
        return rule.pattern.answer or ("partly" if partly else "no")
    if negated or past or any(c.planned for c in cues):
        return "no"
    if rule.pattern.answer is not None:
        return rule.pattern.answer
    return _degree(cues)


def _degree(cues: Iterable[_Cues]) -> str:
    """Return how far a thing is done, by what is said around it."""
    marks = tuple(cues)
    if any(c.partly or c.shaken for c in marks):
        return "partly"
    return "by_hand" if any(c.by_hand for c in marks) else "automated"


def _masked(span: Span, sentence: _Sentence) -> bool:
    number = sentence.clause_of[span[1]]
    return span[1] - sentence.offsets[number] in sentence.cues[number].masked


def _negated(span: Span, sentence: _Sentence) -> bool:
    number = sentence.clause_of[span[1]]
    return span[1] - sentence.offsets[number] in sentence.cues[number].negated
