"""Names that nothing binds: what is told, and what is left alone."""

from __future__ import annotations

import pytest

from mlops_advisor.tools.evidence.parse.python import parse_with_tree
from mlops_advisor.tools.evidence.undefined import undefined
from mlops_advisor.tools.evidence.view import View


def found(source: str, text: str = "", *, incomplete: bool = False) -> list[tuple[str, int, str]]:
    module, tree = parse_with_tree("a.py", source)
    assert tree is not None
    uses = undefined(View(module, tree), text, incomplete=incomplete)
    return [(u.name, u.line, u.kind) for u in uses]


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("print(x)\n", [("x", 1, "never")]),
        ("def f():\n    return x\n", [("x", 2, "never")]),
        ("def f(a=b):\n    pass\n", [("b", 1, "never")]),
        ("@b\ndef f():\n    pass\n", [("b", 1, "never")]),
        ("class A(B):\n    pass\n", [("B", 1, "never")]),
        ("class A:\n    x = 1\n    def f(self):\n        return x\n", [("x", 4, "never")]),
        ("[y for x in [1]]\n", [("y", 1, "never")]),
        ("[x for x in [1]]\nprint(x)\n", [("x", 2, "never")]),
        ("f'{x}'\n", [("x", 1, "never")]),
        ("print(x)\nx = 1\n", [("x", 1, "late")]),
        ("def f():\n    x = x + 1\n    return x\nx = 1\n", [("x", 2, "late")]),
        ("n = 0\ndef f():\n    n += 1\n", [("n", 3, "late")]),
        (
            "try:\n    x = f()\nexcept ValueError as e:\n    print(e)\nprint(x)\ndef f(): pass\n",
            [("f", 2, "late"), ("x", 5, "maybe")],
        ),
        ("def f(a):\n    if a:\n        x = 1\n    return x\n", [("x", 4, "branch")]),
        ("a = [1]\nif a:\n    x = 1\nprint(x)\n", [("x", 4, "branch")]),
        (
            "def f(a):\n    if a:\n        x = y = 1\n    return x + y\n",
            [("x", 4, "branch")],  # once a branch
        ),
        (
            "from contextlib import suppress as s\nwith s(OSError):\n    import a\n    x = a.b\n\nprint(x)\n",
            [("x", 6, "branch")],
        ),
    ],
)
def test_uses_without_a_binding_are_told(source: str, expected: list[tuple[str, int, str]]) -> None:
    assert found(source) == expected


@pytest.mark.parametrize(
    "source",
    [
        "import a.b\na.b.c\n",
        "import a as b\nb\n",
        "from x import *\nanything\n",
        "exec('x = 1')\nx\n",
        "def f():\n    return later()\ndef later():\n    pass\n",
        "x: int\nfor i in range(3):\n    if i:\n        print(last)\n    last = i\n",
        "def f(x: Missing) -> Missing:\n    y: Missing = 1\n    return x\n",
        "try:\n    x\nexcept NameError:\n    x = 1\n",
        "try:\n    import fast\nexcept ImportError:\n    print('slow')\nfast\n",
        "try:\n    x = 1\nexcept ValueError:\n    raise\nx\n",
        "import p\ntry:\n    x = 1\nexcept ValueError as e:\n    p.error(e)\nx\n",
        "try:\n    x = 1\nexcept ValueError:\n    pass\nif True:\n    x\n",
        "try:\n    pass\nexcept ValueError as e:\n    e\n",
        "class A:\n    n = 1\n    m = [n for _ in 'a']\n    def f(self, k=n):\n        return __class__, k\n",
        "def f():\n    global g\n    g = 1\ng\n",
        "def f():\n    x = 1\n    def h():\n        nonlocal x\n        x = 2\n    return h\n",
        "match 1:\n    case {'a': b, **c}:\n        b, c\n    case [d, *e] as g:\n        d, e, g\n",
        "if (n := 1) and [m := k for k in 'a']:\n    n, m\n",
        "with open('a') as (b, c), open('d') as e:\n    b, c, e\n",
        "(lambda a, *b, c=1, **d: (a, b, c, d))\n",
        "import asyncio\nasync def f():\n    async with asyncio.x() as y:\n        return y\n",
        "x = 1\ndel x\nprint(x)\n",
        "try:\n    x = 1\nexcept ValueError:\n    pass\nfinally:\n    x = 2\nx\n",
        "a[0] if (a := [1]) else None\n",
        "y = b if (b := 1) else 0\n",
        "unicode\nWindowsError\n__file__\n",
    ],
)
def test_what_has_a_binding_is_left_alone(source: str) -> None:
    assert found(source) == []


def test_an_argument_given_to_a_condition_is_read_after_it() -> None:
    assert found("x = (v if (v := 1) else 2)\n") == []


def test_notebooks_with_magics_that_bring_names_are_left_alone() -> None:
    assert found("files\n", 'x "files = !ls" y') == []
    assert found("frame\n", '"%%capture frame\\n"') == []
    assert found("anything\n", '"%run setup.ipynb"') == []
    assert found("anything\n", incomplete=True) == []
    assert found("other\n", 'x "files = !ls" y') == [("other", 1, "never")]


def test_long_modules_take_no_more_than_their_length() -> None:
    lines = "".join(f"try:\n    x{i} = 1\nexcept ValueError:\n    pass\n" for i in range(3_000))
    assert found(f"def f():\n    pass\n{lines}") == []
