"""The floor: what the SDK alone costs.  One tool that returns what it was given at start."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from mcp.server.mcpserver import MCPServer
from mcp.types import CallToolResult, TextContent

CONSTANT: dict[str, Any] = {"structured": {"ok": True}, "text": "ok"}
if len(sys.argv) > 1:
    CONSTANT = json.loads(Path(sys.argv[1]).read_text("utf-8"))

server = MCPServer("bare")


@server.tool()
def assess_maturity(
    responses: list[dict[str, str]] | None = None, options: dict[str, Any] | None = None
) -> CallToolResult:
    """Return the constant result."""
    return CallToolResult(
        content=[TextContent(type="text", text=CONSTANT["text"])],
        structured_content=CONSTANT["structured"],
    )


if __name__ == "__main__":
    server.run("stdio")
