"""The tool as a whole: what is asked for, what comes back, and how it falls short."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from assessing import assess
from audited_project import PROJECT, dump, keys, write
from auditing import CONTEXT, FULL, ask

from mlops_advisor.tools.audit_workflow.models import AuditWorkflowInput, AuditWorkflowResult
from mlops_advisor.tools.audit_workflow.rule import ORDER
from mlops_advisor.tools.audit_workflow.rules import all_rules
from mlops_advisor.tools.audit_workflow.run import run
from mlops_advisor.tools.audit_workflow.text import render
from mlops_advisor.tools.common.errors import InvalidInputError, PathDeniedError
from mlops_advisor.tools.common.run import ScanFinding, ScanReport


@pytest.fixture(scope="module")
def whole() -> AuditWorkflowResult:
    return ask(PROJECT)


# --- what is listed, counted, planned --------------------------------------------------------


def test_the_project_has_findings_of_several_severities(whole: AuditWorkflowResult) -> None:
    assert len(whole.findings) >= 6
    assert len(whole.counts) >= 2
    assert whole.degradation.level == 0


def test_counts_plan_and_risk_speak_of_the_findings_listed(whole: AuditWorkflowResult) -> None:
    by_rule: dict[str, int] = {}
    by_severity: dict[str, int] = {}
    for finding in whole.findings:
        by_rule[finding.rule_id] = by_rule.get(finding.rule_id, 0) + 1
        by_severity[finding.severity] = by_severity.get(finding.severity, 0) + 1

    assert whole.rules_hit == by_rule
    assert whole.counts == by_severity
    assert {s.rule_id: s.findings for s in whole.remediation_plan} == by_rule
    assert [s.order for s in whole.remediation_plan] == list(range(1, len(by_rule) + 1))
    assert {r.id for r in whole.recommendations} == set(by_rule)
    assert {d for d, score in whole.risk.by_dimension.items() if score} <= {
        f.dimension for f in whole.findings
    }
    assert max(whole.risk.by_dimension.values()) <= whole.risk.score
    assert whole.suppressed == len(whole.suppressions) == 0


def test_every_finding_stands_in_a_file_and_has_a_key_of_its_own(
    whole: AuditWorkflowResult,
) -> None:
    known = {r.id: r for r in all_rules()}
    for finding in whole.findings:
        lines = PROJECT[finding.path].split("\n")
        assert 1 <= finding.line <= finding.end_line <= len(lines)
        assert finding.rationale
        assert finding.remediation
        assert finding.sources == known[finding.rule_id].sources
        for place in finding.also:
            path, _, line = place.rpartition(":")
            assert 1 <= int(line) <= len(PROJECT[path].split("\n"))
    assert len(keys(whole)) == len(whole.findings)


def test_findings_come_worst_first(whole: AuditWorkflowResult) -> None:
    ranks = [[s.value for s in ORDER].index(f.severity) for f in whole.findings]

    assert ranks == sorted(ranks)


def test_the_plan_does_first_what_others_rest_on(whole: AuditWorkflowResult) -> None:
    at = {s.rule_id: s.order for s in whole.remediation_plan}
    for step in whole.remediation_plan:
        assert all(at[before] < step.order for before in step.depends_on)
        assert step.effort_days.low <= step.effort_days.high
        assert f"--select {step.rule_id}" in step.recheck


def test_what_cannot_be_read_from_files_is_said(whole: AuditWorkflowResult) -> None:
    assert any("only files were read" in n for n in whole.not_assessed)
    assert any("given by hand" in n for n in whole.not_assessed)
    assert whole.maturity_score.current is None


# --- choosing ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("select", "ignore", "wanted"),
    [
        (["DS06"], [], lambda i: i == "DS06"),
        (["ds", "TR"], [], lambda i: i[:2] in ("DS", "TR")),
        (["DS0"], [], lambda i: i.startswith("DS0")),
        ([], ["DS"], lambda i: i[:2] != "DS"),
        (["DS"], ["DS06", "ds03"], lambda i: i[:2] == "DS" and i not in ("DS06", "DS03")),
        (["*"], [], lambda _: True),
        ([], ["*"], lambda _: False),
    ],
)
def test_rules_are_chosen_by_id_and_prefix(
    whole: AuditWorkflowResult,
    select: list[str],
    ignore: list[str],
    wanted: Callable[[str], bool],
) -> None:
    result = ask(PROJECT, select=select, ignore=ignore)

    assert result.findings == tuple(f for f in whole.findings if wanted(f.rule_id))
    left_out = sum(not wanted(r.id) for r in all_rules())
    said = f"{left_out} of {len(all_rules())} rules were left out by select or ignore"
    assert (said in result.not_assessed) == bool(left_out)


@pytest.mark.parametrize("field", ["select", "ignore"])
@pytest.mark.parametrize(
    ("wanted", "named"), [("DS99", "DS06"), ("ds99", "DS06"), ("ZZ", "DS"), ("QQ01", "TR")]
)
def test_an_unknown_rule_is_refused_and_the_nearest_are_named(
    field: str, wanted: str, named: str
) -> None:
    asked: dict[str, Any] = {field: ["DS06", wanted]}
    with pytest.raises(InvalidInputError) as caught:
        ask(PROJECT, **asked)

    (problem,) = caught.value.problems
    assert problem.field == f"{field}[1]"
    assert f"no rule is called {wanted}" in problem.problem
    assert named in problem.problem


@pytest.mark.parametrize(
    ("request_", "field"),
    [
        ({}, "workspace"),
        ({"workspace": ".", "files": [{"path": "a.py", "content": ""}]}, "files"),
        ({"files": [{"path": "a.py", "content": ""}], "changed_since": "main"}, "changed_since"),
    ],
)
def test_a_request_that_makes_no_sense_names_its_field(
    request_: dict[str, Any], field: str
) -> None:
    with pytest.raises(InvalidInputError) as caught:
        run(AuditWorkflowInput.model_validate(request_), CONTEXT)

    assert field in [p.field for p in caught.value.problems]


def test_a_workspace_outside_the_roots_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PathDeniedError):
        ask(workspace="..", at=replace(CONTEXT, roots=(tmp_path,)))


@pytest.mark.parametrize("least", [s.value for s in ORDER])
def test_nothing_below_the_least_severity_is_reported(
    whole: AuditWorkflowResult, least: str
) -> None:
    names = [s.value for s in ORDER]
    kept = names[: names.index(least) + 1]

    result = ask(PROJECT, min_severity=least)

    assert result.findings == tuple(f for f in whole.findings if f.severity in kept)
    assert result.counts == {s: n for s, n in whole.counts.items() if s in kept}


def test_what_max_findings_leaves_out_is_counted_and_said(whole: AuditWorkflowResult) -> None:
    result = ask(PROJECT, max_findings=2)

    assert result.findings == whole.findings[:2]
    assert result.counts == whole.counts
    assert result.risk == whole.risk
    assert result.remediation_plan == whole.remediation_plan
    left = len(whole.findings) - 2
    assert f"{left} findings more than max_findings are not listed." in result.warnings


def test_a_baseline_turns_what_is_accepted_off_and_lists_it(whole: AuditWorkflowResult) -> None:
    accepted = [f.fingerprint for f in whole.findings[1:]]

    result = ask(PROJECT, baseline=[*accepted, "0" * 16])

    assert result.findings == whole.findings[:1]
    assert result.suppressed == len(accepted) == len(result.suppressions)
    assert {s.by for s in result.suppressions} == {"baseline"}
    assert result.risk.score <= whole.risk.score
    everything = ask(PROJECT, baseline=sorted(keys(whole)))
    assert (everything.findings, everything.counts, everything.risk.level) == ((), {}, "none")


def test_a_baseline_still_fits_when_lines_have_moved(whole: AuditWorkflowResult) -> None:
    moved = PROJECT | {"Dockerfile": "# The image\n\n" + PROJECT["Dockerfile"]}

    result = ask(moved, baseline=sorted(keys(whole)), select=["DS"])

    assert [f for f in result.findings if f.path == "Dockerfile"] == []


def test_a_comment_is_counted_with_its_reason_and_lowers_the_risk() -> None:
    text = PROJECT["Dockerfile"].replace("latest", "latest  # mlops: ignore[*] a toy")

    result = ask(PROJECT | {"Dockerfile": text}, select=["DS"])

    mine = [s for s in result.suppressions if (s.path, s.line) == ("Dockerfile", 1)]
    assert mine
    assert {(s.by, s.reason) for s in mine} == {("comment", "a toy")}
    assert result.suppressed == len(result.suppressions)
    assert ("Dockerfile", 1) not in {(f.path, f.line) for f in result.findings}


def test_only_reports_some_files_and_reads_all(whole: AuditWorkflowResult) -> None:
    result = ask(PROJECT, only=["Dockerfile", "nothing.py"])

    assert result.findings == tuple(f for f in whole.findings if f.path == "Dockerfile")
    assert result.findings
    assert result.inventory == whole.inventory
    assert result.practices == whole.practices


@pytest.mark.parametrize("pattern", ["old/", "old", "/old/**", "*/Dockerfile"])
def test_excluded_files_are_not_read_and_said_to_be(
    whole: AuditWorkflowResult, pattern: str
) -> None:
    result = ask(PROJECT | {"old/Dockerfile": "FROM a:latest\n"}, exclude=[pattern])

    assert result.findings == whole.findings
    assert result.inventory.files_scanned == whole.inventory.files_scanned
    assert [(s.path, s.reason) for s in result.inventory.skipped] == [
        ("old/Dockerfile", "excluded by the request")
    ]


def test_changed_lines_are_asked_of_the_caller_and_only_they_are_reported(tmp_path: Path) -> None:
    write(tmp_path, PROJECT)
    asked: list[tuple[str, str]] = []

    def changed(
        workspace: str, revision: str, texts: Mapping[str, str]
    ) -> Mapping[str, frozenset[int]]:
        asked.append((workspace, revision))
        assert texts == PROJECT
        return {"Dockerfile": frozenset([5])}

    at = replace(CONTEXT, roots=(tmp_path,), changed=changed)
    result = ask(workspace=".", changed_since="main", at=at)

    assert asked == [(".", "main")]
    assert result.findings
    for finding in result.findings:
        places = [f"{finding.path}:{n}" for n in range(finding.line, finding.end_line + 1)]
        assert "Dockerfile:5" in [*places, *finding.also]


def test_without_git_changed_since_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError) as caught:
        ask(workspace=".", changed_since="main", at=replace(CONTEXT, roots=(tmp_path,)))

    assert caught.value.problems[0].field == "changed_since"


def test_other_tools_are_asked_for_a_workspace_and_their_silence_is_noted(tmp_path: Path) -> None:
    write(tmp_path, PROJECT | {"model.pkl": "\0"})
    report = ScanReport(
        (ScanFinding("picklescan", "dangerous-import", "model.pkl", 1, "would import os.system"),),
        ("zizmor: not installed, 1 files not scanned with it",),
    )
    at = replace(CONTEXT, roots=(tmp_path,), scan=lambda _folder, _paths: report)

    result = ask(workspace=".", at=at)

    assert report.notes[0] in result.not_assessed
    assert any(
        f.path == "model.pkl" and "picklescan" in f.rationale
        for f in result.findings
        if f.rule_id == "GS05"
    )


# --- the same everywhere ----------------------------------------------------------------------


@pytest.mark.parametrize("sample", ["notebook_student", "midlevel_team", "mature_product"])
def test_practices_are_those_that_assess_maturity_sees(samples: Path, sample: str) -> None:
    folder = samples / sample
    files = {
        p.relative_to(folder).as_posix(): p.read_text("utf-8")
        for p in sorted(folder.rglob("*"))
        if p.is_file()
    }
    practices = ask(files, select=["DS06"]).practices
    given = [{"path": p, "content": c} for p, c in files.items()]
    evidence = [e for d in assess(files=given).dimensions for e in d.evidence if e.source == "file"]

    assert {e.practice for e in evidence} == set(practices)
    for e in evidence:
        seen = practices[e.practice]
        assert seen.present == (not e.detail.startswith(("absent", "claimed", "not found"))), e
        if seen.present and e.path is not None:
            assert f"{e.path}:{e.line}" in seen.evidence


def test_the_same_files_give_the_same_bytes_in_any_order_and_on_disk(tmp_path: Path) -> None:
    write(tmp_path, PROJECT)

    first = dump(ask(PROJECT))

    assert dump(ask(dict(reversed(PROJECT.items())))) == first
    on_disk = ask(workspace=".", at=replace(CONTEXT, roots=(tmp_path,)))
    assert on_disk.findings == ask(PROJECT).findings
    assert on_disk.practices == ask(PROJECT).practices


def test_the_date_decides_and_is_said_when_it_was_not_given() -> None:
    told, untold = ask(PROJECT), ask(PROJECT, options={"detail": "full"})

    assert told.assumptions == ()
    assert [(a.field, a.value) for a in untold.assumptions] == [("options.as_of", "2026-11-23")]
    assert untold.findings == told.findings


def test_documentation_given_with_the_request_proves_nothing() -> None:
    claims = (
        "Every model is monitored for drift with Evidently, training data is versioned with DVC, "
        "and we have unit tests that run in CI on Kubernetes."
    )
    silent, told = ask(PROJECT), ask(PROJECT, documentation=claims)

    present = {p for p, seen in silent.practices.items() if seen.present}
    assert {p for p, seen in told.practices.items() if seen.present} == present
    gone = keys(silent) - keys(told)
    assert not gone, [f for f in silent.findings if f.fingerprint in gone]
    alone = ask(documentation=claims)
    assert alone.inventory.files_scanned == 0
    assert any("no clean bill" in w for w in alone.warnings)


def test_progress_is_told_in_rising_steps() -> None:
    told: list[tuple[int, int]] = []

    ask(PROJECT, at=replace(CONTEXT, progress=lambda done, total, _: told.append((done, total))))

    assert len(told) > 3
    assert told == sorted(set(told))
    assert {total for _, total in told} == {100}


def test_work_is_handed_to_agents_once(whole: AuditWorkflowResult) -> None:
    handed = [r for h in whole.handoffs for r in h.payload.rules]

    assert len(handed) == len(set(handed))
    assert set(handed) <= set(whole.rules_hit)
    assert "07-ml-infrastructure" in {h.agent for h in whole.handoffs}


def test_the_text_tells_what_the_result_says(whole: AuditWorkflowResult) -> None:
    text = render(whole)

    assert f"risk {whole.risk.score} of 100" in text
    for finding in whole.findings[:3]:
        assert f"{finding.path}:{finding.line}" in text
    assert all(f"{s.rule_id}, {s.findings} found" in text for s in whole.remediation_plan[:10])


def test_the_narrative_is_a_template_unless_it_is_not_wanted(whole: AuditWorkflowResult) -> None:
    told = ask(PROJECT, options={**FULL, "narrative": "auto"})

    assert (whole.narrative.source, whole.narrative.text) == ("none", "")
    assert told.narrative.source == "template"
    assert str(told.risk.score) in told.narrative.text
