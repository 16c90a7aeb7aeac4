"""Other people's scanners, when installed: zizmor for workflows, picklescan for model files.

Both are an extra (`pip install 'mlops-advisor[scanners]'`).  They run offline, as processes of
their own, on plain files that the collector has seen; neither executes what it reads.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import stat
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Final, TypeAlias

from mlops_advisor.tools.common.run import ScanFinding, ScanReport

_SECONDS: Final = 20
_MOST_FILES: Final = 200
_MOST_BYTES: Final = 200 << 20
_PICKLES: Final = (".pkl", ".pickle", ".joblib", ".pt", ".pth", ".ckpt", ".bin", ".npy", ".p7z")
_FOUND: Final = re.compile(r"^(.{1,1000}?): dangerous import '([^'\n]{1,200})' FOUND", re.MULTILINE)


Expired: TypeAlias = Callable[[], bool]


class _LateError(Exception):
    """The time was up before all files were scanned."""


def _never() -> bool:
    return False


def scan(folder: Path, paths: Iterable[str], expired: Expired = _never) -> ScanReport:
    """Run the scanners that are installed on the files they are made for, while there is time."""
    plain = sorted(p for p in paths if not p.endswith("/"))
    workflows = [
        p for p in plain if p.startswith(".github/workflows/") and p.endswith((".yml", ".yaml"))
    ]
    models = [p for p in plain if p.lower().endswith(_PICKLES)]
    parts = [
        _run("zizmor", _zizmor, folder, workflows, expired),
        _run("picklescan", _picklescan, folder, models, expired),
    ]
    return ScanReport(
        tuple(f for part in parts for f in part.findings),
        tuple(n for part in parts for n in part.notes),
    )


def _run(
    name: str,
    tool: Callable[[str, Path, list[str], Expired], Iterator[ScanFinding]],
    folder: Path,
    paths: list[str],
    expired: Expired,
) -> ScanReport:
    wanted = [p for p in paths if _is_plain(folder, p)][:_MOST_FILES]
    if not wanted:
        return ScanReport()
    command = _command(name)
    if command is None:
        return ScanReport(
            notes=(f"{name}: not installed, {len(wanted)} files not scanned with it",)
        )
    found: list[ScanFinding] = []
    try:
        for one in tool(command, folder, wanted, expired):
            found.append(one)  # noqa: PERF402 - what came before an error is kept
    except _LateError:
        return ScanReport(tuple(found), (f"{name}: the time was up before all files were scanned",))
    except (OSError, ValueError, KeyError, TypeError, subprocess.TimeoutExpired) as error:
        return ScanReport(tuple(found), (f"{name}: did not finish ({type(error).__name__})",))
    left = len(paths) - len(wanted)
    notes = (f"{name}: {left} files not scanned with it",) if left else ()
    return ScanReport(tuple(found), notes)


def _is_plain(folder: Path, path: str) -> bool:
    """Tell whether a path is a small plain file, with no link on the way."""
    here = folder
    try:
        for part in Path(path).parts:
            here /= part
            info = here.lstat()
            if stat.S_ISLNK(info.st_mode):
                return False
        return stat.S_ISREG(info.st_mode) and info.st_size <= _MOST_BYTES
    except (OSError, ValueError):
        return False


def _command(name: str) -> str | None:
    beside = Path(sys.executable).parent / name
    return str(beside) if beside.is_file() else shutil.which(name)


def _call(command: list[str], folder: Path) -> str:
    environment = {"PATH": os.environ.get("PATH", ""), "HOME": "/nonexistent", "LC_ALL": "C.UTF-8"}
    done = subprocess.run(  # noqa: S603 - a fixed command, no shell
        command,
        cwd=folder,
        env=environment,
        capture_output=True,
        timeout=_SECONDS,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    return done.stdout.decode("utf-8", "replace")


def _zizmor(
    command: str, folder: Path, paths: list[str], expired: Expired
) -> Iterator[ScanFinding]:
    if expired():
        raise _LateError
    options = ["--offline", "--no-config", "--no-progress", "--no-exit-codes", "--format", "json"]
    for entry in json.loads(_call([command, *options, *(f"./{p}" for p in paths)], folder)):
        place = next(x for x in entry["locations"] if x["symbolic"]["kind"] == "Primary")
        path = str(place["symbolic"]["key"]["Local"]["verbatim_path"]).removeprefix("./")
        line = int(place["concrete"]["location"]["start_point"]["row"]) + 1
        yield ScanFinding("zizmor", str(entry["ident"]), path, line, str(entry["desc"])[:300])


def _picklescan(
    command: str, folder: Path, paths: list[str], expired: Expired
) -> Iterator[ScanFinding]:
    for path in paths:
        if expired():
            raise _LateError
        seen = _call([command, "--path", f"./{path}"], folder)
        names = sorted({name for _, name in _FOUND.findall(seen)})
        if names:
            message = f"unpickling it would import {', '.join(names)[:200]}"
            yield ScanFinding("picklescan", "dangerous-import", path, 1, message)
