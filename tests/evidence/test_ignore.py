"""The matcher of .gitignore patterns: right, and bounded in time."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlops_advisor.tools.evidence.ignore import IgnoreRules


@pytest.mark.parametrize(
    ("pattern", "path", "folder", "expected"),
    [
        ("*.log", "a/b.log", False, True),
        ("*.log", "a/b.txt", False, None),
        ("/a.py", "a.py", False, True),
        ("/a.py", "b/a.py", False, None),
        ("doc/x", "doc/x", False, True),
        ("doc/x", "a/doc/x", False, None),
        ("**/x", "a/b/x", False, True),
        ("a/**", "a/b/c", False, True),
        ("a/**", "a", True, None),
        ("a/**/z", "a/z", False, True),
        ("a/**/z", "a/b/c/z", False, True),
        ("build/", "build", True, True),
        ("build/", "build", False, None),
        ("te?t", "test", False, True),
        ("[a-c]x", "bx", False, True),
        ("[!a-c]x", "bx", False, None),
        ("\\#x", "#x", False, True),
        ("# x", "# x", False, None),
        ("x ", "x", False, True),
        ("*", "anything", False, True),
        ("*.log\n!keep.log", "keep.log", False, False),
        ("!keep.log\n*.log", "keep.log", False, True),
    ],
)
def test_patterns(pattern: str, path: str, folder: bool, expected: bool | None) -> None:
    assert IgnoreRules(pattern).decide(path, folder=folder) is expected


def test_a_hostile_pattern_ends() -> None:
    # With backtracking this would outlast any time-out.
    rules = IgnoreRules("\n".join(["*a" * 100 + "b", "**/" * 80 + "x", "[" * 200]))
    for _ in range(50):
        assert rules.decide("/".join(["a" * 200] * 20), folder=False) is None


NAMES = st.text("ab.*", min_size=1, max_size=4)
PATHS = st.lists(st.text("ab.", min_size=1, max_size=3), min_size=1, max_size=4).map("/".join)


@settings(max_examples=300, deadline=None)
@given(st.lists(NAMES, min_size=1, max_size=3), PATHS, st.booleans(), st.booleans())
def test_agrees_with_pathspec(
    parts: list[str], path: str, anchored: bool, folder_only: bool
) -> None:
    pathspec = pytest.importorskip("pathspec")
    if any(p in (".", "..") for p in path.split("/")) or any("**" in p for p in parts):
        return
    pattern = ("/" if anchored else "") + "/".join(parts) + ("/" if folder_only else "")
    ours = IgnoreRules(pattern).decide(path, folder=False) is True
    # pathspec also matches a file below an ignored folder; the walk never goes there.
    spec = pathspec.GitIgnoreSpec.from_lines([pattern])
    above = path.split("/")[:-1]
    inside = any(
        IgnoreRules(pattern).decide("/".join(above[: i + 1]), folder=True)
        for i in range(len(above))
    )
    assert (ours or inside) == spec.match_file(path)
