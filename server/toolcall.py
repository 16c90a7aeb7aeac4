"""Handler of `tools/call`.  Imported at the first call, never at start."""

from __future__ import annotations

import functools
import os
import threading
import time
from collections.abc import Mapping
from typing import Any

import anyio
import anyio.from_thread
import anyio.to_thread
from mcp.server.context import HandlerResult, ServerRequestContext
from mcp.shared.exceptions import MCPError
from mcp_types import INVALID_PARAMS, CallToolRequestParams
from pydantic import BaseModel

from mlops_advisor.server import calls, elicitation, registry
from mlops_advisor.server.settings import Settings
from mlops_advisor.tools.common.errors import AdvisorError, Problem

Ctx = ServerRequestContext[Any, Any]

GRACE_SECONDS = 5.0  # for a run to end by itself, with a partial result
_PROGRESS_STEPS = 20  # at most so many notifications a call


class Calls:
    """Handler of `tools/call`."""

    def __init__(self, given: Settings) -> None:
        self._roots = given.roots
        self._ready: set[str] = set()
        # Parsing keeps a core busy; more threads than cores would only starve the transport.
        self._workers = anyio.CapacityLimiter(os.cpu_count() or 1)

    async def __call__(self, ctx: Ctx, params: CallToolRequestParams) -> HandlerResult:
        """Run a tool.  What the caller did wrong comes back as a result with `isError`."""
        if params.name not in registry.names():
            raise _unknown_tool(params.name)
        try:
            return await self._answer(ctx, params)
        except (AdvisorError, calls.InternalError) as error:
            text = calls.refusal(error)
            return {
                "resultType": "complete",
                "content": [{"type": "text", "text": text}],
                "isError": True,
            }

    async def _answer(self, ctx: Ctx, params: CallToolRequestParams) -> HandlerResult:
        tool = await self._tool(params.name)
        arguments: Mapping[str, Any] = params.arguments or {}
        request = calls.prepare(tool, arguments)
        talk = elicitation.resume(params)
        if talk.answers:
            request = calls.prepare(tool, elicitation.merge(arguments, request, talk))
        outcome = await self._run(ctx, tool, request)
        if not (_wants_interview(request) and elicitation.can_be_asked(ctx)):
            return _success(outcome)
        while questions := elicitation.next_questions(talk, outcome.result):
            talk = talk.ask(questions)
            if elicitation.asks_by_result(ctx):
                return elicitation.input_required(talk, questions)
            before = talk.answers
            talk = await elicitation.ask_live(ctx, talk, questions)
            if talk.answers != before:
                request = calls.prepare(tool, elicitation.merge(arguments, request, talk))
                outcome = await self._run(ctx, tool, request)
        return _success(outcome)

    async def _tool(self, name: str) -> registry.Tool:
        if name in self._ready:
            return registry.load(name)
        # The first call imports models and parses knowledge: not on the event loop.
        tool = await anyio.to_thread.run_sync(calls.load, name)
        self._ready.add(name)
        return tool

    async def _run(self, ctx: Ctx, tool: registry.Tool, request: BaseModel) -> calls.Outcome:
        """Run at once when it takes a few milliseconds; in a thread when it takes longer.

        Raises TimedOutError when the thread goes on after its deadline and a grace.
        """
        stop = threading.Event()
        seconds = calls.timeout_seconds(request)
        deadline = time.monotonic() + seconds

        def expired() -> bool:
            return stop.is_set() or time.monotonic() >= deadline

        if not calls.takes_long(request):
            limits = calls.Limits(roots=self._roots, expired=expired)
            return calls.execute(tool, request, limits)
        limits = calls.Limits(
            roots=self._roots, expired=expired, progress=_Progress(ctx, stop).report
        )
        work = functools.partial(calls.execute, tool, request, limits)
        try:
            with anyio.fail_after(seconds + GRACE_SECONDS):
                return await anyio.to_thread.run_sync(
                    work, abandon_on_cancel=True, limiter=self._workers
                )
        except TimeoutError:
            hint = "give less text or fewer files, or a larger timeout"
            problem = Problem("options.timeout_ms", hint)
            raise calls.TimedOutError(f"no result after {seconds:g} s", (problem,)) from None
        finally:
            # On cancellation the thread is left to itself; this makes it end soon.
            stop.set()


class _Progress:
    """Passes progress from the worker thread to the client, in rising steps, not too many."""

    def __init__(self, ctx: Ctx, stop: threading.Event) -> None:
        self._ctx = ctx
        self._stop = stop
        self._last = -1

    def report(self, done: int, total: int, message: str) -> None:
        """Send the step if it is a new one; nothing is sent without a progress token."""
        step = done * _PROGRESS_STEPS // max(total, 1)
        if step <= self._last or self._stop.is_set():
            return
        self._last = step
        try:
            anyio.from_thread.run(
                self._ctx.session.report_progress, float(done), float(total), message
            )
        except Exception:  # noqa: BLE001 - the client is gone or the loop is closing
            self._stop.set()


def _wants_interview(request: BaseModel) -> bool:
    return bool(getattr(getattr(request, "options", None), "interview", False))


def _success(outcome: calls.Outcome) -> dict[str, Any]:
    return {
        "resultType": "complete",
        "content": [{"type": "text", "text": outcome.text}],
        "structuredContent": outcome.structured,
        "isError": False,
    }


def _unknown_tool(name: str) -> MCPError:
    close = calls.nearest(name[:100], registry.names())
    hint = f"; did you mean {close[0]}?" if close else f"; known: {', '.join(registry.names())}"
    return MCPError(INVALID_PARAMS, f"Unknown tool: {name[:100]}{hint}")
