"""The tool at its limits: budgets of size, time that runs out, nothing to read, remembering."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from audited_project import PROJECT, dump, keys, write
from auditing import CONTEXT, FULL, ask, notebook

from mlops_advisor.tools.audit_workflow.models import AuditWorkflowResult
from mlops_advisor.tools.audit_workflow.rules import all_rules
from mlops_advisor.tools.audit_workflow.text import render

SUMMARY = 28_000
TEXT = 12_000


@pytest.fixture(scope="module")
def whole() -> AuditWorkflowResult:
    return ask(PROJECT)


# --- size -------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def many() -> dict[str, str]:
    return {
        f"team_{n:03}/{name}": f"# team {n}\n{text}" if name != "README.md" else f"{text}\n{n}\n"
        for n in range(25)
        for name, text in PROJECT.items()
    }


def test_a_summary_keeps_its_budget_and_says_what_it_cut(many: dict[str, str]) -> None:
    result = ask(many, options={**FULL, "detail": "summary", "narrative": "template"})

    assert len(dump(result)) <= SUMMARY
    assert len(render(result)) <= TEXT
    (cut,) = [t for t in result.truncated if t.field == "findings"]
    assert cut.shown == len(result.findings)
    assert cut.total == sum(result.counts.values()) > 200
    assert {t.field for t in result.truncated} >= {"findings", "remediation_plan"} or len(
        result.remediation_plan
    ) == len(result.rules_hit)
    assert result.findings[0].severity == next(iter(result.counts))


def test_long_texts_and_names_keep_the_budget() -> None:
    name = "/".join(["long_folder_name" * 6] * 9)
    files = {
        f"{name}/{n}/Dockerfile": f"FROM {'x' * 1000}{n}:latest\nRUN chmod -R 777 /{'y' * 900}\n"
        for n in range(40)
    }

    result = ask(files, options={**FULL, "detail": "summary", "narrative": "template"})

    assert result.findings
    assert len(dump(result)) <= SUMMARY
    assert len(render(result)) <= TEXT


def test_a_small_project_is_not_cut() -> None:
    files = {"Dockerfile": PROJECT["Dockerfile"]}
    result = ask(files, options={**FULL, "detail": "summary"}, select=["DS"])

    assert len(dump(result)) <= SUMMARY
    assert result.findings == ask(files, select=["DS"]).findings
    assert "findings" not in {t.field for t in result.truncated}


# --- falling short ----------------------------------------------------------------------------


def until(asks: int) -> Callable[[], bool]:
    """Make a clock that says the time is up from question number `asks` on."""
    asked = iter(range(1, 1_000_000))
    return lambda: next(asked) > asks


@pytest.fixture(scope="module")
def questions() -> int:
    """How often a whole audit asks whether the time is up."""
    asked = 0

    def expired() -> bool:
        nonlocal asked
        asked += 1
        return False

    ask(PROJECT, at=replace(CONTEXT, expired=expired))
    return asked


@pytest.mark.parametrize("share", [n / 24 for n in range(24)])
def test_when_the_time_is_up_what_is_left_is_true_and_the_rest_is_said_to_be_open(
    whole: AuditWorkflowResult, questions: int, share: float
) -> None:
    result = ask(PROJECT, at=replace(CONTEXT, expired=until(int(share * questions))))

    assert keys(result) <= keys(whole)
    assert result.degradation.level == 1
    assert result.degradation.omitted
    assert result.warnings[0].startswith("The audit is partial")
    assert "partial" in render(result)
    present = {p for p, seen in whole.practices.items() if seen.present}
    assert not present & {p for p, seen in result.practices.items() if not seen.present}


def test_time_that_is_enough_changes_nothing(whole: AuditWorkflowResult, questions: int) -> None:
    assert ask(PROJECT, at=replace(CONTEXT, expired=until(questions))) == whole


def test_a_partial_audit_without_findings_is_no_clean_bill() -> None:
    result = ask(
        PROJECT, at=replace(CONTEXT, expired=lambda: True), options={**FULL, "narrative": "auto"}
    )

    assert result.findings == ()
    assert result.confidence == 0
    assert "partial" in result.narrative.text
    assert len(result.degradation.omitted) >= len(all_rules())


@pytest.mark.parametrize("files", [{"a.bin": "\0"}, {}])
def test_nothing_read_is_no_clean_bill(files: dict[str, str], tmp_path: Path) -> None:
    write(tmp_path, files)

    result = ask(
        workspace=".",
        at=replace(CONTEXT, roots=(tmp_path,)),
        options={**FULL, "narrative": "auto"},
    )

    assert result.findings == ()
    assert result.confidence == 0
    assert any("no clean bill" in w for w in result.warnings)
    assert "nothing" in result.narrative.text
    assert "no clean bill" in render(result)


def test_what_is_not_understood_is_listed_and_lowers_the_confidence(
    whole: AuditWorkflowResult,
) -> None:
    book = json.loads(notebook("x = 1\n"))
    book["metadata"] = {"kernelspec": {"language": "R"}}
    broken = {
        "model.R": "lm(y ~ x)\n",
        "Job.scala": "object Job\n",
        "old.py": "def broken(:\n",
        "values.yaml": "apiVersion: v1\nkind: [\n",
        "r.ipynb": json.dumps(book),
        "b.ipynb": "{",
    }

    result = ask(PROJECT | broken)

    listed = {s.path for s in result.inventory.not_analysed}
    assert {"R", "Scala", "old.py", "r.ipynb", "b.ipynb"} <= listed
    assert listed <= {n.partition(":")[0] for n in result.not_assessed}
    assert any("read but not understood" in w for w in result.warnings)
    assert result.confidence < whole.confidence


def test_a_project_in_a_language_that_is_not_analysed_gets_no_clean_bill() -> None:
    result = ask({"model.R": "lm(y ~ x)\n", "score.R": "predict(m)\n"}, select=["DM", "TR"])

    assert result.confidence == 0
    assert result.warnings
    assert "R: 2 files: this language is not analysed" in result.not_assessed


# --- remembering ------------------------------------------------------------------------------


def remembered(root: Path, **request: Any) -> AuditWorkflowResult:
    options = {**FULL, "force_refresh": False}
    return ask(workspace=".", at=replace(CONTEXT, roots=(root,)), options=options, **request)


def test_a_second_audit_of_the_same_folder_is_the_same_and_parses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, PROJECT)
    first = remembered(tmp_path)
    monkeypatch.setattr("mlops_advisor.tools.audit_workflow.run.examine", None)

    assert dump(remembered(tmp_path)) == dump(first)
    assert remembered(tmp_path, min_severity="high").counts.keys() <= {"critical", "high"}


@pytest.mark.parametrize("name", ["train.py", "data/big.csv", ".gitignore", "new.py", "model.pkl"])
def test_whatever_changes_in_the_folder_is_noticed(tmp_path: Path, name: str) -> None:
    write(tmp_path, PROJECT | {"data/big.csv": "a,b\n"})
    remembered(tmp_path)

    write(tmp_path, {name: "data/\n" * 300_000 if name.endswith("csv") else "data/\n"})

    changed = dump(remembered(tmp_path))
    fresh = ask(workspace=".", at=replace(CONTEXT, roots=(tmp_path,)))
    assert changed == dump(fresh)


def test_other_rules_another_day_or_other_documents_are_another_audit(tmp_path: Path) -> None:
    write(tmp_path, PROJECT)
    whole = remembered(tmp_path)

    some = remembered(tmp_path, select=["DS"])
    assert {i[:2] for i in some.rules_hit} == {"DS"}
    assert remembered(tmp_path).rules_hit == whole.rules_hit


def test_a_partial_audit_is_not_remembered(tmp_path: Path) -> None:
    write(tmp_path, PROJECT | {"unlike.py": "the others = 1\n"})
    options = {**FULL, "force_refresh": False}
    late = replace(CONTEXT, roots=(tmp_path,), expired=lambda: True)
    assert ask(workspace=".", at=late, options=options).degradation.level == 1

    assert remembered(tmp_path).degradation.level == 0
    assert remembered(tmp_path).findings
