"""Magics of notebooks that bring names which no statement binds."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

_MAGIC: Final = re.compile(  # both begin with a plain character, which is found fast
    r"%(?<=[\"\s%]%)(?:run|pylab|store|load|loadpy|sql|bigquery|script|spark|cython|"
    r"local|rerun|recall|R|px|autopx|ipytest|sparksql|read_sql)\b"
)
_BY_MAGIC: Final = re.compile(r"%%capture\s{1,3}(\w{1,80})|-(?:-out|o)\s(\w{1,80})")
_SHELLED: Final = re.compile(r"=\s{0,3}[!%]")
_WORD_BEFORE: Final = re.compile(r"(\w{1,80})\s{0,3}$")


def brings_names(text: str) -> bool:
    """Tell whether a magic may define any names: `%run`, `%store`, `%%sql`."""
    return _MAGIC.search(text) is not None


def named_by_magic(text: str) -> Iterator[str]:
    """Names that get a value from a shell or a magic: `files = !ls`."""
    for found in _SHELLED.finditer(text):
        before = _WORD_BEFORE.search(text[max(0, found.start() - 84) : found.start()])
        if before:
            yield before.group(1)
    yield from (n for names in _BY_MAGIC.findall(text) for n in names if n)
