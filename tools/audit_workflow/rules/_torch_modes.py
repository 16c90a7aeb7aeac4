"""Places where a PyTorch model evaluates or predicts, and whether it is in the mode for it."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from typing import Final

from mlops_advisor.tools.audit_workflow.repo import AuditRepository
from mlops_advisor.tools.audit_workflow.rule import MEDIUM, Hit
from mlops_advisor.tools.audit_workflow.rules._training import words_in
from mlops_advisor.tools.evidence.parse.python import dotted
from mlops_advisor.tools.evidence.view import FUNCTIONS, AnyFunction, View, last

_MODEL: Final = re.compile(
    r"(?:^|[._])(?:model|net|network|classifier|module|clf|detector)\w{0,4}$"
)
_EVALUATES: Final = re.compile(
    r"(?:^|_)(?:eval|evaluate|evaluation|test|valid|validate|validation|val|predict|prediction|"
    r"predictions|infer|inference|score|classify|embed|generate|get_preds|accuracy|check_accuracy)"
    r"(?:_|$|s$)"
)
_LOADERS: Final = re.compile(
    r"(?:test|val|valid|validation|eval|dev|holdout)_?(?:\w{0,10}_)?(?:loader|dl|dataloader|iter|set|data|ds|dataset|gen)",
    re.IGNORECASE,
)
_SETS: Final = frozenset(("eval", "freeze"))
_GRADS: Final = frozenset(("no_grad", "inference_mode", "set_grad_enabled"))
_OTHER_MODELS: Final = (
    "onnxruntime.",
    "tensorflow.",
    "keras.",
    "sklearn.",
    "xgboost.",
    "transformers.pipeline",
)
_LIGHTNING_METHODS: Final = frozenset(
    "training_step validation_step test_step predict_step forward shared_step _shared_step"
    " configure_optimizers model_step _step __init__ loss compute_loss".split()
)
_LOADED: Final = frozenset(("load_state_dict", "load_from_checkpoint", "load_model"))
_TORCH_LOADS: Final = frozenset(("torch.load", "torch.jit.load", "mlflow.pytorch.load_model"))


def inference_places(repo: AuditRepository, view: View) -> Iterator[Hit]:
    """Report functions and scripts that evaluate or predict without mode or without no_grad."""
    if "torch" not in view.module.roots and not (
        view.module.roots & {"pytorch_lightning", "lightning"}
    ):
        return
    done: set[ast.AST] = set()
    for call in view.calls:
        model = _model_of(view, call)
        if not model:
            continue
        around = view.function(call)
        part: ast.AST = around if around is not None else _part(view, call)
        if part in done or not _is_inference(view, call, part):
            continue
        done.add(part)
        hit = _missing(repo, view, call, part, model)
        if hit is not None:
            yield hit


def _part(view: View, call: ast.Call) -> ast.AST:
    """Outermost loop of a script around a call, or the statement itself."""
    found: ast.AST = view.statement(call) or call
    for up in view.above(call):
        if isinstance(up, (ast.For, ast.While, ast.With)):
            found = up
    return found


def _model_of(view: View, call: ast.Call) -> str:
    """Name of the model that a call applies, empty for any other call."""
    func = call.func
    name = dotted(func)
    if not (call.args or call.keywords) or name.startswith("?") or last(name)[:1].isupper():
        return ""
    if isinstance(func, ast.Attribute):
        if not (isinstance(func.value, ast.Name) and func.value.id in ("self", "cls", "ctx")):
            return ""
    elif not isinstance(func, ast.Name) or name in view.aliases:
        return ""
    makers = [view.name(v) for v in view.values(name, func) if isinstance(v, ast.Call)]
    defined = {f.name for f in view.functions}
    if name in defined or any(_is_other(m) for m in [view.name(func), *makers]):
        return ""
    return name if _MODEL.search(name.lower()) or _made_network(view, func, makers) else ""


def _is_other(maker: str) -> bool:
    """Tell whether something is made by a library that has no modes, or sets them itself."""
    return maker.startswith(_OTHER_MODELS) or "InferenceSession" in maker


def _made_network(view: View, func: ast.expr, makers: list[str]) -> bool:
    """Tell whether a name holds a network of this module, by its maker or its annotation."""
    networks = {c.name for c in view.of(ast.ClassDef) if _is_network(view, c)}
    if any(last(m) in networks for m in makers):
        return True
    function = view.function(func)
    if function is None or not isinstance(func, ast.Name):
        return False
    arguments = function.args
    for argument in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs):
        if argument.arg == func.id and argument.annotation is not None:
            kind = last(view.name(argument.annotation))
            return kind in networks or kind in ("Module", "LightningModule")
    return False


def _is_inference(view: View, call: ast.Call, part: ast.AST) -> bool:
    """Tell whether the code around applies the model to answer or to measure, not to train."""
    if _trains(view, part, call):
        return False
    function = part if isinstance(part, FUNCTIONS) else None
    if function is not None:
        owner = next((u for u in view.above(function) if isinstance(u, ast.ClassDef)), None)
        if function.name.startswith("on_") or (
            owner is not None and (_is_network(view, owner) or function.name in _LIGHTNING_METHODS)
        ):
            return False
        if _EVALUATES.search(function.name.lower()):
            return True
    loop = next((u for u in view.above(call) if isinstance(u, ast.For)), None)
    if loop is not None and _LOADERS.search(dotted(loop.iter) or words_in(loop.iter)):
        return True
    return any(
        last(view.name(c)) in _LOADED or view.name(c) in _TORCH_LOADS
        for c in view.calls
        if c.lineno < call.lineno
    ) and not _trains(view, view.tree, call)


def _is_network(view: View, node: ast.ClassDef) -> bool:
    bases = [view.name(b) for b in node.bases]
    return any(last(b) in ("Module", "LightningModule", "PreTrainedModel") for b in bases)


def _trains(view: View, part: ast.AST, near: ast.Call) -> bool:
    """Tell whether the part steps backward; for a loop over test data inside it, only the loop."""
    loop: ast.AST = part
    for up in view.above(near):
        if isinstance(up, ast.For) and _LOADERS.search(dotted(up.iter) or words_in(up.iter)):
            loop = up
            break
        if up is part:
            break
    return any(isinstance(n, ast.Attribute) and n.attr == "backward" for n in view.walk(loop))


# --- is it in the mode? ------------------------------------------------------------------------


def _missing(
    repo: AuditRepository, view: View, call: ast.Call, part: ast.AST, model: str
) -> Hit | None:
    function = part if isinstance(part, FUNCTIONS) else None
    mode = _sets_mode(view, call, part, model)
    grad = _without_grad(view, call, part)
    if not (mode and grad) and function is not None:
        outside = _callers(repo, view, function)
        mode = mode or outside[0]
        grad = grad or outside[1]
    if mode and grad:
        return None
    shown = f"`{model}(...)`"
    where = f" in `{function.name}`" if function is not None else ""
    if not mode:
        also = "" if grad else ", nor `torch.no_grad()`"
        return Hit(
            view.path,
            call.lineno,
            f"{shown} runs{where} for evaluation or prediction without `{model}.eval()`{also}: "
            "dropout stays on and batch normalisation uses the batch at hand.",
            f"Call `{model}.eval()` first, and wrap the loop in `with torch.no_grad():`.",
        )
    return Hit(
        view.path,
        call.lineno,
        f"{shown} runs{where} for evaluation or prediction and keeps the graph of gradients: "
        "memory and time for nothing.",
        "Put `@torch.no_grad()` above the function, or `with torch.no_grad():` around the call.",
        severity=MEDIUM,
        confidence=0.75,
    )


def _sets_mode(view: View, call: ast.Call, part: ast.AST, model: str) -> bool:
    """Tell whether `eval()` is called on the model: in the part, where it is made, or near it."""
    owner = next((u for u in view.above(call) if isinstance(u, ast.ClassDef)), None)
    function = part if isinstance(part, FUNCTIONS) else None
    inside: ast.AST = part
    if function is None:
        inside = view.scope(call)
    elif model.startswith("self.") and owner is not None:
        inside = owner
    if any(_evals(n) for n in view.walk(inside)):
        return True
    maker: ast.expr | None = next(
        (v for v in view.values(model, call) if isinstance(v, ast.Call)), None
    )
    while isinstance(maker, ast.Call):
        short = last(view.name(maker))
        if short in ("from_pretrained", "eval") or view.name(maker).startswith("torch.jit"):
            return True
        made = next((f for f in view.functions if f.name == short), None)
        if made is not None and any(_evals(n) for n in view.walk(made)):
            return True
        maker = maker.func.value if isinstance(maker.func, ast.Attribute) else None
    values = view.values(model, call)
    return (
        bool(values)
        and function is not None
        and any(
            _evals(n) and dotted(n.func.value) == model
            for n in view.calls
            if isinstance(n.func, ast.Attribute)
        )
    )


def _evals(node: ast.AST) -> bool:
    if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
        return False
    if node.func.attr in _SETS and not node.args:
        return True
    return node.func.attr == "train" and (
        (bool(node.args) and not (isinstance(node.args[0], ast.Constant) and node.args[0].value))
        or any(k.arg == "mode" for k in node.keywords)
    )


def _without_grad(view: View, call: ast.Call, part: ast.AST) -> bool:
    for node in view.walk(part):
        if isinstance(node, (ast.Name, ast.Attribute)) and last(dotted(node)) in _GRADS:
            return True
    if any(
        last(view.name(c)) in ("set_grad_enabled", "requires_grad_", "freeze") for c in view.calls
    ):
        return True
    return any(
        isinstance(up, (ast.With, ast.AsyncWith))
        and any(last(dotted(i.context_expr).removesuffix("()")) in _GRADS for i in up.items)
        for up in view.above(call)
    )


def _callers(repo: AuditRepository, view: View, function: AnyFunction) -> tuple[bool, bool]:
    """Tell whether a caller of a function sets the mode, and whether one turns gradients off."""
    mode = grad = False
    for path in sorted({view.path, *repo.code.importers.get(view.path, ())}):
        other = repo.view(path) if f"{function.name}(" in repo.text(path) else None
        for call in other.calls if other is not None else ():
            if other is None or last(dotted(call.func)) != function.name:
                continue
            inside = other.function(call) or other.tree
            mode = mode or any(_evals(n) for n in view.walk(inside))
            grad = grad or _without_grad(other, call, call)
    return mode, grad
