"""What the audit costs: to bare parsing, to other linters, as workspaces grow, and run again."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from math import inf
from pathlib import Path
from typing import Any

import made_workspace
from rows import Row, ratio
from rpc import Peer

HERE = Path(__file__).resolve().parent
OURS = [sys.executable, "-m", "mlops_advisor.server", "serve"]
FILES = sum(made_workspace.COUNTS.values())
RULES = "S,B,PD,NPY"
LARGE = 10


def pass_over(side: str, made: Path, folder: Path) -> dict[str, Any]:
    """Run one side of scan.py in a process of its own."""
    command = [sys.executable, str(HERE / "scan.py"), side, str(made)]
    done = subprocess.run(command, cwd=folder, check=True, capture_output=True)
    told: dict[str, Any] = json.loads(done.stdout)
    return told


def bare(runs: int, folder: Path, made: Path) -> Row:
    """Collect to report, in one process, to reading and parsing the same files."""
    pass_over("bare", made, folder)
    pairs = [
        (pass_over("audit", made, folder)["seconds"], pass_over("bare", made, folder)["seconds"])
        for _ in range(runs)
    ]
    return Row(f"audit of {FILES} files, to reading and parsing them", *ratio(pairs, 5.0))


def linters(runs: int, folder: Path, made: Path) -> Row:
    """Run the command line to ruff and zizmor on the same files, from start to exit."""
    beside = Path(sys.executable).parent
    ruff, zizmor = str(beside / "ruff"), str(beside / "zizmor")
    theirs = [
        [ruff, "check", "--isolated", "--no-cache", "--select", RULES, "--quiet", "."],
        [zizmor, "--offline", "--no-config", "--no-progress", "--format", "json", "."],
    ]
    ours = [sys.executable, "-m", "mlops_advisor.server", "audit", ".", "--format", "sarif"]

    def once(commands: list[list[str]]) -> float:
        start = time.perf_counter()
        for command in commands:
            subprocess.run(command, cwd=made, check=False, capture_output=True)
        return time.perf_counter() - start

    pairs = [(once([ours]), once(theirs)) for _ in range(runs)]
    what = f"audit of {FILES} files from the shell, to ruff {RULES} and zizmor"
    return Row(what, *ratio(pairs, inf))


def growth(_runs: int, folder: Path, _made: Path) -> list[Row]:
    """A hundred, a thousand, ten thousand files: time a file must not grow; peak memory."""
    sizes = {}
    for scale in (0.1, 1.0, float(LARGE)):
        place = folder / f"scale_{scale:g}"
        made_workspace.make(place, scale=scale)
        sizes[scale] = pass_over("audit", place, folder)
        shutil.rmtree(place)
    each = {scale: told["seconds"] / told["files"] for scale, told in sizes.items()}
    large = sizes[float(LARGE)]
    megabyte_a_file = {s: t["peak_mb"] / t["files"] for s, t in sizes.items()}
    return [
        Row(
            "audit: time a file with 1 000 files, to that with 100",
            each[1.0] / each[0.1],
            1.5,
            "x",
            1,
        ),
        Row(
            "audit: time a file with 10 000 files, to that with 1 000",
            each[10.0] / each[1.0],
            1.5,
            "x",
            1,
        ),
        Row("audit: files a second, of 10 000", large["files"] / large["seconds"], inf, "", 1),
        Row("audit: peak memory over 10 000 files", large["peak_mb"], 500, "MB", 1),
        Row(
            "audit: memory a file with 10 000, to that with 1 000",
            megabyte_a_file[10.0] / megabyte_a_file[1.0],
            1.5,
            "x",
            1,
        ),
    ]


def pool(runs: int, folder: Path, made: Path) -> Row:
    """What a pool of processes would gain: parsing alone, to parsing one after the other."""
    pairs = [
        (pass_over("pool", made, folder)["seconds"], pass_over("parse", made, folder)["seconds"])
        for _ in range(runs)
    ]
    return Row("parsing in a pool of processes, to one process", *ratio(pairs, inf))


def again(runs: int, folder: Path, made: Path) -> Row:
    """Second audit of the same files by the same server, to the first."""
    arguments = {"workspace": str(made), "options": {"timeout_ms": 300_000}}
    params = {"name": "audit_workflow", "arguments": arguments}
    pairs = []
    for _ in range(max(1, runs // 2)):
        with Peer([*OURS, "--root", str(made)], folder, limit=300) as mine:
            mine.handshake()
            seconds = []
            for _turn in range(2):
                line = mine.encode("tools/call", params)
                start = time.perf_counter()
                mine.parse(mine.exchange(line))
                seconds.append(time.perf_counter() - start)
        pairs.append((seconds[1], seconds[0]))
    return Row("second audit of unchanged files by one server, to the first", *ratio(pairs, inf))


STEPS: dict[str, Callable[[int, Path, Path], Row | list[Row]]] = {
    "audit": bare,
    "again": again,
    "pool": pool,
    "linters": linters,
    "growth": growth,
}
