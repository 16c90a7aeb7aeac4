"""Small pure helpers for text that comes from a workspace: escape, shorten, redact."""

from __future__ import annotations

import re
from typing import Final

from mlops_advisor.tools.evidence.secret_patterns import (
    KEY_WORDS,
    MASK,
    VENDORS,
    Vendor,
    vendors_in,
)

PLACE_CHARS: Final = 160
_SCAN_CHARS: Final = 2_000  # a line is cut here before any pattern looks at it

_ASSIGNED: Final = re.compile(
    rf"(?i)((?:{KEY_WORDS})[\"']?\s{{0,5}}[:=]=?\s{{0,5}})([\"']?)"
    rf"([^\s\"',;{{}}()$<>]{{3,300}})([\"'(]?)"
)
_STEMS: Final = ("pass", "pwd", "secret", "token", "key", "credential", "conn")
# Tokens of text, not of access.
_NOT_ACCESS: Final = (
    "pad_",
    "eos_",
    "bos_",
    "unk_",
    "cls_",
    "sep_",
    "mask_",
    "next_",
    "special_",
    "stop_",
    "start_",
    "end_",
    "page_",
    "continuation_",
    "sort_",
    "primary_",
    "foreign_",
)
# Words that stand where a secret would, but point elsewhere or hold nothing.
_HARMLESS: Final = re.compile(
    r"(?i)^(?:none|null|true|false|str|int|bytes|optional|required|string|os\.|env|self\.|"
    r"settings\.|config\.|var\.|local\.|data\.|args\.|get|secrets?\.|xxx|changeme|your[_-]?|"
    r"example|placeholder|todo|\*+$|vault|projects/|arn:|/)"
)


def escape(name: str) -> str:
    """Make a file name safe to print: control, bidi and undecodable characters are escaped."""
    if name.isprintable():
        return name
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in name)


def redact(line: str) -> str:
    """Mask what looks like a credential; rather one too many."""
    for _, _, pattern in _vendors(line):
        line = pattern.sub(MASK, line)
    return _ASSIGNED.sub(_mask_value, line) if _may_assign(line) else line


def _vendors(line: str) -> list[Vendor]:
    """Rows of the table whose pattern may match, in its order."""
    present = vendors_in(line.lower())
    if not present:
        return []
    kinds = {v[2] for vs in present.values() for v in vs}
    return [v for v in VENDORS if v[2] in kinds]


def _may_assign(line: str) -> bool:
    """Tell fast whether a value may be given to one of the names."""
    if "=" not in line and ":" not in line:
        return False
    low = line.lower()  # beyond ASCII, more than this is the same letter to a pattern
    return not line.isascii() or any(s in low for s in _STEMS)


def _mask_value(found: re.Match[str]) -> str:
    return (
        found.group(0)
        if _harmless(found)
        else f"{found.group(1)}{found.group(2)}{MASK}{found.group(4)}"
    )


def _harmless(found: re.Match[str]) -> bool:
    _, quote, value, after = found.groups()
    if _HARMLESS.match(value) or after == "(":
        return True
    return not quote and not any(c.isdigit() for c in value)


def holds_secret(line: str, *, bare: bool) -> bool:
    """Tell whether a line holds a credential; `bare` values, without quotes, count on request."""
    cut = line[:_SCAN_CHARS]
    if any(pattern.search(cut) for _, _, pattern in _vendors(cut)):
        return True
    for found in _ASSIGNED.finditer(cut) if _may_assign(cut) else ():
        before = cut[: found.start()].lower()
        if _harmless(found) or before.endswith(_NOT_ACCESS) or not (found.group(2) or bare):
            continue
        if not found.group(2) and "." in found.group(3):
            continue
        return True
    return False


def excerpt(line: str, limit: int = PLACE_CHARS) -> str:
    """One line as evidence: redacted, printable, at most `limit` characters."""
    clean = escape(redact(" ".join(line[:_SCAN_CHARS].split())))
    return clean if len(clean) <= limit else clean[: limit - 1] + "…"


def plain(text: str) -> str:
    """Replace lone surrogates, which no UTF-8 output could hold."""
    if text.isascii():
        return text
    return text.encode("utf-8", "replace").decode("utf-8")
