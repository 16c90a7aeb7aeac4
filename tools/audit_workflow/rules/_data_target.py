"""Which columns go into a model: pairs of features and target, and what the features leave out."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from mlops_advisor.tools.audit_workflow.rules._data_frames import listed
from mlops_advisor.tools.evidence.view import View, dotted, last

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
_PART: Final = re.compile(r"(?i)_?(?:train|test|val|valid|full|all)\w{0,10}$")
_MAX_STEPS: Final = 12


@dataclass(frozen=True, slots=True)
class Features:
    """Columns of a feature frame: `names` only, or with `rest` all of `frame` but `names`."""

    line: int
    frame: str
    names: frozenset[str]
    rest: bool


@dataclass(frozen=True, slots=True)
class Pair:
    """What one call learns from: features, and the column that is the target."""

    line: int
    features: Features
    target: str
    frame: str
    target_line: int
    scope: ast.AST


def pairs_of(view: View) -> Iterator[Pair]:
    """Pairs of features and target that are split or fitted, each known pair once."""
    seen: set[tuple[int, str]] = set()
    for call in view.calls:
        short = last(dotted(call.func))
        places = _PAIRS.get(short)
        if places is None:
            continue
        x = call.args[places[0]] if len(call.args) > places[0] else _named(call, _X_NAMES)
        y = call.args[places[1]] if len(call.args) > places[1] else _named(call, _Y_NAMES)
        if x is None or y is None:
            continue
        target = _target(view, y, call)
        features = _features(view, x, call, 0)
        if target is None or features is None:
            continue
        name, frame, line = target
        if (features.line, name) not in seen:
            seen.add((features.line, name))
            yield Pair(call.lineno, features, name, frame, line, view.scope(call))


def _named(call: ast.Call, names: tuple[str, ...]) -> ast.expr | None:
    return next((k.value for k in call.keywords if k.arg in names), None)


def _before(view: View, node: ast.expr, use: ast.AST) -> tuple[ast.expr, ast.AST] | None:
    """Find what a name was given last before it is used, in the same function; (value, where)."""
    name = dotted(node)
    scope = view.scope(use)
    line = getattr(use, "lineno", 0)
    best: tuple[ast.expr, ast.AST] | None = None
    for value in view.assigned.get(scope, {}).get(name, ()):
        statement = view.statement(value)
        if statement is not None and statement.lineno < line:
            best = (value, statement)
    return best


def _unpacked(view: View, name: str, use: ast.AST) -> tuple[ast.Call, int] | None:
    """Find the split that gave a name: `X_train, X_test, y_train, y_test = split(X, y)`."""
    scope = view.scope(use)
    found: tuple[ast.Call, int] | None = None
    for node in view.of(ast.Assign):
        target = node.targets[0]
        if not isinstance(target, ast.Tuple) or not isinstance(node.value, ast.Call):
            continue
        if view.scope(node) is not scope or node.lineno >= getattr(use, "lineno", 0):
            continue
        for i, element in enumerate(target.elts):
            if isinstance(element, ast.Name) and element.id == name:
                found = (node.value, i)
    return found


def _target(
    view: View, node: ast.expr, use: ast.AST, depth: int = 0
) -> tuple[str, str, int] | None:
    """Column, frame and line of a target; None when it is not one known column of a frame."""
    for _ in range(_MAX_STEPS):
        if isinstance(node, ast.Subscript):
            key: ast.expr | None = node.slice
            if isinstance(key, ast.List) and len(key.elts) == 1:
                key = key.elts[0]
            name = view.literal(key)
            frame = dotted(node.value)
            return (name, frame, node.lineno) if isinstance(name, str) and frame else None
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            if node.func.attr == "pop":
                return None  # taken out of the frame: no leak
            node = node.func.value
        elif isinstance(node, ast.Attribute) and node.attr in ("values", "T"):
            node = node.value
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            return node.attr, node.value.id, node.lineno  # df.price
        elif isinstance(node, ast.Name) and depth < _MAX_STEPS:
            given = _before(view, node, use)
            if given is None:
                split = _unpacked(view, node.id, use)
                if split is None or last(dotted(split[0].func)) != "train_test_split":
                    return None
                call, i = split
                if i // 2 >= len(call.args):
                    return None
                return _target(view, call.args[i // 2], call, depth + 1)
            node, use = given
            depth += 1
        else:
            return None
    return None


def _features(view: View, node: ast.expr, use: ast.AST, depth: int) -> Features | None:
    """Columns of a feature frame; None when they are not known."""
    if depth > _MAX_STEPS:
        return None
    if isinstance(node, ast.Subscript):
        return _subscript(view, node, use, depth)
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
        short = node.func.attr
        if short == "drop":
            return _dropped(view, node, use, depth)
        if short in ("get_dummies",) and node.args:
            return _features(view, node.args[0], use, depth + 1)
        if short in _KEEP:
            return _features(view, node.func.value, use, depth + 1)
        return None
    if isinstance(node, ast.Attribute) and node.attr == "values":
        return _features(view, node.value, use, depth + 1)
    if not isinstance(node, ast.Name):
        return None
    given = _before(view, node, use)
    if given is None:
        split = _unpacked(view, node.id, use)
        if split is not None and last(dotted(split[0].func)) == "train_test_split":
            call, i = split
            if i // 2 < len(call.args):
                found = _features(view, call.args[i // 2], call, depth + 1)
                removed = _removed(view, node.id, use)
                if found is not None and found.rest:
                    return Features(found.line, found.frame, found.names | removed, rest=True)
                return found
            return None
        return None
    value, where = given
    removed = _removed(view, node.id, use)
    if isinstance(value, ast.Name):
        below = _features(view, value, where, depth + 1)
        if below is not None:
            return Features(below.line, below.frame, below.names | removed, rest=below.rest)
    if _is_frame(view, value):
        line = where.lineno if isinstance(where, ast.stmt) else value.lineno
        return Features(line, node.id, removed, rest=True)
    found = _features(view, value, where, depth + 1)
    if found is not None and found.rest:
        return Features(found.line, found.frame, found.names | removed, rest=True)
    return found


def _is_frame(view: View, value: ast.expr) -> bool:
    """Tell whether a value is a frame as it was read."""
    name = last(dotted(value.func)) if isinstance(value, ast.Call) else ""
    _ = view
    return name.startswith(("read_", "load_data", "load_csv")) or name in (
        "concat",
        "merge",
        "toPandas",
    )


def _subscript(view: View, node: ast.Subscript, use: ast.AST, depth: int) -> Features | None:
    key: ast.expr = node.slice
    base = node.value
    if isinstance(base, ast.Attribute) and base.attr == "loc":
        if not isinstance(key, ast.Tuple) or len(key.elts) != 2:  # noqa: PLR2004 - rows, columns
            return None
        key, base = key.elts[1], base.value
    elif isinstance(base, ast.Attribute) and base.attr in ("iloc", "iat", "at"):
        return None
    if isinstance(key, (ast.Compare, ast.BoolOp, ast.UnaryOp, ast.BinOp, ast.Slice)):
        if isinstance(key, ast.Compare) and dotted(key.left).endswith(".columns"):
            return None
        found = listed(view, key) if isinstance(key, ast.BinOp) else None
        if found is None:
            return _features(view, base, use, depth + 1)  # rows
    names = listed(view, key)
    frame = dotted(base)
    if names is None or not frame or isinstance(key, ast.Constant):
        return None
    if isinstance(key, ast.Name) and _changed(view, key.id):
        return None
    return Features(node.lineno, frame, frozenset(names), rest=False)


def _changed(view: View, name: str) -> bool:
    """Tell whether a list is changed in place: `features.remove(target)`."""
    return any(
        isinstance(c.func, ast.Attribute)
        and c.func.attr in ("remove", "append", "extend", "pop", "insert")
        and dotted(c.func.value) == name
        for c in view.calls
    )


def drop_names(view: View, call: ast.Call) -> frozenset[str] | None:
    """Columns that `frame.drop(...)` takes away; None when not all are known, or it drops rows."""
    columns = next((k.value for k in call.keywords if k.arg == "columns"), None)
    if columns is None:
        axis = view.literal(view.arg(call, "axis", 1))
        labels = view.arg(call, "labels", 0)
        if axis not in (1, "columns"):
            return None if axis is not None or labels is None else frozenset()
        columns = labels
    names = listed(view, columns)
    return None if names is None else frozenset(names)


def _dropped(view: View, node: ast.Call, use: ast.AST, depth: int) -> Features | None:
    names = drop_names(view, node)
    base = node.func.value if isinstance(node.func, ast.Attribute) else None
    if names is None or base is None:
        return None
    frame = dotted(base)
    if isinstance(base, ast.Name):
        names |= _removed(view, base.id, use)
        given = _before(view, base, use)
        below = _features(view, given[0], given[1], depth + 1) if given is not None else None
        if below is not None and not below.rest:
            return Features(node.lineno, below.frame, below.names - names, rest=False)
        if below is not None:
            names |= below.names
    elif isinstance(base, ast.Call):
        below = _features(view, base, use, depth + 1)
        if below is None:
            return None
        return Features(
            node.lineno,
            below.frame,
            below.names | names if below.rest else below.names - names,
            rest=below.rest,
        )
    return Features(node.lineno, frame, names, rest=True) if frame else None


def _removed(view: View, frame: str, use: ast.AST) -> frozenset[str]:
    """Columns taken out of a frame in place, or by `df = df.drop(...)`, before it is used."""
    scope = view.scope(use)
    line = getattr(use, "lineno", 0)
    found: set[str] = set()
    for node in view.of(ast.Delete):
        for target in node.targets:
            if isinstance(target, ast.Subscript) and dotted(target.value) == frame:
                found.add(view.column(target))
    for call in view.calls:
        if not isinstance(call.func, ast.Attribute) or call.lineno > line:
            continue
        if dotted(call.func.value) != frame or view.scope(call) is not scope:
            continue
        if call.func.attr == "pop" and call.args:
            name = view.literal(call.args[0])
            found.add(name if isinstance(name, str) else "")
        elif call.func.attr == "drop":
            parent = view.parent(call)
            back = isinstance(parent, ast.Assign) and dotted(parent.targets[0]) == frame
            inplace = view.literal(view.arg(call, "inplace")) is True
            if back or inplace:
                found |= drop_names(view, call) or {"*"}
    return frozenset(found)


def same_frame(pair: Pair) -> bool:
    """Tell whether features and target come from one frame, or from parts of one."""
    a, b = pair.features.frame, pair.frame
    return a == b or (_PART.sub("", a) == _PART.sub("", b) and bool(_PART.sub("", a)))
