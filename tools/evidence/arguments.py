"""What commands, steps and containers give the scripts of the workspace that they start."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final, cast

from mlops_advisor.tools.evidence.parse.tree import Node
from mlops_advisor.tools.evidence.repository import Repository
from mlops_advisor.tools.evidence.view import HOLE, View, last

_PIECE: Final = re.compile(
    r"\"(?:[^\"\\]|\\.){0,2000}\"|'[^']{0,2000}'|\$\{\{[^}]{0,300}\}\}|\{\{[^}]{0,300}\}\}|"
    r"\$\([^()]{0,300}\)|\$\{[^}]{0,200}\}|`[^`]{0,300}`|&&|\|\||[;|&]|[^\s\"';|&`$]+|\$|[\"']"
)
_SEPARATORS: Final = frozenset(("&&", "||", ";", "|", "&"))
_PYTHON: Final = re.compile(
    r"^(?:[\w./~-]*/)?python[\d.]*(?:\.exe)?$|^\$[({]?PYTHON\w{0,20}[)}]?$|^\{sys\.executable\}$"
)
_LAUNCHERS: Final = frozenset(
    "torchrun accelerate deepspeed horovodrun spark-submit coverage mpirun ipython".split()
)
_REDIRECT: Final = re.compile(r"^\d?(?:>>?|<)")
_UNKNOWN: Final = re.compile(r"^(?:\$[@*{(\w]|\{\{|\{\}|`|%\(|\$\{\{)")
_FLAG: Final = re.compile(r"^--?[A-Za-z][\w.-]{0,80}$")
_MAX_WORDS: Final = 300


@dataclass(frozen=True, slots=True)
class Command:
    """One start of a script of this workspace: the words behind it.

    `complete` says that all words are known; `whole` that nothing is added when it runs.
    """

    path: str
    line: int
    script: str
    words: tuple[str, ...]
    source: str
    complete: bool = True
    whole: bool = True


def words_of(text: str) -> list[list[str]]:
    """Split a command line into simple commands, each a list of words without their quotes."""
    commands: list[list[str]] = [[]]
    end = -1
    for found in _PIECE.finditer(text[:8_000]):
        piece = found.group(0)
        if piece in _SEPARATORS:
            commands.append([])
            end = -1
            continue
        quoted = len(piece) > 1 and piece[0] == piece[-1] and piece[0] in "\"'"
        word = piece[1:-1] if quoted else piece
        if found.start() == end and commands[-1]:
            commands[-1][-1] += word
        elif len(commands[-1]) < _MAX_WORDS:
            commands[-1].append(word)
        end = found.end()
    return [c for c in commands if c]


def started_by(repo: Repository, words: list[str]) -> tuple[str, list[str]] | None:
    """Script of this workspace that a simple command starts, and the words behind it."""
    for i, word in enumerate(words[:12]):
        if word == "streamlit":
            found = _after_launcher(repo, words[i + 1 :])
            own = found[1].index("--") + 1 if found is not None and "--" in found[1] else None
            return (found[0], found[1][own:] if own else []) if found is not None else None
        if _PYTHON.match(word) or word in _LAUNCHERS:
            return _after_launcher(repo, words[i + 1 :])
        if word.endswith(".py") and (i == 0 or words[i - 1] in ("run", "exec", "--")):
            path = repo.runs.file_named(word)
            return (path, words[i + 1 :]) if path else None
    return None


def _after_launcher(repo: Repository, words: list[str]) -> tuple[str, list[str]] | None:
    for i, word in enumerate(words[:40]):
        if word == "-c" or _REDIRECT.match(word):
            return None
        if word == "-m" and i + 1 < len(words):
            name = words[i + 1]
            if name in (
                "torch.distributed.launch",
                "torch.distributed.run",
                "coverage",
                "accelerate.commands.launch",
            ):
                continue
            path = repo.code.resolve(f"{name}.__main__", "") or repo.code.resolve(name, "")
            return (path, words[i + 2 :]) if path else None
        if word.endswith(".py"):
            path = repo.runs.file_named(word)
            return (path, words[i + 1 :]) if path else None
    return None


def commands_of(repo: Repository) -> tuple[Command, ...]:
    """Every start of a script of this workspace, from commands, pipelines and code."""
    if "arguments.commands" not in repo.shared:
        found: dict[tuple[str, int, str, tuple[str, ...]], Command] = {}
        for command in (*_from_runs(repo), *_from_yaml(repo), *_from_code(repo)):
            key = (command.path, command.line, command.script, command.words)
            found.setdefault(key, command)
        repo.shared["arguments.commands"] = tuple(found.values())
    return cast("tuple[Command, ...]", repo.shared["arguments.commands"])


def _from_runs(repo: Repository) -> Iterator[Command]:
    for run in repo.runs.everything:
        if run.idle or run.source == "k8s":
            continue
        for words in words_of(run.text):
            started = started_by(repo, words)
            if started is not None:
                whole = run.source not in ("docker", "compose")
                yield _command(run.path, run.line, started, run.source, whole=whole)


def _command(
    path: str, line: int, started: tuple[str, list[str]], source: str, *, whole: bool = True
) -> Command:
    script, given = started
    words: list[str] = []
    complete = True
    for word in given:
        if _REDIRECT.match(word):
            break
        if word in ("--", "\\"):
            continue
        before = words[-1] if words else ""
        if _UNKNOWN.match(word) and not _FLAG.match(before.partition("=")[0]):
            complete = False
        words.append(word)
    return Command(path, line, script, tuple(words), source, complete, whole)


def _from_yaml(repo: Repository) -> Iterator[Command]:
    """Commands with their arguments in Kubernetes objects and component files."""
    for file in repo.yaml_files(holding=(".py",)):
        if file.path in repo.ci_paths or file in repo.compose:
            continue
        for doc in file.docs:
            for node in doc.below():
                command = node.child("command") or node.child("entrypoint")
                args = node.child("args") or node.child("arguments")
                if (
                    command is None
                    or command.map is not None
                    or (args is None and command.items is None)
                ):
                    continue
                words = [*_items(command), *(_items(args) if args is not None else ())]
                if len(words) > 2 and words[1] == "-c":  # noqa: PLR2004
                    continue
                started = started_by(repo, words)
                if started is not None:
                    yield _command(file.path, command.line, started, "yaml", whole=args is not None)


def _items(node: Node) -> list[str]:
    if node.items is None:
        return [w for c in words_of(node.text) for w in c]
    return [n.text if n.map is None else HOLE for n in node.items]


def _from_code(repo: Repository) -> Iterator[Command]:
    for path in repo.code.product:
        text = repo.text(path)
        if ".py" not in text:
            continue
        view = repo.view(path)
        for call in view.calls if view is not None else ():
            if view is not None:
                yield from _given(repo, view, call)


def _given(repo: Repository, view: View, call: ast.Call) -> Iterator[Command]:
    if view.name(call).startswith("subprocess."):
        node = view.settled(call.args[0]) if call.args else None
        if isinstance(node, ast.List):
            yield from _listed(repo, view, call, node, None)
        return
    path = _script_of(repo, view, call)
    if path:
        yield from _step(view, call, path)
    for key in ("command", "entrypoint"):
        node = view.settled(view.arg(call, key))
        given = view.settled(view.arg(call, "args") or view.arg(call, "arguments"))
        if isinstance(node, ast.List):
            extra = given if isinstance(given, ast.List) else ast.List(elts=[])
            yield from _listed(repo, view, call, node, extra)
        elif node is not None and ".py" in (line := view.string(node)):
            for words in words_of(line):
                started = started_by(repo, words)
                if started is not None:
                    yield _command(view.path, call.lineno, started, "code")


def _listed(
    repo: Repository, view: View, call: ast.Call, node: ast.List, extra: ast.List | None
) -> Iterator[Command]:
    """Read a command given as a list; with `extra`, more may be added when that is empty."""
    more = extra.elts if extra is not None else []
    started = started_by(repo, _strings(view, [*node.elts, *more]))
    if started is not None:
        whole = extra is None or bool(more)
        yield _command(view.path, call.lineno, started, "code", whole=whole)


def _script_of(repo: Repository, view: View, call: ast.Call) -> str:
    """Script of this workspace that a step of a managed service starts."""
    for key in ("entry_point", "code", "script", "script_name", "script_path"):
        text = view.string(view.arg(call, key))
        if text.endswith(".py"):
            return repo.runs.file_named(text.replace(HOLE, "").lstrip("/"))
    return ""


def _strings(view: View, nodes: Iterable[ast.expr]) -> list[str]:
    found = []
    for node in nodes:
        call = isinstance(node, ast.Call) and last(view.name(node)) == "str"
        text = "" if call else view.string(node)
        name = view.name(node)
        found.append("python" if name == "sys.executable" else text or HOLE)
    return found


def _step(view: View, call: ast.Call, path: str) -> Iterator[Command]:
    """Arguments that a step of SageMaker, Vertex or Azure ML gives its script."""
    for key in ("job_arguments", "arguments", "args", "script_args"):
        node = view.arg(call, key)
        settled = view.settled(node)
        if isinstance(settled, ast.List):
            words = tuple(_strings(view, settled.elts))
            known = not any(isinstance(e, ast.Starred) for e in settled.elts)
            yield Command(view.path, settled.lineno, path, words, "code", known)
        if node is not None:
            return
    node = view.arg(call, "hyperparameters")
    settled = view.settled(node)
    if isinstance(settled, ast.Dict):
        keys = [view.literal(k) for k in settled.keys]
        known = all(isinstance(k, str) for k in keys)
        words = tuple(w for k in keys if isinstance(k, str) for w in (f"--{k}", HOLE))
        added = _set_later(view)
        yield Command(view.path, settled.lineno, path, words, "code", known, not added)


def _set_later(view: View) -> bool:
    return any(last(view.name(c)) in ("set_hyperparameters", "fit", "update") for c in view.calls)
