"""Releases that give a new version all traffic with no look at it between the steps."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator
from itertools import pairwise
from typing import Final

from mlops_advisor.tools.audit_workflow.repo import AuditRepository
from mlops_advisor.tools.audit_workflow.rule import MEDIUM, Hit
from mlops_advisor.tools.evidence.runs import Run
from mlops_advisor.tools.evidence.view import View, last

# A command that moves traffic; the last group is the share, when it names one.
_SHIFTS: Final = re.compile(
    r"\baz ml online-endpoint update\b[^\n]{0,300}--traffic[= ](\"[^\"\n]{1,200}\"|"
    r"'[^'\n]{1,200}'|\S{1,200})|"
    r"\bgcloud run services update-traffic\b[^\n]{0,300}(?:--to-\w{1,20}[= ]\S{0,120}?=(\d{1,3})\b|"
    r"(--to-latest))|"
    r"canaryTrafficPercent\\?[\"']?\s{0,4}:\s{0,4}(\d{1,3})"
)
_BRINGS: Final = re.compile(
    r"\baz ml online-deployment create\b|\bgcloud run deploy\b[^\n]{0,400}--no-traffic"
)
_CHECKS: Final = re.compile(
    r"\bcurl\b|\bwget\b|\binvoke\b|pytest|\btests?\b|smoke|check|valid|verif|monitor|locust|\bk6\b|"
    r"promtool|\bmetrics?\b|analysis|newman|\bab\s|\bhey\s|wait-for|rollout status"
)
_FULL: Final = 100
_CHECK_CALLS: Final = re.compile(
    r"invoke|predict|check|test|valid|verif|monitor|smoke|wait|query|get_metric|input|evaluate"
)


def hasty_traffic(sequences: Iterable[list[Run]]) -> Iterator[Hit]:
    """Report a step to 100 % that follows the one before it without any check."""
    seen: set[tuple[str, int]] = set()
    for runs in sequences:
        start: Run | None = None
        for run in runs:
            found = _SHIFTS.search(run.text[:3_000])
            if found is not None and _share(found) >= _FULL and start is not None:
                if (run.path, run.line) not in seen:
                    seen.add((run.path, run.line))
                    yield _hit(run.path, run.line, start.line, start.text[:60])
                start = None
            elif found is not None or _BRINGS.search(run.text):
                start = run
            elif _CHECKS.search(run.text):
                start = None


def _share(found: re.Match[str]) -> int:
    text = next((g for g in found.groups() if g), "100")
    numbers = [int(n) for n in re.findall(r"\d{1,3}", text)]
    return max(numbers, default=_FULL)


def hasty_code(repo: AuditRepository) -> Iterator[Hit]:
    """`endpoint.traffic = {"green": 10}` and `{"green": 100}` with nothing in between."""
    for path, module in repo.code.product.items():
        if ".traffic" in repo.text(path) and module.roots & {"azure", "azureml"}:
            view = repo.view(path)
            if view is not None:
                yield from _of_view(view)


def _of_view(view: View) -> Iterator[Hit]:
    assigns = [a for a in view.of(ast.Assign) if isinstance(a.targets[0], ast.Attribute)]
    traffic = [a for a in assigns if getattr(a.targets[0], "attr", "") == "traffic"]
    shifts = [(a.lineno, _shares(view, a), view.function(a)) for a in traffic]
    for (line, share, scope), (later, full, same) in pairwise(shifts):
        if scope is not same or not 0 < share < _FULL or full != _FULL:
            continue
        between = [c for c in view.calls if line < c.lineno < later]
        names = [last(view.name(c)).lower() for c in between]
        if not any(_CHECK_CALLS.search(n) for n in names if n not in ("result", "wait")):
            yield _hit(view.path, later, line, "the first share of traffic")


def _shares(view: View, assign: ast.Assign) -> int:
    table = view.literal(assign.value)
    if not isinstance(table, dict) or not table:
        return 0
    value = list(table.values())[-1]
    return value if isinstance(value, int) else 0


def _hit(path: str, line: int, before: int, what: str) -> Hit:
    return Hit(
        path,
        line,
        f"All traffic goes to the new version right after `{what}` (line {before}): nothing between"
        " the two looks at its answers, errors or latency, so the steps protect nobody.",
        "Call the new version and compare its errors and latency with the old one's before this"
        " step, stop and take the traffic back when they are worse.",
        also=((path, before),),
        severity=MEDIUM,
        confidence=0.8,
    )
