"""Paths that git tracks, from the bytes of an index file; nothing of git is run.

Format: the page gitformat-index of git's documentation, versions 2 to 4.
"""

from __future__ import annotations

from typing import Final

_HEADER: Final = 12
_FIXED: Final = 62  # bytes of an entry before its name
_EXTENDED: Final = 0x4000
_VERSIONS: Final = (2, 3, 4)
_MOST: Final = 1_000_000


def tracked(data: bytes) -> frozenset[str] | None:
    """Return the paths of an index, or None for what is no index."""
    if data[:4] != b"DIRC" or len(data) < _HEADER:
        return None
    version = int.from_bytes(data[4:8], "big")
    count = int.from_bytes(data[8:12], "big")
    if version not in _VERSIONS or count > _MOST:
        return None
    found: list[str] = []
    at, name = _HEADER, b""
    for _ in range(count):
        flags = int.from_bytes(data[at + 60 : at + 62], "big")
        start = at + _FIXED + (2 if version > 2 and flags & _EXTENDED else 0)  # noqa: PLR2004
        if version == 4:  # noqa: PLR2004 - names share their beginning with the one before
            drop, start = _offset(data, start)
            end = data.find(b"\0", start)
            name = name[: max(0, len(name) - drop)] + data[start:end]
            following = end + 1
        else:
            end = data.find(b"\0", start)
            name = data[start:end]
            following = at + (end - at) // 8 * 8 + 8
        if end < 0:
            return None
        found.append(name.decode("utf-8", "surrogateescape"))
        at = following
    return frozenset(found)


def _offset(data: bytes, at: int) -> tuple[int, int]:
    """Read a number in git's variable-width form; return it and where it ends."""
    value = 0
    for position in range(at, min(at + 9, len(data))):
        byte = data[position]
        value = (value << 7) | (byte & 0x7F)
        if not byte & 0x80:
            return value, position + 1
        value += 1
    return 0, len(data)
