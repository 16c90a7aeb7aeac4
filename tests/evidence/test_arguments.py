"""Both sides of a command line: what a script takes, and what it is given."""

from __future__ import annotations

import pytest
from auditing import repository

from mlops_advisor.tools.evidence.arguments import Command, commands_of, words_of
from mlops_advisor.tools.evidence.interfaces import ANY, Interface, interface_of, reads_environment

ARGPARSE = """
import argparse

def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("data")
    parser.add_argument("-e", "--num-epochs", type=int, default=3)
    parser.add_argument("--tags", nargs="*")
    parser.add_argument("--fast", action="store_true")
    parser.add_argument("--kind", choices=["a", "b"], required=True)
    parser.add_argument("--cache", action=argparse.BooleanOptionalAction)
    parser.parse_args()
"""


def taken(source: str, **others: str) -> Interface | None:
    files = {"a.py": source, **{f"{k}.py": v for k, v in others.items()}}
    return interface_of(repository(files), "a.py")


def given(files: dict[str, str]) -> list[Command]:
    return list(commands_of(repository(files)))


def test_argparse() -> None:
    interface = taken(ARGPARSE)
    assert interface is not None
    assert (interface.kind, interface.open) == ("argparse", False)
    shown = [(a.name, a.flags, a.required, a.values, a.choices) for a in interface.arguments]
    assert shown == [
        ("data", (), True, 1, ()),
        ("num-epochs", ("-e", "--num-epochs"), False, 1, ()),
        ("tags", ("--tags",), False, ANY, ()),
        ("fast", ("--fast",), False, 0, ()),
        ("kind", ("--kind",), True, 1, ("a", "b")),
        ("cache", ("--cache", "--no-cache"), False, 0, ()),
    ]
    assert interface.takes("--num") is not None
    assert interface.takes("--epochs") is None


def test_sub_commands_of_argparse() -> None:
    interface = taken(
        "import argparse\n"
        "parser = argparse.ArgumentParser()\n"
        "parser.add_argument('--verbose', action='store_true')\n"
        "sub = parser.add_subparsers()\n"
        "fit = sub.add_parser('fit')\n"
        "fit.add_argument('--rate')\n"
        "ship = sub.add_parser('ship')\n"
        "group = ship.add_argument_group('more')\n"
        "group.add_argument('--to')\n"
        "parser.parse_args()\n"
    )
    assert interface is not None
    assert {n: c.flags for n, c in interface.commands.items()} == {
        "fit": ["--verbose", "--rate"],
        "ship": ["--verbose", "--to"],
    }


@pytest.mark.parametrize(
    "line",
    [
        "parser.parse_known_args()",
        "add_more(parser)\nparser.parse_args()",
        "parser.add_argument(*names)\nparser.parse_args()",
        "for n in names:\n    parser.add_argument(n)\nparser.parse_args()",
    ],
)
def test_parsers_that_take_more_are_open(line: str) -> None:
    interface = taken(
        f"import argparse\nfrom b import add_more\nparser = argparse.ArgumentParser()\n{line}\n"
    )
    assert interface is not None
    assert interface.open


@pytest.mark.parametrize(
    ("source", "kind", "flags", "required"),
    [
        (
            (
                "import click\n@click.command()\n@click.option('--a/--no-a')\n"
                "@click.option('--b', required=True)\n@click.argument('c')\ndef main(a, b, c): ...\n"
            ),
            "click",
            ["--a", "--no-a", "--b"],
            ["b", "c"],
        ),
        (
            "import typer\ndef main(a: str, b_c: int = 1, d: bool = False): ...\ntyper.run(main)\n",
            "typer",
            ["--b-c", "--d", "--no-d"],
            ["a"],
        ),
        (
            (
                "from typing import Annotated\nimport typer\napp = typer.Typer()\n@app.command()\n"
                "def main(a: Annotated[str, typer.Option('--aa')], b: str = typer.Argument('x')): ...\n"
            ),
            "typer",
            ["--aa"],
            ["a"],
        ),
        (
            "import fire\ndef f(a_b, c=1): ...\nfire.Fire(f)\n",
            "fire",
            ["--a_b", "--a-b", "--c", "--c"],
            [],
        ),
        ("import sys\nprint(sys.argv[1], sys.argv[2])\n", "argv", [], ["argv[1]", "argv[2]"]),
        ("import sys\nif len(sys.argv) > 1:\n    print(sys.argv[1])\n", "argv", [], []),
        ("print(1)\n", "none", [], []),
    ],
)
def test_other_kinds(source: str, kind: str, flags: list[str], required: list[str]) -> None:
    interface = taken(source)
    assert interface is not None
    assert interface.kind == kind
    assert interface.flags == flags
    assert [a.name for a in interface.arguments if a.required] == required


def test_groups_have_commands_and_unknown_parsers_are_not_told() -> None:
    interface = taken(
        "import click\n@click.group()\ndef cli(): ...\n"
        "@cli.command()\ndef fit_model(): ...\n@cli.command('ship')\ndef other(): ...\n"
    )
    assert interface is not None
    assert sorted(interface.commands) == ["fit-model", "ship"]
    assert taken("from b import parse\nparse()\n", b="import argparse\n") is None
    assert taken("from transformers import HfArgumentParser\nHfArgumentParser()\n") is None


def test_hydra_takes_its_own_flags_only() -> None:
    interface = taken("import hydra\n@hydra.main(config_path='c')\ndef main(cfg): ...\n")
    assert interface is not None
    assert interface.takes("--multirun") is not None
    assert interface.takes("--epochs") is None


def test_environment() -> None:
    view = repository(
        {"a.py": "import os\nos.environ['A']\nos.getenv('B')\nos.environ.get('C', 1)\n"}
    ).view("a.py")
    assert view is not None
    assert list(reads_environment(view)) == [("A", 2, True), ("B", 3, False), ("C", 4, False)]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("python a.py --x 'b c' && ls", [["python", "a.py", "--x", "b c"], ["ls"]]),
        ('a --b="c d"|tee e', [["a", "--b=c d"], ["tee", "e"]]),
        (
            "a ${{ secrets.X }} $(date +%F) {{ b }}",
            [["a", "${{ secrets.X }}", "$(date +%F)", "{{ b }}"]],
        ),
        ("a 'unclosed", [["a", "'unclosed"]]),
        ("", []),
        (";;|&", []),
    ],
)
def test_words_of_a_command_line(text: str, words: list[list[str]]) -> None:
    assert words_of(text) == words


def test_commands_come_from_everywhere() -> None:
    files = {
        "src/a.py": "print(1)\n",
        "run.sh": "cd src && python -u a.py --shell > log 2>&1\ntorchrun --nproc 2 src/a.py --torch\n",
        ".github/workflows/a.yml": (
            "on: push\njobs:\n  a:\n    steps:\n      - run: poetry run python -m src.a --ci\n"
        ),
        "k8s.yaml": "spec:\n  containers:\n    - command: [python, src/a.py]\n      args: [--pod, '1']\n",
        "flow.py": (
            "import subprocess, sys\n"
            "subprocess.run([sys.executable, 'src/a.py', '--code', str(1)], check=True)\n"
            "step = ProcessingStep(code='src/a.py', job_arguments=['--step', '1'])\n"
            "job = command(command='python a.py --job ${{inputs.x}}')\n"
            "est = Estimator(entry_point='a.py', hyperparameters={'rate': 1})\n"
        ),
        "MLproject": "entry_points:\n  main:\n    command: 'python src/a.py --project {x}'\n",
        "Dockerfile": 'FROM a\nENTRYPOINT ["python", "src/a.py", "--image"]\n',
    }
    found = {c.words[0]: c for c in given(files) if c.words}
    assert set(found) == {
        "--shell", "--torch", "--ci", "--pod", "--code", "--step", "--job", "--rate", "--project", "--image",
    }  # fmt: skip
    assert {c.script for c in found.values()} == {"src/a.py"}
    assert found["--shell"].words == ("--shell",)
    assert found["--code"].words == ("--code", "{}")
    assert not found["--image"].whole
    assert found["--torch"].line == 2


def test_words_that_are_filled_in_later_leave_a_command_incomplete() -> None:
    files = {"a.py": "print(1)\n", "run.sh": 'python a.py "$@"\npython a.py --x $X\n'}
    assert [c.complete for c in given(files)] == [False, True]
