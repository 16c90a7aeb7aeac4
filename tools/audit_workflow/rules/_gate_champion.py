"""Metrics of the model in production that are made up, missing, or those of another test set."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from typing import Final

from mlops_advisor.tools.audit_workflow.repo import AuditRepository
from mlops_advisor.tools.audit_workflow.rule import MEDIUM, Hit
from mlops_advisor.tools.audit_workflow.rules._called import step_of
from mlops_advisor.tools.audit_workflow.rules._gate_compare import LOSSES, SCORES, metric_part
from mlops_advisor.tools.audit_workflow.rules._gates import stops
from mlops_advisor.tools.evidence.parse.python import dotted
from mlops_advisor.tools.evidence.probes.evaluation import is_metric
from mlops_advisor.tools.evidence.view import AnyFunction, View, last, walk

_WORDS: Final = ("champion", "prod", "incumbent", "deployed", "existing", "baseline", "live")
_INCUMBENT: Final = re.compile(
    r"(?:^|_)(?:champion|champ|prod|production|incumbent|deployed|existing|live|baseline|"
    r"current_best|registered|old|previous|prev|current|best)(?:_|$)"
)
_SURE: Final = re.compile(r"(?:^|_)(?:champion|champ|prod|production|incumbent|deployed)(?:_|$)")
_ORDERS: Final = (ast.Lt, ast.LtE, ast.Gt, ast.GtE)
_BIG: Final = 1
_LOADED: Final = re.compile(r"\.tags\b|\.data\.metrics\b|\.data\.tags\b")
_INFINITE: Final = ("inf", "+inf", "infinity", "-inf", "-infinity")
_MEASURES: Final = re.compile(r"^sklearn\.metrics\.|(?:^|\.|_)evaluate\w{0,20}$|_score$|rmse$")


def champions(repo: AuditRepository) -> Iterator[Hit]:
    """Report defaults that let any challenger pass, crashes, and metrics of another test set."""
    for path, module in repo.code.product.items():
        if path in repo.code.serving or not module.branches:
            continue
        low = repo.text(path).lower()
        if not any(w in low for w in _WORDS):
            continue
        if not any(_INCUMBENT.search(n) for b in module.branches for n in b.names):
            continue
        view = repo.view(path)
        if view is not None:
            yield from _of_view(view)


def _of_view(view: View) -> Iterator[Hit]:
    seen: set[int] = set()
    for compare in view.of(ast.Compare):
        if len(compare.ops) != 1 or not isinstance(compare.ops[0], _ORDERS):
            continue
        sides = (compare.left, compare.comparators[0])
        for one, other in (sides, sides[::-1]):
            name = last(dotted(one)).lower()
            if not isinstance(one, ast.Name) or not _INCUMBENT.search(name):
                continue
            if isinstance(view.settled(other), ast.Constant) or not _is_incumbent(
                view, compare, one
            ):
                continue
            for hit in (
                *_defaults(view, compare, one, other),
                *_elsewhere(view, compare, one, other),
            ):
                if hit.line not in seen:
                    seen.add(hit.line)
                    yield hit


def _is_incumbent(view: View, compare: ast.Compare, one: ast.Name) -> bool:
    """Tell whether a name holds what a model in production reached, not the best of a loop."""
    if not any(is_metric(w) or metric_part(w) for w in _names(compare)):
        return False
    function = view.function(one)
    values = view.values(one.id, one)
    if _SURE.search(one.id.lower()):
        return True
    if any(isinstance(n, (ast.For, ast.While, ast.AsyncFor)) for n in view.above(compare)):
        return False
    text = " ".join(ast.unparse(v)[:200] for v in values).lower()
    around = function.name.lower() if function is not None else ""
    return bool(_SURE.search(re.sub(r"\W{1,40}", "_", text)) or _SURE.search(around))


def _names(compare: ast.Compare) -> list[str]:
    return [n.id.lower() for n in walk(compare) if isinstance(n, ast.Name)] + [
        n.attr.lower() for n in walk(compare) if isinstance(n, ast.Attribute)
    ]


# --- defaults --------------------------------------------------------------------------------


def _defaults(view: View, compare: ast.Compare, one: ast.Name, other: ast.expr) -> Iterator[Hit]:
    found = [d for v in view.values(one.id, one) for d in _made_up(view, v)]
    real = len(view.values(one.id, one)) > 1
    for node, alone in found:
        if alone and (not real or _replaced(view, one, node)):
            continue  # a constant that is the only value is a threshold
        value = _value(node)
        if value is None:
            if not _guarded(view, one):
                yield _crash(view, compare, one, node)
        elif _passes(view, compare, one, other, value):
            yield Hit(
                view.path,
                node.lineno,
                f"When the metric of the model in production is missing, `{one.id}` becomes"
                f" `{ast.unparse(node)}`: `{ast.unparse(compare)[:80]}` then lets any challenger"
                " pass, however bad, and nobody is told.",
                "Stop when the metric of a model in production cannot be read, and hold the first"
                " version to an absolute threshold from configuration.",
                severity=MEDIUM,
                confidence=0.75,
            )


def _made_up(view: View, value: ast.expr) -> list[tuple[ast.expr, bool]]:
    """Constants that a value may become, and whether each is the whole value."""
    if _is_constant(value):
        return [(value, True)]
    found: list[ast.expr | None] = []
    if isinstance(value, ast.IfExp):
        found = [value.body, value.orelse]
    elif isinstance(value, ast.BoolOp) and isinstance(value.op, ast.Or):
        found = [value.values[-1]]
    elif isinstance(value, ast.Call):
        found = _of_call(view, value)
    return [(n, False) for n in found if n is not None and _is_constant(n)]


def _of_call(view: View, value: ast.Call) -> list[ast.expr | None]:
    end = last(dotted(value).removesuffix("()"))
    if end == "float" and len(value.args) == 1 and isinstance(value.args[0], ast.Call):
        value = value.args[0]
        end = last(dotted(value).removesuffix("()"))
    if end in ("get", "getattr", "next") and len(value.args) > 1:
        return [value.args[-1]]
    function = _own(view, value)
    return [n.value for n in view.below(function, ast.Return)] if function is not None else []


def _own(view: View, call: ast.Call) -> AnyFunction | None:
    name = step_of(call)
    return next((f for f in view.functions if f.name == name), None)


def _is_constant(node: ast.expr) -> bool:
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        return _is_constant(node.operand)
    if isinstance(node, ast.Constant):
        return node.value is None or (
            isinstance(node.value, (int, float)) and not isinstance(node.value, bool)
        )
    if isinstance(node, ast.Call):
        return (
            ast.unparse(node.func) == "float"
            and len(node.args) == 1
            and isinstance(node.args[0], ast.Constant)
            and str(node.args[0].value).lower() in _INFINITE
        )
    return ast.unparse(node) in ("math.inf", "np.inf", "numpy.inf", "np.Inf")


def _value(node: ast.expr) -> float | None:
    if isinstance(node, ast.UnaryOp):
        value = _value(node.operand)
        return -value if value is not None else None
    if isinstance(node, ast.Constant):
        return float(node.value) if isinstance(node.value, (int, float)) else None
    if isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
        return float("-inf") if str(node.args[0].value).startswith("-") else float("inf")
    return float("inf")


def _passes(view: View, compare: ast.Compare, one: ast.Name, other: ast.expr, value: float) -> bool:
    """Tell whether each challenger beats a value, by the metric's name or the comparison."""
    words = (
        " ".join(_names(compare))
        + " "
        + " ".join(ast.unparse(v)[:120] for v in view.values(one.id, one))
    )
    text = re.sub(r"[^a-z0-9]{1,40}", "_", f"{words} {ast.unparse(other)}".lower())
    if LOSSES.search(text) and not SCORES.search(text):
        return value >= _BIG
    if SCORES.search(text) and not LOSSES.search(text):
        return value <= 0
    return value <= 0 or value > _BIG


def _guarded(view: View, one: ast.Name) -> bool:
    """Tell whether the code asks if the name holds anything."""
    scope = view.function(one) or view.tree
    tests = [n.test for n in view.walk(scope) if isinstance(n, (ast.If, ast.IfExp, ast.Assert))]
    for test in tests:
        for node in [test, *view.walk(test)]:
            if isinstance(node, ast.Name) and node.id == one.id:
                up = view.parent(node)
                orders = isinstance(up, ast.Compare) and isinstance(up.ops[0], _ORDERS)
                if not orders:
                    return True
    return False


def _replaced(view: View, one: ast.Name, node: ast.expr) -> bool:
    """Tell whether a later assignment, which always happens, takes a constant's place."""
    for value in view.values(one.id, one):
        if value.lineno <= node.lineno or value.lineno > one.lineno:
            continue
        above = []
        for up in view.above(value):
            if isinstance(up, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Module)):
                break
            above.append(up)
        branches = (ast.If, ast.For, ast.While, ast.ExceptHandler, ast.Match, ast.AsyncFor)
        tries = [t for t in above if isinstance(t, ast.Try)]
        handlers = [h for t in tries for h in t.handlers]
        if not any(isinstance(u, branches) for u in above) and all(stops(h.body) for h in handlers):
            return True
    return False


def _crash(view: View, compare: ast.Compare, one: ast.Name, node: ast.expr) -> Hit:
    return Hit(
        view.path,
        compare.lineno,
        f"`{one.id}` is None when there is no metric of a model in production (line {node.lineno}),"
        f" and `{ast.unparse(compare)[:80]}` then raises a TypeError: the first release fails.",
        f"Ask first: `if {one.id} is None:` hold the candidate to an absolute threshold.",
        also=((view.path, node.lineno),) if node.lineno != compare.lineno else (),
        severity=MEDIUM,
        confidence=0.75,
    )


# --- another test set --------------------------------------------------------------------------


def _elsewhere(view: View, compare: ast.Compare, one: ast.Name, other: ast.expr) -> Iterator[Hit]:
    """Report a metric that was stored with the old model, next to one that is computed now."""
    stored = next((v for v in view.values(one.id, one) if _LOADED.search(_spelled(view, v))), None)
    if stored is None or not _computed(view, other):
        return
    yield Hit(
        view.path,
        stored.lineno,
        f"`{one.id}` was noted when the model in production was trained, on the test set of that"
        f" day; `{ast.unparse(other)[:60]}` is measured on today's: they cannot be compared.",
        "Load the model in production and evaluate it on the same test set as the challenger.",
        also=((view.path, compare.lineno),) if compare.lineno != stored.lineno else (),
        severity=MEDIUM,
        confidence=0.6,
    )


def _spelled(view: View, value: ast.expr) -> str:
    """Text of a value, the names in it replaced by what they were given once."""
    text = ast.unparse(value)[:300]
    for name in [n for n in view.walk(value) if isinstance(n, ast.Name)][:5]:
        settled = view.settled(name)
        if settled is not None and settled is not name:
            text += f" {ast.unparse(settled)[:200]}"
    return text


def _computed(view: View, node: ast.expr) -> bool:
    """Tell whether a value is measured in this run."""
    values = view.values(node.id, node) if isinstance(node, ast.Name) else [node]
    for value in values:
        for call in [value, *view.walk(value)]:
            if isinstance(call, ast.Call):
                name = view.name(call)
                if _MEASURES.search(name) and ".tags" not in name and ".data." not in name:
                    return True
    return False
