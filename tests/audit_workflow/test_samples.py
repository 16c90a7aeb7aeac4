"""The bundled sample workspaces, from a student's notebooks to a mature product, as audited."""

from __future__ import annotations

import pytest
from auditing import AS_OF, FULL

from mlops_advisor.resources.loaders import SAMPLES, bundled
from mlops_advisor.tools.audit_workflow.models import AuditWorkflowInput, AuditWorkflowResult
from mlops_advisor.tools.audit_workflow.run import run
from mlops_advisor.tools.common.run import RunContext


def audited(sample: str) -> AuditWorkflowResult:
    context = RunContext(as_of=AS_OF, knowledge=bundled(), roots=(SAMPLES,))
    return run(AuditWorkflowInput.model_validate({"workspace": sample, "options": FULL}), context)


def test_a_mature_product_has_no_finding_at_high_or_above() -> None:
    found = audited("mature_product")

    assert [f for f in found.findings if f.severity in {"critical", "high"}] == []
    assert found.risk.level in {"none", "low"}


def test_what_is_wrong_with_the_students_notebooks_is_found() -> None:
    found = audited("notebook_student")

    assert {"DM06", "DM10", "DM12", "DM14", "GS06", "PL12", "TP08"} <= set(found.rules_hit)
    assert found.risk.level in {"high", "critical"}


def test_the_better_the_sample_the_lower_its_risk() -> None:
    scores = [
        audited(name).risk.score for name in ("notebook_student", "midlevel_team", "mature_product")
    ]

    assert scores == sorted(scores, reverse=True)


@pytest.mark.parametrize("name", ["notebook_student", "midlevel_team", "mature_product"])
def test_every_finding_points_at_a_line_of_the_sample(name: str) -> None:
    for finding in audited(name).findings:
        lines = (SAMPLES / name / finding.path).read_text("utf-8").split("\n")
        assert 1 <= finding.line <= finding.end_line <= max(len(lines), finding.line), finding
        assert finding.line <= len(lines), finding
