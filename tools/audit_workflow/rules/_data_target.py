"""Which columns go into a model: pairs of features and target, and what the features leave out."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Final

from mlops_advisor.tools.audit_workflow.rules._called import called
from mlops_advisor.tools.audit_workflow.rules._data_frames import listed
from mlops_advisor.tools.evidence.parse.python import dotted
from mlops_advisor.tools.evidence.view import View

_PAIRS: Final = {
    "train_test_split": (0, 1),
    "fit": (0, 1),
    "cross_val_score": (1, 2),
    "cross_validate": (1, 2),
    "cross_val_predict": (1, 2),
    "fit_resample": (0, 1),
    "DMatrix": (0, 1),
    "Dataset": (0, 1),
    "Pool": (0, 1),
}
_Y_NAMES: Final = ("y", "label", "target", "y_train", "labels")
_X_NAMES: Final = ("X", "data", "x", "X_train")
_KEEP: Final = frozenset(
    "copy astype fillna reset_index to_numpy dropna set_index sort_values sort_index replace"
    " interpolate ffill bfill drop_duplicates rename_axis select_dtypes round clip".split()
)
_READS: Final = re.compile(r"^(?:read_\w+|load_data|load_csv|concat|merge|toPandas)$")
_PART: Final = re.compile(r"(?i)_?(?:train|test|val|valid|full|all)\w{0,10}$")
_MAX_STEPS: Final = 12
_MAX_PAIRS: Final = 300
_SOME: Final = "*"  # stands for columns that are dropped and not known


@dataclass(frozen=True, slots=True)
class Features:
    """Columns of a feature frame: `names` only, or with `rest` all of `frame` but `names`.

    `via` are the variables that the frame went through.
    """

    line: int
    frame: str
    names: frozenset[str]
    rest: bool
    via: frozenset[str] = frozenset()

    def without(self, gone: frozenset[str], line: int = 0) -> Features:
        """Take columns away."""
        names = self.names | gone if self.rest else self.names - gone
        return replace(self, names=names, line=line or self.line)


@dataclass(frozen=True, slots=True)
class Pair:
    """What one call learns from: features, and the column that is the target."""

    line: int
    features: Features
    target: str
    frame: str
    target_line: int
    scope: ast.AST

    @property
    def one_frame(self) -> bool:
        """True when features and target come from one frame, or from parts of one."""
        a, b = self.features.frame, self.frame
        return b in (a, *self.features.via) or (
            _PART.sub("", a) == _PART.sub("", b) and bool(_PART.sub("", a))
        )

    @property
    def known(self) -> bool:
        """True when all columns that were dropped are known."""
        return _SOME not in self.features.names

    def holds(self, column: str) -> bool:
        """Tell whether a column is among the features."""
        return (column in self.features.names) != self.features.rest


def pairs_of(view: View) -> list[Pair]:
    """Pairs of features and target that are split or fitted, each known pair once."""
    reader = _Reader(view)
    gone = frozenset(dropped_anywhere(view))
    found: dict[tuple[int, str], Pair] = {}
    calls = [c for c in view.calls if called(c) in _PAIRS]
    for call in calls[:_MAX_PAIRS]:
        x, y = _given(call)
        if x is None or y is None:
            continue
        target = reader.target(y, call)
        features = reader.features(x, call, 0)
        if target is not None and features is not None:
            name, frame, line = target
            if called(call) == "train_test_split" and name in gone:
                continue  # taken out after the split; the fit tells
            pair = Pair(call.lineno, features, name, frame, line, view.scope(call))
            found.setdefault((features.line, name), pair)
    return list(found.values())


def _given(call: ast.Call) -> tuple[ast.expr | None, ast.expr | None]:
    """Features and target that a call is given, by place or by name."""
    at_x, at_y = _PAIRS[called(call)]
    x = call.args[at_x] if len(call.args) > at_x else _named(call, _X_NAMES)
    y = call.args[at_y] if len(call.args) > at_y else _named(call, _Y_NAMES)
    return x, y


def _named(call: ast.Call, names: tuple[str, ...]) -> ast.expr | None:
    return next((k.value for k in call.keywords if k.arg in names), None)


def drop_names(
    view: View, call: ast.Call, changed: frozenset[str] = frozenset()
) -> frozenset[str] | None:
    """Columns that `frame.drop(...)` takes away; None when not all are known, or it drops rows.

    `changed` are lists that are changed in place, of which the literal says nothing.
    """
    columns = next((k.value for k in call.keywords if k.arg == "columns"), None)
    if columns is None:
        axis = view.literal(view.arg(call, "axis", 1))
        labels = view.arg(call, "labels", 0)
        if axis not in (1, "columns"):
            return None if axis is not None or labels is None else frozenset()
        columns = labels
    names = None if columns is not None and dotted(columns) in changed else listed(view, columns)
    return None if names is None else frozenset(names)


@dataclass(slots=True)
class _Reader:
    """Follows names of one module backwards, from where they are used."""

    view: View
    splits: dict[tuple[ast.AST, str], list[tuple[int, ast.Call, int]]] = field(init=False)
    removals: dict[tuple[ast.AST, str], list[tuple[int, frozenset[str]]]] = field(init=False)
    changed: frozenset[str] = field(init=False)

    def __post_init__(self) -> None:
        changed = {
            dotted(c.func.value)
            for c in self.view.calls
            if isinstance(c.func, ast.Attribute)
            and c.func.attr in ("remove", "append", "extend", "pop", "insert")
        }
        changed.update(dotted(a.target) for a in self.view.of(ast.AugAssign))
        self.changed = frozenset(changed)
        self.splits = self._splits()
        self.removals = self._removals()

    def _splits(self) -> dict[tuple[ast.AST, str], list[tuple[int, ast.Call, int]]]:
        """Names that a split of rows gives: `X_train, X_test, ... = train_test_split(...)`."""
        found: dict[tuple[ast.AST, str], list[tuple[int, ast.Call, int]]] = {}
        for node in self.view.of(ast.Assign):
            target, value = node.targets[0], node.value
            if not isinstance(target, ast.Tuple) or not isinstance(value, ast.Call):
                continue
            if called(value) == "train_test_split":
                scope = self.view.scope(node)
                for i, element in enumerate(target.elts):
                    if isinstance(element, ast.Name):
                        found.setdefault((scope, element.id), []).append((node.lineno, value, i))
        return found

    def _removals(self) -> dict[tuple[ast.AST, str], list[tuple[int, frozenset[str]]]]:
        """Columns that are taken out of a frame in place, or by `df = df.drop(...)`."""
        view = self.view
        found: dict[tuple[ast.AST, str], list[tuple[int, frozenset[str]]]] = {}
        for deleted in view.of(ast.Delete):
            for target in deleted.targets:
                if isinstance(target, ast.Subscript):
                    key = (view.scope(deleted), dotted(target.value))
                    names = frozenset((view.column(target) or _SOME,))
                    found.setdefault(key, []).append((deleted.lineno, names))
        for call in view.calls:
            gone = self._taken(call)
            if gone is not None and isinstance(call.func, ast.Attribute):
                key = (view.scope(call), dotted(call.func.value))
                found.setdefault(key, []).append((call.lineno, gone))
        return found

    def _taken(self, call: ast.Call) -> frozenset[str] | None:
        """Columns that one call takes out of its frame for good; None when it does not."""
        func, view = call.func, self.view
        if not isinstance(func, ast.Attribute):
            return None
        if func.attr == "pop" and call.args:
            name = view.literal(call.args[0])
            return frozenset((name if isinstance(name, str) else _SOME,))
        if func.attr != "drop":
            return None
        parent = view.parent(call)
        back = isinstance(parent, ast.Assign) and dotted(parent.targets[0]) == dotted(func.value)
        if back or view.literal(view.arg(call, "inplace")) is True:
            names = drop_names(view, call, self.changed)
            return frozenset((_SOME,)) if names is None else names
        return None

    def before(self, name: str, use: ast.AST) -> tuple[ast.expr, ast.AST] | None:
        """Find what a name was given last before it is used, in the same function."""
        line = getattr(use, "lineno", 0)
        best: tuple[ast.expr, ast.AST] | None = None
        for value in self.view.assigned.get(self.view.scope(use), {}).get(name, ())[:200]:
            statement = self.view.statement(value)
            if statement is not None and statement.lineno < line:
                best = (value, statement)
        return best

    def split(self, name: str, use: ast.AST) -> tuple[ast.expr, ast.Call] | None:
        """Find what was split to give a name: X for X_train, y for y_test."""
        line = getattr(use, "lineno", 0)
        found = [s for s in self.splits.get((self.view.scope(use), name), ()) if s[0] < line]
        if not found:
            return None
        _, call, i = found[-1]
        return (call.args[i // 2], call) if i // 2 < len(call.args) else None

    def removed(self, frame: str, use: ast.AST) -> frozenset[str]:
        """Columns taken out of a frame before it is used."""
        line = getattr(use, "lineno", 0)
        found: set[str] = set()
        for at, names in self.removals.get((self.view.scope(use), frame), ()):
            if at <= line:
                found |= names
        return frozenset(found)

    # --- the target -------------------------------------------------------------------------

    def target(self, node: ast.expr, use: ast.AST) -> tuple[str, str, int] | None:
        """Column, frame and line of a target; None when it is no known column of a frame."""
        at: tuple[ast.expr, ast.AST] | None = (node, use)
        for _ in range(_MAX_STEPS):
            if at is None:
                return None
            node, use = at
            if isinstance(node, ast.Subscript):
                return self._column(node)
            if (
                isinstance(node, ast.Attribute)
                and isinstance(node.value, ast.Name)
                and node.attr not in ("values", "T")
            ):
                return node.attr, node.value.id, node.lineno  # df.price
            at = self._nearer(node, use)
        return None

    def _column(self, node: ast.Subscript) -> tuple[str, str, int] | None:
        key: ast.expr = node.slice
        if isinstance(key, ast.List) and len(key.elts) == 1:
            key = key.elts[0]
        name, frame = self.view.literal(key), dotted(node.value)
        return (name, frame, node.lineno) if isinstance(name, str) and frame else None

    def _nearer(self, node: ast.expr, use: ast.AST) -> tuple[ast.expr, ast.AST] | None:
        """Go one step back: below a method, to what a name was given, to what was split."""
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            # What is popped is taken out of the frame: no leak.
            return None if node.func.attr == "pop" else (node.func.value, use)
        if isinstance(node, ast.Attribute):
            return node.value, use
        if isinstance(node, ast.Name):
            return self.before(node.id, use) or self.split(node.id, use)
        return None

    # --- the features -----------------------------------------------------------------------

    def features(self, node: ast.expr, use: ast.AST, depth: int) -> Features | None:
        """Columns of a feature frame; None when they are not known."""
        if depth > _MAX_STEPS:
            return None
        if isinstance(node, ast.Subscript):
            return self._selected(node, use, depth)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            return self._called(node, node.func, use, depth)
        if isinstance(node, ast.Attribute) and node.attr == "values":
            return self.features(node.value, use, depth + 1)
        return self._variable(node, use, depth) if isinstance(node, ast.Name) else None

    def _called(
        self, node: ast.Call, func: ast.Attribute, use: ast.AST, depth: int
    ) -> Features | None:
        if func.attr == "drop":
            return self._dropped(node, func.value, use, depth)
        if func.attr == "get_dummies" and node.args:
            return self.features(node.args[0], use, depth + 1)
        return self.features(func.value, use, depth + 1) if func.attr in _KEEP else None

    def _variable(self, node: ast.Name, use: ast.AST, depth: int) -> Features | None:
        given = self.before(node.id, use) or self.split(node.id, use)
        if given is None:
            return None
        value, where = given
        if isinstance(value, ast.Call) and _READS.match(called(value)):
            line = getattr(where, "lineno", value.lineno)
            found: Features | None = Features(line, node.id, frozenset(), rest=True)
        else:
            found = self.features(value, where, depth + 1)
        if found is None:
            return None
        found = found.without(self.removed(node.id, use))
        return replace(found, via=found.via | {node.id})

    def _selected(self, node: ast.Subscript, use: ast.AST, depth: int) -> Features | None:
        """Columns of `df[...]` and `df.loc[...]`; a mask of rows leaves them as they are."""
        key: ast.expr = node.slice
        base = node.value
        if isinstance(base, ast.Attribute) and base.attr == "loc":
            if not isinstance(key, ast.Tuple) or len(key.elts) != 2:  # noqa: PLR2004
                return None  # rows only
            key, base = key.elts[1], base.value
        names = listed(self.view, key)
        if names is None:
            rows = isinstance(key, (ast.BoolOp, ast.UnaryOp, ast.BinOp, ast.Slice)) or (
                isinstance(key, ast.Compare) and not dotted(key.left).endswith(".columns")
            )
            return self.features(base, use, depth + 1) if rows else None
        frame = dotted(base)
        fixed = not isinstance(key, ast.Constant) and dotted(key) not in self.changed
        return Features(node.lineno, frame, frozenset(names), rest=False) if fixed else None

    def _dropped(self, node: ast.Call, base: ast.expr, use: ast.AST, depth: int) -> Features | None:
        names = drop_names(self.view, node, self.changed)
        if names is None:
            return None
        below = self.features(base, use, depth + 1)
        if below is not None:
            return below.without(names, node.lineno)
        if not isinstance(base, ast.Name):
            return None
        return Features(node.lineno, base.id, names | self.removed(base.id, use), rest=True)


def dropped_anywhere(view: View) -> Iterator[str]:
    """Columns that the module drops from any frame, or uses to stratify and weigh."""
    for call in view.calls:
        if isinstance(call.func, ast.Attribute) and call.func.attr == "drop":
            yield from drop_names(view, call) or ()
        elif isinstance(call.func, ast.Attribute) and call.func.attr == "pop" and call.args:
            yield f"{view.literal(call.args[0])}"
    for node in view.of(ast.Delete):
        yield from (view.column(t) for t in node.targets)
    for keyword in view.of(ast.keyword):
        if keyword.arg in ("stratify", "groups", "sample_weight", "weight"):
            yield from (view.column(n) for n in view.walk(keyword.value))
