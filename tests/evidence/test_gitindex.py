"""What git tracks is read, whatever a .gitignore says; an index that is none is passed over."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlops_advisor.tools.evidence.collect import collect
from mlops_advisor.tools.evidence.gitindex import tracked


def git(folder: Path, *command: str) -> None:
    subprocess.run(["git", *command], cwd=folder, check=True, capture_output=True)


@pytest.fixture
def work_tree(tmp_path: Path) -> Path:
    git(tmp_path, "init", "--quiet")
    (tmp_path / ".gitignore").write_text("logs/\n*.log\n", "utf-8")
    (tmp_path / "logs").mkdir()
    for name in ("logs/kept.py", "logs/junk.py", "app.log", "other.log", "train.py"):
        (tmp_path / name).write_text("x = 1\n", "utf-8")
    git(tmp_path, "add", ".gitignore", "train.py")
    git(tmp_path, "add", "--force", "logs/kept.py", "app.log")
    return tmp_path


@pytest.mark.parametrize("version", ["2", "3", "4"])
def test_each_version_of_the_index_is_read(work_tree: Path, version: str) -> None:
    git(work_tree, "update-index", "--index-version", version)

    assert set(tracked((work_tree / ".git/index").read_bytes()) or ()) == {
        ".gitignore",
        "app.log",
        "logs/kept.py",
        "train.py",
    }


def test_a_tracked_file_is_read_although_it_is_ignored(work_tree: Path) -> None:
    found = collect(".", (work_tree,))

    assert [f.path for f in found.files] == [".gitignore", "app.log", "logs/kept.py", "train.py"]
    assert found.ignored == {"logs/junk.py", "other.log"}


def test_without_an_index_the_gitignore_decides(work_tree: Path) -> None:
    (work_tree / ".git/index").unlink()

    assert [f.path for f in collect(".", (work_tree,)).files] == [".gitignore", "train.py"]


@given(st.binary(max_size=400))
def test_any_bytes_are_an_index_or_none(tail: bytes) -> None:
    for data in (tail, b"DIRC" + tail, b"DIRC\0\0\0\x04\0\0\0\x02" + tail):
        found = tracked(data)
        assert found is None or isinstance(found, frozenset)
