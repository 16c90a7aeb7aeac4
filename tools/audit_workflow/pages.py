"""The rules as pages: `mlops://rules` and `mlops://rules/{id}`, in JSON and Markdown."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mlops_advisor.resources.models import Source
from mlops_advisor.tools.audit_workflow import risk
from mlops_advisor.tools.audit_workflow.rule import ORDER, Rule
from mlops_advisor.tools.audit_workflow.rules import all_rules


def index() -> dict[str, Any]:
    """Return every rule in short, and the table of severities."""
    return {
        "severities": {
            s.value: {"impact": risk.IMPACT[s], "meaning": risk.MEANING[s]} for s in ORDER
        },
        "risk": risk.FORMULA,
        "rules": [_short(r) for r in all_rules()],
    }


def one(rule: Rule, sources: Mapping[str, Source]) -> dict[str, Any]:
    """Return one rule with its documentation and sources."""
    return {
        **_short(rule),
        "fix": rule.fix,
        "effort_days": {"low": rule.effort_days[0], "high": rule.effort_days[1]},
        "absence": rule.absence,
        "searched": rule.searched,
        "practice": rule.practice,
        "documentation": rule.doc,
        "sources": [_source(text, sources) for text in rule.sources],
    }


def _short(rule: Rule) -> dict[str, Any]:
    return {
        "id": rule.id,
        "name": rule.name,
        "title": rule.title,
        "dimension": rule.dimension,
        "severity": rule.severity.value,
        "confidence": rule.confidence,
    }


def _source(text: str, sources: Mapping[str, Source]) -> dict[str, str]:
    name, _, where = text.partition(": ")
    source = sources.get(name)
    if source is None:
        return {"id": name, "where": where}
    return {"id": name, "title": source.title, "where": where, "url": source.url}


def index_markdown() -> str:
    """Return the table of rules, by dimension."""
    lines = ["# Rules of the audit", "", "| severity | impact | meaning |", "|---|---|---|"]
    lines += [f"| {s.value} | {risk.IMPACT[s]} | {risk.MEANING[s]} |" for s in ORDER]
    lines += ["", f"Risk: {risk.FORMULA}.", ""]
    lines += [
        (
            "`mlops-advisor rule DM06` explains one; `# mlops: ignore[DM06] why` in a line turns "
            "it off there."
        ),
        "",
        "| id | name | severity | confidence | what is wrong |",
        "|---|---|---|---|---|",
    ]
    lines += [
        f"| {r.id} | {r.name} | {r.severity.value} | {r.confidence:g} | {r.title} |"
        for r in all_rules()
    ]
    return "\n".join(lines) + "\n"


def one_markdown(rule: Rule, sources: Mapping[str, Source]) -> str:
    """Return one rule to read."""
    title, _, rest = rule.doc.partition("\n")
    low, high = rule.effort_days
    lines = [
        f"# {rule.id} {rule.name}: {title}",
        "",
        (
            f"Severity {rule.severity.value}, confidence {rule.confidence:g}, dimension "
            f"{rule.dimension}, effort {low:g} to {high:g} person-days for one place."
        ),
        rest.rstrip(),
        "",
        "## Fix",
        "",
        rule.fix,
    ]
    if rule.searched:
        lines += ["", f"Searched: {rule.searched}"]
    if rule.sources:
        lines += ["", "## Sources", ""]
        for text in rule.sources:
            found = _source(text, sources)
            name = found.get("title", found["id"])
            url = f" ({found['url']})" if found.get("url") else ""
            lines.append(f"- {name}: {found['where']}{url}")
    return "\n".join(lines) + "\n"
