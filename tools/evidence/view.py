"""One Python module or notebook as an indexed syntax tree, for rules that need more than calls.

A `View` answers what the light summary (`PythonModule`) cannot: which statement a call stands in,
what a name was assigned, what a function returns.  Names are resolved through imports and through
variables of the same scope, so `scaler.fit_transform` reads
`sklearn.preprocessing.StandardScaler().fit_transform`.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from functools import cached_property
from typing import Any, Final, TypeAlias, TypeVar

from mlops_advisor.tools.evidence.parse.python import dotted
from mlops_advisor.tools.evidence.parse.python_model import PythonModule

N = TypeVar("N", bound=ast.AST)
AnyFunction: TypeAlias = ast.FunctionDef | ast.AsyncFunctionDef
ScopeNode: TypeAlias = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Module

FUNCTIONS: Final = (ast.FunctionDef, ast.AsyncFunctionDef)
SCOPES: Final = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Module)
HOLE: Final = "{}"  # stands in a string for a part that is not known
_SKIPPED: Final = frozenset(("ctx", "op", "ops", "type_comment", "type_ignores", "kind"))
_FIELDS: Final[dict[type, tuple[str, ...]]] = {
    cls: tuple(f for f in cls._fields if f not in _SKIPPED)
    for cls in vars(ast).values()
    if isinstance(cls, type) and issubclass(cls, ast.AST)
}
_MAX_CHAIN: Final = 24
_MAX_MADE: Final = 3
_MAX_STRING: Final = 500
_MAX_DEPTH: Final = 20
_MAX_STEPS: Final = 400  # of putting one text together: `x = x + x` doubles each time
_JOINERS: Final = ("os.path.join", "pathlib.Path", "pathlib.PurePath", "pathlib.PosixPath", "str")
_WRAPPERS: Final = (".resolve", ".absolute", ".as_posix", ".expanduser", ".__str__")


class View:
    """Tree of one module with parents, scopes and resolved names.  Lines are those of the tree.

    In a notebook a line is that of the joined cells; `Parsed.place` turns it into one of the file.
    """

    def __init__(self, module: PythonModule, tree: ast.Module) -> None:
        """Index a tree: every node by type, in the order of the source, and its parent."""
        self.path = module.path
        self.module = module
        self.tree = tree
        self._order: list[ast.AST] = []  # every node, in the order of the source
        self._parent: dict[ast.AST, ast.AST] = {}
        self._by_type: dict[type, list[Any]] = {}
        self._index()
        self._cache: dict[tuple[str, ast.AST | None], str] = {}
        self._names: dict[ast.AST, str] = {}
        self._scopes: dict[ast.AST, ScopeNode] = {}
        self._strings = 0  # steps left for the text that is being put together

    def _index(self) -> None:
        parent, by_type, fields, order = self._parent, self._by_type, _FIELDS, self._order
        stack: list[Any] = [self.tree]
        while stack:
            node = stack.pop()
            order.append(node)
            by_type.setdefault(node.__class__, []).append(node)
            below: list[Any] = []
            for name in fields[node.__class__]:
                value = getattr(node, name, None)
                if value.__class__ is list:
                    below.extend(v for v in value if v.__class__ in fields)
                elif value.__class__ in fields:
                    below.append(value)
            for child in below:
                parent[child] = node
            stack.extend(reversed(below))

    # --- walking ----------------------------------------------------------------------------

    def of(self, *types: type[N]) -> list[N]:
        """Nodes of some types, in the order of the source within each type."""
        if len(types) == 1:
            return self._by_type.get(types[0], [])
        return [n for t in types for n in self._by_type.get(t, ())]

    @property
    def calls(self) -> list[ast.Call]:
        """Every call, in the order of the source (an outer call before those inside it)."""
        return self._by_type.get(ast.Call, [])

    @property
    def functions(self) -> list[AnyFunction]:
        """Every function and method."""
        return self.of(ast.FunctionDef, ast.AsyncFunctionDef)

    def parent(self, node: ast.AST) -> ast.AST | None:
        """Node right above; None for the module."""
        return self._parent.get(node)

    def above(self, node: ast.AST) -> Iterator[ast.AST]:
        """Nodes above, the nearest first."""
        up = self._parent.get(node)
        while up is not None:
            yield up
            up = self._parent.get(up)

    def statement(self, node: ast.AST) -> ast.stmt | None:
        """Nearest statement that holds the node, or the node itself if it is one."""
        if isinstance(node, ast.stmt):
            return node
        return next((n for n in self.above(node) if isinstance(n, ast.stmt)), None)

    def scope(self, node: ast.AST) -> ScopeNode:
        """Nearest function, class or module around a node (a function's own scope is outside)."""
        passed: list[ast.AST] = []
        found: ScopeNode = self.tree
        up = self._parent.get(node)
        while up is not None:
            if isinstance(up, SCOPES):
                found = up
                break
            known = self._scopes.get(up)
            if known is not None:
                found = known
                break
            passed.append(up)
            up = self._parent.get(up)
        for one in passed:
            self._scopes[one] = found
        return found

    def function(self, node: ast.AST) -> AnyFunction | None:
        """Nearest function around a node, or None at module or class level."""
        return next((n for n in self.above(node) if isinstance(n, FUNCTIONS)), None)

    def inside(self, node: ast.AST, *types: type[ast.AST]) -> bool:
        """Tell whether a node stands below one of some types."""
        return any(isinstance(n, types) for n in self.above(node))

    @cached_property
    def _spans(self) -> dict[ast.AST, tuple[int, int]]:
        """Where, in the order of the source, a node and what is below it begin and end."""
        found: dict[ast.AST, tuple[int, int]] = {}
        ends: dict[ast.AST, int] = {}
        parent, order = self._parent, self._order
        for at in range(len(order) - 1, -1, -1):
            node = order[at]
            end = ends.get(node, at + 1)
            found[node] = (at, end)
            up = parent.get(node)
            if up is not None and up not in ends:
                ends[up] = end
        return found

    def walk(self, node: ast.AST) -> list[ast.AST]:
        """Give a node and all below, in the order of the source; cheap, however often asked."""
        span = self._spans.get(node)
        return walk(node) if span is None else self._order[span[0] : span[1]]

    def below(self, node: ast.AST, *types: type[N]) -> Iterator[N]:
        """Nodes of some types below a node, in the order of the source."""
        return (n for n in self.walk(node)[1:] if isinstance(n, types))

    @cached_property
    def main_block(self) -> ast.If | None:
        """The `if __name__ == "__main__":` statement."""
        for node in self.tree.body:
            if isinstance(node, ast.If) and "__name__" in ast.dump(node.test)[:200]:
                return node
        return None

    def at_import(self, node: ast.AST) -> bool:
        """Tell whether a node runs when the module is imported."""
        for up in self.above(node):
            if isinstance(up, (*FUNCTIONS, ast.Lambda)):
                return False
            if up is self.main_block:
                return False
        return not isinstance(node, (*FUNCTIONS, ast.Lambda))

    # --- names ------------------------------------------------------------------------------

    @cached_property
    def aliases(self) -> dict[str, str]:
        """Local name -> dotted name that an import gives it."""
        found: dict[str, str] = {}
        for node in self.of(ast.Import):
            for alias in node.names:
                if alias.asname:
                    found[alias.asname] = alias.name
        for imported in self.of(ast.ImportFrom):
            module = "." * imported.level + (imported.module or "")
            for alias in imported.names:
                if alias.name != "*":
                    dot = "." if imported.module else ""
                    found[alias.asname or alias.name] = f"{module}{dot}{alias.name}"
        return found

    @cached_property
    def assigned(self) -> dict[ScopeNode, dict[str, list[ast.expr]]]:
        """Values given to each plain name or `self.x`, by scope, in the order of the source.

        `self.x` is kept under its class. Loop targets, unpacking and `with ... as` are not values.
        """
        found: dict[ScopeNode, dict[str, list[ast.expr]]] = {}
        for node in self.of(ast.Assign):
            for target in node.targets:
                self._keep(found, node, target, node.value)
        for annotated in self.of(ast.AnnAssign):
            if annotated.value is not None:
                self._keep(found, annotated, annotated.target, annotated.value)
        for named in self.of(ast.NamedExpr):
            self._keep(found, named, named.target, named.value)
        withs: list[ast.With | ast.AsyncWith] = [*self.of(ast.With), *self.of(ast.AsyncWith)]
        for with_ in withs:
            for item in with_.items:
                if item.optional_vars is not None:
                    self._keep(found, with_, item.optional_vars, item.context_expr)
        return found

    def _keep(
        self,
        found: dict[ScopeNode, dict[str, list[ast.expr]]],
        at: ast.AST,
        target: ast.expr,
        value: ast.expr,
    ) -> None:
        scope = self.scope(at)
        if isinstance(target, ast.Name):
            found.setdefault(scope, {}).setdefault(target.id, []).append(value)
        elif isinstance(target, ast.Attribute) and isinstance(target.value, ast.Name):
            if target.value.id == "self":
                scope = next((n for n in self.above(at) if isinstance(n, ast.ClassDef)), scope)
            name = f"{target.value.id}.{target.attr}"
            found.setdefault(scope, {}).setdefault(name, []).append(value)
        elif isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple):
            for one, its in zip(target.elts, value.elts, strict=False):
                self._keep(found, at, one, its)

    def values(self, name: str, near: ast.AST) -> list[ast.expr]:
        """Every value given to a name that `near` may see: the innermost scope that has any."""
        scope: ScopeNode | None = self.scope(near)
        while scope is not None:
            values = self.assigned.get(scope, {}).get(name)
            if values:
                return values
            scope = None if scope is self.tree else self.scope(scope)
        return []

    def name(self, node: ast.AST | None) -> str:
        """Dotted name of an expression, resolved; for a call, that of what is called.

        `?` stands for what has no name; empty for a literal.
        """
        if node is None:
            return ""
        known = self._names.get(node)
        if known is not None:
            return known
        inner = node.func if isinstance(node, ast.Call) else node
        raw = dotted(inner)
        found = ""
        if raw:
            key = (raw, self.scope(inner))
            found = self._cache.get(key, "")
            if not found:
                found = self._cache[key] = self._resolved(raw, inner, 0)
        self._names[node] = found
        return found

    def _resolved(self, raw: str, near: ast.AST | None, depth: int) -> str:
        prefix, rest = raw, ""
        for _ in range(_MAX_CHAIN):
            if prefix in self.aliases:
                return self.aliases[prefix] + rest
            bare = prefix.removesuffix("()")
            if bare != prefix and bare in self.aliases:
                return f"{self.aliases[bare]}(){rest}"
            if rest and depth < _MAX_MADE and near is not None:
                made = self._made(prefix, near)
                if made is not None:
                    return self._resolved(dotted(made), made, depth + 1) + rest
            head, dot, tail = prefix.rpartition(".")
            if not head:
                break
            rest, prefix = f"{dot}{tail}{rest}", head
        return raw

    def _made(self, name: str, near: ast.AST) -> ast.Call | None:
        """Find the call that made a variable, if the values it is given are calls."""
        for value in reversed(self.values(name, near)):
            call = value.value if isinstance(value, ast.Await) else value
            # `df = df.dropna()` says nothing of what `df` is.
            if isinstance(call, ast.Call) and not dotted(call).startswith(
                (f"{name}.", f"{name}()")
            ):
                return call
        return None

    # --- values -----------------------------------------------------------------------------

    @staticmethod
    def arg(call: ast.Call, name: str, position: int = -1) -> ast.expr | None:
        """Argument by keyword, or by position when it is given so."""
        for keyword in call.keywords:
            if keyword.arg == name:
                return keyword.value
        plain = call.args
        if 0 <= position < len(plain) and not any(
            isinstance(a, ast.Starred) for a in plain[: position + 1]
        ):
            return plain[position]
        return None

    @staticmethod
    def spreads(call: ast.Call) -> bool:
        """Tell whether a call takes `*args` or `**kwargs`: what it is given is not all known."""
        return any(k.arg is None for k in call.keywords) or any(
            isinstance(a, ast.Starred) for a in call.args
        )

    def settled(self, node: ast.expr | None, depth: int = 0) -> ast.expr | None:
        """Follow a name to the one value it is ever given; the expression itself otherwise."""
        if depth < _MAX_MADE and isinstance(node, (ast.Name, ast.Attribute)):
            values = self.values(dotted(node), node)
            if len(values) == 1:
                return self.settled(values[0], depth + 1)
        return node

    def literal(self, node: ast.expr | None) -> Any:  # noqa: ANN401 - any JSON-like value
        """Python value of an expression, names with one value followed; None when not known."""
        node = self.settled(node)
        if isinstance(node, ast.Constant):
            return node.value
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
            value = self.literal(node.operand)
            return -value if isinstance(value, (int, float)) else None
        if isinstance(node, (ast.List, ast.Tuple, ast.Set)):
            return [self.literal(e) for e in node.elts[:500]]
        if isinstance(node, ast.Dict):
            return {
                self.literal(k): self.literal(v)
                for k, v in zip(node.keys, node.values, strict=True)
                if k is not None and isinstance(self.literal(k), (str, int, float, bool))
            }
        return None

    def string(self, node: ast.expr | None, depth: int = 0) -> str:
        """Text of an expression with `{}` for the unknown parts; empty when nothing is known.

        Follows names, f-strings, `+`, `%`, `/` on paths, `os.path.join` and `os.getenv` defaults.
        """
        if not depth:
            self._strings = _MAX_STEPS
        text = self._string(node, depth)
        return "" if not text.replace(HOLE, "").strip("/ ") else text[:_MAX_STRING]

    def _string(self, node: ast.expr | None, depth: int) -> str:
        self._strings -= 1
        if depth > _MAX_DEPTH or self._strings < 0:
            return HOLE
        node = self.settled(node)
        text = HOLE
        if isinstance(node, ast.Constant):
            text = node.value if isinstance(node.value, str) else HOLE
        elif isinstance(node, ast.JoinedStr):
            text = "".join(
                self._string(v.value if isinstance(v, ast.FormattedValue) else v, depth + 1)
                for v in node.values[:50]
            )
        elif isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mod):
            text = self._string(node.left, depth + 1).replace("%s", HOLE)
        elif isinstance(node, ast.BinOp) and isinstance(node.op, (ast.Add, ast.Div)):
            between = "/" if isinstance(node.op, ast.Div) else ""
            sides = (self._string(side, depth + 1) for side in (node.left, node.right))
            text = between.join(sides)
        elif isinstance(node, ast.Call):
            text = self._string_of_call(node, depth)
        return text[:_MAX_STRING]

    def _string_of_call(self, node: ast.Call, depth: int) -> str:
        name = self.name(node)
        parts: tuple[ast.expr, ...] = ()
        if name in _JOINERS:
            parts = tuple(node.args[:20])
        elif name in ("os.getenv", "os.environ.get"):
            parts = tuple(node.args[1:2])
        elif isinstance(node.func, ast.Attribute):
            if name.endswith(_WRAPPERS) or node.func.attr == "format":
                parts = (node.func.value,)
            elif node.func.attr == "joinpath":
                parts = (node.func.value, *node.args[:20])
        return "/".join(self._string(p, depth + 1) for p in parts)[:_MAX_STRING] or HOLE

    def column(self, node: ast.AST) -> str:
        """Name of the column in `df["x"]`; empty when the key is no literal text."""
        if isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Constant):
            return node.slice.value if isinstance(node.slice.value, str) else ""
        return ""


def walk(node: ast.AST) -> list[ast.AST]:
    """Give a node and all below, in the order of the source; several times faster than ast.walk."""
    found: list[ast.AST] = []
    stack: list[Any] = [node]
    fields = _FIELDS
    while stack:
        here = stack.pop()
        found.append(here)
        below: list[Any] = []
        for name in fields[here.__class__]:
            value = getattr(here, name, None)
            if value.__class__ is list:
                below.extend([v for v in value if v.__class__ in fields])
            elif value.__class__ in fields:
                below.append(value)
        below.reverse()
        stack.extend(below)
    return found


def names_read(node: ast.AST) -> frozenset[str]:
    """Plain names that an expression reads."""
    return frozenset(n.id for n in walk(node) if isinstance(n, ast.Name))


def last(name: str) -> str:
    """Last part of a dotted name: `fit` of `sklearn.svm.SVC().fit`."""
    return name.rpartition(".")[2]


def strings_in(node: ast.AST) -> Iterable[ast.Constant]:
    """Text constants below a node."""
    return (n for n in walk(node) if isinstance(n, ast.Constant) and isinstance(n.value, str))
