"""What every probe test asks of a fact, whatever the probe."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from mlops_advisor.tools.evidence.models import Fact

Ask = Callable[..., Fact]
Files = Mapping[str, str]
COLUMNS = ("practice", "files", "outcome", "strength", "words")


def names(cases: Sequence[Sequence[Any]]) -> list[str]:
    """Return a name for each row of a table of cases."""
    return [f"{c[0]}-{c[2]}-{c[3]}-{i}" for i, c in enumerate(cases)]


def check(fact: Fact, files: Files, outcome: str, strength: int, words: str) -> None:
    """Check outcome, strength and words of a fact, and that its evidence lies in the files."""
    assert (fact.outcome.value, int(fact.strength or 0), fact.detail) == (
        outcome,
        strength,
        fact.detail,
    )
    assert words in fact.detail
    assert fact.searched
    if fact.outcome == "present":
        assert fact.places
    for place in fact.places:
        assert place.path in files
        assert 1 <= place.line <= files[place.path].count("\n") + 1
        assert len(place.text) <= 160
