"""JSON, TOML and INI as trees.  Lines are found by searching the text when evidence is shown."""

from __future__ import annotations

import json
import re
import tomllib
from typing import Final

from mlops_advisor.tools.evidence.parse.tree import Node, from_data

_MAX_LINE: Final = 4_000
_DEEP: Final = re.compile(r"(?:[\[{]\s{0,8}){150}")


def parse_json(text: str) -> Node | None:
    """Tree of a JSON text, or None when it is broken or nested too deeply."""
    if _DEEP.search(text):
        return None
    try:
        return from_data(json.loads(text))
    except (ValueError, RecursionError, MemoryError):
        return None


def parse_toml(text: str) -> Node | None:
    """Tree of a TOML text, or None when it is broken or nested too deeply."""
    if _DEEP.search(text):
        return None
    try:
        return from_data(tomllib.loads(text))
    except (ValueError, RecursionError, MemoryError):
        return None


def parse_ini(text: str) -> Node | None:
    """Tree of an INI text (setup.cfg, tox.ini), section by section.

    Own reader: the one of the standard library fails on some broken texts.
    """
    data: dict[str, dict[str, str]] = {}
    section: dict[str, str] | None = None
    key = ""
    for raw in text.split("\n"):
        line = raw[:_MAX_LINE].rstrip()
        bare = line.strip()
        if not bare or bare.startswith(("#", ";")):
            continue
        if bare.startswith("[") and bare.endswith("]"):
            section, key = data.setdefault(bare[1:-1].strip(), {}), ""
        elif section is not None and key and line[0].isspace():
            section[key] += "\n" + bare
        elif section is not None:
            at = min((i for c in "=:" if (i := bare.find(c)) >= 0), default=len(bare))
            key = bare[:at].strip().lower()
            section[key] = bare[at + 1 :].strip()
    return from_data(data)


def line_of(text: str, *needles: str) -> int:
    """Line, 1-based, where the needles stand one after the other; 1 when they do not."""
    at = 0
    for needle in needles:
        found = text.find(needle, at)
        if found < 0:
            break
        at = found
    return text.count("\n", 0, at) + 1
