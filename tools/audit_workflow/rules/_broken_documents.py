"""Keys that a reader takes from stored documents and messages, and that no writer puts there.

Both ends are found by the name of the collection, topic or file.  What cannot be followed to the
last key makes the whole collection silent.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from mlops_advisor.tools.audit_workflow.repo import AuditRepository
from mlops_advisor.tools.audit_workflow.rule import HIGH, Hit
from mlops_advisor.tools.audit_workflow.rules._pipeline import views_holding
from mlops_advisor.tools.audit_workflow.rules._pipeline_paths import closest
from mlops_advisor.tools.evidence.parse.python import dotted
from mlops_advisor.tools.evidence.view import HOLE, View, last

Keys: TypeAlias = "dict[str, Keys | None]"  # keys of a document; None: what is below is not known
Identity: TypeAlias = tuple[str, str]

_MONGO: Final = frozenset(("insert_one", "insert_many", "find_one", "find", "replace_one"))
_MONGO_OTHER: Final = frozenset(
    "update_one update_many find_one_and_update find_one_and_replace bulk_write aggregate"
    " insert save".split()
)
_SENDS: Final = frozenset(("send", "produce"))
_MAX_DEPTH: Final = 6
_ALWAYS: Final = frozenset(("_id",))


@dataclass(slots=True)
class _Store:
    """What writers put into one collection, topic or file."""

    keys: Keys = field(default_factory=dict)
    places: list[tuple[str, int]] = field(default_factory=list)
    known: bool = True


def broken_documents(repo: AuditRepository) -> Iterator[Hit]:
    """Find keys that are read from documents whose writers never set them."""
    views = list(views_holding(repo, "pymongo", "KafkaConsumer", "KafkaProducer", "json.dump("))
    if not views:
        return
    stores: dict[Identity, _Store] = {}
    for view in views:
        for call in view.calls:
            _note(stores, view, call)
    blind = {kind for (kind, name), _ in stores.items() if not name}
    wanted = {i: s for i, s in stores.items() if s.known and s.keys and i[0] not in blind}
    if not wanted:
        return
    readers = views_holding(repo, "pymongo", "KafkaConsumer", "json.load", "MongoClient")
    for view in readers:
        yield from _read(view, wanted)


# --- writers ------------------------------------------------------------------------------------


def _note(stores: dict[Identity, _Store], view: View, call: ast.Call) -> None:
    for identity, value in _written(view, call):
        store = stores.setdefault(identity, _Store())
        keys = _keys(view, value, 0) if value is not None else None
        if keys is None:
            store.known = False
        else:
            _merge(store.keys, keys)
            store.places.append((view.path, call.lineno))


def _written(view: View, call: ast.Call) -> Iterator[tuple[Identity, ast.expr | None]]:
    """Find what a call writes where; an empty name when that is not known."""
    end = call.func.attr if isinstance(call.func, ast.Attribute) else ""
    first = call.args[0] if call.args else None
    name = view.name(call)
    if end in _MONGO | _MONGO_OTHER and isinstance(call.func, ast.Attribute):
        if "pymongo" not in view.module.roots or end in ("find", "find_one", "aggregate"):
            return
        collection = _collection(view, call.func.value)
        if end == "insert_one":
            yield ("collection", collection), first
        elif end == "insert_many":
            many = view.settled(first)
            whole = isinstance(many, (ast.List, ast.Tuple)) and bool(many.elts)
            for one in many.elts[:50] if whole and isinstance(many, ast.List) else [None]:
                yield ("collection", collection), one
        elif end == "replace_one":
            yield ("collection", collection), view.arg(call, "replacement", 1)
        else:
            yield ("collection", collection), None
    elif end in _SENDS and "kafka" in "".join(view.module.roots):
        topic = view.string(view.arg(call, "topic", 0))
        value = view.arg(call, "value", 1)
        yield ("topic", "" if HOLE in topic else topic), _unpacked(view, value)
    elif name == "json.dump" and len(call.args) > 1:
        yield ("file", _file(view, call.args[1])), first


def _unpacked(view: View, value: ast.expr | None) -> ast.expr | None:
    """Document below `json.dumps(document).encode()`."""
    for _ in range(4):
        value = view.settled(value)
        if not isinstance(value, ast.Call):
            break
        end = last(view.name(value))
        if end in ("encode", "decode") and isinstance(value.func, ast.Attribute):
            value = value.func.value
        elif end == "dumps" and value.args:
            value = value.args[0]
        else:
            return None
    return value


def _collection(view: View, node: ast.expr) -> str:
    """Name of a collection: `db["rides"]`, `db.rides`, `db.get_collection("rides")`."""
    node = view.settled(node) or node
    if isinstance(node, ast.Subscript):
        name = view.string(node.slice)
        return "" if HOLE in name else name
    if isinstance(node, ast.Call) and last(view.name(node)) == "get_collection" and node.args:
        name = view.string(node.args[0])
        return "" if HOLE in name else name
    if isinstance(node, ast.Attribute) and dotted(node).partition(".")[0] != "self":
        return node.attr
    return ""


def _file(view: View, node: ast.expr) -> str:
    """Path of the file behind a handle, when it is written out; a part of it may be unknown."""
    made = view.settled(node)
    if isinstance(made, ast.Call) and last(view.name(made)) == "open":
        first = made.args[0] if made.args else None
        if isinstance(made.func, ast.Attribute) and view.name(made) != "open":
            first = made.func.value
        text = view.string(first)
        if HOLE not in text and text.endswith(".json"):
            return text.removeprefix("./")
    return f"?{view.path}:{node.lineno}"


def _keys(view: View, node: ast.expr | None, depth: int) -> Keys | None:
    """Keys of a dictionary that is written out; None when they are not all known."""
    origin = node
    node = view.settled(node)
    if not isinstance(node, ast.Dict) or depth > _MAX_DEPTH:
        return None
    found: Keys = {}
    for key, value in zip(node.keys, node.values, strict=True):
        text = view.literal(key) if key is not None else None
        if not isinstance(text, str):
            return None
        found[text] = _keys(view, value, depth + 1)
    if isinstance(origin, ast.Name):
        return _with_later(view, origin, found)
    return found


def _with_later(view: View, name: ast.Name, found: Keys) -> Keys | None:
    """Add the keys that a variable gets after it was made; None when it goes elsewhere."""
    scope = view.scope(name)
    for node in view.of(ast.Name):
        if node.id != name.id or view.scope(node) is not scope or node is name:
            continue
        up = view.parent(node)
        if isinstance(up, ast.Subscript) and isinstance(up.ctx, ast.Store) and up.value is node:
            key = view.literal(up.slice)
            if not isinstance(key, str):
                return None
            found[key] = None
        elif isinstance(up, (ast.Call, ast.keyword)) or (
            isinstance(up, ast.Attribute) and up.attr in ("update", "setdefault", "pop")
        ):
            call = up if isinstance(up, ast.Call) else None
            if call is None or last(view.name(call)) not in _HARMLESS:
                return None
    return found


_HARMLESS: Final = frozenset(
    "insert_one insert_many replace_one send produce dump dumps print info debug len str".split()
)


def _merge(into: Keys, more: Keys) -> None:
    for key, below in more.items():
        known = into.get(key)
        if key not in into:
            into[key] = below
        elif known is not None and below is not None:
            _merge(known, below)
        else:
            into[key] = None


# --- readers ------------------------------------------------------------------------------------


def _read(view: View, stores: dict[Identity, _Store]) -> Iterator[Hit]:
    told: set[tuple[Identity, str]] = set()
    loops = _loops(view)
    for node in view.of(ast.Subscript):
        if not isinstance(node.ctx, ast.Load) or isinstance(view.parent(node), ast.Subscript):
            continue
        keys, base = _chain(node)
        identity = _source(view, base, loops) if keys else None
        store = stores.get(identity) if identity is not None else None
        if store is None or identity is None or view.inside(node, ast.Try):
            continue
        missing = _first_missing(store.keys, keys)
        if missing and (identity, missing[0]) not in told:
            told.add((identity, missing[0]))
            near = closest(missing[0].rpartition(".")[2], missing[1])
            hint = f" They write `{near}`." if near else f" They write {', '.join(missing[1][:6])}."
            what = f"the {identity[0]} `{identity[1]}`"
            why = f"No writer of {what} in this repository sets `{missing[0]}`: KeyError.{hint}"
            also = tuple(store.places[:3])
            yield Hit(view.path, node.lineno, why, also=also, severity=HIGH, confidence=0.8)


def _loops(view: View) -> dict[tuple[ast.AST, str], ast.expr]:
    """Find what the variable of each loop runs over, by scope."""
    found: dict[tuple[ast.AST, str], ast.expr] = {}
    for loop in view.of(ast.For):
        if isinstance(loop.target, ast.Name):
            found[(view.scope(loop), loop.target.id)] = loop.iter
    return found


def _chain(node: ast.expr) -> tuple[list[str], ast.expr]:
    keys: list[str] = []
    while isinstance(node, ast.Subscript):
        key = node.slice.value if isinstance(node.slice, ast.Constant) else None
        if isinstance(key, str):
            keys.insert(0, key)
        else:
            keys.clear()
        node = node.value
    return keys, node


def _source(
    view: View, base: ast.expr, loops: dict[tuple[ast.AST, str], ast.expr]
) -> Identity | None:
    """Find the collection, topic or file that an expression holds a document of."""
    base = view.settled(base) or base
    if isinstance(base, ast.Name):
        over = view.settled(loops.get((view.scope(base), base.id)))
        again = view.assigned.get(view.scope(base), {}).get(base.id)
        return _cursor(view, over) if isinstance(over, ast.Call) and not again else None
    if isinstance(base, ast.Call) and last(view.name(base)) == "find_one":
        return ("collection", _collection(view, _owner(base))) if _is_whole(base) else None
    if isinstance(base, ast.Call) and view.name(base) == "json.load" and base.args:
        return ("file", _file(view, base.args[0]))
    if isinstance(base, ast.Call) and view.name(base) == "json.loads" and base.args:
        base = base.args[0]
        while isinstance(base, ast.Call) and isinstance(base.func, ast.Attribute):
            base = base.func.value
    return _message(view, base, loops)


def _owner(call: ast.Call) -> ast.expr:
    return call.func.value if isinstance(call.func, ast.Attribute) else call.func


def _cursor(view: View, over: ast.Call) -> Identity | None:
    """Find the collection that a loop over `collection.find(...).sort(...)` reads."""
    for _ in range(4):
        func = over.func
        if not isinstance(func, ast.Attribute):
            return None
        if func.attr == "find":
            return ("collection", _collection(view, func.value)) if _is_whole(over) else None
        if func.attr not in ("sort", "limit", "skip", "batch_size") or not isinstance(
            func.value, ast.Call
        ):
            return None
        over = func.value
    return None


def _is_whole(call: ast.Call) -> bool:
    """Tell whether whole documents are asked for: no projection."""
    return len(call.args) < 2 and not any(k.arg == "projection" for k in call.keywords)  # noqa: PLR2004


def _message(
    view: View, node: ast.expr, loops: dict[tuple[ast.AST, str], ast.expr]
) -> Identity | None:
    """Topic of `message.value`, when a loop takes messages from a consumer of one topic."""
    if (
        not isinstance(node, ast.Attribute)
        or node.attr != "value"
        or not isinstance(node.value, ast.Name)
    ):
        return None
    over = loops.get((view.scope(node.value), node.value.id))
    made = view.settled(over)
    if not isinstance(made, ast.Call) or last(view.name(made)) != "KafkaConsumer":
        return None
    topic = view.string(made.args[0]) if len(made.args) == 1 else ""
    return ("topic", topic) if topic and HOLE not in topic else None


def _first_missing(known: Keys, keys: list[str]) -> tuple[str, list[str]] | None:
    here: Keys | None = known
    for i, key in enumerate(keys):
        if here is None or (not i and key in _ALWAYS):
            return None
        if key not in here:
            return ".".join(keys[: i + 1]), sorted(here)
        here = here[key]
    return None
