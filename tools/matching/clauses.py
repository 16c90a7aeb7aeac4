"""Cut free text into clauses of tokens that keep their place in the original.

No model and no grammar: a short list of verbs and joining words is enough to keep a negation
from reaching into the next statement, which is what the matcher needs.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

_TOKEN = re.compile(r"[a-z0-9]+(?:'[a-z]+)?|:(?=\s)|[,()\u2013\u2014%]|(?<=\s)-(?=\s)|&")
_SENTENCE = re.compile(r"(?<=[.!?;])\s+|[\n\r;]+\s*|\s[\u2022*]\s")
_CONTRACTIONS = {
    "can't": ("can", "not"),
    "won't": ("will", "not"),
    "shan't": ("shall", "not"),
    "let's": ("let", "us"),
}
_ENDINGS = {"n't": "not", "'re": "are", "'ve": "have", "'ll": "will", "'m": "am", "'d": "would"}
_SPLITS = frozenset(
    ", : ( ) \u2013 \u2014 - & and but while whereas although though however except so then "
    "because or plus if when whenever".split()
)
_HARD = frozenset(
    "but while whereas although though however except because if when whenever : ( ) "
    "\u2013 \u2014 -".split()
)
_FIXED = frozenset({("even", "if"), ("even", "when"), ("all", "or"), ("and", "or")})
_MARKS = frozenset(", : ( ) \u2013 \u2014 - &".split())
PRONOUNS = frozenset(
    "we i they it he she you nobody someone somebody everyone everybody nothing everything "
    "this that these those there anyone each".split()
)
AUXILIARIES = frozenset(
    "is are was were be been being has have had do does did can could may might must shall "
    "should will would gets get got".split()
)
_VERBS = frozenset(
    "run runs ran use uses keep keeps track tracks train trains deploy deploys log logs monitor "
    "monitors check checks store stores live lives go goes went come comes make makes made write "
    "writes wrote send sends sent copy copies pull pulls push pushes build builds built ship ships "
    "take takes took look looks know knows need needs own owns share shares work works trigger "
    "triggers roll rolls fail fails block blocks stop stops retrain retrains alert alerts page "
    "pages release releases review reviews approve approves test tests version versions validate "
    "validates compare compares measure measures report reports exist exists start starts find "
    "finds notice notices tell tells decide decides happen happens sit sits sign signs read reads "
    "hold holds lie lies rest rests depend depends pass passes email emails mail mails hand hands "
    "throw throws let lets put puts set sets sees see collect collects join joins wake wakes "
    "promote promotes".split()
)
_LEADING = frozenset(
    "never not then automatically manually always only also often no longer".split()
)
_LONG_ENOUGH = 3
_MAX_SUBJECT = 5


@dataclass(frozen=True, slots=True)
class Token:
    """A lower-case word and its place (start, end) in the original text."""

    word: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Clause:
    """Tokens of one statement; the first `carried` of them come from an earlier subject."""

    tokens: tuple[Token, ...]
    carried: int
    start: int
    end: int
    sentence: int


def normalise(text: str) -> str:
    """Lower case and plain apostrophes, with every character kept in its place."""
    plain = [unicodedata.normalize("NFKC", c).lower() for c in text]
    joined = "".join(p if len(p) == 1 else c for p, c in zip(plain, text, strict=True))
    return joined.replace("\u2019", "'").replace("\u2018", "'")


def tokens_of(text: str, offset: int = 0) -> list[Token]:
    """Return words and joining marks; contractions are opened up (don't: do, not)."""
    found: list[Token] = []
    for match in _TOKEN.finditer(text):
        word, start, end = match.group(), match.start() + offset, match.end() + offset
        parts = _opened(word)
        found.extend(Token(part, start, end) for part in parts)
    return found


def _opened(word: str) -> tuple[str, ...]:
    if "'" not in word:
        return ("percent",) if word == "%" else (word,)
    if word in _CONTRACTIONS:
        return _CONTRACTIONS[word]
    for ending, full in _ENDINGS.items():
        if word.endswith(ending):
            return (word[: -len(ending)], full)
    head, _, tail = word.partition("'")
    if tail == "s" and head in PRONOUNS | {"what", "who", "here"}:
        return (head, "is")
    return (head,)


def clauses_of(text: str) -> tuple[Clause, ...]:
    """Return the clauses of `text`, in order.  Questions are left out: they state nothing."""
    plain = normalise(text)
    found: list[Clause] = []
    start = 0
    for number, cut in enumerate([*_SENTENCE.finditer(plain), None]):
        end = cut.start() if cut else len(plain)
        sentence = plain[start:end]
        if not sentence.rstrip().endswith("?"):
            found.extend(_sentence(tokens_of(sentence, start), number))
        start = cut.end() if cut else end
    return tuple(found)


def _sentence(tokens: list[Token], number: int) -> list[Clause]:
    chunks: list[list[Token]] = [[]]
    hard = [True]
    for token in tokens:
        before = chunks[-1][-1].word if chunks[-1] else ""
        if token.word in _SPLITS and (before, token.word) not in _FIXED:
            chunks.append([])
            hard.append(token.word in _HARD or (hard[-1] and not chunks[-2]))
            if token.word not in _MARKS:
                chunks[-1].append(token)
        else:
            chunks[-1].append(token)
    merged: list[list[Token]] = []
    for chunk, is_hard in zip(chunks, hard, strict=True):
        words = [t.word for t in chunk if t.word not in _SPLITS]
        if not words:
            continue
        if merged and not is_hard and not _stands_alone(words):
            merged[-1].extend(chunk)
        else:
            merged.append(list(chunk))
    subject: tuple[Token, ...] = ()
    clauses: list[Clause] = []
    for chunk in merged:
        words = [t.word for t in chunk if t.word not in _SPLITS]
        carried = subject if clauses and _lacks_subject(words) else ()
        clauses.append(
            Clause((*carried, *chunk), len(carried), chunk[0].start, chunk[-1].end, number)
        )
        if not carried:
            subject = _subject(chunk)
    return clauses


def _is_participle(word: str) -> bool:
    return word.endswith("ed") and len(word) > len("need")


def _is_verb(word: str) -> bool:
    return word in AUXILIARIES or word in _VERBS or _is_participle(word)


def _stands_alone(words: list[str]) -> bool:
    """Tell a statement of its own from one more item of a list."""
    if any(w in AUXILIARIES or w in PRONOUNS for w in words):
        return True
    participle = any(_is_participle(w) for w in words[:3])
    if participle and (len(words) >= _LONG_ENOUGH or _is_verb(words[0])):
        return len(words) > 1
    return len(words) >= _LONG_ENOUGH and any(w in _VERBS for w in words[:4])


def _lacks_subject(words: list[str]) -> bool:
    first = words[0]
    if first in PRONOUNS:
        return False
    return _is_verb(first) or (first in _LEADING and any(_is_verb(w) for w in words[1:4]))


def _subject(chunk: list[Token]) -> tuple[Token, ...]:
    head: list[Token] = []
    for token in chunk:
        if _is_verb(token.word):
            return tuple(head[-_MAX_SUBJECT:])
        head.append(token)
    return ()
