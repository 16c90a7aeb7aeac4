"""What an audit asks other programs: git about changed lines, scanners about their files."""

from __future__ import annotations

import json
import os
import pickle
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from audited_project import PROJECT, write
from shelling import Shell

from mlops_advisor.server import gitdiff, scanners
from mlops_advisor.tools.common.errors import InvalidInputError

DATE = ("--as-of", "2026-11-23")
ENVIRONMENT = {
    "PATH": os.environ.get("PATH", ""),
    "HOME": "/nonexistent",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_AUTHOR_NAME": "a",
    "GIT_AUTHOR_EMAIL": "a@example.org",
    "GIT_COMMITTER_NAME": "a",
    "GIT_COMMITTER_EMAIL": "a@example.org",
}
needs_git = pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")


def program(name: str) -> bool:
    return (Path(sys.executable).parent / name).is_file() or shutil.which(name) is not None


def needs(name: str) -> pytest.MarkDecorator:
    return pytest.mark.skipif(not program(name), reason=f"{name} is not installed (make setup)")


def git(folder: Path, *command: str) -> str:
    done = subprocess.run(
        ["git", *command],
        cwd=folder,
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return done.stdout


@pytest.fixture
def repo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The project in a work tree of git, with one commit, as current folder."""
    root = tmp_path / "repo"
    write(root, PROJECT)
    git(root, "init", "--quiet", "--initial-branch=main")
    git(root, "add", ".")
    git(root, "commit", "--quiet", "--message=one")
    monkeypatch.chdir(root)
    return root


def audit(shell: Shell, *options: str) -> dict[str, Any]:
    code, out, err = shell("audit", *DATE, "--format", "json", *options)
    assert code in (0, 1), err
    found: dict[str, Any] = json.loads(out)
    return found


def changed(root: Path, revision: str, *paths: str) -> dict[str, frozenset[int]]:
    return gitdiff.changed_lines(root, revision, {p: (root / p).read_text("utf-8") for p in paths})


# --- changed lines ----------------------------------------------------------------------------


@needs_git
def test_only_findings_on_changed_lines_are_reported(shell: Shell, repo: Path) -> None:
    assert audit(shell, "--diff", "main")["findings"] == []
    assert shell("audit", *DATE, "--diff", "main", "--fail-on", "info")[0] == 0

    write(repo, {"Dockerfile": PROJECT["Dockerfile"] + "RUN chmod 777 /tmp/x\n"})
    write(repo, {"new/Dockerfile": "FROM new:latest\n"})
    found = audit(shell, "--diff", "main", "--select", "DS03,DS06")["findings"]

    assert {(f["path"], f["line"]) for f in found} == {("Dockerfile", 7), ("new/Dockerfile", 1)}
    git(repo, "add", ".")
    git(repo, "commit", "--quiet", "--message=two")
    assert audit(shell, "--diff", "HEAD")["findings"] == []
    again = audit(shell, "--diff", "HEAD~1", "--select", "DS03,DS06")["findings"]
    assert again == found


@needs_git
def test_paths_are_those_below_the_folder_that_is_audited(shell: Shell, repo: Path) -> None:
    write(repo, {"serving/Dockerfile": "FROM a:1.0\nUSER 1000\n"})
    git(repo, "add", ".")
    git(repo, "commit", "--quiet", "--message=two")
    write(repo, {"serving/Dockerfile": "FROM a:1.0\nUSER root\n", "Dockerfile": "FROM b:latest\n"})

    code, out, _ = shell("audit", "serving", *DATE, "--format", "json", "--diff", "main")

    assert code in (0, 1)
    assert {(f["path"], f["line"]) for f in json.loads(out)["findings"]} == {("Dockerfile", 2)}


@needs_git
def test_a_folder_with_an_odd_name_is_compared_too(repo: Path) -> None:
    folder = repo / os.fsdecode(b"odd \xff name ")
    write(folder, {"a.py": "x = 1\n"})
    git(repo, "add", ".")
    git(repo, "commit", "--quiet", "--message=two")

    assert changed(folder, "main", "a.py") == {}
    write(folder, {"a.py": "x = 2\n"})
    assert changed(folder, "main", "a.py") == {"a.py": frozenset([1])}


@needs_git
def test_when_the_time_is_up_no_further_file_is_compared(repo: Path) -> None:
    texts = {"train.py": "other\n", "new.py": "x\n"}

    assert gitdiff.changed_lines(repo, "main", texts, lambda: True) == {"new.py": frozenset([1, 2])}


@needs_git
def test_lines_are_compared_with_the_blob_of_the_revision(repo: Path) -> None:
    write(repo, {"train.py": "# first\n" + PROJECT["train.py"].replace("print", "shown = print")})
    git(repo, "tag", "v1")

    assert changed(repo, "v1", "train.py", "serve.py") == {"train.py": frozenset([1, 16])}
    assert changed(repo, git(repo, "rev-parse", "HEAD").strip(), "serve.py") == {}
    write(repo, {"unknown ü.py": "a\nb\n"})
    assert changed(repo, "HEAD", "unknown ü.py") == {"unknown ü.py": frozenset([1, 2, 3])}


@needs_git
@pytest.mark.parametrize(
    "revision",
    ["none", "--all", "-x", "", "HEAD\nmain", "HEAD:train.py", "a b", "HEAD;x", "x" * 500, "\0"],
)
def test_what_is_no_revision_is_refused_by_name(repo: Path, revision: str) -> None:
    with pytest.raises(InvalidInputError) as caught:
        changed(repo, revision, "train.py")

    assert caught.value.problems[0].field == "changed_since"
    assert len(str(caught.value)) < 300


@needs_git
def test_without_a_repository_or_git_it_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(InvalidInputError, match="no revision"):
        changed(tmp_path, "main")
    monkeypatch.setattr(shutil, "which", lambda _name: None)
    with pytest.raises(InvalidInputError, match="git is not installed"):
        changed(tmp_path, "main")


@needs_git
def test_a_hostile_configuration_of_the_repository_runs_nothing(
    shell: Shell, repo: Path, tmp_path: Path
) -> None:
    mark = tmp_path / "executed"
    script = tmp_path / "evil.sh"
    script.write_text(f"#!/bin/sh\ntouch {mark}\ncat\n", "utf-8")
    script.chmod(0o755)
    hooks = repo / ".git" / "evil"
    hooks.mkdir()
    for name in ("post-checkout", "post-index-change", "reference-transaction", "pre-commit"):
        shutil.copy(script, hooks / name)
        shutil.copy(script, repo / ".git" / "hooks" / name)
    write(repo, {".gitattributes": "*.py diff=evil filter=evil merge=evil\n"})
    write(
        tmp_path,
        {"more.config": f"[diff]\n\texternal = {script}\n[core]\n\tpager = {script}\n"},
    )
    with (repo / ".git" / "config").open("a", encoding="utf-8") as file:
        file.write(
            f"[core]\n\tfsmonitor = {script}\n\thooksPath = {hooks}\n\tpager = {script}\n"
            f"\tsshCommand = {script}\n\teditor = {script}\n\taskPass = {script}\n"
            f"\talternateRefsCommand = {script}\n"
            f"[diff]\n\texternal = {script}\n"
            f'[diff "evil"]\n\ttextconv = {script}\n\tcommand = {script}\n'
            f'[filter "evil"]\n\tclean = {script}\n\tsmudge = {script}\n\tprocess = {script}\n'
            f"[alias]\n\trev-parse = !{script}\n\tls-tree = !{script}\n\tcat-file = !{script}\n"
            f"[credential]\n\thelper = !{script}\n"
            f'[remote "origin"]\n\turl = ext::{script}\n\tpromisor = true\n\tuploadpack = {script}\n'
            "\tpartialclonefilter = blob:none\n"
            f"[protocol]\n\tallow = always\n[include]\n\tpath = {tmp_path / 'more.config'}\n"
        )
    # The configuration bites: what people usually run executes it.
    subprocess.run(
        ["git", "diff", "HEAD"], cwd=repo, env=ENVIRONMENT, capture_output=True, check=False
    )
    assert mark.exists()
    mark.unlink()
    write(repo, {"Dockerfile": "FROM changed:latest\n"})

    found = audit(shell, "--diff", "HEAD", "--select", "DS03,DS06")["findings"]

    assert {f["path"] for f in found} == {"Dockerfile"}
    assert not mark.exists()
    # Also not for an object that is missing and would be fetched from that remote.
    blob = git(repo, "-c", "core.fsmonitor=false", "rev-parse", "HEAD:train.py").strip()
    mark.unlink(missing_ok=True)
    (repo / ".git" / "objects" / blob[:2] / blob[2:]).unlink()
    shell("audit", *DATE, "--diff", "HEAD", "--select", "DS")
    assert not mark.exists()


# --- scanners ---------------------------------------------------------------------------------


@needs("picklescan")
def test_a_malicious_pickle_is_reported_and_not_executed(
    shell: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mark = tmp_path / "executed"
    root = tmp_path / "project"
    write(root, PROJECT)
    monkeypatch.chdir(root)

    class Evil:
        def __reduce__(self) -> tuple[Any, tuple[str]]:
            return os.system, (f"touch {mark}",)

    (root / "model.pkl").write_bytes(pickle.dumps(Evil()))
    (root / "good.pkl").write_bytes(pickle.dumps({"weights": [0.1, 0.2]}))
    (root / "-p evil.pkl").write_bytes(pickle.dumps(Evil()))
    (root / "linked.pkl").symlink_to(root / "model.pkl")

    found = scanners.scan(root, ["model.pkl", "good.pkl", "-p evil.pkl", "linked.pkl", "gone.pkl"])
    assert {(f.tool, f.path) for f in found.findings} == {
        ("picklescan", "model.pkl"),
        ("picklescan", "-p evil.pkl"),
    }
    assert all("system" in f.message for f in found.findings)
    assert any("2 files not scanned" in n for n in found.notes)
    assert not mark.exists()
    critical = [f for f in audit(shell)["findings"] if f["rule_id"] == "GS05"]
    assert "model.pkl" in {f["path"] for f in critical}
    assert "good.pkl" not in {f["path"] for f in critical}
    assert not mark.exists()


@needs("zizmor")
def test_zizmor_reads_workflows_offline_and_its_findings_carry_our_ids(
    shell: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = ".github/workflows/ci.yml"
    flow = (
        "name: ci\non: push\njobs:\n  a:\n    runs-on: ubuntu-24.04\n    steps:\n"
        "      - uses: actions/checkout@v4\n      - uses: someone/thing@v1\n"
        "      - run: echo ${{ github.event.issue.title }}\n"
    )
    write(tmp_path, {path: flow, ".github/workflows/broken.yml": "a: [\n"})
    monkeypatch.chdir(tmp_path)

    found = scanners.scan(tmp_path, [path])

    assert {f.rule for f in found.findings} >= {"unpinned-uses", "template-injection"}
    assert {f.path for f in found.findings} == {path}
    assert 9 in {f.line for f in found.findings if f.rule == "template-injection"}
    findings = audit(shell, "--select", "GS09,GS11")["findings"]
    assert {"GS09", "GS11"} == {f["rule_id"] for f in findings}
    assert any("zizmor" in f["rationale"] for f in findings)


def test_a_scanner_that_is_missing_or_broken_is_noted_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, {".github/workflows/a.yml": "on: push\n", "m.pkl": "x"})
    paths = [".github/workflows/a.yml", "m.pkl"]
    monkeypatch.setattr(scanners, "_command", lambda _name: None)
    assert scanners.scan(tmp_path, paths).notes == (
        "zizmor: not installed, 1 files not scanned with it",
        "picklescan: not installed, 1 files not scanned with it",
    )

    broken = tmp_path / "broken"
    for text in ("#!/bin/sh\nexit 3\n", "#!/bin/sh\necho '[{}]'\n", "#!/bin/sh\necho '[1]'\n", ""):
        broken.write_text(text, "utf-8")
        broken.chmod(0o755)
        monkeypatch.setattr(scanners, "_command", lambda _name: str(broken))
        report = scanners.scan(tmp_path, paths)
        assert report.findings == ()
        assert report.notes[0].startswith("zizmor: did not finish")
    assert scanners.scan(tmp_path, ["a.py", ".github/workflows/", "folder.pkl/"]).notes == ()


def test_scanners_stop_when_the_time_is_up_and_keep_what_they_have(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, {f"{n}.pkl": "x" for n in range(5)} | {".github/workflows/a.yml": "on: push"})
    fake = tmp_path / "fake"
    fake.write_text("#!/bin/sh\necho \"$2: dangerous import 'os system' FOUND\"\n", "utf-8")
    fake.chmod(0o755)
    monkeypatch.setattr(scanners, "_command", lambda _name: str(fake))
    asked = iter(range(100))

    late = scanners.scan(tmp_path, [f"{n}.pkl" for n in range(5)], lambda: next(asked) >= 3)

    assert [f.path for f in late.findings] == ["0.pkl", "1.pkl", "2.pkl"]
    assert late.notes == ("picklescan: the time was up before all files were scanned",)
    never = scanners.scan(tmp_path, [".github/workflows/a.yml"], lambda: True)
    assert never.notes == ("zizmor: the time was up before all files were scanned",)


def test_scanners_see_no_environment_and_no_input(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, {"m.pkl": "x"})
    told = tmp_path / "told"
    spy = tmp_path / "spy"
    spy.write_text(f"#!/bin/sh\nenv > {told}\ncat >> {told}\n", "utf-8")
    spy.chmod(0o755)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hidden")
    monkeypatch.setattr(scanners, "_command", lambda _name: str(spy))

    scanners.scan(tmp_path, ["m.pkl"])

    assert "hidden" not in told.read_text("utf-8")
    assert "HOME=/nonexistent" in told.read_text("utf-8")
