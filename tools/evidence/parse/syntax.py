"""Python text to a syntax tree, or the reason why not; total on any text."""

from __future__ import annotations

import ast
import threading
import warnings
from typing import Final

from mlops_advisor.tools.evidence.parse.python_older import as_python_3

# The parser recurses on these; nobody writes so many in a row, and a small thread stack is dear.
# What slips by with odd spaces, the parser's own limits stop.
_DEEP_MARKS: Final = (
    *(c * 90 for c in "[({"),
    *(f"{c} " * 90 for c in "[({"),
    *(c * 300 for c in "-+~"),
    *(f"{c} " * 200 for c in "-+~"),
    "not " * 200,
    "await " * 200,
    "lambda:" * 60,
    "lambda: " * 60,
)
_MAX_ELIF: Final = 600
# catch_warnings swaps process-wide state, so only one thread may be inside it.
_WARNINGS: Final = threading.Lock()


def tolerant_tree(text: str) -> tuple[ast.Module | None, str]:
    """Parse; what is Python 2 or a template is parsed with those parts rewritten, line by line."""
    tree, problem = syntax_tree(text)
    if tree is None and problem.startswith("syntax error"):
        plainer = as_python_3(text)
        if plainer != text:
            again, _ = syntax_tree(plainer)
            if again is not None:
                return again, ""
    return tree, problem


def syntax_tree(text: str) -> tuple[ast.Module | None, str]:
    """Parse, or say why not."""
    if any(mark in text for mark in _DEEP_MARKS) or text.count("elif ") > _MAX_ELIF:
        return None, "nested too deeply"
    try:
        with _WARNINGS, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return ast.parse(text), ""
    except SyntaxError as error:
        return None, f"syntax error in line {error.lineno or 1}"
    except (ValueError, RecursionError, MemoryError):
        return None, "source that Python cannot parse"
