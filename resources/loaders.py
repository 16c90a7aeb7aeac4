"""Load the knowledge files once into frozen models, with every reference checked."""

from __future__ import annotations

import graphlib
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from functools import cache
from pathlib import Path
from types import MappingProxyType

from pydantic import ValidationError

from mlops_advisor.resources import yamlfile
from mlops_advisor.resources.errors import DataFileError
from mlops_advisor.resources.models import (
    Concepts,
    CrosswalkFile,
    DimensionInfo,
    EndOfLifeFile,
    ExamplesFile,
    LifeTable,
    OverlaysFile,
    Practice,
    PracticeFile,
    PrinciplesFile,
    RubricFile,
    Source,
    Sources,
    WordWeights,
)

_Loc = tuple[int | str, ...]
_Reference = tuple[_Loc, str, str]  # where, kind, id
DATA = Path(__file__).parent / "data"
SAMPLES = Path(__file__).parent / "samples"


@dataclass(frozen=True, slots=True)
class Knowledge:
    """Everything that is known, validated.  Mappings keep the order of the files."""

    rubric: RubricFile
    dimensions: Mapping[str, DimensionInfo]
    practices: Mapping[str, Practice]
    dimension_of: Mapping[str, str]
    sources: Mapping[str, Source]
    lexicon: Concepts
    principles: PrinciplesFile
    crosswalk: CrosswalkFile
    overlays: OverlaysFile
    words: WordWeights
    end_of_life: Mapping[str, LifeTable]


def load(folder: Path = DATA) -> Knowledge:
    """Read all files below `folder`.  Raises DataFileError naming file, line and field."""
    rubric = yamlfile.read(folder / "rubric.yaml", RubricFile)
    practices, dimension_of = _practices(folder, rubric)
    knowledge = Knowledge(
        rubric=rubric,
        dimensions=MappingProxyType({d.id: d for d in rubric.dimensions}),
        practices=MappingProxyType(practices),
        dimension_of=MappingProxyType(dimension_of),
        sources=MappingProxyType(
            {s.id: s for s in yamlfile.read(folder / "sources.yaml", Sources).sources}
        ),
        lexicon=yamlfile.read(folder / "lexicon.yaml", Concepts),
        principles=yamlfile.read(folder / "principles.yaml", PrinciplesFile),
        crosswalk=yamlfile.read(folder / "crosswalk.yaml", CrosswalkFile),
        overlays=yamlfile.read(folder / "overlays.yaml", OverlaysFile),
        words=_words(folder / "words.json"),
        end_of_life=MappingProxyType(_end_of_life(folder / "audit" / "end_of_life.yaml")),
    )
    _check_practices(knowledge, folder)
    _check_references(knowledge, folder)
    return knowledge


def lessons(
    folder: Path = DATA,
) -> tuple[tuple[Practice, ...], Concepts, tuple[tuple[str, str, str], ...]]:
    """Return what the word weights are learnt from: practices, lexicon, example sentences.

    An example is (practice, yes or no, sentence).  Raises DataFileError.
    """
    rubric = yamlfile.read(folder / "rubric.yaml", RubricFile)
    practices, dimension_of = _practices(folder, rubric)
    found: list[tuple[str, str, str]] = []
    for dimension in rubric.dimensions:
        file = folder / "examples" / f"{dimension.id}.yaml"
        given = yamlfile.read(file, ExamplesFile).examples
        for practice, sentences in given.items():
            if practice != "_none" and dimension_of.get(practice) != dimension.id:
                raise _broken(file, ("examples", practice), f"there is no practice '{practice}'")
            found.extend((practice, "yes", text) for text in sentences.yes)
            found.extend((practice, "no", text) for text in sentences.no)
    for entry in practices.values():
        texts = (entry.title, entry.means, entry.question.rstrip("?"))
        found.extend((entry.id, "yes", text) for text in texts)
    lexicon = yamlfile.read(folder / "lexicon.yaml", Concepts)
    return tuple(practices.values()), lexicon, tuple(found)


@cache
def bundled() -> Knowledge:
    """Return the knowledge shipped with the package, read once per process."""
    return load()


def _practices(folder: Path, rubric: RubricFile) -> tuple[dict[str, Practice], dict[str, str]]:
    practices: dict[str, Practice] = {}
    dimension_of: dict[str, str] = {}
    for dimension in rubric.dimensions:
        file = folder / "practices" / f"{dimension.id}.yaml"
        for index, practice in enumerate(yamlfile.read(file, PracticeFile).practices):
            if practice.id in practices:
                raise _broken(file, ("practices", index, "id"), f"'{practice.id}' is used twice")
            practices[practice.id] = practice
            dimension_of[practice.id] = dimension.id
    return practices, dimension_of


def _end_of_life(file: Path) -> dict[str, LifeTable]:
    tables: dict[str, LifeTable] = {}
    for index, table in enumerate(yamlfile.read(file, EndOfLifeFile).products):
        loc: _Loc = ("products", index)
        if table.id in tables:
            raise _broken(file, (*loc, "id"), f"'{table.id}' is used twice")
        for cycle, day in table.ends.items():
            try:
                date.fromisoformat(day)
            except ValueError as error:
                raise _broken(file, (*loc, "ends", cycle), f"no such day: {day}") from error
        for name, cycle in table.names.items():
            if cycle not in table.ends:
                raise _broken(file, (*loc, "names", name), f"there is no cycle '{cycle}'")
        tables[table.id] = table
    return tables


def _words(file: Path) -> WordWeights:
    try:
        return WordWeights.model_validate_json(file.read_bytes())
    except (OSError, ValidationError) as error:
        problem = "not as generated; run `make snapshots`"
        raise DataFileError(file.name, 1, "", problem) from error


def _broken(file: Path, loc: _Loc, problem: str) -> DataFileError:
    line = yamlfile.line_of(file.read_text("utf-8"), loc)
    return DataFileError(file.name, line, ".".join(map(str, loc)), problem)


def _check_practices(knowledge: Knowledge, folder: Path) -> None:
    for dimension in knowledge.dimensions:
        file = folder / "practices" / f"{dimension}.yaml"
        own = [p for p in knowledge.practices.values() if knowledge.dimension_of[p.id] == dimension]
        for index, practice in enumerate(own):
            for number, needed in enumerate(practice.prerequisites):
                loc: _Loc = ("practices", index, "prerequisites", number)
                if needed not in knowledge.practices:
                    raise _broken(file, loc, f"there is no practice '{needed}'")
                if knowledge.practices[needed].level > practice.level:
                    raise _broken(file, loc, f"'{needed}' is of a higher level")
            for number, citation in enumerate(practice.sources):
                if citation.source not in knowledge.sources:
                    loc = ("practices", index, "sources", number, "source")
                    raise _broken(file, loc, f"there is no source '{citation.source}'")
    graph = {p.id: p.prerequisites for p in knowledge.practices.values()}
    try:
        tuple(graphlib.TopologicalSorter(graph).static_order())
    except graphlib.CycleError as error:
        first = error.args[1][0]
        file = folder / "practices" / f"{knowledge.dimension_of[first]}.yaml"
        raise _broken(
            file, ("practices",), f"prerequisites in a circle: {error.args[1]}"
        ) from error


def _check_references(knowledge: Knowledge, folder: Path) -> None:
    """Every practice and source named in the other files must exist."""
    for name, references in (
        ("rubric.yaml", _in_rubric(knowledge)),
        ("principles.yaml", _in_principles(knowledge)),
        ("crosswalk.yaml", _in_crosswalk(knowledge)),
        ("overlays.yaml", _in_overlays(knowledge)),
    ):
        for loc, kind, wanted in references:
            known: Collection[str] = {
                "practice": knowledge.practices,
                "source": knowledge.sources,
                "concept": knowledge.lexicon.concepts,
            }[kind]
            if wanted not in known:
                raise _broken(folder / name, loc, f"there is no {kind} '{wanted}'")


def _in_rubric(knowledge: Knowledge) -> Iterator[_Reference]:
    rubric = knowledge.rubric
    for i, cap in enumerate(rubric.caps):
        yield ("caps", i, "needs"), "practice", cap.needs
    for i, rule in enumerate(rubric.handoffs):
        for j, practice in enumerate(rule.practices):
            yield ("handoffs", i, "practices", j), "practice", practice
    for concept, practice in rubric.tool_concepts.items():
        yield ("tool_concepts", concept), "practice", practice
        yield ("tool_concepts", concept), "concept", concept


def _in_principles(knowledge: Knowledge) -> Iterator[_Reference]:
    file = knowledge.principles
    for key, entries in (("lifecycle", file.lifecycle), ("principles", file.principles)):
        for i, entry in enumerate(entries):
            for j, practice in enumerate(entry.practices):
                yield (key, i, "practices", j), "practice", practice
            for j, citation in enumerate(entry.sources):
                yield (key, i, "sources", j, "source"), "source", citation.source


def _in_crosswalk(knowledge: Knowledge) -> Iterator[_Reference]:
    walk = knowledge.crosswalk
    yield ("delivery_source",), "source", walk.delivery_source
    for i, item in enumerate(walk.ml_test_score):
        yield ("ml_test_score", i, "practice"), "practice", item.practice
    for i, model in enumerate(walk.models):
        yield ("models", i, "source"), "source", model.source
        for j, level in enumerate(model.levels):
            for k, group in enumerate(level.needs):
                for m, practice in enumerate(group):
                    yield ("models", i, "levels", j, "needs", k, m), "practice", practice


def _in_overlays(knowledge: Knowledge) -> Iterator[_Reference]:
    for i, overlay in enumerate(knowledge.overlays.overlays):
        yield ("overlays", i, "source"), "source", overlay.source
        for j, requirement in enumerate(overlay.requirements):
            for k, practice in enumerate(requirement.practices):
                loc = ("overlays", i, "requirements", j, "practices", k)
                yield loc, "practice", practice
