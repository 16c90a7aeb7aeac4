"""Python 2 and templates of Python, rewritten so that the parser of today reads them."""

from __future__ import annotations

import re
from typing import Final

_MAX_LINE: Final = 2_000
_TEMPLATE_BLOCK: Final = re.compile(r"\{%[^%]{0,500}%\}|\{#[^#]{0,500}#\}")
_TEMPLATE_VALUE: Final = re.compile(r"\{\{[^{}\n]{0,200}\}\}")
_PRINT: Final = re.compile(r"^(\s*)print[ \t]+([^(=\s].*?)[ \t]*,?[ \t]*$")
_EXCEPT: Final = re.compile(r"^(\s*)except[ \t]+([\w.]+),[ \t]*(\w+)[ \t]*:")


def as_python_3(text: str) -> str:
    """Rewrite Python 2 statements and template marks; every line stays where it is."""
    if "{%" in text or "{{" in text or "{#" in text:
        text = _TEMPLATE_BLOCK.sub(_only_newlines, text)
        text = _TEMPLATE_VALUE.sub("template_value", text)
    lines = text.split("\n")
    for i, line in enumerate(lines):
        if "print" in line:
            line = _PRINT.sub(r"\1print(\2)", line[:_MAX_LINE])  # noqa: PLW2901
        if "except" in line:
            line = _EXCEPT.sub(r"\1except \2 as \3:", line[:_MAX_LINE])  # noqa: PLW2901
        lines[i] = line
    return "\n".join(lines)


def _only_newlines(found: re.Match[str]) -> str:
    return "\n" * found.group(0).count("\n")
