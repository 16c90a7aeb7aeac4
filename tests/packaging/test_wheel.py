"""What is shipped: the three packages, their data, and nothing else."""

from __future__ import annotations

import zipfile
from email.parser import Parser
from pathlib import Path

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

SHIPPED = ("server", "tools", "resources")


def test_the_wheel_holds_the_namespace_and_its_metadata_only(wheel: zipfile.ZipFile) -> None:
    assert {name.split("/")[0] for name in wheel.namelist()} == {
        "mlops_advisor",
        "mlops_advisor-0.1.0.dist-info",
    }


def test_the_wheel_holds_every_file_of_the_three_packages(
    wheel: zipfile.ZipFile, project_files: list[Path]
) -> None:
    expected = {
        f"mlops_advisor/{name.as_posix()}" for name in project_files if name.parts[0] in SHIPPED
    }
    held = {name for name in wheel.namelist() if name.startswith("mlops_advisor/")}

    assert sorted(expected - held) == [], "not shipped: add it to package-data in pyproject.toml"
    assert sorted(held - expected) == [], "shipped, though it isn't in git"


def test_samples_arrive_byte_for_byte_with_their_hidden_files(
    wheel: zipfile.ZipFile, project_files: list[Path], root: Path
) -> None:
    samples = [name for name in project_files if name.parts[:2] == ("resources", "samples")]

    for name in samples:
        assert wheel.read(f"mlops_advisor/{name.as_posix()}") == (root / name).read_bytes()


def test_types_are_shipped(wheel: zipfile.ZipFile) -> None:
    for top in SHIPPED:
        assert f"mlops_advisor/{top}/py.typed" in wheel.namelist()


def test_the_wheels_metadata(wheel: zipfile.ZipFile) -> None:
    info = "mlops_advisor-0.1.0.dist-info"
    metadata = Parser().parsestr(wheel.read(f"{info}/METADATA").decode("utf-8"))

    assert metadata["Name"] == "mlops-advisor"
    assert metadata["License-Expression"] == "Apache-2.0"
    assert metadata["Requires-Python"] == ">=3.11"
    assert f"{info}/licenses/LICENSE" in wheel.namelist()
    scripts = wheel.read(f"{info}/entry_points.txt").decode("utf-8")
    assert "mlops-advisor = mlops_advisor.server.cli:main" in scripts
