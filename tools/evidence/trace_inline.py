"""Calls of functions and classes of the repository in `trace`: run where they are called."""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from typing import Final

from mlops_advisor.tools.evidence.trace_base import MAX_ITEMS, Body, Code, Frame, Site
from mlops_advisor.tools.evidence.trace_expressions import Expressions
from mlops_advisor.tools.evidence.trace_model import Step, Value
from mlops_advisor.tools.evidence.trace_names import SUBMITS
from mlops_advisor.tools.evidence.view import AnyFunction

MAX_CALLS: Final = 7  # local functions inside each other

_BASES: Final = (
    "BaseEstimator", "TransformerMixin", "ClassifierMixin", "RegressorMixin", "Module",
    "LightningModule", "PreTrainedModel", "Model", "PythonModel",
)  # fmt: skip


class Inlining(Expressions):
    """Runs local functions at their calls; hands the rest to the library."""

    def call(self, node: ast.Call, frame: Frame) -> Value:
        """Value of a call: of a local function that is run, or of a library."""
        func = node.func
        receiver: Value | None = None
        if isinstance(func, ast.Attribute):
            receiver = self.value_of(func.value, frame)
            callee = self._callee(receiver, func.attr, frame)
            last = func.attr
        else:
            callee = self.value_of(func, frame)
            last = callee.name.rpartition(".")[2] if callee.kind == "ref" else ""
            last = last or getattr(func, "id", callee.last)
        args: list[Value] = []
        for arg in node.args[:MAX_ITEMS]:
            value = self.value_of(arg, frame)
            if isinstance(arg, ast.Starred) and value.kind == "sequence" and value.items:
                args.extend(value.items)
            else:
                args.append(value)
        named, spread = self._keywords(node, frame)
        spread = spread or (
            any(isinstance(a, ast.Starred) for a in node.args)
            and not all(v.known or v.kind != "unknown" for v in args)
        )
        if callee is not None and callee.id in self.code:
            bound = self.code[callee.id].owner is not None
            self.calls.append(Step(frame.view.path, node.lineno, bound))
            try:
                if callee.kind == "class":
                    return self.instance(callee, args, named)
                may = self._may_inline(callee)
                result = self.inline(callee, args, named) if may else None
            finally:
                self.calls.pop()
            if result is not None:
                return self._after(node, frame, callee, last, receiver, args, named, result)
        name = callee.name if callee is not None and callee.kind in ("ref", "function") else ""
        if not name and receiver is not None:
            name = f"{receiver.name or '?'}.{last}"
        site = Site(node, frame, name or last, last, receiver, callee, tuple(args), named, spread)
        return self.library(self, site)

    def _after(  # noqa: PLR0913, PLR0917
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
        site = Site(
            node, frame, name, last, receiver, result, tuple(args), named, spread=False, local=True
        )
        return self.library(self, site)

    def _callee(self, receiver: Value, attr: str, frame: Frame) -> Value | None:
        """Find what a method call runs, if that is known."""
        if receiver.kind == "ref":
            return self.reference(f"{receiver.name}.{attr}", frame)
        for one in receiver.objects:
            known = self.heap.get((one, attr))
            if known is not None:
                return known
        if receiver.kind == "function" and attr in SUBMITS:
            return receiver
        if receiver.kind in ("object", "estimator", "class"):
            return self.method(receiver, attr)
        if receiver.kind == "mapping" and attr in receiver.keys:
            return receiver.items[receiver.keys.index(attr)]
        return None

    def _keywords(self, node: ast.Call, frame: Frame) -> tuple[dict[str, Value], bool]:
        named: dict[str, Value] = {}
        spread = False
        for keyword in node.keywords[:MAX_ITEMS]:
            value = self.value_of(keyword.value, frame)
            if keyword.arg is not None:
                named[keyword.arg] = value
            elif value.kind == "mapping" and value.keys and "?" not in value.keys:
                named.update(zip(value.keys, value.items, strict=False))
            else:
                spread = True
        return named, spread

    def _may_inline(self, callee: Value) -> bool:
        node = self.code[callee.id].node
        return not self.over and len(self.stack) < MAX_CALLS and node not in self.stack

    # --- running ----------------------------------------------------------------------------

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
        self.stack.append(node)
        if within:
            self.within.append(within)
        values = (code.owner, *args) if code.owner is not None else tuple(args)
        self._parameters(node, values, named, frame)
        if isinstance(node, ast.Lambda):
            result = self.value_of(node.body, frame)
        else:
            self.block(node.body, frame)
            result = self._result(node, frame)
        if within:
            self.within.pop()
        self.stack.pop()
        return result

    def _result(self, node: AnyFunction, frame: Frame) -> Value:
        if frame.yields:
            return self.make("sequence", "each", items=(self.join(frame.returned),))
        if not frame.returned and _is_component(node):
            names = tuple(a.arg for a in (*node.args.args, *node.args.kwonlyargs))
            items = tuple(frame.env.get(n) or self.make("unknown", n) for n in names)
            outputs = self.make("mapping", "outputs", keys=names, items=items)
            result = self.make("object", node.name)
            self.put((result.id, "outputs"), outputs)
            if items:
                self.put((result.id, "output"), items[-1])
            return result
        return self.join(frame.returned) if frame.returned else self.constant(None)

    def _parameters(
        self, node: Body, args: Sequence[Value], named: Mapping[str, Value], frame: Frame
    ) -> None:
        spec = node.args
        plain = [*spec.posonlyargs, *spec.args]
        defaults = _defaults(spec)
        entry = len(self.stack) == 1 and not args and not named
        outer = frame.outer or frame
        for i, arg in enumerate((*plain, *spec.kwonlyargs)):
            if i < len(args) and i < len(plain):
                value = args[i]
            elif arg.arg in named:
                value = named[arg.arg]
            elif arg.arg in defaults and not entry:
                value = self.value_of(defaults[arg.arg], outer)
            else:
                value = self.make("unknown", "parameter")
            self._receive(arg.arg, value, frame)
        if spec.vararg is not None:
            frame.env[spec.vararg.arg] = self.make("sequence", items=tuple(args[len(plain) :]))
        if spec.kwarg is not None:
            known = {a.arg for a in (*plain, *spec.kwonlyargs)}
            rest = {k: v for k, v in named.items() if k not in known}
            frame.env[spec.kwarg.arg] = self.make(
                "mapping", keys=tuple(rest), items=tuple(rest.values())
            )

    def _receive(self, name: str, value: Value, frame: Frame) -> None:
        """Give a parameter its value; the name of one says nothing of data that are known."""
        own = name in ("self", "cls")
        if own or value.kind == "data" or value.known:
            frame.env[name] = value
            if not own:
                self.labels.setdefault(value.id, name)
        else:
            frame.env[name] = self.hinted(name, value)

    def instance(
        self, cls: Value, args: Sequence[Value] | None, named: Mapping[str, Value]
    ) -> Value:
        """Make an object of a local class and run its `__init__`; args None: nothing is known."""
        code = self.code[cls.id]
        bases = self._bases(code)
        given = tuple(args or ()) + tuple(named.values())
        roles = {v.role for v in given if v.role}
        made = self.make("object", cls.name, given, role=roles.pop() if len(roles) == 1 else "")
        base = next((b for b in bases if b.kind == "ref" and is_estimator_base(b.name)), None)
        if base is None:
            inner = next((b for b in bases if b.kind == "class" and b.id in self.code), None)
            base = self._base_of(inner) if inner is not None else None
        if base is not None:
            made = made.changed(kind="estimator", name=f"{base.name}:{cls.name}", parents=())
        self.classes[made.id] = cls
        init = self.method(made, "__init__")
        if init is not None and init.id in self.code:
            self.inline(init, args or (), named)
        elif named:
            for key, value in named.items():
                self.put((made.id, key), value)
        return made

    def _bases(self, code: Code) -> list[Value]:
        named = code.node.bases[:4] if isinstance(code.node, ast.ClassDef) else []
        return [self.value_of(b, code.frame) for b in named]

    def _base_of(self, cls: Value) -> Value | None:
        code = self.code[cls.id]
        bases = self._bases(code)
        return next((b for b in bases if b.kind == "ref" and is_estimator_base(b.name)), None)


def _defaults(spec: ast.arguments) -> dict[str, ast.expr]:
    plain = [*spec.posonlyargs, *spec.args]
    pairs = zip(reversed(plain), reversed(spec.defaults), strict=False)
    found = {arg.arg: default for arg, default in pairs}
    for arg, default in zip(spec.kwonlyargs, spec.kw_defaults, strict=False):
        if default is not None:
            found[arg.arg] = default
    return found


def is_estimator_base(name: str) -> bool:
    """Tell whether a class that is inherited makes its heirs estimators."""
    return name.rpartition(".")[2] in _BASES and "pydantic" not in name and "db" not in name


def _is_component(node: AnyFunction) -> bool:
    for decorator in node.decorator_list:
        named = decorator.func if isinstance(decorator, ast.Call) else decorator
        text = getattr(named, "attr", getattr(named, "id", ""))
        if "component" in text:
            return True
    return False
