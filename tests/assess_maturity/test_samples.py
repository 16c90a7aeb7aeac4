"""The bundled sample workspaces: level, located evidence, and what must not be credited."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from assessing import CONTEXT, assess

from mlops_advisor.resources.loaders import SAMPLES
from mlops_advisor.tools.assess_maturity.models import AssessMaturityResult, Evidence

EXPECTED = {
    path.name.partition(".")[0]: yaml.safe_load(path.read_text("utf-8"))
    for path in sorted((Path(__file__).parent / "samples").glob("*.yaml"))
}
HERE = replace(CONTEXT, roots=(SAMPLES,))


def run(name: str) -> AssessMaturityResult:
    """Assess a bundled sample from its files alone."""
    return assess(at=HERE, workspace=name)


def evidence(result: AssessMaturityResult) -> list[Evidence]:
    """Return all evidence."""
    return [e for d in result.dimensions for e in d.evidence]


def test_there_are_three_samples() -> None:
    assert set(EXPECTED) == {"notebook_student", "midlevel_team", "mature_product"}


@pytest.mark.parametrize("name", EXPECTED)
def test_the_level_is_the_expected_one(name: str) -> None:
    result, expected = run(name), EXPECTED[name]
    low, high = expected["overall_level"]
    assert low <= result.level <= high
    for dimension in result.dimensions:
        low, high = expected["dimensions"][dimension.id]
        assert low <= dimension.level <= high, dimension.id


def test_scores_rise_from_sample_to_sample() -> None:
    scores = [
        run(name).maturity_score.current or 0
        for name in ("notebook_student", "midlevel_team", "mature_product")
    ]
    assert scores[0] + 20 < scores[1]
    assert scores[1] + 20 < scores[2]


@pytest.mark.parametrize(
    ("name", "want"),
    [(name, want) for name, expected in EXPECTED.items() for want in expected["evidence"]],
    ids=lambda value: value if isinstance(value, str) else value["practice"],
)
def test_evidence_is_found_at_its_line(name: str, want: dict[str, Any]) -> None:
    found = [
        e
        for e in evidence(run(name))
        if (e.practice, e.path, e.line) == (want["practice"], want["path"], want["line"])
    ]
    assert found
    assert found[0].detail.startswith(want["state"])
    lines = (SAMPLES / name / want["path"]).read_text("utf-8").splitlines()
    assert want["contains"] in lines[want["line"] - 1]


@pytest.mark.parametrize("name", EXPECTED)
def test_what_only_looks_like_a_practice_is_not_credited(name: str) -> None:
    found = evidence(run(name))
    for trap in EXPECTED[name]["must_not"]:
        credited = [
            e.detail
            for e in found
            if e.practice == trap["practice"]
            and (trap["path"] is None or e.path == trap["path"])
            and not e.detail.startswith(("claimed", "not found"))
        ]
        assert credited == [], trap["why"]


def test_a_folder_and_the_same_files_inline_give_the_same_scores() -> None:
    folder = SAMPLES / "midlevel_team"
    files = [
        {"path": path.relative_to(folder).as_posix(), "content": path.read_text("utf-8")}
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    ]
    one, two = run("midlevel_team"), assess(files=files)
    assert [d.score for d in one.dimensions] == [d.score for d in two.dimensions]
    shuffled = assess(files=files[::-1])
    assert shuffled == two


def test_words_against_files_are_contradictions() -> None:
    result = assess(
        at=HERE,
        workspace="midlevel_team",
        practices=["Alerts page the engineer on call when error rates rise."],
    )
    found = [c for c in result.contradictions if c.practice == "alerting"]
    assert len(found) == 1
    assert "told" in found[0].one
    assert "not found" in found[0].other
