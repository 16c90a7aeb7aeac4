"""Whatever JSON arrives as arguments: a result, or an error that names a field."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from mlops_advisor.server import calls
from mlops_advisor.tools.assess_maturity.models import AssessMaturityInput
from mlops_advisor.tools.common.errors import AdvisorError

TOOL = calls.load("assess_maturity")
FIELDS = tuple(AssessMaturityInput.model_fields)

json_values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=40),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4)
    ),
    max_leaves=12,
)
# Known fields with unknown contents get past the first check and reach the second.
arguments = st.dictionaries(
    st.sampled_from(FIELDS) | st.text(min_size=1, max_size=12), json_values, max_size=6
)


@given(arguments)
def test_any_json_gives_a_result_or_names_a_field(given_arguments: dict[str, Any]) -> None:
    outcome, refused = None, None
    try:
        outcome = calls.execute(TOOL, calls.prepare(TOOL, given_arguments), calls.Limits())
    except AdvisorError as error:
        refused = error
    if outcome is not None:
        assert 0 <= outcome.structured["maturity_score"]["current"] <= 100
    else:
        assert refused is not None
        assert refused.code in {"invalid_input", "path_denied"}
        assert refused.problems
        assert all(p.field or p.problem.startswith("and ") for p in refused.problems)
        assert "Traceback" not in calls.refusal(refused)
