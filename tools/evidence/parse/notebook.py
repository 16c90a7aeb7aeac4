"""Notebooks as one synthetic module: code cells joined, magics blanked, outputs never looked at."""

from __future__ import annotations

import ast
import json
import re
from dataclasses import dataclass, field
from typing import Final

from mlops_advisor.tools.evidence.parse.python import summarise
from mlops_advisor.tools.evidence.parse.python_lines import read_lines
from mlops_advisor.tools.evidence.parse.python_model import PythonModule
from mlops_advisor.tools.evidence.parse.syntax import syntax_tree

_TRIES: Final = 4
_MISSES: Final = 200  # lines not found in the file, each a search to its end
_LOOKS: Final = 50
_LINE_MAGICS: Final = ("%", "!", "?")
_CODE_MAGICS: Final = ("%%time", "%%timeit", "%%capture", "%%prun")
SCRIPT: Final = "written_"  # begins the names of functions that stand for scripts
_SCRIPT: Final = re.compile(r"^%%writefile\s{1,9}(?:-a\s{1,9})?[\"']?([^\s\"']{1,200})\.py\b")


@dataclass(slots=True)
class Notebook:
    """A module and where each of its lines stands: `lines[i]` is (cell, line in it, text).

    `written` holds the same lines before magics were blanked.
    """

    path: str
    module: PythonModule
    lines: list[tuple[int, int, str]] = field(default_factory=list)
    written: list[str] = field(default_factory=list)
    language: str = "python"
    problem: str = ""


def parse_notebook(path: str, text: str) -> Notebook:
    """Read a notebook; a cell that does not parse is left out, the others stay."""
    empty = Notebook(path, PythonModule(path, notebook=True), problem="not a notebook")
    try:
        data = json.loads(text)
    except (ValueError, RecursionError, MemoryError):
        return empty
    if not isinstance(data, dict):
        return empty
    cells = _cells(data)
    language = _language(data)
    if language != "python":
        empty.language, empty.problem = language, f"notebook in {language}"
        return empty
    sources = [(n, _blank_magics(lines)) for n, lines in cells]
    book = Notebook(path, PythonModule(path, notebook=True))
    book.written = [line for _, lines in cells for line in lines]
    for number, lines in sources:
        book.lines.extend((number, i, line) for i, line in enumerate(lines, 1))
    tree, problem = notebook_tree(book)
    if problem:
        book.problem = f"some cells do not parse: {problem}" if tree is not None else problem
    whole = "\n".join(line for _, _, line in book.lines)
    book.module = summarise(path, tree) if tree is not None else read_lines(path, whole)
    book.module.notebook = True
    return book


def notebook_tree(book: Notebook) -> tuple[ast.Module | None, str]:
    """Tree of the joined code cells, without those that do not parse; says what was wrong."""
    cells: dict[int, list[str]] = {}
    for number, _, line in book.lines:
        cells.setdefault(number, []).append(line)
    sources = list(cells.values())
    tree, problem = syntax_tree(_joined(sources))
    if tree is None:
        tree = _without_bad_cells(sources, problem)
    return tree, problem


def _without_bad_cells(sources: list[list[str]], problem: str) -> ast.Module | None:
    """Blank the cell that the parser points at and try again; when that fails, try each cell."""
    for _ in range(_TRIES):
        found = re.search(r"line (\d{1,9})$", problem)
        if not found:
            break
        at = int(found.group(1))
        for i, lines in enumerate(sources):
            at -= len(lines)
            if at <= 0:
                sources[i] = [""] * len(lines)
                break
        tree, problem = syntax_tree(_joined(sources))
        if tree is not None:
            return tree
    good = [s if syntax_tree("\n".join(s))[0] else [""] * len(s) for s in sources]
    return syntax_tree(_joined(good))[0]


def _joined(sources: list[list[str]]) -> str:
    return "\n".join(line for lines in sources for line in lines)


def _cells(data: dict[str, object]) -> list[tuple[int, list[str]]]:
    cells = data.get("cells")
    if not isinstance(cells, list):  # version 3 of the format
        sheets = data.get("worksheets")
        first = sheets[0] if isinstance(sheets, list) and sheets else None
        cells = first.get("cells") if isinstance(first, dict) else None
    found: list[tuple[int, list[str]]] = []
    for number, cell in enumerate(cells if isinstance(cells, list) else [], 1):
        if isinstance(cell, dict) and cell.get("cell_type") == "code":
            source = cell.get("source", cell.get("input", ""))
            text = (
                "".join(s for s in source if isinstance(s, str))
                if isinstance(source, list)
                else source
            )
            if isinstance(text, str) and text.strip():
                found.append((number, text.split("\n")))
    return found


def _language(data: dict[str, object]) -> str:
    meta = data.get("metadata")
    for key in ("language_info", "kernelspec"):
        part = meta.get(key) if isinstance(meta, dict) else None
        name = (
            (part.get("name") if key == "language_info" else part.get("language"))
            if isinstance(part, dict)
            else None
        )
        if isinstance(name, str) and name.strip():
            low = name.strip().lower()
            return "python" if "python" in low or low == "sage" else low[:40]
    return "python"


def _blank_magics(lines: list[str]) -> list[str]:
    first = next((line.strip() for line in lines if line.strip()), "")
    script = _SCRIPT.match(first)
    if script is not None:
        return _as_function(lines, script.group(1))
    if first.startswith("%%") and not first.startswith(_CODE_MAGICS):
        return [""] * len(lines)
    result: list[str] = []
    for line in lines:
        bare = line.lstrip()
        indent = line[: len(line) - len(bare)]
        if bare.startswith(_LINE_MAGICS):
            result.append(indent + "pass" if indent else "")
        elif "= !" in line or "= %" in line or bare.rstrip().endswith("?"):
            result.append(indent + "pass" if bare and not bare.startswith("#") else "")
        else:
            result.append(line)
    return result


def _as_function(lines: list[str], name: str) -> list[str]:
    """Make the script that a cell writes a function: its names are its own, its lines stay."""
    result = [f"    {line}" if line.strip() else "" for line in lines]
    at = next(i for i, line in enumerate(lines) if line.strip())
    result[at] = f"def {SCRIPT}{re.sub(r'[^0-9a-zA-Z]', '_', name)}():"
    return result


def file_lines(book: Notebook, text: str) -> list[int]:
    """Line of the file at which each line of a notebook stands, in one pass from the top.

    Lines that are blank or written with unusual escapes get that of the line before them.
    """
    found: list[int] = []
    at, number, misses = 0, 1, 0
    for source in book.written:
        if source.strip() and misses < _MISSES:
            ways = (True,) if source.isascii() else (True, False)
            spellings = {json.dumps(source, ensure_ascii=a)[1:-1] for a in ways}
            places = [p for s in spellings if (p := _string_in(text, s, at)) >= 0]
            if places:
                number += text.count("\n", at, min(places))
                at = min(places) + 1
            else:
                misses += 1
        found.append(number)
    return found


def _string_in(text: str, wanted: str, start: int) -> int:
    """Find a whole line of a JSON string; -1 when there is none."""
    at = start
    for _ in range(_LOOKS):
        at = text.find(wanted, at)
        if at < 0:
            return -1
        after = text[at + len(wanted) : at + len(wanted) + 1]
        before = text[max(0, at - 2) : at]
        if after in ('"', "\\") and (before.endswith('"') or before == "\\n"):
            return at
        at += 1
    return -1
