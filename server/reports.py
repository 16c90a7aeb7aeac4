"""An audit as others read it: terminal text, SARIF 2.1.0, Markdown, GitHub annotations."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any, Final
from urllib.parse import quote

from mlops_advisor.resources.loaders import bundled
from mlops_advisor.server import settings
from mlops_advisor.tools.audit_workflow import pages
from mlops_advisor.tools.audit_workflow.models import AuditWorkflowResult, FoundAt
from mlops_advisor.tools.audit_workflow.rules import all_rules

FORMATS: Final = ("text", "json", "sarif", "markdown", "github")
_COLOURS: Final = {"critical": "1;31", "high": "31", "medium": "33", "low": "36", "info": "2"}
_SARIF_LEVEL: Final = {
    "critical": "error",
    "high": "error",
    "medium": "warning",
    "low": "note",
    "info": "note",
}
# GitHub sorts alerts by this figure: from 9 critical, from 7 high, from 4 medium, as in CVSS.
_SECURITY: Final = {"critical": "9.5", "high": "8.0", "medium": "5.5", "low": "2.0", "info": "0.0"}
_GITHUB_LEVEL: Final = {
    "critical": "error",
    "high": "error",
    "medium": "warning",
    "low": "notice",
    "info": "notice",
}
_SARIF_SCHEMA: Final = (
    "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
)


def text(results: Iterable[AuditWorkflowResult], *, colour: bool) -> str:
    """Return the report for a terminal: place, message, source line with caret, fix."""
    lines: list[str] = []
    for result in results:
        for finding in result.findings:
            lines += _terminal(finding, colour=colour)
        lines += _summary(result, colour=colour)
    return "\n".join(lines) + "\n"


def _paint(what: str, code: str, *, colour: bool) -> str:
    return f"\x1b[{code}m{what}\x1b[0m" if colour else what


def _terminal(finding: FoundAt, *, colour: bool) -> Iterator[str]:
    level = _paint(finding.severity, _COLOURS[finding.severity], colour=colour)
    place = _paint(f"{finding.path}:{finding.line}", "1", colour=colour)
    yield f"{place} {level} {finding.rule_id}: {finding.title}"
    margin = " " * len(str(finding.line))
    if finding.evidence:
        yield f"{margin} |"
        yield f"{finding.line} | {finding.evidence}"
        carets = "^" * min(len(finding.evidence), 60)
        caret = _paint(carets, _COLOURS[finding.severity], colour=colour)
        yield f"{margin} | {caret}"
    yield f"{margin} = {finding.rationale}"
    for other in finding.also:
        yield f"{margin} = see {other}"
    yield f"{margin} = fix: {finding.remediation}"
    yield ""


def _summary(result: AuditWorkflowResult, *, colour: bool) -> Iterator[str]:
    total = sum(result.counts.values())
    spread = ", ".join(f"{n} {name}" for name, n in result.counts.items())
    found = f"{total} findings ({spread})" if total else "no findings"
    yield _paint(
        f"{found} in {result.inventory.files_scanned} files; risk {result.risk.score} of 100 "
        f"({result.risk.level}); {result.suppressed} suppressed",
        "1",
        colour=colour,
    )
    for warning in result.warnings:
        yield f"note: {warning}"
    entries = result.inventory.not_analysed
    for entry in entries[:5]:
        yield f"not analysed: {entry.path}: {entry.reason}"
    if len(entries) > 5:  # noqa: PLR2004
        yield f"not analysed: and {len(entries) - 5} more (--format json lists all)"
    if total:
        yield "`mlops-advisor rule ID` explains one; `# mlops: ignore[ID] why` turns it off here."


def github(results: Iterable[AuditWorkflowResult]) -> str:
    """Return workflow commands, one a finding, that GitHub shows beside the changed lines."""
    lines = []
    for result in results:
        if result.degradation.level:
            lines += [f"::warning::{_escaped(w, property_=False)}" for w in result.warnings]
        for f in result.findings:
            title = _escaped(f"{f.rule_id} {f.title}", property_=True)
            path = _escaped(f.path, property_=True)
            message = _escaped(f"{f.rationale}\n{f.remediation}", property_=False)
            kind = _GITHUB_LEVEL[f.severity]
            lines.append(
                f"::{kind} file={path},line={f.line},endLine={f.end_line},title={title}::{message}"
            )
    return "".join(f"{line}\n" for line in lines)


def _escaped(words: str, *, property_: bool) -> str:
    """Escape as GitHub's own toolkit does; else a file name could end the command."""
    words = words.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")
    return words.replace(":", "%3A").replace(",", "%2C") if property_ else words


def markdown(results: Iterable[AuditWorkflowResult]) -> str:
    """Return the report as a table for a pull request or a wiki."""
    lines: list[str] = []
    for result in results:
        lines += [
            f"## Audit: risk {result.risk.score} of 100 ({result.risk.level})",
            "",
            (
                f"{sum(result.counts.values())} findings in {result.inventory.files_scanned} "
                f"files, {result.suppressed} suppressed."
            ),
            "",
            *(f"- Note: {_cell(w)}" for w in result.warnings),
            "",
        ]
        if result.findings:
            lines += ["| severity | rule | place | what | fix |", "|---|---|---|---|---|"]
            lines += [
                f"| {f.severity} | {f.rule_id} | {_cell(f'{f.path}:{f.line}')} "
                f"| {_cell(f.rationale)} | {_cell(f.remediation)} |"
                for f in result.findings
            ]
        if result.remediation_plan:
            lines += ["", "### Plan", ""]
            lines += [
                f"{s.order}. {s.rule_id} ({s.findings} found, {s.effort_days.low:g} to "
                f"{s.effort_days.high:g} person-days): {_cell(s.action)}"
                for s in result.remediation_plan
            ]
        lines += ["", "### Not assessed", "", *(f"- {_cell(n)}" for n in result.not_assessed), ""]
    return "\n".join(lines)


def _cell(words: str) -> str:
    plain = " ".join(words.split())
    for mark in "\\`|<>[]":
        plain = plain.replace(mark, f"\\{mark}")
    return plain


def sarif(results: Iterable[AuditWorkflowResult]) -> str:
    """Return one SARIF 2.1.0 log with one run per audited folder."""
    log = {"$schema": _SARIF_SCHEMA, "version": "2.1.0", "runs": [_run(r) for r in results]}
    return json.dumps(log, ensure_ascii=False, indent=1) + "\n"


def _run(result: AuditWorkflowResult) -> dict[str, Any]:
    hit = set(result.rules_hit)
    rules = [r for r in all_rules() if r.id in hit]
    index = {r.id: i for i, r in enumerate(rules)}
    sources = bundled().sources
    return {
        "tool": {
            "driver": {
                "name": settings.NAME,
                "semanticVersion": _semantic(settings.version()),
                "informationUri": settings.WEBSITE,
                "rules": [
                    {
                        "id": r.id,
                        "name": r.name,
                        "shortDescription": {"text": r.title},
                        "fullDescription": {"text": r.title},
                        "help": {
                            "text": r.doc,
                            "markdown": pages.one_markdown(r, sources),
                        },
                        "defaultConfiguration": {"level": _SARIF_LEVEL[r.severity.value]},
                        "properties": {
                            "tags": ["mlops", r.dimension],
                            "precision": _precision(r.confidence),
                            "security-severity": _SECURITY[r.severity.value],
                        },
                    }
                    for r in rules
                ],
            }
        },
        "columnKind": "unicodeCodePoints",
        "invocations": [
            {
                "executionSuccessful": result.degradation.level == 0,
                "toolExecutionNotifications": [
                    {"level": "warning", "message": {"text": w}} for w in result.warnings
                ],
            }
        ],
        "results": [_sarif_result(f, index) for f in result.findings],
    }


def _sarif_result(finding: FoundAt, index: dict[str, int]) -> dict[str, Any]:
    result: dict[str, Any] = {
        "ruleId": finding.rule_id,
        "ruleIndex": index[finding.rule_id],
        "level": _SARIF_LEVEL[finding.severity],
        "message": {"text": f"{finding.rationale}\n\nFix: {finding.remediation}"},
        "locations": [_location(finding.path, finding.line, finding.end_line, finding.evidence)],
        "partialFingerprints": {"mlopsAdvisor/v1": finding.fingerprint},
        "rank": round(100 * finding.confidence, 1),
    }
    related = [place.rpartition(":") for place in finding.also]
    if related:
        result["relatedLocations"] = [
            {"id": n, **_location(path, int(line), int(line), "")}
            for n, (path, _, line) in enumerate(related, 1)
        ]
    return result


def _location(path: str, line: int, end_line: int, snippet: str) -> dict[str, Any]:
    region: dict[str, Any] = {"startLine": line, "endLine": end_line}
    if snippet:
        region["snippet"] = {"text": snippet}
    uri = quote(path, safe="/!$&'()*+,;=@~-._")
    return {"physicalLocation": {"artifactLocation": {"uri": uri}, "region": region}}


def _precision(confidence: float) -> str:
    if confidence >= 0.9:  # noqa: PLR2004
        return "very-high"
    return "high" if confidence >= 0.75 else "medium" if confidence >= 0.5 else "low"  # noqa: PLR2004


def _semantic(version: str) -> str:
    return version if version[:1].isdigit() and version.count(".") >= 2 else "0.0.0"  # noqa: PLR2004
