"""Python source to a light summary: imports, calls with resolved names, checks, functions.

One parse and one walk a file; the syntax tree is dropped at once.  What `ast` refuses (Python 2,
templates, broken or hostile text) is read line by line instead, and says so in `problem`.
"""

from __future__ import annotations

import ast
from collections import deque
from collections.abc import Sequence
from operator import attrgetter
from typing import Any, Final

from mlops_advisor.tools.evidence.parse.python_lines import read_lines
from mlops_advisor.tools.evidence.parse.python_model import (
    Call,
    Check,
    Class,
    Function,
    Import,
    PythonModule,
    Ref,
    Value,
)
from mlops_advisor.tools.evidence.parse.syntax import tolerant_tree

_MAX_STRING: Final = 500
_MAX_ARGS: Final = 24
_MAX_CHAIN: Final = 24
_MAX_MADE: Final = 3  # variables followed from one to the next
_UNKNOWN: Final = Ref("?")


def parse_python(path: str, text: str) -> PythonModule:
    """Summary of a source text; total on any text."""
    return parse_with_tree(path, text)[0]


def parse_with_tree(path: str, text: str) -> tuple[PythonModule, ast.Module | None]:
    """Summary of a source text and its tree; the tree is None when it was read line by line."""
    tree, problem = tolerant_tree(text)
    if tree is None:
        module = read_lines(path, text)
        module.problem = problem
        return module, None
    return summarise(path, tree), tree


def summarise(path: str, tree: ast.Module) -> PythonModule:
    """Summary of a parsed tree."""
    module = PythonModule(path)
    walker = _Walker(module)
    walker.run(tree)
    walker.resolve()
    module.roots = frozenset(
        i.module.partition(".")[0] for i in module.imports if not i.module.startswith(".")
    )
    return module


# Fields that hold no code: contexts, operators, names, numbers.
_SKIPPED_FIELDS: Final = frozenset(
    "ctx op ops kind type_comment type_ignores type_params returns annotation name asname module"
    " level names"
    " arg id attr simple conversion rest kwd_attrs is_async".split()
)
_FIELDS: Final[dict[type, tuple[str, ...]]] = {
    cls: tuple(f for f in cls._fields if f not in _SKIPPED_FIELDS)
    for cls in vars(ast).values()
    if isinstance(cls, type) and issubclass(cls, ast.AST)
} | {ast.Constant: (), ast.JoinedStr: (), ast.arguments: ()}
_ORDER: Final = (ast.Lt, ast.LtE, ast.Gt, ast.GtE)
_EXITS: Final = ("sys.exit", "exit", "quit", "os._exit")


class _Scope:
    __slots__ = ("name", "swallowed")

    def __init__(self, name: str, *, swallowed: bool) -> None:
        self.name = name
        self.swallowed = swallowed


class _Walker:
    """One walk over a tree, without recursion."""

    def __init__(self, module: PythonModule) -> None:
        self._module = module
        self._aliases: dict[str, str] = {}
        self._made: dict[str, str] = {}  # variable -> raw name of the call that made it
        # Statements of other scopes, to be walked when those at hand are done.
        self._waiting: deque[tuple[Sequence[ast.AST], _Scope]] = deque()

    def run(self, tree: ast.Module) -> None:
        plan, waiting = _PLAN, self._waiting
        waiting.append(([tree], _Scope("", swallowed=False)))
        while waiting:
            first, scope = waiting.popleft()
            queue: deque[ast.AST] = deque(first)
            next_, add, extend = queue.popleft, queue.append, queue.extend
            while queue:
                node = next_()
                todo = plan.get(node.__class__)
                if todo is None:
                    continue
                step, fields = todo
                if step is not None and step(self, node, scope):
                    continue
                for name in fields:
                    value: Any = getattr(node, name)
                    kind: type = value.__class__
                    if kind is list:
                        extend(value)
                    elif kind in plan:
                        add(value)

    def import_(self, node: ast.Import, _scope: _Scope) -> None:
        for alias in node.names:
            self._module.imports.append(Import(alias.name, "", node.lineno))
            if alias.asname:
                self._aliases[alias.asname] = alias.name

    def import_from(self, node: ast.ImportFrom, _scope: _Scope) -> None:
        module = "." * node.level + (node.module or "")
        for alias in node.names:
            self._module.imports.append(Import(module, alias.name, node.lineno))
            if alias.name != "*":
                dotted = f"{module}.{alias.name}" if node.module else module + alias.name
                self._aliases[alias.asname or alias.name] = dotted

    def call(self, node: ast.Call, scope: _Scope) -> None:
        name = _raw(node.func)
        if name:
            kwargs: dict[str, Value] = {}
            for kw in node.keywords[:_MAX_ARGS]:
                if kw.arg:
                    kwargs[kw.arg] = _value(kw.value)
                elif isinstance(kw.value, ast.Dict):
                    kwargs.update(_dict_items(kw.value))
            args = tuple([_value(a) for a in node.args[:_MAX_ARGS]])
            if node.args and isinstance(node.args[0], ast.Dict):
                # `set_tags({"data_version": v})`: its keys say as much as keywords do.
                for key, item in _dict_items(node.args[0]).items():
                    kwargs.setdefault(key, item)
            self._module.calls.append(
                Call(name, node.lineno, args, kwargs, scope.name, scope.swallowed)
            )

    def function(self, node: ast.FunctionDef | ast.AsyncFunctionDef, scope: _Scope) -> bool:
        name = f"{scope.name}.{node.name}" if scope.name else node.name
        args = node.args
        params = [*args.posonlyargs, *args.args, *args.kwonlyargs]
        self._module.functions.append(
            Function(
                name,
                node.lineno,
                node.end_lineno or node.lineno,
                tuple(
                    [_raw(d.func if isinstance(d, ast.Call) else d) for d in node.decorator_list]
                ),
                tuple([(p.arg, _annotation(p.annotation)) for p in params]),
                _is_empty(node.body),
            )
        )
        inside = [
            *node.decorator_list,
            *args.defaults,
            *(d for d in args.kw_defaults if d),
            *params,
        ]
        self._waiting.append(([*inside, *node.body], _Scope(name, swallowed=False)))
        return True

    def class_(self, node: ast.ClassDef, scope: _Scope) -> bool:
        name = f"{scope.name}.{node.name}" if scope.name else node.name
        fields = tuple(
            [
                s.target.id
                for s in node.body
                if isinstance(s, ast.AnnAssign) and isinstance(s.target, ast.Name)
            ]
        )
        bases = tuple([_raw(b) for b in node.bases])
        self._module.classes.append(Class(name, node.lineno, bases, fields))
        inside = [*node.decorator_list, *node.bases, *node.keywords, *node.body]
        self._waiting.append((inside, _Scope(name, swallowed=False)))
        return True

    def assign(self, node: ast.Assign | ast.AnnAssign, scope: _Scope) -> None:
        value = node.value
        if isinstance(value, ast.Await):
            value = value.value
        if isinstance(value, ast.Call):
            for name in _targets(node):
                self._made.setdefault(name, _raw(value.func))
        elif isinstance(value, ast.Dict):
            for name in _targets(node):
                for key, item in _dict_items(value).items():
                    self._module.constants.setdefault(f"{name}.{key}", (item, node.lineno))
        elif isinstance(value, ast.Constant) and not scope.name:
            for name in _targets(node):
                self._module.constants.setdefault(name, (_value(value), node.lineno))

    def with_(self, node: ast.With | ast.AsyncWith, _scope: _Scope) -> None:
        for item in node.items:
            if isinstance(item.context_expr, ast.Call) and isinstance(item.optional_vars, ast.Name):
                self._made.setdefault(item.optional_vars.id, _raw(item.context_expr.func))

    def assert_(self, node: ast.Assert, scope: _Scope) -> None:
        self._check("assert", node, node.test, scope)

    def if_(self, node: ast.If, scope: _Scope) -> None:
        kind = _stops(node.body) or _stops(node.orelse)
        if kind:
            self._check(kind, node, node.test, scope)
        if not scope.name and _is_main(node.test):
            self._module.main = True

    def compare(self, node: ast.Compare, scope: _Scope) -> None:
        if node.ops[0].__class__ in _ORDER:
            names, _ = _names_in(node)
            if names:
                self._module.branches.append(
                    Check(
                        "compare",
                        node.lineno,
                        names,
                        compares=True,
                        constant=False,
                        scope=scope.name,
                        swallowed=scope.swallowed,
                    )
                )

    def _check(self, kind: str, node: ast.stmt, test: ast.expr, scope: _Scope) -> None:
        names, compares = _names_in(test)
        self._module.checks.append(
            Check(kind, node.lineno, names, compares, not names, scope.name, scope.swallowed)
        )

    def raise_(self, node: ast.Raise, scope: _Scope) -> None:
        self._module.raises.append((scope.name, node.lineno))

    def try_(self, node: ast.Try, scope: _Scope) -> bool:
        hidden = scope.swallowed or any(_swallows(h) for h in node.handlers)
        self._waiting.append((list(node.body), _Scope(scope.name, swallowed=hidden)))
        rest = [*node.orelse, *node.finalbody, *(s for h in node.handlers for s in h.body)]
        self._waiting.append((rest, scope))
        return True

    def resolve(self) -> None:
        """Replace local names by what they stand for, now that every import is known."""
        cache: dict[str, str] = {}
        module = self._module
        for found in (module.calls, module.checks, module.branches, module.functions):
            found.sort(key=attrgetter("line"))
        for call in module.calls:
            call.name = self._resolved(call.name, cache)
            call.last = call.name.rpartition(".")[2]
        self._module.made = {v: self._resolved(c, cache) for v, c in self._made.items()}
        for function in self._module.functions:
            function.decorators = tuple(self._resolved(d, cache) for d in function.decorators)
            function.params = tuple((n, self._resolved(a, cache)) for n, a in function.params)
        for cls in self._module.classes:
            cls.bases = tuple(self._resolved(b, cache) for b in cls.bases)

    def _resolved(self, raw: str, cache: dict[str, str], depth: int = 0) -> str:
        found = cache.get(raw)
        if found is not None:
            return found
        result = raw
        prefix = raw
        rest = ""
        while prefix:
            if prefix in self._aliases:
                result = self._aliases[prefix] + rest
                break
            bare = prefix.removesuffix("()")
            if bare != prefix and bare in self._aliases:
                result = f"{self._aliases[bare]}(){rest}"
                break
            made = self._made.get(prefix)
            if made and rest and depth < _MAX_MADE:
                result = self._resolved(made, cache, depth + 1) + "()" + rest
                break
            head, dot, tail = prefix.rpartition(".")
            rest = dot + tail + rest
            prefix = head
        cache[raw] = result
        return result


_STEPS: Final[dict[type, Any]] = {
    ast.Call: _Walker.call,
    ast.Import: _Walker.import_,
    ast.ImportFrom: _Walker.import_from,
    ast.FunctionDef: _Walker.function,
    ast.AsyncFunctionDef: _Walker.function,
    ast.ClassDef: _Walker.class_,
    ast.Assign: _Walker.assign,
    ast.AnnAssign: _Walker.assign,
    ast.With: _Walker.with_,
    ast.AsyncWith: _Walker.with_,
    ast.Assert: _Walker.assert_,
    ast.If: _Walker.if_,
    ast.Compare: _Walker.compare,
    ast.Raise: _Walker.raise_,
    ast.Try: _Walker.try_,
}
# What to do with a node, and which of its fields to follow; other nodes hold nothing to see.
_PLAN: Final[dict[type, tuple[Any, tuple[str, ...]]]] = {
    cls: (_STEPS.get(cls), fields) for cls, fields in _FIELDS.items() if fields or cls in _STEPS
}


def _raw(node: ast.AST | None) -> str:
    """Dotted name of an expression, chains of calls included; empty when it has none."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
        return f"{node.value.id}.{node.attr}"
    return dotted(node)


def dotted(node: ast.AST | None) -> str:
    """Name of an expression as written, chains of calls included: `a.b().c`; `?` for the rest."""
    parts: list[str] = []
    suffix = ""
    for _ in range(_MAX_CHAIN):
        if isinstance(node, ast.Name):
            parts.append(node.id + suffix)
            return ".".join(reversed(parts))
        if isinstance(node, ast.Attribute):
            parts.append(node.attr + suffix)
            suffix, node = "", node.value
        elif isinstance(node, ast.Call):
            suffix, node = "()", node.func
        elif isinstance(node, (ast.Subscript, ast.Await)):
            node = node.value
        else:
            break
    return "?." + ".".join(reversed(parts)) if parts else ""


def _value(node: ast.AST) -> Value:
    if isinstance(node, ast.Constant):
        value = node.value
        if isinstance(value, str):
            return value[:_MAX_STRING]
        return value if isinstance(value, (int, float, bool)) or value is None else Ref("?")
    if isinstance(node, (ast.Name, ast.Attribute)):
        return Ref(_raw(node) or "?")
    if isinstance(node, ast.Call):
        return _UNKNOWN  # a call has its own entry
    if isinstance(node, (ast.List, ast.Tuple, ast.Set)):
        return tuple([_item(e) for e in node.elts[:_MAX_ARGS]])
    return _item(node)


def _item(node: ast.AST) -> Value:
    """Read a value that is no list, so that lists in lists are not followed."""
    if isinstance(node, ast.Constant):
        return _value(node)
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        inner = node.operand
        if isinstance(inner, ast.Constant) and isinstance(inner.value, (int, float)):
            return -inner.value
    if isinstance(node, ast.JoinedStr):
        return "".join(
            str(p.value)[:_MAX_STRING] if isinstance(p, ast.Constant) else "{}"
            for p in node.values[:_MAX_ARGS]
        )
    if isinstance(node, (ast.Name, ast.Attribute)):
        return Ref(_raw(node) or "?")
    return _UNKNOWN


def _targets(node: ast.Assign | ast.AnnAssign) -> list[str]:
    targets = node.targets if isinstance(node, ast.Assign) else [node.target]
    return [name for t in targets if (name := _raw(t)) and "()" not in name]


def _dict_items(node: ast.Dict) -> dict[str, Value]:
    return {
        k.value: _value(v)
        for k, v in zip(node.keys[:_MAX_ARGS], node.values[:_MAX_ARGS], strict=True)
        if isinstance(k, ast.Constant) and isinstance(k.value, str)
    }


def _annotation(node: ast.expr | None) -> str:
    """Give the main name of an annotation: `Annotated[list[Item], ...]` gives Item."""
    for _ in range(6):
        if isinstance(node, ast.Subscript):
            inner = node.slice
            node = inner.elts[0] if isinstance(inner, ast.Tuple) and inner.elts else inner
        elif isinstance(node, ast.BinOp):
            node = node.left
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            return node.value[:100]
        else:
            break
    return _raw(node)


def _is_empty(body: list[ast.stmt]) -> bool:
    return all(
        isinstance(s, ast.Pass) or (isinstance(s, ast.Expr) and isinstance(s.value, ast.Constant))
        for s in body
    )


def _is_main(test: ast.expr) -> bool:
    return (
        isinstance(test, ast.Compare)
        and isinstance(test.left, ast.Name)
        and test.left.id == "__name__"
    )


def _stops(body: list[ast.stmt]) -> str:
    for stmt in body:
        if isinstance(stmt, ast.Raise):
            return "raise"
        if isinstance(stmt, ast.Expr) and isinstance(stmt.value, ast.Call):
            if _raw(stmt.value.func) in _EXITS:
                return "exit"
        elif isinstance(stmt, ast.Assert):
            return "assert"
    return ""


def _swallows(handler: ast.ExceptHandler) -> bool:
    """Tell whether an `except` lets the failure pass unseen: it neither raises nor exits."""
    return not any(
        isinstance(s, (ast.Raise, ast.Return))
        or (
            isinstance(s, ast.Expr)
            and isinstance(s.value, ast.Call)
            and _raw(s.value.func) in _EXITS
        )
        for s in handler.body
    )


def _names_in(test: ast.AST) -> tuple[tuple[str, ...], bool]:
    """Names, attributes and strings of a condition, and whether it compares by order."""
    names: list[str] = []
    compares = False
    stack: list[ast.AST] = [test]
    while stack and len(names) < _MAX_ARGS:
        node = stack.pop()
        if isinstance(node, ast.Name):
            names.append(node.id.lower())
            continue
        if isinstance(node, ast.Constant):
            if isinstance(node.value, str):
                names.append(node.value[:80].lower())
            continue
        if isinstance(node, ast.Attribute):
            names.append(node.attr.lower())
        elif isinstance(node, ast.Compare):
            compares = compares or any(isinstance(op, _ORDER) for op in node.ops)
        for name in _FIELDS[node.__class__]:
            value = getattr(node, name)
            if value.__class__ is list:
                stack.extend(v for v in value if v is not None)
            elif value is not None:
                stack.append(value)
    return tuple(names), compares
