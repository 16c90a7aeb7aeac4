"""Rules over every file of the project."""

from __future__ import annotations

import re
import subprocess
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

# In parts, so that this file does not break the rule it holds.
HOSTS = tuple(
    ".".join(parts)
    for parts in (
        ("pypi", "org"),
        ("pythonhosted", "org"),
        ("npmjs", "org"),
        ("npmjs", "com"),
        ("yarnpkg", "com"),
        ("deb", "debian", "org"),
        ("crates", "io"),
        ("proxy", "golang", "org"),
        ("conda", "anaconda", "org"),
        ("repo", "maven", "apache", "org"),
        ("rubygems", "org"),
    )
)

# Folders of the machines this was written on. A sample may well name its own author's folders.
# The brackets keep this file from breaking the rule it holds.
MACHINE_PATHS = re.compile(
    r"/[w]ork/(main|shared|\.library|\.mirror)\b|/[r]oot/(?!\.cache\b)|/[t]mp/(plan|bash_jobs)"
)

SOURCES = ("server", "tools", "resources", "tests")
CACHES = {"__pycache__", ".ruff_cache", ".mypy_cache", ".pytest_cache", ".hypothesis"}
LONGEST_MODULE = 500  # lines
LONGEST_TABLE = 800  # lines of a test module that is one table of small workspaces
LARGEST_FILE = 1_000_000  # bytes


def text_of(path: Path) -> str:
    return path.read_bytes().decode("utf-8", errors="replace")


def regular(root: Path, files: list[Path]) -> list[Path]:
    return [name for name in files if not (root / name).is_symlink()]


def test_no_file_names_a_package_registry(root: Path, project_files: list[Path]) -> None:
    found = [
        f"{name}:{number}: {host}"
        for name in regular(root, project_files)
        for number, line in enumerate(text_of(root / name).lower().splitlines(), start=1)
        for host in HOSTS
        if host in line
    ]

    assert found == []


def test_no_file_names_a_folder_of_the_machine_it_was_written_on(
    root: Path, project_files: list[Path]
) -> None:
    found = [
        f"{name}:{number}: {line.strip()[:80]}"
        for name in regular(root, project_files)
        for number, line in enumerate(text_of(root / name).splitlines(), start=1)
        if MACHINE_PATHS.search(line)
    ]

    assert found == []


def test_git_passes_over_no_file_of_the_packages(root: Path, project_files: list[Path]) -> None:
    """A sample's own .gitignore holds for git too: what it names would never be committed."""
    ignored = subprocess.run(
        ["git", "ls-files", "-z", "--others", "--ignored", "--exclude-standard", *SOURCES],
        cwd=root,
        check=True,
        capture_output=True,
    ).stdout.decode("utf-8")

    lost = [name for name in ignored.split("\0") if name and not CACHES & set(Path(name).parts)]
    assert lost == [], "rename it, change the sample's .gitignore, or `git add --force`"


def test_modules_stay_short_and_files_small(root: Path, project_files: list[Path]) -> None:
    modules = [name for name in project_files if name.suffix == ".py" and ".ns" not in name.parts]

    long = [
        str(name)
        for name in modules
        if len(text_of(root / name).splitlines())
        > (LONGEST_TABLE if name.name.startswith("test_probes_") else LONGEST_MODULE)
    ]
    large = [
        str(name)
        for name in regular(root, project_files)
        if (root / name).stat().st_size > LARGEST_FILE
    ]
    assert long == []
    assert large == []


@pytest.mark.parametrize(
    "pins", ["requirements.txt", "requirements-dev.txt", "requirements-node.txt"]
)
def test_pins_are_exact_hashed_and_free_of_addresses(root: Path, pins: str) -> None:
    lines = (root / pins).read_text("utf-8").replace("\\\n", " ").splitlines()
    entries = [line for line in lines if line.strip() and not line.lstrip().startswith("#")]

    assert entries
    for entry in entries:
        assert re.match(r"[a-z0-9.-]+==[\w.]+ ", entry), entry
        assert re.search(r"--hash=sha256:[0-9a-f]{64}", entry), entry
        assert "://" not in entry
        assert not entry.startswith("-")


def pinned(path: Path) -> dict[str, str]:
    return dict(
        re.findall(r"^([a-z0-9.-]+)==([\w.]+)", path.read_text("utf-8"), flags=re.MULTILINE)
    )


def test_the_developers_pins_contain_the_users_pins(root: Path) -> None:
    users, developers = pinned(root / "requirements.txt"), pinned(root / "requirements-dev.txt")

    assert users.items() <= developers.items()


def test_every_dependency_is_pinned(root: Path) -> None:
    metadata = tomllib.loads((root / "pyproject.toml").read_text("utf-8"))
    groups = metadata["dependency-groups"]
    for wanted, file in (
        (metadata["project"]["dependencies"], "requirements.txt"),
        (groups["dev"], "requirements-dev.txt"),
        (groups["node"], "requirements-node.txt"),
    ):
        pins = pinned(root / file)
        for requirement in map(Requirement, wanted):
            name = requirement.name.lower().replace("_", "-")
            assert name in pins, f"{name} isn't in {file}: run `make pins`"
            assert requirement.specifier.contains(pins[name]), f"{file}: run `make pins`"
