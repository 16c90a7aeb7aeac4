"""The packages on disk, the packages in the metadata, and the names they are imported by."""

from __future__ import annotations

import json
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

TOPS = ("server", "tools", "resources")

ALLOWED_AT_TOP = {
    # the design card's layout
    *TOPS,
    "tests",
    "mcp.json",
    # documents
    "README.md",
    "LICENSE",
    "CONTRIBUTING.md",
    "CHANGELOG.md",
    # build and pins
    "pyproject.toml",
    "requirements.txt",
    "requirements-dev.txt",
    "requirements-node.txt",
    "Makefile",
    # dot files
    ".ci",
    ".gitattributes",
    ".gitignore",
    ".ns",
}


@pytest.fixture(scope="module")
def metadata(root: Path) -> dict[str, Any]:
    return tomllib.loads((root / "pyproject.toml").read_text("utf-8"))


def packages_on_disk(root: Path) -> set[str]:
    """Folders with an `__init__.py`, by their shipped name; samples are data, not packages."""
    return {
        "mlops_advisor." + ".".join(init.parent.relative_to(root).parts)
        for top in TOPS
        for init in (root / top).rglob("__init__.py")
        if not init.is_relative_to(root / "resources" / "samples")
    }


def test_every_package_on_disk_is_listed_for_the_wheel(
    root: Path, metadata: dict[str, Any]
) -> None:
    listed = metadata["tool"]["setuptools"]["packages"]

    assert sorted(packages_on_disk(root)) == sorted(listed)
    assert len(set(listed)) == len(listed)


def test_every_folder_with_python_in_it_is_a_package(root: Path) -> None:
    folders = {
        module.parent
        for top in TOPS
        for module in (root / top).rglob("*.py")
        if not module.is_relative_to(root / "resources" / "samples")
        and not module.is_relative_to(root / "resources" / "data")
    }

    assert [
        str(folder) for folder in sorted(folders) if not (folder / "__init__.py").exists()
    ] == []


def test_links_for_type_checkers_point_at_the_three_packages(root: Path) -> None:
    links = root / ".ns" / "mlops_advisor"

    assert sorted(link.name for link in links.iterdir()) == sorted(TOPS)
    for link in links.iterdir():
        assert link.is_symlink(), "git needs core.symlinks to check this project's types"
        assert link.readlink().as_posix() == f"../../{link.name}"


def test_nothing_stands_at_the_top_level_without_a_reason(project_files: list[Path]) -> None:
    assert {name.parts[0] for name in project_files} - ALLOWED_AT_TOP == set()


def test_modules_are_imported_only_under_their_shipped_name(root: Path) -> None:
    # In a process of its own: other tests' imports say nothing about the package.
    code = (
        "import json, pkgutil, importlib, sys\n"
        "names = json.loads(sys.argv[1])\n"
        "[importlib.import_module(name) for name in names]\n"
        "print(json.dumps(sorted({'server', 'tools', 'resources'} & set(sys.modules))))\n"
    )
    names = json.dumps(sorted(packages_on_disk(root)))
    done = subprocess.run(
        [sys.executable, "-P", "-c", code, names],
        cwd=root.parent,
        check=True,
        capture_output=True,
        text=True,
    )

    assert json.loads(done.stdout) == []


def test_metadata_names_the_pythons_and_the_licence(metadata: dict[str, Any]) -> None:
    project = metadata["project"]

    assert project["requires-python"] == ">=3.11"
    for version in ("3.11", "3.12", "3.13"):
        assert f"Programming Language :: Python :: {version}" in project["classifiers"]
    assert project["license"] == "Apache-2.0"
    assert project["scripts"] == {"mlops-advisor": "mlops_advisor.server.cli:main"}
