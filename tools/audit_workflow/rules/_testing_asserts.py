"""Which assertions can fail."""

from __future__ import annotations

import ast
import re
from typing import Final

from mlops_advisor.tools.audit_workflow.rules._docs import same, source
from mlops_advisor.tools.evidence.parse.python import dotted
from mlops_advisor.tools.evidence.view import AnyFunction, View, last, names_read, walk

SMOKE: Final = re.compile(
    r"smoke|import|no_?(?:error|exception|raise)|does_?n.?t_?(?:raise|fail|crash)|not_raise|runs?$|"
    r"_run_|sanity|can_be|instantiat|without_error|without error|not raise|loads?$|compiles|"
    r"(?:raises?|throws?) no|notebook"
)
_CHECKS: Final = (
    "assert", "check_", "verify", "expect", "ensure", "validate", "should", "compare_", "must_",
)  # fmt: skip
_CHECKERS: Final = frozenset(
    "raises warns fail approx_equal deprecated_call run_doctests testmod check fixture_check match"
    " is_true is_false assertLogs raiseException gradcheck exit abort passes regression "
    "file_regression"
    " data_regression num_regression dataframe_regression snapshot validate_checkpoint xfail skip"
    " show_versions main run_checks verify evaluate_expectations".split()
)
_ERRORS: Final = re.compile(r"(?i)\berrors?\b|exception|fail(?:ed|ure)|\b(?:400|404|422|500|503)\b")
_GOOD: Final = re.compile(
    r"(?i)\b20[0-4]\b|predict|score|result|success|\bok\b|in response|is not None"
)
_EQUALS: Final = (
    "assertEqual", "assertEquals", "assert_equal", "assertDictEqual", "assertListEqual",
    "assert_array_equal",
)  # fmt: skip
_ARRAYS: Final = ("array", "asarray", "Series", "tensor", "float32", "float64")
_NESTED: Final = 5
_MOCKS: Final = ("Mock", "MagicMock", "AsyncMock", "patch", "create_autospec", "PropertyMock")
_FLOAT_WORDS: Final = re.compile(
    r"(?i)predict|pred\b|score|accuracy|rmse|mae\b|mse\b|loss|auc|f1|precision|recall|metric|prob|"
    r"duration|price"
)
_CHECK_NAMES: Final = re.compile(
    r"_?(?:invoke|check|validate|verify|evaluate|run_test|test|assert|ensure)\w{0,60}$"
)
_DIGITS: Final = 3
_LONG: Final = 5


def is_test(view: View, function: AnyFunction) -> bool:
    """Tell whether a test runner would collect a function."""
    if not function.name.startswith("test") or decorated(function, ("fixture",)):
        return False
    up = view.parent(function)
    if isinstance(up, ast.ClassDef):
        bases = " ".join(dotted(b) for b in up.bases)
        return up.name.startswith("Test") or "TestCase" in bases or up.name.endswith("Test")
    return isinstance(up, ast.Module) or up is None


def always_succeeds(function: AnyFunction) -> bool:
    """Tell whether a helper is named after a check and only returns a literal of success."""
    if not _CHECK_NAMES.match(function.name) or decorated(function, ("fixture", "property")):
        return False
    body = body_of(function)
    if len(body) != 1 or not isinstance(body[0], ast.Return):
        return False
    value = body[0].value
    if isinstance(value, ast.Constant):
        return value.value is True
    if not isinstance(value, ast.Dict):
        return False
    return any(
        isinstance(v, ast.Constant) and v.value in (True, "ok", "success", "passed")
        for v in value.values
    )


def decorated(function: AnyFunction, names: tuple[str, ...]) -> bool:
    """Tell whether a decorator of one of some names stands above a function."""
    return any(last(dotted(d)).removesuffix("()") in names for d in function.decorator_list)


def body_of(function: AnyFunction) -> list[ast.stmt]:
    """Statements of a function without its docstring."""
    body = function.body
    if body and isinstance(body[0], ast.Expr) and isinstance(body[0].value, ast.Constant):
        body = body[1:] if isinstance(body[0].value.value, str) else body
    return body


def placeholder(body: list[ast.stmt]) -> bool:
    """Tell whether statements only stand for a test to be written."""
    for node in body:
        if isinstance(node, ast.Pass):
            continue
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            continue
        if isinstance(node, ast.Raise) and "NotImplemented" in dotted(node.exc):
            continue
        if (
            isinstance(node, ast.Assert)
            and isinstance(node.test, ast.Constant)
            and not node.test.value
        ):
            continue
        if isinstance(node, ast.Return) and node.value is None:
            continue
        return False
    return True


def called(node: ast.Call) -> str:
    """Last name of what is called."""
    if isinstance(node.func, ast.Attribute):
        return node.func.attr
    if isinstance(node.func, ast.Name):
        return node.func.id
    return last(dotted(node.func)).removesuffix("()")


def checks(name: str) -> bool:
    """Tell whether a call by its name checks something."""
    return name.lstrip("_").startswith(_CHECKS) or name in _CHECKERS


def always(test: ast.expr) -> str:
    """Why a condition always holds; empty when it may not."""
    if isinstance(test, ast.Tuple) and test.elts:
        return "asserts a tuple, which is always true: the brackets are wrong"
    if isinstance(test, (ast.Constant, ast.List, ast.Dict)):
        full = getattr(test, "value", None) or getattr(test, "elts", None)
        return "always holds" if full or getattr(test, "keys", None) else ""
    if isinstance(test, ast.BoolOp) and isinstance(test.op, ast.Or):
        for value in test.values:
            if isinstance(value, ast.Constant) and value.value:
                return f"always holds: `{source(value, 40)}` is true by itself"
    if isinstance(test, ast.Compare) and len(test.ops) == 1:
        return _compared(test)
    if isinstance(test, ast.Call) and dotted(test.func) == "isinstance" and len(test.args) > 1:
        return "always holds" if dotted(test.args[1]) == "object" else ""
    return ""


def _compared(test: ast.Compare) -> str:
    left, right, op = test.left, test.comparators[0], test.ops[0]
    weak = isinstance(op, (ast.Eq, ast.Is, ast.LtE, ast.GtE)) and type(left) is type(right)
    if (
        weak
        and dotted(left) == dotted(right)
        and same(left, right)
        and not any(isinstance(n, ast.Call) for n in walk(left))
    ):
        return "compares a value with itself"
    if isinstance(left, ast.Constant) and isinstance(right, ast.Constant):
        return "compares two literals: it always has the same outcome"
    length = isinstance(left, ast.Call) and dotted(left.func) == "len"
    zero = isinstance(right, ast.Constant) and right.value == 0 and right.value is not False
    if length and zero and isinstance(op, ast.GtE):
        return "always holds: no length is below 0"
    return ""


def accepts_error(test: ast.expr) -> str:
    """Say so when a condition is met by success and by failure; empty otherwise."""
    if isinstance(test, ast.BoolOp) and isinstance(test.op, ast.Or):
        texts = [source(v, 200) for v in test.values]
        bad = [t for t in texts if _ERRORS.search(t) and not t.startswith("not ")]
        good = [t for t in texts if t not in bad and _GOOD.search(t)]
        if bad and good:
            return f"passes on success and on failure (`{bad[0][:50]}`)"
    if isinstance(test, ast.Compare) and isinstance(test.ops[0], ast.In):
        box = test.comparators[0]
        if isinstance(box, (ast.List, ast.Tuple, ast.Set)):
            codes = [e.value for e in box.elts if isinstance(e, ast.Constant)]
            numbers = [c for c in codes if isinstance(c, int) and not isinstance(c, bool)]
            if any(200 <= c < 300 for c in numbers) and any(500 <= c < 600 for c in numbers):  # noqa: PLR2004
                return "accepts a server error as well as success"
    return ""


def swallowed(node: ast.Try) -> int:
    """Line of an assertion whose failure the `except` below it hides; 0 when none is."""
    inside = [n for s in node.body for n in walk(s) if isinstance(n, ast.Assert)]
    if not inside:
        return 0
    for handler in node.handlers:
        kinds = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
        names = {dotted(k) if k is not None else "" for k in kinds}
        if names & {"", "Exception", "BaseException", "AssertionError"}:
            below = [n for s in handler.body for n in walk(s)]
            acts = any(isinstance(n, (ast.Raise, ast.Assert)) for n in below) or any(
                isinstance(n, ast.Call) and called(n) in ("fail", "exit", "skip", "xfail", "_exit")
                for n in below
            )
            if not acts:
                return inside[0].lineno
    return 0


def mock_of_itself(view: View, function: AnyFunction) -> int:
    """Line of an assertion that compares what a mock returns with what it was told to return."""
    mocks: set[str] = set()
    told: set[str] = set()
    for node in view.walk(function):
        if isinstance(node, ast.Assign) and len(node.targets) == 1:
            target = dotted(node.targets[0])
            if isinstance(node.value, ast.Call) and last(dotted(node.value.func)) in _MOCKS:
                mocks.add(target)
                told |= {source(k.value) for k in node.value.keywords if k.arg == "return_value"}
            elif target.endswith(".return_value") and target.partition(".")[0] in mocks:
                told.add(source(node.value))
    if not mocks or not told:
        return 0
    calls = [n for n in view.walk(function) if isinstance(n, ast.Call)]
    free = [
        c
        for c in calls
        if dotted(c.func).partition(".")[0].removesuffix("()") not in mocks
        and last(dotted(c.func))
        not in (*_MOCKS, "len", "list", "dict", "array", "DataFrame", "float", "int")
        and "." not in dotted(c.func).replace("self.assert", "")
    ]
    outside = [c for c in calls if _reaches_out(view, c, mocks)]
    if free or outside:
        return 0
    for node in view.walk(function):
        if isinstance(node, ast.Assert) and isinstance(node.test, ast.Compare):
            sides = {source(node.test.left), *(source(c) for c in node.test.comparators)}
            if sides & told:
                return node.lineno
    return 0


def _reaches_out(view: View, call: ast.Call, mocks: set[str]) -> bool:
    """Tell whether a call is given a mock, or calls something that is neither mock nor builtin."""
    raw = dotted(call.func)
    root = raw.partition(".")[0].removesuffix("()")
    if root in mocks or last(raw) in _MOCKS:
        return False
    if root in ("np", "numpy", "pd", "pandas", "self", "pytest", "mock", "unittest"):
        return False
    return root in view.aliases or "." in raw


def _compares(node: ast.AST) -> list[tuple[ast.expr, ast.expr]]:
    """Both sides of an exact comparison in a check, either way round; empty for another check."""
    sides: list[ast.expr] = []
    test = node.test if isinstance(node, ast.Assert) else None
    if isinstance(test, ast.Call) and called(test) == "all" and not test.args:
        test = test.func.value if isinstance(test.func, ast.Attribute) else test
    if isinstance(test, ast.Compare):
        if len(test.ops) == 1 and isinstance(test.ops[0], ast.Eq):
            sides = [test.left, test.comparators[0]]
    elif isinstance(test, ast.Call) and called(test) in ("array_equal", "equals"):
        method = test.func if isinstance(test.func, ast.Attribute) else None
        own = [method.value] if called(test) == "equals" and method is not None else []
        sides = [*own, *test.args][:2]
    elif isinstance(node, ast.Call) and called(node) in _EQUALS:
        sides = node.args[:2]
    if len(sides) < 2:  # noqa: PLR2004 - a comparison has two sides
        return []
    return [(sides[0], sides[1]), (sides[1], sides[0])]


def _tolerant(*sides: ast.expr) -> bool:
    texts = "".join(source(s) for s in sides)
    return "approx" in texts or "round(" in texts or "isclose" in texts


def exact_float(view: View, node: ast.AST) -> str:
    """Float that a check compares with exactly; empty when there is none that matters."""
    if not isinstance(node, (ast.Assert, ast.Call)):
        return ""
    for side, other in _compares(node):
        settled = view.settled(side)
        if settled is None:
            continue
        holds, keyed = _float_in(settled, 0)
        if holds is None or isinstance(other, ast.Constant):
            continue
        written = f"{holds!r}"
        digits = len(written.replace(".", "").replace("-", "").strip("0"))
        named = bool(_FLOAT_WORDS.search(_shown(view, other)))
        plain = named and not isinstance(settled, ast.Dict)
        if digits >= _LONG or ((plain or keyed) and digits >= _DIGITS):
            given = not keyed or not _given(view, node, holds)
            if given:
                return "" if _tolerant(side, other) else written
    return ""


def _shown(view: View, node: ast.expr) -> str:
    """Text of an expression, and of what its names were last given."""
    values = [v for n in sorted(names_read(node))[:4] for v in view.values(n, node)[-1:]]
    return " ".join(source(n, 300) for n in (node, *values))


def _given(view: View, node: ast.AST, value: float) -> bool:
    """Tell whether a test hands the value itself to what it tests, as with a fake model."""
    return any(
        isinstance(a, ast.Constant) and a.value == value
        for call in view.calls
        if call is not node
        for a in (*call.args, *(k.value for k in call.keywords))
    )


def _float_in(node: ast.expr, depth: int) -> tuple[float | None, bool]:
    """Float with a fraction in a small literal, and whether a key calls it a prediction."""
    best: tuple[float | None, bool] = (None, False)
    if depth > _NESTED:
        return best
    if isinstance(node, ast.Constant):
        return (node.value if isinstance(node.value, float) and node.value % 1 else None), False
    if isinstance(node, ast.Dict):
        for key, value in zip(node.keys, node.values, strict=True):
            inner, keyed = _float_in(value, depth + 1)
            keyed = keyed or (isinstance(key, ast.Constant) and _is_output(str(key.value)))
            if inner is not None and (best[0] is None or (keyed and not best[1])):
                best = (inner, keyed)
        return best
    for element in _elements(node):
        best = _float_in(element, depth + 1)
        if best[0] is not None:
            break
    return best


def _elements(node: ast.expr) -> list[ast.expr]:
    """Give what a list, an array made of one, or a minus sign holds."""
    if isinstance(node, ast.UnaryOp):
        return [node.operand]
    if isinstance(node, ast.Call):
        return node.args[:1] if called(node) in _ARRAYS else []
    return node.elts[:200] if isinstance(node, (ast.List, ast.Tuple)) else []


def _is_output(key: str) -> bool:
    return bool(_FLOAT_WORDS.search(key)) or key.lower() in ("output", "outputs", "result")
