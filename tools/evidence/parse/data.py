"""JSON, TOML and INI as trees.  Lines are found by searching the text when evidence is shown."""

from __future__ import annotations

import configparser
import json
import re
import tomllib
from typing import Final

from mlops_advisor.tools.evidence.parse.tree import Node, from_data

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
    """Tree of an INI text (setup.cfg, tox.ini), section by section, or None when broken."""
    parser = configparser.RawConfigParser(strict=False, allow_no_value=True)
    try:
        parser.read_string(text)
    except (configparser.Error, ValueError):
        return None
    return from_data({s: dict(parser.items(s)) for s in parser.sections()})


def line_of(text: str, *needles: str) -> int:
    """Line, 1-based, where the needles stand one after the other; 1 when they do not."""
    at = 0
    for needle in needles:
        found = text.find(needle, at)
        if found < 0:
            break
        at = found
    return text.count("\n", 0, at) + 1
