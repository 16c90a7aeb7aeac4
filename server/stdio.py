"""The server over stdin and stdout."""

from __future__ import annotations

import argparse
import contextvars
import json
import logging
import os
import re
import signal
import sys
from types import FrameType, TracebackType
from typing import Any, Final, Self

import anyio
from mcp.server.lowlevel import Server
from mcp.server.stdio import stdio_server
from mcp.shared._stream_protocols import ReadStream, WriteStream
from mcp.shared.message import SessionMessage
from mcp_types import INVALID_REQUEST, PARSE_ERROR, ErrorData, JSONRPCError, RequestId
from pydantic import ValidationError

logger = logging.getLogger(__name__)

# The id of a request that begins as clients write it, when the rest cannot be parsed.
_LEADING_ID: Final = re.compile(
    r'\s*\{\s*"jsonrpc"\s*:\s*"2\.0"\s*,\s*"id"\s*:\s*("[^"\\]{1,100}"|-?\d{1,18})\s*,'
)


def serve(server: Server[Any], _args: argparse.Namespace) -> int:
    """Serve one client until it closes stdin; SIGTERM and SIGINT end it at once, with 0."""
    signal.signal(signal.SIGTERM, _leave)
    signal.signal(signal.SIGINT, _leave)
    anyio.run(_serve, server)
    return 0


def _leave(_signal: int, _frame: FrameType | None) -> None:
    """End the process: the thread that waits for stdin cannot be woken, and nothing is unsaved."""
    sys.stderr.flush()
    os._exit(0)


async def _serve(server: Server[Any]) -> None:
    async with stdio_server() as (incoming, outgoing):
        await server.run(
            Answering(incoming, outgoing), outgoing, server.create_initialization_options()
        )


class Answering:
    """The incoming messages, with an answer for every line that is none.

    The SDK drops such a line: a client whose arguments are nested too deeply to parse would wait
    for ever.
    """

    def __init__(
        self,
        incoming: ReadStream[SessionMessage | Exception],
        outgoing: WriteStream[SessionMessage],
    ) -> None:
        self._incoming = incoming
        self._outgoing = outgoing

    @property
    def last_context(self) -> contextvars.Context | None:
        """Return the context of the message last received, as the SDK's streams have it."""
        context: contextvars.Context | None = getattr(self._incoming, "last_context", None)
        return context

    async def receive(self) -> SessionMessage | Exception:
        """Return the next message; refuse what comes before it and is none."""
        while True:
            item = await self._incoming.receive()
            error = refusal(item) if isinstance(item, ValidationError) else None
            if error is None:
                return item
            logger.warning("refused a line: %s", error.error.message)
            await self._outgoing.send(SessionMessage(error))

    async def aclose(self) -> None:
        """Close the incoming stream."""
        await self._incoming.aclose()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> SessionMessage | Exception:
        try:
            return await self.receive()
        except anyio.EndOfStream:
            raise StopAsyncIteration from None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc_val: BaseException | None,
        exc_tb: TracebackType | None,
    ) -> None:
        await self.aclose()


def refusal(fault: ValidationError) -> JSONRPCError | None:
    """Return the answer to a line that is no message, or None where none is due.

    Blank lines and malformed answers and notifications get none.
    """
    found = fault.errors(include_url=False, include_context=False)
    first = found[0]
    if first["type"] == "json_invalid":
        line = str(first["input"])
        if not line.strip():
            return None
        message = "Parse error: the line is no JSON, or nested too deeply"
        return _error(_leading_id(line), PARSE_ERROR, message)
    # A field that is missing, or a message that is no object, is reported with the whole message.
    whole = next(
        (item["input"] for item in found if item["type"] in {"missing", "model_type"}), None
    )
    if isinstance(whole, list):
        return _error(None, INVALID_REQUEST, "Invalid Request: batches are not accepted")
    if isinstance(whole, dict) and "method" in whole and "id" in whole:
        given = whole["id"]
        plain = isinstance(given, str | int) and not isinstance(given, bool)
        return _error(given if plain else None, INVALID_REQUEST, "Invalid Request")
    return None


def _leading_id(line: str) -> RequestId | None:
    match = _LEADING_ID.match(line)
    if match is None:
        return None
    value: RequestId = json.loads(match[1])
    return value


def _error(request: RequestId | None, code: int, message: str) -> JSONRPCError:
    return JSONRPCError(jsonrpc="2.0", id=request, error=ErrorData(code=code, message=message))
