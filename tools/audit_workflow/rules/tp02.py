"""A test that cannot fail, or checks the wrong thing

## What it does

Reads every test function.  Reported are: empty bodies and placeholders; `assert True` and other
conditions that always hold (`assert x or True`, `assert (x, "message")`, a value compared with
itself, `len(x) >= 0`); conditions that accept the error as well; asserts inside a `try` whose
`except` swallows them; tests without any assertion; a mock compared with what it was told to
return; an expected failure without content.  Also: predictions compared exactly with a long float,
and a coverage gate of zero.

## Why is this bad?

A test that cannot fail looks like safety.  An exact float fails on another processor or library
version, and then gets deleted.

## Known problems

A test that only runs code shows that it does not raise; such tests are candidates, and those named
after that (smoke, runs, import) are left alone.  Helpers that assert are followed within the test
folder.

## Example

```python
def test_predict():
    response = client.post("/predict", json=ROW)
    assert response.status_code == 200 or "error" in response.json()
```

## Use instead

```python
def test_predict():
    response = client.post("/predict", json=ROW)
    assert response.status_code == 200
    assert response.json()["price"] == pytest.approx(12.3, rel=1e-3)
```
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from mlops_advisor.tools.audit_workflow.repo import AuditRepository
from mlops_advisor.tools.audit_workflow.rule import HIGH, LOW, MEDIUM, Hit, rule
from mlops_advisor.tools.audit_workflow.rules import _testing_asserts as asserts
from mlops_advisor.tools.audit_workflow.rules import _testing_collect, _testing_data, _testing_gates
from mlops_advisor.tools.audit_workflow.rules._docs import source
from mlops_advisor.tools.evidence.view import AnyFunction, View


@rule(
    "TP02",
    name="vacuous-test",
    dimension="team_practices",
    severity=HIGH,
    confidence=0.85,
    fix="Assert the behaviour that must hold, so that breaking it makes the test fail.",
    effort=(0.1, 1),
    sources=(
        "test_smells: Unknown Test, Empty Test, Redundant Assertion, Ignored Test",
        "ruff: SIM222 expr-or-true, F631 assert-tuple, PLW0129 assert-on-string-literal",
    ),
)
def vacuous_test(repo: AuditRepository) -> Iterator[Hit]:
    """Report tests that check nothing, exact floats, and coverage gates of zero."""
    helpers = _helpers(repo)
    for path in repo.code.tests:
        view = repo.view(path)
        if view is None or view.module.notebook:
            continue
        yield from _beside(repo, view)
        mocks = "return_value" in repo.text(path)
        for function in view.functions:
            if asserts.is_test(view, function):
                yield from _of_test(view, function, helpers, mocks=mocks)
            elif asserts.always_succeeds(function):
                yield Hit(
                    path,
                    function.lineno,
                    f"`{function.name}` does nothing and reports success: what calls it checks "
                    "nothing.",
                )
    for path, line, name in _testing_collect.uncollected(repo):
        yield Hit(
            path,
            line,
            f"pytest does not collect `{name}` (it looks for `test_*.py` and `*_test.py`), and no "
            "command here names the file: these tests never run.",
            "Rename the file to `test_*.py`, or set `python_files` in the settings of pytest.",
            severity=MEDIUM,
            confidence=0.75,
        )
    yield from _testing_gates.zero_gates(repo)
    yield from _testing_gates.no_gate(repo)


def _beside(repo: AuditRepository, view: View) -> Iterator[Hit]:
    """Report tests that never run the product: they read its text, or look at their own data."""
    words = _testing_data.text_tests(view)
    if words:
        names = ", ".join(f"`{n}`" for _, n in words[:4])
        yield Hit(
            view.path,
            words[0][0],
            f"{names} only {'look' if len(words) > 1 else 'looks'} for words in the text of a "
            "source file: the code may be wrong, or never run, and the words still stand there.",
            "Import the module, call it with small data, and assert what comes out.",
            also=tuple((view.path, n) for n, _ in words[1:8]),
            confidence=0.85,
        )
    own = _testing_data.own_data_tests(repo, view)
    if own and repo.code.product:
        names = ", ".join(f"`{n}`" for _, n in own[:4])
        yield Hit(
            view.path,
            own[0][0],
            f"No code of the product is called in {names}: the assertions hold for the data that "
            "the test itself makes, whatever the product does.",
            "Give the data to the function that has to keep the property, and assert on its "
            "result.",
            also=tuple((view.path, n) for n, _ in own[1:8]),
            confidence=0.75,
        )


def _helpers(repo: AuditRepository) -> frozenset[str]:
    """Names of functions in the test folder that assert, directly or through another."""
    found: set[str] = set()
    bodies: dict[str, set[str]] = {}
    for path in repo.code.tests:
        view = repo.view(path)
        if view is None:
            continue
        for function in view.functions:
            nodes = view.walk(function)
            called = {asserts.called(n) for n in nodes if isinstance(n, ast.Call)}
            bodies.setdefault(function.name, set()).update(called)
            if any(asserts.checks(name) for name in called) or any(
                isinstance(n, ast.Assert) for n in nodes
            ):
                found.add(function.name)
    for _ in range(3):
        found |= {name for name, called in bodies.items() if called & found}
    return frozenset(found)


def _of_test(
    view: View, function: AnyFunction, helpers: frozenset[str], *, mocks: bool
) -> Iterator[Hit]:
    at = function.lineno
    body = asserts.body_of(function)
    expected = asserts.decorated(function, ("xfail",))
    if asserts.decorated(function, ("skip",)):
        return
    if not body or asserts.placeholder(body):
        what = "is expected to fail and has no content" if expected else "has no content"
        yield Hit(view.path, at, f"`{function.name}` {what}: it can never find a fault.")
        return
    lines: set[int] = set()
    nodes = [n for n in view.walk(function) if isinstance(n, (ast.Assert, ast.Try))]
    for node in (n for n in nodes if isinstance(n, ast.Assert)):
        why = asserts.always(node.test) or asserts.accepts_error(node.test)
        if why:
            lines.add(node.lineno)
            yield Hit(view.path, node.lineno, f"`assert {_short(node.test)}` {why}.")
    for try_ in (n for n in nodes if isinstance(n, ast.Try)):
        line = asserts.swallowed(try_)
        if line and line not in lines:
            lines.add(line)
            why = "stands in a `try` whose `except` swallows its failure: the test cannot fail."
            yield Hit(view.path, line, f"This assertion {why}")
    yield from _floats(view, function, lines)
    line = asserts.mock_of_itself(view, function) if mocks else 0
    if line and line not in lines:
        why = "compares a mock with the value it was told to return: no code is tested."
        yield Hit(view.path, line, f"`{function.name}` {why}")
        return
    yield from _without_assert(view, function, helpers)


def _without_assert(view: View, function: AnyFunction, helpers: frozenset[str]) -> Iterator[Hit]:
    nodes = list(view.walk(function))
    if any(isinstance(n, (ast.Assert, ast.Raise)) for n in nodes):
        return
    calls = [asserts.called(n) for n in nodes if isinstance(n, ast.Call)]
    if any(asserts.checks(c) or c in helpers for c in calls):
        return
    if asserts.SMOKE.search(function.name.lower()) or asserts.SMOKE.search(
        (ast.get_docstring(function) or "").lower()[:400]
    ):
        return
    marks = [d for d in function.decorator_list if "parametrize" not in source(d, 200)]
    if marks:  # slow, gpu and the like: written to see that it runs
        return
    text = source(function, 4_000)
    if "fast_dev_run" in text or "benchmark" in text or "max_steps" in text:
        return
    prints = "print" in calls
    yield Hit(
        view.path,
        function.lineno,
        f"`{function.name}` runs code and asserts nothing"
        + (" (it prints the result)" if prints else "")
        + ": any result passes.",
        severity=HIGH if prints else MEDIUM,
        confidence=0.8 if prints else 0.65,
    )


def _floats(view: View, function: AnyFunction, done: set[int]) -> Iterator[Hit]:
    for node in view.walk(function):
        if not isinstance(node, (ast.Assert, ast.Call)):
            continue
        value = asserts.exact_float(view, node)
        line = node.lineno
        if value and line not in done:
            done.add(line)
            yield Hit(
                view.path,
                line,
                f"The result is compared with {value} exactly: another library version or "
                "processor "
                "gives another last digit.",
                f"Compare with a tolerance: `== pytest.approx({value}, rel=1e-3)`.",
                severity=LOW,
                confidence=0.8,
            )


def _short(node: ast.expr) -> str:
    return source(node, 80)
