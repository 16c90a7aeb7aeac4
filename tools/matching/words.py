"""Recognise a practice by its words, where no pattern does.

Naive Bayes on the presence of word stems and concepts, learnt from example sentences that were
written for each practice, once for and once against it.  The weights are integers in a generated
file; a reading adds up those of the words found and takes the best class if it is far enough
ahead of chance.  Deterministic, and explained by the words that weigh most.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, cast

from mlops_advisor.resources.models import WordWeights

SMOOTHING = 0.2
SCALE = 100  # weights are hundredths of a natural unit of log-odds
ENOUGH = 5.0  # score, in natural units, from which a guess is taken
SHORTEST = 4  # words of a stretch worth guessing at
NOTHING = "_none"  # the class of sentences that state no practice
STOP_WORDS = frozenset(
    "a an the of to in on at by for with from and or but is are was were be been being has have "
    "had do does did it its this that these those we our us i you your they their them he she his "
    "her as so than then there here who which what when where while if into out up down over under "
    "about after before between through during each every any all both more most other some such "
    "only own same too very can will just should would could may might must shall also per via s t "
    "re ve ll one two three not no".split()
)

Class = tuple[str, Literal["yes", "no"]]  # practice, and whether it is stated or denied
Features = Callable[[str], Iterable[str]]


@dataclass(frozen=True, slots=True)
class Guess:
    """The best class of a stretch of words, its score in SCALE units, and the words behind it."""

    practice: str
    polarity: str
    score: float
    words: tuple[str, ...]


def learn(examples: Iterable[tuple[str, str, str]], features: Features) -> WordWeights:
    """Return the weights for (practice, yes|no, sentence) examples; their order is irrelevant."""
    rows = [
        (cast("Class", (p, polarity)), frozenset(features(text))) for p, polarity, text in examples
    ]
    classes = tuple(sorted({kind for kind, _ in rows}))
    number = {kind: n for n, kind in enumerate(classes)}
    size = Counter(kind for kind, _ in rows)
    total = Counter(w for _, words in rows for w in words)
    inside: dict[str, Counter[Class]] = {}
    for kind, words in rows:
        for word in words:
            inside.setdefault(word, Counter())[kind] += 1
    typical = len(rows) / len(classes)
    unseen: dict[str, int] = {}
    seen: dict[str, dict[int, int]] = {}
    for word in sorted(total):
        lacking = _log_odds(0, typical, total[word], len(rows))
        unseen[word] = round(SCALE * lacking)
        seen[word] = {
            number[kind]: round(
                SCALE * (_log_odds(count, size[kind], total[word] - count, len(rows)) - lacking)
            )
            for kind, count in sorted(inside[word].items())
        }
    return WordWeights(classes=classes, unseen=unseen, seen=seen)


def _log_odds(inside: float, size: float, outside: float, rows: int) -> float:
    here = (inside + SMOOTHING) / (size + 2 * SMOOTHING)
    there = (outside + SMOOTHING) / (rows - size + 2 * SMOOTHING)
    return math.log(here / there)


def guess(weights: WordWeights, words: Sequence[str]) -> Guess | None:
    """Return the best class for a stretch of words, or None when no word is known.

    The score is the sum of weights over the square root of the number of words, so that neither
    short nor long stretches win by their length.
    """
    known = sorted({w for w in words if w in weights.unseen})
    if not known:
        return None
    base = sum(weights.unseen[w] for w in known)
    sums: dict[int, int] = {}
    for word in known:
        for kind, points in weights.seen[word].items():
            sums[kind] = sums.get(kind, 0) + points
    best = max(sums, key=lambda kind: (sums[kind], -kind))
    practice, polarity = weights.classes[best]
    score = (base + sums[best]) / math.sqrt(len(known) + 1)
    strongest = sorted(known, key=lambda w: (-weights.seen[w].get(best, 0), w))
    return Guess(practice, polarity, score, tuple(strongest[:3]))
