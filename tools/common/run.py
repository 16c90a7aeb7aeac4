"""What a tool is given besides its request: date, knowledge, folders, deadline."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

from mlops_advisor.resources.loaders import Knowledge


def _never() -> bool:
    return False


def _silent(_done: int, _total: int, _message: str) -> None:
    return None


@dataclass(frozen=True, slots=True)
class RunContext:
    """Arguments that a tool may not fetch by itself.

    `as_of` is the date at which ages are judged. `roots` are the folders a `workspace` may lie
    in (none: no workspace is read). `expired` says that the time is up; `progress` takes units
    done, units in all and a short message.
    """

    as_of: date
    knowledge: Knowledge
    roots: tuple[Path, ...] = ()
    expired: Callable[[], bool] = field(default=_never)
    progress: Callable[[int, int, str], None] = field(default=_silent)
