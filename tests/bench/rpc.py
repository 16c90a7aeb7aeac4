"""A raw JSON-RPC client over stdio: lines out, lines in, nothing validated.

The SDK's own client spends more time on validation than the servers measured here spend on
their answers; with it, a benchmark would measure the client.
"""

from __future__ import annotations

import json
import subprocess
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

LEGACY = "2025-11-25"


class Peer:
    """A server as a child process, killed when it takes longer than `limit` seconds in all."""

    def __init__(self, command: Sequence[str], folder: Path, limit: float = 300.0) -> None:
        self._process = subprocess.Popen(
            command,
            cwd=folder,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._in, self._out = self._process.stdin, self._process.stdout
        self._last = 0
        self._watchdog = threading.Timer(limit, self._process.kill)
        self._watchdog.daemon = True
        self._watchdog.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._in.close()
        try:
            self._process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._out.close()
        self._watchdog.cancel()

    @property
    def pid(self) -> int:
        """Process id of the server."""
        return self._process.pid

    def notify(self, method: str) -> None:
        """Send a message that has no answer."""
        self._send({"jsonrpc": "2.0", "method": method})

    def request(self, method: str, params: Mapping[str, Any]) -> dict[str, Any]:
        """Send a request and return its result; anything else is an error."""
        return self.parse(self.exchange(self.encode(method, params)))

    def encode(self, method: str, params: Mapping[str, Any]) -> bytes:
        """Return the line of a new request, to be sent later."""
        self._last += 1
        message = {"jsonrpc": "2.0", "id": self._last, "method": method, "params": params}
        return json.dumps(message).encode() + b"\n"

    def exchange(self, line: bytes) -> bytes:
        """Send a line and return the line of its answer; notifications in between are dropped."""
        self._in.write(line)
        self._in.flush()
        while True:
            answer = self._out.readline()
            if not answer:
                raise RuntimeError("the server ended, or took too long and was killed")
            # Only notifications carry a method: no need to parse inside a measured time.
            if b'"method":' not in answer[:200]:
                return answer

    @staticmethod
    def parse(answer: bytes) -> dict[str, Any]:
        """Return the result inside an answer."""
        message = json.loads(answer)
        if "result" not in message:
            raise RuntimeError(f"the server refused: {message}")
        result: dict[str, Any] = message["result"]
        return result

    def handshake(self) -> None:
        """Open a connection of the era before 2026-07-28."""
        client = {"name": "bench", "version": "1"}
        params = {"protocolVersion": LEGACY, "capabilities": {}, "clientInfo": client}
        self.request("initialize", params)
        self.notify("notifications/initialized")

    def call(self, tool: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """Call a tool and return its result; a tool's error is an error here."""
        result = self.request("tools/call", {"name": tool, "arguments": arguments})
        if result.get("isError"):
            raise RuntimeError(f"{tool} failed: {result['content']}")
        return result

    def peak_mb(self) -> float:
        """Return the most memory that the server has held so far, in 10^6 bytes (Linux only)."""
        status = Path(f"/proc/{self.pid}/status").read_text("utf-8")
        (line,) = (line for line in status.splitlines() if line.startswith("VmHWM:"))
        return int(line.split()[1]) * 1024 / 1e6

    def _send(self, message: Mapping[str, Any]) -> None:
        self._in.write(json.dumps(message).encode() + b"\n")
        self._in.flush()
