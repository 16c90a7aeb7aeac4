"""The server over HTTP: Streamable HTTP at /mcp, HTTP+SSE at /sse for older clients, health."""

from __future__ import annotations

import argparse
import ipaddress
import logging
import signal
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from types import FrameType
from typing import Any, Final

import anyio
import anyio.to_thread
import uvicorn
from mcp.server.lowlevel import Server
from mcp.server.sse import SseServerTransport
from mcp.server.streamable_http_manager import StreamableHTTPASGIApp, StreamableHTTPSessionManager
from mcp.server.transport_security import TransportSecurityMiddleware, TransportSecuritySettings
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.types import Receive, Scope, Send

from mlops_advisor.resources import loaders
from mlops_advisor.resources.errors import DataFileError
from mlops_advisor.server import registry

logger = logging.getLogger(__name__)

_LOOPBACK: Final = ("127.0.0.1", "localhost", "[::1]")
_GRACE_SECONDS: Final = 3


def serve(server: Server[Any], args: argparse.Namespace) -> int:
    """Serve until SIGTERM or SIGINT; running requests get three seconds.  Returns 0."""
    security = allowed(args.host, args.allow_host)
    if not _is_loopback(args.host) and not args.allow_host:
        logger.warning(
            "listening on %s, but only requests for %s are answered; name others with --allow-host",
            args.host,
            ", ".join(_hosts(args.host, ())),
        )
    config = uvicorn.Config(
        build_app(server, security, streamable=args.transport == "http"),
        host=args.host,
        port=args.port,
        log_config=None,  # the root logger writes to stderr
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=_GRACE_SECONDS,
    )
    # uvicorn shuts down by itself, then raises the signal once more for whoever started it.
    signal.signal(signal.SIGTERM, _leave)
    signal.signal(signal.SIGINT, _leave)
    anyio.run(uvicorn.Server(config).serve)
    return 0


def build_app(
    server: Server[Any], security: TransportSecuritySettings, *, streamable: bool = True
) -> Starlette:
    """Return the web application; without `streamable` it has the SSE part alone.

    /mcp keeps no sessions, so any worker can answer any request.  JSON answers stay off: they
    would do away with progress and cancellation.
    """
    messages = SseServerTransport("/messages/", security_settings=security)
    routes: list[BaseRoute] = [
        Route("/healthz", _healthz),
        Route("/readyz", _readyz),
        Route("/sse", _Sse(server, messages, security), methods=["GET"]),
        Mount("/messages/", messages.handle_post_message),
    ]
    if not streamable:
        return Starlette(routes=routes)
    manager = StreamableHTTPSessionManager(server, stateless=True, security_settings=security)

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        async with manager.run():
            yield

    routes.append(Route("/mcp", StreamableHTTPASGIApp(manager)))
    return Starlette(routes=routes, lifespan=lifespan)


def allowed(host: str, more: Sequence[str]) -> TransportSecuritySettings:
    """Return which Host and Origin headers are answered: this machine's and those named."""
    hosts = _hosts(host, more)
    return TransportSecuritySettings(
        enable_dns_rebinding_protection=True,
        allowed_hosts=[form for name in hosts for form in (name, f"{name}:*")],
        allowed_origins=[
            form
            for name in hosts
            for scheme in ("http", "https")
            for form in (f"{scheme}://{name}", f"{scheme}://{name}:*")
        ],
    )


class _Sse:
    """The stream of one HTTP+SSE client."""

    def __init__(
        self,
        server: Server[Any],
        messages: SseServerTransport,
        security: TransportSecuritySettings,
    ) -> None:
        self._server = server
        self._messages = messages
        self._security = TransportSecurityMiddleware(security)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        # The SDK checks the same, but then raises, which would end in a traceback in the log.
        refused = await self._security.validate_request(Request(scope, receive))
        if refused is not None:
            await refused(scope, receive, send)
            return
        async with self._messages.connect_sse(scope, receive, send) as (incoming, outgoing):
            await self._server.run(incoming, outgoing, self._server.create_initialization_options())


async def _healthz(_request: Request) -> Response:
    """Say that the process answers."""
    return JSONResponse({"status": "ok"})


async def _readyz(_request: Request) -> Response:
    """Say whether knowledge and schemas load; doing so also makes the first call quick."""
    try:
        await anyio.to_thread.run_sync(loaders.bundled)
        registry.listing()
    except (DataFileError, OSError, ValueError) as error:
        logger.error("not ready: %s", error)  # noqa: TRY400 - the message names file and line
        return JSONResponse({"status": "not ready", "reason": str(error)}, status_code=503)
    return JSONResponse({"status": "ok", "tools": list(registry.names())})


def _leave(_signal: int, _frame: FrameType | None) -> None:
    sys.exit(0)


def _hosts(host: str, more: Sequence[str]) -> list[str]:
    named = [f"[{name}]" if ":" in name and not name.startswith("[") else name for name in more]
    if not _is_any(host):
        named.append(f"[{host}]" if ":" in host else host)
    return list(dict.fromkeys([*_LOOPBACK, *named]))


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _is_any(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_unspecified
    except ValueError:
        return False
