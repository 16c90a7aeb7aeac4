"""The only reader of files: what it reads, what it refuses, what it notes."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from mlops_advisor.tools.common.errors import AdvisorError, InvalidInputError, PathDeniedError
from mlops_advisor.tools.evidence.collect import collect, collect_inline
from mlops_advisor.tools.evidence.models import Limits, Workspace
from mlops_advisor.tools.evidence.run import probe_all


def put(root: Path, name: str, content: bytes = b"x = 1\n") -> Path:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def read(root: Path, limits: Limits | None = None) -> Workspace:
    return collect(str(root), (root,), limits=limits or Limits())


def reason(workspace: Workspace, path: str) -> str:
    return next(s.reason for s in workspace.skipped if s.path == path)


def names(workspace: Workspace) -> list[str]:
    return [f.path for f in workspace.files]


def test_reads_files_sorted_by_path(tmp_path: Path) -> None:
    put(tmp_path, "b.py")
    put(tmp_path, "a/z.py", b"y = 2\n")
    workspace = read(tmp_path)
    assert names(workspace) == ["a/z.py", "b.py"]
    assert workspace.files[0].text == "y = 2\n"
    assert workspace.files[0].size == 6
    assert not workspace.truncated


@pytest.mark.parametrize(
    ("path", "says"),
    [
        ("..", "outside"),
        ("/", "outside"),
        ("/etc", "outside"),
        ("a/../../x", "outside"),
        ("missing", "does not exist"),
        ("a/missing/deep", "does not exist"),
        ("file.txt", "not a folder"),
        ("out", "symbolic link"),
        ("out/etc", "symbolic link"),
        ("in", "symbolic link"),
        ("", "empty"),
        ("a\0b", "NUL"),
    ],
)
def test_refuses_a_path_and_names_the_field(tmp_path: Path, path: str, says: str) -> None:
    (tmp_path / "a").mkdir()
    put(tmp_path, "file.txt")
    (tmp_path / "out").symlink_to("/")
    (tmp_path / "in").symlink_to(tmp_path / "a")
    with pytest.raises(PathDeniedError) as caught:
        collect(path, (tmp_path,))
    assert caught.value.problems[0].field == "workspace"
    assert says in caught.value.message
    assert "\n" not in caught.value.message


def test_a_sibling_with_the_same_beginning_is_outside(tmp_path: Path) -> None:
    (tmp_path / "root").mkdir()
    (tmp_path / "root-other").mkdir()
    with pytest.raises(PathDeniedError):
        collect(str(tmp_path / "root-other"), (tmp_path / "root",))


def test_no_root_no_reading(tmp_path: Path) -> None:
    with pytest.raises(PathDeniedError, match="--root"):
        collect(str(tmp_path), ())


def test_relative_is_taken_from_the_first_root(tmp_path: Path) -> None:
    put(tmp_path, "one/p/a.py")
    put(tmp_path, "two/p/b.py")
    roots = (tmp_path / "one", tmp_path / "two")
    assert names(collect("p", roots)) == ["a.py"]
    assert names(collect(str(tmp_path / "two" / "p"), roots)) == ["b.py"]


def test_a_root_may_be_reached_through_a_link(tmp_path: Path) -> None:
    put(tmp_path, "real/a.py")
    (tmp_path / "link").symlink_to(tmp_path / "real")
    assert names(collect(".", (tmp_path / "link",))) == ["a.py"]
    assert names(collect(str(tmp_path / "real"), (tmp_path / "link",))) == ["a.py"]


def test_links_pipes_and_loops_are_noted_not_followed(tmp_path: Path) -> None:
    secret = put(tmp_path, "outside/secret.py", b"password = 'x'\n")
    root = tmp_path / "root"
    put(root, "ok.py")
    (root / "leak.py").symlink_to(secret)
    (root / "loop").symlink_to(root)
    (root / "dangling").symlink_to(root / "nowhere")
    os.mkfifo(root / "pipe.py")
    workspace = read(root)
    assert names(workspace) == ["ok.py"]
    for path in ("leak.py", "loop", "dangling"):
        assert reason(workspace, path) == "symbolic link"
    assert reason(workspace, "pipe.py") == "not a plain file"


def test_a_huge_sparse_file_is_noted(tmp_path: Path) -> None:
    with (tmp_path / "huge.json").open("wb") as file:
        file.truncate(2 << 30)
    put(tmp_path, "ok.py")
    workspace = read(tmp_path)
    assert names(workspace) == ["ok.py"]
    assert "larger than" in reason(workspace, "huge.json")


def test_binary_named_python_is_noted(tmp_path: Path) -> None:
    put(tmp_path, "model.py", b"\x7fELF\x00\x01\x02")
    workspace = read(tmp_path)
    assert reason(workspace, "model.py") == "binary content"
    assert "model.py" in workspace.paths


def test_invalid_utf8_is_read_with_replacement(tmp_path: Path) -> None:
    put(tmp_path, "latin.py", "# caf\xe9\nx = 1\n".encode("latin-1"))
    assert read(tmp_path).files[0].text == "# caf\ufffd\nx = 1\n"


def test_marks_of_encodings(tmp_path: Path) -> None:
    put(tmp_path, "a.py", b"\xef\xbb\xbfx = 1\n")
    put(tmp_path, "requirements.txt", "numpy==1.0\n".encode("utf-16"))
    assert [f.text for f in read(tmp_path).files] == ["x = 1\n", "numpy==1.0\n"]


def test_names_with_control_characters_are_escaped(tmp_path: Path) -> None:
    put(tmp_path, "a\nb\u202e.py")
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/c\xff.py")).write_bytes(b"y = 1\n")
    found = names(read(tmp_path))
    assert found == ["a\\nb\\u202e.py", "c\\udcff.py"]
    for name in found:
        name.encode()


@pytest.mark.parametrize(
    "folder",
    ["node_modules", "__pycache__", ".venv", "site-packages", "dist", "build/lib", "x.egg-info"],
)
def test_skips_what_others_wrote(tmp_path: Path, folder: str) -> None:
    put(tmp_path, f"{folder}/mod/a.py")
    put(tmp_path, "ok.py")
    workspace = read(tmp_path)
    assert names(workspace) == ["ok.py"]
    assert reason(workspace, f"{folder}/")


def test_any_folder_with_pyvenv_is_an_environment(tmp_path: Path) -> None:
    put(tmp_path, "my-python/pyvenv.cfg", b"home = /usr\n")
    put(tmp_path, "my-python/a.py")
    workspace = read(tmp_path)
    assert not workspace.files
    assert reason(workspace, "my-python/") == "virtual environment"


def test_git_folder_is_seen_not_read(tmp_path: Path) -> None:
    put(tmp_path, ".git/config", b"[core]\n")
    workspace = read(tmp_path)
    assert not workspace.files
    assert ".git/" in workspace.paths


def test_gitignore_counts_in_every_folder(tmp_path: Path) -> None:
    put(tmp_path, ".gitignore", b"*.log\n/out/\nsecret.py\n")
    put(tmp_path, "sub/.gitignore", b"!keep.log\ntmp\n")
    for name in ("a.log", "sub/keep.log", "sub/b.log", "out/x.py", "sub/out/y.py", "secret.py"):
        put(tmp_path, name)
    put(tmp_path, "sub/tmp/z.py")
    workspace = read(tmp_path)
    assert names(workspace) == [".gitignore", "sub/.gitignore", "sub/keep.log", "sub/out/y.py"]
    assert reason(workspace, "out/") == "listed in .gitignore"


def test_many_skips_of_one_kind_become_one_entry(tmp_path: Path) -> None:
    for i in range(40):
        put(tmp_path, f"pics/{i}.png", b"\x89PNG")
    workspace = read(tmp_path)
    assert [(s.path, s.reason) for s in workspace.skipped] == [
        ("pics/", "40 entries: data or binary file by its name")
    ]
    assert len(workspace.paths) == 40


def test_caps(tmp_path: Path) -> None:
    for i in range(5):
        put(tmp_path, f"f{i}.py", b"#" * 100)
    put(tmp_path, "d1/d2/d3/deep.py")
    few = read(tmp_path, Limits(files=3))
    assert len(few.files) == 3
    assert few.truncated
    small = read(tmp_path, Limits(total_bytes=250))
    assert len(small.files) == 3  # two of 100 bytes, and the small one
    assert small.truncated
    shallow = read(tmp_path, Limits(depth=2))
    assert "d1/d2/d3/" in {s.path for s in shallow.skipped}
    assert shallow.truncated
    one = read(tmp_path, Limits(file_bytes=50))
    assert names(one) == ["d1/d2/d3/deep.py"]
    assert not one.truncated
    assert read(tmp_path, Limits(entries=4)).truncated


def test_a_notebook_may_be_larger(tmp_path: Path) -> None:
    put(tmp_path, "a.ipynb", b" " * 2000)
    put(tmp_path, "a.py", b" " * 2000)
    assert names(read(tmp_path, Limits(file_bytes=1000))) == ["a.ipynb"]


def test_the_deadline_is_asked_between_files(tmp_path: Path) -> None:
    for i in range(10):
        put(tmp_path, f"f{i}.py")
    asked = 0

    def expired() -> bool:
        nonlocal asked
        asked += 1
        return asked > 4

    workspace = collect(str(tmp_path), (tmp_path,), expired=expired)
    assert 0 < len(workspace.files) < 10
    assert workspace.truncated


def test_truncated_reading_makes_absent_unknown(tmp_path: Path) -> None:
    put(tmp_path, "train.py", b"from sklearn.svm import SVC\nSVC().fit(x, y)\n")
    for i in range(5):
        put(tmp_path, f"z{i}.py")
    full = {f.probe: f.outcome for f in probe_all(read(tmp_path)).facts}
    cut = {f.probe: f.outcome for f in probe_all(read(tmp_path, Limits(files=3))).facts}
    assert full["run_tracking"] == "absent"
    assert cut["run_tracking"] == "unknown"
    assert "absent" not in cut.values()


@pytest.mark.parametrize(
    ("path", "says"),
    [
        ("/etc/passwd", "absolute"),
        ("C:\\x.py", "absolute"),
        ("a/../../b.py", "'..'"),
        ("..", "'..'"),
        ("", "empty"),
        (".", "empty"),
    ],
)
def test_inline_refuses_a_path(path: str, says: str) -> None:
    with pytest.raises(InvalidInputError) as caught:
        collect_inline([("ok.py", ""), (path, "x")])
    assert caught.value.problems[0].field == "files[1].path"
    assert says in caught.value.message


def test_inline_normalises_and_sorts() -> None:
    workspace = collect_inline([("./b//c.py", "1"), ("a\\x.py", "2"), ("n\n.py", "3")])
    assert names(workspace) == ["a/x.py", "b/c.py", "n\\n.py"]


def test_inline_refuses_the_same_file_twice_and_too_many() -> None:
    with pytest.raises(InvalidInputError, match="twice"):
        collect_inline([("a.py", "1"), ("./a.py", "2")])
    with pytest.raises(AdvisorError, match="at most 2"):
        collect_inline([("a", ""), ("b", ""), ("c", "")], limits=Limits(files=2))


def test_inline_binary_large_and_lone_surrogates() -> None:
    workspace = collect_inline(
        [("a.py", "x\0y"), ("b.py", "z" * 2000), ("c.py", "\ud800")], limits=Limits(file_bytes=1000)
    )
    assert [f.text for f in workspace.files] == ["?"]
    assert reason(workspace, "a.py") == "binary content"
    assert "larger" in reason(workspace, "b.py")


def test_notes_the_size_of_what_it_does_not_read(tmp_path: Path) -> None:
    put(tmp_path, "data/a.csv", b"1,2\n" * 10)
    put(tmp_path, "large.txt", b"x" * 200)
    put(tmp_path, "binary.dat", b"\0" * 30)
    workspace = read(tmp_path, Limits(file_bytes=100))
    assert workspace.sizes == {"data/a.csv": 40, "large.txt": 200, "binary.dat": 30}
    inline = collect_inline([("a.bin", "\0" * 7), ("b.py", "x = 1\n")])
    assert inline.sizes == {"a.bin": 7}


def test_names_what_a_gitignore_keeps_out_of_git(tmp_path: Path) -> None:
    put(tmp_path, ".gitignore", b"*.pkl\nmlruns/*\ndist/\nlogs/\n")
    for name in ("model.pkl", "mlruns/0/meta.yaml", "dist/a.whl", "logs/a.txt", "wandb/run/x"):
        put(tmp_path, name)
    assert read(tmp_path).ignored == {"model.pkl", "mlruns/", "dist/", "logs/"}
