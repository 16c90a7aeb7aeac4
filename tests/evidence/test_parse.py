"""The tolerant readers: what they see, and on which line."""

from __future__ import annotations

import pytest

from mlops_advisor.tools.evidence import parsed
from mlops_advisor.tools.evidence.collect import collect_inline
from mlops_advisor.tools.evidence.parse.ci import jobs_of
from mlops_advisor.tools.evidence.parse.data import line_of, parse_ini, parse_json, parse_toml
from mlops_advisor.tools.evidence.parse.markdown import parse_markdown
from mlops_advisor.tools.evidence.parse.python import parse_python
from mlops_advisor.tools.evidence.parse.python_model import Ref
from mlops_advisor.tools.evidence.parse.requirements import parse_requirements
from mlops_advisor.tools.evidence.parse.shell import dockerfile, make_targets, shell_lines
from mlops_advisor.tools.evidence.parse.terraform import parse_terraform
from mlops_advisor.tools.evidence.parse.yaml_tree import parse_yaml
from mlops_advisor.tools.evidence.run import probe_all
from mlops_advisor.tools.evidence.text import excerpt, holds_secret, redact


def calls(text: str) -> list[tuple[str, int]]:
    return [(c.name, c.line) for c in parse_python("a.py", text).calls]


def test_python_names_are_resolved() -> None:
    found = calls(
        "import mlflow as m\nfrom a.b import c as d\nfrom . import e\nfrom .f import g\n"
        "m.log(1)\nd()\ne.h()\ng()\nx = d()\nx.fit()\nwith m.start() as r:\n    "
        "r.end()\nd().z().y()\n"
    )
    assert found[:8] == [
        ("mlflow.log", 5),
        ("a.b.c", 6),
        (".e.h", 7),
        (".f.g", 8),
        ("a.b.c", 9),
        ("a.b.c().fit", 10),
        ("mlflow.start", 11),
        ("mlflow.start().end", 12),
    ]
    assert {n for n, line in found if line == 13} == {"a.b.c().z().y", "a.b.c().z", "a.b.c"}


def test_python_arguments_scopes_and_swallowed_failures() -> None:
    module = parse_python(
        "a.py",
        "class A:\n    def f(self, x: Item):\n        try:\n            g(1, "
        "'a', k=[1, y], n=-2, z=h)\n"
        "        except Exception:\n            pass\n",
    )
    (call,) = module.calls
    assert (call.args, call.kwargs) == ((1, "a"), {"k": (1, Ref("y")), "n": -2, "z": Ref("h")})
    assert (call.scope, call.swallowed) == ("A.f", True)
    assert module.functions[0].params == (("self", ""), ("x", "Item"))


def test_python_checks() -> None:
    module = parse_python(
        "a.py",
        "assert True\nassert x.auc > 0.8\nif df['a'].isnull():\n    raise E\nif b < c:\n    d()\n",
    )
    assert [(c.kind, c.constant, set(c.names)) for c in module.checks] == [
        ("assert", True, set()),
        ("assert", False, {"auc", "x"}),
        ("raise", False, {"isnull", "a", "df"}),
    ]
    assert [c.line for c in module.branches] == [2, 5]


def test_yaml_keeps_lines_merges_and_documents() -> None:
    file = parse_yaml("a", "a: &a {x: 1}\nb:\n  <<: *a\n  y: no\n---\nc: |\n  text\n")
    first, second = file.docs
    assert first.text_at("b", "x") == "1"
    assert first.text_at("b", "y") == "no"
    node = first.get("b", "y")
    assert node is not None
    assert node.line == 4
    assert second.text_at("c") == "text\n"


def test_yaml_templates_are_read_with_their_placeholders_blanked() -> None:
    file = parse_yaml("a", "{{- if .x }}\napiVersion: v1\nkind: {{ .kind }}\n{{- end }}\n")
    assert [d.text_at("apiVersion") for d in file.docs] == ["v1"]


def test_ci_lines_and_flags() -> None:
    text = (
        "on:\n  push:\n    tags: [v*]\njobs:\n  a:\n    needs: [b]\n    steps:\n "
        "     - run: |\n          # no\n          make x\n          pytest || "
        "true\n"
    )
    (job,) = jobs_of(".github/workflows/a.yml", "github", parse_yaml("a", text).docs)
    assert job.events == {"push", "release"}
    assert (job.line, job.needs) == (5, ("b",))
    assert [(c.line, c.text, c.soft) for c in job.steps[0].commands] == [
        (10, "make x", False),
        (11, "pytest || true", True),
    ]


def test_shell_make_and_docker() -> None:
    lines = shell_lines("a \\\n b # c\ncat <<EOF\nnot this\nEOF\necho 'x # y'\n")
    assert [(c.line, c.text) for c in lines] == [(1, "a  b"), (3, "cat <<EOF"), (6, "echo 'x # y'")]
    assert [c.idle for c in lines] == [False, True, True]
    targets = make_targets("x y: z\n\t-a \\\n\t  b\nv := 1\n")
    assert targets["x"][1] == ["z"]
    assert [(c.line, c.soft) for c in targets["y"][2]] == [(2, True)]
    assert [(i.name, i.text, i.line) for i in dockerfile('FROM a\n\nCMD ["b", "c"]\n')] == [
        ("FROM", "a", 1),
        ("CMD", "b c", 3),
    ]


def test_terraform_blocks() -> None:
    one, two = parse_terraform(
        'resource "a" "b" {\n  x = 1 # y = 2\n  n {\n  }\n}\nmodule "m" {\n}\n'
    )
    assert (one.type, one.name, one.line, one.has("x = 1"), one.has("y")) == ("a", "b", 1, 2, 0)
    assert (two.kind, two.line) == ("module", 6)


def test_requirements() -> None:
    found = parse_requirements(
        "r", "-r x\n# c\na==1 \\\n  --hash=sha256:0\nb[x]>=2\nc == 3 ; x\nd==1.*\n"
    )
    assert (found.names, found.fixed, found.hashed, found.loose_line) == (
        ("a", "b", "c", "d"),
        2,
        1,
        5,
    )


def test_markdown() -> None:
    doc = parse_markdown("a", "# A\nOne. Two.\n## B\n```sh\nrun\n```\n<!--\nno\n-->\nThree\n")
    assert doc.headings == ((1, 1, "a"), (3, 2, "b"))
    assert [(s.line, s.text, s.headings) for s in doc.sentences] == [
        (2, "One.", ("a",)),
        (2, "Two.", ("a",)),
        (10, "Three", ("a", "b")),
    ]
    assert doc.code == ((5, "run"),)


def test_data_files() -> None:
    ini = parse_ini("[a]\nk = 1\n  2\n# c\nz: 3\nflag\n[a\nq\n")
    assert ini is not None
    assert {k: n.text for k, n in ini.pairs("a")} == {
        "k": "1\n2",
        "z": "3",
        "flag": "",
        "[a": "",
        "q": "",
    }
    assert parse_json("{") is None
    assert parse_toml("a = ") is None
    assert line_of("a\nb\nc b\n", "c", "b") == 3


@pytest.mark.parametrize(
    ("line", "secret"),
    [
        ("password = 'hunter2'", True),
        ("AWS_SECRET_ACCESS_KEY = 'abcd1234'", True),
        ("url = 'postgres://u:p4ss@db/x'", True),
        ("token = 'ghp_abcdefghijklmnopqrstuvwxyz'", True),
        ("tokenizer = 'bert-base-uncased'", False),
        ("max_tokens = 4096", False),
        ("password = os.environ['P']", False),
        ("password = get_password()", False),
        ("pad_token = '[PAD]'", False),
        ("author = 'Bob'", False),
        ("api_key: ${{ secrets.KEY }}", False),
    ],
)
def test_secrets(line: str, secret: bool) -> None:
    assert holds_secret(line, bare=False) is secret
    if secret:
        assert redact(line) != line


def test_an_excerpt_is_short_and_printable() -> None:
    assert len(excerpt("x" * 5_000)) == 160
    assert excerpt("a\tb\x00c") == "a b\\x00c"


def test_each_file_is_parsed_at_most_once_and_only_when_asked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen: list[str] = []

    def count(name: str) -> None:
        original = getattr(parsed, name)

        def counted(path: str, *rest: str) -> object:
            seen.append(f"{name} {path[:60]}")
            return original(path, *rest)

        monkeypatch.setattr(parsed, name, counted)

    for name in ("parse_with_tree", "parse_notebook", "parse_yaml", "parse_markdown"):
        count(name)
    probe_all(
        collect_inline(
            [
                ("a.py", "x = 1"),
                ("n.ipynb", "{}"),
                ("k.yaml", "apiVersion: v1\nkind: x\nalert: 1\n"),
                (".github/workflows/a.yml", "on: push\n"),
                ("values.yaml", "a: 1\n"),  # no word that a probe asks for
                ("README.md", "# A\n"),
                ("page.html", "<html>"),
            ]
        )
    )
    assert sorted(seen) == [
        "parse_markdown README.md",
        "parse_notebook n.ipynb",
        "parse_with_tree a.py",
        "parse_yaml .github/workflows/a.yml",
        "parse_yaml k.yaml",
    ]
