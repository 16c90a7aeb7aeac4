"""Compile the pattern language of says/denies, and match it against clauses.

A pattern is terms separated by spaces; each must be found in the clause, in any order.
A term is alternatives joined by `|`: `word`, `stem*`, `two_words`, `@concept`; `!term` must be
absent; a suffix `=> answer` fixes the answer.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

Span = tuple[int, int]
_ANSWERS = frozenset({"no", "partly", "by_hand", "automated"})


class PatternError(ValueError):
    """A pattern is not in the language; the message says what is wrong with it."""


@dataclass(frozen=True, slots=True)
class Pattern:
    """A compiled pattern: term numbers wanted and unwanted, and an answer it fixes."""

    text: str
    wanted: tuple[int, ...]
    unwanted: tuple[int, ...]
    answer: str | None


@dataclass(slots=True)
class Vocabulary:
    """All terms of all patterns, each stored once, and their indexes by word and stem."""

    concepts: Mapping[str, tuple[str, ...]]
    guards: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    _terms: dict[frozenset[str], int] = field(default_factory=dict)
    _words: dict[str, list[int]] = field(default_factory=dict)
    _stems: dict[str, list[int]] = field(default_factory=dict)
    _phrases: dict[str, list[tuple[tuple[str, ...], int]]] = field(default_factory=dict)
    _stem_phrases: dict[str, list[tuple[tuple[str, ...], int]]] = field(default_factory=dict)

    def term(self, text: str) -> int:
        """Return the number of a term, adding it when new.  Raises PatternError."""
        alternatives = frozenset(self._expand(text, ()))
        if alternatives in self._terms:
            return self._terms[alternatives]
        number = len(self._terms)
        self._terms[alternatives] = number
        for alternative in alternatives:
            self._index(alternative, number)
        return number

    def pattern(self, text: str) -> Pattern:
        """Compile one pattern.  Raises PatternError."""
        body, arrow, answer = text.partition("=>")
        answer = answer.strip()
        if arrow and answer not in _ANSWERS:
            msg = f"'{answer}' is not an answer"
            raise PatternError(msg)
        terms = body.split()
        wanted = tuple(self.term(t) for t in terms if not t.startswith("!"))
        if not wanted:
            msg = "a pattern needs at least one term that must be present"
            raise PatternError(msg)
        unwanted = tuple(self.term(t[1:]) for t in terms if t.startswith("!"))
        return Pattern(text, wanted, unwanted, answer or None)

    def found(self, words: list[str]) -> dict[int, list[Span]]:
        """Return, for each term present in `words`, the spans (first, last) where it is."""
        hits: dict[int, list[Span]] = {}
        for i, word in enumerate(words):
            alone = not self._guarded(words, i)
            for number in self._words.get(word, ()) if alone else ():
                hits.setdefault(number, []).append((i, i))
            for phrase, number in self._phrases.get(word, ()):
                if _follows(words, i, phrase):
                    hits.setdefault(number, []).append((i, i + len(phrase) - 1))
            for cut in range(1, len(word) + 1):
                stem = word[:cut]
                for number in self._stems.get(stem, ()) if alone else ():
                    hits.setdefault(number, []).append((i, i))
                for phrase, number in self._stem_phrases.get(stem, ()):
                    if _follows(words, i, phrase):
                        hits.setdefault(number, []).append((i, i + len(phrase) - 1))
        return hits

    def _guarded(self, words: list[str], at: int) -> bool:
        """Tell that a word means something else here: the data of 'data scientist'."""
        after = self.guards.get(words[at])
        return (
            after is not None
            and at + 1 < len(words)
            and any(_follows(words, at + 1, (part,)) for part in after)
        )

    def _expand(self, text: str, via: tuple[str, ...]) -> Iterable[str]:
        for alternative in text.split("|"):
            if not alternative:
                msg = f"empty alternative in '{text}'"
                raise PatternError(msg)
            if alternative.startswith("@"):
                name = alternative[1:]
                if name not in self.concepts or name in via:
                    msg = f"there is no concept '@{name}'"
                    raise PatternError(msg)
                for inner in self.concepts[name]:
                    yield from self._expand(inner, (*via, name))
            elif not all(part.rstrip("*").isalnum() for part in alternative.split("_")):
                msg = f"'{alternative}' is not a word, a stem* or words_joined"
                raise PatternError(msg)
            else:
                yield alternative.lower()

    def _index(self, alternative: str, number: int) -> None:
        parts = tuple(alternative.split("_"))
        head = parts[0]
        if len(parts) == 1:
            table = self._stems if head.endswith("*") else self._words
            table.setdefault(head.rstrip("*"), []).append(number)
        else:
            phrases = self._stem_phrases if head.endswith("*") else self._phrases
            phrases.setdefault(head.rstrip("*"), []).append((parts, number))


def _follows(words: list[str], at: int, phrase: tuple[str, ...]) -> bool:
    if at + len(phrase) > len(words):
        return False
    for word, part in zip(words[at : at + len(phrase)], phrase, strict=True):
        if part.endswith("*"):
            if not word.startswith(part[:-1]):
                return False
        elif word != part:
            return False
    return True
