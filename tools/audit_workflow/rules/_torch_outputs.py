"""Networks whose output is activated twice: once in the model, once in the loss."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import Final

from mlops_advisor.tools.audit_workflow.repo import AuditRepository
from mlops_advisor.tools.audit_workflow.rule import Hit
from mlops_advisor.tools.audit_workflow.rules._training import words_in
from mlops_advisor.tools.audit_workflow.rules._training_metrics import returned
from mlops_advisor.tools.evidence.parse.python import dotted
from mlops_advisor.tools.evidence.repository import Repository, shared
from mlops_advisor.tools.evidence.view import FUNCTIONS, View, last

# What activates, and the loss that does it again.
_CLASSES: Final = "softmax"
_BINARY: Final = "sigmoid"
_ACTIVATIONS: Final = {
    "softmax": _CLASSES,
    "Softmax": _CLASSES,
    "sigmoid": _BINARY,
    "Sigmoid": _BINARY,
}
_LOSSES: Final = {
    "CrossEntropyLoss": _CLASSES,
    "cross_entropy": _CLASSES,
    "BCEWithLogitsLoss": _BINARY,
    "binary_cross_entropy_with_logits": _BINARY,
}
_MAX_DEPTH: Final = 3
_LAYERS: Final = frozenset(("Dense", "Activation", "Softmax"))
_WORDS: Final = ("CrossEntropyLoss", "cross_entropy", "BCEWithLogits", "with_logits")


def double_activation(repo: AuditRepository, view: View) -> Iterator[Hit]:
    """Report activations at the end of a model of this module whose loss activates again."""
    yield from _keras(view)
    for node in view.of(ast.ClassDef):
        found = _end(view, node)
        if found is None:
            continue
        place, kind = found
        loss = _loss_for(repo, view, node.name, kind)
        if loss is None:
            continue
        path, line, text = loss
        yield Hit(
            view.path,
            place.lineno,
            f"`{node.name}` ends with {kind}, and `{text}` (line {line} of {path}) applies "
            f"{'log-softmax' if kind == _CLASSES else 'a sigmoid'} to it again.",
            "Return the logits, and activate only where probabilities are shown.",
            also=((path, line),),
        )
    yield from _direct(view)


def _end(view: View, node: ast.ClassDef) -> tuple[ast.expr, str] | None:
    """Activation that the output of `forward` has passed through, if it is the last step."""
    forward = next(
        (f for f in node.body if isinstance(f, FUNCTIONS) and f.name in ("forward", "call")), None
    )
    if forward is None:
        return None
    for value in returned(view, forward):
        found = _activation(view, value, node, 0)
        if found is not None:
            return found
    return None


def _activation(
    view: View, value: ast.expr, owner: ast.ClassDef, depth: int
) -> tuple[ast.expr, str] | None:
    if depth > _MAX_DEPTH:
        return None
    if isinstance(value, ast.Name):
        made = _last_value(view, value)
        return _activation(view, made, owner, depth + 1) if made is not None else None
    if not isinstance(value, ast.Call):
        return None
    short = last(dotted(value.func).removesuffix("()"))
    if isinstance(value.func, ast.Call):
        short = last(dotted(value.func.func))
    if short in _ACTIVATIONS:
        return value, _ACTIVATIONS[short]
    if isinstance(value.func, ast.Attribute) and dotted(value.func).startswith("self."):
        layers = view.assigned.get(owner, {}).get(dotted(value.func), [])
        layer = layers[-1] if layers else None
        if isinstance(layer, ast.Call):
            return _layer(view, layer, value)
    return None


def _layer(view: View, layer: ast.Call, use: ast.Call) -> tuple[ast.expr, str] | None:
    short = last(view.name(layer))
    if short in _ACTIVATIONS and "LogSoftmax" not in short:
        return use, _ACTIVATIONS[short]
    if short == "Sequential" and layer.args:
        end = layer.args[-1]
        if isinstance(end, ast.Call) and last(view.name(end)) in _ACTIVATIONS:
            return end, _ACTIVATIONS[last(view.name(end))]
    return None


def _last_value(view: View, name: ast.Name) -> ast.expr | None:
    """Value that a name was given last before it is read."""
    values = [v for v in view.values(name.id, name) if v.lineno <= name.lineno]
    return max(values, key=lambda v: (v.lineno, v.col_offset), default=None)


# --- the loss ----------------------------------------------------------------------------------


@shared
def _losses(repo: Repository) -> dict[str, list[tuple[str, int, str]]]:
    """Losses by module: kind, line, text."""
    found: dict[str, list[tuple[str, int, str]]] = {}
    for path, module in repo.code.product.items():
        if any(w in repo.text(path) for w in _WORDS):
            for call in module.calls:
                kind = _LOSSES.get(call.last)
                if kind:
                    found.setdefault(path, []).append((kind, call.line, call.last))
    return found


def _loss_for(
    repo: AuditRepository, view: View, name: str, kind: str
) -> tuple[str, int, str] | None:
    """Loss that a model of some class is trained with, in its module or in one that makes it."""
    losses = _losses(repo)
    users = [view.path]
    users += [
        p
        for p in sorted(repo.code.importers.get(view.path, ()))
        if any(c.last == name for c in repo.python[p].calls)
    ]
    for path in users:
        for its, line, text in losses.get(path, ()):
            if its == kind:
                return path, line, text
        made = any(c.last == name for c in repo.python[path].calls)
        if made and path != view.path:
            for other in sorted(repo.code.edges.get(path, ())):
                for its, line, text in losses.get(other, ()):
                    if its == kind:
                        return other, line, text
    return None


def _direct(view: View) -> Iterator[Hit]:
    """`cross_entropy(softmax(model(x)), y)` and the same through a variable."""
    for call in view.calls:
        name = view.name(call)
        short = last(name.removesuffix("()"))
        kind = _LOSSES.get(short, "")
        if not kind and isinstance(call.func, (ast.Name, ast.Attribute)):
            made = view.settled(call.func)
            kind = _LOSSES.get(last(view.name(made)), "") if isinstance(made, ast.Call) else ""
        if not kind or not call.args:
            continue
        value: ast.expr | None = call.args[0]
        if isinstance(value, ast.Name):
            value = _last_value(view, value)
        if isinstance(value, ast.Call):
            used = last(dotted(value.func).removesuffix("()"))
            if isinstance(value.func, ast.Call):
                used = last(dotted(value.func.func))
            if _ACTIVATIONS.get(used) == kind:
                yield Hit(
                    view.path,
                    value.lineno,
                    f"The loss `{dotted(call.func)}` gets values that went through {kind} already, "
                    "and applies it again.",
                    "Give the logits to the loss.",
                    also=((view.path, call.lineno),),
                )


def _keras(view: View) -> Iterator[Hit]:
    """`from_logits=True` behind a layer with softmax or sigmoid."""
    losses = [
        c
        for c in view.calls
        if last(view.name(c)).endswith(("Crossentropy", "crossentropy"))
        and view.literal(view.arg(c, "from_logits")) is True
    ]
    if not losses:
        return
    ends = [
        c
        for c in view.calls
        if last(view.name(c)) in _LAYERS
        and (
            view.string(view.arg(c, "activation")) in ("softmax", "sigmoid")
            or last(view.name(c)) == "Softmax"
            or (
                last(view.name(c)) == "Activation"
                and c.args
                and view.string(c.args[0]) == "softmax"
            )
        )
    ]
    for loss in losses[:1]:
        kind = "sigmoid" if last(view.name(loss)).lower().startswith("binary") else "softmax"
        end = next((e for e in reversed(ends) if kind in words_in(e).lower()), None)
        if end is not None:
            yield Hit(
                view.path,
                end.lineno,
                f"The model ends with {kind}, and the loss at line {loss.lineno} expects logits "
                "(`from_logits=True`) and applies it again.",
                "Leave out the activation of the last layer, or set `from_logits=False`.",
                also=((view.path, loss.lineno),),
            )
