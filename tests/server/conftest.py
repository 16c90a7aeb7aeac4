"""A stand-in tool that does whatever a test asks for, and servers that offer it."""

from __future__ import annotations

import logging
import os
import re
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any, Literal

import pytest
from mcp.server.lowlevel import Server
from pydantic import Field
from shelling import Shell

from mlops_advisor.resources import loaders
from mlops_advisor.server import registry, wire
from mlops_advisor.server.app import build_server
from mlops_advisor.server.settings import Settings
from mlops_advisor.tools.common.errors import InvalidInputError, Problem
from mlops_advisor.tools.common.models import Frozen, Options
from mlops_advisor.tools.common.run import RunContext

PRACTICES = tuple(f"practice_{number}" for number in range(1, 21))
ANSWERS = ("no", "partly", "by_hand", "automated", "not_applicable", "unknown")


class Said(Frozen):
    """An answer."""

    practice: str = Field(description="Practice id.")
    answer: Literal["no", "partly", "by_hand", "automated", "not_applicable", "unknown"] = Field(
        description="The answer."
    )


class Part(Frozen):
    """A nested object."""

    size: int | None = Field(default=None, ge=1, description="Size, 1 or more.")


class StandInInput(Frozen):
    """What to do."""

    do: Literal["answer", "crash", "exit", "recurse", "deny", "wait", "hang", "count"] = Field(
        default="answer", description="What to do."
    )
    responses: tuple[Said, ...] = Field(default=(), description="Answers.")
    practices: tuple[str, ...] = Field(default=(), description="Text.")
    workspace: str | None = Field(default=None, description="Folder.")
    part: Part = Field(default=Part(), description="Nested.")
    options: Options = Field(default=Options(), description="Options.")


class Asked(Frozen):
    """A question."""

    practice: str = Field(description="Practice id.")
    question: str = Field(description="The question.")
    answers: tuple[str, ...] = Field(description="Answers allowed.")
    why: str = Field(description="Why.")


class StandInResult(Frozen):
    """What was done."""

    confidence: float = Field(ge=0, le=1, description="Grows by 0.1 with every answer, 0-1.")
    heard: dict[str, str] = Field(description="Answers by practice.")
    questions: tuple[Asked, ...] = Field(description="What is open.")
    as_of: str = Field(description="ISO date.")
    absent: str | None = Field(default=None, description="Never there.")


class Hooks:
    """What the stand-in's runs and the tests tell each other."""

    def __init__(self) -> None:
        self.started = threading.Event()
        self.ended = threading.Event()
        self.release = threading.Event()
        self.threads: list[int] = []


def _recurse(depth: int) -> int:
    return _recurse(depth + 1) + 1


def _run(hooks: Hooks) -> Callable[[StandInInput, RunContext], StandInResult]:
    def run(request: StandInInput, context: RunContext) -> StandInResult:
        hooks.threads.append(threading.get_ident())
        match request.do:
            case "crash":
                raise RuntimeError("secret detail")
            case "exit":
                sys.exit(3)
            case "recurse":
                _recurse(0)
            case "deny":
                raise InvalidInputError("not that", (Problem("do", "choose another"),))
            case "wait":
                hooks.started.set()
                while not context.expired():
                    pass
                hooks.ended.set()
            case "hang":
                hooks.release.wait(30)
            case "count":
                for done in range(100):
                    context.progress(done + 1, 100, f"step {done + 1}")
            case _:
                pass
        heard: dict[str, str] = {item.practice: item.answer for item in request.responses}
        return StandInResult(
            confidence=min(1.0, len(heard) / 10),
            heard=heard,
            questions=tuple(
                Asked(practice=name, question=f"Do you {name}?", answers=ANSWERS, why="tells")
                for name in PRACTICES
                if name not in heard
            )[:12],
            as_of=context.as_of.isoformat(),
        )

    return run


@pytest.fixture
def hooks(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hooks]:
    """Replace the tools by the stand-in."""
    given = Hooks()
    package, models, run, text = (
        ModuleType(name)
        for name in ("stand_in", "stand_in.models", "stand_in.run", "stand_in.text")
    )
    vars(package).update(NAME="stand_in", TITLE="Stand-in", DESCRIPTION="Does as told.")
    vars(models).update(StandInInput=StandInInput, StandInResult=StandInResult)
    vars(run).update(run=_run(given))
    vars(text).update(render=lambda result: f"heard {len(result.heard)} answers")
    for module in (package, models, run, text):
        monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setattr(registry, "TOOLS", ("stand_in",))
    monkeypatch.setattr(loaders, "bundled", object)
    registry._load.cache_clear()
    entry = wire.entry(registry.load("stand_in"))
    monkeypatch.setattr(registry, "listing", lambda: (entry,))
    yield given
    registry._load.cache_clear()


@pytest.fixture
def build(hooks: Hooks) -> Callable[..., Server[Any]]:
    """Return a function that builds a server with the stand-in as its only tool."""

    def make(*roots: Path) -> Server[Any]:
        return build_server(Settings(roots=roots))

    return make


@pytest.fixture
def text_of() -> Callable[[Any], str]:
    def get(result: Any) -> str:
        assert len(result.content) == 1
        text: str = result.content[0].text
        return text

    return get


@pytest.fixture
def arguments() -> Mapping[str, Any]:
    return {"options": {"interview": False, "as_of": "2026-11-23"}}


class WebServer:
    """A real server in a process of its own: where it listens, and what it has logged."""

    def __init__(self, command: list[str], folder: Path) -> None:
        self.log: list[str] = []
        self._listening = threading.Event()
        self.process = subprocess.Popen(
            command,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=dict(os.environ),
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        if not self._listening.wait(60):
            self.stop()
            raise RuntimeError("".join(self.log))

    def _read(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.log.append(line)
            found = re.search(r"running on (http://[^ ]+)", line)
            if found:
                self.url = found[1]
                self._listening.set()

    def stop(self) -> tuple[int, str]:
        """Send SIGTERM; return the exit code and what stood on stdout."""
        self.process.terminate()
        stdout = self.process.stdout
        assert stdout is not None
        text = stdout.read()
        stdout.close()
        code = self.process.wait(20)
        self._reader.join(20)
        assert self.process.stderr is not None
        self.process.stderr.close()
        return code, text


@pytest.fixture(scope="module")
def start_web(
    server_command: list[str], tmp_path_factory: pytest.TempPathFactory
) -> Callable[..., WebServer]:
    """Return a function that starts a server on a free port."""

    def start(*options: str) -> WebServer:
        command = [*server_command, "serve", "--port", "0", *options]
        return WebServer(command, tmp_path_factory.mktemp("web"))

    return start


@pytest.fixture(scope="module")
def web(start_web: Callable[..., WebServer], samples: Path) -> Iterator[WebServer]:
    """A server with all HTTP transports that may read the samples."""
    server = start_web("--transport", "http", "--root", str(samples))
    yield server
    server.stop()


@pytest.fixture
def shell(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Iterator[Shell]:
    # The command sets up logging for the process, which here is the test runner's.
    before = logging.root.handlers[:], logging.root.level
    yield Shell(monkeypatch, capfd)
    logging.root.handlers[:], logging.root.level = before
