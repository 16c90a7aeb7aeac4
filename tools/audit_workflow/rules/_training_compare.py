"""Comparisons of two models by a metric: which one the code takes for the better."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from typing import Final

from mlops_advisor.tools.audit_workflow.rule import Hit
from mlops_advisor.tools.audit_workflow.rules._training_metrics import DOWN, UP, Judge
from mlops_advisor.tools.evidence.parse.python import dotted
from mlops_advisor.tools.evidence.view import FUNCTIONS, View, last

_NEW: Final = re.compile(
    r"new|cand|challeng|curr|latest|this|trained|fresh|next|val|test", re.IGNORECASE
)
_OLD: Final = re.compile(
    r"old|prod|champ|best|baseline|prev|existing|deployed|incumb|live", re.IGNORECASE
)
_PROMOTE: Final = re.compile(
    r"promot|register|transition_model|set_registered_model_alias|deploy|publish|blue_?print"
    r"|set_production|replace_model|copy_model|create_model_version|approve|push_model",
    re.IGNORECASE,
)
_KEPT: Final = re.compile(
    r"promot|better|improved|deploy|approv|should_|accept|blessed", re.IGNORECASE
)
_DEPTH: Final = 20


def better(way: str) -> str:
    """Say which way a measure is better: larger or smaller."""
    return "larger" if way == UP else "smaller"


def compared(view: View, judge: Judge, node: ast.If) -> Iterator[Hit]:
    """Report `if new > best: best = new`, and `if new > old: promote()`, the wrong way round."""
    for test in _comparisons(node.test):
        won = _winner(judge, test)
        if won is None:
            continue
        way, taken, metric, winner, loser = won
        if way == taken:
            continue
        keeps = any(_keeps(s, winner, loser) for s in node.body)
        promotes = _roles(winner, loser) and _promotes(view, node)
        if keeps or promotes:
            done = f"`{loser}` is replaced" if keeps else "the new model is promoted"
            yield _reversed(view, test, metric, way, done)


def _comparisons(test: ast.expr) -> list[ast.Compare]:
    parts = test.values if isinstance(test, ast.BoolOp) else [test]
    return [p for p in parts if isinstance(p, ast.Compare) and len(p.ops) == 1]


def _winner(judge: Judge, test: ast.Compare) -> tuple[str, str, str, str, str] | None:
    """Direction of the metric, direction of the test, metric, the winning side, the other."""
    left, right = test.left, test.comparators[0]
    op = test.ops[0]
    if not isinstance(op, (ast.Gt, ast.GtE, ast.Lt, ast.LtE)):
        return None
    ways = judge.of(left), judge.of(right)
    way = ways[0][0] or ways[1][0]
    if not way or (ways[0][0] and ways[1][0] and ways[0][0] != ways[1][0]):
        return None
    one, other = _label(left), _label(right)
    if not one or not other:
        return None
    greater = isinstance(op, (ast.Gt, ast.GtE))
    metric = ways[0][1] if ways[0][0] else ways[1][1]
    if _OLD.search(one) and not _OLD.search(other):
        one, other, greater = other, one, not greater
    elif not _OLD.search(other):
        return None
    return way, UP if greater else DOWN, metric, one, other


def _label(node: ast.expr) -> str:
    """Name of one side of a comparison, with literal keys: `prod_metrics.rmse`."""
    for _ in range(_DEPTH):
        if isinstance(node, ast.BinOp):
            node = node.left
        elif isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Constant):
            return f"{dotted(node.value)}.{node.slice.value!s}"
        elif isinstance(node, ast.Call):
            if isinstance(node.func, ast.Attribute) and node.func.attr in ("get", "item", "mean"):
                key = node.args[0] if node.args else None
                text = f"{key.value!s}" if isinstance(key, ast.Constant) else ""
                return f"{dotted(node.func.value)}.{text}"
            if len(node.args) != 1:
                break
            node = node.args[0]
        else:
            break
    return dotted(node)


def _roles(winner: str, loser: str) -> bool:
    return bool(_OLD.search(loser)) and bool(_NEW.search(winner) or winner != loser)


def _keeps(statement: ast.stmt, winner: str, loser: str) -> bool:
    return (
        isinstance(statement, ast.Assign)
        and any(_label(t) == loser for t in statement.targets)
        and _label(statement.value) == winner
    )


def _promotes(view: View, node: ast.If) -> bool:
    for statement in node.body:
        for below in view.walk(statement):
            if isinstance(below, ast.Raise):
                return False
            if isinstance(below, ast.Call) and _PROMOTE.search(last(dotted(below))):
                return True
            if (
                isinstance(below, ast.Assign)
                and isinstance(below.value, ast.Constant)
                and below.value.value is True
                and _KEPT.search(dotted(below.targets[0]))
            ):
                return True
            if isinstance(below, ast.Return) and isinstance(below.value, ast.Constant):
                function = view.function(node)
                if below.value.value is True and function is not None:
                    return bool(_KEPT.search(function.name))
    return False


def verdicts(view: View, judge: Judge) -> Iterator[Hit]:
    """`better = new_rmse > old_rmse`, and the same returned by `isbetter()`."""
    for node in view.of(ast.Compare):
        parent = view.parent(node)
        named = ""
        if isinstance(parent, ast.Assign):
            named = dotted(parent.targets[0])
        elif isinstance(parent, ast.Return):
            function = next((n for n in view.above(node) if isinstance(n, FUNCTIONS)), None)
            named = function.name if function is not None else ""
        elif isinstance(parent, ast.keyword):
            named = parent.arg or ""
        if not _KEPT.search(named) or len(node.ops) != 1:
            continue
        won = _winner(judge, node)
        if won is not None and won[0] != won[1]:
            yield _reversed(view, node, won[2], won[0], f"`{named}` is true")


def _reversed(view: View, test: ast.Compare, metric: str, way: str, done: str) -> Hit:
    said = "larger" if way == DOWN else "smaller"
    return Hit(
        view.path,
        test.lineno,
        f"When `{metric}` got {said}, {done}: `{metric}` is better when {better(way)}.",
        "Turn the comparison round.",
    )
