"""What is read from a workspace, and what a probe says about it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum, StrEnum


class Outcome(StrEnum):
    """Answer of a probe.  Unknown is not absent: absent means looked for and not found."""

    PRESENT = "present"
    ABSENT = "absent"
    UNKNOWN = "unknown"
    NOT_APPLICABLE = "not_applicable"


class Strength(IntEnum):
    """How much a present fact proves.  A file that exists is configured; used is wired."""

    CLAIMED = 1  # a document says so
    CONFIGURED = 2  # a file or setting exists
    WIRED = 3  # code, pipeline or workflow uses it
    ENFORCED = 4  # it runs without a person and its failure stops something


@dataclass(frozen=True, slots=True)
class Place:
    """One located piece of evidence: path relative and posix, line 1-based, text redacted."""

    path: str
    line: int
    text: str


@dataclass(frozen=True, slots=True)
class Fact:
    """What one probe says: one yes/no fact about one practice."""

    probe: str
    practice: str
    outcome: Outcome
    strength: Strength | None
    detail: str
    places: tuple[Place, ...] = ()
    searched: str = ""


@dataclass(frozen=True, slots=True)
class SourceFile:
    """One file read: path relative and posix, text decoded as UTF-8 with replacement."""

    path: str
    text: str
    size: int


@dataclass(frozen=True, slots=True)
class Skip:
    """One file or folder that was not read, and why."""

    path: str
    reason: str


@dataclass(frozen=True, slots=True)
class Workspace:
    """Everything read from a folder or from inline files, sorted by path.

    `sizes` are bytes of plain files that were seen and not read; `ignored` are the paths, those
    of folders with a slash at the end, that git does not hold: a .gitignore lists them, or its
    index, when there is one, does not.
    """

    files: tuple[SourceFile, ...]
    skipped: tuple[Skip, ...] = ()
    truncated: bool = False  # a cap or the deadline cut the reading short
    paths: frozenset[str] = frozenset()  # every path seen, read or not (binary model files too)
    sizes: Mapping[str, int] = field(default_factory=dict, hash=False)
    ignored: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Limits:
    """Caps on reading.  Sizes in bytes; a notebook may be larger, for the sake of its pictures."""

    files: int = 20_000
    file_bytes: int = 1 << 20
    notebook_bytes: int = 8 << 20
    total_bytes: int = 200 << 20
    depth: int = 30
    entries: int = 200_000  # names looked at, read or not


DEFAULT_LIMITS = Limits()


@dataclass(frozen=True, slots=True)
class Claim:
    """One sentence of a document that says a practice is in place.  It proves nothing by itself."""

    practice: str
    place: Place


@dataclass(frozen=True, slots=True)
class Inventory:
    """What was read and what was not.

    `languages` holds pairs of name and number of files; `stages` says which parts of a model's
    life the workspace shows (training, serving, batch, pipeline ...). `not_analysed` holds what
    was read as text but could not be understood: other languages, broken files.
    """

    files_read: int
    bytes_read: int
    languages: tuple[tuple[str, int], ...] = ()
    frameworks: tuple[str, ...] = ()
    stages: tuple[str, ...] = ()
    skipped: tuple[Skip, ...] = ()
    not_analysed: tuple[Skip, ...] = ()
    truncated: bool = False


@dataclass(frozen=True, slots=True)
class ProbeReport:
    """All facts about a workspace, sorted by practice and probe; `omitted` probes did not run."""

    facts: tuple[Fact, ...]
    inventory: Inventory
    claims: tuple[Claim, ...] = ()
    omitted: tuple[str, ...] = ()
