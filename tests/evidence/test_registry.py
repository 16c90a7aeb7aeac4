"""The set of probes is complete by itself: no list is kept by hand."""

from __future__ import annotations

import ast
from pathlib import Path

import yaml

from mlops_advisor.tools.evidence import probes
from mlops_advisor.tools.evidence.probes import all_probes, probes_by_practice

FOLDER = Path(probes.__file__).parent


def test_every_decorated_function_is_found() -> None:
    written = [
        node.args[0].value
        for path in FOLDER.glob("[!_]*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id == "probe"
        and isinstance(node.args[0], ast.Constant)
        and isinstance(node.args[0].value, str)
    ]
    assert len(written) == len(set(written))
    assert sorted(p.id for p in all_probes()) == sorted(written)
    assert len(written) >= 34


def test_every_module_holds_a_probe() -> None:
    for path in FOLDER.glob("[!_]*.py"):
        assert "@probe(" in path.read_text(), path.name


def test_every_probe_says_what_it_asks_and_where_it_looks() -> None:
    for probe in all_probes():
        assert probe.question.endswith("?"), probe.id
        assert len(probe.searched) > 20, probe.id


def test_practices_are_those_of_the_rubric(root: Path) -> None:
    known = {
        entry["id"]
        for path in (root / "resources" / "data" / "practices").glob("*.yaml")
        for entry in yaml.safe_load(path.read_text())["practices"]
    }
    seen = probes_by_practice()
    assert set(seen) <= known
    assert len(seen) >= 55
