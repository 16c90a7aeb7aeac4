"""Input that means harm: a report comes out, whatever goes in, and nothing is executed."""

from __future__ import annotations

import json
import os
from pathlib import Path
from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mlops_advisor.tools.evidence.collect import collect, collect_inline
from mlops_advisor.tools.evidence.models import ProbeReport
from mlops_advisor.tools.evidence.probes import all_probes
from mlops_advisor.tools.evidence.run import probe_all

DEEP = 5_000


def report(path: str, text: str) -> ProbeReport:
    return probe_all(
        collect_inline([(path, text), ("ok.py", "import mlflow\nmlflow.log_metric('a', 1)\n")])
    )


def problems(path: str, text: str) -> list[str]:
    found = report(path, text)
    # The rest is still assessed.
    tracked = next(f for f in found.facts if f.probe == "run_tracking")
    assert tracked.outcome == "present"
    return [s.reason for s in found.inventory.not_analysed if s.path == path]


@pytest.mark.parametrize(
    ("path", "text"),
    [
        (".github/workflows/a.yml", "jobs: " + "[" * DEEP),
        (".github/workflows/a.yml", "{a: " * DEEP),
        (".github/workflows/a.yml", "".join("  " * i + "a:\n" for i in range(1_000))),
        ("k.yaml", "apiVersion: v1\nkind: [" + "{a: [" * DEEP),
        ("k.yaml", "apiVersion: v1\nkind: x\na: &a [*a, *a]\n"),
        ("k.yaml", "apiVersion: v1\n\tkind: x\n"),
        ("k.yaml", "apiVersion: v1\nkind: !!python/object/apply:os.system ['touch /tmp/x']\n"),
        ("pyproject.toml", "a = " + "[" * DEEP),
        ("pyproject.toml", ".".join("a" * DEEP) + " = 1\n"),
        ("tox.ini", "[testenv\n" * 100),
        ("tox.ini", "[testenv]\na\n  b = 1\n"),
        ("a.ipynb", '{"cells": ' + "[" * DEEP),
        ("a.ipynb", '{"a":' * DEEP),
        (
            "a.ipynb",
            '{"cells": [1, null, {"cell_type": "code", "source": {}}, {"cell_type": "code"}]}',
        ),
        ("a.ipynb", "[]"),
        ("a.ipynb", "9" * 5_000),
        ("a.py", "(" * DEEP),
        ("a.py", "- " * DEEP + "1"),
        ("a.py", "not " * DEEP + "1"),
        ("a.py", "x" + ".a" * DEEP),
        ("a.py", "x" + "()" * DEEP),
        ("a.py", "1" + "+1" * DEEP),
        ("a.py", "lambda:" * DEEP + "1"),
        ("a.py", "if a:\n pass\n" + "elif a:\n pass\n" * DEEP),
        ("a.py", "\n".join(" " * i + "if 1:" for i in range(300))),
        ("a.py", "9" * 10_000),
        ("a.py", "print 'python 2'\nimport os\n"),
        ("a.py", "{% if x %}\nimport {{ name }}\n"),
        ("Dockerfile", "RUN [" + "[" * DEEP),
        ("Dockerfile", "\\\n" * DEEP),
        ("Makefile", "a:\n" + "\t\\\n" * DEEP),
        ("Makefile", "a: a\n\tmake a\n"),
        ("run.sh", "bash run.sh\n" * 50),
        ("main.tf", 'resource "a" "b" {\n' * DEEP),
        ("main.tf", "{" * DEEP),
        ("README.md", "#" * DEEP + "\n" + "```\n" * 3 + "[" * DEEP),
        ("README.md", "drift " * 50_000),
        ("requirements.txt", "a[" * DEEP),
        ("x.env", "password=" * DEEP),
        ("x.env", "a:" * 400 + "@" + "/" * 400),
        ("Jenkinsfile", "sh '" * DEEP),
        (".gitattributes", "*" * DEEP),
    ],
)
def test_hostile_text(path: str, text: str) -> None:
    problems(path, text)


def test_an_alias_bomb_stays_small() -> None:
    lines = ["apiVersion: v1", "kind: Deployment", "a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 40)]
    problems("k.yaml", "\n".join(lines))
    many = "apiVersion: v1\nkind: x\na: &a 1\nb: [" + ", ".join(["*a"] * 5_000) + "]\n"
    assert problems("k.yaml", many) == ["too many aliases"]


def test_broken_files_are_listed_with_the_reason() -> None:
    assert problems(".github/workflows/a.yml", "a: [") == ["YAML error in line 2"]
    assert problems("a.py", "def f(:\n") == ["syntax error in line 1; read line by line"]
    assert problems("a.ipynb", "{") == ["not a notebook"]


def test_broken_python_still_gives_evidence() -> None:
    text = "import wandb\nprint 'old'\nwandb.init()\nmodel.fit(x)\n"
    facts = probe_all(collect_inline([("train.py", text)])).facts
    fact = next(f for f in facts if f.probe == "run_tracking")
    assert (fact.outcome.value, fact.places[0].line) == ("present", 3)


def test_a_notebook_with_20_000_cells() -> None:
    cell = {"cell_type": "code", "source": ["x = 1\n", "import mlflow"], "outputs": []}
    text = json.dumps({"cells": [cell] * 20_000, "metadata": {}, "nbformat": 4})
    assert problems("big.ipynb", text) == []


def test_one_bad_cell_does_not_hide_the_others() -> None:
    cells = [
        {"cell_type": "code", "source": "!pip install x\nimport mlflow"},
        {"cell_type": "code", "source": "def broken(:"},
        {"cell_type": "code", "source": "%%bash\necho hi"},
        {"cell_type": "code", "source": "mlflow.log_metric('a', 1)"},
    ]
    found = probe_all(collect_inline([("a.ipynb", json.dumps({"cells": cells}))]))
    fact = next(f for f in found.facts if f.probe == "run_tracking")
    assert fact.places[0].text == "[cell 4:1] mlflow.log_metric('a', 1)"
    assert found.inventory.not_analysed[0].reason.startswith("some cells do not parse")


def test_other_languages_are_said_not_to_be_analysed() -> None:
    book = json.dumps({"cells": [], "metadata": {"kernelspec": {"language": "R"}}})
    found = probe_all(
        collect_inline([("a.R", "lm(y ~ x)"), ("b.R", "x"), ("M.scala", "x"), ("a.ipynb", book)])
    )
    assert [(s.path, s.reason.split(":")[0]) for s in found.inventory.not_analysed] == [
        ("R", "2 files"),
        ("Scala", "1 files"),
        ("a.ipynb", "notebook in r"),
    ]


def test_nothing_is_executed(tmp_path: Path) -> None:
    mark = tmp_path / "executed"
    touch = f"import pathlib\npathlib.Path({str(mark)!r}).touch()\n"
    folder = tmp_path / "w"
    folder.mkdir()
    for name in (
        "conftest.py",
        "setup.py",
        "sitecustomize.py",
        "mlflow.py",
        "__init__.py",
        "yaml.py",
    ):
        (folder / name).write_text(touch)
    (folder / "Makefile").write_text(f"all:\n\ttouch {mark}\nX := $(shell touch {mark})\n")
    (folder / "a.yaml").write_text(
        f"apiVersion: !!python/object/apply:os.system ['touch {mark}']\n"
    )
    probe_all(collect(str(folder), (tmp_path,)))
    assert not mark.exists()


def test_a_name_with_a_new_line_cannot_forge_a_line() -> None:
    found = probe_all(
        collect_inline([("a\nERROR.py", "import mlflow\nmlflow.log_metric('a', 1)\n")])
    )
    assert all("\n" not in p.path + p.text for f in found.facts for p in f.places)


def test_evidence_holds_no_control_characters() -> None:
    text = "import mlflow\nmlflow.log_metric('\x1b[31m\u202e', 1)\n"
    (place,) = next(f for f in report("a.py", text).facts if f.probe == "run_tracking").places[:1]
    assert place.text.isprintable()


@pytest.mark.parametrize("asks", [0, 1, 5, 20])
def test_what_the_deadline_leaves_over_is_unknown(asks: int) -> None:
    asked = 0

    def expired() -> bool:
        nonlocal asked
        asked += 1
        return asked > asks

    text = "from sklearn.svm import SVC\nSVC().fit(x, y)\n"
    found = probe_all(collect_inline([("a.py", text), ("b.py", text)]), expired=expired)
    assert len(found.facts) == len(all_probes())
    assert len(found.omitted) >= len(all_probes()) - asks
    assert found.inventory.truncated
    assert not [f.probe for f in found.facts if f.probe in found.omitted and f.outcome != "unknown"]


NAMES = st.sampled_from(
    "train.py tests/test_a.py nb.ipynb .github/workflows/ci.yml .gitlab-ci.yml azure-pipelines.yml"
    " .circleci/config.yml cloudbuild.yaml Jenkinsfile dvc.yaml dvc.lock "
    "a.dvc k8s/d.yaml values.yaml"
    " docker-compose.yml prefect.yaml .pre-commit-config.yaml prometheus.yml "
    "alertmanager.yml rules.yml"
    " pyproject.toml Pipfile setup.cfg tox.ini MLproject main.tf Dockerfile Makefile run.sh"
    " requirements.txt README.md MODEL_CARD.md CODEOWNERS .gitattributes .env app.json dash.json"
    " feature_store.yaml features.yaml databricks.yml data.sql x.bicep cookiecutter.json".split()
)
WORDS = st.sampled_from(
    [
        "import mlflow\n",
        "model.fit(x)\n",
        "@app.post('/p')\n",
        "def test_a():\n",
        "    assert x < 1\n",
        "jobs:\n",
        "  a:\n",
        "    steps:\n",
        "      - run: python train.py\n",
        "apiVersion: v1\n",
        "kind: Rollout\n",
        "spec:\n",
        "stages:\n",
        "on: push\n",
        "cells",
        "{",
        "}",
        "[",
        "]",
        ": ",
        "- ",
        "&a ",
        "*a ",
        "<<: *a\n",
        "# TODO\n",
        "FROM x\n",
        "RUN make\n",
        "all: all\n",
        "\tmake all\n",
        'resource "a" "b" {\n',
        "\\\n",
        "\x00",
        "\ufeff",
        "'",
        '"',
        "null",
        "if: false\n",
        "schedule: null\n",
        "== 1.0\n",
        "--hash=sha256:a\n",
        "password = 'x1'\n",
        "%",
        "!",
        "{{ x }}",
    ]
)
TEXT = st.one_of(
    st.text(max_size=300),
    st.lists(WORDS, max_size=25).map("".join),
    st.binary(max_size=300).map(lambda b: b.decode("utf-8", "replace")),
)


@settings(max_examples=120, suppress_health_check=[HealthCheck.too_slow])
@given(st.dictionaries(NAMES, TEXT, max_size=5), st.randoms(use_true_random=False))
def test_any_text_gives_a_report_that_does_not_depend_on_order(
    files: dict[str, str], random: Random
) -> None:
    pairs = sorted(files.items())
    first = probe_all(collect_inline(pairs))
    random.shuffle(pairs)
    assert probe_all(collect_inline(pairs)) == first
    assert len(first.facts) == len(all_probes())
    for fact in first.facts:
        assert (fact.strength is not None) == (fact.outcome == "present")
        for place in fact.places:
            assert place.line >= 1
            assert len(place.text) <= 160


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.dictionaries(NAMES, st.binary(max_size=200), max_size=4))
def test_any_bytes_on_disk(tmp_path: Path, files: dict[str, bytes]) -> None:
    folder = tmp_path / os.urandom(8).hex()
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    folder.mkdir(exist_ok=True)
    found = probe_all(collect(str(folder), (tmp_path,)))
    assert found.inventory.files_read <= len(files)
    assert len(found.facts) == len(all_probes())
