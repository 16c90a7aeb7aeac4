"""Below server/ there is no clock, randomness, environment or network, and two readers of files.

import-linter holds the imports of protocol and network code (pyproject.toml); this holds the calls.
It reads the source: a call that is spelled in another way is not seen.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

# The only code that may touch files: the collector of workspaces and the readers of our own data.
READERS = (
    "tools/evidence/collect.py",
    "tools/evidence/collect/",
    "resources/loaders.py",
    "resources/yamlfile.py",
)

FORBIDDEN_MODULES = {
    "random",
    "secrets",
    "time",
    "uuid",
    "tempfile",
    "shutil",
    "urllib.request",
    "http",
    "multiprocessing",
    "logging",
}
FILE_CALLS = {
    "open",
    "read_text",
    "read_bytes",
    "write_text",
    "write_bytes",
    "iterdir",
    "glob",
    "rglob",
    "scandir",
    "listdir",
    "fwalk",
    "lstat",
    "unlink",
    "mkdir",
    "is_file",
    "is_dir",
    "exists",
}
CLOCK_CALLS = {"now", "today", "utcnow", "getenv", "urandom"}
# What imports by name: probes and rules find those beside them, never a workspace's code.
FINDERS = {
    ("tools/evidence/probes/__init__.py", "runs code: import_module()"),
    ("tools/audit_workflow/rules/__init__.py", "runs code: import_module()"),
}
EXECUTING_CALLS = {"eval", "exec", "__import__", "import_module", "system", "popen"}


def modules(root: Path) -> list[Path]:
    return sorted(
        path
        for top in ("tools", "resources")
        for path in (root / top).rglob("*.py")
        if not path.is_relative_to(root / "resources" / "samples")
        and not path.is_relative_to(root / "resources" / "data")
    )


def offences(tree: ast.AST, *, may_read: bool) -> Iterator[tuple[int, str]]:
    """Line and reason of everything a pure module may not do."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name in FORBIDDEN_MODULES:
                    yield node.lineno, f"import {alias.name}"
        elif isinstance(node, ast.ImportFrom):
            if node.module in FORBIDDEN_MODULES:
                yield node.lineno, f"from {node.module} import"
        elif isinstance(node, ast.Call):
            yield from _call(node, may_read=may_read)
        elif isinstance(node, ast.Attribute) and node.attr == "environ":
            yield node.lineno, "reads the environment"


def _call(node: ast.Call, *, may_read: bool) -> Iterator[tuple[int, str]]:
    plain = isinstance(node.func, ast.Name)
    if isinstance(node.func, ast.Name):
        name = node.func.id
    elif isinstance(node.func, ast.Attribute):
        name = node.func.attr
    else:
        return
    if name in EXECUTING_CALLS or (plain and name == "compile"):
        yield node.lineno, f"runs code: {name}()"
    if name in CLOCK_CALLS:
        yield node.lineno, f"asks the clock or the system: {name}()"
    if name in FILE_CALLS and not may_read:
        yield node.lineno, f"touches files: {name}()"


def test_code_below_the_server_is_pure(root: Path) -> None:
    found = []
    for path in modules(root):
        name = path.relative_to(root).as_posix()
        tree = ast.parse(path.read_text("utf-8"))
        found += [
            f"{name}:{line}: {reason}"
            for line, reason in offences(tree, may_read=name.startswith(READERS))
            if (name, reason) not in FINDERS
        ]

    assert found == []


@pytest.mark.parametrize(
    "bad",
    [
        "import random",
        "from time import monotonic",
        "import os\nos.environ['A']",
        "from datetime import date\ndate.today()",
        "from datetime import datetime\ndatetime.now()",
        "open('a')",
        "from pathlib import Path\nPath('a').read_text()",
        "eval('1')",
        "compile('1', 'a', 'exec')",
    ],
)
def test_the_check_sees_what_it_should(bad: str) -> None:
    assert list(offences(ast.parse(bad), may_read=False))


def test_the_check_lets_pure_code_pass() -> None:
    good = "import re\nimport ast\nre.compile('a')\nast.parse('b')\n"

    assert list(offences(ast.parse(good), may_read=False)) == []
