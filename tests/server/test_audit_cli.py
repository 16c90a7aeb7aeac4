"""`audit` and `rule`: the audit as a linter, its formats and exit codes."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from audited_project import PROJECT, write
from shelling import Shell

from mlops_advisor.server import calling, reports
from mlops_advisor.tools.audit_workflow.models import AuditWorkflowResult
from mlops_advisor.tools.audit_workflow.rules import all_rules

# Comes with the SDK, without type stubs.
jsonschema: Any = import_module("jsonschema")

DATE = ("--as-of", "2026-11-23")
CLEAN = {"README.md": "# Nothing\n\nNo code.\n"}
ESCAPES = re.compile(r"\x1b\[[0-9;]*m")


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the project, as current folder."""
    root = tmp_path / "project"
    write(root, PROJECT)
    monkeypatch.chdir(root)
    return root


def report(out: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(out)
    return found


# --- exit codes -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "code"),
    [
        ((), 1),
        (("--fail-on", "high"), 1),
        (("--fail-on", "info"), 1),
        (("--fail-on", "never"), 0),
        (("--fail-on", "critical", "--select", "DS"), 0),
        (("--select", "DS06"), 0),
        (("--select", "DS06", "--fail-on", "medium"), 1),
        (("--select", "DS06", "--fail-on", "low"), 1),
        (("--ignore", "*"), 0),
    ],
)
def test_the_exit_code_says_whether_a_finding_at_the_level_is_left(
    shell: Shell, here: Path, options: tuple[str, ...], code: int
) -> None:
    assert shell("audit", ".", *DATE, *options)[0] == code


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("nowhere",), "nowhere: there is no such file or folder"),
        (("--select", "DS99"), "no rule is called DS99"),
        (("--select", "not a rule"), "select.0"),
        (("--ignore", "DS06,QQ"), "no rule is called QQ"),
        (("--as-of", "2026-13-40"), "options.as_of"),
        (("--baseline", "none.json"), "--write-baseline"),
        (("--baseline", "README.md"), "neither a baseline nor a result"),
        (("--diff", "main"), "changed_since"),
        (("--diff", "--upload-pack=x"), ""),
        (("--fail-on", "often"), "invalid choice"),
        (("--format", "html"), "invalid choice"),
    ],
)
def test_what_cannot_be_done_ends_with_2_and_a_reason_on_stderr(
    shell: Shell, here: Path, options: tuple[str, ...], words: str
) -> None:
    code, out, err = shell("audit", *options)

    assert (code, out) == (2, "")
    assert words in err
    assert "Traceback" not in err


def test_a_partial_audit_ends_with_3_and_says_so_in_every_format(
    shell: Shell, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = iter(range(1_000_000))
    monkeypatch.setattr("mlops_advisor.server.auditing.time.monotonic", lambda: next(clock))

    for form in reports.FORMATS:
        code, out, _ = shell("audit", *DATE, "--timeout", "5", "--format", form)
        assert code == 3
        assert "partial" in out


def test_a_clean_folder_ends_with_0(
    shell: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write(tmp_path, CLEAN)

    code, out, err = shell("audit", *DATE, "--select", "DS,TR")

    assert (code, err) == (0, "")
    assert out.startswith("no findings in 1 files; risk 0 of 100 (none)")


def test_an_empty_folder_gets_no_clean_bill(shell: Shell, tmp_path: Path) -> None:
    _, out, _ = shell("audit", str(tmp_path), *DATE)

    assert "no clean bill" in out


# --- what is audited --------------------------------------------------------------------------


def test_json_is_what_call_gives_uncapped(shell: Shell, here: Path) -> None:
    _, out, err = shell("audit", "--format", "json", *DATE)

    given = {"workspace": ".", "options": {"detail": "full", "as_of": "2026-11-23"}}
    assert err == ""
    assert report(out) == calling.call("audit_workflow", given, (here,)).structured


def test_a_file_is_judged_within_the_current_folder_and_only_it_is_reported(
    shell: Shell, here: Path
) -> None:
    whole = report(shell("audit", "--format", "json", *DATE)[1])
    some = report(shell("audit", "Dockerfile", "--format", "json", *DATE)[1])

    assert some["findings"] == [f for f in whole["findings"] if f["path"] == "Dockerfile"]
    assert some["inventory"] == whole["inventory"]


def test_several_folders_are_several_results(shell: Shell, tmp_path: Path) -> None:
    for name in "ab":
        write(tmp_path / name, {"Dockerfile": f"FROM {name}:latest\n"})
    targets = (str(tmp_path / "a"), str(tmp_path / "b"), str(tmp_path / "a"))

    code, out, _ = shell("audit", *targets, "--format", "json", "--select", "DS", *DATE)
    first, second = json.loads(out)
    assert [f["path"] for f in (*first["findings"], *second["findings"])] == ["Dockerfile"] * len(
        [*first["findings"], *second["findings"]]
    )
    log = report(shell("audit", *targets, "--format", "sarif", "--select", "DS", *DATE)[1])
    assert code in (0, 1)
    assert len(log["runs"]) == 2


def test_rules_and_severities_are_chosen_by_options(shell: Shell, here: Path) -> None:
    def ids(*options: str) -> set[str]:
        found = report(shell("audit", "--format", "json", *DATE, *options)[1])["findings"]
        return {f["rule_id"] for f in found}

    assert {i[:2] for i in ids("--select", "DS, tr")} == {"DS", "TR"}
    assert ids("--select", "DS03", "--select", "DS06") == {"DS03", "DS06"}
    assert "DS06" not in ids("--ignore", "DS06,DS03")
    severities = report(shell("audit", "--format", "json", "--min-severity", "high", *DATE)[1])
    assert set(severities["counts"]) <= {"critical", "high"}


# --- formats ----------------------------------------------------------------------------------


def test_text_shows_place_source_line_and_fix(shell: Shell, here: Path) -> None:
    _, out, err = shell("audit", "--select", "DS06", *DATE)

    assert err == ""
    assert "Dockerfile:1 medium DS06: " in out
    assert "\n1 | FROM python:latest\n  | ^^^^^^^^^^^^^^^^^^\n" in out
    assert "\n  = fix: " in out
    assert "`mlops-advisor rule ID` explains one" in out


def test_colour_is_only_there_when_it_is_wanted(
    shell: Shell, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = shell("audit", *DATE, "--color", "never")[1]
    painted = shell("audit", *DATE, "--color", "always")[1]

    assert "\x1b" not in plain
    assert ESCAPES.sub("", painted) == plain
    assert "\x1b[1;31m" in painted or "\x1b[31m" in painted
    assert shell("audit", *DATE)[1] == plain  # no terminal
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    monkeypatch.setenv("NO_COLOR", "1")
    assert shell("audit", *DATE)[1] == plain


def test_markdown_is_a_table_that_no_cell_can_leave(
    shell: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write(tmp_path, {"a|b](x)<i>`/Dockerfile": "FROM x|y:latest\n"})

    _, out, _ = shell("audit", "--format", "markdown", "--select", "DS03,DS06", *DATE)

    rows = [line for line in out.split("\n") if line.startswith("| ")][1:]
    assert rows
    for row in rows:
        assert len(re.findall(r"(?<!\\)\|", row)) == 6
        assert r"a\|b\](x)\<i\>\`/Dockerfile:1" in row
    assert "### Not assessed" in out


def test_github_annotations_name_file_line_and_level(shell: Shell, here: Path) -> None:
    whole = report(shell("audit", "--format", "json", *DATE)[1])
    lines = shell("audit", "--format", "github", *DATE)[1].splitlines()

    assert len(lines) == len(whole["findings"])
    for line, finding in zip(lines, whole["findings"], strict=True):
        kind = {"critical": "error", "high": "error", "medium": "warning"}.get(
            finding["severity"], "notice"
        )
        start = f"::{kind} file={finding['path']},line={finding['line']},"
        assert line.startswith(start)
        assert f"title={finding['rule_id']} " in line


@pytest.mark.parametrize(
    "name", ["a,line=1::b", "a%0Ab", "a:b", "a b", "a;b", "a\n::error::b", "a\r::set-env::b"]
)
def test_a_hostile_name_cannot_end_a_github_command(
    shell: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.chdir(tmp_path)
    write(tmp_path, {f"{name}/Dockerfile": "FROM x:latest # ::error::y%0A\n"})

    _, out, _ = shell("audit", "--format", "github", "--select", "DS06", *DATE)

    (line,) = out.splitlines()
    command, _, _message = line[2:].partition("::")
    shown = command.removeprefix("warning ")
    assert len(shown.split(",")) == 4
    assert [part.split("=")[0] for part in shown.split(",")] == ["file", "line", "endLine", "title"]
    for mark, plain in (("%3A", ":"), ("%2C", ","), ("%0A", "\n"), ("%0D", "\r"), ("%25", "%")):
        shown = shown.replace(mark, plain)
    escaped = name.replace("\n", "\\n").replace("\r", "\\r")
    assert shown.startswith(f"file={escaped}/Dockerfile,")


# --- SARIF ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def schema(root: Path) -> dict[str, Any]:
    """The part of the OASIS standard SARIF 2.1.0 that is written, stated in our own words."""
    path = root / "tests" / "contract" / "sarif-2.1.0.part.schema.json"
    found: dict[str, Any] = json.loads(path.read_text("utf-8"))
    return found


def valid(log: Any, schema: dict[str, Any]) -> Any:
    checker = jsonschema.Draft7Validator.FORMAT_CHECKER
    jsonschema.Draft7Validator(schema, format_checker=checker).validate(log)
    return log


def test_sarif_is_valid_and_says_what_the_result_says(
    shell: Shell, here: Path, schema: dict[str, Any]
) -> None:
    whole = report(shell("audit", "--format", "json", *DATE)[1])
    (run,) = valid(report(shell("audit", "--format", "sarif", *DATE)[1]), schema)["runs"]

    rules = run["tool"]["driver"]["rules"]
    assert [r["id"] for r in rules] == sorted(whole["rules_hit"])
    known = {r.id: r for r in all_rules()}
    for result, finding in zip(run["results"], whole["findings"], strict=True):
        assert result["ruleId"] == finding["rule_id"] == rules[result["ruleIndex"]]["id"]
        assert result["partialFingerprints"] == {"mlopsAdvisor/v1": finding["fingerprint"]}
        place = result["locations"][0]["physicalLocation"]
        assert place["artifactLocation"]["uri"] == finding["path"]
        assert place["region"]["startLine"] == finding["line"]
        assert place["region"]["endLine"] == finding["end_line"]
        assert len(result.get("relatedLocations", [])) == len(finding["also"])
    assert all(rule["help"]["text"] == known[rule["id"]].doc for rule in rules)
    assert run["invocations"][0]["executionSuccessful"] is True


def test_sarif_of_hostile_names_and_of_nothing_is_valid(
    shell: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, schema: dict[str, Any]
) -> None:
    monkeypatch.chdir(tmp_path)
    empty = valid(report(shell("audit", "--format", "sarif", *DATE)[1]), schema)
    assert empty["runs"][0]["results"] == []
    names = ("a:b", "ü", "a b", "%41", "a#b?c", "a\nb", "[x]", "a\\b", '"', "http:")
    for number, name in enumerate(names):
        write(tmp_path, {f"{name}/Dockerfile": f"FROM x{number}:latest\n"})

    log = valid(report(shell("audit", "--format", "sarif", "--select", "DS", *DATE)[1]), schema)

    uris = {
        r["locations"][0]["physicalLocation"]["artifactLocation"]["uri"]
        for r in log["runs"][0]["results"]
    }
    assert {"%C3%BC/Dockerfile", "%2541/Dockerfile", "a%3Ab/Dockerfile"} <= uris


def test_sarif_of_every_rule_is_valid(schema: dict[str, Any], here: Path, shell: Shell) -> None:
    result = AuditWorkflowResult.model_validate(
        calling.call("audit_workflow", {"workspace": "."}, (here,)).structured
    )
    one = result.findings[0]
    findings = tuple(
        one.model_copy(update={"rule_id": r.id, "severity": r.severity.value}) for r in all_rules()
    )
    every = result.model_copy(
        update={"findings": findings, "rules_hit": {r.id: 1 for r in all_rules()}}
    )

    log = valid(json.loads(reports.sarif([every])), schema)

    assert len(log["runs"][0]["tool"]["driver"]["rules"]) == len(all_rules())
    for form in (reports.github, reports.markdown, lambda r: reports.text(r, colour=True)):
        assert form([every]).encode("utf-8")


# --- rule -------------------------------------------------------------------------------------


def test_rule_lists_all_and_explains_one_by_id_or_name(shell: Shell) -> None:
    code, listed, _ = shell("rule")
    assert code == 0
    assert [line.split()[0] for line in listed.splitlines()] == [r.id for r in all_rules()]

    for wanted in ("DS06", "ds06", "container-runs-as-root"):
        code, out, err = shell("rule", wanted)
        assert (code, err) == (0, "")
        assert out.startswith("# DS06 container-runs-as-root: Container runs as root\n")
        assert "## Use instead" in out
        assert "## Sources" in out


@pytest.mark.parametrize(
    ("wanted", "words"),
    [
        ("DS66", "nearest: DS"),
        ("container-runs-as-rot", "nearest: container-runs-as-root"),
        ("zzzzzzzz", "`mlops-advisor rule` lists them"),
        ("x" * 10_000, "no rule is called"),
    ],
)
def test_an_unknown_rule_is_refused_with_the_nearest(shell: Shell, wanted: str, words: str) -> None:
    code, out, err = shell("rule", wanted)

    assert (code, out) == (2, "")
    assert words in err
    assert len(err) < 400


# --- settings ---------------------------------------------------------------------------------


def configure(root: Path, text: str) -> None:
    write(root, {"pyproject.toml": f"[tool.mlops-advisor.audit]\n{text}\n"})


def test_settings_of_the_project_hold_unless_an_option_says_otherwise(
    shell: Shell, here: Path
) -> None:
    def ids(*options: str) -> set[str]:
        return set(report(shell("audit", "--format", "json", *DATE, *options)[1])["rules_hit"])

    configure(here, 'select = ["DS"]\nignore = ["DS03"]\nexclude = ["serve.py"]')
    found = ids()
    assert {i[:2] for i in found} == {"DS"}
    assert "DS03" not in found
    assert ids("--select", "DS03", "--ignore", "TR") == {"DS03"}
    out = report(shell("audit", "--format", "json", *DATE)[1])
    assert "serve.py" in {s["path"] for s in out["inventory"]["skipped"]}

    configure(here, 'select = ["DS06"]\nfail-on = "medium"')
    assert shell("audit", *DATE)[0] == 1
    assert shell("audit", *DATE, "--fail-on", "high")[0] == 0
    configure(here, 'min-severity = "high"')
    assert set(report(shell("audit", "--format", "json", *DATE)[1])["counts"]) <= {
        "critical",
        "high",
    }


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('selct = ["DS"]', "selct: unknown setting; known are: select"),
        ('select = "DS"', "select: must be a list of strings"),
        ("exclude = [1]", "exclude: must be a list of strings"),
        ('fail-on = "often"', "fail-on: must be one of: critical"),
        ("min-severity = 3", "min-severity: must be one of: critical"),
        ('min-severity = ["high"]', "min-severity: must be one of: critical"),
        ("baseline = []", "baseline: must be the path of a file"),
        ('baseline = "none.json"', "cannot be read"),
        ('select = ["DS99"]', "no rule is called DS99"),
        ("audit = []", "must be a table"),
    ],
)
def test_settings_that_do_not_validate_are_named(
    shell: Shell, here: Path, text: str, words: str
) -> None:
    if text.startswith("audit"):
        write(here, {"pyproject.toml": f"[tool.mlops-advisor]\n{text}\n"})
    else:
        configure(here, text)

    code, out, err = shell("audit", *DATE)

    assert (code, out) == (2, "")
    assert words in err


@pytest.mark.parametrize(
    "text", ["= [", "[tool]\nmlops-advisor = 3\n", "[tool.mlops-advisor]\n", "\x00"]
)
def test_a_pyproject_without_readable_settings_changes_nothing(
    shell: Shell, here: Path, text: str
) -> None:
    write(here, {"pyproject.toml": text})

    assert shell("audit", *DATE, "--select", "DS")[0] in (0, 1)


def test_settings_are_not_read_through_a_link(shell: Shell, here: Path, tmp_path: Path) -> None:
    configure(tmp_path, 'ignore = ["*"]')
    (here / "pyproject.toml").symlink_to(tmp_path / "pyproject.toml")

    assert report(shell("audit", "--format", "json", *DATE)[1])["findings"]


# --- baseline ---------------------------------------------------------------------------------


def test_a_baseline_accepts_what_is_there_and_only_that(shell: Shell, here: Path) -> None:
    code, out, err = shell("audit", *DATE, "--write-baseline", "accepted.json")
    assert (code, out) == (0, "")
    assert re.fullmatch(r"\d+ findings accepted in accepted\.json\n", err)

    code, out, _ = shell("audit", *DATE, "--baseline", "accepted.json", "--format", "json")
    assert code == 0
    assert report(out)["findings"] == []
    assert report(out)["suppressed"] > 5

    write(here, {"new/Dockerfile": "FROM new:latest\n"})
    _, out, _ = shell("audit", *DATE, "--baseline", "accepted.json", "--format", "json")
    assert {f["path"] for f in report(out)["findings"] if f["rule_id"] in ("DS03", "DS06")} == {
        "new/Dockerfile"
    }


def test_an_earlier_result_and_a_setting_serve_as_baseline(shell: Shell, here: Path) -> None:
    _, out, _ = shell("audit", *DATE, "--format", "json")
    write(here.parent, {"before.json": out})

    code, _, _ = shell("audit", *DATE, "--baseline", str(here.parent / "before.json"))
    assert code == 0
    write(here.parent, {"both.json": f"[{out},{out}]"})
    code, _, _ = shell("audit", *DATE, "--baseline", str(here.parent / "both.json"))
    assert code == 0
    assert shell("audit", *DATE, "--write-baseline", "kept.json")[0] == 0
    configure(here, 'baseline = "kept.json"')
    assert shell("audit", *DATE, "--select", "DS,TR,DM")[0] == 0


@pytest.mark.parametrize(
    "make", [lambda p: p, lambda p: p / "none" / "b.json"], ids=["folder", "missing"]
)
def test_a_baseline_that_cannot_be_written_is_said(
    shell: Shell, here: Path, tmp_path: Path, make: Callable[[Path], Path]
) -> None:
    code, _, err = shell("audit", *DATE, "--write-baseline", str(make(tmp_path)))

    assert code == 2
    assert "cannot be written" in err


@pytest.mark.parametrize("text", ["[", "3", "{}", '{"findings": [{"x": 1}]}', '{"findings": 3}'])
def test_a_file_that_is_no_baseline_is_refused(shell: Shell, here: Path, text: str) -> None:
    write(here.parent, {"bad.json": text})

    code, _, err = shell("audit", *DATE, "--baseline", str(here.parent / "bad.json"))

    assert code == 2
    assert "neither a baseline nor a result" in err
