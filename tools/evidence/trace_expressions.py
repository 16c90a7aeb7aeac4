"""Expressions in `trace`, all but calls."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from typing import Final

from mlops_advisor.tools.evidence.trace_base import (
    MAX_EVENTS,
    MAX_ITEMS,
    MAX_NEST,
    MAX_ROUNDS,
    MAX_STEPS,
    MAX_TEXT,
    Code,
    Frame,
    Site,
)
from mlops_advisor.tools.evidence.trace_library import role_of_name
from mlops_advisor.tools.evidence.trace_model import Value
from mlops_advisor.tools.evidence.trace_names import Names

_LARGE: Final = 1e9
_SHORT: Final = 2  # `X[c]`
_COLUMN_WORDS: Final = ("col", "feat", "num", "cat", "field", "var", "target", "name", "attr")

_KEYED: Final = frozenset(("datasets.load_dataset", "load_dataset", "splits", "DatasetDict"))


class Expressions(Names):
    """Evaluates expressions."""

    def value_of(self, node: ast.expr | None, frame: Frame) -> Value:
        """Value of an expression."""
        self.steps += 1
        if (
            node is None
            or self.nest > MAX_NEST
            or self.steps > MAX_STEPS
            or len(self.events) >= MAX_EVENTS
        ):
            return self.make("unknown")
        kind = node.__class__
        if kind is ast.Name:
            return self._name(node, frame)  # type: ignore[arg-type]
        if kind is ast.Constant:
            return self._constant(node, frame)  # type: ignore[arg-type]
        self.nest += 1
        try:
            evaluate = self.expressions.get(kind)
            if evaluate is not None:
                return evaluate(self, node, frame)
            parts = [self.value_of(n, frame) for n in _children(node)]
            return self.make("unknown", parents=parts)
        finally:
            self.nest -= 1

    def _constant(self, node: ast.Constant, _frame: Frame) -> Value:
        const = node.value
        if const.__class__ is str:
            return self.constant(const[:MAX_TEXT])
        known = const is None or isinstance(const, (bool, int, float))
        return self.constant(const) if known else self.make("unknown")  # type: ignore[arg-type]

    def _name(self, node: ast.Name, frame: Frame) -> Value:
        name = node.id
        at: Frame | None = frame
        while at is not None:
            found = at.env.get(name)
            if found is not None:
                return found
            at = at.outer
        return self.reference(frame.view.aliases.get(name, name), frame)

    def _attribute(self, node: ast.Attribute, frame: Frame) -> Value:
        return self.attribute(self.value_of(node.value, frame), node.attr, frame)

    def _subscript(self, node: ast.Subscript, frame: Frame) -> Value:  # noqa: PLR0911
        base = self.value_of(node.value, frame)
        if base.kind == "sequence" and not isinstance(node.slice, ast.Slice):
            key = self.value_of(node.slice, frame)
            if isinstance(key.const, int) and -len(base.items) <= key.const < len(base.items):
                return base.items[key.const]
            return self.element(base)
        if base.kind == "data" or (base.kind == "unknown" and _slices_rows(node.slice)):
            return self._taken(node, base, frame)
        key = self.value_of(node.slice, frame)
        if base.kind == "mapping" and str(key.const) in base.keys and key.known:
            return base.items[base.keys.index(str(key.const))]
        if base.kind == "estimator" and base.items:
            return self._step(base, key)
        if base.kind == "unknown" and key.kind in ("sequence", "mask"):
            return self._taken(node, base, frame)
        if not key.known:
            return self.make("unknown", f"{base.name}[]", (base, key), role=base.role)
        value = self.attribute(base, f"[{key.const}]", frame)
        return self.hinted(str(key.const), value)

    def _step(self, base: Value, key: Value) -> Value:
        """Step of a pipeline by number or name."""
        if isinstance(key.const, int) and -len(base.items) <= key.const < len(base.items):
            step = base.items[key.const]
        elif key.text in base.keys:
            step = base.items[base.keys.index(key.text)]
        else:
            return self.make("estimator", f"{base.name}[]", (base,), items=base.items)
        return step.changed(parents=(*step.parents, base))

    def _taken(self, node: ast.Subscript, base: Value, frame: Frame) -> Value:  # noqa: C901, PLR0911
        """Part of data: rows, columns, or both."""
        key: ast.expr = node.slice
        index = isinstance(node.value, ast.Attribute) and node.value.attr in ("loc", "iloc")
        if isinstance(key, ast.Tuple):
            for element in key.elts[1:]:
                self.value_of(element, frame)
            first = key.elts[0] if key.elts else key
            if _is_whole(first):
                return self.derive(base, "columns", columns=())
            key, index = first, True
        if isinstance(key, ast.Slice):
            bounds = [self.value_of(b, frame) for b in (key.lower, key.upper) if b is not None]
            if not bounds:
                return self.derive(base, "columns")
            return self.derive(base, "slice", *bounds, keep=False)
        value = self.value_of(key, frame)
        if value.kind in ("constant", "text") and not index:
            if base.name in _KEYED and value.text:
                return self._keyed(base, value.text)
            return self.derive(base, "column", columns=(value.text,) if value.text else ())
        if value.kind == "sequence" and not index:
            names = tuple(i.text for i in value.items if i.text)
            return self.derive(base, "columns", columns=names)
        if value.role and value.sure and value.kind != "mask":
            return self.derive(base, "fold", value, keep=False, role=value.role, sure=True)
        compared = value.kind in ("mask", "data") or value.name in ("compare", "not")
        if compared or index or not _is_columns(key):
            name = "mask" if compared else "rows"
            role = value.role or base.role
            return self.derive(base, name, value, keep=False, role=role)
        return self.derive(base, "columns", value, columns=())

    def _keyed(self, base: Value, key: str) -> Value:
        for one in base.objects:
            known = self.heap.get((one, f"[{key}]"))
            if known is not None:
                return known
        role = role_of_name(key)
        found = self.make("data", "keyed", (base,), role=role, sure=bool(role))
        for one in base.objects:
            self.put((one, f"[{key}]"), found)
        return found

    def _display(self, node: ast.List | ast.Tuple | ast.Set, frame: Frame) -> Value:
        items = [self.value_of(e, frame) for e in node.elts[:MAX_ITEMS]]
        if any(isinstance(e, ast.Starred) for e in node.elts):
            items = [i for v in items for i in (v.items if v.kind == "sequence" else (v,))]
        return self.make("sequence", items=tuple(items))

    def _dict(self, node: ast.Dict, frame: Frame) -> Value:
        keys: list[str] = []
        items: list[Value] = []
        for key, value in list(zip(node.keys, node.values, strict=True))[:MAX_ITEMS]:
            its = self.value_of(value, frame)
            if key is None:
                keys += its.keys
                items += its.items[: len(its.keys)]
                continue
            name = self.value_of(key, frame)
            keys.append(str(name.const) if name.known else "?")
            items.append(self.hinted(name.text, its) if name.text else its)
        return self.make("mapping", keys=tuple(keys), items=tuple(items))

    def _comprehension(
        self, node: ast.ListComp | ast.SetComp | ast.GeneratorExp | ast.DictComp, frame: Frame
    ) -> Value:
        inner = Frame(frame.view, {}, frame, frame.function)
        rounds: list[Value] = []
        for generator in node.generators[:4]:
            over = self.value_of(generator.iter, inner)
            if len(node.generators) == 1 and 0 < len(over.items) <= MAX_ROUNDS:
                rounds = list(over.items) if over.kind == "sequence" else []
            self.bind(generator.target, self.element(over), inner)
            for test in generator.ifs:
                self.value_of(test, inner)
        if isinstance(node, ast.DictComp):
            self.value_of(node.key, inner)
            return self.make("mapping", parents=(self.value_of(node.value, inner),))
        if not rounds:
            return self.make("sequence", "each", items=(self.value_of(node.elt, inner),))
        items = []
        for one in rounds:
            self.bind(node.generators[0].target, one, inner)
            items.append(self.value_of(node.elt, inner))
        return self.make("sequence", items=tuple(items))

    def _either(self, node: ast.IfExp, frame: Frame) -> Value:
        truth = self.truth(node.test, frame)
        if truth is not None:
            return self.value_of(node.body if truth else node.orelse, frame)
        return self.join((self.value_of(node.body, frame), self.value_of(node.orelse, frame)))

    def _logic(self, node: ast.BoolOp, frame: Frame) -> Value:
        values = [self.value_of(v, frame) for v in node.values[:MAX_ITEMS]]
        if all(v.kind == "constant" and v.known for v in values):
            truths = [bool(v.const) for v in values]
            return self.constant(all(truths) if isinstance(node.op, ast.And) else any(truths))
        return (
            self.join(values)
            if isinstance(node.op, ast.Or)
            else self.make("unknown", parents=values)
        )

    def _unary(self, node: ast.UnaryOp, frame: Frame) -> Value:
        value = self.value_of(node.operand, frame)
        if value.kind == "constant" and value.known:
            if isinstance(node.op, ast.Not):
                return self.constant(not value.const)
            if isinstance(node.op, ast.USub) and isinstance(value.const, (int, float)):
                return self.constant(-value.const)
        if value.kind == "mask":
            return self.make("mask", "not", (value,), rows=value.rows)
        name = "not" if value.name in ("compare", "not") else ""
        return (
            self.derive(value, "unary")
            if value.kind == "data"
            else self.make("unknown", name, parents=(value,))
        )

    def _binary(self, node: ast.BinOp, frame: Frame) -> Value:
        left, right = self.value_of(node.left, frame), self.value_of(node.right, frame)
        if left.text and (right.text or isinstance(node.op, (ast.Div, ast.Add))):
            between = "/" if isinstance(node.op, ast.Div) else ""
            if isinstance(node.op, (ast.Add, ast.Div)):
                return self._text(f"{left.text}{between}{right.text or '{}'}", (left, right))
        if left.kind == right.kind == "constant" and left.known and right.known:
            return self._arithmetic(node.op, left, right)
        if "mask" in (left.kind, right.kind):
            return self.make("mask", "and", (left, right), rows=left.rows)
        result = self.combined(left, right, "arithmetic")
        if isinstance(node.op, (ast.Sub, ast.Div)) and result.kind == "data":
            return self.library(self, _standardised(node, frame, left, right, result))
        return result

    def _arithmetic(self, op: ast.operator, left: Value, right: Value) -> Value:
        a, b = left.const, right.const
        if isinstance(a, (int, float)) and isinstance(b, (int, float)) and abs(a) + abs(b) < _LARGE:
            if isinstance(op, ast.Add):
                return self.constant(a + b)
            if isinstance(op, ast.Sub):
                return self.constant(a - b)
            if isinstance(op, ast.Mult):
                return self.constant(a * b)
            if isinstance(op, ast.Div) and b:
                return self.constant(a / b)
        return self.make("unknown", parents=(left, right))

    def combined(self, left: Value, right: Value, name: str) -> Value:
        """Give what an operation makes of two values: data when one of them is."""
        data = next((v for v in (left, right) if v.kind == "data" and not v.statistic), None)
        if data is not None:
            other = right if data is left else left
            return self.derive(data, name, other, columns=data.columns)
        if left.kind == right.kind == "sequence":
            return self.make("sequence", items=(*left.items, *right.items)[:MAX_ITEMS])
        statistic = left.statistic or right.statistic
        return self.make("unknown", name, (left, right), statistic=statistic)

    def _compare(self, node: ast.Compare, frame: Frame) -> Value:
        left = self.value_of(node.left, frame)
        others = [self.value_of(c, frame) for c in node.comparators[:8]]
        data = next((v for v in (left, *others) if v.kind in ("data", "mask")), None)
        if data is not None:
            return self.make("mask", "compare", (left, *others), rows=data.rows)
        right = others[0]
        known = left.kind == right.kind == "constant" and left.known and right.known
        op = node.ops[0]
        if known and len(others) == 1:
            if isinstance(op, (ast.Eq, ast.Is)):
                return self.constant(left.const == right.const)
            if isinstance(op, (ast.NotEq, ast.IsNot)):
                return self.constant(left.const != right.const)
        sure = left.kind in ("data", "estimator", "object", "sequence", "mapping")
        if sure and right.known and right.const is None and isinstance(op, (ast.Is, ast.IsNot)):
            return self.constant(isinstance(op, ast.IsNot))
        return self.make("unknown", "compare", (left, *others))

    def _text(self, text: str, parents: Sequence[Value]) -> Value:
        return self.make("text", parents=parents, const=text[:MAX_TEXT])

    def _joined(self, node: ast.JoinedStr, frame: Frame) -> Value:
        parts, parents = [], []
        for one in node.values[:MAX_ITEMS]:
            value = self.value_of(one.value if isinstance(one, ast.FormattedValue) else one, frame)
            parents.append(value)
            plain = value.kind in ("constant", "text") and value.const is not None
            parts.append(str(value.const) if plain else "{}")
        return self._text("".join(parts), parents)

    def _lambda(self, node: ast.Lambda, frame: Frame) -> Value:
        value = self.make("function", "lambda")
        self.code[value.id] = Code(node, frame)
        return value

    def _walrus(self, node: ast.NamedExpr, frame: Frame) -> Value:
        value = self.value_of(node.value, frame)
        self.bind(node.target, value, frame)
        return value

    def _inner(self, node: ast.Await | ast.Starred | ast.YieldFrom, frame: Frame) -> Value:
        return self.value_of(node.value, frame)

    def truth(self, test: ast.expr, frame: Frame) -> bool | None:
        """Truth of a condition when it rests on what is known."""
        if isinstance(test, ast.Compare) and _is_main(test):
            self.value_of(test, frame)
            return frame.view is self.view
        value = self.value_of(test, frame)
        return bool(value.const) if value.kind == "constant" and value.known else None

    def call(self, node: ast.Call, frame: Frame) -> Value:
        """Value of a call."""
        raise NotImplementedError


def _children(node: ast.AST) -> list[ast.expr]:
    return [n for n in ast.iter_child_nodes(node) if isinstance(n, ast.expr)][:MAX_ITEMS]


def _is_main(test: ast.Compare) -> bool:
    return isinstance(test.left, ast.Name) and test.left.id == "__name__"


def _is_whole(node: ast.expr) -> bool:
    return isinstance(node, ast.Slice) and node.lower is None and node.upper is None


def _slices_rows(node: ast.expr) -> bool:
    if isinstance(node, ast.Tuple) and node.elts:
        node = node.elts[0]
    return isinstance(node, ast.Slice)


def _is_columns(node: ast.expr) -> bool:
    """Tell by its name whether a key of a frame holds names of columns."""
    if isinstance(node, (ast.Name, ast.Attribute)):
        text = (node.id if isinstance(node, ast.Name) else node.attr).lower()
        if any(
            w in text
            for w in ("mask", "msk", "idx", "index", "indices", "rows", "cond", "train", "test")
        ):
            return False
        return any(w in text for w in _COLUMN_WORDS) or len(text) <= _SHORT or text.isupper()
    return not isinstance(node, ast.Call)


def _standardised(node: ast.BinOp, frame: Frame, left: Value, right: Value, result: Value) -> Site:
    """`x - x.mean()` seen as a call."""
    call = ast.Call(func=ast.Name(id="by hand", ctx=ast.Load()), args=[], keywords=[])
    ast.copy_location(call, node)
    ast.copy_location(call.func, node)
    return Site(
        call, frame, "by hand", "by hand", None, None, (left, right, result), {}, spread=False
    )


EXPRESSIONS: Final[dict[type, str]] = {
    ast.Constant: "_constant",
    ast.Name: "_name",
    ast.Attribute: "_attribute",
    ast.Subscript: "_subscript",
    ast.Call: "call",
    ast.List: "_display",
    ast.Tuple: "_display",
    ast.Set: "_display",
    ast.Dict: "_dict",
    ast.ListComp: "_comprehension",
    ast.SetComp: "_comprehension",
    ast.GeneratorExp: "_comprehension",
    ast.DictComp: "_comprehension",
    ast.IfExp: "_either",
    ast.BoolOp: "_logic",
    ast.UnaryOp: "_unary",
    ast.BinOp: "_binary",
    ast.Compare: "_compare",
    ast.JoinedStr: "_joined",
    ast.Lambda: "_lambda",
    ast.NamedExpr: "_walrus",
    ast.Await: "_inner",
    ast.Starred: "_inner",
    ast.YieldFrom: "_inner",
}
