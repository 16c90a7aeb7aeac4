"""`serve`: the MCP server on the transport asked for."""

from __future__ import annotations

import argparse
import logging
import sys
from importlib import import_module

from mlops_advisor.server import logs
from mlops_advisor.server.app import build_server
from mlops_advisor.server.settings import Settings, default_roots, named_roots

logger = logging.getLogger(__name__)

_TRANSPORTS = {"stdio": "stdio", "http": "web", "sse": "web"}


def run(args: argparse.Namespace) -> int:
    """Serve until the client leaves or a signal comes; return the exit code."""
    logs.configure(logging.INFO)
    try:
        given = named_roots(args.root)
    except ValueError as error:
        sys.stderr.write(f"mlops-advisor: {error}\n")
        return 2
    if not given and args.transport == "stdio":
        given = default_roots()
    logger.info("serving over %s, roots: %s", args.transport, [str(root) for root in given])
    server = build_server(Settings(roots=given))
    module = import_module(f"{__package__}.{_TRANSPORTS[args.transport]}")
    code: int = module.serve(server, args)
    return code
