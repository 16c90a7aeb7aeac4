"""The command line: `call`, `doctor`, `demo`, `--version`."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from shelling import Shell

from mlops_advisor.resources import loaders
from mlops_advisor.resources.errors import DataFileError
from mlops_advisor.server import calling, doctor, registry, settings

ANSWER = {"responses": [{"practice": "data_versioning", "answer": "automated"}]}


def test_call_prints_the_structured_result_and_nothing_else(shell: Shell) -> None:
    code, out, err = shell("call", "assess_maturity", stdin=json.dumps(ANSWER))

    assert (code, err) == (0, "")
    result = json.loads(out)
    assert result["dimensions"][0]["evidence"][0]["practice"] == "data_versioning"


def test_call_reads_a_file_and_gives_what_tools_call_gives(shell: Shell, tmp_path: Path) -> None:
    given = {**ANSWER, "options": {"as_of": "2026-11-23"}}
    file = tmp_path / "in.json"
    file.write_text("\ufeff" + json.dumps(given), "utf-8")

    code, out, _ = shell("call", "assess_maturity", "--input", str(file))

    assert code == 0
    assert json.loads(out) == calling.call("assess_maturity", given, ()).structured


@pytest.mark.parametrize("arguments", [[], ["--input", "-"]])
def test_call_without_input_begins_an_interview(shell: Shell, arguments: list[str]) -> None:
    code, out, _ = shell("call", "assess_maturity", *arguments, stdin="" if not arguments else "{}")

    assert code == 0
    assert len(json.loads(out)["questions"]) == 12


@pytest.mark.parametrize(
    ("stdin", "field", "problem"),
    [
        ('{"respnses": []}', "respnses", "unknown field; did you mean 'responses'?"),
        ('{"context": {"team_size": 0}}', "context.team_size", "greater than or equal to 1"),
        ('{"responses": 1, "responses": 2}', "responses", "given twice"),
        ("[]", "--input", "must be a JSON object"),
        ("{", "--input", "is no JSON"),
        ('{"context": {"team_size": NaN}}', "--input", "NaN is not a JSON number"),
        ('{"a": 1' + "0" * 5000 + "}", "--input", "is no JSON"),
        ("[" * 100_000, "--input", "is nested too deeply"),
        (b"\xff\xfe", "--input", "is not UTF-8"),
    ],
)
def test_call_explains_an_input_that_does_not_validate(
    shell: Shell, stdin: str | bytes, field: str, problem: str
) -> None:
    code, out, err = shell("call", "assess_maturity", "--input", "-", stdin=stdin)

    assert (code, out) == (2, "")
    error = json.loads(err)
    assert error["error"]
    assert error["details"][0]["field"] == field
    assert problem in error["details"][0]["problem"]


def test_call_explains_an_unknown_practice_with_the_nearest(shell: Shell) -> None:
    given = {"responses": [{"practice": "data_versionning", "answer": "no"}]}

    code, _, err = shell("call", "assess_maturity", stdin=json.dumps(given))

    assert code == 2
    assert "data_versioning" in json.loads(err)["details"][0]["problem"]


def test_call_explains_an_unknown_tool_and_a_file_that_cannot_be_read(
    shell: Shell, tmp_path: Path
) -> None:
    code, _, err = shell("call", "asses_maturity")
    assert code == 2
    assert json.loads(err)["details"][0]["problem"] == "did you mean assess_maturity?"

    for path in (tmp_path, tmp_path / "none.json"):
        code, _, err = shell("call", "assess_maturity", "--input", str(path))
        assert code == 2
        assert "cannot be read" in json.loads(err)["error"]


def test_call_reads_a_workspace_in_the_current_folder_or_below_a_root(
    shell: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inside, outside = tmp_path / "inside", tmp_path / "outside"
    for folder in (inside, outside):
        (folder / "team").mkdir(parents=True)
        (folder / "team" / "README.md").write_text("# A model\n", "utf-8")
    monkeypatch.chdir(inside)

    def ask(folder: Path, *options: str) -> int:
        return shell(
            "call", "assess_maturity", *options, stdin=json.dumps({"workspace": str(folder)})
        )[0]

    assert ask(inside / "team") == 0
    assert ask(outside / "team") == 2
    assert ask(outside / "team", "--root", str(outside)) == 0
    assert ask(inside / "team", "--root", str(outside)) == 2
    assert ask(inside / "team", "--root", str(tmp_path / "none")) == 2


def test_call_reports_a_fault_of_ours_with_another_code(
    shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken() -> None:
        raise DataFileError("rubric.yaml", 7, "prior", "is missing")

    monkeypatch.setattr(loaders, "bundled", broken)
    code, out, err = shell("call", "assess_maturity")

    assert (code, out) == (1, "")
    assert "rubric.yaml:7: prior: is missing" in json.loads(err)["error"]


def test_only_what_exists_is_a_command(shell: Shell) -> None:
    for absent in ("design", "fleet", "catalog"):
        assert shell(absent)[0] == 2


def test_the_version_is_that_of_the_package(shell: Shell) -> None:
    assert shell("--version") == (0, f"mlops-advisor {settings.version()}\n", "")


def test_doctor_finds_nothing_to_do(shell: Shell) -> None:
    code, out, _ = shell("doctor")

    assert code == 0
    lines = [line.split()[0] for line in out.splitlines()]
    assert len(lines) == 4
    assert set(lines) <= {"ok", "warn"}


def test_doctor_prints_json(shell: Shell) -> None:
    checks = json.loads(shell("doctor", "--json")[1])["checks"]

    assert [check["name"] for check in checks] == [
        "input schemas",
        "context ranges",
        "scoring",
        "knowledge",
    ]
    assert all(set(check) == {"name", "state", "detail", "do"} for check in checks)


def test_doctor_warns_of_knowledge_that_nobody_reviewed_for_a_month() -> None:
    known = loaders.bundled()

    assert doctor.freshness(known, date.fromisoformat(known.rubric.reviewed)).state == "ok"
    late = doctor.freshness(known, date(2100, 1, 1))
    assert late.state == "warn"
    assert late.do


def test_doctor_fails_when_the_engine_departs_from_the_rubric(
    shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    def twelve(*_: object) -> dict[str, float]:
        return dict.fromkeys(loaders.bundled().dimensions, 12.0)

    monkeypatch.setattr(doctor, "derive", twelve)
    code, out, _ = shell("doctor")

    assert code == 1
    (line,) = [line for line in out.splitlines() if line.startswith("fail")]
    assert "the rubric says 12.0" in line
    assert "->" in line


def test_doctor_fails_when_a_published_schema_is_stale(monkeypatch: pytest.MonkeyPatch) -> None:
    stale = tuple({**entry, "title": "old"} for entry in registry.listing())
    monkeypatch.setattr(registry, "listing", lambda: stale)

    assert doctor.schemas().state == "fail"


def test_doctor_survives_a_check_that_breaks(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> None:
        raise DataFileError("rubric.yaml", 7, "prior", "is missing")

    monkeypatch.setattr(loaders, "bundled", broken)
    states = {check.name: check.state for check in doctor.examine(date(2026, 11, 23))}

    assert states["scoring"] == states["knowledge"] == "fail"


@pytest.mark.slow
def test_the_demo_shows_every_tool_with_evidence_by_line(
    server_command: list[str], tmp_path: Path
) -> None:
    done = subprocess.run(
        [*server_command, "demo"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    for name in registry.names():
        assert f"{name} is called with" in done.stdout
    assert "MLOps maturity: level" in done.stdout
    assert re.search(r"`[\w./-]+\.(?:py|ya?ml|lock):\d+`", done.stdout)


@pytest.mark.slow
@pytest.mark.parametrize("arguments", [["--version"], ["call", "assess_maturity"]])
def test_the_module_is_the_command(server_command: list[str], arguments: list[str]) -> None:
    done: Any = subprocess.run(
        [*server_command, *arguments],
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        timeout=60,
        check=True,
    )

    assert done.stdout
    assert done.stderr == ""


@pytest.mark.slow
def test_call_loads_no_protocol_and_survives_a_reader_that_leaves(tmp_path: Path) -> None:
    program = (
        "import sys; from mlops_advisor.server import cli;"
        "code = cli.main(['call', 'assess_maturity']);"
        "assert not {'mcp', 'starlette', 'uvicorn'} & set(sys.modules);"
        "sys.exit(code)"
    )
    command = [sys.executable, "-c", program]
    with subprocess.Popen(
        command,
        cwd=tmp_path,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.wait(60) == 1
        assert process.stderr.read() == b""
