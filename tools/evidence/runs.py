"""What runs what: commands of CI, pipelines, scripts and images, and the modules they reach."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Final

from mlops_advisor.tools.evidence.code import Code
from mlops_advisor.tools.evidence.parse.ci import Job, Step, system_of
from mlops_advisor.tools.evidence.parse.shell import Line, shell_lines
from mlops_advisor.tools.evidence.parse.tree import Node
from mlops_advisor.tools.evidence.parsed import Parsed

_MAX_EXPAND: Final = 4
_MAX_LINES: Final = 400
_TOKEN: Final = re.compile(r"[^\s'\"=;&|()<>,]{1,300}")
_RUNNER: Final = re.compile(
    r"\b(?:python[\d.]*|papermill|jupyter|pyflyte|streamlit|prefect|"
    r"spark-submit|torchrun|accelerate|"
    r"deepspeed|dagster|metaflow|uv run|poetry run|pipenv run|hatch run|pdm "
    r"run|rye run|pixi run|\./\S+\.py)\b"
)
_PYTEST: Final = re.compile(
    r"(?:^|[\s;&|/])(?:pytest|py\.test|nose2|nosetests)\b|\bunittest\b|manage\.py test"
)
_STRICT: Final = re.compile(r"set\s{1,4}(?:-[a-z]{0,6}e|.{0,40}errexit)")


@dataclass(frozen=True, slots=True)
class Run:
    """One command and where it stands.

    `source` is ci, dvc, make, shell, docker, compose, k8s, project or pipeline. `automatic`: it
    starts without a person. `hard`: its failure stops what runs it. `via` is the line that
    led here when a make target or a script was followed.
    """

    path: str
    line: int
    text: str
    source: str
    automatic: bool = False
    hard: bool = True
    live: bool = True
    idle: bool = False
    job: Job | None = None
    step: Step | None = None
    origin: tuple[str, int] | None = None

    @property
    def where(self) -> tuple[str, int]:
        """Path and line of the command that began it: the CI step rather than the make target."""
        return self.origin or (self.path, self.line)

    @property
    def at(self) -> str:
        """The same as text, `path:line`."""
        path, line = self.where
        return f"{path}:{line}"

    @property
    def counts(self) -> bool:
        """True for a command that does something when its turn comes."""
        return self.live and not self.idle


class Runs:
    """Commands of a repository, indexed.  Computed once, when first asked for."""

    def __init__(self, files: Parsed, code: Code) -> None:
        """Look at parsed files and code."""
        self._files = files
        self._code = code

    # --- where commands stand ---------------------------------------------------------------

    @cached_property
    def ci(self) -> tuple[Run, ...]:
        """Commands of CI jobs, make targets and scripts they call included."""
        found: list[Run] = []
        for job in self._files.jobs:
            for step in job.steps:
                live = not (job.disabled or step.disabled)
                hard = not (job.soft or step.soft)
                for line in step.commands:
                    run = Run(
                        job.path,
                        line.line,
                        line.text,
                        "ci",
                        job.automatic and live,
                        hard and not line.soft,
                        live,
                        line.idle,
                        job,
                        step,
                    )
                    found.append(run)
                    found.extend(self._expand(run, 0))
        return tuple(found)

    @cached_property
    def dvc(self) -> tuple[Run, ...]:
        """Commands of DVC stages."""
        found: list[Run] = []
        for file in self._files.yaml_files(named=("dvc.yaml",)):
            for doc in file.docs:
                for _, stage in doc.pairs("stages"):
                    body = stage.child("do") or stage
                    for node in body.list_at("cmd"):
                        start = node.line + (1 if node.block else 0)
                        found.extend(
                            Run(file.path, c.line, c.text, "dvc", hard=not c.soft, idle=c.idle)
                            for c in shell_lines(node.text, start)
                        )
        return tuple(found)

    @cached_property
    def make(self) -> tuple[Run, ...]:
        """Recipes of Makefiles."""
        return tuple(
            Run(path, c.line, c.text, "make", hard=not c.soft, idle=c.idle)
            for path, targets in self._files.makefiles.items()
            for _, _, recipe in targets.values()
            for c in recipe
        )

    @cached_property
    def shell(self) -> tuple[Run, ...]:
        """Lines of shell scripts."""
        return tuple(
            Run(path, c.line, c.text, "shell", hard=not c.soft, idle=c.idle)
            for path in self._files.ending(".sh", ".bash")
            for c in shell_lines(self._files.text(path))
        )

    @cached_property
    def images(self) -> tuple[Run, ...]:
        """Commands of Dockerfiles and compose services."""
        found = [
            Run(path, i.line, i.text, "docker")
            for path, instructions in self._files.dockerfiles.items()
            for i in instructions
            if i.name in ("RUN", "CMD", "ENTRYPOINT")
        ]
        for file in self._files.compose:
            for doc in file.docs:
                for _, service in doc.pairs("services"):
                    for key in ("command", "entrypoint"):
                        node = service.child(key)
                        if node is not None:
                            found.append(Run(file.path, node.line, _joined(node), "compose"))
        return tuple(found)

    @cached_property
    def cluster(self) -> tuple[Run, ...]:
        """Commands of containers in Kubernetes objects; those of cron objects are automatic."""
        found: list[Run] = []
        for manifest in self._files.manifests:
            cron = manifest.kind in ("CronJob", "CronWorkflow", "ScheduledWorkflow")
            suspended = manifest.node.text_at("spec", "suspend") == "true"
            for key, node in manifest.node.walk():
                if key in ("command", "args") and (node.items or node.text):
                    found.append(
                        Run(manifest.path, node.line, _joined(node), "k8s", cron and not suspended)
                    )
        return tuple(found)

    @cached_property
    def project(self) -> tuple[Run, ...]:
        """Entry points of MLproject, tox and task runners."""
        found: list[Run] = []
        for path in self._files.named("mlproject"):
            for doc in self._files.yaml(path).docs:
                found += [
                    Run(path, n.line, n.text, "project")
                    for k, n in doc.walk()
                    if k == "command" and n.text
                ]
        for path in self._files.named("tox.ini"):
            tree = self._files.tree(path)
            for section, body in tree.pairs() if tree is not None else []:
                if section.startswith("testenv"):
                    text = body.text_at("commands")
                    lines = self._files.text(path)
                    for c in shell_lines(text):
                        at = lines.find(c.text[:60])
                        found.append(
                            Run(path, lines.count("\n", 0, max(at, 0)) + 1, c.text, "project")
                        )
        return tuple(found)

    @cached_property
    def pipeline(self) -> tuple[Run, ...]:
        """Commands inside orchestrated pipelines: shell operators, and DVC stages."""
        found = list(self.dvc)
        for path, module in self._code.product.items():
            for call in module.calls:
                if call.last in (
                    "BashOperator",
                    "ShellOperation",
                    "KubernetesPodOperator",
                    "ContainerOp",
                    "SSHOperator",
                    "DockerOperator",
                ):
                    for key in ("bash_command", "commands", "command", "arguments", "cmds"):
                        value = call.kwargs.get(key)
                        parts = value if isinstance(value, tuple) else (value,)
                        text = " ".join(p for p in parts if isinstance(p, str))
                        if text:
                            found.append(Run(path, call.line, text, "pipeline"))
        return tuple(found)

    @cached_property
    def everything(self) -> tuple[Run, ...]:
        """All commands."""
        return (
            *self.ci,
            *self.pipeline,
            *self.make,
            *self.shell,
            *self.images,
            *self.cluster,
            *self.project,
        )

    # --- following --------------------------------------------------------------------------

    def _expand(self, run: Run, depth: int) -> Iterator[Run]:
        if depth >= _MAX_EXPAND:
            return
        for path, line in self._lines_called(run.text):
            below = replace(
                run,
                path=path,
                line=line.line,
                text=line.text,
                hard=run.hard and not line.soft,
                idle=line.idle,
                origin=run.origin or (run.path, run.line),
            )
            yield below
            yield from self._expand(below, depth + 1)

    def _lines_called(self, text: str) -> list[tuple[str, Line]]:
        words = _TOKEN.findall(text[:2_000])
        found: list[tuple[str, Line]] = []
        if "make" in words:
            names = words[words.index("make") + 1 :]
            found += self._make_lines(names, set())
        if "tox" in words or "nox" in words:
            found += [
                (r.path, Line(r.line, r.text)) for r in self.project if r.path.endswith("tox.ini")
            ]
        if "dvc" in words and ("repro" in words or "exp run" in text):
            found += [(r.path, Line(r.line, r.text, not r.hard)) for r in self.dvc]
        if "mlflow" in words and "run" in words:
            found += [
                (r.path, Line(r.line, r.text))
                for r in self.project
                if r.path.lower().endswith("mlproject")
            ]
        for word in words[:40]:
            if word.endswith((".sh", ".bash")) and (path := self.file_named(word)):
                found += [(path, line) for line in self._script_lines(path)]
            elif word.endswith((".yml", ".yaml")) and (path := self.file_named(word)):
                found += self._yaml_lines(path)
        return found[:_MAX_LINES]

    def _script_lines(self, path: str) -> list[Line]:
        """Lines of a script; without `set -e` only the last one's failure is seen outside."""
        lines = shell_lines(self._files.text(path))
        first = self._files.lines(path)[0][:200]
        if any(_STRICT.match(line.text) for line in lines) or _STRICT.match(
            "set " + first.partition(" ")[2]
        ):
            return lines
        return [replace(line, soft=True) for line in lines[:-1]] + lines[-1:]

    def _yaml_lines(self, path: str) -> list[tuple[str, Line]]:
        """Commands written in a job description that another command hands on."""
        if system_of(path) or path.endswith("dvc.yaml"):
            return []
        return [
            (path, line)
            for doc in self._files.yaml(path).docs
            for _, node in doc.find("command", "entrypoint", "args", "cmd")
            for line in shell_lines(_joined(node), node.line + (1 if node.block else 0))
        ]

    def _make_lines(self, names: list[str], done: set[str]) -> list[tuple[str, Line]]:
        found: list[tuple[str, Line]] = []
        for path, targets in self._files.makefiles.items():
            for name in names:
                if name in targets and name not in done:
                    done.add(name)
                    _, needs, recipe = targets[name]
                    found += self._make_lines(needs, done)
                    found += [(path, line) for line in recipe]
        return found

    def file_named(self, word: str) -> str:
        """Path of the file a command names, by its end; the shortest when several fit."""
        word = word.removeprefix("./").lstrip("/")
        if not word:
            return ""
        if word in self._files.files:
            return word
        name = word.rsplit("/", 1)[-1].lower()
        fits = [
            p for p in self._files.named(name) if p.endswith("/" + word) or word.endswith("/" + p)
        ]
        if not fits and "/" not in word:
            fits = self._files.named(name)
        return min(fits, key=lambda p: (p.count("/"), p), default="")

    # --- what a command reaches -------------------------------------------------------------

    def started(self, text: str) -> frozenset[str]:
        """Python files a command line starts."""
        return self._started(text)

    def modules(self, run: Run) -> frozenset[str]:
        """Python files a command starts (without what those import)."""
        return self._started(run.text)

    def _started(self, text: str) -> frozenset[str]:
        found = self._cache.get(text)
        if found is None:
            found = self._cache[text] = frozenset(self._find_started(text[:2_000]))
        return found

    @cached_property
    def _cache(self) -> dict[str, frozenset[str]]:
        return {}

    def _find_started(self, text: str) -> set[str]:
        code = self._code
        found: set[str] = set()
        words = _TOKEN.findall(text)
        if _PYTEST.search(text):
            found |= self._tests_named(words)
        runner = bool(_RUNNER.search(text))
        for i, word in enumerate(words[:200]):
            before = words[i - 1] if i else ""
            path = self._started_by(word, before, direct=runner or i == 0)
            if path:
                found.add(path)
        if "kedro" in words and "run" in words:
            found.update(p for p in code.product if "pipeline" in p.lower())
        return found

    def _started_by(self, word: str, before: str, *, direct: bool) -> str:
        """Path of the module that one word of a command starts; empty when none."""
        if word.endswith((".py", ".ipynb")):
            return self.file_named(word) if direct or word.startswith("./") else ""
        if before == "-m":
            return self._code.resolve(word, "") or self._code.resolve(f"{word}.__main__", "")
        if ":" in word and word.rpartition(":")[2].isidentifier():
            return self._code.resolve(word.rpartition(":")[0], "")
        return self._console.get(word, "")

    def _tests_named(self, words: list[str]) -> set[str]:
        tests = self._code.tests
        wanted = [
            w.removeprefix("./").rstrip("/").partition("::")[0]
            for w in words
            if not w.startswith("-") and ("/" in w or w.endswith(".py") or w in ("tests", "test"))
        ]
        picked = {
            p
            for p in tests
            for w in wanted
            if w and (p == w or p.startswith(w + "/") or f"/{w}/" in f"/{p}" or p.endswith("/" + w))
        }
        return picked or set(tests)

    @cached_property
    def _console(self) -> dict[str, str]:
        found: dict[str, str] = {}
        for path in self._files.named("pyproject.toml"):
            tree = self._files.tree(path)
            if tree is None:
                continue
            for table in (("project", "scripts"), ("tool", "poetry", "scripts")):
                for name, node in tree.pairs(*table):
                    module = self._code.resolve(node.text.partition(":")[0], path)
                    if module:
                        found[name] = module
        return found

    def _reached(self, run: Run) -> frozenset[str]:
        """Modules a command runs.  A test runs itself: what it imports is tested, not in use."""
        started = self.modules(run)
        tests = frozenset(p for p in started if p in self._code.tests)
        return self._code.closure(started - tests) | tests

    @cached_property
    def automatic(self) -> dict[str, Run]:
        """Modules that CI or a schedule runs, hard, without a person; imports included."""
        found: dict[str, Run] = {}
        for run in (*self.ci, *self.cluster):
            if run.automatic and run.hard and run.counts:
                for path in sorted(self._reached(run)):
                    found.setdefault(path, run)
        return found

    @cached_property
    def piped(self) -> dict[str, Run]:
        """Modules that a step of a pipeline runs; imports included."""
        found: dict[str, Run] = {}
        for run in (*self.pipeline, *self.cluster):
            if run.hard and run.counts:
                for path in sorted(self._reached(run)):
                    found.setdefault(path, run)
        return found

    @cached_property
    def by_hand(self) -> dict[str, Run]:
        """Modules that a make target, script, image or project entry runs; imports included."""
        found: dict[str, Run] = {}
        for run in (*self.make, *self.shell, *self.images, *self.project, *self.ci):
            if run.counts:
                for path in sorted(self._reached(run)):
                    found.setdefault(path, run)
        return found

    def matching(
        self, pattern: re.Pattern[str], *, runs: tuple[Run, ...] | None = None
    ) -> list[Run]:
        """Commands that do something and match a pattern (which must be linear)."""
        return [
            r
            for r in (self.everything if runs is None else runs)
            if r.counts and pattern.search(r.text)
        ]


def _joined(node: Node) -> str:
    if node.items is not None:
        return " ".join(n.text for n in node.items)[:4_000]
    return node.text[:4_000]
