"""The real server, started as users start it, on every transport and in both eras."""

from __future__ import annotations

import http.client
import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import anyio
import pytest
from mcp import Client, StdioServerParameters
from mcp.client.sse import sse_client
from mcp_types import ElicitResult

from mlops_advisor.server import web as web_module

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

ERAS = pytest.mark.parametrize("mode", ["legacy", "2026-07-28"])
TRANSPORTS = pytest.mark.parametrize("transport", ["stdio", "mcp", "sse"])
GIVEN = {
    "practices": ["We deploy by hand"],
    "options": {"as_of": "2026-11-23", "interview": False},
}


@pytest.fixture
def connect(request: pytest.FixtureRequest, server_command: list[str], tmp_path: Path) -> Any:
    """Return a function that makes a client for a transport and an era."""

    def make(transport: str, mode: str, **options: Any) -> Client:
        if transport == "stdio":
            target: Any = StdioServerParameters(
                command=server_command[0], args=[*server_command[1:], "serve"], cwd=tmp_path
            )
        else:
            url = request.getfixturevalue("web").url
            target = f"{url}/mcp" if transport == "mcp" else sse_client(f"{url}/sse")
        return Client(target, mode=mode, **options)

    return make


@ERAS
@TRANSPORTS
async def test_every_method_answers(connect: Any, transport: str, mode: str) -> None:
    with anyio.fail_after(60):
        async with connect(transport, mode) as client:
            tools = (await client.list_tools()).tools
            result = await client.call_tool("assess_maturity", GIVEN)
            resources = (await client.list_resources()).resources
            page = (await client.read_resource("mlops://rubric?format=markdown")).contents[0]
            prompts = (await client.list_prompts()).prompts
            prompt = await client.get_prompt("start_assessment", {"description": "we ship models"})

    assert "assess_maturity" in [tool.name for tool in tools]
    assert not result.is_error
    assert result.structured_content["level"] in range(5)
    assert result.content[0].text.startswith("# MLOps maturity")
    assert "mlops://rubric" in [str(entry.uri) for entry in resources]
    assert page.mime_type == "text/markdown"
    assert {"start_assessment", "mlops_basics"} == {entry.name for entry in prompts}
    assert "> we ship models" in prompt.messages[0].content.text


@ERAS
@TRANSPORTS
async def test_the_server_says_who_it_is(connect: Any, transport: str, mode: str) -> None:
    pinned = "auto" if mode != "legacy" else mode  # a pinned version skips discovery
    with anyio.fail_after(60):
        async with connect(transport, pinned) as client:
            info = client.server_info
            instructions = client.instructions

    assert (info.name, info.title) == ("mlops-advisor", "MLOps Advisor")
    assert info.version
    assert info.description
    assert info.website_url.startswith("https://")
    assert "assess_maturity" in instructions


@ERAS
@TRANSPORTS
async def test_the_answer_is_the_same_everywhere(connect: Any, transport: str, mode: str) -> None:
    with anyio.fail_after(60):
        async with connect("stdio", "legacy") as client:
            expected = await client.call_tool("assess_maturity", GIVEN)
        async with connect(transport, mode) as client:
            found = await client.call_tool("assess_maturity", GIVEN)

    assert found.structured_content == expected.structured_content
    assert found.content == expected.content


@pytest.mark.parametrize(
    ("transport", "mode", "asks"),
    [
        ("stdio", "legacy", True),
        ("stdio", "2026-07-28", True),
        ("mcp", "legacy", False),  # no session, so no way back to the client
        ("mcp", "2026-07-28", True),
        ("sse", "legacy", True),
        ("sse", "2026-07-28", True),
    ],
)
async def test_an_empty_call_interviews_where_it_can(
    connect: Any, transport: str, mode: str, asks: bool
) -> None:
    asked: list[str] = []

    async def person(_context: Any, params: Any) -> ElicitResult:
        asked.extend(params.requested_schema["properties"])
        content: Any = dict.fromkeys(params.requested_schema["properties"], "automated")
        return ElicitResult(action="accept", content=content)

    with anyio.fail_after(60):
        async with connect(transport, mode, elicitation_callback=person) as client:
            result = await client.call_tool("assess_maturity", {})

    assert not result.is_error
    assert len(asked) == len(set(asked))
    assert bool(asked) == asks
    answered = {
        item["practice"]
        for d in result.structured_content["dimensions"]
        for item in d["evidence"]
        if item["source"] == "response"
    }
    assert set(asked) >= answered
    if asks:
        assert answered
    else:
        assert len(result.structured_content["questions"]) == 12


@contextmanager
def stdio(command: list[str], folder: Path) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(
        [*command, "serve"],
        cwd=folder,
        text=True,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def exchange(process: subprocess.Popen[str], line: str) -> dict[str, Any]:
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(line + "\n")
    process.stdin.flush()
    answer: dict[str, Any] = json.loads(process.stdout.readline())
    return answer


def modern(number: int, method: str, **params: Any) -> str:
    meta = {
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": {},
    }
    message = {
        "jsonrpc": "2.0",
        "id": number,
        "method": method,
        "params": {"_meta": meta, **params},
    }
    return json.dumps(message)


def test_every_line_that_is_no_message_is_refused(
    server_command: list[str], tmp_path: Path
) -> None:
    deep = "[" * 5000 + "]" * 5000
    start = '{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"x","arguments":{"a":'
    with stdio(server_command, tmp_path) as process:
        first = exchange(process, modern(1, "tools/list"))
        refusals = [
            exchange(process, line)
            for line in (
                start + deep + "}}}",
                "no JSON",
                '[{"jsonrpc":"2.0","id":1,"method":"ping"}]',
                '{"jsonrpc":"2.0","id":9,"method":5}',
            )
        ]
        assert process.stdin is not None
        process.stdin.write('\n\n{"jsonrpc":"2.0","method":5}\n')  # these get no answer
        last = exchange(process, modern(2, "tools/list"))

    assert first["result"]["tools"] == last["result"]["tools"]
    assert [(r["id"], r["error"]["code"]) for r in refusals] == [
        (7, -32700),
        (None, -32700),
        (None, -32600),
        (9, -32600),
    ]


@pytest.mark.parametrize("ending", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_stdio_server(
    server_command: list[str], tmp_path: Path, ending: signal.Signals
) -> None:
    with stdio(server_command, tmp_path) as process:
        exchange(process, modern(1, "tools/list"))
        process.send_signal(ending)

        assert process.wait(10) == 0


def test_a_run_that_hangs_does_not_keep_the_process(tmp_path: Path) -> None:
    program = (
        "import sys, threading; from mlops_advisor.server import calls, cli;"
        "calls.execute = lambda *_: threading.Event().wait();"
        "sys.exit(cli.main(['serve']))"
    )
    arguments = {"practices": ["x" * 1000]}
    lines = [
        modern(1, "tools/call", name="assess_maturity", arguments=arguments),
        modern(2, "tools/list"),
    ]
    with subprocess.Popen(
        [sys.executable, "-c", program],
        cwd=tmp_path,
        text=True,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    ) as process:
        assert process.stdin is not None
        answer = exchange(process, "\n".join(lines))
        process.stdin.close()

        assert answer["id"] == 2
        assert process.wait(20) == 0


def test_stdout_carries_the_protocol_and_stderr_the_log(
    server_command: list[str], tmp_path: Path
) -> None:
    lines = [modern(1, "tools/list"), modern(2, "tools/call", name="assess_maturity", arguments={})]
    done = subprocess.run(
        [*server_command, "serve"],
        cwd=tmp_path,
        input="\n".join(lines) + "\n",
        text=True,
        capture_output=True,
        timeout=60,
        check=True,
    )

    # The client may leave before the second answer; whatever stands there is protocol.
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    assert answers[0]["id"] == 1
    assert all(answer["jsonrpc"] == "2.0" for answer in answers)
    entries = [json.loads(line) for line in done.stderr.splitlines()]
    assert str(tmp_path) in entries[0]["message"]


def test_a_home_folder_is_never_a_root_by_itself(
    server_command: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "user").mkdir()
    for folder in (tmp_path, tmp_path / "user"):
        monkeypatch.setenv("HOME", str(tmp_path / "user"))
        with stdio(server_command, folder) as process:
            exchange(process, modern(1, "tools/list"))
            asked = {"name": "assess_maturity", "arguments": {"workspace": str(folder)}}
            result = exchange(process, modern(2, "tools/call", **asked))["result"]

        assert result["isError"]
        assert "--root" in result["content"][0]["text"]


def test_a_root_that_is_not_there_is_refused(server_command: list[str], tmp_path: Path) -> None:
    done = subprocess.run(
        [*server_command, "serve", "--root", str(tmp_path / "none")],
        text=True,
        capture_output=True,
        timeout=60,
        check=False,
    )

    assert done.returncode == 2
    assert "there is no such folder" in done.stderr
    assert done.stdout == ""


def get(url: str, path: str, method: str = "GET", **headers: str) -> tuple[int, bytes]:
    place = urlsplit(url)
    with closing(http.client.HTTPConnection(place.hostname or "", place.port, timeout=20)) as link:
        link.request(method, path, headers=headers)
        answer = link.getresponse()
        # A stream has no end: its first line is enough.
        body = answer.readline() if path == "/sse" and answer.status == 200 else answer.read()
        return answer.status, body


def test_health_and_readiness(web: Any) -> None:
    assert get(web.url, "/healthz") == (200, b'{"status":"ok"}')
    status, body = get(web.url, "/readyz")
    assert status == 200
    assert "assess_maturity" in json.loads(body)["tools"]


@pytest.mark.parametrize("path", ["/mcp", "/sse", "/messages/?session_id=0"])
def test_a_foreign_host_or_origin_is_refused(web: Any, path: str) -> None:
    method = "GET" if path == "/sse" else "POST"
    json_type = {"Content-Type": "application/json"}
    assert get(web.url, path, method, Host="evil.example", **json_type)[0] == 421
    assert get(web.url, path, method, Origin="http://evil.example", **json_type)[0] == 403


def test_unknown_paths_and_methods_are_refused(web: Any) -> None:
    assert get(web.url, "/nothing")[0] == 404
    assert get(web.url, "/sse", "POST")[0] == 405


async def test_over_http_no_folder_is_read_unless_named(start_web: Any) -> None:
    server = start_web("--transport", "http")
    try:
        with anyio.fail_after(60):
            async with Client(f"{server.url}/mcp") as client:
                result: Any = await client.call_tool("assess_maturity", {"workspace": "."})
    finally:
        server.stop()

    assert result.is_error
    assert "--root" in result.content[0].text


async def test_sse_alone_serves_sse_alone(start_web: Any) -> None:
    server = start_web("--transport", "sse")
    try:
        assert get(server.url, "/mcp", "POST")[0] == 404
        with anyio.fail_after(60):
            async with Client(sse_client(f"{server.url}/sse")) as client:
                assert (await client.list_tools()).tools
    finally:
        server.stop()


async def test_sigterm_ends_the_web_server_although_a_client_listens(start_web: Any) -> None:
    server = start_web("--transport", "http")
    place = urlsplit(server.url)
    with closing(http.client.HTTPConnection(place.hostname or "", place.port, timeout=20)) as link:
        link.request("GET", "/sse")
        assert link.getresponse().readline().startswith(b"event: endpoint")
        code, stdout = await anyio.to_thread.run_sync(server.stop)

    assert code == 0
    assert stdout == ""
    assert all(json.loads(line) for line in server.log)


def test_a_named_host_is_answered(start_web: Any) -> None:
    server = start_web("--transport", "http", "--allow-host", "advisor.internal")
    try:
        assert get(server.url, "/sse", Host="advisor.internal")[0] == 200
        assert get(server.url, "/sse", Host="advisor.internal:8443")[0] == 200
        assert get(server.url, "/sse", Host="other.internal")[0] == 421
    finally:
        server.stop()


async def test_the_client_configuration_starts_a_server(root: Path) -> None:
    servers = json.loads((root / "mcp.json").read_text("utf-8"))["mcpServers"]
    local = servers["mlops-advisor"]
    command = root / local["command"]
    if not command.exists():
        pytest.skip("mcp.json names the environment that `make` sets up, and it is not there")
    start = StdioServerParameters(command=str(command), args=local["args"], cwd=root)
    with anyio.fail_after(60):
        async with Client(start) as client:
            assert (await client.list_tools()).tools

    assert servers["mlops-advisor-http"] == {"type": "http", "url": "http://127.0.0.1:8000/mcp"}


@pytest.mark.parametrize(
    ("host", "more", "answered"),
    [
        (
            "127.0.0.1",
            (),
            ["127.0.0.1", "127.0.0.1:*", "localhost", "localhost:*", "[::1]", "[::1]:*"],
        ),
        ("::1", (), ["[::1]", "[::1]:*"]),
        ("10.1.2.3", (), ["10.1.2.3", "10.1.2.3:*"]),
        ("0.0.0.0", ("advisor.internal", "fe80::1"), ["advisor.internal:*", "[fe80::1]:*"]),
    ],
)
def test_which_hosts_are_answered(host: str, more: tuple[str, ...], answered: list[str]) -> None:
    security = web_module.allowed(host, more)

    assert security.enable_dns_rebinding_protection
    assert set(answered) <= set(security.allowed_hosts)
    assert not any(entry.startswith(("0.0.0.0", "*")) for entry in security.allowed_hosts)
    assert all(entry.startswith(("http://", "https://")) for entry in security.allowed_origins)
