"""Every rule is specified in Markdown: snippets, and the findings expected in them.

Run one rule's spec: `pytest tests/audit_workflow/test_specs.py -k DM06`.
"""

from __future__ import annotations

import pytest
from auditing import SPECS, Case, audit, cases

from mlops_advisor.tools.audit_workflow.rules import all_rules

CASES = [c for path in sorted(SPECS.glob("*.md")) for c in cases(path)]


@pytest.mark.parametrize("case", CASES, ids=lambda c: f"{c.rule}: {c.title}")
def test_the_rule_finds_what_its_spec_says(case: Case) -> None:
    assert case.stated, "the section says neither `Findings` nor `No findings.`"
    assert case.files, "the section holds no file"
    found = audit(case.files, case.rule).findings
    shown = sorted((f.place.path, f.place.line) for f in found)
    assert shown == sorted((path, line) for path, line, _ in case.expected), "\n".join(
        f"{f.place.path}:{f.place.line} {f.why}" for f in found
    )
    for path, line, words in case.expected:
        texts = [f"{f.why} {f.fix}" for f in found if (f.place.path, f.place.line) == (path, line)]
        assert any(words in text for text in texts), texts


@pytest.mark.parametrize("rule", all_rules(), ids=lambda r: r.id)
def test_every_rule_has_a_spec_with_good_and_bad(rule: object) -> None:
    rule_id = getattr(rule, "id", "")
    mine = [c for c in CASES if c.rule == rule_id]
    assert any(c.expected for c in mine), "no section with a finding"
    assert any(not c.expected for c in mine), "no section without one"
