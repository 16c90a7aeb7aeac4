"""What is missing in a dimension, how that is known, and how pressing it is."""

from __future__ import annotations

from mlops_advisor.resources.models import Practice
from mlops_advisor.tools.assess_maturity.case import Aim, Case
from mlops_advisor.tools.assess_maturity.merge import Merged
from mlops_advisor.tools.assess_maturity.models import Gap
from mlops_advisor.tools.assess_maturity.scoring import Known
from mlops_advisor.tools.common.models import Priority

_PRIORITIES: tuple[Priority, ...] = ("critical", "high", "medium", "low")
_HIGH, _MEDIUM, _LOW = 1, 2, 3
_WORDS = {
    ("no", True): "is not done",
    ("partly", True): "is done in part",
    ("by_hand", True): "is done by hand",
    ("partly", False): "is set up but nothing shows that it is used",
}


def gaps_of(case: Case, aim: Aim, dimension: str, most: int) -> tuple[tuple[Gap, ...], int]:
    """Return the `most` pressing gaps up to the target, and how many there are.

    What a regime asks for, or what caps a dimension, counts whatever its level.
    """
    rubric, merged, standing = case.rubric, case.merged, case.standings[dimension]
    found: list[tuple[int, int, int, str]] = []
    for place, practice in enumerate(rubric.by_dimension[dimension]):
        state = merged.known.get(practice)
        urgent = practice in aim.urgent
        if (state is None and not urgent) or practice in merged.excluded:
            continue
        entry = rubric.practices[practice]
        if urgent:
            rank = 0
        elif not _is_gap(state) or entry.level > aim.levels[dimension]:
            continue
        else:
            rank = _priority(entry, standing.level, state)
        found.append((rank, entry.level, place, practice))
    found.sort()
    return tuple(_gap(case, rank, practice) for rank, _, _, practice in found[:most]), len(found)


def _gap(case: Case, rank: int, practice: str) -> Gap:
    entry = case.rubric.practices[practice]
    why = describe(practice, case.merged)
    if why is None:
        why = "is asked for by a regime, and nobody has said whether it is done"
    if rank == 0:
        for standing in case.standings.values():
            if standing.cap and standing.cap.needs == practice:
                why += f"; it keeps {standing.dimension} below level {standing.cap.below}"
    return Gap(
        practice=practice,
        level=entry.level,
        why=f"{entry.title} {why}",
        priority=_PRIORITIES[rank],
    )


def _is_gap(state: Known | None) -> bool:
    if state is None or state.source == "document":
        return False
    return state.source == "file_absent" or (state.answer, state.settled) in _WORDS


def describe(practice: str, merged: Merged) -> str | None:
    """Return what is missing in words, with its source; None when nothing is known to be."""
    state = merged.known.get(practice)
    if state is None or not _is_gap(state):
        return None
    if state.source == "file_absent":
        words = "was not found in the files read"
    else:
        words = _WORDS[state.answer, state.settled]
    proof = merged.spoken[practice].proof
    return f"{words} ({proof})" if proof else words


def _priority(entry: Practice, level: int, state: Known | None) -> int:
    """Return the rank of a gap: near the present level and key comes first."""
    near = entry.level <= level + 1
    if state is not None and state.answer == "by_hand":
        return _MEDIUM if near and entry.weight > 1 else _LOW
    if near and entry.weight > 1:
        return _HIGH
    return _MEDIUM if near or entry.weight > 1 else _LOW
