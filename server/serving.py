"""`serve`: the MCP server on the transport asked for."""

from __future__ import annotations

import argparse
import logging
import os
import sys
import threading
from importlib import import_module

from mlops_advisor.server import logs
from mlops_advisor.server.app import build_server
from mlops_advisor.server.settings import Settings, default_roots, named_roots

logger = logging.getLogger(__name__)

_PATIENCE_SECONDS = 1.0
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
    code: int
    try:
        code = module.serve(server, args)
    except SystemExit as leaving:
        code = leaving.code if isinstance(leaving.code, int) else 1
    _let_go(code)
    return code


def _let_go(code: int) -> None:
    """End the process here if a thread will not: one that was given up may run for minutes."""
    others = [t for t in threading.enumerate() if t is not threading.main_thread() and not t.daemon]
    for thread in others:
        thread.join(_PATIENCE_SECONDS)
    if any(thread.is_alive() for thread in others):
        logger.warning("left with a run unfinished")
        sys.stderr.flush()
        os._exit(code)
