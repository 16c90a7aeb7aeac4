"""What must hold for every request."""

from __future__ import annotations

import math
import random

from assessing import (
    IDS,
    KNOWLEDGE,
    ORDER,
    answered,
    assess,
    frequencies,
    responses,
    scores,
)
from hypothesis import given
from hypothesis import strategies as st

WEIGHTS = KNOWLEDGE.rubric.points


@given(answered, st.sampled_from(IDS), st.integers(0, 2), frequencies)
def test_a_practice_raised_never_lowers_any_score(
    state: dict[str, str], practice: str, start: int, frequency: str | None
) -> None:
    lower = assess(
        responses=responses(state | {practice: ORDER[start]}), deployment_frequency=frequency
    )
    higher = assess(
        responses=responses(state | {practice: ORDER[start + 1]}), deployment_frequency=frequency
    )
    before, after = scores(lower), scores(higher)
    assert all(after[d] >= before[d] for d in before)
    assert higher.level >= lower.level
    assert all(a.level >= b.level for a, b in zip(higher.dimensions, lower.dimensions, strict=True))


@given(answered, st.sampled_from(IDS), st.sampled_from(ORDER), frequencies)
def test_making_an_answer_unknown_never_narrows_the_bounds(
    state: dict[str, str], practice: str, answer: str, frequency: str | None
) -> None:
    told = assess(responses=responses(state | {practice: answer}), deployment_frequency=frequency)
    untold = assess(
        responses=responses(state | {practice: "unknown"}), deployment_frequency=frequency
    )
    for before, after in zip(told.dimensions, untold.dimensions, strict=True):
        assert after.score_low <= before.score_low
        assert after.score_high >= before.score_high
        assert after.score_low <= before.score <= after.score_high
        assert after.coverage <= before.coverage
    assert untold.score_low <= told.score_low
    assert untold.score_high >= told.score_high


@given(answered)
def test_dropping_the_release_frequency_keeps_the_old_score_inside_the_bounds(
    state: dict[str, str],
) -> None:
    told = assess(responses=responses(state), deployment_frequency="yearly")
    untold = assess(responses=responses(state))
    for before, after in zip(told.dimensions, untold.dimensions, strict=True):
        assert after.score_low <= before.score <= after.score_high


@given(answered, frequencies)
def test_bounds_contain_the_score_and_everything_is_in_range(
    state: dict[str, str], frequency: str | None
) -> None:
    result = assess(responses=responses(state), deployment_frequency=frequency)
    current = result.maturity_score.current
    assert current is not None
    assert result.score_low <= current <= result.score_high
    assert current <= (result.maturity_score.target or 0) <= 100
    for d in result.dimensions:
        assert 0 <= d.score_low <= d.score <= d.score_high <= 100


@given(answered, st.randoms())
def test_the_order_of_inputs_changes_nothing(state: dict[str, str], rng: random.Random) -> None:
    rows = responses(state)
    words = ["Training data is versioned with DVC.", "We deploy by hand.", "Alerts page us."]
    tools = ["MLflow", "Airflow"]
    shuffled, other = rows.copy(), words.copy()
    rng.shuffle(shuffled)
    rng.shuffle(other)
    one = assess(responses=rows, practices=words, current_tools=tools)
    two = assess(responses=shuffled, practices=other, current_tools=tools[::-1])
    assert one.model_copy(update={"unread": ()}) == two.model_copy(update={"unread": ()})


@given(answered)
def test_the_score_can_be_added_up_by_hand_from_what_is_printed(state: dict[str, str]) -> None:
    for d in assess(responses=responses(state)).dimensions:
        points = list(d.workings.prior)
        for step in d.workings.steps:
            _, plus, place = step.split(" ")
            level = int(place.strip("<>="))
            for n in range(5):
                if (n >= level) == place.startswith(">="):
                    points[n] += int(plus)
        assert tuple(points) == d.workings.points
        top = 5 if d.workings.capped_at is None else d.workings.capped_at + 1
        odds = [10 ** (p / 20) for p in points[:top]]
        expected = 25 * sum(n * o for n, o in enumerate(odds)) / math.fsum(odds)
        assert abs(expected - d.score) <= 0.05001


@given(answered)
def test_the_roadmap_respects_prerequisites(state: dict[str, str]) -> None:
    seen: set[str] = set()
    for phase in assess(responses=responses(state), target_level=4).roadmap:
        for item in phase.items:
            assert set(item.prerequisites) <= seen
            seen.add(item.practice)


@given(answered, st.integers(1, 60))
def test_the_first_phase_fits_into_a_month(state: dict[str, str], team: int) -> None:
    result = assess(responses=responses(state), context={"team_size": team}, target_level=3)
    if result.roadmap:
        first = result.roadmap[0]
        assert first.name == "Now"
        assert first.weeks * 7 <= 31
        assert first.effort_days.high <= team * first.weeks * 5


@given(answered)
def test_every_roadmap_item_raises_the_score_when_it_is_done(state: dict[str, str]) -> None:
    result = assess(responses=responses(state), target_level=3)
    for item in [i for phase in result.roadmap for i in phase.items][:3]:
        done = assess(responses=responses(state | {item.practice: "automated"}), target_level=3)
        dimension = KNOWLEDGE.dimension_of[item.practice]
        assert scores(done)[dimension] >= scores(result)[dimension]
        assert done.maturity_score.current >= result.maturity_score.current  # type: ignore[operator]


def test_no_to_everything_is_at_most_5_and_yes_at_least_95() -> None:
    nothing = assess(responses=responses(dict.fromkeys(IDS, "no")))
    everything = assess(responses=responses(dict.fromkeys(IDS, "automated")))
    assert (nothing.maturity_score.current or 0) <= 5
    assert (everything.maturity_score.current or 0) >= 95
    assert nothing.level == 0
    assert everything.level == 4


@given(
    st.lists(
        st.sampled_from(["MLflow", "Kubeflow", "Feast", "Evidently", "Seldon", "Terraform", "zzz"]),
        max_size=7,
    ),
    answered,
)
def test_tools_alone_score_nothing(tools: list[str], state: dict[str, str]) -> None:
    without = assess(responses=responses(state))
    named = assess(
        responses=responses(state), current_tools=tools, practices=[f"We use {t}." for t in tools]
    )
    assert scores(named) == scores(without)
    assert (named.score_low, named.score_high) == (without.score_low, without.score_high)


@given(answered, st.sampled_from(["aws", "gcp", "azure", "on_prem", "hybrid"]))
def test_where_workloads_run_costs_nothing(state: dict[str, str], cloud: str) -> None:
    here = assess(responses=responses(state), context={"cloud_provider": cloud})
    assert scores(here) == scores(assess(responses=responses(state)))


@given(answered, st.sampled_from(["ad_hoc", "repeatable", "reliable", "scalable", "optimized"]))
def test_the_stated_level_is_compared_and_never_scored(state: dict[str, str], name: str) -> None:
    stated = assess(responses=responses(state), context={"current_maturity": name})
    assert scores(stated) == scores(assess(responses=responses(state)))
    assert stated.stated_level is not None


@given(answered)
def test_releasing_more_often_never_lowers_and_weekly_equals_hourly(state: dict[str, str]) -> None:
    rising = ["never", "yearly", "quarterly", "monthly", "weekly", "daily", "on_demand"]
    rows = responses(state)
    found = [scores(assess(responses=rows, deployment_frequency=f))["deployment"] for f in rising]
    assert found == sorted(found)
    assert found[-1] == found[-3]


@given(st.lists(st.text(max_size=300), max_size=8))
def test_any_text_gives_a_result(texts: list[str]) -> None:
    result = assess(practices=texts, options={"detail": "summary"})
    assert 0 <= (result.maturity_score.current or 0) <= 100


@given(answered)
def test_a_summary_stays_within_its_budget(state: dict[str, str]) -> None:
    result = assess(
        responses=responses(state),
        practices=["We want to do everything some day."] * 30,
        context={
            "compliance": ["gdpr", "hipaa", "eu_ai_act_high_risk", "soc2", "iso_42001"],
            "workloads": ["llm", "online"],
        },
        options={"detail": "summary"},
    )
    assert len(result.model_dump_json(exclude_none=True)) <= 28_000


@given(answered, st.sampled_from([2, 3, 4]))
def test_the_score_promised_after_the_roadmap_is_the_score_reached(
    state: dict[str, str], target: int
) -> None:
    result = assess(responses=responses(state), target_level=target)
    done = {i.practice: "automated" for phase in result.roadmap for i in phase.items}
    if result.roadmap:
        reached = assess(responses=responses(state | done), target_level=target)
        assert reached.maturity_score.current == result.roadmap[-1].score_after
        gained = sum(i.score_gained for phase in result.roadmap for i in phase.items)
        before, after = scores(result), scores(reached)
        mean = sum(after[d] - before[d] for d in KNOWLEDGE.dimensions) / 6
        assert abs(gained - mean) < 0.5
