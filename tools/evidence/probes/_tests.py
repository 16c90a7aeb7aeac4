"""Tests: which of them check anything, what they touch, and who runs them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from mlops_advisor.tools.evidence.models import Strength
from mlops_advisor.tools.evidence.parse.python_model import PythonModule
from mlops_advisor.tools.evidence.probes._base import C, E, Verdict, W, absent, present, unknown
from mlops_advisor.tools.evidence.repository import Repository, shared


class TestFile(NamedTuple):
    """One test file: line of the first test that checks something, numbers of tests."""

    path: str
    line: int
    real: int
    hollow: int


@shared
def test_files(repo: Repository) -> list[TestFile]:
    """Files with at least one test function."""
    found = []
    for path, module in repo.code.tests.items():
        real, hollow, line = _count(module)
        if real or hollow:
            found.append(TestFile(path, line, real, hollow))
    return found


def _count(module: PythonModule) -> tuple[int, int, int]:
    checked = {c.scope for c in module.checks if c.kind == "assert" and not c.constant}
    checked |= {
        c.scope
        for c in module.calls
        if c.last.startswith(("assert", "check_"))
        or c.last in ("raises", "warns", "fail", "validate", "expect", "run_doctests")
    }
    real = hollow = line = 0
    for function in module.functions:
        if not function.last.startswith("test"):
            continue
        own = any(s == function.name or s.startswith(function.name + ".") for s in checked)
        skipped = any(d.endswith((".skip", ".xfail")) for d in function.decorators)
        if own and not skipped and not function.empty:
            real += 1
            if real == 1:
                line = function.line
        else:
            hollow += 1
            line = line or function.line
    return real, hollow, line


def touching(repo: Repository, targets: Iterable[str]) -> list[TestFile]:
    """Test files that import one of some modules, directly or through a helper."""
    wanted = frozenset(targets)
    return [t for t in test_files(repo) if wanted & repo.code.closure([t.path])]


def runner_strength(repo: Repository, paths: Iterable[str]) -> tuple[Strength, str]:
    """How tests run: by CI on a change, by some command, or by nobody."""
    paths = list(paths)
    for path in paths:
        run = repo.runs.automatic.get(path)
        if run is not None:
            return E, f"CI runs them ({run.at}) and a failure stops it"
    for path in paths:
        run = repo.runs.by_hand.get(path)
        if run is not None:
            soft = "; a failure does not stop it" if not run.hard or not run.live else ""
            return (C if soft else W), f"{run.at} runs them{soft}"
    return C, "nothing in the workspace runs them"


def tested(repo: Repository, what: str, targets: Iterable[str]) -> Verdict:
    """Verdict on unit tests of some modules."""
    targets = list(targets)
    files = touching(repo, targets)
    real = [t for t in files if t.real]
    if real:
        strength, how = runner_strength(repo, [t.path for t in real])
        count = sum(t.real for t in real)
        return present(
            repo, strength, f"{count} tests touch {what}; {how}.", [(t.path, t.line) for t in real]
        )
    if files:
        return present(
            repo,
            C,
            f"Tests of {what} exist, but none of them asserts anything.",
            [(t.path, t.line) for t in files],
        )
    if test_files(repo):
        return absent(repo, f"There are tests, but none imports {what}.", [(targets[0], 1)])
    if targets:
        return absent(repo, f"No test imports {what}.", [(targets[0], 1)])
    return unknown(f"No {what} was recognised.")
