"""Tests that look at text or at data of their own instead of what the product does."""

from __future__ import annotations

import ast
import re
from typing import Final

from mlops_advisor.tools.audit_workflow.repo import AuditRepository
from mlops_advisor.tools.audit_workflow.rules import _testing_asserts as asserts
from mlops_advisor.tools.audit_workflow.rules._docs import source
from mlops_advisor.tools.evidence.parse.python import dotted
from mlops_advisor.tools.evidence.repository import Repository, shared
from mlops_advisor.tools.evidence.view import AnyFunction, View, last, names_read

_CODE_FILE: Final = re.compile(r"[\"'][^\"'\n]{0,200}\.(?:py|ipynb)[\"']")
_READS_TEXT: Final = ("read", "read_text", "readlines", "getsource", "getsourcelines")
_SEES: Final = ("search", "findall", "match", "count", "find")
_MADE: Final = frozenset(
    "pandas numpy pytest math json datetime unittest random copy decimal itertools collections"
    " functools operator string typing __future__ polars".split()
)
_BUILTINS: Final = frozenset(
    "len sum all any isinstance issubclass set list dict tuple sorted min max abs range enumerate"
    " zip map filter int float str bool round print type hasattr getattr next iter repr frozenset"
    " reversed callable id bytes divmod format hash pow slice vars".split()
)
_READS_FILES: Final = re.compile(r"\.(?:read_\w{1,20}|load\w{0,20}|genfromtxt|fromfile)$|^open$")
_OUTSIDE: Final = (ast.Import, ast.ImportFrom, ast.With, ast.AsyncWith, ast.Await)
_DEPTH: Final = 4


# --- the text of source files -----------------------------------------------------------------


def text_tests(view: View) -> list[tuple[int, str]]:
    """Give tests that only look for words in source files: line of the assertion, and name."""
    found: list[tuple[int, str]] = []
    for function in view.functions:
        if not asserts.is_test(view, function):
            continue
        nodes = view.walk(function)
        checks = [n for n in nodes if isinstance(n, ast.Assert)]
        if checks and all(_looks_for_words(view, n.test, 0) for n in checks):
            found.append((checks[0].lineno, function.name))
    return found


def _looks_for_words(view: View, test: ast.expr, depth: int) -> bool:
    """Tell whether a condition asks if a word stands in the text of a module."""
    if depth > _DEPTH:
        return False
    if isinstance(test, ast.BoolOp):
        return all(_looks_for_words(view, v, depth + 1) for v in test.values)
    if isinstance(test, ast.UnaryOp):
        return _looks_for_words(view, test.operand, depth + 1)
    if isinstance(test, ast.Compare) and len(test.ops) == 1:
        if isinstance(test.ops[0], (ast.In, ast.NotIn)):
            return _is_source(view, test.comparators[0], 0)
        return isinstance(test.left, ast.Call) and _looks_for_words(view, test.left, depth + 1)
    return isinstance(test, ast.Call) and _call_looks(view, test, depth + 1)


def _call_looks(view: View, test: ast.Call, depth: int) -> bool:
    """Tell the same of a call: of `any(... for ...)`, or of a search in the text."""
    method = last(dotted(test.func))
    if method in ("any", "all", "bool") and test.args:
        inner = test.args[0]
        if isinstance(inner, (ast.GeneratorExp, ast.ListComp)):
            inner = inner.elt
        return _looks_for_words(view, inner, depth)
    if method not in _SEES:
        return False
    owner = [test.func.value] if isinstance(test.func, ast.Attribute) else []
    return any(_is_source(view, g, 0) for g in (*test.args, *owner))


def _is_source(view: View, node: ast.expr, depth: int) -> bool:
    """Tell whether a value is the text of a Python file."""
    if depth > _DEPTH:
        return False
    if isinstance(node, ast.Call):
        method = last(dotted(node.func)).removesuffix("()")
        owner = node.func.value if isinstance(node.func, ast.Attribute) else None
        if method in ("getsource", "getsourcelines") or owner is None:
            return method in ("getsource", "getsourcelines")
        reads = method in _READS_TEXT
        # Anything else is `source.lower()`, `source.split(...)` and the like.
        return (_names_code if reads else _is_source)(view, owner, depth + 1)
    if isinstance(node, (ast.Name, ast.Attribute)):
        values = view.values(dotted(node), node)
        return bool(values) and all(_is_source(view, v, depth + 1) for v in values[:4])
    return False


def _names_code(view: View, node: ast.expr, depth: int) -> bool:
    """Tell whether a file object or path is that of a Python file."""
    if depth > _DEPTH + 2:
        return False
    if _CODE_FILE.search(source(node, 400)):
        return True
    return any(
        _names_code(view, v, depth + 1)
        for name in sorted(names_read(node))[:8]
        for v in view.values(name, node)[:4]
    )


# --- data of their own ------------------------------------------------------------------------


def own_data_tests(repo: AuditRepository, view: View) -> list[tuple[int, str]]:
    """Give tests that assert on data they made themselves and call nothing of the product."""
    found: list[tuple[int, str]] = []
    for function in view.functions:
        if not asserts.is_test(view, function) or isinstance(view.parent(function), ast.ClassDef):
            continue
        nodes = view.walk(function)
        checks = [n for n in nodes if isinstance(n, ast.Assert)]
        if not checks or not _closed(view, function):
            continue
        data = any(_makes_data(view, n) for n in nodes if isinstance(n, ast.Call))
        fixtures = _fixtures_of(repo, view, function)
        if fixtures is None or not (data or fixtures):
            continue
        if all(_closed(v, f) for v, f in fixtures):
            found.append((function.lineno, function.name))
    return found


def _makes_data(view: View, call: ast.Call) -> bool:
    return view.name(call).startswith(
        ("pandas.DataFrame", "numpy.array", "pandas.Series", "polars.")
    )


def _closed(view: View, function: AnyFunction) -> bool:
    """Tell whether a function uses nothing but its own data and the libraries of data."""
    nodes = view.walk(function)
    names = [n for n in nodes if isinstance(n, ast.Name)]
    own = {a.arg for a in (*function.args.args, *function.args.kwonlyargs)}
    own |= {n.id for n in names if not _loads(n)}
    for node in names:
        if _loads(node) and node.id not in own:
            if node.id in view.aliases:
                if view.aliases[node.id].partition(".")[0] not in _MADE:
                    return False
            elif node.id not in _BUILTINS and not _constant(view, node):
                imported = {a.asname or a.name for i in view.of(ast.Import) for a in i.names}
                if node.id not in imported or node.id not in _MADE:
                    return False
    if any(isinstance(n, _OUTSIDE) for n in nodes):
        return False
    calls = (n for n in nodes if isinstance(n, ast.Call))
    return not any(_READS_FILES.search(view.name(c)) for c in calls)


def _loads(node: ast.Name) -> bool:
    return isinstance(node.ctx, ast.Load)


def _constant(view: View, node: ast.Name) -> bool:
    values = view.values(node.id, node)
    return bool(values) and all(view.literal(v) is not None for v in values)


def _fixtures_of(
    repo: AuditRepository, view: View, function: AnyFunction
) -> list[tuple[View, AnyFunction]] | None:
    """Fixtures that a test is given; None when one is not known or a parameter is not data."""
    given: set[str] = set()
    for decorator in function.decorator_list:
        if not isinstance(decorator, ast.Call) or "parametrize" not in dotted(decorator):
            return None
        named = view.string(decorator.args[0]) if decorator.args else ""
        given |= {w.strip() for w in named.split(",")}
    found: list[tuple[View, AnyFunction]] = []
    wanted = [a.arg for a in function.args.args if a.arg not in given]
    for name in wanted:
        made = _fixture(repo, view, name)
        if made is None or [a for a in made[1].args.args if a.arg != "self"]:
            return None
        found.append(made)
    return found


def _fixture(repo: AuditRepository, view: View, name: str) -> tuple[View, AnyFunction] | None:
    """Find the fixture of a name: in the module, else in a `conftest.py` of a folder above."""
    for function in view.functions:
        if function.name == name and asserts.decorated(function, ("fixture",)):
            return view, function
    folder = view.path.rpartition("/")[0]
    for _ in range(8):
        path = f"{folder}/conftest.py".lstrip("/")
        if name in _shared_fixtures(repo).get(path, frozenset()):
            other = repo.view(path)
            for function in other.functions if other is not None else ():
                if other is not None and function.name == name:
                    return other, function
        if not folder:
            break
        folder = folder.rpartition("/")[0]
    return None


@shared
def _shared_fixtures(repo: Repository) -> dict[str, frozenset[str]]:
    found: dict[str, frozenset[str]] = {}
    for path in repo.named("conftest.py"):
        view = repo.view(path)
        if view is not None:
            found[path] = frozenset(
                f.name for f in view.functions if asserts.decorated(f, ("fixture",))
            )
    return found
