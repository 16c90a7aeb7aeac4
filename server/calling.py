"""`call`: one tool on a JSON input, through the code that `tools/call` uses."""

from __future__ import annotations

import argparse
import json
import logging
import sys
import time
from pathlib import Path
from typing import Any

from mlops_advisor.server import calls, logs, registry
from mlops_advisor.server.settings import default_roots, named_roots
from mlops_advisor.tools.common.errors import (
    AdvisorError,
    DataInvalidError,
    InvalidInputError,
    Problem,
)

_INVALID = 2
_BROKEN = 1


def run(args: argparse.Namespace) -> int:
    """Print the structured result on stdout, or a JSON error on stderr; return the exit code."""
    logs.configure(logging.WARNING)
    try:
        given = named_roots(args.root) or default_roots()
    except ValueError as error:
        return _fail(_INVALID, str(error), (Problem("--root", "name an existing folder"),))
    try:
        outcome = call(args.tool, _read(args.input), given)
    except (DataInvalidError, calls.InternalError) as error:
        return _fail(_BROKEN, str(error), ())
    except AdvisorError as error:
        return _fail(_INVALID, f"{error.code}: {error.message}", error.problems)
    # Bytes, because a terminal's encoding may not know every character.
    sys.stdout.buffer.write(_dump(outcome.structured) + b"\n")
    sys.stdout.buffer.flush()
    return 0


def call(name: str, arguments: dict[str, Any], roots: tuple[Path, ...]) -> calls.Outcome:
    """Run the tool `name`.  Raises AdvisorError or InternalError."""
    if name not in registry.names():
        close = calls.nearest(name[:100], registry.names())
        hint = f"did you mean {close[0]}?" if close else f"known: {', '.join(registry.names())}"
        raise InvalidInputError("there is no such tool", (Problem("TOOL", hint),))
    tool = calls.load(name)
    request = calls.prepare(tool, arguments)
    deadline = time.monotonic() + calls.timeout_seconds(request)
    limits = calls.Limits(roots=roots, expired=lambda: time.monotonic() >= deadline)
    return calls.execute(tool, request, limits)


def _read(source: str | None) -> dict[str, Any]:
    """Return the arguments.  Raises InvalidInputError for what is no JSON object."""
    if source is None and sys.stdin.isatty():
        return {}
    try:
        raw = sys.stdin.buffer.read() if source in {None, "-"} else Path(str(source)).read_bytes()
        text = raw.decode("utf-8-sig")
    except OSError as error:
        raise _bad(f"cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise _bad(f"is not UTF-8, at byte {error.start}") from None
    if source is None and not text.strip():
        return {}
    try:
        data = json.loads(text, object_pairs_hook=_object, parse_constant=_no_constant)
    except json.JSONDecodeError as error:
        raise _bad(f"is no JSON: {error.msg}, line {error.lineno} column {error.colno}") from None
    except RecursionError:
        raise _bad("is nested too deeply") from None
    except ValueError as error:  # an integer of thousands of digits
        raise _bad(f"is no JSON: {str(error)[:100]}") from None
    if not isinstance(data, dict):
        raise _bad("must be a JSON object")
    return data


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Refuse a key given twice: the second would silently replace the first."""
    result = dict(pairs)
    if len(result) < len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in result if keys.count(key) > 1)
        raise InvalidInputError("the input is ambiguous", (Problem(twice[:60], "given twice"),))
    return result


def _no_constant(name: str) -> float:
    raise _bad(f"is no JSON: {name} is not a JSON number")


def _bad(problem: str) -> InvalidInputError:
    return InvalidInputError(f"the input {problem}", (Problem("--input", problem),))


def _fail(code: int, message: str, problems: tuple[Problem, ...]) -> int:
    details = [{"field": item.field, "problem": item.problem} for item in problems]
    sys.stderr.buffer.write(_dump({"error": message, "details": details}) + b"\n")
    sys.stderr.buffer.flush()
    return code


def _dump(data: object) -> bytes:
    return json.dumps(data, ensure_ascii=False, indent=2).encode("utf-8", "backslashreplace")
