"""The audit in words: a compact Markdown report, and the template narrative."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby

from mlops_advisor.tools.audit_workflow.models import AuditWorkflowResult, FoundAt

LIMIT = 12_000  # characters; 4000 tokens at three characters each
_LONGEST = 400
_PLACES = 6


def narrate(result: AuditWorkflowResult) -> str:
    """Return a short account in full sentences; every figure in it stands in the result."""
    inventory = result.inventory
    if not inventory.files_scanned:
        return "No file was read, so there is nothing to report, and nothing was found to be well."
    total = sum(result.counts.values())
    if not total and result.degradation.level:
        return (
            f"{inventory.files_scanned} files were read, but the audit is partial: "
            f"{len(result.degradation.omitted)} checks did not run, so nothing is known to be well."
        )
    if not total:
        return (
            f"{inventory.files_scanned} files were read and no rule was broken. That is no proof "
            "that all is well: what files cannot show is listed under not_assessed."
        )
    spread = ", ".join(f"{n} {name}" for name, n in result.counts.items())
    parts = [
        (
            f"{inventory.files_scanned} files were read; {total} findings are left ({spread}), "
            f"which makes a risk of {result.risk.score} out of 100 ({result.risk.level})."
        )
    ]
    area, most = max(result.risk.by_dimension.items(), key=lambda item: (item[1], item[0]))
    parts.append(f"Most of it lies in {area.replace('_', ' ')} ({most}).")
    if result.findings:
        worst = result.findings[0]
        parts.append(f"The gravest is at {worst.path}:{worst.line}: {worst.rationale}")
    if result.remediation_plan:
        step = result.remediation_plan[0]
        parts.append(f"Begin with {step.rule_id}: {step.action}")
    return " ".join(parts)


def render(result: AuditWorkflowResult) -> str:
    """Return the whole actionable answer as Markdown; a summary has at most LIMIT characters."""
    lines = list(_lines(result))
    if not result.truncated:
        return "\n".join(lines)
    size = 0
    for number, line in enumerate(lines):
        size += len(line) + 1
        if size > LIMIT - 120:
            left = len(lines) - number
            return "\n".join([*lines[:number], f"… {left} lines more in structuredContent."])
    return "\n".join(lines)


def _lines(result: AuditWorkflowResult) -> Iterator[str]:
    total = sum(result.counts.values())
    spread = ", ".join(f"{n} {name}" for name, n in result.counts.items()) or "none"
    yield f"# Audit: risk {result.risk.score} of 100 ({result.risk.level})"
    yield ""
    inventory = result.inventory
    known = ", ".join(inventory.frameworks[:12]) or "no framework recognised"
    yield (
        f"{inventory.files_scanned} files read ({known}). Findings: {total} ({spread}); "
        f"suppressed: {result.suppressed}."
    )
    for warning in result.warnings:
        yield f"- Note: {warning}"
    yield from _findings(result)
    yield from _plan(result)
    if result.strengths:
        yield "\n## At work already"
        yield from (f"- {_short(s)}" for s in result.strengths[:8])
    yield "\n## Not assessed"
    yield from (f"- {_short(s)}" for s in result.not_assessed[:8])
    for cut in result.truncated:
        if cut.field == "findings":
            yield f"\n{cut.total - cut.shown} more findings: ask with detail=full, or select rules."


def _findings(result: AuditWorkflowResult) -> Iterator[str]:
    for (severity, rule_id, title), group in groupby(
        result.findings, key=lambda f: (f.severity, f.rule_id, f.title)
    ):
        found = list(group)
        yield f"\n### {severity}: {title} ({rule_id})"
        for finding in found[:_PLACES]:
            yield from _finding(finding)
        if len(found) > _PLACES:
            rest = ", ".join(f"{f.path}:{f.line}" for f in found[_PLACES : _PLACES + 20])
            yield f"- and {len(found) - _PLACES} more: {rest}"
        yield f"- Fix: {_short(found[0].remediation)}"


def _finding(finding: FoundAt) -> Iterator[str]:
    also = f" (with {', '.join(finding.also[:3])})" if finding.also else ""
    yield f"- {finding.path}:{finding.line}{also}: {_short(finding.rationale)}"


def _plan(result: AuditWorkflowResult) -> Iterator[str]:
    if not result.remediation_plan:
        return
    yield "\n## Plan, in this order"
    for step in result.remediation_plan[:10]:
        days = f"{step.effort_days.low:g}-{step.effort_days.high:g} d"
        after = f", after {', '.join(step.depends_on)}" if step.depends_on else ""
        yield f"{step.order}. {step.rule_id}, {step.findings} found, {days}{after}: {step.recheck}"


def _short(text: str) -> str:
    one = " ".join(text.split())
    return one if len(one) <= _LONGEST else f"{one[: _LONGEST - 1]}…"
