"""Score the free-text matcher on described teams: `python tests/support/corpus_reading.py [-v] FILE...`.

Recall: of what an expert reads in a text, how much is read with the same side (met, partly, not
met).  False ticks: of what a naive reader would tick wrongly, how much is ticked as met.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from statistics import correlation
from typing import Any

import yaml

from mlops_advisor.resources.loaders import Knowledge, bundled
from mlops_advisor.tools.assess_maturity.merge import merge
from mlops_advisor.tools.matching.match import Matcher

FOLDER = Path(__file__).parents[1] / "corpus" / "descriptions"
_SIDE = {"no": "not", "partly": "partly", "by_hand": "met", "automated": "met"}


def matcher(knowledge: Knowledge) -> Matcher:
    """Return the matcher as assess_maturity builds it."""
    return Matcher(knowledge.practices.values(), knowledge.lexicon, knowledge.words)


def entries(name: str) -> list[dict[str, Any]]:
    """Return the described teams of one file."""
    data = yaml.safe_load((FOLDER / name).read_text("utf-8"))
    if isinstance(data, dict):
        data = next(v for v in data.values() if isinstance(v, list))
    return list(data)


def rank_correlation(one: Sequence[float], other: Sequence[float]) -> float:
    """Return Spearman's rank correlation; equals share their mean rank."""
    return correlation(_ranks(one), _ranks(other))


def _ranks(values: Sequence[float]) -> list[float]:
    ordered = sorted(values)
    return [(ordered.index(v) + len(ordered) - 1 - ordered[::-1].index(v)) / 2 for v in values]


def evaluate(name: str, *, verbose: bool = False) -> dict[str, float]:
    """Return recall, exact recall and the rate of false ticks over one file."""
    knowledge = bundled()
    reader = matcher(knowledge)
    count: Counter[str] = Counter()
    for entry in entries(name):
        matches = reader.read([entry["text"]]).matches
        known = merge(knowledge.practices, (), matches, ()).known
        for want in entry["expect"]:
            got = known.get(want["practice"])
            count["expected"] += 1
            count["found"] += got is not None
            right = got is not None and _SIDE[got.answer] == _SIDE[want["answer"]]
            count["right"] += right
            count["exact"] += got is not None and got.answer == want["answer"]
            if verbose and not right:
                print(entry["id"], "want", want, "got", got.answer if got else "-")
        for wrong in entry.get("not", ()):
            count["traps"] += 1
            got = known.get(wrong)
            ticked = got is not None and _SIDE[got.answer] == "met"
            count["ticked"] += ticked
            if verbose and ticked:
                quotes = [m.quote for m in matches if m.practice == wrong]
                print(entry["id"], "TICKED", wrong, quotes)
        listed = {w["practice"] for w in entry["expect"]}
        count["extra"] += sum(p not in listed for p in known)
        if verbose:
            for m in matches:
                if m.practice not in listed:
                    print(entry["id"], "extra", m.practice, m.answer, repr(m.quote[:150]))
    return {
        "expected": count["expected"],
        "found": count["found"] / count["expected"],
        "recall": count["right"] / count["expected"],
        "exact": count["exact"] / count["expected"],
        "false_ticks": count["ticked"] / max(1, count["traps"]),
        "extra_per_text": count["extra"] / len(entries(name)),
    }


if __name__ == "__main__":
    for file in [a for a in sys.argv[1:] if not a.startswith("-")] or ["teams.yaml"]:
        print(file, evaluate(file, verbose="-v" in sys.argv))
