"""Which way is better: the direction of a metric by its name, and of an expression."""

from __future__ import annotations

import ast
import re
from functools import lru_cache
from typing import Final

from mlops_advisor.tools.evidence.parse.python import dotted
from mlops_advisor.tools.evidence.view import FUNCTIONS, AnyFunction, View, last

UP: Final = "max"
DOWN: Final = "min"
_CACHED: Final = 4_096
_MAX_DEPTH: Final = 6
_CAMEL: Final = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_SPLIT: Final = re.compile(r"[^a-z0-9]+")
_LOSS: Final = frozenset(
    "loss losses rmse mse mae mape smape wape mase rmsle msle medae error errors err nll logloss"
    " perplexity ppl wer cer brier mlogloss merror nrmse wmape rmspe deviance aic bic fid"
    " crossentropy bce crps pinball eer rmses mses maes logcosh mdape misclassification"
    " regret".split()
)
_SCORE: Final = frozenset(
    "acc accuracy accuracies accs f1 auc auroc roc auprc prauc ap precision recall r2 rsquared"
    " ndcg bleu rouge iou miou dice kappa mcc silhouette reward rewards score scores fbeta"
    " specificity sensitivity jaccard f1score psnr ssim f2 f05 mrr map50 rocauc likelihood"
    " elbo throughput".split()
)
_PHRASES: Final = (  # where the words of both directions meet
    (re.compile(r"(?:^|_)(?:neg|negative|minus|inv|inverse)_"), UP),
    (re.compile(r"log_loss|cross_entropy|hamming_loss|brier_score|error_rate|max_error"), DOWN),
    (re.compile(r"mean_(?:absolute|squared|pinball|gamma|poisson|tweedie)"), DOWN),
    (re.compile(r"median_absolute|calinski_harabasz|explained_variance|d2_|r2_"), UP),
    (re.compile(r"davies_bouldin|kl_div|mean_iou"), ""),
)
_UNSURE: Final = frozenset(
    "drift weight weights type name names path threshold thresholds fn func function fns log logs"
    " count rate time size id ids history list key keys step steps message messages msg handler"
    " improvement reduction drop gain diff delta anomaly risk fraud outlier z similarity".split()
)
_KEEPS: Final = frozenset(
    "float round abs mean median item numpy cpu detach result compute sum np.mean numpy.mean"
    " numpy.median statistics.mean numpy.average numpy.sqrt math.sqrt sqrt nanmean get average"
    " tolist squeeze values".split()
)


@lru_cache(_CACHED)
def direction(name: str) -> str:  # noqa: PLR0911 - one return for each kind of name
    """Tell which way a metric is better by its name, `max` or `min`; empty when not clear."""
    low = _CAMEL.sub("_", name[:200]).lower()
    low = _SPLIT.sub("_", low).strip("_")
    if low.endswith(("mean_absolute_percentage_error",)):
        return UP if low.startswith("neg_") else DOWN
    for pattern, way in _PHRASES:
        if pattern.search(low):
            if pattern is _PHRASES[0][0]:
                rest = pattern.sub("_", low, count=1)
                return UP if direction(rest) == DOWN else DOWN if direction(rest) == UP else ""
            return way
    words = set(low.split("_"))
    if words & _UNSURE:
        return ""
    if words & _LOSS:
        return DOWN
    if words & _SCORE:
        return UP
    return ""


def opposite(way: str) -> str:
    """Return the other direction; empty stays empty."""
    return {UP: DOWN, DOWN: UP}.get(way, "")


def way_of(value: object) -> str:
    """Read `max` or `min` out of a word such as `maximize` or `MINIMIZE`; else empty."""
    low = f"{value}".strip().lower().rpartition(".")[2]
    if low.startswith("max"):
        return UP
    return DOWN if low.startswith("min") else ""


class Judge:
    """Judges expressions of one module: is a larger value better?"""

    def __init__(self, view: View) -> None:
        """Look at one module."""
        self._view = view

    def of(  # noqa: PLR0911 - one return for each kind of expression
        self, node: ast.expr | None, depth: int = 0
    ) -> tuple[str, str]:
        """Direction and the name that tells it; two empty strings when it is not clear."""
        if node is None or depth > _MAX_DEPTH:
            return "", ""
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
            way, name = self.of(node.operand, depth + 1)
            return opposite(way), f"-{name}" if name else ""
        if isinstance(node, ast.BinOp):
            return self._of_sum(node, depth)
        if isinstance(node, ast.Call):
            return self._of_call(node, depth)
        if isinstance(node, ast.Await):
            return self.of(node.value, depth + 1)
        if isinstance(node, ast.Subscript):
            return self._of_item(node, depth)
        if isinstance(node, (ast.Name, ast.Attribute)):
            return self._of_name(node, depth)
        return "", ""

    def _of_sum(self, node: ast.BinOp, depth: int) -> tuple[str, str]:
        if isinstance(node.op, ast.Sub) and isinstance(node.left, ast.Constant):
            way, name = self.of(node.right, depth + 1)
            return opposite(way), f"{node.left.value!r} - {name}" if name else ""
        if isinstance(node.op, ast.Mult):
            for side, other in ((node.left, node.right), (node.right, node.left)):
                value = self._view.literal(side)
                if isinstance(value, (int, float)):
                    way, name = self.of(other, depth + 1)
                    return (opposite(way) if value < 0 else way), name
            return "", ""
        return self.of(node.left, depth + 1)

    def _of_call(self, node: ast.Call, depth: int) -> tuple[str, str]:
        name = self._view.name(node)
        short = last(name)
        if short == "cross_val_score":
            scoring = self._view.arg(node, "scoring", 3)
            text = self._view.string(scoring)
            return (UP, f"cross_val_score(scoring={text})") if text or scoring is None else ("", "")
        if name in _KEEPS or short in _KEEPS:
            inner = node.func.value if isinstance(node.func, ast.Attribute) else None
            if short == "get" and node.args and isinstance(node.args[0], ast.Constant):
                text = f"{node.args[0].value!s}"
                return direction(text), text
            if node.args and short not in ("get", "item"):
                found = self.of(node.args[0], depth + 1)
                if found[0]:
                    return found
            return self.of(inner, depth + 1)
        if short == "score" and len(node.args) > 1:
            return UP, f"{dotted(node)}"
        way = direction(short)
        return (way, short) if way else ("", "")

    def _of_item(self, node: ast.Subscript, depth: int) -> tuple[str, str]:
        if isinstance(node.slice, ast.Constant) and isinstance(node.slice.value, str):
            way = direction(node.slice.value)
            if way:
                return way, node.slice.value
        if isinstance(node.slice, ast.Constant) and isinstance(node.slice.value, int):
            value = self._view.settled(node.value)
            if isinstance(value, ast.Call) and last(self._view.name(value)) == "evaluate":
                return ("min", "loss") if node.slice.value == 0 else ("", "")
            return self.of(node.value, depth + 1)
        return ("", "") if isinstance(node.slice, ast.Constant) else self.of(node.value, depth + 1)

    def _of_name(self, node: ast.Name | ast.Attribute, depth: int) -> tuple[str, str]:
        name = dotted(node)
        values = [v for v in self._view.values(name, node) if not isinstance(v, ast.Constant)]
        if len(values) == 1 and values[0] is not node:
            way, what = self.of(values[0], depth + 1)
            if way:
                return way, name if direction(name) == way else f"{name} = {what}"
        short = last(name)
        return (way, short) if (way := direction(short)) else ("", "")


def returned(view: View, function: AnyFunction) -> list[ast.expr]:
    """Values that a function returns, those of nested functions left out."""
    found = []
    for node in view.below(function, ast.Return):
        nearest = next(
            (n for n in view.above(node) if isinstance(n, (*FUNCTIONS, ast.Lambda))), None
        )
        if node.value is not None and nearest is function:
            found.append(node.value)
    return found


def function_named(view: View, node: ast.expr | None) -> AnyFunction | None:
    """Find the function that an expression names; arguments bound by `partial` are allowed."""
    if isinstance(node, ast.Call) and last(view.name(node)) == "partial" and node.args:
        node = node.args[0]
    name = last(dotted(node)) if isinstance(node, (ast.Name, ast.Attribute)) else ""
    return next((f for f in view.functions if f.name == name), None) if name else None
