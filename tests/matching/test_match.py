"""Free text: negation, hedging, plans, hand work, and quotes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from assessing import KNOWLEDGE, assess
from hypothesis import given
from hypothesis import strategies as st

from mlops_advisor.tools.assess_maturity.merge import merge
from mlops_advisor.tools.matching.clauses import clauses_of
from mlops_advisor.tools.matching.match import Matcher

MATCHER = Matcher(KNOWLEDGE.practices.values(), KNOWLEDGE.lexicon, KNOWLEDGE.words)
PATTERNS = Matcher(KNOWLEDGE.practices.values(), KNOWLEDGE.lexicon)
SENTENCES = Path(__file__).parents[1] / "corpus" / "sentences"


def read(text: str) -> dict[str, str]:
    """Return the answer read for each practice."""
    return answers(MATCHER, text)


@pytest.mark.parametrize(
    ("text", "practice", "answer"),
    [
        ("We version our training data with DVC.", "data_versioning", "automated"),
        ("We don't version our data.", "data_versioning", "no"),
        ("Training data is not versioned.", "data_versioning", "no"),
        ("Data versioning is planned for next quarter.", "data_versioning", "no"),
        ("We used to version the training data.", "data_versioning", "no"),
        ("Training data is versioned in some teams.", "data_versioning", "partly"),
        ("There is no model registry.", "model_registry", "no"),
        ("Models are registered in the MLflow registry.", "model_registry", "automated"),
        ("Models are released without tests, alerts or a model registry.", "model_registry", "no"),
        ("Model files are handed over by e-mail.", "deployment_scripted", "no"),
        ("Promotion to production is decided by a canary and rolls back by itself.", "staged_rollout", "automated"),
        ("Promotion to production is decided by a canary and rolls back by itself.", "automatic_rollback", "automated"),
        ("The DAG retrains when drift is reported.", "continuous_training", "automated"),
        ("The DAG retrains when drift is reported.", "training_pipeline", "automated"),
    ],
)  # fmt: skip
def test_what_a_sentence_says(text: str, practice: str, answer: str) -> None:
    assert read(text).get(practice) == answer


@pytest.mark.parametrize(
    "text",
    [
        "The weather is nice today.",
        "MLflow, Kubeflow, Feast, Evidently, Seldon.",
        "We are a team of data scientists in Berlin.",
        "Do you version your training data?",
        "Our customers are banks.",
    ],
)
def test_what_says_nothing_ticks_nothing(text: str) -> None:
    assert not {p: a for p, a in read(text).items() if a != "no"}


def test_a_double_negation_asserts() -> None:
    assert read("No model goes live without an approval.").get("release_approval") == "automated"


def test_a_negation_does_not_reach_into_the_next_statement() -> None:
    found = read("We have no feature store, but every run is tracked in MLflow.")
    assert found.get("experiment_tracking") == "automated"


def test_both_sides_in_one_text_are_a_contradiction() -> None:
    result = assess(
        practices=["Training data is versioned with DVC.", "We do not version training data."]
    )
    assert [c.practice for c in result.contradictions] == ["data_versioning"]
    known = next(d for d in result.dimensions if d.id == "data_management").workings.steps
    assert any(step.startswith("data_versioning +") for step in known)


def test_each_match_quotes_its_words() -> None:
    text = "Hello there. Training data is versioned with DVC. Bye now."
    for match in MATCHER.read([text]).matches:
        assert match.quote in text


def test_what_is_not_understood_comes_back() -> None:
    result = assess(practices=["Our mascot is a purple elephant."])
    assert [u.text for u in result.unread] == ["Our mascot is a purple elephant"]


@given(st.text(max_size=400))
def test_clauses_keep_their_place_in_any_text(text: str) -> None:
    for clause in clauses_of(text):
        assert 0 <= clause.start <= clause.end <= len(text)
        for token in clause.tokens:
            assert 0 <= token.start < token.end <= len(text)


@given(st.lists(st.sampled_from("we do not never version data model ci , . and but with no tests".split()), max_size=40))  # fmt: skip
def test_any_words_are_read(words: list[str]) -> None:
    reading = MATCHER.read([" ".join(words)])
    assert all(m.answer in {"no", "partly", "by_hand", "automated"} for m in reading.matches)


def sentences() -> list[Any]:
    """Return every sentence of our own regression corpus."""
    found = []
    for path in sorted(SENTENCES.glob("*.yaml")):
        for number, entry in enumerate(yaml.safe_load(path.read_text("utf-8"))):
            found.append(pytest.param(entry, id=f"{path.stem}-{number}"))
    return found


def answers(matcher: Matcher, text: str) -> dict[str, str]:
    """Return the answer read for each practice by `matcher`."""
    known = merge(KNOWLEDGE.practices, (), matcher.read([text]).matches, ()).known
    return {p: k.answer for p, k in known.items()}


@pytest.mark.parametrize("entry", sentences())
def test_our_own_sentences(entry: dict[str, Any]) -> None:
    found = read(entry["text"])
    for practice, answer in (entry.get("expect") or {}).items():
        assert found.get(practice) == answer, found
    by_patterns = answers(PATTERNS, entry["text"])
    for practice in entry.get("not") or ():
        assert by_patterns.get(practice, "no") in {"no", "partly"}, by_patterns


def test_word_weights_seldom_fall_for_a_trap() -> None:
    """Words alone can't tell a homonym; how often they are taken in must stay small."""
    traps = [
        (entry["text"], practice)
        for path in sorted(SENTENCES.glob("*.yaml"))
        for entry in yaml.safe_load(path.read_text("utf-8"))
        for practice in entry.get("not") or ()
    ]
    ticked = [t for t in traps if read(t[0]).get(t[1], "no") in {"by_hand", "automated"}]
    assert len(traps) > 200
    assert len(ticked) <= 0.05 * len(traps), ticked
