"""What the tests of audit_workflow share: run rules on files, read specs."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

from mlops_advisor.resources.loaders import bundled
from mlops_advisor.tools.audit_workflow.engine import Audit, examine
from mlops_advisor.tools.audit_workflow.models import AuditWorkflowInput, AuditWorkflowResult
from mlops_advisor.tools.audit_workflow.repo import AuditRepository
from mlops_advisor.tools.audit_workflow.rule import Rule
from mlops_advisor.tools.audit_workflow.rules import all_rules
from mlops_advisor.tools.audit_workflow.run import run
from mlops_advisor.tools.common.run import RunContext
from mlops_advisor.tools.evidence.collect import collect_inline

AS_OF = date(2026, 11, 23)
CONTEXT = RunContext(as_of=AS_OF, knowledge=bundled())
# force_refresh: an audit remembered from another test would hide what this one does.
FULL = {
    "detail": "full",
    "as_of": AS_OF.isoformat(),
    "narrative": "none",
    "force_refresh": True,
}
SPECS = Path(__file__).parents[1] / "audit_workflow" / "specs"
_FENCE = re.compile(r"^(`{3,}|~{3,})(.*)$")
_PATH = re.compile(r"^`([^`]+)`:?$")
_TIMES = re.compile(r" x(\d+)$")
_EXPECTED = re.compile(r"^(.+?):(\d+)(?:\s+(.*))?$")


def repository(files: Mapping[str, str], documentation: str = "") -> AuditRepository:
    """Open files as a repository at the date of the tests."""
    return AuditRepository(
        collect_inline(list(files.items())),
        as_of=AS_OF,
        knowledge=bundled(),
        documentation=documentation,
    )


def audit(files: Mapping[str, str], *ids: str) -> Audit:
    """Run the rules with some ids, or all; none of them may break."""
    found = examine(repository(files), rules(*ids))
    assert found.omitted == ()
    return found


def ask(
    files: Mapping[str, str] | None = None, *, at: RunContext = CONTEXT, **request: Any
) -> AuditWorkflowResult:
    """Run the tool on files and keyword arguments, validated as from a client."""
    if files is not None:
        request["files"] = [{"path": p, "content": c} for p, c in files.items()]
    request.setdefault("options", FULL)
    return run(AuditWorkflowInput.model_validate(request), at)


def rules(*ids: str) -> tuple[Rule, ...]:
    """Rules with some ids, or all."""
    return tuple(r for r in all_rules() if not ids or r.id in ids)


def notebook(source: str) -> str:
    """Make a notebook of cells written one after the other with `# %%` between them."""
    cells = [
        {
            "cell_type": "code",
            "execution_count": n,
            "metadata": {},
            "outputs": [],
            "source": [f"{line}\n" for line in cell.strip("\n").split("\n")],
        }
        for n, cell in enumerate(re.split(r"^# %%.*\n", source, flags=re.MULTILINE), 1)
        if cell.strip()
    ]
    book = {
        "cells": cells,
        "metadata": {"language_info": {"name": "python"}},
        "nbformat": 4,
        "nbformat_minor": 5,
    }
    return json.dumps(book, indent=1)


@dataclass(slots=True)
class Case:
    """One section of a spec: files, and the findings expected as (path, line, part of the why)."""

    rule: str
    title: str
    files: dict[str, str] = field(default_factory=dict)
    expected: list[tuple[str, int, str]] = field(default_factory=list)
    stated: bool = False


def cases(path: Path) -> Iterable[Case]:
    """Read one spec.

    A line with nothing but a path in backticks names the file that the next fenced block holds
    (info string `notebook`: cells divided by `# %%`; `csv x5000`: the block so many times).
    `Findings` before a block: one
    `path:line part of the text` a line.  `No findings.` alone says so.
    """
    rule = path.stem
    case: Case | None = None
    name = ""
    findings = False
    lines = iter(path.read_text("utf-8").split("\n"))
    for line in lines:
        if line.startswith("## "):
            if case is not None:
                yield case
            case = Case(rule, line[3:].strip())
            name, findings = "", False
        elif case is None:
            continue
        elif match := _PATH.match(line.strip()):
            name = match.group(1)
        elif line.strip() in ("Findings", "Findings:"):
            findings = True
        elif line.strip() == "No findings.":
            case.stated = True
        elif match := _FENCE.match(line):
            body = _block(lines, match.group(1))
            if findings:
                case.expected += [_expected(one) for one in body.split("\n") if one.strip()]
                case.stated, findings = True, False
            elif name:
                times = _TIMES.search(match.group(2))
                body *= int(times.group(1)) if times else 1
                case.files[name] = notebook(body) if match.group(2) == "notebook" else body
                name = ""
    if case is not None:
        yield case


def _block(lines: Iterable[str], fence: str) -> str:
    body = []
    for line in lines:
        if line.rstrip() == fence:
            break
        body.append(line)
    return "\n".join(body) + "\n"


def _expected(line: str) -> tuple[str, int, str]:
    match = _EXPECTED.match(line.strip())
    if match is None:
        raise ValueError(f"not `path:line text`: {line!r}")
    return match.group(1), int(match.group(2)), match.group(3) or ""
