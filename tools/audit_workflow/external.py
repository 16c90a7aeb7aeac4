"""Findings of other tools (zizmor, picklescan), mapped to our rules and merged with our own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from mlops_advisor.tools.audit_workflow.engine import Audit, order, settle
from mlops_advisor.tools.audit_workflow.repo import AuditRepository
from mlops_advisor.tools.audit_workflow.rule import Finding, Hit, Rule
from mlops_advisor.tools.common.run import ScanFinding, ScanReport

# zizmor's audits by id; what is not here is about style, or about what our rules say better.
_ZIZMOR: Final = {
    "unpinned-uses": "GS09",
    "known-vulnerable-actions": "GS09",
    "archived-uses": "GS09",
    "impostor-commit": "GS09",
    "ref-confusion": "GS09",
    "excessive-permissions": "GS10",
    "artipacked": "GS10",
    "template-injection": "GS11",
    "dangerous-triggers": "GS11",
    "unsound-condition": "GS11",
    "bot-conditions": "GS11",
    "self-hosted-runner": "GS11",
    "github-env": "GS11",
    "secrets-inherit": "GS11",
    "overprovisioned-secrets": "GS11",
    "unredacted-secrets": "GS11",
    "insecure-commands": "GS11",
    "hardcoded-container-credentials": "GS01",
    "use-trusted-publishing": "GS12",
}
_NEAR: Final = 3  # lines between two reports of one thing


def rule_of(finding: ScanFinding) -> str:
    """Id of our rule that another tool's finding belongs to; empty when none."""
    if finding.tool == "picklescan":
        return "GS05"
    return _ZIZMOR.get(finding.rule, "") if finding.tool == "zizmor" else ""


def merged(repo: AuditRepository, audit: Audit, scan: ScanReport, rules: Sequence[Rule]) -> Audit:
    """Add what other tools found; what both found raises the confidence of ours instead."""
    by_id = {r.id: r for r in rules}
    kept = list(audit.findings)
    extra: list[tuple[Rule, Hit]] = []
    for finding in scan.findings:
        rule = by_id.get(rule_of(finding))
        if rule is None:
            continue
        if any(_same(s.finding, rule, finding) for s in audit.suppressed):
            continue
        same = next((i for i, f in enumerate(kept) if _same(f, rule, finding)), None)
        if same is None:
            why = f"{finding.tool} reports {finding.rule}: {finding.message}"
            extra.append((rule, Hit(finding.path, finding.line, why)))
        else:
            ours = kept[same]
            said = f"{ours.why} {finding.tool} reports it too ({finding.rule})."
            sure = max(ours.confidence, 0.95)
            if f"({finding.rule})" not in ours.why:
                kept[same] = replace(ours, why=said, confidence=sure)
    before = (*audit.findings, *(s.finding for s in audit.suppressed))
    more = settle(repo, extra, set(audit.omitted), before)
    everything = tuple(sorted((*kept, *more.findings), key=order))
    return Audit(everything, (*audit.suppressed, *more.suppressed), audit.omitted)


def _same(ours: Finding, rule: Rule, theirs: ScanFinding) -> bool:
    return (
        ours.rule.id == rule.id
        and ours.place.path == theirs.path
        and abs(ours.place.line - theirs.line) <= _NEAR
    )
