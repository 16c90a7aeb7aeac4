"""The abstract interpreter behind `trace`: statements, expressions, and calls of local functions.

It runs a module in the order of its statements: both sides of a condition that is not known, a
loop once (each element of a short literal list), local functions at the place of their call.
Every visit of a node costs a step, and steps, depth of calls and nesting are bounded, so it ends
on any input.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final, Protocol, TypeAlias, TypeVar

from mlops_advisor.tools.evidence.trace_library import role_of_name
from mlops_advisor.tools.evidence.trace_model import Const, Event, Kind, Role, Split, Value
from mlops_advisor.tools.evidence.view import AnyFunction, View

E = TypeVar("E", bound=Event)
Body: TypeAlias = AnyFunction | ast.Lambda

MAX_STEPS: Final = 40_000
_MAX_CALLS: Final = 7  # local functions inside each other
_MAX_NEST: Final = 130  # nodes inside each other, over all functions
_MAX_EVENTS: Final = 4_000
_MAX_ITEMS: Final = 60
_MAX_ROUNDS: Final = 4  # of a loop over a literal list
_MAX_TEXT: Final = 300
_MAX_FORKS: Final = 3_000  # names copied at one condition
_SUBMITS: Final = frozenset(
    "submit map remote delay fn func apply_async expand options with_options override partial"
    " run starmap si s with_ctx local_call".split()
)
_COLUMN_WORDS: Final = ("col", "feat", "num", "cat", "field", "var", "target", "name", "attr")
_FRAME_ATTRIBUTES: Final = frozenset("values T loc iloc at iat str dt cat array data _jdf".split())
_META: Final = frozenset("columns index shape dtypes size ndim empty name features".split())


class Modules(Protocol):
    """Where other modules of the repository come from."""

    def find(self, dotted: str, origin: str) -> tuple[View, str] | None:
        """View of the module that holds a dotted name, and what of the name is left."""


@dataclass(slots=True)
class Frame:
    """One run of a function, or of a module."""

    view: View
    env: dict[str, Value]
    outer: Frame | None = None
    function: str = ""
    returned: list[Value] = field(default_factory=list)
    yields: bool = False


@dataclass(frozen=True, slots=True)
class Code:
    """What a function or class value runs."""

    node: Body | ast.ClassDef
    frame: Frame
    owner: Value | None = None  # `self` of a bound method


@dataclass(frozen=True, slots=True)
class Site:
    """One call with its values.  `name` is what is called, resolved; `last` its last part."""

    node: ast.Call
    frame: Frame
    name: str
    last: str
    receiver: Value | None
    callee: Value | None
    args: tuple[Value, ...]
    named: Mapping[str, Value]
    spread: bool
    local: bool = False  # a function of this repository, run already: `callee` is its result

    @property
    def line(self) -> int:
        """Line of the called name: in a chain over several lines, that of its own link."""
        func = self.node.func
        return (
            func.end_lineno or self.node.lineno if isinstance(func, ast.Attribute) else func.lineno
        )

    def arg(self, name: str, position: int = -1) -> Value | None:
        """Argument by keyword or position."""
        if name in self.named:
            return self.named[name]
        return self.args[position] if 0 <= position < len(self.args) else None

    @property
    def given(self) -> tuple[Value, ...]:
        """All arguments."""
        return (*self.args, *self.named.values())


class Machine:
    """Runs one module.  `library` says what calls of libraries give."""

    def __init__(
        self, view: View, modules: Modules, library: Callable[[Machine, Site], Value]
    ) -> None:
        """Prepare a run; nothing is run yet."""
        self.view = view
        self.modules = modules
        self.library = library
        self.events: list[Event] = []
        self.labels: dict[int, str] = {}
        self.heap: dict[tuple[int, str], Value] = {}
        self.code: dict[int, Code] = {}
        self.classes: dict[int, Value] = {}  # object -> its class
        self.entered: set[ast.AST] = set()
        self.parts: dict[tuple[int, int], Any] = {}  # splits by hand: see trace_calls
        self.steps = 0
        self.entry = 0
        self._ids = 0
        self._nest = 0
        self._forks = 0
        self._muted = 0
        self._stack: list[ast.AST] = []
        self._within: list[str] = []
        self._branch: list[tuple[int, int]] = []
        self._loops: list[int] = []
        self._frames: dict[str, Frame] = {}
        self._refs: dict[str, Value] = {}

    # --- values -----------------------------------------------------------------------------

    @property
    def over(self) -> bool:
        """True when the budget is used up."""
        return self.steps > MAX_STEPS or len(self.events) >= _MAX_EVENTS

    def make(  # noqa: PLR0913 - the fields of a value
        self,
        kind: Kind,
        name: str = "",
        parents: Sequence[Value] = (),
        *,
        rows: int = 0,
        role: Role = "",
        sure: bool = False,
        **more: Any,  # noqa: ANN401 - further fields
    ) -> Value:
        """Make a value with a new id; its rows are its own unless given."""
        self._ids += 1
        one = self._ids
        more.setdefault("objects", frozenset((one,)))
        return Value(
            one, kind, name, parents=tuple(parents), rows=rows or one, role=role, sure=sure, **more
        )

    def constant(self, const: Const) -> Value:
        """Make a constant."""
        return self.make("constant", known=True, const=const)

    def derive(
        self,
        base: Value,
        name: str,
        *parents: Value,
        keep: bool = True,
        **more: Any,  # noqa: ANN401
    ) -> Value:
        """Make data from data: with the same rows if `keep`, with the same role unless given."""
        more.setdefault("role", base.role)
        more.setdefault("sure", base.sure)
        if keep:
            more.setdefault("columns", base.columns)
        return self.make("data", name, (base, *parents), rows=base.rows if keep else 0, **more)

    def join(self, values: Iterable[Value]) -> Value:
        """Give what may be one of several values."""
        different: dict[int, Value] = {v.id: v for v in values}
        found = list(different.values())[:_MAX_ITEMS]
        if len(found) == 1:
            return found[0]
        if not found:
            return self.constant(None)
        useful = [v for v in found if not (v.known and v.const is None)] or found
        first = useful[0]
        if len(useful) == 1:
            return first
        if all(v.kind == "sequence" and len(v.items) == len(first.items) for v in useful):
            items = zip(*(v.items for v in useful), strict=True)
            return self.make("sequence", first.name, items=tuple(self.join(i) for i in items))
        roles = {v.role for v in useful}
        kinds = [v.kind for v in useful]
        kind: Kind = next((k for k in _STRONGEST if k in kinds), "unknown")
        best = next(v for v in useful if v.kind == kind or kind == "unknown")
        return self.make(
            kind,
            best.name,
            useful,
            rows=best.rows if len({v.rows for v in useful}) == 1 else 0,
            role=roles.pop() if len(roles) == 1 else "",
            sure=all(v.sure for v in useful),
            objects=frozenset().union(*(v.objects for v in useful)),
            items=best.items,
            keys=best.keys,
            columns=best.columns,
            maker=best.maker,
        )

    def emit(self, cls: type[E], site: Site, **fields: Any) -> None:  # noqa: ANN401
        """Keep an event at a call."""
        self.emit_at(cls, site.frame, site.line, site.name, **fields)

    def emit_at(
        self,
        cls: type[E],
        frame: Frame,
        line: int,
        name: str,
        **fields: Any,  # noqa: ANN401
    ) -> None:
        """Keep an event at a line."""
        if self._muted or len(self.events) >= _MAX_EVENTS:
            return
        self.events.append(
            cls(
                order=len(self.events),
                path=frame.view.path,
                line=line,
                name=name,
                entry=self.entry,
                function=frame.function,
                branch=tuple(self._branch),
                within=tuple(self._within),
                loops=tuple(self._loops),
                **fields,
            )
        )

    # --- entries ----------------------------------------------------------------------------

    def run(self) -> None:
        """Run the top level, then functions and methods that nothing called."""
        frame = self._prepared(self.view)
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
            if cls is None or cls.kind != "class":
                return
            # The methods of one class share one object, as if they were called in turn.
            key = (cls.id, "instance")
            if key not in self.heap:
                self.heap[key] = self.instance(cls, None, {}, frame)
            method = self.make("function", function.name)
            self.code[method.id] = Code(function, frame, self.heap[key])
            if function not in self.entered:
                self.inline(method, (), {})
        elif above is self.view.tree:
            value = self.make("function", function.name)
            self.code[value.id] = Code(function, frame)
            self.inline(value, (), {})

    def _prepared(self, view: View) -> Frame:
        """Frame of a module with its functions and classes known, before any statement is run."""
        frame = self._frames[view.path] = Frame(view, {})
        self._hoist(view.tree.body, frame, 0)
        return frame

    def _hoist(self, body: Iterable[ast.stmt], frame: Frame, depth: int) -> None:
        for node in body:
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
                self._define(node, frame)
            elif isinstance(node, (ast.If, ast.Try)) and depth < 2:  # noqa: PLR2004 - levels
                self._hoist(node.body, frame, depth + 1)

    def module(self, view: View) -> Frame:
        """Frame of another module: its definitions, and its assignments at the top level."""
        known = self._frames.get(view.path)
        if known is not None:
            return known
        frame = self._prepared(view)
        self._muted += 1
        for node in view.tree.body:
            if isinstance(node, (ast.Assign, ast.AnnAssign)) and not self.over:
                self.statement(node, frame)
        self._muted -= 1
        return frame

    # --- statements -------------------------------------------------------------------------

    def block(self, body: Sequence[ast.stmt], frame: Frame) -> bool:
        """Run statements; True when they end the function or the round of a loop."""
        return any(self.statement(node, frame) for node in body)

    def statement(self, node: ast.stmt, frame: Frame) -> bool:
        """Run one statement; True when nothing after it is reached."""
        self.steps += 1
        if self.over or self._nest > _MAX_NEST:
            return True
        self._nest += 1
        try:
            method = _STATEMENTS.get(node.__class__)
            return bool(method(self, node, frame)) if method is not None else False
        finally:
            self._nest -= 1

    def _assign(self, node: ast.Assign, frame: Frame) -> None:
        value = self.eval(node.value, frame)
        for target in node.targets:
            self.bind(target, value, frame)

    def _annotated(self, node: ast.AnnAssign, frame: Frame) -> None:
        if node.value is not None:
            self.bind(node.target, self.eval(node.value, frame), frame)

    def _augmented(self, node: ast.AugAssign, frame: Frame) -> None:
        old, new = self.eval(node.target, frame), self.eval(node.value, frame)
        self.bind(node.target, self._combined(old, new, "augmented"), frame)

    def _expression(self, node: ast.Expr, frame: Frame) -> None:
        value = node.value
        if isinstance(value, (ast.Yield, ast.YieldFrom, ast.Await)) and value.value is not None:
            result = self.eval(value.value, frame)
            if not isinstance(value, ast.Await):
                frame.returned.append(result)
                frame.yields = True
            return
        self.eval(value, frame)

    def _return(self, node: ast.Return, frame: Frame) -> bool:
        if node.value is not None:
            frame.returned.append(self.eval(node.value, frame))
        return True

    def _if(self, node: ast.If, frame: Frame) -> bool:
        truth = self._truth(node.test, frame)
        if truth is None:
            return self._fork((node.body, node.orelse), frame)
        return self.block(node.body if truth else node.orelse, frame)

    def _fork(self, bodies: Sequence[Sequence[ast.stmt]], frame: Frame) -> bool:
        """Run each side from the same state, and merge what those that go on leave behind."""
        self._forks += 1
        key = self._forks
        before = (frame.env, self.heap)
        ends: list[tuple[dict[str, Value], dict[tuple[int, str], Value]]] = []
        for side, body in enumerate(bodies):
            frame.env, self.heap = dict(before[0]), dict(before[1])
            self._branch.append((key, side))
            ended = self.block(body, frame)
            self._branch.pop()
            if not ended:
                ends.append((frame.env, self.heap))
        if not ends:
            frame.env, self.heap = before
            return True
        frame.env = self._merged([e for e, _ in ends])
        self.heap = self._merged([h for _, h in ends])
        return False

    def _merged(self, states: list[dict[Any, Value]]) -> dict[Any, Value]:
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

    def _truth(self, test: ast.expr, frame: Frame) -> bool | None:
        """Truth of a condition when it rests on what is known."""
        if isinstance(test, ast.Compare) and _is_main(test):
            self.eval(test, frame)
            return frame.view is self.view
        value = self.eval(test, frame)
        return bool(value.const) if value.kind == "constant" and value.known else None

    def _for(self, node: ast.For | ast.AsyncFor, frame: Frame) -> None:
        over = self.eval(node.iter, frame)
        rounds = [self.element(over)]
        if over.kind == "sequence" and 0 < len(over.items) <= _MAX_ROUNDS:
            rounds = list(over.items)
        self._loops.append(node.lineno)
        for value in rounds:
            self.bind(node.target, value, frame)
            before = len(frame.returned)
            self.block(node.body, frame)
            if len(frame.returned) > before and not frame.yields and len(rounds) > 1:
                break
        self._loops.pop()
        self.block(node.orelse, frame)

    def _while(self, node: ast.While, frame: Frame) -> None:
        self.eval(node.test, frame)
        self._loops.append(node.lineno)
        self.block(node.body, frame)
        self._loops.pop()

    def _with(self, node: ast.With | ast.AsyncWith, frame: Frame) -> bool:
        for item in node.items:
            value = self.eval(item.context_expr, frame)
            if item.optional_vars is not None:
                self.bind(item.optional_vars, value, frame)
        return self.block(node.body, frame)

    def _try(self, node: ast.Try, frame: Frame) -> bool:
        before = (dict(frame.env), dict(self.heap)) if node.handlers else None
        ended = self.block([*node.body, *node.orelse], frame)
        if before is not None:
            after = (frame.env, self.heap)
            for handler in node.handlers:
                frame.env, self.heap = dict(before[0]), dict(before[1])
                if not self.block(handler.body, frame):
                    after = (
                        self._merged([after[0], frame.env]) if not ended else frame.env,
                        self._merged([after[1], self.heap]) if not ended else self.heap,
                    )
                    ended = False
            frame.env, self.heap = after
        return self.block(node.finalbody, frame) or ended

    def _match(self, node: ast.Match, frame: Frame) -> bool:
        self.eval(node.subject, frame)
        return self._fork([*(case.body for case in node.cases), ()], frame)

    def _define(self, node: AnyFunction | ast.ClassDef, frame: Frame) -> None:
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
            self.eval(node.exc, frame)
        return True

    # --- binding ----------------------------------------------------------------------------

    def bind(self, target: ast.expr, value: Value, frame: Frame) -> None:
        """Give a value to a target of an assignment."""
        if isinstance(target, ast.Name):
            frame.env[target.id] = value = self.hinted(target.id, value)
            self._notice(target, value, frame)
        elif isinstance(target, ast.Attribute):
            base = self.eval(target.value, frame)
            value = self.hinted(target.attr, value)
            self._notice(target, value, frame)
            for one in base.objects:
                self.heap[one, target.attr] = self.hinted(target.attr, value)
        elif isinstance(target, (ast.Tuple, ast.List)):
            self._unpack(target.elts, value, frame)
        elif isinstance(target, ast.Starred):
            self.bind(target.value, value, frame)
        elif isinstance(target, ast.Subscript):
            self._store(target, value, frame)

    def _notice(self, target: ast.expr, value: Value, frame: Frame) -> None:
        """See a split by hand: rows taken from the same data under names of several roles."""
        if value.kind != "data" or not value.role:
            return
        taken = value
        while taken.name not in _TAKING and taken.parents and taken.parents[0].rows == value.rows:
            taken = taken.parents[0]
        if taken.name not in _TAKING or not taken.parents:
            return
        base = taken
        while base.rows == taken.rows and base.parents:
            base = base.parents[0]
        while base.name in ("loc", "iloc", "values", "columns", "column") and base.parents:
            base = base.parents[0]
        if base.role == value.role or base.kind != "data":
            return
        known = self.parts.setdefault((base.rows, id(frame)), {})
        new = value.role not in known
        known.setdefault(value.role, (value, target.lineno, base))
        if new and len(known) == 2:  # noqa: PLR2004 - two parts make a split
            parts = tuple(one for one, _, _ in known.values())
            line = min(at for _, at, _ in known.values())
            sources = tuple(one for _, _, one in known.values())
            self.emit_at(
                Split, frame, line, f"by hand: {taken.name}", sources=sources, parts=parts,
                how="slice", seed="yes", shuffle="no", stratify="no", shares=(),
            )  # fmt: skip

    def _unpack(self, targets: Sequence[ast.expr], value: Value, frame: Frame) -> None:
        known = value.kind == "sequence" and len(value.items) == len(targets)
        starred = any(isinstance(t, ast.Starred) for t in targets)
        for i, target in enumerate(targets):
            if known and not starred:
                self.bind(target, value.items[i], frame)
            elif value.kind == "data":
                self.bind(target, self.derive(value, "part", keep=False), frame)
            else:
                base = self.element(value) if value.kind == "sequence" else value
                self.bind(target, self.make("unknown", "part", (base,), maker=base.maker), frame)

    def _store(self, target: ast.Subscript, value: Value, frame: Frame) -> None:
        """`base[key] = value`: a new column or item, so a new value for the base."""
        holder = target.value
        if isinstance(holder, ast.Attribute) and holder.attr in ("loc", "iloc", "at"):
            holder = holder.value
        base, key = self.eval(holder, frame), self.eval(target.slice, frame)
        if base.kind in ("data", "sequence") or (base.kind == "unknown" and value.kind == "data"):
            columns = (*base.columns, key.text) if key.text and base.columns else base.columns
            new = self.derive(base, "stored", value, columns=columns)
            self.bind(holder, new, frame)
        elif key.known:
            if base.kind == "mapping":
                pairs = dict(zip(base.keys, base.items, strict=False))
                pairs[str(key.const)] = value
                new = replace(base, keys=tuple(pairs), items=tuple(pairs.values()))
                if isinstance(holder, ast.Name):
                    frame.env[holder.id] = new
                elif isinstance(holder, ast.Attribute):
                    self.bind(holder, new, frame)
            for one in base.objects:
                self.heap[one, f"[{key.const}]"] = self.hinted(str(key.const), value)

    def hinted(self, name: str, value: Value) -> Value:
        """Value under a name, which may hint at its role in a split."""
        if value.kind in ("data", "unknown", "mask", "sequence"):
            role = role_of_name(name)
            if value.sure and value.role == "test" and role == "validation":
                value = replace(self.make(value.kind), **_copied(value, "validation"))
            elif role and not value.role and not value.sure and value.kind != "sequence":
                value = self.make(
                    value.kind,
                    value.name,
                    (value,),
                    rows=value.rows,
                    role=role,
                    maker=value.maker,
                    objects=value.objects,
                    columns=value.columns,
                    items=value.items,
                )
        self.labels.setdefault(value.id, name)
        return value

    def rebind(self, node: ast.expr, value: Value, frame: Frame) -> None:
        """Change in place what an expression names: `df` of `df.drop(..., inplace=True)`."""
        if isinstance(node, (ast.Name, ast.Attribute)):
            self.bind(node, value, frame)
        elif isinstance(node, ast.Subscript):
            self._store(node, value, frame)

    # --- expressions ------------------------------------------------------------------------

    def eval(self, node: ast.expr | None, frame: Frame) -> Value:
        """Value of an expression."""
        self.steps += 1
        if node is None or self.over or self._nest > _MAX_NEST:
            return self.make("unknown")
        self._nest += 1
        try:
            method = _EXPRESSIONS.get(node.__class__)
            if method is not None:
                result = method(self, node, frame)
                assert isinstance(result, Value)  # noqa: S101 - for the type checker
                return result
            parts = [self.eval(n, frame) for n in _children(node)]
            return self.make("unknown", parents=parts)
        finally:
            self._nest -= 1

    def _constant(self, node: ast.Constant, _frame: Frame) -> Value:
        const = node.value
        if isinstance(const, str):
            return self.constant(const[:_MAX_TEXT])
        known = const is None or isinstance(const, (bool, int, float))
        return self.constant(const) if known else self.make("unknown")  # type: ignore[arg-type]

    def _name(self, node: ast.Name, frame: Frame) -> Value:
        return self.lookup(node.id, frame) or self.reference(
            frame.view.aliases.get(node.id, node.id), frame
        )

    @staticmethod
    def lookup(name: str, frame: Frame) -> Value | None:
        """Value of a name in a frame or one outside."""
        at: Frame | None = frame
        while at is not None:
            if name in at.env:
                return at.env[name]
            at = at.outer
        return None

    def reference(self, name: str, frame: Frame) -> Value:
        """Value of something imported: what a module of this repository defines, or its name."""
        key = f"{frame.view.path if name.startswith('.') else ''}:{name}"
        found = self._refs.get(key)
        if found is None:
            found = self._refs[key] = self._imported(name, frame) or self.make("ref", name)
        return found

    def _imported(self, name: str, frame: Frame) -> Value | None:
        if "." not in name:
            return None
        place = self.modules.find(name, frame.view.path)
        if place is None or not place[1] or place[0] is frame.view:
            return None
        view, rest = place
        if "." in rest:
            return None
        other = self.module(view)
        value = other.env.get(rest)
        if value is None and rest in view.aliases and view.aliases[rest] != name:
            return self.reference(view.aliases[rest], other)
        return value

    def _attribute(self, node: ast.Attribute, frame: Frame) -> Value:
        return self.attribute(self.eval(node.value, frame), node.attr, frame)

    def attribute(self, base: Value, attr: str, frame: Frame) -> Value:  # noqa: PLR0911 - kinds
        """Value of an attribute."""
        for one in base.objects:
            known = self.heap.get((one, attr))
            if known is not None:
                return known
        if base.kind == "ref":
            return self.reference(f"{base.name}.{attr}", frame)
        if base.kind in ("function", "class") and attr in _SUBMITS and base.kind == "function":
            return base
        if base.kind in ("object", "estimator", "class"):
            method = self._method(base, attr)
            if method is not None:
                return method
        if base.kind == "mapping" and attr in base.keys:
            return base.items[base.keys.index(attr)]
        if base.kind == "data":
            return self._data_attribute(base, attr)
        if base.kind == "estimator":
            return self.make(
                "estimator" if attr.endswith("_") and "estimator" in attr else "unknown",
                f"{base.name}.{attr}",
                (base,),
                items=base.items,
                objects=base.objects
                if "estimator" in attr or attr == "booster_"
                else None or frozenset(),
            )
        value = self.make("unknown", f"{base.name}.{attr}", (base,), maker=base.maker)
        value = self.hinted(attr, replace(value, role=base.role, sure=base.sure))
        for one in base.objects:
            self.heap[one, attr] = value
        return value

    def _data_attribute(self, base: Value, attr: str) -> Value:
        if attr in _META:
            return self.make("unknown", f"{base.name}.{attr}", (base,))
        if attr in _FRAME_ATTRIBUTES or attr.isidentifier():
            return self.derive(base, attr, columns=() if attr in _FRAME_ATTRIBUTES else (attr,))
        return base

    def _method(self, base: Value, attr: str) -> Value | None:
        cls = base if base.kind == "class" else self.class_of(base)
        owner = None if base.kind == "class" else base
        for _ in range(4):
            code = self.code.get(cls.id) if cls is not None else None
            if code is None or not isinstance(code.node, ast.ClassDef):
                return None
            for item in code.node.body:
                if isinstance(item, (ast.FunctionDef, ast.AsyncFunctionDef)) and item.name == attr:
                    return self._bound(item, code.frame, owner)
                if isinstance(item, ast.Assign) and any(
                    isinstance(t, ast.Name) and t.id == attr for t in item.targets
                ):
                    return self.eval(item.value, code.frame)
                if isinstance(item, ast.AnnAssign) and item.value is not None:
                    if isinstance(item.target, ast.Name) and item.target.id == attr:
                        return self.eval(item.value, code.frame)
            bases = [self.eval(b, code.frame) for b in code.node.bases[:3]]
            cls = next((b for b in bases if b.kind == "class"), None)
        return None

    def _bound(self, item: AnyFunction, frame: Frame, owner: Value | None) -> Value:
        marks = {getattr(d, "id", getattr(d, "attr", "")) for d in item.decorator_list}
        value = self.make("function", item.name)
        self.code[value.id] = Code(item, frame, None if "staticmethod" in marks else owner)
        if owner is not None and marks & {"property", "cached_property"}:
            return self.inline(value, (), {})
        return value

    def class_of(self, value: Value) -> Value | None:
        """Class, defined in this repository, of an object."""
        return next((self.classes[o] for o in sorted(value.objects) if o in self.classes), None)

    def _subscript(self, node: ast.Subscript, frame: Frame) -> Value:
        base = self.eval(node.value, frame)
        if base.kind == "sequence" and not isinstance(node.slice, ast.Slice):
            key = self.eval(node.slice, frame)
            if isinstance(key.const, int) and -len(base.items) <= key.const < len(base.items):
                return base.items[key.const]
            return self.element(base)
        if base.kind == "data" or (base.kind == "unknown" and _slices_rows(node.slice)):
            return self._taken(node, base, frame)
        key = self.eval(node.slice, frame)
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
        return replace(step, parents=(*step.parents, base))

    def _taken(self, node: ast.Subscript, base: Value, frame: Frame) -> Value:
        """Part of data: rows, columns, or both."""
        key: ast.expr = node.slice
        index = isinstance(node.value, ast.Attribute) and node.value.attr in ("loc", "iloc")
        if isinstance(key, ast.Tuple):
            for element in key.elts[1:]:
                self.eval(element, frame)
            first = key.elts[0] if key.elts else key
            if _is_whole(first):
                return self.derive(base, "columns", columns=())
            key, index = first, True
        if isinstance(key, ast.Slice):
            bounds = [self.eval(b, frame) for b in (key.lower, key.upper) if b is not None]
            if not bounds:
                return self.derive(base, "columns")
            return self.derive(base, "slice", *bounds, keep=False)
        value = self.eval(key, frame)
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
            self.heap[one, f"[{key}]"] = found
        return found

    def element(self, value: Value) -> Value:
        """What a loop over a value gives each time."""
        if value.kind == "sequence" and value.items:
            return self.join(value.items)
        if value.kind == "mapping" and value.keys:
            return self.make("constant")
        if value.kind == "data":
            return self.derive(value, "element", keep=False)
        return self.make("unknown", "element", (value,), role=value.role, sure=value.sure)

    def _display(self, node: ast.List | ast.Tuple | ast.Set, frame: Frame) -> Value:
        items = [self.eval(e, frame) for e in node.elts[:_MAX_ITEMS]]
        if any(isinstance(e, ast.Starred) for e in node.elts):
            items = [i for v in items for i in (v.items if v.kind == "sequence" else (v,))]
        return self.make("sequence", items=tuple(items))

    def _dict(self, node: ast.Dict, frame: Frame) -> Value:
        keys, items = [], []
        for key, value in list(zip(node.keys, node.values, strict=True))[:_MAX_ITEMS]:
            its = self.eval(value, frame)
            if key is None:
                keys += its.keys
                items += its.items[: len(its.keys)]
                continue
            name = self.eval(key, frame)
            keys.append(str(name.const) if name.known else "?")
            items.append(self.hinted(name.text, its) if name.text else its)
        return self.make("mapping", keys=tuple(keys), items=tuple(items))

    def _comprehension(
        self, node: ast.ListComp | ast.SetComp | ast.GeneratorExp | ast.DictComp, frame: Frame
    ) -> Value:
        inner = Frame(frame.view, {}, frame, frame.function)
        rounds: list[Value] = []
        for generator in node.generators[:4]:
            over = self.eval(generator.iter, inner)
            if len(node.generators) == 1 and 0 < len(over.items) <= _MAX_ROUNDS:
                rounds = list(over.items) if over.kind == "sequence" else []
            self.bind(generator.target, self.element(over), inner)
            for test in generator.ifs:
                self.eval(test, inner)
        if isinstance(node, ast.DictComp):
            self.eval(node.key, inner)
            return self.make("mapping", parents=(self.eval(node.value, inner),))
        if not rounds:
            return self.make("sequence", "each", items=(self.eval(node.elt, inner),))
        items = []
        for one in rounds:
            self.bind(node.generators[0].target, one, inner)
            items.append(self.eval(node.elt, inner))
        return self.make("sequence", items=tuple(items))

    def _either(self, node: ast.IfExp, frame: Frame) -> Value:
        truth = self._truth(node.test, frame)
        if truth is not None:
            return self.eval(node.body if truth else node.orelse, frame)
        return self.join((self.eval(node.body, frame), self.eval(node.orelse, frame)))

    def _logic(self, node: ast.BoolOp, frame: Frame) -> Value:
        values = [self.eval(v, frame) for v in node.values[:_MAX_ITEMS]]
        if all(v.kind == "constant" and v.known for v in values):
            truths = [bool(v.const) for v in values]
            return self.constant(all(truths) if isinstance(node.op, ast.And) else any(truths))
        return (
            self.join(values)
            if isinstance(node.op, ast.Or)
            else self.make("unknown", parents=values)
        )

    def _unary(self, node: ast.UnaryOp, frame: Frame) -> Value:
        value = self.eval(node.operand, frame)
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
        left, right = self.eval(node.left, frame), self.eval(node.right, frame)
        if left.text and right.text or (left.text and isinstance(node.op, (ast.Div, ast.Add))):
            between = "/" if isinstance(node.op, ast.Div) else ""
            if isinstance(node.op, (ast.Add, ast.Div)):
                return self._text(f"{left.text}{between}{right.text or '{}'}", (left, right))
        if left.kind == right.kind == "constant" and left.known and right.known:
            return self._arithmetic(node.op, left, right)
        if "mask" in (left.kind, right.kind):
            return self.make("mask", "and", (left, right), rows=left.rows)
        result = self._combined(left, right, "arithmetic")
        if isinstance(node.op, (ast.Sub, ast.Div)) and result.kind == "data":
            return self.library(self, _standardised(node, frame, left, right, result))
        return result

    def _arithmetic(self, op: ast.operator, left: Value, right: Value) -> Value:
        a, b = left.const, right.const
        if isinstance(a, (int, float)) and isinstance(b, (int, float)) and abs(a) + abs(b) < 1e9:  # noqa: PLR2004
            if isinstance(op, ast.Add):
                return self.constant(a + b)
            if isinstance(op, ast.Sub):
                return self.constant(a - b)
            if isinstance(op, ast.Mult):
                return self.constant(a * b)
            if isinstance(op, ast.Div) and b:
                return self.constant(a / b)
        return self.make("unknown", parents=(left, right))

    def _combined(self, left: Value, right: Value, name: str) -> Value:
        data = next((v for v in (left, right) if v.kind == "data" and not v.statistic), None)
        if data is not None:
            other = right if data is left else left
            return self.derive(data, name, other, columns=data.columns)
        if left.kind == right.kind == "sequence":
            return self.make("sequence", items=(*left.items, *right.items)[:_MAX_ITEMS])
        statistic = left.statistic or right.statistic
        return self.make("unknown", name, (left, right), statistic=statistic)

    def _compare(self, node: ast.Compare, frame: Frame) -> Value:
        left = self.eval(node.left, frame)
        others = [self.eval(c, frame) for c in node.comparators[:8]]
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
        return self.make("text", parents=parents, const=text[:_MAX_TEXT])

    def _joined(self, node: ast.JoinedStr, frame: Frame) -> Value:
        parts, parents = [], []
        for one in node.values[:_MAX_ITEMS]:
            value = self.eval(one.value if isinstance(one, ast.FormattedValue) else one, frame)
            parents.append(value)
            plain = value.kind in ("constant", "text") and value.const is not None
            parts.append(str(value.const) if plain else "{}")
        return self._text("".join(parts), parents)

    def _lambda(self, node: ast.Lambda, frame: Frame) -> Value:
        value = self.make("function", "lambda")
        self.code[value.id] = Code(node, frame)
        return value

    def _walrus(self, node: ast.NamedExpr, frame: Frame) -> Value:
        value = self.eval(node.value, frame)
        self.bind(node.target, value, frame)
        return value

    def _inner(self, node: ast.Await | ast.Starred | ast.YieldFrom, frame: Frame) -> Value:
        return self.eval(node.value, frame)

    # --- calls ------------------------------------------------------------------------------

    def _call(self, node: ast.Call, frame: Frame) -> Value:
        func = node.func
        receiver: Value | None = None
        if isinstance(func, ast.Attribute):
            receiver = self.eval(func.value, frame)
            callee = self._callee(receiver, func.attr, frame)
            last = func.attr
        else:
            callee = self.eval(func, frame)
            last = callee.name.rpartition(".")[2] if callee.kind == "ref" else ""
            last = last or getattr(func, "id", callee.last)
        args: list[Value] = []
        for arg in node.args[:_MAX_ITEMS]:
            value = self.eval(arg, frame)
            if isinstance(arg, ast.Starred) and value.kind == "sequence" and value.items:
                args.extend(value.items)
            else:
                args.append(value)
        named, spread = self._keywords(node, frame)
        spread = (
            spread
            or any(isinstance(a, ast.Starred) for a in node.args)
            and not all(v.known or v.kind != "unknown" for v in args)
        )
        if callee is not None and callee.id in self.code:
            if callee.kind == "class":
                return self.instance(callee, args, named, frame)
            if self._may_inline(callee):
                result = self.inline(callee, args, named)
                return self._after(node, frame, callee, last, receiver, args, named, result)
        name = callee.name if callee is not None and callee.kind in ("ref", "function") else ""
        if not name and receiver is not None:
            name = f"{receiver.name or '?'}.{last}"
        site = Site(node, frame, name or last, last, receiver, callee, tuple(args), named, spread)
        return self.library(self, site)

    def _after(  # noqa: PLR0913, PLR0917 - the parts of a call
        self,
        node: ast.Call,
        frame: Frame,
        callee: Value,
        last: str,
        receiver: Value | None,
        args: Sequence[Value],
        named: Mapping[str, Value],
        result: Value,
    ) -> Value:
        """Let the library see calls of local functions whose names say more than their bodies."""
        name = callee.name
        if receiver is not None and receiver.kind == "estimator":
            name = f"{receiver.name}.{last}"
        site = Site(node, frame, name, last, receiver, result, tuple(args), named, False, True)
        return self.library(self, site)

    def _callee(self, receiver: Value, attr: str, frame: Frame) -> Value | None:
        """What a method call runs, if that is known."""
        if receiver.kind == "ref":
            return self.reference(f"{receiver.name}.{attr}", frame)
        for one in receiver.objects:
            known = self.heap.get((one, attr))
            if known is not None:
                return known
        if receiver.kind == "function" and attr in _SUBMITS:
            return receiver
        if receiver.kind in ("object", "estimator", "class"):
            return self._method(receiver, attr)
        if receiver.kind == "mapping" and attr in receiver.keys:
            return receiver.items[receiver.keys.index(attr)]
        return None

    def _keywords(self, node: ast.Call, frame: Frame) -> tuple[dict[str, Value], bool]:
        named: dict[str, Value] = {}
        spread = False
        for keyword in node.keywords[:_MAX_ITEMS]:
            value = self.eval(keyword.value, frame)
            if keyword.arg is not None:
                named[keyword.arg] = value
            elif value.kind == "mapping" and value.keys and "?" not in value.keys:
                named.update(zip(value.keys, value.items, strict=False))
            else:
                spread = True
        return named, spread

    def _may_inline(self, callee: Value) -> bool:
        node = self.code[callee.id].node
        return not self.over and len(self._stack) < _MAX_CALLS and node not in self._stack

    def inline(
        self, callee: Value, args: Sequence[Value], named: Mapping[str, Value], within: str = ""
    ) -> Value:
        """Run a local function with values for its parameters; give what it returns."""
        code = self.code[callee.id]
        node = code.node
        if isinstance(node, ast.ClassDef) or not self._may_inline(callee):
            return self.make("unknown", callee.name, (*args, *named.values()))
        self.entered.add(node)
        inside = getattr(node, "name", "") or code.frame.function
        frame = Frame(code.frame.view, {}, code.frame, inside)
        self._stack.append(node)
        if within:
            self._within.append(within)
        values = (code.owner, *args) if code.owner is not None else tuple(args)
        self._parameters(node, values, named, frame)
        if isinstance(node, ast.Lambda):
            result = self.eval(node.body, frame)
        else:
            self.block(node.body, frame)
            result = self._result(node, frame)
        if within:
            self._within.pop()
        self._stack.pop()
        return result

    def _result(self, node: AnyFunction, frame: Frame) -> Value:
        if frame.yields:
            return self.make("sequence", "each", items=(self.join(frame.returned),))
        if not frame.returned and _is_component(node):
            names = tuple(a.arg for a in (*node.args.args, *node.args.kwonlyargs))
            items = tuple(frame.env.get(n) or self.make("unknown", n) for n in names)
            outputs = self.make("mapping", "outputs", keys=names, items=items)
            result = self.make("object", node.name)
            self.heap[result.id, "outputs"] = outputs
            if items:
                self.heap[result.id, "output"] = items[-1]
            return result
        return self.join(frame.returned) if frame.returned else self.constant(None)

    def _parameters(
        self, node: Body, args: Sequence[Value], named: Mapping[str, Value], frame: Frame
    ) -> None:
        spec = node.args
        plain = [*spec.posonlyargs, *spec.args]
        defaults: dict[str, ast.expr] = {}
        for arg, default in zip(reversed(plain), reversed(spec.defaults), strict=False):
            defaults[arg.arg] = default
        for arg, kw_default in zip(spec.kwonlyargs, spec.kw_defaults, strict=False):
            if kw_default is not None:
                defaults[arg.arg] = kw_default
        entry = len(self._stack) == 1 and not args and not named
        outer = frame.outer or frame
        for i, arg in enumerate((*plain, *spec.kwonlyargs)):
            if i < len(args) and i < len(plain):
                value = args[i]
            elif arg.arg in named:
                value = named[arg.arg]
            elif arg.arg in defaults and not entry:
                value = self.eval(defaults[arg.arg], outer)
            else:
                value = self.make("unknown", "parameter")
            if value.kind == "data" or value.known:
                frame.env[arg.arg] = value
                self.labels.setdefault(value.id, arg.arg)
            else:
                frame.env[arg.arg] = self.hinted(arg.arg, value)
        if spec.vararg is not None:
            frame.env[spec.vararg.arg] = self.make("sequence", items=tuple(args[len(plain) :]))
        if spec.kwarg is not None:
            known = {a.arg for a in (*plain, *spec.kwonlyargs)}
            rest = {k: v for k, v in named.items() if k not in known}
            frame.env[spec.kwarg.arg] = self.make(
                "mapping", keys=tuple(rest), items=tuple(rest.values())
            )

    def instance(
        self, cls: Value, args: Sequence[Value] | None, named: Mapping[str, Value], frame: Frame
    ) -> Value:
        """Make an object of a local class and run its `__init__`; args None: nothing is known."""
        code = self.code[cls.id]
        assert isinstance(code.node, ast.ClassDef)  # noqa: S101 - for the type checker
        bases = [self.eval(b, code.frame) for b in code.node.bases[:4]]
        given = tuple(args or ()) + tuple(named.values())
        roles = {v.role for v in given if v.role}
        made = self.make("object", cls.name, given, role=roles.pop() if len(roles) == 1 else "")
        base = next((b for b in bases if b.kind == "ref" and is_estimator_base(b.name)), None)
        if base is None:
            inner = next((b for b in bases if b.kind == "class" and b.id in self.code), None)
            base = self._base_of(inner) if inner is not None else None
        if base is not None:
            made = replace(made, kind="estimator", name=f"{base.name}:{cls.name}", parents=())
        self.classes[made.id] = cls
        init = self._method(made, "__init__")
        if init is not None and init.id in self.code:
            self.inline(init, args or (), named)
        elif named:
            for key, value in named.items():
                self.heap[made.id, key] = value
        self.heap.setdefault((made.id, "__frame__"), self.make("unknown", frame.view.path))
        return made

    def _base_of(self, cls: Value) -> Value | None:
        code = self.code[cls.id]
        if not isinstance(code.node, ast.ClassDef):
            return None
        bases = [self.eval(b, code.frame) for b in code.node.bases[:4]]
        return next((b for b in bases if b.kind == "ref" and is_estimator_base(b.name)), None)


_TAKING: Final = frozenset(
    "slice mask rows rest sample head tail take skip query filter limit fold loc iloc permutation"
    " select".split()
)
_STRONGEST: Final[tuple[Kind, ...]] = (
    "estimator", "data", "object", "mask", "sequence", "mapping", "file", "function", "class",
)  # fmt: skip
_KEYED: Final = frozenset(("datasets.load_dataset", "load_dataset", "splits", "DatasetDict"))
_BASES: Final = (
    "BaseEstimator", "TransformerMixin", "ClassifierMixin", "RegressorMixin", "Module",
    "LightningModule", "PreTrainedModel", "Model", "PythonModel",
)  # fmt: skip


def is_estimator_base(name: str) -> bool:
    """Tell whether a class that is inherited makes its heirs estimators."""
    return name.rpartition(".")[2] in _BASES and "pydantic" not in name and "db" not in name


def _copied(value: Value, role: Role) -> dict[str, Any]:
    return {
        "name": value.name,
        "parents": (value,),
        "rows": value.rows,
        "role": role,
        "sure": value.sure,
        "maker": value.maker,
        "columns": value.columns,
        "objects": value.objects,
        "items": value.items,
    }


def _called_names(view: View) -> frozenset[str]:
    found = set()
    for call in view.calls:
        func = call.func
        found.add(func.id if isinstance(func, ast.Name) else getattr(func, "attr", ""))
    return frozenset(found)


def _children(node: ast.AST) -> list[ast.expr]:
    return [n for n in ast.iter_child_nodes(node) if isinstance(n, ast.expr)][:_MAX_ITEMS]


def _is_main(test: ast.Compare) -> bool:
    return isinstance(test.left, ast.Name) and test.left.id == "__name__"


def _is_component(node: AnyFunction) -> bool:
    for decorator in node.decorator_list:
        named = decorator.func if isinstance(decorator, ast.Call) else decorator
        text = getattr(named, "attr", getattr(named, "id", ""))
        if "component" in text:
            return True
    return False


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
        return any(w in text for w in _COLUMN_WORDS) or len(text) <= 2 or text.isupper()  # noqa: PLR2004
    return not isinstance(node, ast.Call)


def _standardised(node: ast.BinOp, frame: Frame, left: Value, right: Value, result: Value) -> Site:
    """`x - x.mean()` seen as a call."""
    call = ast.Call(func=ast.Name(id="by hand", ctx=ast.Load()), args=[], keywords=[])
    ast.copy_location(call, node)
    ast.copy_location(call.func, node)
    return Site(call, frame, "by hand", "by hand", None, None, (left, right, result), {}, False)  # noqa: FBT003


_STATEMENTS: Final[dict[type, Callable[..., Any]]] = {
    ast.Assign: Machine._assign,  # noqa: SLF001 - this module's own
    ast.AnnAssign: Machine._annotated,  # noqa: SLF001
    ast.AugAssign: Machine._augmented,  # noqa: SLF001
    ast.Expr: Machine._expression,  # noqa: SLF001
    ast.Return: Machine._return,  # noqa: SLF001
    ast.If: Machine._if,  # noqa: SLF001
    ast.For: Machine._for,  # noqa: SLF001
    ast.AsyncFor: Machine._for,  # noqa: SLF001
    ast.While: Machine._while,  # noqa: SLF001
    ast.With: Machine._with,  # noqa: SLF001
    ast.AsyncWith: Machine._with,  # noqa: SLF001
    ast.Try: Machine._try,  # noqa: SLF001
    ast.Match: Machine._match,  # noqa: SLF001
    ast.FunctionDef: Machine._define,  # noqa: SLF001
    ast.AsyncFunctionDef: Machine._define,  # noqa: SLF001
    ast.ClassDef: Machine._define,  # noqa: SLF001
    ast.Raise: Machine._raise,  # noqa: SLF001
    ast.Continue: Machine._ends,  # noqa: SLF001
    ast.Break: Machine._ends,  # noqa: SLF001
}
_EXPRESSIONS: Final[dict[type, Callable[..., Value]]] = {
    ast.Constant: Machine._constant,  # noqa: SLF001
    ast.Name: Machine._name,  # noqa: SLF001
    ast.Attribute: Machine._attribute,  # noqa: SLF001
    ast.Subscript: Machine._subscript,  # noqa: SLF001
    ast.Call: Machine._call,  # noqa: SLF001
    ast.List: Machine._display,  # noqa: SLF001
    ast.Tuple: Machine._display,  # noqa: SLF001
    ast.Set: Machine._display,  # noqa: SLF001
    ast.Dict: Machine._dict,  # noqa: SLF001
    ast.ListComp: Machine._comprehension,  # noqa: SLF001
    ast.SetComp: Machine._comprehension,  # noqa: SLF001
    ast.GeneratorExp: Machine._comprehension,  # noqa: SLF001
    ast.DictComp: Machine._comprehension,  # noqa: SLF001
    ast.IfExp: Machine._either,  # noqa: SLF001
    ast.BoolOp: Machine._logic,  # noqa: SLF001
    ast.UnaryOp: Machine._unary,  # noqa: SLF001
    ast.BinOp: Machine._binary,  # noqa: SLF001
    ast.Compare: Machine._compare,  # noqa: SLF001
    ast.JoinedStr: Machine._joined,  # noqa: SLF001
    ast.Lambda: Machine._lambda,  # noqa: SLF001
    ast.NamedExpr: Machine._walrus,  # noqa: SLF001
    ast.Await: Machine._inner,  # noqa: SLF001
    ast.Starred: Machine._inner,  # noqa: SLF001
    ast.YieldFrom: Machine._inner,  # noqa: SLF001
}
