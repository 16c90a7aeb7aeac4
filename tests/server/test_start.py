"""What a start costs, counted in modules: nothing that only a call needs."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

PROGRAM = """
import json, os, sys
from mlops_advisor.server import cli

# Serve one tools/list over stdio, then tell what was imported on the way.
import atexit
def tell():
    os.write(2, ("MODULES " + json.dumps(sorted(sys.modules)) + "\\n").encode())
atexit.register(tell)
sys.exit(cli.main(["serve"]))
"""
LIST = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "tools/list",
    "params": {
        "_meta": {
            "io.modelcontextprotocol/protocolVersion": "2026-07-28",
            "io.modelcontextprotocol/clientCapabilities": {},
        }
    },
}
BARE = """
import json, sys, mcp.server.lowlevel, mcp.server.stdio
print(json.dumps(sorted(sys.modules)))
"""
FORBIDDEN = (
    "anthropic",
    "yaml",
    "pathspec",
    "structlog",
    "cachetools",
    "pydantic_settings",
    "opentelemetry.sdk",
    "opentelemetry.exporter",
    "mlops_advisor.tools",
    "mlops_advisor.resources.loaders",
    "mlops_advisor.resources.models",
    "mlops_advisor.server.calls",
    "mlops_advisor.server.web",
)


@pytest.fixture(scope="module")
def started(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    """The modules a server has imported when it has answered `tools/list`."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        input=json.dumps(LIST) + "\n",
        capture_output=True,
        text=True,
        cwd=tmp_path_factory.mktemp("start"),
        timeout=60,
        check=True,
    )
    assert json.loads(done.stdout.splitlines()[0])["result"]["tools"]
    (line,) = [text for text in done.stderr.splitlines() if text.startswith("MODULES ")]
    return set(json.loads(line.removeprefix("MODULES ")))


def test_a_start_imports_nothing_that_only_a_call_needs(started: set[str]) -> None:
    found = [
        name
        for name in started
        if any(name == bad or name.startswith(f"{bad}.") for bad in FORBIDDEN)
    ]

    assert found == []


def test_a_start_imports_little_besides_the_sdk(started: set[str]) -> None:
    bare = json.loads(
        subprocess.run(
            [sys.executable, "-c", BARE], capture_output=True, text=True, timeout=60, check=True
        ).stdout
    )
    ours = started - set(bare)

    # The command line, logging, gettext and the server's own modules; no third-party package.
    # (anyio brings in its asyncio part when the loop starts.)
    foreign = {name.split(".")[0] for name in ours} - set(sys.stdlib_module_names)
    assert foreign <= {"mlops_advisor", "anyio"}
    assert len(ours) <= 40, sorted(ours)


def test_tools_list_comes_from_committed_files(root: Path) -> None:
    assert (root / "server" / "schemas" / "assess_maturity.json").is_file()
