"""The abstract interpreter behind `trace`: statements, expressions, and calls of local functions.

It runs a module in the order of its statements: both sides of a condition that is not known, a
loop once (each element of a short literal list), local functions at the place of their call.
Every visit of a node costs a step, and steps, depth of calls and nesting are bounded, so it ends
on any input.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Sequence
from typing import Any, Final

from mlops_advisor.tools.evidence.trace_base import MAX_NEST, MAX_ROUNDS, Code, Frame
from mlops_advisor.tools.evidence.trace_expressions import EXPRESSIONS
from mlops_advisor.tools.evidence.trace_inline import Inlining
from mlops_advisor.tools.evidence.trace_model import Value
from mlops_advisor.tools.evidence.view import AnyFunction, View

_MAX_HOIST: Final = 2  # conditions around a definition
_MAX_FORKS: Final = 3_000  # names copied at one condition


class Machine(Inlining):
    """Runs one module.  `library` says what calls of libraries give."""

    # --- entries ----------------------------------------------------------------------------

    def run(self) -> None:
        """Run the top level, then functions and methods that nothing called."""
        frame = self.prepared(self.view)
        self.block(self.view.tree.body, frame)
        called = _called_names(self.view)
        for again in (False, True):
            for function in self.view.functions:
                if self.over:
                    return
                if function in self.entered or (not again and function.name in called):
                    continue
                self._enter(function, frame)

    def _enter(self, function: AnyFunction, frame: Frame) -> None:
        self.entry += 1
        above = self.view.scope(function)
        if isinstance(above, ast.ClassDef):
            if self.view.scope(above) is not self.view.tree:
                return
            cls = frame.env.get(above.name)
            if cls is None or cls.kind != "class" or cls.id not in self.code:
                return
            # The methods of one class share one object, as if they were called in turn.
            key = (cls.id, "instance")
            if key not in self.heap:
                self.put(key, self.instance(cls, None, {}))
            method = self.make("function", function.name)
            self.code[method.id] = Code(function, frame, self.heap[key])
            if function not in self.entered:
                self.inline(method, (), {})
        elif above is self.view.tree:
            value = self.make("function", function.name)
            self.code[value.id] = Code(function, frame)
            self.inline(value, (), {})

    def prepared(self, view: View) -> Frame:
        """Frame of a module with its functions and classes known, before any statement is run."""
        frame = self.frames[view.path] = Frame(view, {})
        self._hoist(view.tree.body, frame, 0)
        return frame

    def _hoist(self, body: Iterable[ast.stmt], frame: Frame, depth: int) -> None:
        for node in body:
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
                self.define(node, frame)
            elif isinstance(node, (ast.If, ast.Try)) and depth < _MAX_HOIST:
                self._hoist(node.body, frame, depth + 1)

    def module(self, view: View) -> Frame:
        """Frame of another module: its definitions, and its assignments at the top level."""
        known = self.frames.get(view.path)
        if known is not None:
            return known
        frame = self.prepared(view)
        self.muted += 1
        for node in view.tree.body:
            if isinstance(node, (ast.Assign, ast.AnnAssign)) and not self.over:
                self.statement(node, frame)
        self.muted -= 1
        return frame

    # --- statements -------------------------------------------------------------------------

    def block(self, body: Sequence[ast.stmt], frame: Frame) -> bool:
        """Run statements; True when they end the function or the round of a loop."""
        return any(self.statement(node, frame) for node in body)

    def statement(self, node: ast.stmt, frame: Frame) -> bool:
        """Run one statement; True when nothing after it is reached."""
        self.steps += 1
        if self.over or self.nest > MAX_NEST:
            return True
        run = self.statements.get(node.__class__)
        if run is None:
            return False
        self.nest += 1
        try:
            return bool(run(self, node, frame))
        finally:
            self.nest -= 1

    def _assign(self, node: ast.Assign, frame: Frame) -> None:
        value = self.value_of(node.value, frame)
        for target in node.targets:
            self.bind(target, value, frame)

    def _annotated(self, node: ast.AnnAssign, frame: Frame) -> None:
        if node.value is not None:
            self.bind(node.target, self.value_of(node.value, frame), frame)

    def _augmented(self, node: ast.AugAssign, frame: Frame) -> None:
        old, new = self.value_of(node.target, frame), self.value_of(node.value, frame)
        self.bind(node.target, self.combined(old, new, "augmented"), frame)

    def _expression(self, node: ast.Expr, frame: Frame) -> None:
        value = node.value
        if isinstance(value, (ast.Yield, ast.YieldFrom, ast.Await)) and value.value is not None:
            result = self.value_of(value.value, frame)
            if not isinstance(value, ast.Await):
                frame.returned.append(result)
                frame.yields = True
            return
        self.value_of(value, frame)

    def _return(self, node: ast.Return, frame: Frame) -> bool:
        if node.value is not None:
            frame.returned.append(self.value_of(node.value, frame))
        return True

    def _if(self, node: ast.If, frame: Frame) -> bool:
        truth = self.truth(node.test, frame)
        if truth is None:
            return self._fork((node.body, node.orelse), frame)
        return self.block(node.body if truth else node.orelse, frame)

    def _fork(self, bodies: Sequence[Sequence[ast.stmt]], frame: Frame) -> bool:
        """Run each side from the same state, and merge what those that go on leave behind."""
        self.forks += 1
        key = self.forks
        before = (frame.env, self.heap, self.borrowed)
        ends: list[tuple[dict[str, Value], dict[tuple[int, str], Value]]] = []
        for side, body in enumerate(bodies):
            frame.env, self.heap, self.borrowed = dict(before[0]), before[1], True
            self.branch.append((key, side))
            ended = self.block(body, frame)
            self.branch.pop()
            if not ended:
                ends.append((frame.env, self.heap))
        if not ends:
            frame.env, self.heap, self.borrowed = before
            return True
        self._join(ends, before, frame)
        return False

    def _join(
        self,
        ends: list[tuple[dict[str, Value], dict[tuple[int, str], Value]]],
        before: tuple[dict[str, Value], dict[tuple[int, str], Value], bool],
        frame: Frame,
    ) -> None:
        frame.env = self.merged([e for e, _ in ends])
        heaps = list({id(h): h for _, h in ends}.values())
        self.heap = self.merged(heaps)
        self.borrowed = before[2] if self.heap is before[1] else False

    def merged(self, states: list[dict[Any, Value]]) -> dict[Any, Value]:
        """Join the states that several sides leave behind."""
        first = states[0]
        if len(states) == 1 or len(first) > _MAX_FORKS:
            return first
        merged = dict(first)
        for state in states[1:]:
            for name, value in state.items():
                other = merged.get(name)
                if other is None:
                    merged[name] = value
                elif other is not value:
                    merged[name] = self.join((other, value))
                    if other.id in self.labels:
                        self.labels.setdefault(merged[name].id, self.labels[other.id])
        return merged

    def _for(self, node: ast.For | ast.AsyncFor, frame: Frame) -> None:
        over = self.value_of(node.iter, frame)
        rounds = [self.element(over)]
        if over.kind == "sequence" and 0 < len(over.items) <= MAX_ROUNDS:
            rounds = list(over.items)
        self.loops.append(node.lineno)
        for value in rounds:
            self.bind(node.target, value, frame)
            before = len(frame.returned)
            self.block(node.body, frame)
            if len(frame.returned) > before and not frame.yields and len(rounds) > 1:
                break
        self.loops.pop()
        self.block(node.orelse, frame)

    def _while(self, node: ast.While, frame: Frame) -> None:
        self.value_of(node.test, frame)
        self.loops.append(node.lineno)
        self.block(node.body, frame)
        self.loops.pop()

    def _with(self, node: ast.With | ast.AsyncWith, frame: Frame) -> bool:
        for item in node.items:
            value = self.value_of(item.context_expr, frame)
            if item.optional_vars is not None:
                self.bind(item.optional_vars, value, frame)
        return self.block(node.body, frame)

    def _try(self, node: ast.Try, frame: Frame) -> bool:
        before = (dict(frame.env), self.heap, self.borrowed)
        self.borrowed = self.borrowed or bool(node.handlers)
        ended = self.block([*node.body, *node.orelse], frame)
        ends = [] if ended else [(frame.env, self.heap)]
        for handler in node.handlers:
            frame.env, self.heap, self.borrowed = dict(before[0]), before[1], True
            if not self.block(handler.body, frame):
                ends.append((frame.env, self.heap))
        if ends:
            self._join(ends, before, frame)
        return self.block(node.finalbody, frame) or not ends

    def _match(self, node: ast.Match, frame: Frame) -> bool:
        self.value_of(node.subject, frame)
        return self._fork([*(case.body for case in node.cases), ()], frame)

    def define(self, node: AnyFunction | ast.ClassDef, frame: Frame) -> None:
        """Give a function or class its name."""
        known = frame.env.get(node.name)
        if known is not None and known.id in self.code and self.code[known.id].node is node:
            return
        value = self.make("class" if isinstance(node, ast.ClassDef) else "function", node.name)
        self.code[value.id] = Code(node, frame)
        frame.env[node.name] = value

    def _ends(self, _node: ast.stmt, _frame: Frame) -> bool:
        return True

    def _raise(self, node: ast.Raise, frame: Frame) -> bool:
        if node.exc is not None:
            self.value_of(node.exc, frame)
        return True


def _called_names(view: View) -> frozenset[str]:
    found = set()
    for call in view.calls:
        func = call.func
        found.add(func.id if isinstance(func, ast.Name) else getattr(func, "attr", ""))
    return frozenset(found)


_STATEMENTS: Final[dict[type, str]] = {
    ast.Assign: "_assign",
    ast.AnnAssign: "_annotated",
    ast.AugAssign: "_augmented",
    ast.Expr: "_expression",
    ast.Return: "_return",
    ast.If: "_if",
    ast.For: "_for",
    ast.AsyncFor: "_for",
    ast.While: "_while",
    ast.With: "_with",
    ast.AsyncWith: "_with",
    ast.Try: "_try",
    ast.Match: "_match",
    ast.FunctionDef: "define",
    ast.AsyncFunctionDef: "define",
    ast.ClassDef: "define",
    ast.Raise: "_raise",
    ast.Continue: "_ends",
    ast.Break: "_ends",
}

# Filled in once all classes are known: looked up for every node.
Machine.statements = {kind: getattr(Machine, name) for kind, name in _STATEMENTS.items()}
Machine.expressions = {kind: getattr(Machine, name) for kind, name in EXPRESSIONS.items()}
