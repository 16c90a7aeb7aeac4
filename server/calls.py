"""One tool call from arguments to result: the same code for `tools/call` and `mlops-advisor call`.

Knows nothing of the protocol.  Imported at the first call, never at start.  Every way to fail
ends in an AdvisorError (the caller's fault, explained) or in InternalError (ours: a reference
for the caller, the traceback in the log).
"""

from __future__ import annotations

import json
import logging
import threading
import uuid
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime
from difflib import get_close_matches
from functools import partial
from pathlib import Path
from typing import Any

from cachetools import LRUCache
from cachetools.keys import hashkey
from pydantic import BaseModel, ValidationError

from mlops_advisor.resources import loaders
from mlops_advisor.resources.errors import DataFileError
from mlops_advisor.server import registry
from mlops_advisor.tools.common.errors import (
    AdvisorError,
    DataInvalidError,
    InvalidInputError,
    PathDeniedError,
    Problem,
)
from mlops_advisor.tools.common.run import RunContext, ScanReport

logger = logging.getLogger(__name__)

_PROBLEMS_SHOWN = 20
_NAME_SHOWN = 60
_PROBLEM_SHOWN = 400
_TEXT_AT_ONCE = 500  # characters of free text that are matched in a few milliseconds


# Results by request: 128 of at most 30 kB or so with `detail: summary`.
_KEPT: LRUCache[tuple[Hashable, ...], Outcome] = LRUCache(maxsize=128)
_KEPT_LOCK = threading.Lock()


class InternalError(Exception):
    """Something of ours broke; `reference` finds the traceback in the log."""

    def __init__(self, reference: str) -> None:
        """Keep the reference that the caller is told."""
        super().__init__(f"internal error (reference {reference})")
        self.reference = reference


class TimedOutError(AdvisorError):
    """A run did not end, although it was told that its time is up."""

    code = "timeout_exceeded"


@dataclass(frozen=True, slots=True)
class Outcome:
    """`structured` is the wire form of `result`; `text` tells the same to a reader."""

    result: BaseModel
    structured: dict[str, Any]
    text: str


def _never() -> bool:
    return False


def _silent(_done: int, _total: int, _message: str) -> None:
    return None


@dataclass(frozen=True, slots=True)
class Limits:
    """What a run may do: `roots` to read below, when to stop, whom to tell how far it is."""

    roots: tuple[Path, ...] = ()
    expired: Callable[[], bool] = _never
    progress: Callable[[int, int, str], None] = _silent


@contextmanager
def _guarded(what: str) -> Iterator[None]:
    """Let only AdvisorError and InternalError out, and a KeyboardInterrupt.

    Also what is no Exception (a panic of a native library, SystemExit of third-party code)
    must not take the server with it.
    """
    try:
        yield
    except (AdvisorError, KeyboardInterrupt):
        raise
    except DataFileError as error:
        raise DataInvalidError(f"a knowledge file is broken: {error}") from error
    except BaseException as error:
        reference = uuid.uuid4().hex[:12]
        logger.exception("%s failed, reference %s", what, reference)
        raise InternalError(reference) from error


def load(name: str) -> registry.Tool:
    """Return the tool with everything it needs in memory; takes its time at the first call."""
    with _guarded(name):
        loaders.bundled()
        return registry.load(name)


def prepare(tool: registry.Tool, arguments: Mapping[str, Any]) -> BaseModel:
    """Return the validated request.  Raises InvalidInputError that names each field.

    Some clients send lists and objects as JSON text, or null for what they leave out; that is
    undone only when the plain arguments do not validate, so that it costs others nothing.
    """
    with _guarded(tool.name):
        schema = registry.input_schema(tool.name) or {}
        try:
            return tool.input_model.model_validate(arguments)
        except ValidationError as error:
            first = error
        decoded = _undo_json_text(_without_nulls(arguments), schema)
        if decoded != arguments:
            try:
                return tool.input_model.model_validate(decoded)
            except ValidationError as error:
                first = error
        raise _invalid(first, schema)


def execute(tool: registry.Tool, request: BaseModel, limits: Limits) -> Outcome:
    """Run the tool.  Raises AdvisorError, or InternalError for everything else.

    A tool is a function of its request, the date and the knowledge, so a result that rests on no
    file is kept and given again for the very same request.
    """
    with _guarded(tool.name):
        _check_roots(request, limits.roots)
        context = RunContext(
            as_of=_as_of(request),
            knowledge=loaders.bundled(),
            roots=limits.roots,
            expired=limits.expired,
            progress=limits.progress,
            changed=partial(_changed, limits),
            scan=partial(_scan, limits),
        )
        key = None if _reads_files(request) else hashkey(tool.name, context.as_of, request)
        if key is not None and not _refresh(request):
            with _KEPT_LOCK:
                kept = _KEPT.get(key)
            if kept is not None:
                return kept
        result = tool.run(request, context)
        structured = result.model_dump(mode="json", exclude_none=True)
        outcome = Outcome(result=result, structured=structured, text=tool.render(result))
        if key is not None and not _degraded(result):
            with _KEPT_LOCK:
                _KEPT[key] = outcome
        return outcome


def _changed(
    limits: Limits, workspace: str, revision: str, texts: Mapping[str, str]
) -> Mapping[str, frozenset[int]]:
    from mlops_advisor.server.gitdiff import changed_lines  # noqa: PLC0415 - rarely needed

    return changed_lines(limits.roots[0] / workspace, revision, texts, limits.expired)


def _scan(limits: Limits, workspace: str, paths: Iterable[str]) -> ScanReport:
    from mlops_advisor.server.scanners import scan  # noqa: PLC0415 - only the audit needs it

    return scan(limits.roots[0] / workspace, paths, limits.expired)


def _reads_files(request: BaseModel) -> bool:
    return bool(getattr(request, "workspace", None) or getattr(request, "files", None))


def _refresh(request: BaseModel) -> bool:
    return bool(getattr(getattr(request, "options", None), "force_refresh", False))


def _degraded(result: BaseModel) -> bool:
    return bool(getattr(getattr(result, "degradation", None), "level", 0))


def refusal(error: AdvisorError | InternalError) -> str:
    """Return the text of a failed call: the code and message, then a line of JSON per problem."""
    if isinstance(error, InternalError):
        return f"internal_error: {error}; nothing is wrong with the arguments"
    lines = [f"{error.code}: {error.message}"]
    lines += [
        json.dumps({"field": item.field, "problem": item.problem}, ensure_ascii=False)
        for item in error.problems
    ]
    return "\n".join(lines)


def takes_long(request: BaseModel) -> bool:
    """Say whether a run takes more than a few milliseconds: files to parse, or much text."""
    if _reads_files(request):
        return True
    texts: Sequence[str] = getattr(request, "practices", ())
    return sum(map(len, texts)) > _TEXT_AT_ONCE


def timeout_seconds(request: BaseModel) -> float:
    """Return the caller's deadline in seconds; 30 if the tool has no such option."""
    options = getattr(request, "options", None)
    return float(getattr(options, "timeout_ms", 30_000)) / 1000


def nearest(name: str, known: tuple[str, ...], count: int = 1) -> list[str]:
    """Return the known names most like `name`, best first, or none."""
    return get_close_matches(name, known, n=count, cutoff=0.6)


def _as_of(request: BaseModel) -> date:
    text = getattr(getattr(request, "options", None), "as_of", None)
    if text is None:
        return datetime.now(UTC).date()
    try:
        return date.fromisoformat(text)
    except ValueError:
        problem = Problem("options.as_of", "there is no such day; give an ISO date, 2026-01-31")
        raise InvalidInputError("the arguments do not validate", (problem,)) from None


def _check_roots(request: BaseModel, roots: tuple[Path, ...]) -> None:
    if getattr(request, "workspace", None) and not roots:
        problem = Problem(
            "workspace",
            "this server was started without a folder to read; start it with --root DIR,"
            " or pass the files themselves in `files`",
        )
        raise PathDeniedError("no folder may be read", (problem,))


def _invalid(error: ValidationError, schema: Mapping[str, Any]) -> InvalidInputError:
    found = error.errors(include_url=False, include_context=False, include_input=False)
    problems = [
        Problem(_field(item["loc"]), _problem(item["type"], item["msg"], item["loc"], schema))
        for item in found[:_PROBLEMS_SHOWN]
    ]
    if len(found) > _PROBLEMS_SHOWN:
        problems.append(Problem("", f"and {len(found) - _PROBLEMS_SHOWN} more problems"))
    return InvalidInputError("the arguments do not validate", tuple(problems))


def _field(loc: tuple[int | str, ...]) -> str:
    return ".".join(_cut(str(part), _NAME_SHOWN) for part in loc)


# Python's words for what JSON calls otherwise.
_IN_JSON = (
    ("Input should be a valid tuple", "Input should be a list"),
    ("Tuple should have", "The list should have"),
    ("Input should be a valid dictionary or instance of", "Input should be an object:"),
)


def _problem(kind: str, message: str, loc: tuple[int | str, ...], schema: Mapping[str, Any]) -> str:
    if kind != "extra_forbidden":
        if kind.startswith("int_"):
            return "Input should be a whole number in the range of the schema"
        for python, plain in _IN_JSON:
            message = message.replace(python, plain)
        return _cut(message, _PROBLEM_SHOWN)
    known = _fields_at(schema, loc[:-1])
    close = nearest(str(loc[-1])[:_NAME_SHOWN], known)
    if close:
        return f"unknown field; did you mean '{close[0]}'?"
    listed = ", ".join(known[:_PROBLEMS_SHOWN])
    return f"unknown field; known are: {listed}" if listed else "unknown field"


def _fields_at(schema: Mapping[str, Any], loc: tuple[int | str, ...]) -> tuple[str, ...]:
    """Return the property names that the schema knows at a place in the input."""
    node: Mapping[str, Any] = schema
    for part in loc:
        inner = node.get("items") if isinstance(part, int) else node.get("properties", {}).get(part)
        if not isinstance(inner, Mapping):
            return ()
        node = inner
    return tuple(node.get("properties", {}))


def _without_nulls(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments without fields that are null, two levels deep."""
    return {
        name: {k: v for k, v in value.items() if v is not None}
        if isinstance(value, dict)
        else value
        for name, value in arguments.items()
        if value is not None
    }


def _undo_json_text(arguments: Mapping[str, Any], schema: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments with JSON text parsed where a list or object is due."""
    changed: dict[str, Any] = {}
    for name, value in arguments.items():
        due = schema.get("properties", {}).get(name, {}).get("type")
        if due in {"array", "object"} and isinstance(value, str):
            try:
                parsed = json.loads(value)
            except (ValueError, RecursionError):
                continue
            if isinstance(parsed, list if due == "array" else dict):
                changed[name] = parsed
    return {**arguments, **changed}


def _cut(text: str, length: int) -> str:
    return text if len(text) <= length else text[: length - 1] + "…"
