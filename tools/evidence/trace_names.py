"""Names and attributes in `trace`: what they are given, and what they stand for."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from typing import Any, Final

from mlops_advisor.tools.evidence.trace_base import Base, Code, Frame
from mlops_advisor.tools.evidence.trace_library import role_of_name
from mlops_advisor.tools.evidence.trace_model import Role, Split, Value
from mlops_advisor.tools.evidence.view import AnyFunction

SUBMITS: Final = frozenset(
    "submit map remote delay fn func apply_async expand options with_options override partial"
    " run starmap si s with_ctx local_call".split()
)
_FRAME_ATTRIBUTES: Final = frozenset("values T loc iloc at iat str dt cat array data _jdf".split())
_PAIR: Final = 2  # two parts make a split
_SAME: Final = ("booster_", "bestModel")
_HINTED: Final = frozenset(("data", "unknown", "mask", "sequence"))
_META: Final = frozenset("columns index shape dtypes size ndim empty name features".split())
_TAKING: Final = frozenset(
    "slice mask rows rest sample head tail take skip query filter limit fold loc iloc permutation"
    " select".split()
)


class Names(Base):
    """Binds names, follows attributes and imports."""

    # --- binding ----------------------------------------------------------------------------

    def bind(self, target: ast.expr, value: Value, frame: Frame) -> None:
        """Give a value to a target of an assignment."""
        if isinstance(target, ast.Name):
            frame.env[target.id] = value = self.hinted(target.id, value)
            self._notice(target, value, frame)
        elif isinstance(target, ast.Attribute):
            base = self.value_of(target.value, frame)
            value = self.hinted(target.attr, value)
            self._notice(target, value, frame)
            for one in base.objects:
                self.put((one, target.attr), self.hinted(target.attr, value))
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
        if new and len(known) == _PAIR:
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

    def _store(self, target: ast.Subscript, value: Value, frame: Frame) -> None:  # noqa: C901
        """`base[key] = value`: a new column or item, so a new value for the base."""
        holder = target.value
        if isinstance(holder, ast.Attribute) and holder.attr in ("loc", "iloc", "at"):
            holder = holder.value
        base, key = self.value_of(holder, frame), self.value_of(target.slice, frame)
        if base.kind in ("data", "sequence") or (base.kind == "unknown" and value.kind == "data"):
            columns = (*base.columns, key.text) if key.text and base.columns else base.columns
            new = self.derive(base, "stored", value, columns=columns)
            self.bind(holder, new, frame)
        elif base.kind == "mapping" and not key.known:
            new = base.changed(parents=(*base.parents[-20:], value))
            if isinstance(holder, ast.Name):
                frame.env[holder.id] = new
            elif isinstance(holder, ast.Attribute):
                self.bind(holder, new, frame)
        elif key.known:
            if base.kind == "mapping":
                pairs = dict(zip(base.keys, base.items, strict=False))
                pairs[str(key.const)] = value
                new = base.changed(keys=tuple(pairs), items=tuple(pairs.values()))
                if isinstance(holder, ast.Name):
                    frame.env[holder.id] = new
                elif isinstance(holder, ast.Attribute):
                    self.bind(holder, new, frame)
            for one in base.objects:
                self.put((one, f"[{key.const}]"), self.hinted(str(key.const), value))

    def hinted(self, name: str, value: Value) -> Value:
        """Value under a name, which may hint at its role in a split."""
        if value.kind in _HINTED:
            role = role_of_name(name)
            if value.sure and value.role == "test" and role == "validation":
                value = self.make(value.kind).changed(**_copied(value, "validation"))
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

    # --- looking up -------------------------------------------------------------------------

    def reference(self, name: str, frame: Frame) -> Value:
        """Value of something imported: what a module of this repository defines, or its name."""
        key = f"{frame.view.path}:{name}" if name[:1] == "." else name
        found = self.refs.get(key)
        if found is None:
            found = self.refs[key] = self._imported(name, frame) or self.make("ref", name)
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

    def attribute(self, base: Value, attr: str, frame: Frame) -> Value:  # noqa: C901, PLR0911
        """Value of an attribute."""
        for one in base.objects:
            known = self.heap.get((one, attr))
            if known is not None:
                return known
        if base.kind == "ref":
            return self.reference(f"{base.name}.{attr}", frame)
        if base.kind in ("function", "class") and attr in SUBMITS and base.kind == "function":
            return base
        if base.kind in ("object", "estimator", "class"):
            method = self.method(base, attr)
            if method is not None:
                return method
        if base.kind == "mapping" and attr in base.keys:
            return base.items[base.keys.index(attr)]
        if base.kind == "data":
            return self._data_attribute(base, attr)
        if base.kind == "estimator":
            return self.make(
                "estimator" if _is_inner(attr) else "unknown",
                f"{base.name}.{attr}",
                (base,),
                items=base.items,
                objects=base.objects if "estimator" in attr or attr in _SAME else frozenset(),
            )
        value = self.make("unknown", f"{base.name}.{attr}", (base,), maker=base.maker)
        value = self.hinted(attr, value.changed(role=base.role, sure=base.sure))
        for one in base.objects:
            self.put((one, attr), value)
        return value

    def _data_attribute(self, base: Value, attr: str) -> Value:
        if attr in _META:
            return self.make("unknown", f"{base.name}.{attr}", (base,))
        if attr in _FRAME_ATTRIBUTES or attr.isidentifier():
            return self.derive(base, attr, columns=() if attr in _FRAME_ATTRIBUTES else (attr,))
        return base

    def method(self, base: Value, attr: str) -> Value | None:
        """Find a method, or a value at class level, of an object of a local class."""
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
                    return self.value_of(item.value, code.frame)
                if (
                    isinstance(item, ast.AnnAssign)
                    and isinstance(item.target, ast.Name)
                    and item.target.id == attr
                    and item.value is not None
                ):
                    return self.value_of(item.value, code.frame)
            bases = [self.value_of(b, code.frame) for b in code.node.bases[:3]]
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

    def element(self, value: Value) -> Value:
        """Give what a loop over a value gives each time."""
        if value.kind == "sequence" and value.items:
            return self.join(value.items)
        if value.kind == "mapping" and value.keys:
            return self.make("constant")
        if value.kind == "data":
            return self.derive(value, "element", keep=False)
        return self.make("unknown", "element", (value,), role=value.role, sure=value.sure)


def _is_inner(attr: str) -> bool:
    return (attr.endswith("_") and "estimator" in attr) or attr == "bestModel"


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
