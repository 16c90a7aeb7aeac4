"""`demo`: starts the real server, talks to it with the SDK's client, runs each tool on a sample."""

from __future__ import annotations

import argparse
import json
import logging
import os
import sys
import tempfile
from collections.abc import Mapping
from typing import Any, TextIO

import anyio
from mcp import Client, MCPError, StdioServerParameters, stdio_client
from mcp_types import CallToolResult, TextContent

from mlops_advisor.resources import loaders
from mlops_advisor.server import logs, registry

_SECONDS = 120
_RULE = "-" * 78


def run(_args: argparse.Namespace) -> int:
    """Print a report for people; return 0, or 1 if the server or a tool failed."""
    logs.configure(logging.WARNING)
    with tempfile.TemporaryFile("w+", encoding="utf-8") as log:
        try:
            return anyio.run(_demo, log)
        except (MCPError, OSError, TimeoutError, ExceptionGroup) as error:
            log.seek(0)
            sys.stderr.write(f"{log.read()}demo: the server did not answer: {error}\n")
            return 1


async def _demo(log: TextIO) -> int:
    """Talk to a server of its own; what that one logs goes to `log`."""
    command = ["-m", "mlops_advisor.server", "serve", "--root", str(loaders.SAMPLES)]
    # The SDK hands down only a few variables; Python's own decide what can be imported.
    environment = {name: value for name, value in os.environ.items() if name.startswith("PYTHON")}
    server = StdioServerParameters(command=sys.executable, args=command, env=environment)
    failed = False
    with anyio.fail_after(_SECONDS):
        async with Client(stdio_client(server, errlog=log)) as client:
            listed = [tool.name for tool in (await client.list_tools()).tools]
            server_name = client.server_info.title if client.server_info else "the server"
            _print(f"{server_name} over stdio, protocol {client.protocol_version}")
            _print(f"tools: {', '.join(listed)}")
            for name in registry.names():
                given = json.loads((loaders.SAMPLES / "inputs" / f"{name}.json").read_text("utf-8"))
                result = await client.call_tool(name, given)
                _report(name, given, result)
                failed = failed or result.is_error
    return int(failed)


def _report(name: str, given: Mapping[str, Any], result: CallToolResult) -> None:
    shown = json.dumps(given, ensure_ascii=False, indent=2)
    _print(f"\n{_RULE}\n{name} is called with\n{shown}\nand answers\n{_RULE}\n")
    for block in result.content:
        if isinstance(block, TextContent):
            _print(block.text)


def _print(text: str) -> None:
    """Write a line as bytes, because a terminal's encoding may not know every character."""
    sys.stdout.flush()
    sys.stdout.buffer.write(text.encode("utf-8", "replace") + b"\n")
    sys.stdout.buffer.flush()
