"""What is missing in a dimension, how that is known, and how pressing it is."""

from __future__ import annotations

from mlops_advisor.tools.assess_maturity.case import Aim, Case
from mlops_advisor.tools.assess_maturity.merge import Merged
from mlops_advisor.tools.assess_maturity.models import Gap
from mlops_advisor.tools.assess_maturity.scoring import Known, Rubric, Standing
from mlops_advisor.tools.common.models import Priority

_ORDER = {"critical": 0, "high": 1, "medium": 2, "low": 3}
_WORDS = {
    ("no", True): "is not done",
    ("partly", True): "is done in part",
    ("by_hand", True): "is done by hand",
    ("partly", False): "is set up but nothing shows that it is used",
}


def gaps_of(case: Case, aim: Aim, dimension: str) -> tuple[Gap, ...]:
    """Return the gaps up to the target, most pressing first; also what a regime asks for."""
    rubric, merged, standing = case.rubric, case.merged, case.standings[dimension]
    capped_by = {s.cap.needs: s for s in case.standings.values() if s.cap}
    found: list[Gap] = []
    for practice in rubric.by_dimension[dimension]:
        if practice in merged.excluded:
            continue
        level = rubric.practices[practice].level
        state = merged.known.get(practice)
        why = describe(practice, state, merged)
        if practice in aim.urgent:
            if why is None:
                why = "is asked for by a regime, and nobody has said whether it is done"
            elif (capped := capped_by.get(practice)) and capped.cap:
                why += f"; it keeps {capped.dimension} below level {capped.cap.below}"
            priority: Priority = "critical"
        elif why is None or level > aim.levels[dimension]:
            continue
        else:
            priority = _priority(rubric, standing, practice, state)
        title = rubric.practices[practice].title
        found.append(Gap(practice=practice, level=level, why=f"{title} {why}", priority=priority))
    return tuple(sorted(found, key=lambda g: (_ORDER[g.priority], g.level)))


def describe(practice: str, state: Known | None, merged: Merged) -> str | None:
    """Return what is missing in words, with its source; None when nothing is known to be."""
    if state is None or state.source == "document":
        return None
    if state.source == "file_absent":
        words = "was not found in the files read"
    else:
        found = _WORDS.get((state.answer, state.settled))
        if found is None:
            return None
        words = found
    evidence = merged.evidence.get(practice, ())
    proof = next((e for e in evidence if e.path), None) or next(iter(evidence), None)
    if proof is None:
        return words
    place = f"{proof.path}:{proof.line}: " if proof.path and proof.line else ""
    return f"{words} ({place}{proof.detail})"


def _priority(rubric: Rubric, standing: Standing, practice: str, state: Known | None) -> Priority:
    entry = rubric.practices[practice]
    near = entry.level <= standing.level + 1
    if state is not None and state.answer == "by_hand":
        return "medium" if near and entry.weight > 1 else "low"
    if near and entry.weight > 1:
        return "high"
    return "medium" if near or entry.weight > 1 else "low"
