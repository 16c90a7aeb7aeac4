"""What a tool is given besides its request: date, knowledge, folders, deadline."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

from mlops_advisor.resources.loaders import Knowledge
from mlops_advisor.tools.common.errors import InvalidInputError, Problem


def _never() -> bool:
    return False


def _silent(_done: int, _total: int, _message: str) -> None:
    return None


def _no_git(
    _workspace: str, _revision: str, _texts: Mapping[str, str]
) -> Mapping[str, frozenset[int]]:
    problem = "this caller cannot ask git; leave changed_since out"
    raise InvalidInputError(problem, (Problem("changed_since", problem),))


@dataclass(frozen=True, slots=True)
class ScanFinding:
    """One finding of another tool: `rule` is that tool's own id; path relative, line 1-based."""

    tool: str
    rule: str
    path: str
    line: int
    message: str


@dataclass(frozen=True, slots=True)
class ScanReport:
    """What other tools found, and which of them did not run (`notes`)."""

    findings: tuple[ScanFinding, ...] = ()
    notes: tuple[str, ...] = ()


def _no_scan(_workspace: str, _paths: Iterable[str]) -> ScanReport:
    return ScanReport()


@dataclass(frozen=True, slots=True)
class RunContext:
    """Arguments that a tool may not fetch by itself.

    `as_of` is the date at which ages are judged. `roots` are the folders a `workspace` may lie
    in (none: no workspace is read). `expired` says that the time is up; `progress` takes units
    done, units in all and a short message. `changed` gives the lines of each file that changed
    since a revision of git (workspace, revision, texts by path); `scan` runs other tools on the
    paths of a workspace.
    """

    as_of: date
    knowledge: Knowledge
    roots: tuple[Path, ...] = ()
    expired: Callable[[], bool] = field(default=_never)
    progress: Callable[[int, int, str], None] = field(default=_silent)
    changed: Callable[[str, str, Mapping[str, str]], Mapping[str, frozenset[int]]] = field(
        default=_no_git
    )
    scan: Callable[[str, Iterable[str]], ScanReport] = field(default=_no_scan)
