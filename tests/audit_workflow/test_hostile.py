"""Repositories that mean harm: nothing outside is read, nothing runs, a result comes back.

No test measures seconds: what does not end is ended by pytest's time-out.
"""

from __future__ import annotations

import json
import os
import pickle
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from audited_project import PROJECT, dump, write
from auditing import CONTEXT, FULL, ask, notebook

from mlops_advisor.server import calling
from mlops_advisor.tools.audit_workflow.models import AuditWorkflowResult
from mlops_advisor.tools.audit_workflow.rules import all_rules
from mlops_advisor.tools.audit_workflow.text import render

DEEP = 5_000
SECRET = "ghp_" + "z9Y8x7W6" * 5


def audit(root: Path, **request: Any) -> AuditWorkflowResult:
    return ask(workspace=".", at=replace(CONTEXT, roots=(root,)), **request)


def whole(result: AuditWorkflowResult) -> AuditWorkflowResult:
    """Check that every rule ran to its end and that the result can be sent and read."""
    assert result.degradation.omitted == ()
    assert dump(result).encode("utf-8")
    assert render(result).encode("utf-8")
    return result


def inline(path: str, text: str) -> AuditWorkflowResult:
    """Audit one hostile file beside a good project, which must be audited all the same."""
    result = whole(ask({**PROJECT, path: text}))
    assert {"DS06", "DS03"} <= {f.rule_id for f in result.findings}
    return result


# --- what lies on the disk --------------------------------------------------------------------


def test_links_pipes_and_devices_are_not_followed(tmp_path: Path) -> None:
    outside, root = tmp_path / "outside", tmp_path / "root"
    write(outside, {"secret.py": f'token = "{SECRET}"\n', "Dockerfile": "FROM leaked:latest\n"})
    write(root, PROJECT)
    (root / "leak.py").symlink_to(outside / "secret.py")
    (root / "deploy").symlink_to(outside)
    (root / "loop").symlink_to(root)
    (root / "passwd.yaml").symlink_to("/etc/passwd")
    (root / "null.json").symlink_to("/dev/zero")
    os.mkfifo(root / "pipe.py")
    os.mkfifo(root / "model.pkl")
    write(root, {"CON.py": "x = 1\n", "nul": "", "COM1.yaml": "a: 1\n", "aux.ipynb": "{}"})

    result = whole(audit(root))

    text = dump(result)
    assert SECRET[:12] not in text
    assert "leaked" not in text
    assert "root:x:0" not in text
    skipped = {s.path: s.reason for s in result.inventory.skipped}
    for name in ("leak.py", "deploy", "loop", "passwd.yaml", "null.json"):
        assert skipped[name] == "symbolic link"
    assert skipped["pipe.py"] == "not a plain file"
    assert {f.path for f in result.findings} <= {*PROJECT, "CON.py", "COM1.yaml", "aux.ipynb"}


def test_archives_pickles_and_sparse_files_are_named_and_not_opened(tmp_path: Path) -> None:
    write(tmp_path, PROJECT)
    with zipfile.ZipFile(tmp_path / "bomb.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("../../evil.py", "0" * 1_000_000)
    with zipfile.ZipFile(tmp_path / "model.pt", "w") as archive:
        archive.writestr("data.pkl", b"\x80\x04.")
    (tmp_path / "model.pkl").write_bytes(pickle.dumps({"weights": [1.0] * 10}))
    for name in ("huge.py", "huge.yaml", "huge.ipynb", "huge.csv"):
        with (tmp_path / name).open("wb") as file:
            file.truncate(1 << 30)

    result = whole(audit(tmp_path))

    assert result.inventory.files_scanned == len(PROJECT)
    skipped = {s.path for s in result.inventory.skipped}
    assert {"huge.py", "huge.yaml", "huge.ipynb"} <= skipped
    assert not (tmp_path.parent / "evil.py").exists()


def test_nothing_of_the_repository_is_executed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mark = tmp_path / "executed"
    touch = f"import pathlib\npathlib.Path({str(mark)!r}).touch()\n"
    root = tmp_path / "root"
    modules = (
        "conftest setup sitecustomize usercustomize __init__ yaml json mlflow sklearn pickle "
        "zizmor picklescan ast tests/conftest noxfile gunicorn.conf dags/dag"
    ).split()
    write(root, PROJECT | {f"{name}.py": touch for name in modules})
    write(
        root,
        {
            "Makefile": f"all:\n\ttouch {mark}\nX := $(shell touch {mark})\n",
            "a.yaml": f"a: !!python/object/apply:os.system ['touch {mark}']\n",
            "dvc.yaml": f"stages:\n  a:\n    cmd: touch {mark}\n",
            "pyproject.toml": "[build-system]\nrequires = []\nbuild-backend = 'setup'\n"
            "backend-path = ['.']\n",
            ".envrc": f"touch {mark}\n",
            "a.ipynb": notebook(touch),
        },
    )
    hook = root / ".git" / "hooks" / "post-checkout"
    write(root, {".git/hooks/post-checkout": f"#!/bin/sh\ntouch {mark}\n"})
    hook.chmod(0o755)
    write(root, {".git/config": f"[core]\n\tfsmonitor = touch {mark}\n"})

    class Evil:
        def __reduce__(self) -> tuple[Any, tuple[str]]:
            return os.system, (f"touch {mark}",)

    for name in ("model.pkl", "model.joblib", "model.pt", "model.npy"):
        (root / name).write_bytes(pickle.dumps(Evil()))
    monkeypatch.chdir(root)
    arguments = {"workspace": ".", "options": {"as_of": "2026-11-23", "timeout_ms": 120_000}}

    result = calling.call("audit_workflow", arguments, (root,)).structured

    assert result["findings"]
    assert not mark.exists()


@pytest.mark.parametrize(
    "name",
    [
        "a\nERROR: forged.py",
        "a\r::error file=x::forged.py",
        "\x1b[31mred.py",
        "\u202egnp.py",
        "a\u2028b.py",
        "\ud800.py",
        "-rf.py",
        "a b; $(touch x) `id`.py",
        "%0A::error::.py",
        "<script>alert(1)</script>.py",
        "a|b[c](d).py",
        "." * 200 + ".py",
    ],
)
def test_a_hostile_file_name_is_shown_harmless(tmp_path: Path, name: str) -> None:
    folder = tmp_path / "root"
    folder.mkdir()
    raw = os.fsencode(str(folder)) + b"/" + name.replace("/", "_").encode("utf-8", "surrogatepass")
    with open(raw, "wb") as file:  # noqa: PTH123 - a path of bytes
        file.write(b"import requests\nrequests.get('https://a.internal')\n")

    result = whole(audit(folder, select=["PL16"]))

    (finding,) = result.findings
    assert finding.path.isprintable()
    assert "\n::" not in dump(result)
    assert all(c.isprintable() or c == "\n" for c in render(result))


# --- what stands in the files -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("deep.py", "x = " + "[" * DEEP),
        ("deep.py", "x = " + "[" * DEEP + "]" * DEEP),
        ("deep.py", "f(" * DEEP + ")" * DEEP),
        ("deep.py", "x = " + "-" * DEEP + "1"),
        ("deep.py", "x" + ".fit()" * DEEP),
        ("deep.py", "x = 1" + " + 1" * DEEP),
        ("deep.py", "x = " + "lambda: " * DEEP + "1"),
        ("deep.py", "if a:\n    pass\n" + "elif a:\n    pass\n" * DEEP),
        ("deep.py", "\n".join(" " * i + "if x:" for i in range(99)) + " y = 1\n"),
        ("deep.py", "\n".join(" " * i + "def f():" for i in range(99)) + " return 1\n"),
        ("deep.py", "x = '''" + "{" * DEEP + "'''\ny = f'" + "{x}" * DEEP + "'\n"),
        ("deep.py", "\n".join(f"x{n} = x{n - 1}" for n in range(DEEP)) + "\nf(x4999)\n"),
        ("deep.py", "\n".join(f"def f{n}(x):\n    return f{n + 1}(x)" for n in range(1000))),
        ("deep.py", "def f(x):\n    return g(x)\ndef g(x):\n    return f(x)\nmodel.fit(f(x))\n"),
        ("deep.py", "x = x\ny = z\nz = y\nmodel.fit(x, y)\nrequests.get(z)\n"),
        ("deep.py", "from deep import *\nimport deep\nfrom . import deep\ndeep.deep.fit(x)\n"),
        ("deep.py", "import requests\n" + "requests.get(u)\n" * 1_500),
        ("deep.yaml", "a: " + "[" * DEEP),
        ("deep.yaml", "a: " + "[" * DEEP + "]" * DEEP),
        ("deep.yaml", "{a: " * DEEP),
        ("deep.yaml", "".join("  " * i + "a:\n" for i in range(1_000))),
        ("deep.yaml", "apiVersion: v1\nkind: Deployment\na: &a [*a, *a]\n"),
        ("deep.yaml", "apiVersion: v1\nkind: Deployment\na: &a\n  b: *a\n"),
        ("deep.yaml", "---\napiVersion: v1\nkind: Deployment\n" * 2_000),
        (".github/workflows/a.yml", "on: push\njobs: " + "[" * DEEP),
        (".github/workflows/a.yml", "on: push\njobs: {a: {needs: b}, b: {needs: a}}\n"),
        ("docker-compose.yml", "services: &a\n  <<: *a\n"),
        ("deep.json", "[" * DEEP),
        ("deep.json", "[" * DEEP + "]" * DEEP),
        ("deep.json", '{"a":' * DEEP),
        ("deep.toml", "a = " + "[" * DEEP),
        ("pyproject.toml", "a = " + "[" * DEEP + "]" * DEEP),
        ("pyproject.toml", ".".join("a" * DEEP) + " = 1\n"),
        ("Pipfile", "[" * DEEP),
        ("deep.ipynb", '{"cells": ' + "[" * DEEP),
        ("deep.ipynb", '{"cells": [{"cell_type": "code", "source": ' + "[" * DEEP),
        ("main.tf", 'resource "a" "b" {\n' * DEEP),
        ("Makefile", "all: all\n\t$(MAKE) all\n" * 200),
        ("run.sh", "bash run.sh\nsh ./run.sh\n" * 200),
        ("dvc.yaml", "stages:\n  a:\n    cmd: dvc repro\n    deps: [b]\n    outs: [b]\n"),
        ("docker/Dockerfile", "FROM a AS b\nFROM b AS a\nFROM a\n"),
        ("docker/Dockerfile", "FROM x\n" * 1_500),
        ("requirements-a.txt", "-r requirements-a.txt\n" + "a[" * DEEP),
        ("conf.ini", "[a" * DEEP),
    ],
)
def test_nesting_loops_and_bombs_end(path: str, text: str) -> None:
    inline(path, text)


def test_an_alias_bomb_stays_small() -> None:
    lines = ["apiVersion: v1", "kind: Deployment", "a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 40)]

    for path in ("k8s/bomb.yaml", "docker-compose.yml", ".github/workflows/bomb.yml"):
        inline(path, "\n".join(lines))


@pytest.mark.slow
def test_a_notebook_of_100_000_cells_is_read() -> None:
    cell = {"cell_type": "code", "source": "x=1"}
    cells: list[dict[str, str]] = [cell] * 99_999
    last = {"cell_type": "code", "source": "import requests\nrequests.get('https://a.internal')"}
    text = json.dumps({"cells": [*cells, last]}, indent=0)

    result = whole(ask({"big.ipynb": text[: 1 << 20]}))
    assert result.inventory.not_analysed
    dense = json.dumps({"cells": [*cells[:20_000], last]}, separators=(",", ":"))
    assert len(dense) < 1 << 20
    result = whole(ask({"big.ipynb": dense}, select=["PL16"]))
    assert [f.evidence[:14] for f in result.findings] == ["[cell 20001:2]"]


@pytest.mark.slow
def test_a_notebook_of_100_000_cells_on_disk_is_read_to_its_end(tmp_path: Path) -> None:
    cells = [{"cell_type": "code", "source": "x=1"}] * 99_999
    last = {"cell_type": "code", "source": "import requests\nrequests.get('https://a.internal')"}
    (tmp_path / "big.ipynb").write_text(json.dumps({"cells": [*cells, last]}, indent=0))

    result = whole(audit(tmp_path))

    (finding,) = [f for f in result.findings if f.rule_id == "PL16"]
    assert finding.evidence.startswith("[cell 100000:2]")
    assert finding.line > 399_990


# Each `@` is filled with bait.  The words around it are those that rules look for.
SHAPES = {
    "bait.py": 'password = "@"\nrequests.get("http://@")\ns = """SELECT @"""\n# @\nx = f"@"\n',
    "lines.py": "@\n",
    "bait.ipynb": notebook('token = "@"\n# @\nrequests.get(f"@")\n'),
    ".github/workflows/a.yml": "on: push\njobs:\n  a:\n    steps:\n      - run: '@'\n"
    "      - uses: '@'\n      - run: pip install @\n",
    ".gitlab-ci.yml": "a:\n  script:\n    - 'pytest @ || true'\n    - 'curl @'\n",
    "k8s/d.yaml": "apiVersion: v1\nkind: Deployment\nimage: '@'\npassword: '@'\nargs: ['@']\n",
    "docker-compose.yml": "services:\n  a:\n    image: '@'\n    ports: ['@:@']\n"
    "    environment: ['PASSWORD=@']\n",
    "raw.yaml": "image: @\n",
    "docker/Dockerfile": "FROM @\nRUN pip install @ && chmod @ 777 @\nENV TOKEN=@\nCMD @\n",
    "Makefile": "all: @\n\tpython @ --a=@\n",
    "run.sh": "python @\nchmod @\nexport PASSWORD=@\ndvc @ | tee @\ncat <<@\n",
    "requirements.txt": "@\na==@\na[@]>=1\n-e @\ngit+https://@\n--extra-index-url @\n",
    "pyproject.toml": '[project]\ndependencies = ["@"]\nname = "@"\n',
    "tox.ini": "[testenv]\ncommands = @\n",
    "airflow.cfg": "[core]\nfernet_key = @\nsql_alchemy_conn = @\n",
    ".env": "PASSWORD=@\nURL=postgres://@:@@@\n",
    "main.tf": 'resource "aws_s3_bucket" "@" {\n  password = "@"\n  a = @\n}\n',
    "Jenkinsfile": 'sh \'@\'\nsh """@"""\n',
    "dvc.yaml": "stages:\n  a:\n    cmd: python @\n",
    "config.json": '{"password": "@", "url": "@", "kind": "@"}\n',
    "data.sql": "select @ from @ where a = '@';\n",
    "README.md": "# @\n\nWe deploy @ on Kubernetes, see [@](@) and `@`. @\n\n```sh\npython @\n```\n",
    "CODEOWNERS": "* @\n",
    ".gitattributes": "@ filter=lfs\n",
    ".gitignore": "@\n**/@\n!@*\n",
    "notes.txt": "mlops: ignore[@] @\n<!-- mlops: ignore[@] @ -->\n",
}
BAITS = (
    "a",
    " ",
    "\t",
    "'",
    '"',
    "\\",
    "/",
    ".",
    "-",
    "=",
    "(",
    "[",
    "{",
    "*",
    ":",
    "#",
    "<!--",
    "a.",
    "a/",
    "a b ",
    "a=a ",
    "A1",
    "-a ",
    "${{ ",
    "{{ ",
    "://a:",
    "a@",
    "password=",
    "sk-",
    "eyJ",
    "&& ",
    "| ",
    "test ",
    "drift ",
)


def quoted(path: str, bait: str) -> str:
    if path.endswith((".json", ".ipynb")):
        return json.dumps(bait)[1:-1]
    return bait


def baited(bait: str) -> Iterator[tuple[str, str]]:
    for path, shape in SHAPES.items():
        yield path, shape.replace("@", quoted(path, bait))


@pytest.mark.parametrize("bait", BAITS)
def test_long_runs_of_anything_end(bait: str) -> None:
    files = dict(baited(bait * (10_000 // len(bait))))

    result = whole(ask(files))

    assert result.inventory.files_scanned == len(SHAPES)
    for finding in result.findings:
        assert len(finding.evidence) <= 160
        assert len(finding.rationale) <= 1_200


@pytest.mark.slow
@pytest.mark.parametrize("bait", ["a", " ", "a b ", "(", '"', "\\"])
def test_very_long_runs_end_too(bait: str) -> None:
    # What takes time as the square of the length would not end within pytest's time-out.
    whole(ask(dict(baited(bait * (60_000 // len(bait))))))


def test_many_files_that_import_each_other_end() -> None:
    files = {
        f"m{n}.py": "".join(f"from m{k} import *\n" for k in range(60))
        + f"def f{n}(x):\n    return f{(n + 1) % 60}(x)\nmodel.fit(f{n}(x))\n"
        for n in range(60)
    }

    whole(ask(files))


def test_secrets_of_the_repository_are_in_no_output() -> None:
    files = {
        "a.py": f'GITHUB_TOKEN = "{SECRET}"\nrequests.get("https://x:{SECRET}@a.internal")\n',
        "Dockerfile": f"FROM python:latest\nENV GITHUB_TOKEN={SECRET}\nRUN chmod -R 777 {SECRET}\n",
        "docker-compose.yml": f"services:\n  a:\n    image: redis:{SECRET}\n"
        f"    environment:\n      GITHUB_TOKEN: {SECRET}\n",
        ".github/workflows/a.yml": "on: push\njobs:\n  a:\n    runs-on: x\n    steps:\n"
        f"      - run: curl -H 'Authorization: token {SECRET}' https://a.internal\n",
        ".env": f"GITHUB_TOKEN={SECRET}\n",
        "n.ipynb": notebook(f'token = "{SECRET}"\n'),
        "README.md": f"We monitor drift with {SECRET}.\n",
        "run.sh": f"export GITHUB_TOKEN={SECRET}\npython train.py --token {SECRET}\n",
    }

    for detail in ("full", "summary"):
        options = {**FULL, "detail": detail, "narrative": "template"}
        result = whole(ask(files, options=options, documentation=f"Our key is {SECRET}."))
        assert result.findings
        assert SECRET[:12] not in dump(result)
        assert SECRET[:12] not in render(result)


# --- time -------------------------------------------------------------------------------------


def test_the_time_out_of_the_request_ends_the_audit_and_the_result_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, PROJECT)
    clock = iter(range(1_000_000))
    # Every look at the clock takes 20 ms, so that 1000 ms are over after 50 of them.
    monkeypatch.setattr("mlops_advisor.server.calling.time.monotonic", lambda: next(clock) / 50)
    arguments = {"workspace": ".", "options": {"as_of": "2026-11-23", "timeout_ms": 1_000}}

    outcome = calling.call("audit_workflow", arguments, (tmp_path,))

    assert outcome.structured["degradation"]["level"] == 1
    assert outcome.structured["degradation"]["omitted"]
    assert "The audit is partial" in outcome.structured["warnings"][0]
    assert "partial" in outcome.text
    assert next(clock) < 60 + 2 * (len(all_rules()) + 200)
