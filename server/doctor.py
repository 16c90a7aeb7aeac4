"""`doctor`: checks that this installation can be trusted.  Only what exists is checked."""

from __future__ import annotations

import argparse
import json
import logging
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime
from typing import Any, Final, Literal

from mlops_advisor.resources import loaders
from mlops_advisor.resources.errors import DataFileError
from mlops_advisor.resources.loaders import Knowledge
from mlops_advisor.server import calls, logs, registry, wire
from mlops_advisor.tools.common.errors import AdvisorError

State = Literal["ok", "warn", "fail"]

_FRESH_DAYS: Final = 30
_TOLERANCE: Final = 0.06  # scores are printed with one decimal
_SAMPLE_ANSWERS: Final = ("automated", "by_hand", "no", "partly", "unknown", "automated", "no")
# What a context must refuse, and the nearest that it must accept.
_RANGES: Final[tuple[tuple[str, Any, Any], ...]] = (
    ("team_size", 0, 1),
    ("current_maturity", "level_2", "reliable"),
    ("cloud_provider", "cloud", "on_prem"),
    ("budget_tier", "huge", "startup"),
    ("compliance", ["iso"], ["iso_42001"]),
    ("workloads", ["web"], ["online"]),
    ("criticality", "extreme", "high"),
)


@dataclass(frozen=True, slots=True)
class Check:
    """What one check found, and what to do about it."""

    name: str
    state: State
    detail: str
    do: str = ""


def run(args: argparse.Namespace) -> int:
    """Print the checks; return 1 if one failed."""
    logs.configure(logging.WARNING)
    checks = examine(datetime.now(UTC).date())
    if args.json:
        text = json.dumps({"checks": [asdict(check) for check in checks]}, indent=2)
    else:
        text = "\n".join(_line(check) for check in checks)
    sys.stdout.write(text + "\n")
    return int(any(check.state == "fail" for check in checks))


def examine(today: date) -> list[Check]:
    """Run every check; one that breaks counts as failed."""
    probes: Sequence[tuple[str, Callable[[], Check]]] = (
        ("input schemas", schemas),
        ("context ranges", ranges),
        ("scoring", scoring),
        ("knowledge", lambda: freshness(loaders.bundled(), today)),
    )
    return [_safely(name, probe) for name, probe in probes]


def schemas() -> Check:
    """Compare the published schemas with the models."""
    stale = [
        entry["name"]
        for entry in registry.listing()
        if entry != json.loads(json.dumps(wire.entry(registry.load(entry["name"]))))
    ]
    if stale:
        detail = f"published schemas differ from the models: {', '.join(stale)}"
        return Check("input schemas", "fail", detail, "run `make snapshots`, or install again")
    return Check("input schemas", "ok", f"{len(registry.names())} equal to the models")


def ranges() -> Check:
    """See that every tool refuses a context out of range and takes one at its edge."""
    wrong: list[str] = []
    for name in registry.names():
        tool = calls.load(name)
        for field, refused, accepted in _RANGES:
            if _accepts(tool, field, refused):
                wrong.append(f"{name} takes {field}={refused!r}")
            if not _accepts(tool, field, accepted):
                wrong.append(f"{name} refuses {field}={accepted!r}")
    if wrong:
        return Check("context ranges", "fail", "; ".join(wrong), "install again")
    return Check("context ranges", "ok", f"{len(_RANGES)} fields hold their ranges")


def scoring() -> Check:
    """Derive the scores of a sample anew from the rubric, and compare them with the engine's."""
    known = loaders.bundled()
    ids = list(known.practices)
    answers = {
        name: _SAMPLE_ANSWERS[index % len(_SAMPLE_ANSWERS)] for index, name in enumerate(ids)
    }
    responses = [{"practice": name, "answer": answer} for name, answer in answers.items()]
    tool = calls.load("assess_maturity")
    request = calls.prepare(tool, {"responses": responses, "options": {"detail": "full"}})
    result = calls.execute(tool, request, calls.Limits()).structured
    derived = derive(known, answers)
    wrong = [
        f"{entry['id']} is {entry['score']}, the rubric says {derived[entry['id']]:.1f}"
        for entry in result["dimensions"]
        if abs(entry["score"] - derived[entry["id"]]) > _TOLERANCE
    ]
    if wrong:
        return Check("scoring", "fail", "; ".join(wrong), "do not use these scores; report it")
    return Check("scoring", "ok", f"{len(ids)} answers, six scores derived anew agree")


def derive(known: Knowledge, answers: Mapping[str, str]) -> dict[str, float]:
    """Return each dimension's score by the rubric's sum, without any code of the engine.

    A push (level, points) goes to the levels from `level` on, or, below zero, to those before it.
    """
    rubric = known.rubric
    row = rubric.points.response.model_dump()
    pushes: dict[str, list[tuple[int, int]]] = {name: [] for name in known.dimensions}
    for name, answer in answers.items():
        if answer in row:
            practice = known.practices[name]
            points = row[answer] * practice.weight * (-1 if answer == "no" else 1)
            pushes[known.dimension_of[name]].append((practice.level, points))
    scores: dict[str, float] = {}
    for name, own in pushes.items():
        others = [push for other, theirs in pushes.items() if other != name for push in theirs]
        lent = [
            (level, int(sum(p for at, p in others if at == level) / rubric.carry.divisor))
            for level in range(1, 4)  # level 4 is never lent
        ]
        most = rubric.carry.most
        points_of = list(rubric.prior)
        lacking = [
            p.level
            for p in known.practices.values()
            if known.dimension_of[p.id] == name and p.weight > 1 and answers[p.id] == "no"
        ]
        # Nor from the level on whose key practice is absent.
        tops = {level: most if level < min(lacking, default=5) else 0 for level, _ in lent}
        for at, push in own + [(level, max(-most, min(tops[level], p))) for level, p in lent]:
            for level in range(5):
                if (level >= at) == (push > 0):
                    points_of[level] += abs(push)
        caps = [c.below for c in rubric.caps if c.dimension == name and answers[c.needs] == "no"]
        odds = [10 ** (points / rubric.points_per_decade) for points in points_of]
        odds = odds[: min(caps, default=5)]
        scores[name] = 25 * sum(level * value for level, value in enumerate(odds)) / sum(odds)
    return scores


def freshness(known: Knowledge, today: date) -> Check:
    """See whether the knowledge was reviewed within the last thirty days."""
    dates = {"rubric": known.rubric.reviewed}
    dates |= {f"overlay {entry.id}": entry.checked for entry in known.overlays.overlays}
    oldest = min(dates, key=lambda name: dates[name])
    age = (today - date.fromisoformat(dates[oldest])).days
    detail = f"oldest review: {oldest}, {dates[oldest]}, {age} days ago"
    if age > _FRESH_DAYS:
        do = "check it against its sources and set its date, or install a newer version"
        return Check("knowledge", "warn", detail, do)
    return Check("knowledge", "ok", detail)


def _accepts(tool: registry.Tool, field: str, value: object) -> bool:
    try:
        calls.prepare(tool, {"context": {field: value}})
    except AdvisorError:
        return False
    return True


def _safely(name: str, probe: Callable[[], Check]) -> Check:
    try:
        return probe()
    except (AdvisorError, calls.InternalError, DataFileError, OSError, ValueError) as error:
        return Check(name, "fail", str(error), "install again; if it stays, report it")


def _line(check: Check) -> str:
    tail = f" -> {check.do}" if check.do else ""
    return f"{check.state:<5} {check.name}: {check.detail}{tail}"
