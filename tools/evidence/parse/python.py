"""Python source to a light summary: imports, calls with resolved names, checks, functions.

One parse and one walk a file; the syntax tree is dropped at once.  What `ast` refuses (Python 2,
templates, broken or hostile text) is read line by line instead, and says so in `problem`.
"""

from __future__ import annotations

import ast
import re
import threading
import warnings
from dataclasses import dataclass, field
from typing import Any, Final

_MAX_STRING: Final = 500
_MAX_ARGS: Final = 40
# The parser recurses on these; nobody writes so many in a row, and a small thread stack is dear.
_DEEP: Final = re.compile(
    r"(?:[\[({]\s{0,8}){90}|(?:(?:\bnot\b|\bawait\b|[-+~])\s{0,8}){200}|(?:lambda\s{0,8}:\s{0,8}){60}"
)
_MAX_ELIF: Final = 600
_MAX_CHAIN: Final = 24
# catch_warnings swaps process-wide state, so only one thread may be inside it.
_WARNINGS: Final = threading.Lock()


@dataclass(frozen=True, slots=True)
class Ref:
    """A value that is not a literal: its dotted name, or `?`."""

    name: str


Value = str | int | float | bool | None | Ref | tuple[Any, ...]


@dataclass(slots=True)
class Call:
    """One call: `name` resolved through imports (`mlflow.log_metric`), variables and chains.

    A method of an object made by a call shows as `pkg.Class().method`. `scope` is the function
    or class around it; `swallowed` says that an `except` around it lets no failure through.
    """

    name: str
    line: int
    args: tuple[Value, ...]
    kwargs: dict[str, Value]
    scope: str
    swallowed: bool

    @property
    def last(self) -> str:
        """Last part of the name."""
        return self.name.rpartition(".")[2]

    def text_of(self, key: str, position: int = -1) -> str:
        """Literal string given by keyword, or by position, or empty."""
        value = self.kwargs.get(key)
        if value is None and 0 <= position < len(self.args):
            value = self.args[position]
        return value if isinstance(value, str) else ""


@dataclass(slots=True)
class Import:
    """One import: module with leading dots when relative, the name taken from it, line."""

    module: str
    name: str
    line: int


@dataclass(slots=True)
class Function:
    """One function: qualified name, decorators resolved, parameters with annotations."""

    name: str
    line: int
    end_line: int
    decorators: tuple[str, ...]
    params: tuple[tuple[str, str], ...]
    empty: bool

    @property
    def last(self) -> str:
        """Name without the class."""
        return self.name.rpartition(".")[2]


@dataclass(slots=True)
class Class:
    """One class with its bases, resolved, and the names of annotated fields."""

    name: str
    line: int
    bases: tuple[str, ...]
    fields: tuple[str, ...]


@dataclass(slots=True)
class Check:
    """Something that stops the program: `assert`, or `if ...: raise` / `exit`."""

    kind: str  # assert, raise, exit, return
    line: int
    names: tuple[str, ...]  # names, attributes and strings in the condition, lower case
    compares: bool  # <, <=, >, >=
    constant: bool  # the condition holds no name: `assert True`
    scope: str
    swallowed: bool


@dataclass(slots=True)
class PythonModule:
    """Summary of one file or notebook."""

    path: str
    imports: list[Import] = field(default_factory=list)
    calls: list[Call] = field(default_factory=list)
    functions: list[Function] = field(default_factory=list)
    classes: list[Class] = field(default_factory=list)
    checks: list[Check] = field(default_factory=list)
    branches: list[Check] = field(default_factory=list)  # comparisons that decide, without a stop
    constants: dict[str, tuple[Value, int]] = field(default_factory=dict)
    strings: list[tuple[str, int]] = field(default_factory=list)  # those that look like addresses
    raises: list[tuple[str, int]] = field(default_factory=list)  # scope and line
    made: dict[str, str] = field(default_factory=dict)  # variable -> name of the call that made it
    main: bool = False
    problem: str = ""
    notebook: bool = False
    roots: frozenset[str] = frozenset()  # top-level packages imported

    def scoped(self, scope: str) -> list[Call]:
        """Calls inside a function or class, nested ones included."""
        return [c for c in self.calls if c.scope == scope or c.scope.startswith(scope + ".")]


def parse_python(path: str, text: str) -> PythonModule:
    """Summary of a source text; total on any text."""
    tree, problem = syntax_tree(text)
    if tree is None:
        module = read_lines(path, text)
        module.problem = problem
        return module
    return summarise(path, tree)


def syntax_tree(text: str) -> tuple[ast.Module | None, str]:
    """Parse, or say why not."""
    if _DEEP.search(text) or text.count("elif ") > _MAX_ELIF:
        return None, "nested too deeply"
    try:
        with _WARNINGS, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return ast.parse(text), ""
    except SyntaxError as error:
        return None, f"syntax error in line {error.lineno or 1}"
    except (ValueError, RecursionError, MemoryError):
        return None, "source that Python cannot parse"


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


_SKIPPED_FIELDS: Final = frozenset(
    ("ctx", "op", "ops", "kind", "type_comment", "type_ignores", "type_params", "returns")
)
_FIELDS: Final[dict[type, tuple[str, ...]]] = {
    cls: tuple(f for f in cls._fields if f not in _SKIPPED_FIELDS)
    for cls in vars(ast).values()
    if isinstance(cls, type) and issubclass(cls, ast.AST)
} | {ast.Name: (), ast.alias: (), ast.Attribute: ("value",)}
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
        self._stack: list[tuple[ast.AST, _Scope]] = []
        self._take: dict[type, Any] = {
            ast.Call: self._call,
            ast.Import: self._import,
            ast.ImportFrom: self._import_from,
            ast.FunctionDef: self._function,
            ast.AsyncFunctionDef: self._function,
            ast.ClassDef: self._class,
            ast.Assign: self._assign,
            ast.AnnAssign: self._assign,
            ast.With: self._with,
            ast.AsyncWith: self._with,
            ast.Assert: self._assert,
            ast.If: self._if,
            ast.Raise: self._raise,
            ast.Try: self._try,
            ast.Constant: self._constant,
        }

    def run(self, tree: ast.Module) -> None:
        stack, take, fields = self._stack, self._take, _FIELDS
        stack.append((tree, _Scope("", swallowed=False)))
        while stack:
            node, scope = stack.pop()
            cls = node.__class__
            step = take.get(cls)
            if step is not None:
                scope = step(node, scope)
                if scope is None:
                    continue
            for name in fields[cls]:
                value = getattr(node, name)
                if value.__class__ is list:
                    for item in reversed(value):
                        if item is not None and item.__class__ is not str:
                            stack.append((item, scope))
                elif isinstance(value, ast.AST):
                    stack.append((value, scope))

    def _import(self, node: ast.Import, scope: _Scope) -> _Scope:
        for alias in node.names:
            self._module.imports.append(Import(alias.name, "", node.lineno))
            if alias.asname:
                self._aliases[alias.asname] = alias.name
        return scope

    def _import_from(self, node: ast.ImportFrom, scope: _Scope) -> _Scope:
        module = "." * node.level + (node.module or "")
        for alias in node.names:
            self._module.imports.append(Import(module, alias.name, node.lineno))
            if alias.name != "*":
                dotted = f"{module}.{alias.name}" if node.module else module + alias.name
                self._aliases[alias.asname or alias.name] = dotted
        return scope

    def _call(self, node: ast.Call, scope: _Scope) -> _Scope:
        name = _raw(node.func)
        if name:
            kwargs: dict[str, Value] = {}
            for kw in node.keywords[:_MAX_ARGS]:
                if kw.arg:
                    kwargs[kw.arg] = _value(kw.value)
                elif isinstance(kw.value, ast.Dict):
                    kwargs.update(_dict_items(kw.value))
            args = tuple([_value(a) for a in node.args[:_MAX_ARGS]])
            self._module.calls.append(
                Call(name, node.lineno, args, kwargs, scope.name, scope.swallowed)
            )
        return scope

    def _function(self, node: ast.FunctionDef | ast.AsyncFunctionDef, scope: _Scope) -> _Scope:
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
        return _Scope(name, swallowed=False)

    def _class(self, node: ast.ClassDef, scope: _Scope) -> _Scope:
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
        return _Scope(name, swallowed=False)

    def _assign(self, node: ast.Assign | ast.AnnAssign, scope: _Scope) -> _Scope:
        value = node.value
        if isinstance(value, ast.Await):
            value = value.value
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        for target in targets:
            name = _raw(target)
            if not name or "()" in name:
                continue
            if isinstance(value, ast.Call):
                self._made.setdefault(name, _raw(value.func))
            elif isinstance(
                value, (ast.Constant, ast.UnaryOp, ast.List, ast.Tuple, ast.Name, ast.Attribute)
            ):
                self._module.constants.setdefault(name, (_value(value), node.lineno))
            elif isinstance(value, ast.Dict):
                for key, item in _dict_items(value).items():
                    self._module.constants.setdefault(f"{name}.{key}", (item, node.lineno))
        return scope

    def _with(self, node: ast.With | ast.AsyncWith, scope: _Scope) -> _Scope:
        for item in node.items:
            if isinstance(item.context_expr, ast.Call) and isinstance(item.optional_vars, ast.Name):
                self._made.setdefault(item.optional_vars.id, _raw(item.context_expr.func))
        return scope

    def _assert(self, node: ast.Assert, scope: _Scope) -> _Scope:
        self._check("assert", node, node.test, scope)
        return scope

    def _if(self, node: ast.If, scope: _Scope) -> _Scope:
        for branch in (node.body, node.orelse):
            kind = _stops(branch)
            if kind:
                self._check(kind, node, node.test, scope)
                break
        else:
            names, compares = _names_in(node.test)
            if compares and names:
                check = Check(
                    "branch", node.lineno, names, compares, False, scope.name, scope.swallowed
                )
                self._module.branches.append(check)
        if not scope.name and _is_main(node.test):
            self._module.main = True
        return scope

    def _check(self, kind: str, node: ast.stmt, test: ast.expr, scope: _Scope) -> None:
        names, compares = _names_in(test)
        self._module.checks.append(
            Check(kind, node.lineno, names, compares, not names, scope.name, scope.swallowed)
        )

    def _raise(self, node: ast.Raise, scope: _Scope) -> _Scope:
        self._module.raises.append((scope.name, node.lineno))
        return scope

    def _try(self, node: ast.Try, scope: _Scope) -> _Scope | None:
        swallowed = scope.swallowed or any(_swallows(h) for h in node.handlers)
        inner = _Scope(scope.name, swallowed=swallowed)
        self._stack.extend((s, scope) for h in reversed(node.handlers) for s in reversed(h.body))
        self._stack.extend((s, scope) for s in reversed(node.finalbody))
        self._stack.extend((s, scope) for s in reversed(node.orelse))
        self._stack.extend((s, inner) for s in reversed(node.body))
        return None

    def _constant(self, node: ast.Constant, scope: _Scope) -> _Scope:
        value = node.value
        if value.__class__ is str and 4 < len(value) <= _MAX_STRING and _keep_string(value):
            self._module.strings.append((value, node.lineno))
        return scope

    def resolve(self) -> None:
        """Replace local names by what they stand for, now that every import is known."""
        cache: dict[str, str] = {}
        for call in self._module.calls:
            call.name = self._resolved(call.name, cache)
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
            made = self._made.get(prefix)
            if made and rest and depth < 3:
                result = self._resolved(made, cache, depth + 1) + "()" + rest
                break
            head, dot, tail = prefix.rpartition(".")
            rest = dot + tail + rest
            prefix = head
        cache[raw] = result
        return result


def _raw(node: ast.AST | None) -> str:
    """Dotted name of an expression, chains of calls included; empty when it has none."""
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
    if isinstance(node, (ast.List, ast.Tuple, ast.Set)):
        return tuple([_simple(e) for e in node.elts[:_MAX_ARGS]])
    return _simple(node)


def _simple(node: ast.AST) -> Value:
    if isinstance(node, ast.Constant):
        return _value(node)
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        inner = node.operand
        if isinstance(inner, ast.Constant) and isinstance(inner.value, (int, float)):
            return -inner.value
    if isinstance(node, ast.JoinedStr):
        return "".join(
            f"{p.value}"[:_MAX_STRING] if isinstance(p, ast.Constant) else "{}"
            for p in node.values[:_MAX_ARGS]
        )
    return Ref(_raw(node) or "?")


def _dict_items(node: ast.Dict) -> dict[str, Value]:
    return {
        k.value: _value(v)
        for k, v in zip(node.keys[:_MAX_ARGS], node.values[:_MAX_ARGS], strict=True)
        if isinstance(k, ast.Constant) and isinstance(k.value, str)
    }


def _annotation(node: ast.expr | None) -> str:
    """Main name of an annotation: `Annotated[list[Item], ...]` gives Item."""
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
    """An except that neither raises nor exits lets the failure pass unseen."""
    return not any(
        isinstance(s, (ast.Raise, ast.Return))
        or (
            isinstance(s, ast.Expr)
            and isinstance(s.value, ast.Call)
            and _raw(s.value.func) in _EXITS
        )
        for s in handler.body
    )


def _names_in(test: ast.expr) -> tuple[tuple[str, ...], bool]:
    names: list[str] = []
    compares = False
    stack: list[ast.AST] = [test]
    while stack and len(names) < _MAX_ARGS:
        node = stack.pop()
        if isinstance(node, ast.Name):
            names.append(node.id.lower())
        elif isinstance(node, ast.Attribute):
            names.append(node.attr.lower())
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            names.append(node.value[:80].lower())
        elif isinstance(node, ast.Compare):
            compares = compares or any(isinstance(op, _ORDER) for op in node.ops)
        for name in _FIELDS[node.__class__]:
            value = getattr(node, name)
            if value.__class__ is list:
                stack.extend(v for v in value if isinstance(v, ast.AST))
            elif isinstance(value, ast.AST):
                stack.append(value)
    return tuple(names), compares


_STRING_MARKS: Final = (
    "://",
    ":/",
    "INSERT ",
    "insert ",
    "AS OF",
    "ASOF",
    "sha256",
    ".pkl",
    ".joblib",
    ".pt",
)


def _keep_string(value: str) -> bool:
    return any(mark in value for mark in _STRING_MARKS)


_IMPORT_LINE: Final = re.compile(
    r"^[ \t]{0,40}(?:from[ \t]+([\w.]{1,200})[ \t]+import[ \t]+(.{1,300})|import[ \t]+([\w.]{1,200})(?:[ \t]+as[ \t]+(\w{1,80}))?)"
)
_CALL_LINE: Final = re.compile(r"([A-Za-z_][\w.]{0,200})\(")
_DEF_LINE: Final = re.compile(r"^[ \t]{0,80}(?:async[ \t]+)?def[ \t]+(\w{1,120})")
_MAX_LINE: Final = 2_000


def read_lines(path: str, text: str) -> PythonModule:
    """The same summary, poorer, from single lines."""
    module = PythonModule(path)
    aliases: dict[str, str] = {}
    scope = ""
    for number, full in enumerate(text.split("\n"), 1):
        line = full[:_MAX_LINE].partition("#")[0]
        if not line.strip():
            continue
        if found := _IMPORT_LINE.match(line):
            _import_line(module, found, number, aliases)
            continue
        if found := _DEF_LINE.match(line):
            scope = found.group(1)
            module.functions.append(Function(scope, number, number, (), (), empty=False))
            continue
        for call in _CALL_LINE.finditer(line):
            root, dot, rest = call.group(1).partition(".")
            name = aliases.get(root, root) + dot + rest
            module.calls.append(Call(name, number, (), {}, scope, swallowed=False))
    module.roots = frozenset(
        i.module.partition(".")[0] for i in module.imports if not i.module.startswith(".")
    )
    return module


def _import_line(
    module: PythonModule, found: re.Match[str], number: int, aliases: dict[str, str]
) -> None:
    source, names, plain, alias = found.groups()
    if plain:
        module.imports.append(Import(plain, "", number))
        if alias:
            aliases[alias] = plain
        return
    for part in names.strip("() \\").split(","):
        words = part.split()
        if words:
            module.imports.append(Import(source, words[0], number))
            aliases[words[-1]] = f"{source}.{words[0]}"
