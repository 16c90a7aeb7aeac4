"""How hits become findings: located, redacted, merged, keyed, ordered, turned off.

The rules here are made up, so that the engine is tested and not the catalogue.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence

import pytest
from auditing import AS_OF, notebook, repository
from made_up_rules import TOKEN, WORD, given, marked

from mlops_advisor.resources.loaders import bundled
from mlops_advisor.tools.audit_workflow.engine import Audit, examine
from mlops_advisor.tools.audit_workflow.external import merged
from mlops_advisor.tools.audit_workflow.repo import AuditRepository
from mlops_advisor.tools.audit_workflow.rule import (
    CRITICAL,
    LOW,
    MEDIUM,
    Finding,
    Hit,
    Rule,
    module_rule,
    rule,
)
from mlops_advisor.tools.common.run import ScanFinding, ScanReport
from mlops_advisor.tools.evidence.collect import collect_inline
from mlops_advisor.tools.evidence.view import View


def run(files: Mapping[str, str], *rules: Rule) -> Audit:
    return examine(repository(files), rules or (marked(),))


def places(found: Sequence[Finding]) -> list[tuple[str, int]]:
    return [(f.place.path, f.place.line) for f in found]


# --- keys -----------------------------------------------------------------------------------


def keys(files: Mapping[str, str]) -> list[str]:
    return [f.fingerprint for f in run(files).findings]


def test_a_fingerprint_survives_moved_lines() -> None:
    before = "import os\nx = 'defect'\n"
    after = '"""New."""\n\nimport os\nimport sys\n\n\ndef f():\n    x = \'defect\'\n'

    assert keys({"a.py": before}) == keys({"a.py": after})


def test_a_fingerprint_survives_cells_put_before_it() -> None:
    before, after = "x = 'defect'\n", "import os\n# %%\nimport sys\n# %%\ny = 1\nx = 'defect'\n"

    assert keys({"a.ipynb": notebook(before)}) == keys({"a.ipynb": notebook(after)})


def test_equal_lines_have_keys_of_their_own() -> None:
    found = keys({"a.py": "x = 'defect'\n" * 3, "b.py": "x = 'defect'\ny = 1\n"})

    assert len(found) == 4
    assert len(set(found)) == 4


def test_another_text_rule_or_path_is_another_key() -> None:
    one = run({"a.py": "x = 'defect'\n"}, marked("ZZ01")).findings
    others = [
        *run({"a.py": "x = 'defect'\n"}, marked("ZZ02")).findings,
        *run({"b.py": "x = 'defect'\n"}, marked("ZZ01")).findings,
        *run({"a.py": "y = 'defect'\n"}, marked("ZZ01")).findings,
    ]

    assert one[0].fingerprint not in {f.fingerprint for f in others}


# --- places, copies, order ------------------------------------------------------------------


def test_equal_lines_of_a_notebook_have_places_of_their_own() -> None:
    text = notebook("x = 'defect'\n# %%\ny = 1\n# %%\nx = 'defect'\n")
    lines = text.split("\n")

    found = run({"a.ipynb": text}).findings

    assert [line for _, line in places(found)] == [
        n for n, line in enumerate(lines, 1) if WORD in line
    ]


@pytest.mark.parametrize("ascii_only", [True, False])
def test_a_place_in_a_notebook_is_right_also_behind_a_repeated_cell(*, ascii_only: bool) -> None:
    cell = "a = 1\nb = 2\n\ngröße = 'é'\nc = 3\nx = 'defect'\n"
    book = json.loads(notebook("# %%\n".join([cell] * 4)))
    text = json.dumps(book, indent=1, ensure_ascii=ascii_only)

    found = run({"a.ipynb": text}).findings

    wanted = [n for n, line in enumerate(text.split("\n"), 1) if WORD in line]
    assert [line for _, line in places(found)] == wanted


def test_identical_files_are_reported_once_with_their_copies() -> None:
    text = "import os\nx = 'defect'\n"

    (found,) = run({f"{name}/train.py": text for name in "abc"}).findings

    assert (found.place.path, found.place.line) == ("a/train.py", 2)
    assert [p.path for p in found.places] == ["b/train.py", "c/train.py"]


def test_files_that_differ_and_equal_lines_of_one_file_are_no_copies() -> None:
    files = {"a.py": "x = 'defect'\n", "b.py": "x = 'defect'\n\n"}

    assert len(run(files).findings) == 2
    two = given(Hit("a.py", 1, "One.", text="pandas"), Hit("a.py", 1, "One.", text="numpy"))
    found = run({"a.py": "x = 1\n"}, two).findings
    assert sorted(f.place.text for f in found) == ["numpy", "pandas"]
    assert [f.places for f in found] == [(), ()]


def test_one_place_is_reported_once_however_often_it_is_hit() -> None:
    twice = given(Hit("a.py", 1, "First."), Hit("a.py", 1, "Second."))

    assert [f.why for f in run({"a.py": "x\n"}, twice).findings] == ["First."]


def test_the_worst_comes_first_then_rule_path_and_line() -> None:
    files = {"b.py": "defect\ndefect grave\n", "a.py": "defect\n"}
    rules = (marked("ZZ03", LOW), marked("ZZ02", MEDIUM), marked("ZZ01", CRITICAL, "grave"))

    found = run(files, *rules).findings

    assert [(f.rule.id, f.place.path, f.place.line) for f in found] == [
        ("ZZ01", "b.py", 2),
        ("ZZ02", "a.py", 1),
        ("ZZ02", "b.py", 1),
        ("ZZ02", "b.py", 2),
        ("ZZ03", "a.py", 1),
        ("ZZ03", "b.py", 1),
        ("ZZ03", "b.py", 2),
    ]
    assert examine(repository(dict(reversed(files.items()))), rules[::-1]).findings == found


def test_a_hit_overrides_severity_confidence_fix_and_text() -> None:
    hit = Hit(
        "a.py",
        1,
        "Why.",
        "Do that.",
        text="seen",
        severity=CRITICAL,
        confidence=0.0,
        also=(("b.py", 2),),
    )

    (found,) = run({"a.py": "x\n", "b.py": "y\nz\n"}, given(hit)).findings

    assert (found.severity, found.confidence, found.fix) == (CRITICAL, 0.0, "Do that.")
    assert found.place.text == "seen"
    assert [(p.path, p.line, p.text) for p in found.places] == [("b.py", 2, "z")]


@pytest.mark.parametrize("line", [-3, 0, 1, 999])
def test_a_line_outside_the_file_breaks_nothing(line: int) -> None:
    (found,) = run({"a.py": "x\n"}, given(Hit("a.py", line, end_line=line - 1))).findings

    assert found.place.line >= 1
    assert found.end_line >= found.place.line


def test_a_path_that_was_not_read_can_be_reported() -> None:
    files = {"a.py": "x\n", "model.pkl": "\0"}

    (found,) = run(files, given(Hit("model.pkl", 1, text="model.pkl"))).findings

    assert (found.place.path, found.place.text) == ("model.pkl", "model.pkl")


# --- secrets --------------------------------------------------------------------------------


def test_secrets_are_masked_wherever_a_rule_puts_them() -> None:
    line = f'token = "{TOKEN}"  # defect'
    hit = Hit(
        "a.py",
        1,
        f"The token {TOKEN} stands here.",
        f"Revoke {TOKEN}.",
        also=(("a.py", 1),),
    )

    found = [
        *run({"a.py": line + "\n"}, given(hit)).findings,
        *run({"a.ipynb": notebook(line + "\n")}).findings,
    ]

    assert len(found) == 2
    assert TOKEN[:12] not in repr(found)
    assert "***" in found[0].why
    assert "***" in found[0].fix


def test_a_secret_is_masked_also_where_a_cut_would_fall() -> None:
    for before in range(100, 180):
        text = "x" * before + " " + TOKEN
        hit = Hit("a.py", 1, "w" * (before * 7) + " " + TOKEN, text=text)
        (found,) = run({"a.py": "x\n"}, given(hit)).findings
        assert TOKEN[:8] not in found.place.text + found.why


# --- rules that fail, and time --------------------------------------------------------------


@rule(
    "ZZ09",
    name="breaks",
    dimension="deployment",
    severity=LOW,
    confidence=0.8,
    fix="None.",
    effort=(0.1, 0.2),
    sources=(),
)
def breaks(repo: AuditRepository) -> Iterator[Hit]:
    yield Hit(next(iter(repo.files)), 1, "Found before it broke.")
    raise RuntimeError(TOKEN)


@module_rule(
    "ZZ08",
    name="breaks-on-one",
    dimension="deployment",
    severity=LOW,
    confidence=0.8,
    fix="None.",
    effort=(0.1, 0.2),
    sources=(),
    words=("import",),
)
def breaks_on_one(_repo: AuditRepository, view: View) -> Iterator[Hit]:
    if view.module.path in ("b.py", "d.py"):
        raise RecursionError
    yield Hit(view.module.path, 1)


def test_a_rule_that_breaks_takes_no_other_with_it_and_is_named() -> None:
    files = {"a.py": "import os  # defect\n", "b.py": "import re\n", "c.py": "import io\n"}
    files["d.py"] = "import json\n"

    found = run(files, breaks, breaks_on_one, marked())

    assert found.omitted == (
        "ZZ08: failed on b.py (RecursionError)",
        "ZZ09: failed on the repository (RuntimeError)",
    )
    assert {"ZZ01", "ZZ08"} <= {f.rule.id for f in found.findings}
    assert [f.place.path for f in found.findings if f.rule.id == "ZZ08"] == ["a.py", "c.py"]
    assert TOKEN not in repr(found.omitted)


def test_a_rule_that_floods_is_cut_and_says_so() -> None:
    found = run({"a.py": "x = 'defect'\n" * 2_500, "b.py": "y = 'graver'\n"}, marked(), breaks)

    assert sum(f.rule.id == "ZZ01" for f in found.findings) == 2_000
    assert "ZZ01: over 2000 findings, the rest left out" in found.omitted
    assert sum(f.rule.id == "ZZ09" for f in found.findings) == 1


def test_a_module_rule_sees_tests_only_when_it_asks_and_files_only_with_its_words() -> None:
    def checked(*, tests: bool, words: tuple[str, ...] = ()) -> list[str]:
        @module_rule(
            "ZZ07",
            name="seen",
            dimension="deployment",
            severity=LOW,
            confidence=0.8,
            fix="None.",
            effort=(0.1, 0.2),
            sources=(),
            words=words,
            tests=tests,
        )
        def seen(_repo: AuditRepository, view: View) -> Iterator[Hit]:
            yield Hit(view.module.path, 1)

        files = {"a.py": "import os\n", "tests/test_a.py": "import os\n\n", "b.py": "x = 1\n"}
        return [f.place.path for f in run(files, seen).findings]

    assert checked(tests=False) == ["a.py", "b.py"]
    assert checked(tests=True) == ["a.py", "b.py", "tests/test_a.py"]
    assert checked(tests=True, words=("import",)) == ["a.py", "tests/test_a.py"]


def test_what_a_rule_says_while_the_time_runs_out_is_not_believed() -> None:
    late = False

    @rule(
        "ZZ06",
        name="slow",
        dimension="deployment",
        severity=LOW,
        confidence=0.8,
        fix="None.",
        effort=(0.1, 0.2),
        sources=(),
    )
    def slow(repo: AuditRepository) -> Iterator[Hit]:
        nonlocal late
        late = True
        if not repo.yaml("a.yaml").docs:  # no longer parsed: the time is up
            yield Hit("a.yaml", 1, "It is empty.")

    repo = AuditRepository(
        collect_inline([("a.yaml", "a: 1\n")]),
        as_of=AS_OF,
        knowledge=bundled(),
        expired=lambda: late,
    )
    found = examine(repo, (slow, marked("ZZ07")))

    assert found.findings == ()
    assert found.omitted == ("ZZ06", "ZZ07")


# --- findings of other tools ----------------------------------------------------------------

FLOW = ".github/workflows/ci.yml"
STEPS = "on: push\njobs:\n  a:\n    steps:\n" + "      - uses: a/b@v1\n\n\n\n\n" * 3
GS09 = given(Hit(FLOW, 5, "Ours."), id_="GS09")


def scanned(text: str, *found: tuple[str, int]) -> Audit:
    repo = repository({FLOW: text})
    report = ScanReport(
        tuple(ScanFinding("zizmor", name, FLOW, at, "Theirs.") for name, at in found)
    )
    return merged(repo, examine(repo, (GS09,)), report, (GS09,))


def test_what_two_tools_find_is_one_finding_and_surer() -> None:
    (found,) = scanned(STEPS, ("unpinned-uses", 5), ("unpinned-uses", 6)).findings

    assert found.confidence == 0.95
    assert found.why == "Ours. zizmor reports it too (unpinned-uses)."


def test_what_only_the_other_tool_finds_is_added_with_a_key_of_its_own() -> None:
    found = scanned(STEPS, ("unpinned-uses", 10), ("unpinned-uses", 15)).findings

    assert places(found) == [(FLOW, 5), (FLOW, 10), (FLOW, 15)]
    assert len({f.fingerprint for f in found}) == 3


def test_what_belongs_to_no_rule_of_this_run_is_left_out() -> None:
    assert len(scanned(STEPS, ("anonymous-definition", 1), ("artipacked", 9)).findings) == 1


def test_what_a_comment_turned_off_does_not_come_back_through_another_tool() -> None:
    text = STEPS.replace("v1\n", "v1  # mlops: ignore[GS09] ours\n", 1)

    found = scanned(text, ("unpinned-uses", 4), ("unpinned-uses", 5))

    assert found.findings == ()
    assert len(found.suppressed) == 1
