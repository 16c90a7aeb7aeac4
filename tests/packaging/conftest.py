"""Fixtures about the project as files."""

from __future__ import annotations

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def project_files(root: Path) -> list[Path]:
    """Every file that is in git or would be added to it, relative to the project's folder."""
    if not (root / ".git").exists():
        pytest.skip("not a git work tree")
    listing = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=root,
        check=True,
        capture_output=True,
    ).stdout.decode("utf-8")
    # A file removed from the work tree but not yet from git is listed too.
    names = sorted(name for name in listing.split("\0") if name)
    return [Path(name) for name in names if (root / name).is_symlink() or (root / name).exists()]


@pytest.fixture(scope="session")
def wheel(
    root: Path, project_files: list[Path], tmp_path_factory: pytest.TempPathFactory
) -> zipfile.ZipFile:
    """The wheel, made from the source distribution, made from a copy of what git holds.

    A copy, because a build leaves folders behind in the tree it builds.
    """
    pytest.importorskip("build")
    source, out = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("dist")
    for name in project_files:
        target = source / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(root / name, target, follow_symlinks=False)
    made = subprocess.run(
        [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(out), str(source)],
        check=False,
        capture_output=True,
        text=True,
        encoding="utf-8",
    )
    assert made.returncode == 0, made.stdout + made.stderr
    (path,) = out.glob("*.whl")
    return zipfile.ZipFile(path)
