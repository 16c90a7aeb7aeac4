"""Comments in a workspace that turn a finding off."""

from __future__ import annotations

import json
from collections.abc import Mapping

import pytest
from auditing import notebook, repository
from made_up_rules import TOKEN, given, marked

from mlops_advisor.tools.audit_workflow.engine import Audit, examine
from mlops_advisor.tools.audit_workflow.rule import Hit, Rule
from mlops_advisor.tools.audit_workflow.suppress import matches


def run(files: Mapping[str, str], *rules: Rule) -> Audit:
    return examine(repository(files), rules or (marked(),))


@pytest.mark.parametrize(
    ("path", "line", "reason"),
    [
        ("a.py", "x = 'defect'  # mlops: ignore[ZZ01] a toy", "a toy"),
        ("a.py", "x = 'defect'  #mlops:ignore[zz01]", ""),
        ("a.py", "x = 'defect'  # noqa: E501 # mlops: ignore[DM06, ZZ]: both", "both"),
        ("a.py", "x = 'defect'  # mlops: ignore[*] all of it", "all of it"),
        ("k8s/a.yaml", "image: defect  # mlops: ignore[ZZ01] pinned elsewhere", "pinned elsewhere"),
        ("Dockerfile", "FROM defect\n", None),
        ("Dockerfile", "# mlops: ignore[ZZ01] the base sets it\nFROM defect", "the base sets it"),
        ("a.yaml", "  # mlops: ignore[ZZ01] see wiki\n  image: defect", "see wiki"),
        ("README.md", "<!-- mlops: ignore[ZZ01] planned for May -->\nA defect.", "planned for May"),
        ("README.md", "A defect. <!-- mlops: ignore[ZZ01] planned -->  ", "planned"),
        ("a.sql", "-- mlops: ignore[ZZ01] small table\nselect defect", "small table"),
        ("main.tf", "// mlops: ignore[ZZ01] sandbox\na = defect", "sandbox"),
        ("setup.cfg", "; mlops: ignore[ZZ01] old\na = defect", "old"),
        ("a.py", "# mlops: ignore-file[ZZ01] generated\n\n\n\nx = 'defect'", "generated"),
        ("a.py", "'''Doc.'''\n# mlops: ignore-file[ZZ] made\nx = 'defect'", "made"),
    ],
)
def test_a_comment_turns_a_finding_off_and_its_reason_is_kept(
    path: str, line: str, reason: str | None
) -> None:
    found = run({path: line + "\n"})

    if reason is None:
        assert len(found.findings) == 1
        assert not found.suppressed
    else:
        assert found.findings == ()
        assert [s.reason for s in found.suppressed] == [reason]


@pytest.mark.parametrize(
    "text",
    [
        "x = 'defect'  # mlops: ignore[ZZ02] another rule",
        "x = 'defect'  # mlops: ignore[ZZ01",
        "x = 'defect'  # mlops: ignore[]",
        "x = 'defect'  # mlops: ignore",
        "x = 'defect'  # ignore[ZZ01]",
        "x = 1  # mlops: ignore[ZZ01] of its own line only\ny = 'defect'",
        "# mlops: ignore[ZZ01] too far\n\nx = 'defect'",
        "x = 'defect'\n# mlops: ignore[ZZ01] below",
        "# mlops: ignore[ZZ01] the line below, not the file\ny = 1\nx = 'defect'",
        "\n" * 40 + "# mlops: ignore-file[ZZ01] not at the top\n\nx = 'defect'",
    ],
)
def test_any_other_comment_turns_nothing_off(text: str) -> None:
    found = run({"a.py": text + "\n"})

    assert len(found.findings) == 1
    assert found.suppressed == ()


def test_a_comment_on_any_line_of_a_finding_turns_it_off() -> None:
    text = "run(\n    'defect',\n    1,  # mlops: ignore[ZZ01] checked\n)\n"

    found = run({"a.py": text}, given(Hit("a.py", 1, end_line=4)))

    assert [s.reason for s in found.suppressed] == ["checked"]


@pytest.mark.parametrize("indent", [1, None])
def test_a_comment_in_a_notebook_turns_off_the_line_it_stands_in(indent: int | None) -> None:
    cells = (
        "a = 'defect'  # mlops: ignore[ZZ01] a 'toy'\n# %%\n"
        "# mlops: ignore[ZZ01] above\nb = 'defect'\n# %%\nc = 'defect'\n"
    )
    text = json.dumps(json.loads(notebook(cells)), indent=indent)

    found = run({"a.ipynb": text})

    assert [f.place.text for f in found.findings] == ["[cell 3:1] c = 'defect'"]
    assert [s.reason for s in found.suppressed] == ["a 'toy'", "above"]


def test_a_comment_in_the_output_of_a_notebook_turns_nothing_off() -> None:
    book = json.loads(notebook("a = 'defect'\n"))
    book["metadata"]["title"] = "# mlops: ignore-file[ZZ01] forged"

    assert len(run({"a.ipynb": json.dumps(book)}).findings) == 1


def test_a_reason_holds_no_secret_and_no_control_character() -> None:
    line = f"x = 'defect'  # mlops: ignore[ZZ01] token={TOKEN} \x1b[31m\n"

    (off,) = run({"a.py": line}).suppressed

    assert TOKEN not in off.reason
    assert off.reason.isprintable()


def test_prefixes_and_the_star_name_rules() -> None:
    assert matches("DM06", "dm")
    assert matches("DM06", "DM06")
    assert matches("DM06", "*")
    assert not matches("DM06", "DM1")
    assert not matches("DM06", "M06")
