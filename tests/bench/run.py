"""`make bench`: what the server costs, as ratios to the least that could be done.

Ratios, because seconds say more about the machine than about the program.  The two sides of a
ratio run in turns, so that a slow minute of the machine falls on both.
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import audits
import made_workspace
from rows import Row, ratio
from rpc import Peer

from mlops_advisor.resources.loaders import bundled

HERE = Path(__file__).resolve().parent
OURS = [sys.executable, "-m", "mlops_advisor.server", "serve"]
BARE = [sys.executable, str(HERE / "bare_server.py")]
TOOL = "assess_maturity"
ANSWERS = ("no", "partly", "by_hand", "automated", "not_applicable", "unknown")
ANSWERED = 40  # practices in one request
WARM_UP = 30  # requests before measuring
FILES = sum(made_workspace.COUNTS.values())


def requests(count: int, seed: int) -> list[dict[str, Any]]:
    """Return requests that all differ, so that no cache helps."""
    rng = random.Random(seed)
    ids = list(bundled().practices)
    return [
        {
            "responses": [
                {"practice": practice, "answer": rng.choice(ANSWERS)}
                for practice in rng.sample(ids, min(ANSWERED, len(ids)))
            ],
            "options": {"as_of": "2026-11-01"},
        }
        for _ in range(count)
    ]


def ready(runs: int, folder: Path) -> Row:
    """Spawn, handshake, tools/list: ours and a bare server with one tool, in turns."""

    def once(command: list[str]) -> float:
        start = time.perf_counter()
        with Peer(command, folder, limit=60) as peer:
            peer.handshake()
            tools = peer.request("tools/list", {})["tools"]
            seconds = time.perf_counter() - start
        assert TOOL in [tool["name"] for tool in tools], tools
        return seconds

    once(OURS), once(BARE)  # compiles, and brings the files into memory
    pairs = [(once(OURS), once(BARE)) for _ in range(runs)]
    return Row("stdio ready: spawn to tools/list, to a bare server", *ratio(pairs, 1.10))


def warm(runs: int, folder: Path) -> Row:
    """Answers only: p50 of distinct calls, to a bare server that returns as many bytes."""
    asked = requests(WARM_UP + runs, seed=11)
    with Peer(OURS, folder) as mine:
        mine.handshake()
        results = sorted((mine.call(TOOL, one) for one in asked[:WARM_UP]), key=_size)
        middle = results[len(results) // 2]
        constant = folder / "constant.json"
        constant.write_text(
            json.dumps(
                {"structured": middle["structuredContent"], "text": middle["content"][0]["text"]}
            ),
            "utf-8",
        )
        with Peer([*BARE, str(constant)], folder) as bare:
            bare.handshake()
            for one in asked[:WARM_UP]:
                bare.call(TOOL, one)
            pairs = []
            for one in asked[WARM_UP:]:
                params = {"name": TOOL, "arguments": one}
                pairs.append((_timed(mine, params), _timed(bare, params)))
    what = "warm assess_maturity, every request new, p50, to a constant result"
    return Row(what, *ratio(pairs, 2.0))


def repeated(runs: int, folder: Path) -> Row:
    """Answers only, the same request again: p50 to a bare server that returns as many bytes."""
    arguments = requests(1, seed=3)[0]
    params = {"name": TOOL, "arguments": arguments}
    with Peer(OURS, folder) as mine:
        mine.handshake()
        told = mine.call(TOOL, arguments)
        constant = folder / "constant.json"
        constant.write_text(
            json.dumps(
                {"structured": told["structuredContent"], "text": told["content"][0]["text"]}
            ),
            "utf-8",
        )
        with Peer([*BARE, str(constant)], folder) as bare:
            bare.handshake()
            for _ in range(WARM_UP):
                _timed(mine, params), _timed(bare, params)
            pairs = [(_timed(mine, params), _timed(bare, params)) for _ in range(runs)]
    what = "warm assess_maturity, the same request, p50, to a constant result"
    return Row(what, *ratio(pairs, 2.0))


def workspace(runs: int, folder: Path, made: Path) -> Row:
    """A thousand files: collect to result, to reading and parsing the same files."""

    def once(side: str) -> float:
        command = [sys.executable, str(HERE / "scan.py"), side, str(made)]
        done = subprocess.run(command, cwd=folder, check=True, capture_output=True)
        told = json.loads(done.stdout)
        assert told["files"] == FILES, f"{side} read {told['files']} files"
        seconds: float = told["seconds"]
        return seconds

    once("bare")
    pairs = [(once("ours"), once("bare")) for _ in range(runs)]
    what = f"{FILES} files: collect to result, to reading and parsing them"
    return Row(what, *ratio(pairs, 3.0))


def memory(folder: Path, made: Path) -> Row:
    """Peak memory of the server while it assesses the thousand files."""
    arguments = {"workspace": str(made), "options": {"timeout_ms": 300_000}}
    with Peer([*OURS, "--root", str(made)], folder) as mine:
        mine.handshake()
        result = mine.call(TOOL, arguments)["structuredContent"]
        assert result["inventory"]["files_read"] == FILES, result["inventory"]
        return Row(f"peak memory of the server over {FILES} files", mine.peak_mb(), 200, "MB", 1)


def _timed(peer: Peer, params: dict[str, Any]) -> float:
    line = peer.encode("tools/call", params)
    start = time.perf_counter()
    answer = peer.exchange(line)
    seconds = time.perf_counter() - start
    assert not peer.parse(answer).get("isError")
    return seconds


def _size(result: dict[str, Any]) -> int:
    return len(json.dumps(result))


def main() -> int:
    """Measure, print the table; 1 when something is over its bound."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--only",
        choices=["ready", "repeated", "warm", "files", "memory", *audits.STEPS],
        action="append",
    )
    parser.add_argument("--ready-runs", type=int, default=15)
    parser.add_argument("--warm-runs", type=int, default=300)
    parser.add_argument("--file-runs", type=int, default=5)
    chosen = parser.parse_args()
    wanted = chosen.only or ["ready", "repeated", "warm", "files", "memory", *audits.STEPS]
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        made = folder / "made"
        if {"files", "memory", *audits.STEPS} & set(wanted):
            made_workspace.make(made)
        steps: dict[str, Callable[[], Row | list[Row]]] = {
            "ready": lambda: ready(chosen.ready_runs, folder),
            "repeated": lambda: repeated(chosen.warm_runs, folder),
            "warm": lambda: warm(chosen.warm_runs, folder),
            "files": lambda: workspace(chosen.file_runs, folder, made),
            "memory": lambda: memory(folder, made),
            **{
                name: partial(step, chosen.file_runs, folder, made)
                for name, step in audits.STEPS.items()
            },
        }
        print(f"{'what':<68} {'value':>11} {'promised':>11} {'':>5} {'runs':>5}")
        rows: list[Row] = []
        for name in wanted:
            found = steps[name]()
            for row in found if isinstance(found, list) else [found]:
                rows.append(row)
                print(row.line(), flush=True)
    return int(any(row.value > row.bound for row in rows))


if __name__ == "__main__":
    sys.exit(main())
