"""Commands that install packages and tools, wherever they stand."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from mlops_advisor.tools.audit_workflow.rules._supply import Entry, entry, is_tool
from mlops_advisor.tools.audit_workflow.rules._supply_written import written
from mlops_advisor.tools.evidence.code import is_test_path
from mlops_advisor.tools.evidence.repository import Repository, shared
from mlops_advisor.tools.evidence.view import View, strings_in

_SPLIT: Final = re.compile(r"&&|\|\||;|\n|\|(?!\|)|\s&\s")
_TEMPLATE: Final = re.compile(r"\{\{[^{}\n]{0,200}\}\}")
_TOKEN: Final = re.compile(r"'[^'\n]{0,300}'|\"[^\"\n]{0,300}\"|[^\s'\"]{1,400}")
_PIP: Final = re.compile(r"(?:^|/)pip[23]?(?:\.\d{1,2})?$")
_WITH_VALUE: Final = frozenset(
    "-r --requirement -c --constraint -i --index-url --extra-index-url -f --find-links -t --target"
    " --prefix --platform --python-version --only-binary --no-binary --timeout --retries --src"
    " --trusted-host --root --upgrade-strategy --progress-bar --cache-dir --default-timeout -p"
    " --python --index --log --proxy --abi --implementation --config-settings -n --name --channel"
    " --default-index -d".split()
)
_EDITABLE: Final = ("-e", "--editable")
_VARIABLE: Final = re.compile(r"\$\{?\w|\$\(|\{\{|%\w|<\w")
_PIPED: Final = re.compile(
    r"(?:curl|wget)\b[^|;&\n]{3,600}\|\s{0,4}(?:sudo\s{1,4})?(?:-E\s{1,4})?(?:ba|z|da)?sh\b"
    r"|(?:ba|z)?sh\s{0,4}(?:-c\s{0,4}[\"']?\$|<)\(\s{0,4}(?:curl|wget)\b"
    r"|(?:curl|wget)\b[^|;&\n]{3,600}\|\s{0,4}(?:sudo\s{1,4})?python3?\s{0,4}-"
)
_LATEST: Final = re.compile(
    r"(?:curl|wget)\b[^\n;|]{0,400}(?:/releases/latest/download/|/latest/|/stable/latest|-latest[-._/])"
)
_VERSION: Final = re.compile(r"\d+\.\d+|@\d|[0-9a-f]{40}|\$\{?\w*(?:VERSION|TAG)")
# Programs that set up a place to build or test in, which is what they are for.
_BUILDS: Final = re.compile(
    r"(?:^|/)(?:noxfile|tasks|setup|conftest|fabfile)\.py$|(?:^|/)features/|hooks/"
)
_GLOBAL: Final = re.compile(
    r"\b(?:npm|pnpm)\s{1,4}(?:i|install|add)\s{1,4}(?:-g|--global)\s{1,4}([^;&|\n]{1,200})"
)
_GO: Final = re.compile(r"\bgo\s{1,4}(?:install|get)\s{1,4}(\S{3,200}@(?:latest|main|master))")
_PIPX: Final = re.compile(
    r"\b(?:pipx|uv tool)\s{1,4}install\s{1,4}([\w.-]{2,60}(?:\[[^\]]{0,60}\])?)(?=\s|$)(?![=@])"
)


@dataclass(frozen=True, slots=True)
class Install:
    """One place that installs Python packages.

    `source` is ci, docker, make, shell, compose, k8s, notebook, code, pipeline or project.
    """

    path: str
    line: int
    source: str
    entries: tuple[Entry, ...]
    flags: tuple[str, ...] = ()
    remote: tuple[str, ...] = ()  # addresses of requirement files
    instruction: str = ""  # RUN, CMD or ENTRYPOINT in a Dockerfile

    @property
    def loose(self) -> tuple[Entry, ...]:
        """Packages without one version; installers themselves aside."""
        return tuple(e for e in self.entries if not e.exact and not is_tool(e.name) and not e.url)


def parse(text: str) -> tuple[list[Entry], list[str], list[str]] | None:
    """Read packages, flags and addresses of requirement files that a command line installs."""
    entries: list[Entry] = []
    flags: list[str] = []
    remote: list[str] = []
    found = False
    for part in _SPLIT.split(_TEMPLATE.sub("$x", text[:8_000])):
        words = [w.strip("\"'") for w in _TOKEN.findall(part)]
        start = _after_install(words)
        if start:
            found = True
            _read(words[start:], entries, flags, remote)
    return (entries, flags, remote) if found else None


def _after_install(words: list[str]) -> int:
    for i, word in enumerate(words[:-1]):
        name = word.lstrip("!%@-")
        if _PIP.search(name) and "install" in words[i + 1 : i + 6]:
            return words.index("install", i) + 1
        if name in ("conda", "mamba", "micromamba") and words[i + 1] == "install":
            return i + 2
    return 0


def _read(words: list[str], entries: list[Entry], flags: list[str], remote: list[str]) -> None:
    skip = ""
    for word in words:
        if skip:
            if skip in ("-r", "--requirement") and word.startswith(("http://", "https://")):
                remote.append(word)
            if skip in _EDITABLE and "+" in word and (made := entry(word, 0)):
                entries.append(made)
            flags.append(f"{skip} {word}")
            skip = ""
        elif word in _WITH_VALUE or word in _EDITABLE:
            skip = word
        elif word.startswith("-"):
            flags.append(word)
            if word.startswith("--requirement=http"):
                remote.append(word.partition("=")[2])
        elif word in (">", ">>", "2>&1", "<", "#"):
            break
        elif not _is_path(word) and (made := entry(_conda(word), 0)):
            entries.append(made)


def _conda(word: str) -> str:
    """Read `numpy=1.2` of conda as `numpy==1.2`."""
    return re.sub(r"^([\w.-]{1,80})=(?!=)(\d)", r"\1==\2", word)


def _is_path(word: str) -> bool:
    low = word.lower()
    if low.startswith(("git+", "http://", "https://")):
        return False
    return (
        "/" in word.partition("@")[0]
        or low.endswith((".whl", ".txt", ".tar.gz", ".zip", ".toml"))
        or bool(_VARIABLE.match(word))
    )


@shared
def installs(repo: Repository) -> tuple[Install, ...]:
    """Every pip or conda command outside tests, by path and line, each once."""
    found: dict[tuple[str, int], Install] = {}
    for path, line, source, text in _texts(repo):
        if (path, line) not in found and "install" in text:
            read = parse(text)
            if read is not None:
                instruction = _instruction(repo, path, line)
                found[path, line] = _made(path, line, source, read, instruction)
    return tuple(found[k] for k in sorted(found))


def _texts(repo: Repository) -> Iterator[tuple[str, int, str, str]]:
    """Commands of files that run something, of notebooks and of code: path, line, kind, text."""
    for run in repo.runs.everything:
        if not is_test_path(run.path) and run.source not in ("k8s", "compose"):
            yield run.path, run.line, run.source, run.text
    yield from written(repo)
    for path in repo.ending(".ipynb"):
        if "install" in repo.text(path):
            for line, text in magics(repo, path):
                yield path, line, "notebook", text
    for view in _views(repo):
        for line, text in () if _BUILDS.search(view.path) else _in_code(view):
            yield view.path, line, "code", text


def _views(repo: Repository) -> Iterator[View]:
    for path in repo.python:
        text = repo.text(path)
        if "pip" in text and "install" in text and not is_test_path(path):
            view = repo.view(path)
            if view is not None:
                yield view


def _made(
    path: str,
    line: int,
    source: str,
    read: tuple[list[Entry], list[str], list[str]],
    instruction: str = "",
) -> Install:
    entries, flags, remote = read
    return Install(path, line, source, tuple(entries), tuple(flags), tuple(remote), instruction)


def _instruction(repo: Repository, path: str, line: int) -> str:
    return next((i.name for i in repo.dockerfiles.get(path, ()) if i.line == line), "")


def magics(repo: Repository, path: str) -> Iterator[tuple[int, str]]:
    """Shell lines (`!`, `%`) of a notebook, with the numbers of the joined code cells."""
    try:
        data = json.loads(repo.text(path))
    except (ValueError, RecursionError, MemoryError):
        return
    cells = data.get("cells") if isinstance(data, dict) else None
    number = 0
    for cell in cells if isinstance(cells, list) else []:
        if not isinstance(cell, dict) or cell.get("cell_type") != "code":
            continue
        source = cell.get("source")
        text = (
            "".join(s for s in source if isinstance(s, str)) if isinstance(source, list) else source
        )
        if not isinstance(text, str) or not text.strip():
            continue
        lines = text.split("\n")
        whole = lines[0].startswith(("%%bash", "%%sh", "%%script bash"))
        for at, line in enumerate(lines, 1):
            bare = line.strip()
            if bare.startswith(("!", "%")) or whole:
                yield number + at, bare.lstrip("!%")[:4_000]
        number += len(lines)


_CALLERS: Final = ("subprocess.", "os.system", "os.popen", "pip.main", "pip._internal")


def _in_code(view: View) -> Iterator[tuple[int, str]]:
    """Commands that code starts with `subprocess` or `os.system`."""
    for call in view.calls:
        name = view.name(call)
        if not name.startswith(_CALLERS) or not call.args:
            continue
        if isinstance(call.args[0], (ast.List, ast.Tuple)):
            words = [view.string(e) or "x" for e in call.args[0].elts[:60]]
            text = " ".join(words)
        else:
            text = view.string(call.args[0]) or " ".join(
                str(s.value) for s in list(strings_in(call.args[0]))[:20]
            )
        if name.startswith("pip"):
            text = f"pip {text}"
        if "pip" in text and "install" in text:
            yield call.lineno, text


@dataclass(frozen=True, slots=True)
class Tool:
    """One command that installs a tool in whatever version there is today."""

    path: str
    line: int
    why: str
    fix: str = "Name a version and check the sum of the download."
    fixed: bool = False  # the version is, its content is not


def loose_tools(repo: Repository) -> Iterator[Tool]:
    """Scripts from the internet piped into a shell, and tools without a version."""
    seen: set[tuple[str, int]] = set()
    places = [(r.path, r.line, r.text) for r in repo.runs.everything]
    for path, line, text in (*places, *((p, n, t) for p, n, _, t in written(repo))):
        if (path, line) in seen or is_test_path(path):
            continue
        why = _loose(text[:4_000])
        if why:
            seen.add((path, line))
            yield Tool(path, line, why)


def _loose(text: str) -> str:
    piped = _PIPED.search(text)
    if piped and not _VERSION.search(piped.group(0)):
        return "A script is downloaded and run, in whatever version the server gives today."
    found = _GLOBAL.search(text)
    if found:
        names = [w for w in found.group(1).split() if not w.startswith("-")]
        loose = [w for w in names if not re.search(r".@[\d^~]", w)]
        if loose:
            return f"`npm install -g` takes the newest {', '.join(loose[:5])}."
    found = _GO.search(text)
    if found:
        return f"`go install` takes `{found.group(1)[:80]}`, the newest one."
    found = _PIPX.search(text)
    if found:
        return f"`{found.group(1)}` is installed without a version."
    if _LATEST.search(text):
        return "The newest release of a tool is downloaded, whichever that is."
    return ""
