"""Composition root: builds the MCP server out of tools, resources and prompts.

The SDK's low-level `Server` is used, not `MCPServer`: schemas come from committed files instead
of signatures, errors are worded here, and a call passes through as few layers as possible.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from importlib import import_module
from typing import Any

import anyio.to_thread
from mcp.server.caching import CacheHint
from mcp.server.context import HandlerResult, ServerRequestContext
from mcp.server.lowlevel import Server
from mcp.server.request_state import RequestStateBoundary, RequestStateSecurity
from mcp.shared.exceptions import MCPError
from mcp_types import (
    INVALID_PARAMS,
    CallToolRequestParams,
    CompleteRequestParams,
    GetPromptRequestParams,
    PaginatedRequestParams,
    ReadResourceRequestParams,
)

from mlops_advisor.server import listings, registry, settings
from mlops_advisor.server.middleware import faults

Ctx = ServerRequestContext[Any, Any]
Handler = Callable[[Ctx, Any], Awaitable[HandlerResult]]

_HOUR = CacheHint(ttl_ms=3_600_000, scope="public")


def build_server(given: settings.Settings) -> Server[Any]:
    """Return the server, ready to be run on any transport."""
    server: Server[Any] = Server(
        settings.NAME,
        version=settings.version(),
        title=settings.TITLE,
        description=settings.DESCRIPTION,
        instructions=settings.INSTRUCTIONS,
        website_url=settings.WEBSITE,
        cache_hints={
            "server/discover": _HOUR,
            "tools/list": _HOUR,
            "prompts/list": _HOUR,
            "resources/list": _HOUR,
            "resources/templates/list": _HOUR,
            "resources/read": _HOUR,
        },
        get_tool_input_schema=registry.input_schema,
    )
    handle = server.add_request_handler
    handle("tools/list", PaginatedRequestParams, _one_page("tools", registry.listing))
    handle("tools/call", CallToolRequestParams, Late("toolcall", "Calls", given))
    handle("resources/list", PaginatedRequestParams, _one_page("resources", listings.resources))
    handle(
        "resources/templates/list",
        PaginatedRequestParams,
        _one_page("resourceTemplates", listings.templates),
    )
    handle("resources/read", ReadResourceRequestParams, Late("resources", "Read"))
    handle("prompts/list", PaginatedRequestParams, _one_page("prompts", listings.prompts))
    handle("prompts/get", GetPromptRequestParams, Late("prompts", "Get"))
    handle("completion/complete", CompleteRequestParams, Late("completion", "Complete"))
    # Inside the SDK's own tracing: the state of interviews is sealed, then faults are caught.
    boundary = RequestStateBoundary(
        RequestStateSecurity.ephemeral(), default_audience=settings.NAME
    )
    server.middleware += [boundary, faults]
    return server


class Late:
    """A handler whose module is imported at its first use, in a thread.

    `module` lies in this package; `factory` in it is called with `args` and returns the handler.
    Models, engines and knowledge load this way, so that a start needs none of them.
    """

    def __init__(self, module: str, factory: str, *args: object) -> None:
        self._module = f"{__package__}.{module}"
        self._factory = factory
        self._args = args
        self._handler: Handler | None = None

    async def __call__(self, ctx: Ctx, params: object) -> HandlerResult:
        """Build the handler if this is its first use, and pass the message on."""
        if self._handler is None:
            handler = await anyio.to_thread.run_sync(self._build)
            if self._handler is None:  # another message may have been quicker: share its handler
                self._handler = handler
        return await self._handler(ctx, params)

    def _build(self) -> Handler:
        handler: Handler = getattr(import_module(self._module), self._factory)(*self._args)
        return handler


def _one_page(key: str, entries: Callable[[], tuple[dict[str, Any], ...]]) -> Handler:
    """Return a list handler; there is one page, so a cursor was never given out by us."""

    async def handler(_ctx: Ctx, params: PaginatedRequestParams) -> HandlerResult:
        if params.cursor is not None:
            raise MCPError(INVALID_PARAMS, "Invalid cursor: the list has one page")
        return {"resultType": "complete", key: list(entries())}

    return handler
