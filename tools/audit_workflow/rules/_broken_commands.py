"""References in commands that do not hold: flags, scripts, targets, files, build arguments."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from mlops_advisor.tools.audit_workflow.repo import AuditRepository
from mlops_advisor.tools.audit_workflow.rule import HIGH, MEDIUM, Hit
from mlops_advisor.tools.audit_workflow.rules._pipeline_paths import (
    WRITTEN,
    alike,
    anywhere,
    closest,
    folders,
    held,
    may_appear,
    plain,
)
from mlops_advisor.tools.evidence.arguments import Command, commands_of, words_of
from mlops_advisor.tools.evidence.interfaces import ANY, Argument, Interface, interface_of
from mlops_advisor.tools.evidence.runs import Run

_LONG: Final = re.compile(r"^--[A-Za-z][\w.-]{0,80}")
_SHORT: Final = re.compile(r"^-[A-Za-z]$")
_HELP: Final = ("--help", "-h", "--version", "--install-completion", "--show-completion")
_UNKNOWN: Final = re.compile(r"[$`{}]|^<")
_PYTHON: Final = re.compile(r"^(?:[\w./~-]*/)?python[\d.]*$")
_FILE_AFTER: Final = {
    "pip": ("-r", "--requirement", "-c", "--constraint"),
    "pip3": ("-r", "--requirement", "-c", "--constraint"),
    "kubectl": ("-f", "--filename"),
    "docker-compose": ("-f", "--file"),
    "docker": ("-f", "--file"),
    "conda": ("-f", "--file"),
    "mamba": ("-f", "--file"),
}
_BROUGHT: Final = re.compile(
    r"\bgit\s+(?:clone|submodule)|\bwget\s|\bcurl\s|\bunzip\s|\btar\s|aws s3|gsutil"
)
_WRITES: Final = re.compile(r"(?:>|-o|-O|--output)\s{0,3}([\w./-]{1,200})")
_TARGET: Final = re.compile(r"^[A-Za-z][\w.-]{0,80}$")
_NOT_TARGETS: Final = ("install", "all", "clean")
_BUILT_IN: Final = ("configure", "cmake", "autogen", "bootstrap")


def broken_commands(repo: AuditRepository) -> Iterator[Hit]:
    """Find flags, files and targets that commands name and nothing holds."""
    for command in commands_of(repo):
        interface = interface_of(repo, command.script)
        if interface is not None and not repo.is_aside(command.path):
            yield from _contract(repo, command, interface)
    brought = _brought(repo)
    for run in _runs(repo):
        yield from _files(repo, run, brought)
    yield from _targets(repo)
    yield from _prerequisites(repo)


# --- flags --------------------------------------------------------------------------------------


def _contract(repo: AuditRepository, command: Command, interface: Interface) -> Iterator[Hit]:
    given: set[str] = set()
    plain_words = 0
    words = list(command.words)
    here: Interface | None = interface
    while words and here is not None:
        word = words.pop(0)
        flag, equals, _ = word.partition("=")
        if flag in _HELP:
            return
        if not (_LONG.match(word) or _SHORT.match(flag)):
            plain_words += not here.commands
            if here.commands:
                yield from _no_command(repo, command, word, here)
                here = _below(here, word)
            continue
        argument = here.takes(flag)
        if argument is None:
            yield from _no_flag(repo, command, flag, here)
        else:
            given.add(argument.name)
            yield from _choice(repo, command, argument, word, words)
        if not equals:
            words = _skip(words, argument.values if argument is not None else 1)
    if here is not None and command.complete and command.whole:
        yield from _lacking(command, here, given, plain_words)


def _below(interface: Interface, word: str) -> Interface | None:
    """Sub-command that a word names."""
    return interface.commands.get(word) or interface.commands.get(word.replace("_", "-"))


def _skip(words: list[str], count: int) -> list[str]:
    """Leave out the values of a flag."""
    while words and count and not (_LONG.match(words[0]) or _SHORT.match(words[0])):
        words = words[1:]
        count -= 1 if count != ANY else 0
    return words


def _worth(flag: str, interface: Interface) -> bool:
    """Tell whether an unknown flag is surely unknown: a short one may be a bundle."""
    return flag.startswith("--") or interface.kind in ("argparse", "click")


def _where(repo: AuditRepository, command: Command, text: str) -> int:
    if command.path.endswith(".ipynb"):
        return command.line
    found = repo.line_of(command.path, text, command.line - 1)
    return found if 0 < found <= command.line + 60 else command.line


def _no_flag(
    repo: AuditRepository, command: Command, flag: str, interface: Interface
) -> Iterator[Hit]:
    if interface.open or _UNKNOWN.search(flag) or not _worth(flag, interface):
        return
    line = _where(repo, command, flag.lstrip("-"))
    also = ((interface.path, interface.line),)
    if interface.kind == "none":
        why = f"`{command.script}` reads no arguments, so `{flag}` does nothing."
        fix = f"Read `{flag}` in `{command.script}`, or leave it out."
        yield Hit(command.path, line, why, fix, also=also, severity=MEDIUM, confidence=0.8)
        return
    near = closest(flag, interface.flags)
    takes = ", ".join(interface.flags[:8]) or "no flags"
    hint = f"It has `{near}`." if near else f"It takes {takes}."
    why = f"`{command.script}` takes no `{flag}`, so the command ends with an error. {hint}"
    yield Hit(command.path, line, why, also=also, severity=HIGH, confidence=0.9)


def _no_command(
    repo: AuditRepository, command: Command, word: str, interface: Interface
) -> Iterator[Hit]:
    known = _below(interface, word) is not None
    if known or interface.open or not plain(word) or _UNKNOWN.search(word):
        return
    names = ", ".join(f"`{n}`" for n in sorted(interface.commands)[:8])
    why = f"`{command.script}` has no command `{word}`; it has {names}."
    also = ((interface.path, interface.line),)
    yield Hit(command.path, _where(repo, command, word), why, also=also, severity=HIGH)


def _choice(
    repo: AuditRepository, command: Command, argument: Argument, word: str, words: list[str]
) -> Iterator[Hit]:
    if not argument.choices or argument.values == ANY:
        return
    value = word.partition("=")[2] if "=" in word else (words[0] if words else "")
    if value and not _UNKNOWN.search(value) and value not in argument.choices:
        shown = ", ".join(argument.choices[:8])
        why = f"`{argument.name}` is {value!r}, but the script takes one of {shown}."
        line = _where(repo, command, value)
        yield Hit(command.path, line, why, also=((command.script, argument.line),), severity=HIGH)


def _lacking(command: Command, here: Interface, given: set[str], plain_words: int) -> Iterator[Hit]:
    if here.commands or here.kind == "none":
        return
    flags = [a for a in here.arguments if a.flags and a.required and a.name not in given]
    positions = [a for a in here.arguments if not a.flags and a.required]
    extra = [a.name for a in positions[plain_words:]]
    names = [a.flags[-1] for a in flags] + extra
    if names:
        line = (flags or positions)[0].line
        shown = ", ".join(f"`{n}`" for n in names[:5])
        why = f"`{command.script}` cannot run without {shown}, which the command does not give."
        yield Hit(command.path, command.line, why, also=((command.script, line),), severity=HIGH)


# --- files --------------------------------------------------------------------------------------


def _runs(repo: AuditRepository) -> Iterator[Run]:
    seen: set[tuple[str, int, str]] = set()
    for run in repo.runs.everything:
        key = (run.path, run.line, run.text)
        if key not in seen and run.live and not repo.is_aside(run.path):
            seen.add(key)
            yield run


def _brought(repo: AuditRepository) -> frozenset[str]:
    """Files with commands that bring files from elsewhere or check out another repository."""
    found = {r.path for r in repo.runs.everything if _BROUGHT.search(r.text)}
    for job in repo.jobs:
        for step in job.steps:
            checkout = step.uses.startswith("actions/checkout")
            if checkout and step.inputs is not None and step.inputs.text_at("repository"):
                found.add(job.path)
    return frozenset(found)


def _files(repo: AuditRepository, run: Run, brought: frozenset[str]) -> Iterator[Hit]:
    if run.path in brought:
        return
    for words in words_of(run.text):
        name = _missing_file(repo, words, run)
        if name:
            line = repo.line_of(run.path, name, run.line - 1)
            line = line if 0 < line <= run.line + 40 else run.line
            near = alike(repo, name)
            hint = f" There is `{near}`." if near else ""
            why = f"The command names `{name}`, which the repository does not hold.{hint}"
            yield Hit(run.path, line, why, severity=HIGH, confidence=0.85)
            return


def _missing_file(repo: AuditRepository, words: list[str], run: Run) -> str:
    for i, word in enumerate(words[:60]):
        before = words[i - 1] if i else ""
        script = word.endswith((".py", ".sh")) and (
            _PYTHON.match(before)
            or before in ("bash", "sh", "source", "-u")
            or (i == 0 and "/" in word)
        )
        tool = next((w for w in words[:4] if w in _FILE_AFTER), "")
        named = (
            bool(tool) and before in _FILE_AFTER[tool] and word.lower().endswith((*WRITTEN, ".txt"))
        )
        if tool == "docker" and named and not {"compose", "build"} & set(words[:4]):
            named = False
        if (script or named) and _absent(repo, word, run):
            return word
    return ""


def _absent(repo: AuditRepository, word: str, run: Run) -> bool:
    """Tell whether no file of the repository can be meant by a word."""
    if (
        not plain(word)
        or "://" in word
        or (word.startswith("/") and run.source not in ("docker", "compose"))
    ):
        return False
    name = word.rpartition("/")[2]
    if repo.runs.file_named(name) or anywhere(repo, name):
        return False
    clean = word.removeprefix("./").lstrip("/")
    return not may_appear(repo, clean) and not _made(repo, name, run)


def _made(repo: AuditRepository, name: str, run: Run) -> bool:
    """Tell whether some command of the same file writes a file of that name."""
    text = repo.text(run.path)
    return any(m.endswith(name) for m in _WRITES.findall(text)) or (
        text.count(name) > 1 and "COPY --from" in text
    )


# --- make ---------------------------------------------------------------------------------------


def _targets(repo: AuditRepository) -> Iterator[Hit]:
    known = {t for targets in repo.makefiles.values() for t in targets}
    if not known or any(_opaque(repo.text(p)) for p in repo.makefiles):
        return
    phony = {w for p in repo.makefiles for w in _phony(repo.text(p))}
    for run in _runs(repo):
        if run.source == "docker" or any(w in run.text for w in _BUILT_IN):
            continue
        for words in words_of(run.text):
            if words[0] not in ("make", "gmake") or "-f" in words or "-C" in words:
                continue
            for word in words[1:]:
                if _TARGET.match(word) and "=" not in word and word not in known | phony:
                    if held(repo, word) and word in folders(repo):
                        continue
                    near = closest(word, sorted(known))
                    hint = f" It has `{near}`." if near else ""
                    why = f"No Makefile here has a target `{word}`.{hint}"
                    yield Hit(run.path, run.line, why, severity=HIGH, confidence=0.9)


def _opaque(text: str) -> bool:
    """Tell whether a Makefile has targets that a reader does not see."""
    return bool(
        re.search(r"^\s{0,4}-?include\b|^[^\t#\n]{0,80}%[^\n]{0,80}:|^\$[({]", text, re.MULTILINE)
    )


def _phony(text: str) -> list[str]:
    return [
        w
        for m in re.findall(r"^\.PHONY\s{0,4}:([^\n]{0,2000})", text, re.MULTILINE)
        for w in m.split()
    ]


def _prerequisites(repo: AuditRepository) -> Iterator[Hit]:
    for path, targets in repo.makefiles.items():
        text = repo.text(path)
        if _opaque(text) or "$(eval" in text or "define " in text:
            continue
        for name, (line, needs, _) in targets.items():
            for need in needs:
                if (
                    _TARGET.match(need)
                    and "." not in need
                    and need not in targets
                    and not held(repo, need)
                    and name != ".PHONY"
                    and not re.search(rf"^{re.escape(need)}\s*[:?+]?=", text, re.MULTILINE)
                ):
                    why = f"`{name}` needs `{need}`, which is neither a target nor a file."
                    yield Hit(path, line, why, severity=HIGH, confidence=0.85)
