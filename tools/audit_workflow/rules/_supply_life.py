"""Ends of life: which release a version belongs to, and whether it is past its last day."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date
from typing import Final

from mlops_advisor.tools.audit_workflow.repo import AuditRepository

_NUMBERS: Final = re.compile(r"^v?(\d{1,4}(?:\.\d{1,4}){0,3})")
_RECENT_DAYS: Final = 180
_GRACE_DAYS: Final = 30  # nobody moves on the very day


@dataclass(frozen=True, slots=True)
class Ended:
    """One release without security fixes: `recent` when it ended within the last half year."""

    name: str
    day: date
    recent: bool
    url: str

    def __str__(self) -> str:
        """Name and day, for a sentence."""
        return f"{self.name} has had no security fixes since {self.day.isoformat()}"


def ended(repo: AuditRepository, product: str, version: str) -> Ended | None:
    """Say when a release ended, if that is a month before the audit; None when not or unknown.

    `version` is a version (`3.8.12`), a cycle or a code name.  What is older than every cycle of
    the table ended with the oldest.
    """
    table = repo.knowledge.end_of_life.get(product)
    if table is None or not version:
        return None
    wanted = table.names.get(version.lower(), version)
    cycle = _cycle(wanted, table.ends)
    if not cycle:
        return None
    day = date.fromisoformat(table.ends[cycle])
    if (repo.as_of - day).days <= _GRACE_DAYS:
        return None
    shown = table.name if cycle == "*" else f"{table.name} {_shown(version, wanted)}"
    recent = (repo.as_of - day).days <= _RECENT_DAYS
    return Ended(shown, day, recent, table.url)


def _shown(version: str, wanted: str) -> str:
    return version if version == wanted else f"{wanted} ({version})"


def _cycle(version: str, ends: dict[str, str]) -> str:
    if version in ends:
        return version
    if "*" in ends:
        return "*"
    found = _NUMBERS.match(version)
    if found is None:
        return ""
    parts = found.group(1).split(".")
    for length in range(len(parts), 0, -1):
        cycle = ".".join(parts[:length])
        if cycle in ends:
            return cycle
    numeric = sorted((_key(c), c) for c in ends if re.fullmatch(r"[\d.]+", c))
    if numeric and len(parts) >= len(numeric[0][0]) and _key(found.group(1)) < numeric[0][0]:
        return numeric[0][1]
    return ""


def _key(version: str) -> tuple[int, ...]:
    return tuple(int(x) for x in version.split(".") if x)
