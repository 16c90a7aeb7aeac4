"""Coverage that is measured, and the limit that it must reach."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from mlops_advisor.tools.audit_workflow.repo import AuditRepository
from mlops_advisor.tools.audit_workflow.rule import LOW, MEDIUM, Hit

_GATE: Final = re.compile(
    r"--(?:cov-)?fail-under[= ]0(?:\.0{1,3})?(?=[\s\"']|$)|"
    r"^\s{0,8}\"?fail_under\"?\s{0,4}=\s{0,4}[\"']?0(?:\.0{1,3})?[\"']?\s{0,4}(?:#|$)"
)
_FILES: Final = (
    ".coveragerc", "pyproject.toml", "setup.cfg", "tox.ini", "pytest.ini", "makefile", "noxfile.py"
)  # fmt: skip
_MEASURES: Final = re.compile(r"--cov(?:=|\s|\"|'|$)|--cov-report\b|\bcoverage\s{1,3}run\b")
_LIMIT: Final = re.compile(r"fail[-_]under|codecov|coveralls|diff-cover|sonar|codacy|codeclimate")


def zero_gates(repo: AuditRepository) -> Iterator[Hit]:
    """Coverage gates that let everything through."""
    for path in _paths(repo):
        if "fail" not in repo.text(path):
            continue
        for number, line in enumerate(repo.lines(path)[:3_000], 1):
            if _GATE.search(line[:400]) and not line.lstrip().startswith("#"):
                yield Hit(
                    path,
                    number,
                    "The coverage gate is 0 %: it passes without a single test.",
                    "Set the limit to the coverage of today and raise it.",
                    severity=MEDIUM,
                    confidence=0.95,
                )
                break


def no_gate(repo: AuditRepository) -> Iterator[Hit]:
    """Coverage that CI measures and compares with nothing, once, where it is measured."""
    if any(_LIMIT.search(repo.text(p)) for p in _paths(repo)):
        return
    if any("codecov" in p.lower() or "sonar" in p.lower() for p in repo.paths):
        return
    for run in repo.runs.ci:
        if run.counts and _MEASURES.search(run.text[:2_000]) and "install" not in run.text:
            path, line = run.where
            yield Hit(
                path,
                line,
                "Coverage is measured here and compared with no limit: it may fall to nothing, "
                "and CI stays green.",
                "Add `--cov-fail-under=<coverage of today>`, and raise it.",
                also=((run.path, run.line),) if run.where != (run.path, run.line) else (),
                severity=LOW,
                confidence=0.6,
            )
            return


def _paths(repo: AuditRepository) -> list[str]:
    paths = [p for p in repo.files if p.rsplit("/", 1)[-1].lower() in _FILES]
    return paths + [p for p in (*repo.ci_paths, *repo.ending(".sh")) if p not in paths]
