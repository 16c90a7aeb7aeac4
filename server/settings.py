"""What a server is told from outside: the folders it may read and how it calls itself."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

NAME = "mlops-advisor"
TITLE = "MLOps Advisor"
DESCRIPTION = "Deterministic MLOps advice: maturity by evidence, a roadmap, and an audit by line."
# The project has no home of its own yet; this is the page its principles come from.
WEBSITE = "https://ml-ops.org/content/mlops-principles"
INSTRUCTIONS = (
    "Advises teams on how they build and run machine-learning models. Start with assess_maturity:"
    " give what is known (practices in the team's own words, answers, tools, a workspace folder);"
    " leave out what is not known, never guess it. An empty call returns the questions that tell"
    " most. Scores come from a published rubric (mlops://rubric) and evidence, not from a model;"
    " report score_low and score_high with every score. Unknown is not no."
    " For defects in code and configuration call audit_workflow with a workspace or files: quote"
    " its findings with path and line, keep its severities, and say what not_assessed lists."
)


@dataclass(frozen=True, slots=True)
class Settings:
    """`roots`: folders that a `workspace` may lie in; none means that no folder is read."""

    roots: tuple[Path, ...] = ()


def version() -> str:
    """Return the version of the installed package, or `0+source` in a bare checkout."""
    try:
        return metadata.version(NAME)
    except metadata.PackageNotFoundError:
        return "0+source"


def default_roots() -> tuple[Path, ...]:
    """Return the current folder, or nothing when it is `/`, a home folder or above one.

    A client such as a desktop application starts servers anywhere: such a folder was not meant.
    """
    here = Path(os.path.realpath(Path.cwd()))
    home = Path(os.path.realpath(Path.home()))
    if here == home or here in home.parents or here.parent == here:
        return ()
    return (here,)


def named_roots(given: Sequence[Path]) -> tuple[Path, ...]:
    """Return the folders, resolved.  Raises ValueError for one that is not there."""
    for path in given:
        if not path.is_dir():
            raise ValueError(f"--root {path}: there is no such folder")
    return tuple(Path(os.path.realpath(path)) for path in given)
