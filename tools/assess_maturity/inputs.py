"""Read what a request holds: answers checked, words matched, files probed, figures parsed."""

from __future__ import annotations

import difflib
from dataclasses import dataclass, replace

from mlops_advisor.tools.assess_maturity import frequency as frequencies
from mlops_advisor.tools.assess_maturity.models import (
    AssessMaturityInput,
    Evidence,
    Inventory,
    Unread,
)
from mlops_advisor.tools.assess_maturity.scoring import Rubric
from mlops_advisor.tools.common.errors import InvalidInputError, Problem
from mlops_advisor.tools.common.run import RunContext
from mlops_advisor.tools.evidence.models import Fact
from mlops_advisor.tools.matching.match import Match, Matcher


@dataclass(frozen=True, slots=True)
class Read:
    """What the inputs say, before any score."""

    matches: tuple[Match, ...] = ()
    facts: tuple[Fact, ...] = ()
    tools: tuple[Evidence, ...] = ()
    unread: tuple[Unread, ...] = ()
    releases: float | None = None
    inventory: Inventory | None = None
    not_assessed: tuple[str, ...] = ()
    cut_short: tuple[str, ...] = ()


def check(request: AssessMaturityInput, rubric: Rubric) -> None:
    """Raise InvalidInputError for what no schema can tell: unknown ids, two kinds of files."""
    problems = []
    for index, response in enumerate(request.responses):
        if response.practice not in rubric.practices:
            near = difflib.get_close_matches(response.practice, rubric.practices, 3, 0.5)
            advice = f"; nearest: {', '.join(near)}" if near else "; ids are in mlops://rubric"
            problems.append(
                Problem(
                    f"responses[{index}].practice",
                    f"there is no practice '{response.practice[:80]}'{advice}",
                )
            )
    if request.workspace is not None and request.files:
        problems.append(Problem("files", "give either workspace or files, not both"))
    if problems:
        message = f"{len(problems)} field(s) do not validate"
        raise InvalidInputError(message, tuple(problems[:20]))


def read(request: AssessMaturityInput, context: RunContext, matcher: Matcher) -> Read:
    """Return what the inputs say.  Raises PathDeniedError; reads files below the roots only."""
    reading = matcher.read(request.practices, context.expired)
    concepts = context.knowledge.rubric.tool_concepts
    tools: list[Evidence] = []
    unread: list[Unread] = []
    for tool in sorted(set(request.current_tools)):
        kinds = matcher.concepts_in(tool, concepts)
        tools.extend(_tool(concepts[k], tool) for k in kinds[:1])
        if not kinds:
            unread.append(Unread(field="current_tools", text=tool[:200]))
    for clause in reading.unread:
        kinds = matcher.concepts_in(clause, concepts)
        tools.extend(_tool(concepts[k], clause) for k in kinds[:1])
        if not kinds:
            unread.append(Unread(field="practices", text=clause[:200]))
    releases = None
    if request.deployment_frequency is not None:
        releases = frequencies.per_year(request.deployment_frequency)
        if releases is None:
            text = request.deployment_frequency
            unread.append(Unread(field="deployment_frequency", text=text))
    if (
        request.app_deployment_frequency is not None
        and frequencies.per_year(request.app_deployment_frequency) is None
    ):
        text = request.app_deployment_frequency
        unread.append(Unread(field="app_deployment_frequency", text=text))
    left = (f"practices: {reading.left} texts",) if reading.left else ()
    found = Read(
        matches=reading.matches,
        tools=tuple(tools),
        unread=tuple(unread),
        releases=releases,
        cut_short=left,
    )
    if request.workspace is None and not request.files:
        return replace(found, not_assessed=("files: no workspace or files were given",))
    return _with_files(found, request, context)


def _with_files(found: Read, request: AssessMaturityInput, context: RunContext) -> Read:
    # Parsers are imported on first use, so that a server without workspaces stays light.
    from mlops_advisor.tools.evidence.collect import collect, collect_inline  # noqa: PLC0415
    from mlops_advisor.tools.evidence.pause import collector_paused  # noqa: PLC0415
    from mlops_advisor.tools.evidence.run import probe_all  # noqa: PLC0415

    with collector_paused():
        if request.workspace is not None:
            workspace = collect(request.workspace, context.roots, expired=context.expired)
        else:
            workspace = collect_inline([(f.path, f.content) for f in request.files])
        context.progress(1, 3, f"{len(workspace.files)} files read")
        report = probe_all(workspace, expired=context.expired)
        context.progress(2, 3, f"{len(report.facts)} facts found")
    inventory = report.inventory
    skipped = tuple(f"{s.path}: {s.reason}" for s in inventory.skipped)
    not_analysed = tuple(f"{s.path}: {s.reason}" for s in inventory.not_analysed)
    return replace(
        found,
        facts=report.facts,
        inventory=Inventory(
            files_read=inventory.files_read,
            bytes_read=inventory.bytes_read,
            languages=tuple(f"{name} ({count} files)" for name, count in inventory.languages),
            frameworks=inventory.frameworks,
            skipped=skipped,
        ),
        not_assessed=not_analysed,
        cut_short=(*found.cut_short, *report.omitted),
    )


def _tool(practice: str, words: str) -> Evidence:
    return Evidence(
        practice=practice,
        source="tool",
        detail=f"named: {words[:100]}; a tool alone scores nothing, say what it is used for",
    )
