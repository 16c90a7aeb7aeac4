"""Names that get a value only on some ways through a function, and are used on all of them.

Very little is told: the branch without a value must fall through to the use, nothing between may
end the function, and the use must stand under no condition of its own.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from typing import Final

from mlops_advisor.tools.evidence.view import View, last, names_read

SUPPRESS: Final = "contextlib.suppress"
_ENDS: Final = (ast.Return, ast.Raise, ast.Continue, ast.Break)
_EXITS: Final = frozenset(
    "exit quit _exit abort fail error usage die help stop skip critical_exit print_help".split()
)
_LISTINGS: Final = frozenset(("glob", "iglob", "rglob", "iterdir", "listdir", "scandir", "walk"))
_CONDITIONS: Final = (ast.If, ast.IfExp, ast.BoolOp, ast.While, ast.Try, ast.Assert, ast.Lambda)
_COMPREHENSIONS: Final = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
_LOOPS: Final = (ast.For, ast.AsyncFor, ast.While)
_OWN: Final = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
_BINDERS: Final = (ast.Assign, ast.AnnAssign, ast.For, ast.With)
_QUIET: Final = frozenset(
    ("print", "debug", "info", "warning", "warn", "error", "exception", "print_exc", "log")
)
_MAX_BLOCK: Final = 400
_MAX_BINDERS: Final = 12
_MAX_USES: Final = 40
_MAX_STEPS: Final = 200_000


class Branches:
    """Ways through the blocks of one module."""

    def __init__(self, view: View) -> None:
        """Look at one module; nothing is computed yet."""
        self._view = view
        self._left = _MAX_STEPS

    def unbound(self, uses: Sequence[ast.Name], bindings: Sequence[ast.AST]) -> ast.Name | None:
        """First use of a name that a way without any of its bindings leads to.

        Uses and bindings are those of one scope.
        """
        statements = [self._view.statement(b) for b in bindings]
        known = [s for s in statements if isinstance(s, _BINDERS)]
        if self._left < 0 or len(known) < len(statements) or len(known) > _MAX_BINDERS:
            return None
        for use in uses[:_MAX_USES]:
            if self._may_lack(use, known):
                return use
        return None

    def _may_lack(self, use: ast.Name, binders: Sequence[ast.stmt]) -> bool:
        below: ast.AST = use
        for up in self._view.above(use):
            block = _block_with(up, below)
            if block is not None:
                self._left -= len(block) * len(binders) + 1
                if self._left < 0 or len(block) > _MAX_BLOCK:
                    return False
                before = block[: next(i for i, s in enumerate(block) if s is below)]
                holding = [s for s in before if any(_holds(s, b) for b in binders)]
                if holding:
                    alone = len(holding) == 1 and all(_holds(holding[0], b) for b in binders)
                    return (
                        alone
                        and not self._view.inside(holding[0], *_LOOPS)
                        and self._open(holding[0], before, binders)
                    )
            if isinstance(up, (*_CONDITIONS, *_COMPREHENSIONS, *_LOOPS, *_OWN)):
                return False
            below = up
        return False

    def _open(
        self, holder: ast.stmt, before: Sequence[ast.stmt], binders: Sequence[ast.stmt]
    ) -> bool:
        """Tell whether a way leads past the bindings, and on to what follows."""
        at = before.index(holder)
        if any(self._checks(s) for s in before[at + 1 :]):
            return False
        tests = self._tests(holder, binders)
        names = frozenset(n for t in tests for n in names_read(t))
        if any(self._checks(s) and names & names_read(s) for s in before[:at]):
            return False
        return self._skippable(holder, binders) and not any(self._settled(t) for t in tests)

    def _tests(self, holder: ast.stmt, binders: Sequence[ast.stmt]) -> list[ast.expr]:
        nodes = [n for b in binders for n in (b, *self._view.above(b))]
        return [n.test for n in nodes if isinstance(n, ast.If) and _holds(holder, n)]

    def _settled(self, test: ast.expr) -> bool:
        """Tell whether a condition is one that the author may know to hold."""
        view = self._view
        if view.literal(test) is True or (
            isinstance(test, ast.Call)
            and last(view.name(test)) in ("isinstance", "hasattr", "is_available")
        ):
            return True
        return any(
            isinstance(n, (ast.Name, ast.Attribute)) and self._limited(n) for n in view.walk(test)
        )

    def _limited(self, node: ast.Name | ast.Attribute) -> bool:
        """Tell whether only some values of a setting can occur: choices, `Literal`, flags."""
        name = node.attr if isinstance(node, ast.Attribute) else node.id
        if name.startswith("__"):
            return True
        view = self._view
        for call in view.calls:
            if last(view.name(call)) in ("add_argument", "option", "argument") and (
                view.arg(call, "choices") is not None or view.arg(call, "type") is not None
            ):
                flags = [a.value for a in call.args if isinstance(a, ast.Constant)]
                if any(str(f).lstrip("-").replace("-", "_") == name for f in flags):
                    return True
        for arg in view.of(ast.arg):
            if arg.arg == name and arg.annotation is not None:
                return bool(names_read(arg.annotation) & {"Literal", "Enum"})
        return False

    def _checks(self, statement: ast.stmt) -> bool:
        """Tell whether a statement may end the function, or make sure of something."""
        return any(
            isinstance(n, (*_ENDS, ast.Assert))
            or (isinstance(n, ast.Call) and last(self._view.name(n)) in _EXITS)
            for n in self._view.walk(statement)
        )

    # --- does every way bind the name? ------------------------------------------------------

    def _skippable(self, statement: ast.stmt, binders: Sequence[ast.stmt]) -> bool:
        """Tell whether a way through a statement binds nothing and goes on behind it."""
        if statement in binders:
            return False
        if isinstance(statement, ast.If):
            return self._if(statement, binders)
        if isinstance(statement, ast.With):
            suppressing = any(self._view.name(i.context_expr) == SUPPRESS for i in statement.items)
            return suppressing or self._passes(statement.body, binders)
        if isinstance(statement, ast.For):
            return self._for(statement, binders)
        return False

    def _passes(self, block: Sequence[ast.stmt], binders: Sequence[ast.stmt]) -> bool:
        """Tell whether a way through a block binds nothing and reaches its end."""
        for statement in block:
            if isinstance(statement, _ENDS) or self._exits(statement):
                return False
            holds = any(_holds(statement, b) for b in binders)
            if holds and not self._skippable(statement, binders):
                return False
            if not holds and self._checks(statement):
                return False
        return True

    def _exits(self, statement: ast.stmt) -> bool:
        call = statement.value if isinstance(statement, ast.Expr) else None
        return isinstance(call, ast.Call) and last(self._view.name(call)) in _EXITS

    def _if(self, statement: ast.If, binders: Sequence[ast.stmt]) -> bool:
        if _compares_order(statement):
            return False
        return self._passes(statement.body, binders) or self._passes(statement.orelse, binders)

    def _for(self, statement: ast.For, binders: Sequence[ast.stmt]) -> bool:
        """Search loops, and loops over what a folder holds."""
        if statement.orelse or isinstance(statement.iter, (ast.List, ast.Tuple, ast.Dict)):
            return False
        conditional = [
            up
            for b in binders
            for up in self._view.above(b)
            if isinstance(up, ast.If) and _holds(statement, up)
        ]
        if not conditional:
            return self._lists(statement.iter)
        counted = names_read(statement.target)
        changed = {
            n.id
            for up in conditional
            for n in self._view.walk(up)
            if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)
        }
        ends = any(isinstance(n, ast.Break) for n in self._view.walk(statement))
        for up in conditional:
            read = names_read(up.test)
            if read & changed or (not ends and read <= counted and _is_counter(statement)):
                return False
        return ends and self._passes(statement.body, binders)

    def _lists(self, node: ast.expr | None) -> bool:
        """Tell whether an expression is what a folder holds, which may be nothing."""
        for _ in range(4):
            name = last(self._view.name(node)) if isinstance(node, ast.Call) else ""
            if name in _LISTINGS:
                return True
            if not isinstance(node, ast.Call) or name not in (
                "sorted",
                "enumerate",
                "list",
                "tqdm",
            ):
                return False
            node = node.args[0] if node.args else None
        return False


def _holds(outer: ast.stmt, inner: ast.stmt) -> bool:
    """Tell whether a statement stands in another one, or is it."""
    return outer.lineno <= inner.lineno and (inner.end_lineno or 0) <= (outer.end_lineno or 0)


def _is_counter(statement: ast.For) -> bool:
    call = statement.iter
    return isinstance(call, ast.Call) and isinstance(call.func, ast.Name)


def _block_with(up: ast.AST, below: ast.AST) -> list[ast.stmt] | None:
    """List of statements of a node in which another one stands."""
    for field in ("body", "orelse", "finalbody"):
        block = getattr(up, field, None)
        if isinstance(block, list) and any(s is below for s in block):
            return block
    return None


def _compares_order(statement: ast.If) -> bool:
    """Tell whether an `if` with its `elif` splits a range: `x > 0`, then `x <= 0`."""
    count = 0
    here: ast.stmt | None = statement
    while isinstance(here, ast.If):
        ordered = isinstance(here.test, ast.Compare) and isinstance(
            here.test.ops[0], (ast.Lt, ast.LtE, ast.Gt, ast.GtE)
        )
        negated = isinstance(here.test, ast.UnaryOp) and isinstance(here.test.op, ast.Not)
        none = isinstance(here.test, ast.Compare) and isinstance(
            here.test.ops[0], (ast.Is, ast.IsNot, ast.NotIn, ast.NotEq)
        )
        count += ordered or negated or none
        here = here.orelse[0] if len(here.orelse) == 1 else None
    return count > 0 and bool(statement.orelse) and isinstance(statement.orelse[0], ast.If)


# --- a `try` that goes on after an error ----


def falls_through(handler: ast.ExceptHandler) -> bool:
    """Tell whether a handler only says something, and the program goes on."""
    if handler.type is not None and "Import" in ast.dump(handler.type):
        return False
    for statement in handler.body:
        if isinstance(statement, ast.Pass):
            continue
        call = statement.value if isinstance(statement, ast.Expr) else None
        if not isinstance(call, ast.Call):
            return False
        if isinstance(call.func, ast.Attribute):
            owner = ast.unparse(call.func.value)[-20:].lower()
            if not owner.endswith(("log", "logger", "logging", "traceback")):
                return False
        name = (
            call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
        )
        if name not in _QUIET:
            return False
    return True


def assigned_in(try_: ast.Try) -> Iterator[tuple[str, int]]:
    """Plain names that the statements right in the body of a `try` give a value."""
    for statement in try_.body:
        if isinstance(statement, ast.Assign):
            for target in statement.targets:
                if isinstance(target, ast.Name):
                    yield target.id, statement.lineno
