"""Network is evaluated in training mode, or its gradients or outputs are mixed up

## What it does

For PyTorch, reports evaluation and prediction without `model.eval()` or without `torch.no_grad()`;
`F.dropout` that is not told whether it trains, and dropout layers made in `forward`; a softmax in
front of `CrossEntropyLoss` or a sigmoid in front of `BCEWithLogitsLoss`, also when model and loss
stand in different files; training loops that never clear the gradients; and direct calls of
`.forward()`.  For Keras, reports a loss from logits behind a softmax layer.

## Why is this bad?

Dropout and batch normalisation behave as in training, so predictions are random or depend on the
batch.  A second softmax flattens the gradients; gradients that are not cleared add up.

## Known problems

A model that a function gets from elsewhere is taken to be in evaluation mode when any caller of the
function sets it.

## Example

```python
def evaluate(model, loader):
    for x, y in loader:
        correct += (model(x).argmax(1) == y).sum()
```

## Use instead

```python
@torch.no_grad()
def evaluate(model, loader):
    model.eval()
    for x, y in loader:
        correct += (model(x).argmax(1) == y).sum()
```
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import Final

from mlops_advisor.tools.audit_workflow.repo import AuditRepository
from mlops_advisor.tools.audit_workflow.rule import HIGH, LOW, MEDIUM, Hit, module_rule
from mlops_advisor.tools.audit_workflow.rules._torch_modes import inference_places
from mlops_advisor.tools.audit_workflow.rules._torch_outputs import double_activation
from mlops_advisor.tools.evidence.parse.python import dotted
from mlops_advisor.tools.evidence.view import View, last

_DROPOUTS: Final = frozenset(
    "dropout dropout1d dropout2d dropout3d alpha_dropout feature_alpha_dropout".split()
)
_FUNCTIONAL: Final = "torch.nn.functional."
_CLEARS: Final = ("zero_grad", "clear_grad")
_LIGHTNING: Final = frozenset(("pytorch_lightning", "lightning"))


@module_rule(
    "TR13",
    name="dl-mode-or-grad-misuse",
    dimension="model_training",
    severity=HIGH,
    confidence=0.85,
    fix="Call `model.eval()` and wrap the evaluation in `with torch.no_grad():`.",
    effort=(0.1, 0.5),
    sources=(
        (
            "code_smells_ml: smells 18 Training/Evaluation Mode Improper Toggling, "
            "19 PyTorch Call Method Misused, 20 Gradients Not Cleared before Backward Propagation"
        ),
    ),
    words=("torch", "keras", "lightning"),
)
def modes_and_gradients(repo: AuditRepository, view: View) -> Iterator[Hit]:
    """Report misuse of modes, gradients and outputs of networks."""
    yield from double_activation(repo, view)
    if "torch" not in repo.text(view.path):
        return
    yield from inference_places(repo, view)
    for call in view.calls:
        name = view.name(call)
        short = last(name)
        if short in _DROPOUTS and name.startswith((_FUNCTIONAL, "torch.dropout", "F.")):
            yield from _dropout(view, call, short)
        elif name.startswith("torch.nn.Dropout") and _in_forward(view, call):
            yield from _made_in_forward(view, call)
        elif short == "forward" and isinstance(call.func, ast.Attribute):
            yield from _forward(view, call, call.func)
    yield from _uncleared(view)


def _dropout(view: View, call: ast.Call, short: str) -> Iterator[Hit]:
    if view.name(call).startswith("F.") and "torch" not in view.module.roots:
        return
    if view.arg(call, "training", 2) is not None or view.spreads(call):
        return
    yield Hit(
        view.path,
        call.lineno,
        f"`{dotted(call.func)}` gets no `training=`, which is True by default: it drops units "
        "in evaluation and serving as well, and `model.eval()` does not change that.",
        f"Write `{dotted(call.func)}(..., training=self.training)`, or make an "
        f"`nn.{'Dropout' if short == 'dropout' else short}` layer in `__init__`.",
    )


def _in_forward(view: View, call: ast.Call) -> bool:
    function = view.function(call)
    return function is not None and function.name == "forward"


def _made_in_forward(view: View, call: ast.Call) -> Iterator[Hit]:
    if isinstance(view.parent(call), ast.Call):
        yield Hit(
            view.path,
            call.lineno,
            "A new dropout layer is made on each call of `forward`; a new layer is in training "
            "mode, so it is active in evaluation too.",
            "Make the layer once in `__init__`.",
        )


def _forward(view: View, call: ast.Call, func: ast.Attribute) -> Iterator[Hit]:
    owner = func.value
    if isinstance(owner, ast.Call) and dotted(owner.func) == "super":
        return
    name = dotted(owner)
    if "remote" in name or "rpc" in name or "rref" in name:
        return
    if name in ("", "self", "cls") or name[:1].isupper() or "torch" not in view.module.roots:
        return
    if isinstance(owner, ast.Attribute) and last(name)[:1].isupper():
        return
    if _is_function(view, owner) or name.startswith("?"):
        return
    yield Hit(
        view.path,
        call.lineno,
        f"`{name}.forward(...)` leaves out the hooks that `{name}(...)` runs.",
        f"Write `{name}(...)`.",
        severity=LOW,
        confidence=0.7,
    )


def _is_function(view: View, owner: ast.expr) -> bool:
    """Tell whether the owner is a service or pipeline object rather than a network."""
    return last(view.name(owner).removesuffix("()")).lower().endswith(("handler", "client", "stub"))


def _uncleared(view: View) -> Iterator[Hit]:
    backward = [c for c in view.calls if last(view.name(c)) == "backward"]
    if not backward or view.module.roots & _LIGHTNING:
        return
    text = {last(view.name(c)) for c in view.calls}
    if text & set(_CLEARS) or any(
        isinstance(t, ast.Attribute) and t.attr == "grad"
        for a in view.of(ast.Assign)
        for t in a.targets
    ):
        return
    steps = [c for c in view.calls if last(view.name(c)) == "step" and not c.args]
    for call in backward:
        loop = next((u for u in view.above(call) if isinstance(u, (ast.For, ast.While))), None)
        function = view.function(call)
        if loop is None or not any(view.function(s) is function for s in steps):
            continue
        yield Hit(
            view.path,
            call.lineno,
            "The gradients are never cleared: each `backward()` adds to those of the steps before.",
            "Call `optimizer.zero_grad()` before `backward()`.",
            severity=HIGH if "optim" in " ".join(dotted(s) for s in steps).lower() else MEDIUM,
        )
        return
