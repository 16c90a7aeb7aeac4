"""Knowledge files: the bundled ones load; a broken one names file, line and field."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from mlops_advisor.resources.errors import DataFileError
from mlops_advisor.resources.loaders import DATA, bundled, load
from mlops_advisor.tools.matching.match import Matcher


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of the data that a test may break."""
    return Path(shutil.copytree(DATA, tmp_path / "data"))


def broken(folder: Path, file: str, old: str, new: str) -> tuple[DataFileError, int]:
    """Replace the first `old` in `file`, load, and return the error and the changed line."""
    path = folder / file
    text = path.read_text("utf-8")
    assert old in text
    line = text[: text.index(old)].count("\n") + 1
    path.write_text(text.replace(old, new, 1), "utf-8")
    with pytest.raises(DataFileError) as caught:
        load(folder)
    return caught.value, line


def test_the_bundled_knowledge_loads_and_is_big_enough() -> None:
    knowledge = bundled()
    assert len(knowledge.practices) >= 80
    assert len(knowledge.dimensions) == 6
    for dimension in knowledge.dimensions:
        levels = {
            p.level for p in knowledge.practices.values()
            if knowledge.dimension_of[p.id] == dimension
        }  # fmt: skip
        assert levels == {1, 2, 3, 4}


def test_every_level_of_every_dimension_has_a_key_practice() -> None:
    knowledge = bundled()
    keys = {
        (knowledge.dimension_of[p.id], p.level)
        for p in knowledge.practices.values()
        if p.weight == 2
    }
    assert len(keys) == 24


def test_every_source_is_cited_and_every_effort_says_what_it_rests_on() -> None:
    knowledge = bundled()
    for practice in knowledge.practices.values():
        assert practice.effort.basis.startswith(("judgement", "source")), practice.id
        assert practice.says, practice.id


def test_all_patterns_compile() -> None:
    knowledge = bundled()
    reading = Matcher(knowledge.practices.values(), knowledge.lexicon).read(["Nothing."])
    assert reading.matches == ()


@pytest.mark.parametrize(
    ("file", "old", "new", "field", "says"),
    [
        ("practices/deployment.yaml", "level: 2", "level: 9", "level", "less than or equal to 4"),
        ("practices/governance.yaml", "owner: ml_lead", "owner: boss", "owner", "Input should be"),
        ("practices/monitoring.yaml", "title: ", "titel: ", "titel", "not permitted"),
        ("practices/deployment.yaml", "weight: 1", "weight: two", "weight", "valid integer"),
        ("rubric.yaml", "reviewed: ", "viewed: ", "viewed", "not permitted"),
        ("crosswalk.yaml", "practice: schema_validation", "practice: schemas", "practice", "no practice 'schemas'"),
        ("rubric.yaml", "needs: model_ci", "needs: model_xy", "needs", "no practice 'model_xy'"),
        ("audit/end_of_life.yaml", "2020-01-01", "2020-02-30", "ends.2.7", "no such day"),
        ("audit/end_of_life.yaml", "2020-01-01", "soon", "ends.2.7", "match pattern"),
        ("audit/end_of_life.yaml", 'jessie: "8"', 'jessie: "80"', "names.jessie", "no cycle '80'"),
        ("audit/end_of_life.yaml", "id: debian", "id: python", "id", "used twice"),
        ("principles.yaml", "source: ", "source: nowhere_", "source", "no source 'nowhere_"),
    ],
)  # fmt: skip
def test_a_broken_file_names_file_line_and_field(
    folder: Path, file: str, old: str, new: str, field: str, says: str
) -> None:
    error, line = broken(folder, file, old, new)
    assert error.file == Path(file).name
    assert abs(error.line - line) <= 1
    assert field in error.field
    assert says in error.problem
    assert f"{error.file}:{error.line}: " in str(error)


@pytest.mark.parametrize(
    ("new", "says"),
    [
        ("version: [", "expected"),
        ('version: "1"\nversion: "2"', "'version' is written twice"),
        ("version: !!python/object/apply:os.system ['true']", "constructor"),
        ('version: "\u0000"', "YAML"),
    ],
)
def test_what_is_not_our_yaml_is_refused(folder: Path, new: str, says: str) -> None:
    error, _ = broken(folder, "rubric.yaml", 'version: "1.0.0"', new)
    assert error.file == "rubric.yaml"
    assert says in error.problem


def test_a_missing_file_is_named(folder: Path) -> None:
    (folder / "sources.yaml").unlink()
    with pytest.raises(DataFileError, match=r"sources\.yaml:1: file: cannot be read"):
        load(folder)


def test_prerequisites_in_a_circle_are_refused(folder: Path) -> None:
    path = folder / "practices" / "team_practices.yaml"
    text = path.read_text("utf-8")
    first = text.index("prerequisites: []")
    broken_text = text[:first] + "prerequisites: [code_review]" + text[first + 17 :]
    path.write_text(broken_text, "utf-8")
    with pytest.raises(DataFileError, match="circle"):
        load(folder)


def test_the_word_no_stays_a_word(folder: Path) -> None:
    assert bundled().rubric.points.response.no == 6
    assert "no" in bundled().lexicon.cues["negation_subject"]


def test_the_ends_of_life_are_dated_and_sourced() -> None:
    tables = bundled().end_of_life
    assert len(tables) >= 20
    assert tables["python"].ends["3.9"] == "2025-10-31"
    for table in tables.values():
        assert table.url.startswith("https://"), table.id
        assert table.checked >= "2026-11-23", table.id
