"""What the interpreter behind `trace` is made of: frames, calls, values and events."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Final, Protocol, TypeAlias, TypeVar

from mlops_advisor.tools.evidence.trace_model import Const, Event, Kind, Role, Step, Value
from mlops_advisor.tools.evidence.view import AnyFunction, View

E = TypeVar("E", bound=Event)
Body: TypeAlias = AnyFunction | ast.Lambda

MAX_STEPS: Final = 25_000
MAX_NEST: Final = 130  # nodes inside each other, over all functions
MAX_EVENTS: Final = 4_000
MAX_ITEMS: Final = 60
MAX_ROUNDS: Final = 4  # of a loop over a literal list
MAX_TEXT: Final = 300
_STRONGEST: Final[tuple[Kind, ...]] = (
    "estimator", "data", "object", "mask", "sequence", "mapping", "file", "function", "class",
)  # fmt: skip


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


@dataclass(slots=True, eq=False)
class Code:
    """What a function or class value runs."""

    node: Body | ast.ClassDef
    frame: Frame
    owner: Value | None = None  # `self` of a bound method


@dataclass(slots=True, eq=False)
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

    def changed(
        self,
        *,
        name: str | None = None,
        args: tuple[Value, ...] | None = None,
        named: Mapping[str, Value] | None = None,
    ) -> Site:
        """Make the same call under another name, or with other arguments."""
        return Site(
            self.node, self.frame, self.name if name is None else name, self.last, self.receiver,
            self.callee, self.args if args is None else args,
            self.named if named is None else named, self.spread, self.local,
        )  # fmt: skip

    def arg(self, name: str, position: int = -1) -> Value | None:
        """Argument by keyword or position."""
        if name in self.named:
            return self.named[name]
        return self.args[position] if 0 <= position < len(self.args) else None

    @property
    def given(self) -> tuple[Value, ...]:
        """All arguments."""
        return (*self.args, *self.named.values())


class Base:
    """State of one run, and how values and events are made.  The parts below add to it."""

    statements: ClassVar[Mapping[type, Callable[..., Any]]] = {}
    expressions: ClassVar[Mapping[type, Callable[..., Value]]] = {}

    def __init__(self, view: View, modules: Modules, library: Callable[[Any, Site], Value]) -> None:
        """Prepare a run; nothing is run yet."""
        self.view = view
        self.modules = modules
        self.library = library
        self.events: list[Event] = []
        self.labels: dict[int, str] = {}
        self.heap: dict[tuple[int, str], Value] = {}
        self.borrowed = False  # the heap belongs to another branch, and is copied when written
        self.code: dict[int, Code] = {}
        self.classes: dict[int, Value] = {}  # object -> its class
        self.entered: set[ast.AST] = set()
        self.parts: dict[tuple[int, int], Any] = {}  # splits by hand: see trace_calls
        self.scores: set[int] = set()  # ids of the results of measures
        self.steps = 0
        self.entry = 0
        self._ids = 0
        self.nest = 0
        self.forks = 0
        self.muted = 0
        self.stack: list[ast.AST] = []
        self.within: list[str] = []
        self.branch: list[tuple[int, int]] = []
        self.loops: list[int] = []
        self.calls: list[Step] = []
        self.frames: dict[str, Frame] = {}
        self.refs: dict[str, Value] = {}

    # --- values -----------------------------------------------------------------------------

    @property
    def over(self) -> bool:
        """True when the budget is used up."""
        return self.steps > MAX_STEPS or len(self.events) >= MAX_EVENTS

    def make(  # noqa: PLR0913
        self,
        kind: Kind,
        name: str = "",
        parents: Sequence[Value] = (),
        *,
        rows: int = 0,
        role: Role = "",
        sure: bool = False,
        **more: Any,  # noqa: ANN401
    ) -> Value:
        """Make a value with a new id; its rows are its own unless given."""
        one = self._ids = self._ids + 1
        made = Value(one, kind, name, "", 0, tuple(parents), rows or one, role, sure)
        made.objects = frozenset((one,))
        for field_name, value in more.items():
            setattr(made, field_name, value)
        return made

    def put(self, key: tuple[int, str], value: Value) -> None:
        """Set an attribute or item of an object."""
        if self.borrowed:
            self.heap, self.borrowed = dict(self.heap), False
        self.heap[key] = value

    def constant(self, const: Const) -> Value:
        """Make a constant."""
        one = self._ids = self._ids + 1
        return Value(
            one, "constant", "", "", 0, (), one, "", False, (), True, const, (), (), None, 0,  # noqa: FBT003
            frozenset((one,)),
        )  # fmt: skip

    def derive(
        self,
        base: Value,
        name: str,
        *parents: Value,
        keep: bool = True,
        **more: Any,  # noqa: ANN401
    ) -> Value:
        """Make data from data: with the same rows if `keep`, with the same role unless given."""
        one = self._ids = self._ids + 1
        rows = base.rows if keep else one
        made = Value(one, "data", name, "", 0, (base, *parents), rows, base.role, base.sure)
        made.objects = frozenset((one,))
        if keep:
            made.columns = base.columns
        for field_name, value in more.items():
            setattr(made, field_name, value)
        return made

    def join(self, values: Iterable[Value]) -> Value:
        """Give what may be one of several values."""
        different: dict[int, Value] = {v.id: v for v in values}
        found = list(different.values())[:MAX_ITEMS]
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
        best = next(v for v in useful if kind in (v.kind, "unknown"))
        joined = self.make(
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
        if best.id in self.code:
            self.code[joined.id] = self.code[best.id]
        return joined

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
        if self.muted or len(self.events) >= MAX_EVENTS:
            return
        self.events.append(
            cls(
                order=len(self.events),
                path=frame.view.path,
                line=line,
                name=name,
                entry=self.entry,
                function=frame.function,
                branch=tuple(self.branch),
                within=tuple(self.within),
                loops=tuple(self.loops),
                calls=tuple(self.calls),
                **fields,
            )
        )

    # --- what the parts need of each other --------------------------------------------------

    def value_of(self, node: ast.expr | None, frame: Frame) -> Value:
        """Value of an expression."""
        raise NotImplementedError

    def inline(
        self, callee: Value, args: Sequence[Value], named: Mapping[str, Value], within: str = ""
    ) -> Value:
        """Run a local function with values for its parameters; give what it returns."""
        raise NotImplementedError

    def block(self, body: Sequence[ast.stmt], frame: Frame) -> bool:
        """Run statements; True when they end the function or the round of a loop."""
        raise NotImplementedError

    def module(self, view: View) -> Frame:
        """Frame of another module: its definitions, and its assignments at the top level."""
        raise NotImplementedError
