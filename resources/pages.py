"""The knowledge as pages: plain data for programs, Markdown for people.  Pure functions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from mlops_advisor.resources.loaders import Knowledge
from mlops_advisor.resources.models import Citation, DimensionInfo, Practice, Principle

Page = dict[str, Any]
Probes = Mapping[str, Sequence[str]]  # practice id -> probes that can see it in files

_NO_PROBES: Probes = MappingProxyType({})

HOW = (
    "Each dimension starts with the prior points of levels 0-4. A practice of level L that is met"
    " adds its points to every level from L up; one that is absent adds its points to every level"
    " below L. Points depend on where the knowledge comes from and on the answer, times the"
    " practice's weight. The other dimensions lend a little: per level, their points for having"
    " reached it less their points against, divided by carry.divisor, towards zero, and cut to"
    " carry.most; level 4 has to be shown and is never lent, nor is a level from the one on whose"
    " key practice is absent. points_per_decade points make a level ten times as likely."
    " score = 25 x the expected level. Unknown, and tools by themselves, add nothing."
)


def rubric(knowledge: Knowledge) -> Page:
    """Return the whole rubric: levels, points, dimensions with cells and practices in brief."""
    known = knowledge.rubric
    return {
        "version": known.version,
        "reviewed": known.reviewed,
        "how_scored": HOW,
        "points_per_decade": known.points_per_decade,
        "prior": list(known.prior),
        "prior_basis": known.prior_basis,
        "points": known.points.model_dump(mode="json"),
        "points_basis": known.points_basis,
        "carry": known.carry.model_dump(mode="json"),
        "release_frequency": [item.model_dump(mode="json") for item in known.release_frequency],
        "caps": [cap.model_dump(mode="json") for cap in known.caps],
        "levels": [level.model_dump(mode="json") for level in known.levels],
        "dimensions": [
            {**_dimension(info), "practices": [_brief(p) for p in _of(knowledge, info.id)]}
            for info in knowledge.dimensions.values()
        ],
    }


def dimension(knowledge: Knowledge, name: str) -> Page:
    """Return one dimension with its cells and practices.  Raises KeyError for an unknown id."""
    info = knowledge.dimensions[name]
    return {
        **_dimension(info),
        "caps": [c.model_dump(mode="json") for c in knowledge.rubric.caps if c.dimension == name],
        "practices": [
            {
                **_brief(practice),
                "question": practice.question,
                "means": practice.means,
                "prerequisites": list(practice.prerequisites),
            }
            for practice in _of(knowledge, name)
        ],
    }


def practice(knowledge: Knowledge, name: str, probes: Probes = _NO_PROBES) -> Page:
    """Return one practice in full.  Raises KeyError for an unknown id."""
    entry = knowledge.practices[name]
    page = entry.model_dump(mode="json", exclude={"says", "denies", "sources"})
    return {
        **page,
        "dimension": knowledge.dimension_of[name],
        "needed_by": _needed_by(knowledge, name),
        "principles": [p.id for p in knowledge.principles.principles if name in p.practices],
        "probes": list(probes.get(name, ())),
        "sources": _sources(knowledge, entry.sources),
    }


def principles(knowledge: Knowledge) -> Page:
    """Return the lifecycle and the principles, each with the practices that live it."""
    return {
        "lifecycle": [_principle(knowledge, p) for p in knowledge.principles.lifecycle],
        "principles": [_principle(knowledge, p) for p in knowledge.principles.principles],
    }


def rubric_markdown(knowledge: Knowledge) -> str:
    """Return the whole rubric for people."""
    known = knowledge.rubric
    lines = [
        "# Maturity rubric",
        "",
        f"Version {known.version}, reviewed {known.reviewed}.",
        "",
        "## Levels",
        "",
        *_table(("Level", "Name", "Meaning"), ((x.level, x.id, x.meaning) for x in known.levels)),
        "",
        "## How the score comes about",
        "",
        HOW,
        "",
        (
            f"Prior of levels 0-4: {_numbers(known.prior)} points"
            f" ({known.points_per_decade} points = ten times as likely). {known.prior_basis}"
        ),
        "",
        *_table(
            ("Known from", "no", "partly", "by hand", "automated"),
            (
                (source, row["no"], row["partly"], row["by_hand"], row["automated"])
                for source, row in known.points.model_dump().items()
            ),
        ),
        "",
        known.points_basis,
        "",
        (
            f"Other dimensions lend at most {known.carry.most} points per level"
            f" (divisor {known.carry.divisor}; {known.carry.basis})"
        ),
        "",
        "### New model versions in production",
        "",
        *_table(
            ("Frequency", "Points of levels 0-4"),
            ((item.frequency, _numbers(item.points)) for item in known.release_frequency),
        ),
        "",
        "### Caps",
        "",
        *_table(
            ("Dimension", "Stays below", "While absent", "Why"),
            ((cap.dimension, f"level {cap.below}", cap.needs, cap.why) for cap in known.caps),
        ),
    ]
    for name in knowledge.dimensions:
        lines += ["", *_dimension_lines(knowledge, name, "##")]
    return "\n".join(lines) + "\n"


def dimension_markdown(knowledge: Knowledge, name: str) -> str:
    """Return one dimension for people.  Raises KeyError for an unknown id."""
    return "\n".join(_dimension_lines(knowledge, name, "#")) + "\n"


def practice_markdown(knowledge: Knowledge, name: str, probes: Probes = _NO_PROBES) -> str:
    """Return one practice for people.  Raises KeyError for an unknown id."""
    entry = knowledge.practices[name]
    effort = entry.effort
    lines = [
        f"# {entry.title}",
        "",
        (
            f"`{entry.id}` · {knowledge.dimensions[knowledge.dimension_of[name]].name}"
            f" · level {entry.level} · weight {entry.weight} · owner: {entry.owner}"
        ),
        "",
        entry.means,
        "",
        f"**Ask:** {entry.question}",
        "",
        "**Counts as evidence**",
        "",
        *_bullets(entry.counts),
        "",
        "**Does not count**",
        "",
        *_bullets(entry.does_not_count),
        "",
        f"**Do:** {entry.action}",
        "",
        f"**Done when:** {entry.exit_test}",
        "",
        f"**Buys:** {entry.buys}",
        "",
        f"**Effort:** {effort.low:g}-{effort.high:g} person-days ({effort.basis})",
    ]
    for title, ids in (
        ("Needs first", entry.prerequisites),
        ("Needed by", _needed_by(knowledge, name)),
        ("Seen in files by", probes.get(name, ())),
    ):
        if ids:
            lines += ["", f"**{title}:** {', '.join(f'`{item}`' for item in ids)}"]
    lines += ["", "**Sources**", "", *_bullets(_cited(knowledge, entry.sources))]
    return "\n".join(lines) + "\n"


def principles_markdown(knowledge: Knowledge) -> str:
    """Return lifecycle and principles for people."""
    lines = ["# Lifecycle and principles"]
    for title, entries in (
        ("Lifecycle", knowledge.principles.lifecycle),
        ("Principles", knowledge.principles.principles),
    ):
        lines += ["", f"## {title}"]
        for entry in entries:
            lines += ["", *principle_lines(knowledge, entry)]
    return "\n".join(lines) + "\n"


def principle_lines(knowledge: Knowledge, entry: Principle) -> list[str]:
    """Return one principle or stage of the lifecycle as a Markdown section."""
    return [
        f"### {entry.name}",
        "",
        entry.means,
        "",
        "Practices that live it:",
        "",
        *_bullets(
            f"{knowledge.practices[name].title} (`{name}`): {knowledge.practices[name].means}"
            for name in entry.practices
        ),
        "",
        f"Sources: {'; '.join(_cited(knowledge, entry.sources))}",
    ]


def _of(knowledge: Knowledge, name: str) -> list[Practice]:
    """Return the practices of a dimension by level, then in the order of the file."""
    own = [p for p in knowledge.practices.values() if knowledge.dimension_of[p.id] == name]
    return sorted(own, key=lambda p: p.level)


def _dimension(info: DimensionInfo) -> Page:
    return {
        "id": info.id,
        "name": info.name,
        "short": info.short,
        "cells": [{"level": level, "observed": text} for level, text in enumerate(info.cells)],
    }


def _brief(entry: Practice) -> Page:
    return {"id": entry.id, "title": entry.title, "level": entry.level, "weight": entry.weight}


def _needed_by(knowledge: Knowledge, name: str) -> list[str]:
    return [p.id for p in knowledge.practices.values() if name in p.prerequisites]


def _sources(knowledge: Knowledge, cited: Iterable[Citation]) -> list[Page]:
    return [
        {
            "id": item.source,
            "title": knowledge.sources[item.source].title,
            "url": knowledge.sources[item.source].url,
            "where": item.where,
        }
        for item in cited
    ]


def _cited(knowledge: Knowledge, cited: Iterable[Citation]) -> list[str]:
    return [f"[{s['title']}]({s['url']}), {s['where']}" for s in _sources(knowledge, cited)]


def _principle(knowledge: Knowledge, entry: Principle) -> Page:
    return {
        "id": entry.id,
        "name": entry.name,
        "means": entry.means,
        "practices": [_brief(knowledge.practices[name]) for name in entry.practices],
        "sources": _sources(knowledge, entry.sources),
    }


def _dimension_lines(knowledge: Knowledge, name: str, mark: str) -> list[str]:
    info = knowledge.dimensions[name]
    return [
        f"{mark} {info.name}",
        "",
        f"`{info.id}`",
        "",
        *_table(("Level", "Observed"), enumerate(info.cells)),
        "",
        f"{mark}# Practices",
        "",
        *_table(
            ("Level", "Practice", "Weight", "Means", "Needs first"),
            (
                (
                    p.level,
                    f"{p.title} (`{p.id}`)",
                    p.weight,
                    p.means,
                    ", ".join(f"`{item}`" for item in p.prerequisites),
                )
                for p in _of(knowledge, name)
            ),
        ),
    ]


def _table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> list[str]:
    lines = [_row(head), _row(["---"] * len(head))]
    return lines + [_row(row) for row in rows]


def _row(cells: Sequence[object]) -> str:
    return "| " + " | ".join(str(cell).replace("|", "\\|") for cell in cells) + " |"


def _bullets(items: Iterable[str]) -> list[str]:
    return [f"- {item}" for item in items]


def _numbers(values: Iterable[int]) -> str:
    return ", ".join(str(value) for value in values)
