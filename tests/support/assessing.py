"""What the tests of assess_maturity share: a run with the bundled knowledge, strategies."""

from __future__ import annotations

from datetime import date
from typing import Any

from hypothesis import strategies as st

from mlops_advisor.resources.loaders import bundled
from mlops_advisor.tools.assess_maturity.models import AssessMaturityInput, AssessMaturityResult
from mlops_advisor.tools.assess_maturity.run import run
from mlops_advisor.tools.common.run import RunContext

KNOWLEDGE = bundled()
CONTEXT = RunContext(as_of=date(2026, 11, 23), knowledge=KNOWLEDGE)
IDS = tuple(KNOWLEDGE.practices)
ORDER = ("no", "partly", "by_hand", "automated")

answers = st.sampled_from((*ORDER, "not_applicable", "unknown"))
answered = st.dictionaries(st.sampled_from(IDS), answers, max_size=60)
frequencies = st.sampled_from(
    (None, "never", "yearly", "quarterly", "monthly", "weekly", "daily", "on_demand")
)


def assess(*, at: RunContext = CONTEXT, **request: Any) -> AssessMaturityResult:
    """Run the tool on keyword arguments, validated as from a client."""
    request.setdefault("options", {"detail": "full", "narrative": "none"})
    return run(AssessMaturityInput.model_validate(request), at)


def responses(state: dict[str, str]) -> list[dict[str, str]]:
    """Return answers by practice as the tool takes them."""
    return [{"practice": p, "answer": a} for p, a in state.items()]


def scores(result: AssessMaturityResult) -> dict[str, float]:
    """Return the score of every dimension and overall."""
    found: dict[str, float] = {d.id: d.score for d in result.dimensions}
    found["overall"] = float(result.maturity_score.current or 0)
    return found
