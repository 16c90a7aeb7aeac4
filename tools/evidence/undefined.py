"""Names that a module uses and nothing binds, or binds too late.

Only certain cases are told: a module with `import *`, `exec` or changes to `globals()` is left
alone, and so is a notebook whose magics may bring names.
"""

from __future__ import annotations

import ast
import builtins
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from operator import itemgetter
from typing import Final, TypeAlias

from mlops_advisor.tools.evidence.branches import SUPPRESS, Branches, assigned_in, falls_through
from mlops_advisor.tools.evidence.magics import brings_names, named_by_magic
from mlops_advisor.tools.evidence.view import View, walk

_Scope: TypeAlias = ast.AST
_Position: TypeAlias = tuple[int, int]

_COMPREHENSIONS: Final = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
_FUNCTIONS: Final = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
_SCOPES: Final = (*_FUNCTIONS, ast.ClassDef, ast.Module, *_COMPREHENSIONS)
_LOOPS: Final = (ast.For, ast.AsyncFor, ast.While)
_EVERYWHERE: Final = frozenset(dir(builtins)) | frozenset(
    "__file__ __name__ __doc__ __path__ __package__ __spec__ __loader__ __builtins__ __module__"
    " __qualname__ __class__ __annotations__ __debug__ __dict__ WindowsError unicode xrange"
    " raw_input basestring long reduce unichr execfile reveal_type".split()
)
_GIVEN: Final = frozenset(  # by shells and notebook services
    "get_ipython display In Out _ __ ___ exit quit spark sc sqlContext dbutils displayHTML"
    " get_config c snakemake _ih _oh sql table udf Environment".split()
)
_DYNAMIC: Final = frozenset(("exec", "execfile", "globals", "locals", "vars", "eval"))
_TYPE_PARAMETERS: Final = ("TypeVar", "ParamSpec", "TypeVarTuple")
_START: Final[_Position] = (0, 0)
_MAX_SPANS: Final = 100  # scopes of one name that are looked at fast
_END: Final[_Position] = (1 << 60, 0)


@dataclass(frozen=True, slots=True)
class Undefined:
    """One use of a name.

    `kind`: never bound, late (bound below), maybe (bound in a `try`), branch (bound on one way).
    """

    name: str
    line: int
    kind: str
    bound: int = 0  # line that binds it, if any does


def undefined(view: View, text: str = "", *, incomplete: bool = False) -> tuple[Undefined, ...]:
    """Find uses of names that nothing binds, each name once a kind.

    `text` is that of the file, for magics of notebooks; `incomplete` says that parts of it did not
    parse, and nothing certain can be said.
    """
    if (
        incomplete
        or brings_names(text)
        or any(a.name == "*" for n in view.of(ast.ImportFrom) for a in n.names)
    ):
        return ()
    if any(n.id in _DYNAMIC and _is_called(view, n) for n in view.of(ast.Name)):
        return ()
    return _Names(view, frozenset(named_by_magic(text))).find()


def _is_called(view: View, name: ast.Name) -> bool:
    parent = view.parent(name)
    return isinstance(parent, ast.Call) and parent.func is name


class _Names:
    """Bindings of one module by scope."""

    def __init__(self, view: View, known: frozenset[str]) -> None:
        self._view = view
        self._known = _EVERYWHERE | _GIVEN | known
        self._bound: dict[_Scope, dict[str, list[tuple[_Position, ast.AST]]]] = {}
        self._scopes: dict[ast.AST, _Scope] = {}
        self._deep: dict[tuple[_Scope, str], None] = {}  # given a value below a condition
        self._suppresses = SUPPRESS.partition(".")[0] in view.module.roots
        self._outer: set[tuple[_Scope, str]] = set()  # declared global or nonlocal
        self._collect()

    # --- scopes -----------------------------------------------------------------------------

    def _scope(self, node: ast.AST) -> _Scope:
        """Scope in which a node is evaluated."""
        found: _Scope = self._view.tree
        path = [node]
        for up in self._view.above(node):
            if isinstance(up, _SCOPES) and self._within(up, path[-1]):
                found = up
                break
            known = self._scopes.get(up)
            if known is not None:
                found = known
                break
            path.append(up)
        for passed in path:
            self._scopes[passed] = found
        return found

    @staticmethod
    def _within(scope: ast.AST, child: ast.AST) -> bool:
        """Tell whether a child of a scope's node is evaluated in that scope, not around it."""
        if isinstance(scope, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            # Decorators, defaults and bases are no statements.
            return isinstance(child, ast.stmt) or child.__class__.__name__ in _TYPE_PARAMETERS
        if isinstance(scope, ast.Lambda):
            return child is scope.body
        if isinstance(scope, _COMPREHENSIONS):
            return True  # the first iterable is not, which only makes it find less
        return True

    # --- bindings ---------------------------------------------------------------------------

    def _bind(self, scope: _Scope, name: str, at: _Position, node: ast.AST) -> None:
        self._bound.setdefault(scope, {}).setdefault(name, []).append((at, node))

    def _store(self, name: ast.Name) -> None:
        """Note a name that gets a value, at the end of the assignment that gives it."""
        view = self._view
        parent = view.parent(name)
        while isinstance(parent, (ast.Tuple, ast.List, ast.Starred)):
            parent = view.parent(parent)
        at = (name.lineno, name.col_offset)
        scope: _Scope
        if isinstance(parent, (ast.Assign, ast.AnnAssign, ast.AugAssign)):
            at = (parent.end_lineno or parent.lineno, parent.end_col_offset or 0)
            scope = view.scope(parent)
            if view.parent(parent) is not scope:
                self._deep[(scope, name.id)] = None
        elif isinstance(parent, (ast.comprehension, ast.NamedExpr)):
            scope = self._scope(name)
            while isinstance(parent, ast.NamedExpr) and isinstance(scope, _COMPREHENSIONS):
                scope = self._scope(scope)
        else:
            scope = view.scope(name)
        self._bind(scope, name.id, at, name)

    def _collect(self) -> None:
        view = self._view
        for name in view.of(ast.Name):
            if name.ctx.__class__ is ast.Store:
                self._store(name)
        for lambda_ in view.of(ast.Lambda):
            self._arguments(lambda_, lambda_.args)
        for function in view.functions:
            self._here(function, function.name)
            self._arguments(function, function.args)
            self._type_parameters(function)
        for cls in view.of(ast.ClassDef):
            self._here(cls, cls.name)
            self._type_parameters(cls)
        imports: list[ast.Import | ast.ImportFrom] = [
            *view.of(ast.Import),
            *view.of(ast.ImportFrom),
        ]
        for imported in imports:
            for alias in imported.names:
                self._here(imported, alias.asname or alias.name.partition(".")[0])
        self._collect_patterns()
        self._collect_outer()

    def _collect_patterns(self) -> None:
        view = self._view
        for handler in view.of(ast.ExceptHandler):
            self._here(handler, handler.name)
        for kind in (ast.MatchAs, ast.MatchStar, ast.MatchMapping):
            for match in view.of(kind):
                self._here(match, getattr(match, "rest" if kind is ast.MatchMapping else "name"))

    def _here(self, node: ast.AST, name: str | None) -> None:
        """Note that a node binds a name in the scope around it."""
        if name:
            self._bind(self._view.scope(node), name, _position(node), node)

    def _collect_outer(self) -> None:
        declared: list[ast.Global | ast.Nonlocal] = [
            *self._view.of(ast.Global),
            *self._view.of(ast.Nonlocal),
        ]
        for node in declared:
            for name in node.names:
                self._outer.add((self._scope(node), name))
                if isinstance(node, ast.Global):
                    self._bind(self._view.tree, name, _START, node)

    def _arguments(self, scope: _Scope, args: ast.arguments) -> None:
        plain = [*args.posonlyargs, *args.args, *args.kwonlyargs]
        for arg in (*plain, args.vararg, args.kwarg):
            if arg is not None:
                self._bind(scope, arg.arg, _START, arg)

    def _type_parameters(self, scope: ast.AST) -> None:
        for parameter in getattr(scope, "type_params", ()):
            self._bind(scope, parameter.name, _START, parameter)

    # --- uses -------------------------------------------------------------------------------

    def find(self) -> tuple[Undefined, ...]:
        found: dict[tuple[str, str], Undefined] = {}
        for name in self._suspects():
            changed = not isinstance(name.ctx, ast.Load)
            scope = self._scope(name)
            if self._resolved(name.id, scope):
                use = self._late(name, scope)
            else:
                use = None if changed else Undefined(name.id, name.lineno, "never")
            if use is not None and not self._excused(name):
                found.setdefault((use.name, use.kind), use)
        for use in (*self._maybe(), *self._branches()):
            found.setdefault((use.name, use.kind), use)
        return tuple(sorted(found.values(), key=lambda u: (u.line, u.name)))

    def _suspects(self) -> Iterator[ast.Name]:
        """Find uses that do not plainly come after a binding in a scope around them.

        Nearly every use does, which is told from positions alone.
        """
        spans = self._spans()
        known = self._known
        changed = {n.target for n in self._view.of(ast.AugAssign)}
        # A name of one scope needs lines alone; the rest is compared to the column.
        plain = {
            name: (found[0][0][0], found[0][1][0], found[0][2][0])
            for name, found in spans.items()
            if len(found) == 1
        }
        nowhere = (0, 0, 0)
        for name in self._view.of(ast.Name):
            if name.ctx.__class__ is ast.Load:
                if name.id in known:
                    continue
            elif name not in changed:
                continue
            begin_line, end_line, bound_line = plain.get(name.id, nowhere)
            line = name.lineno
            if begin_line < line <= end_line and bound_line < line:
                continue
            at = (line, name.col_offset)
            around = spans.get(name.id, [])
            here = bisect_right(around, at, key=itemgetter(0))
            nearest = reversed(around[max(0, here - _MAX_SPANS) : here])
            first = next((bound for _, end, bound in nearest if at <= end), None)
            if first is None or first > at:
                yield name

    def _spans(self) -> dict[str, list[tuple[_Position, _Position, _Position]]]:
        """Where each name is bound: begin and end of the scope, and the first binding in it."""
        found: dict[str, list[tuple[_Position, _Position, _Position]]] = {}
        for scope, names in self._bound.items():
            if isinstance(scope, ast.ClassDef):
                continue
            begin, end = _span(scope)
            whole = isinstance(scope, (*_COMPREHENSIONS, ast.Lambda))
            for name, bindings in names.items():
                first = _START if whole else min(at for at, _ in bindings)
                found.setdefault(name, []).append((begin, end, first))
        for spans in found.values():
            spans.sort()
        return found

    def _resolved(self, name: str, scope: _Scope) -> bool:
        here: _Scope = scope
        while True:
            if name in self._bound.get(here, ()) and (
                here is scope or not isinstance(here, ast.ClassDef)
            ):
                return True
            if isinstance(here, ast.Module):
                return False
            # A comprehension in a class body is lenient: its first iterable sees the class.
            around = self._scope(here)
            if isinstance(here, _COMPREHENSIONS) and isinstance(around, ast.ClassDef):
                scope = around
            here = around

    def _excused(self, name: ast.Name) -> bool:
        """Tell whether a use is tried, is an annotation, or is never reached."""
        below: ast.AST = name
        for up in self._view.above(name):
            if (
                isinstance(up, ast.Try)
                and below in up.body
                and any(h.type is None or _catches(h.type) for h in up.handlers)
            ):
                return True
            if isinstance(up, ast.arg) and below is up.annotation:
                return True
            if isinstance(up, ast.AnnAssign) and below is up.annotation:
                return True
            if isinstance(up, (ast.FunctionDef, ast.AsyncFunctionDef)) and below is up.returns:
                return True
            if isinstance(up, ast.If) and _id(up.test) + getattr(up.test, "attr", "") == (
                "TYPE_CHECKING"
            ):
                return True
            below = up
        return False

    def _late(self, name: ast.Name, scope: _Scope) -> Undefined | None:
        """Tell whether every binding of the scope itself comes after the use."""
        if not isinstance(scope, (ast.Module, ast.FunctionDef, ast.AsyncFunctionDef)):
            return None
        bindings = self._bound.get(scope, {}).get(name.id, [])
        at = _position(name)
        if not bindings or any(position <= at for position, _ in bindings):
            return None
        top = isinstance(scope, ast.Module)
        # `x += 1` at the top of a module: the cell that makes it may have been cut.
        changed = any(name is node for _, node in bindings)
        if (scope, name.id) in self._outer or (top and (changed or name.id in self._known)):
            return None
        loops = {n for n in self._view.above(name) if isinstance(n, _LOOPS)}
        for _, node in bindings:
            if loops and any(up in loops for up in self._view.above(node)):
                return None
            if isinstance(self._view.parent(node), ast.NamedExpr):
                return None
        return Undefined(name.id, name.lineno, "late", min(p for p, _ in bindings)[0])

    # --- names bound only in a `try` that may fail ------------------------------------------

    def _uses(self, names: frozenset[str]) -> dict[tuple[_Scope, str], list[ast.Name]]:
        """Find uses of some names by scope, in the order of the source."""
        found: dict[tuple[_Scope, str], list[ast.Name]] = {}
        for name in self._view.of(ast.Name) if names else ():
            if name.id in names and isinstance(name.ctx, ast.Load) and name.id not in self._known:
                found.setdefault((self._scope(name), name.id), []).append(name)
        return found

    def _maybe(self) -> Iterator[Undefined]:
        tries = self._view.of(ast.Try)
        uses = self._uses(frozenset(n for t in tries for n, _ in assigned_in(t)))
        for try_ in tries:
            if try_.finalbody or not any(falls_through(h) for h in try_.handlers):
                continue
            scope = self._scope(try_)
            for name, line in assigned_in(try_):
                bindings = self._bound.get(scope, {}).get(name, [])
                own = all(isinstance(self._view.parent(n), ast.Assign) for _, n in bindings)
                inside = all(self._view.parent(self._statement(n)) is try_ for _, n in bindings)
                if not (own and inside) or (scope, name) in self._outer:
                    continue
                found = (u for u in uses.get((scope, name), ()) if self._follows(u, try_))
                use = next(found, None)
                if use is not None:
                    yield Undefined(name, use.lineno, "maybe", line)

    # --- names bound only in a branch -------------------------------------------------------

    def _branches(self) -> Iterator[Undefined]:
        """Find names that only one way through an `if`, a loop or a `with` gives a value."""
        found = [
            (scope, name, [node for _, node in self._bound[scope][name]])
            for scope, name in self._deep
            if not isinstance(scope, ast.ClassDef)
            and all(self._in_branch(scope, node) for _, node in self._bound[scope][name])
        ]
        uses = self._uses(frozenset(name for _, name, _ in found))
        ways = Branches(self._view)
        told: set[ast.AST | None] = set()
        for scope, name, nodes in found:
            if (scope, name) not in self._outer:
                use = ways.unbound(uses.get((scope, name), ()), nodes)
                branch = self._view.parent(self._statement(nodes[0]))
                if use is not None and branch not in told and not self._excused(use):
                    told.add(branch)  # several names of one branch are one defect
                    yield Undefined(name, use.lineno, "branch", _position(nodes[0])[0])

    def _in_branch(self, scope: _Scope, node: ast.AST) -> bool:
        """Tell whether a binding is an assignment that stands deeper than its scope."""
        parent = self._view.parent
        if node.__class__ is not ast.Name:
            return False
        up = parent(node)
        while isinstance(up, (ast.Tuple, ast.List)):
            up = parent(up)
        if not isinstance(up, (ast.Assign, ast.AnnAssign)):
            return False
        around = parent(up)
        while isinstance(around, ast.With):
            if self._suppresses and any(
                self._view.name(i.context_expr) == SUPPRESS for i in around.items
            ):
                return True
            around = parent(around)
        return around is not scope and isinstance(around, (ast.If, ast.For))

    def _statement(self, node: ast.AST) -> ast.AST:
        return self._view.statement(node) or node

    def _follows(self, use: ast.Name, try_: ast.Try) -> bool:
        """Tell whether a use comes after a `try` in the same block, with no condition around it."""
        below: ast.AST = use
        block = self._view.parent(try_)
        for up in self._view.above(use):
            if up is block:
                if not isinstance(below, ast.stmt) or below is try_:
                    return False
                bodies = [getattr(up, f, []) for f in ("body", "orelse", "finalbody")]
                same = any(try_ in b and below in b for b in bodies if isinstance(b, list))
                return same and below.lineno > try_.lineno
            if isinstance(up, (ast.If, ast.IfExp, ast.BoolOp, ast.Try, *_FUNCTIONS)):
                return False
            below = up
        return False


def _span(scope: _Scope) -> tuple[_Position, _Position]:
    """Where the code of a scope begins and ends; decorators and defaults are outside."""
    if isinstance(scope, ast.Module):
        return _START, _END
    inner = getattr(scope, "body", scope)
    end = (getattr(scope, "end_lineno", 0), getattr(scope, "end_col_offset", 0))
    return _position(inner[0] if isinstance(inner, list) else inner), end


def _position(node: ast.AST) -> _Position:
    return (getattr(node, "lineno", 0), getattr(node, "col_offset", 0))


def _catches(node: ast.expr) -> bool:
    names = {n.id for n in walk(node) if isinstance(n, ast.Name)}
    return bool(names & {"NameError", "Exception", "BaseException", "UnboundLocalError"})


def _id(node: ast.expr) -> str:
    return node.id if isinstance(node, ast.Name) else ""
