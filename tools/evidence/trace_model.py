"""What `trace` tells: abstract values, and events in the order in which a program would run.

A `Value` stands for what an expression gives when it is reached.  Values are compared by `id`;
estimators and other objects that a program changes in place keep their identity in `objects`, so
that the scaler fitted in one function is known again in another (`same`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Final, Literal, NamedTuple, TypeAlias, TypeVar

Role: TypeAlias = Literal["", "train", "test", "validation"]
Kind: TypeAlias = Literal[
    "unknown",
    "constant",  # `const` is its Python value; `known`
    "text",  # text of which parts are not known: `const` with `{}` for the holes
    "data",  # frame, array, tensor, loader, dataset
    "mask",  # boolean rows of data
    "estimator",  # a model or a preprocessor; `items` are its steps
    "object",  # instance of a class of this repository, `self`
    "sequence",  # tuple or list; `items` when its elements are known
    "mapping",  # dict; `keys` and `items`
    "ref",  # something imported
    "function",
    "class",
    "file",  # an open file; `const` is its path
]
Given: TypeAlias = Literal["yes", "no", "maybe"]
Const: TypeAlias = str | int | float | bool | None


_NONE: Final[Mapping[str, Value]] = {}


class Value:  # no dataclass: a trace makes hundreds of thousands
    """What an expression gives.  Never changed once it is made; `changed` makes another.

    `name` is the dotted name of the call, class or import that made it. Values with equal `rows`
    hold the same rows. `role` says which part of a split it is; it is `sure` when a split was
    seen, and only a hint when no more than a variable's name says so. `maker` is the estimator
    whose transform or predict gave it; `statistic` the rows of which it is a mean, a quantile and
    the like. `options` are the named arguments it was made with.
    """

    __slots__ = (
        "columns", "const", "id", "items", "keys", "kind", "known", "line", "maker", "name",
        "objects", "options", "parents", "path", "role", "rows", "statistic", "sure",
    )  # fmt: skip

    def __init__(  # noqa: PLR0913, PLR0917
        self,
        id: int,  # noqa: A002
        kind: Kind = "unknown",
        name: str = "",
        path: str = "",
        line: int = 0,
        parents: tuple[Value, ...] = (),
        rows: int = 0,
        role: Role = "",
        sure: bool = False,  # noqa: FBT001, FBT002
        columns: tuple[str, ...] = (),
        known: bool = False,  # noqa: FBT001, FBT002
        const: Const = None,
        items: tuple[Value, ...] = (),
        keys: tuple[str, ...] = (),
        maker: Value | None = None,
        statistic: int = 0,
        objects: frozenset[int] = frozenset(),
        options: Mapping[str, Value] = _NONE,
    ) -> None:
        """Keep what is known."""
        self.id = id
        self.kind: Kind = kind
        self.name = name
        self.path = path
        self.line = line
        self.parents = parents
        self.rows = rows
        self.role: Role = role
        self.sure = sure
        self.columns = columns
        self.known = known
        self.const = const
        self.items = items
        self.keys = keys
        self.maker = maker
        self.statistic = statistic
        self.objects = objects
        self.options = options

    def changed(self, **fields: Any) -> Value:  # noqa: ANN401
        """Make the same value, with its id, but for some fields."""
        made = Value(
            self.id, self.kind, self.name, self.path, self.line, self.parents, self.rows,
            self.role, self.sure, self.columns, self.known, self.const, self.items, self.keys,
            self.maker, self.statistic, self.objects, self.options,
        )  # fmt: skip
        for name, value in fields.items():
            setattr(made, name, value)
        return made

    @property
    def text(self) -> str:
        """Text of a constant or a path, `{}` for unknown parts; empty when it is none."""
        return self.const if isinstance(self.const, str) else ""

    @property
    def last(self) -> str:
        """Last part of the name: `StandardScaler`."""
        return self.name.rpartition(".")[2].removesuffix("()")

    def same(self, other: Value | None) -> bool:
        """Tell whether two values may be the same object."""
        return other is not None and not self.objects.isdisjoint(other.objects)

    def steps(self) -> Iterator[Value]:
        """Itself and the estimators inside: steps of a Pipeline, what a search tunes."""
        stack, seen = [self], 0
        while stack and seen < _MAX_STEPS:
            one = stack.pop(0)
            seen += 1
            yield one
            stack.extend(one.items)


_MAX_STEPS: Final = 60
_MAX_ANCESTORS: Final = 4_000


class Step(NamedTuple):
    """A call that led to an event; `bound` when it is a method, which holds its own data."""

    path: str
    line: int
    bound: bool


@dataclass(slots=True, kw_only=True, unsafe_hash=True)
class Event:
    """Something that the program does.

    `name` is the full name of the call. `branch` tells which sides of which conditions led here,
    `within` through which calls a function that was handed over is run (`study.optimize`).
    `loops` are the lines of the loops around the call, the outermost first. `calls` are the calls
    of functions of the repository that led here, the outermost first.
    `entry` is the number of the run: one for the top level, one for each function that nothing
    in the module calls. `function` is the name of the function that holds the line.
    """

    order: int
    path: str
    line: int
    name: str
    entry: int
    function: str = ""
    branch: tuple[tuple[int, int], ...] = ()
    within: tuple[str, ...] = ()
    loops: tuple[int, ...] = ()
    calls: tuple[Step, ...] = ()

    def excludes(self, other: Event) -> bool:
        """Tell whether the two stand on different sides of one condition."""
        sides = dict(self.branch)
        return any(sides.get(key, side) != side for key, side in other.branch)


@dataclass(slots=True, kw_only=True, unsafe_hash=True)
class Fit(Event):
    """An estimator learns from `data`.  `held` are the data it watches while it learns.

    `options` are the named arguments of the call (`early_stopping_rounds`, `callbacks`).
    Statistics by hand (`df.fillna(df.mean())`) are fits of an estimator named by the call.
    """

    estimator: Value
    data: Value
    target: Value | None = None
    held: tuple[Value, ...] = ()
    options: Mapping[str, Value] = field(default_factory=dict)


@dataclass(slots=True, kw_only=True, unsafe_hash=True)
class Transform(Event):
    """An estimator turns `data` into `result`."""

    estimator: Value
    data: Value
    result: Value


@dataclass(slots=True, kw_only=True, unsafe_hash=True)
class Split(Event):
    """Data are divided.

    `how`: call (train_test_split and the like), folds (cross-validation), slice (by hand).
    `shares` are the sizes of the parts as far as known, in the order of `parts`; `splitter` is the
    object that makes the folds, with the place where it was made; `sizes` are the arguments that
    say how large the parts are, by name.
    """

    sources: tuple[Value, ...]
    parts: tuple[Value, ...]
    how: Literal["call", "folds", "slice"]
    seed: Given
    shuffle: Given
    stratify: Given
    shares: tuple[float, ...] = ()
    splitter: Value | None = None
    sizes: Mapping[str, Value] = field(default_factory=dict)


@dataclass(slots=True, kw_only=True, unsafe_hash=True)
class Predict(Event):
    """A model answers for `data`."""

    estimator: Value
    data: Value
    result: Value


@dataclass(slots=True, kw_only=True, unsafe_hash=True)
class Score(Event):
    """A measure is taken: a metric of `values`, or a model's own score (`estimator` set)."""

    values: tuple[Value, ...]
    estimator: Value | None = None
    result: Value | None = None


@dataclass(slots=True, kw_only=True, unsafe_hash=True)
class Choice(Event):
    """The best of several measures is taken: `max(scores)`, `idxmax`, `sorted`."""

    values: tuple[Value, ...]


@dataclass(slots=True, kw_only=True, unsafe_hash=True)
class Save(Event):
    """An object is stored, logged or registered; `values` holds all that goes in."""

    values: tuple[Value, ...]
    target: str = ""


@dataclass(slots=True, kw_only=True, unsafe_hash=True)
class Load(Event):
    """A stored object is opened."""

    value: Value
    source: str = ""


@dataclass(slots=True, kw_only=True, unsafe_hash=True)
class Read(Event):
    """Data are read from a file, a table or a library of data sets."""

    value: Value
    source: str = ""


@dataclass(slots=True, kw_only=True, unsafe_hash=True)
class Write(Event):
    """Data are written to a file or a table."""

    value: Value
    target: str = ""


@dataclass(slots=True, kw_only=True, unsafe_hash=True)
class Select(Event):
    """Columns are taken from data, or dropped."""

    data: Value
    result: Value
    columns: tuple[str, ...]
    dropped: bool = False


@dataclass(slots=True, kw_only=True, unsafe_hash=True)
class Sort(Event):
    """Rows are put in order."""

    data: Value
    result: Value
    columns: tuple[str, ...]


@dataclass(slots=True, kw_only=True, unsafe_hash=True)
class Shuffle(Event):
    """Rows are put in random order, or drawn at random (`share` below 1, or 0 when not known)."""

    data: Value
    result: Value
    seed: Given
    share: float = 1.0


@dataclass(slots=True, kw_only=True, unsafe_hash=True)
class Resample(Event):
    """Rows are repeated, made up or left out to balance classes."""

    data: Value
    result: Value
    estimator: Value | None = None


@dataclass(slots=True, kw_only=True, unsafe_hash=True)
class Dated(Event):
    """Data are seen to be a series in time: a column parsed as a date, lagged, indexed."""

    data: Value
    column: str
    how: Literal["parsed", "lagged", "indexed", "accessed"]


@dataclass(slots=True, kw_only=True, unsafe_hash=True)
class Seeded(Event):
    """A global generator is seeded; `families` are those of numpy, random, torch, tensorflow."""

    families: frozenset[str]


E = TypeVar("E", bound=Event)


@dataclass(frozen=True, slots=True)
class Trace:
    """What one module does when it is run.  `complete` is False when the budget was used up."""

    path: str
    events: tuple[Event, ...] = ()
    complete: bool = True
    labels: Mapping[int, str] = field(default_factory=dict)
    _known: dict[tuple[type, ...], list[Any]] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    def of(self, *types: type[E]) -> list[E]:
        """Events of some types, in order."""
        found = self._known.get(types)
        if found is None:
            found = self._known[types] = [e for e in self.events if isinstance(e, types)]
        return found[:]

    def label(self, value: Value, default: str = "the data") -> str:
        """Name that a value was given in the program, or that of what it was made from."""
        near = islice(ancestors((value,)), _MAX_STEPS)
        return next((self.labels[v.id] for v in near if v.id in self.labels), default)


def ancestors(values: Iterable[Value]) -> Iterator[Value]:
    """Go through the values and all they were made from, the nearest first; each once."""
    queue = list(values)
    seen = {v.id for v in queue}
    at = 0
    while at < len(queue) and at < _MAX_ANCESTORS:
        one = queue[at]
        at += 1
        yield one
        for parent in (*one.parents, *one.items):
            if parent.id not in seen:
                seen.add(parent.id)
                queue.append(parent)


def origins(*values: Value) -> frozenset[int]:
    """Ids of the values and of all they were made from."""
    return frozenset(v.id for v in ancestors(values))


def rows_of(*values: Value) -> frozenset[int]:
    """Give the sets of rows that the values were made from."""
    return frozenset(v.rows for v in ancestors(values))
