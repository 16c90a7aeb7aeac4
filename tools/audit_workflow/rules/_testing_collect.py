"""What a test command collects: whether the paths that it names hold any test."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from mlops_advisor.tools.audit_workflow.repo import AuditRepository
from mlops_advisor.tools.audit_workflow.rules import _docs, _testing
from mlops_advisor.tools.evidence.repository import Repository, shared
from mlops_advisor.tools.evidence.runs import Run

_COMMAND: Final = re.compile(r"(?:^|[\s;&|/])(?:pytest|py\.test)(?=\s|$)([^;&|>\n]{0,600})")
_WITH_VALUE: Final = frozenset(
    "-k -m -n -c -o -p -W -r --cov --cov-report --cov-config --junitxml --junit-xml --html"
    " --maxfail --durations --timeout --rootdir --ignore --deselect --log-cli-level --tb --dist"
    " --basetemp --confcutdir --override-ini --color --splits --group".split()
)
_OTHERWISE: Final = re.compile(
    r"--doctest|--nbmake|--nbval|--pyargs|--collect-only|--version|--help|--fixtures|--markers"
    r"|--ignore-glob|python_files|\bpylint\b|--mypy|--flake8|--ruff|--black"
)
_COLLECTED: Final = re.compile(r"(?:^|/)(?:test_[^/]{0,200}|[^/]{1,200}_test)\.py$")
_LOOKS_LIKE_TESTS: Final = re.compile(r"(?:^|/)tests?/[^/]{1,200}\.py$|[-_]tests\.py$")
_CONFIGS: Final = ("pytest.ini", ".pytest.ini", "pyproject.toml", "tox.ini", "setup.cfg")


def empty_runs(repo: AuditRepository) -> Iterator[tuple[Run, str]]:
    """Test commands whose paths hold no test, those of CI first, with the paths."""
    if repo.workspace.truncated or any(
        "python_files" in repo.text(p) for p in repo.named(*_CONFIGS)
    ):
        return
    if any("doctest" in repo.text(p) for p in repo.named(*_CONFIGS)):
        return
    seen: set[tuple[str, int]] = set()
    for run in (*repo.runs.ci, *repo.runs.make, *repo.runs.project):
        place = (run.path, run.line)
        if place in seen or not run.live or _docs.is_template(run.path):
            continue
        found = _COMMAND.search(run.text[:2_000])
        if found is None or _OTHERWISE.search(run.text) or _testing.installs(run.text):
            continue
        seen.add(place)
        wanted = _paths(found.group(1))
        if wanted and all(_holds_none(repo, w) for w in wanted):
            yield run, ", ".join(f"`{w}`" for w in wanted[:3])


def uncollected(repo: AuditRepository) -> Iterator[tuple[str, int, str]]:
    """Test modules that pytest passes over by their name and no command names: first test."""
    texts = [repo.text(p) for p in repo.named(*_CONFIGS)]
    if any("python_files" in t or "testMatch" in t for t in texts) or not repo.code.product:
        return
    named = " ".join(r.text[:2_000] for r in repo.runs.everything)
    told = " ".join(repo.text(d.path)[:100_000] for d in repo.documents)
    if "unittest" in named or "nose" in named or "unittest discover" in told:
        return
    for path, count in sorted(_tests_in(repo).items()):
        name = path.rsplit("/", 1)[-1]
        module = repo.code.modules[path]
        if not count or module.problem or module.notebook or _COLLECTED.search(path):
            continue
        if not _LOOKS_LIKE_TESTS.search(path) or name in named or name in told:
            continue
        if module.roots & {"unittest", "django", "locust"} or repo.is_aside(path):
            continue
        first = next((f for f in module.functions if f.last.startswith("test")), None)
        if first is not None and not repo.code.importers.get(path) and not _docs.is_template(path):
            yield path, first.line, name


def _paths(text: str) -> list[str]:
    """Paths that the words after `pytest` name."""
    found: list[str] = []
    skip = False
    for word in text.split():
        bare = word.strip("\"'")
        if skip:
            skip = False
        elif bare in _WITH_VALUE:
            skip = True
        elif not bare.startswith("-"):
            found.append(bare.partition("::")[0].removeprefix("./").rstrip("/"))
    return found


def _holds_none(repo: AuditRepository, name: str) -> bool:
    """Tell whether a path exists, and no test is in it, wherever the command is started."""
    if not name or name == "." or re.search(r"[*?$\[{%]|^\.\.", name):
        return False
    if name.endswith(".py"):
        files = [p for p in repo.python if p == name or p.endswith(f"/{name}")]
        return bool(files) and not any(_tests_in(repo)[p] for p in files)
    below = [p for p in repo.paths if f"/{name}/" in f"/{p}"]
    if not below or any(p.endswith((".feature", ".robot", ".txt", ".rst")) for p in below):
        return False
    tests = _tests_in(repo)
    return not any(tests.get(p) and _COLLECTED.search(p) for p in below)


@shared
def _tests_in(repo: Repository) -> dict[str, int]:
    """Count functions that look like tests, by module; one that does not parse may hold any."""
    return {
        p: 1 if m.problem else sum(f.last.startswith("test") for f in m.functions)
        for p, m in repo.code.modules.items()
    }
