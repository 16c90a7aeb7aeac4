"""Places where the best of several is taken: orders, extremes, comparisons with the champion."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Final

from mlops_advisor.tools.audit_workflow.rule import HIGH, Hit
from mlops_advisor.tools.audit_workflow.rules._calls import ending
from mlops_advisor.tools.audit_workflow.rules._training_compare import better, compared, verdicts
from mlops_advisor.tools.audit_workflow.rules._training_metrics import (
    DOWN,
    UP,
    Judge,
    direction,
    opposite,
)
from mlops_advisor.tools.evidence.parse.python import dotted
from mlops_advisor.tools.evidence.view import View, last

_ORDER: Final = re.compile(
    r"metrics?\.[`\"']?([\w/ .@-]{1,100}?)[`\"']?(?:\s+(asc|desc|ascending|descending))?\s*$",
    re.IGNORECASE,
)
_WORST: Final = re.compile(
    r"worst|highest|largest|biggest|hard|peak|slowest|anomal|outlier", re.IGNORECASE
)
_BEST: Final = re.compile(r"best|top|champion|winner|select|chosen|optimal|prod", re.IGNORECASE)
_LIMIT: Final = 3  # runs asked for, when the best is meant
_DEPTH: Final = 20


def chosen(view: View, judge: Judge) -> Iterator[Hit]:
    """Report places of one module where the worst is taken for the best."""
    for call in ending(view, _ENDS):
        name = view.name(call)
        short = last(name)
        if short in ("search_runs", "search_logged_models", "search_model_versions"):
            yield from _search(view, call)
        elif name in ("max", "min", "sorted", "heapq.nlargest", "heapq.nsmallest"):
            yield from _extreme(view, judge, call, name)
        elif short in _OF_FRAMES:
            yield from _OF_FRAMES[short](view, call)
        elif short in ("argmax", "argmin", "idxmax", "idxmin", "nanargmax", "nanargmin"):
            yield from _position(view, judge, call, short)
        elif short == "step" and call.args:
            yield from _scheduled(view, judge, call)
    for node in view.of(ast.If):
        yield from compared(view, judge, node)
    yield from verdicts(view, judge)


# --- orders ------------------------------------------------------------------------------------


def _search(view: View, call: ast.Call) -> Iterator[Hit]:
    order = view.settled(view.arg(call, "order_by"))
    first = order.elts[0] if isinstance(order, (ast.List, ast.Tuple)) and order.elts else order
    text = view.string(first) if first is not None else ""
    match = _ORDER.search(text[-200:])
    if match is None or first is None:
        return
    metric, said = match.group(1), (match.group(2) or "asc").lower()
    way = direction(metric)
    taken = UP if said.startswith("desc") else DOWN
    take = _taken(view, call)
    if take == "last":
        taken = opposite(taken)
    if not way or taken == way or not take:
        return
    right = "ASC" if way == DOWN else "DESC"
    place = first if first.lineno >= call.lineno else call
    yield Hit(
        view.path,
        place.lineno,
        f'The runs are ordered by "{text}" and the {take} is taken: `{metric}` is better when '
        f"{better(way)}, so this is the worst run.",
        f'Order by "metrics.{metric} {right}".'
        if take == "first"
        else "Take the other end of the list.",
        also=((view.path, call.lineno),) if place is not call else (),
    )


def _taken(view: View, call: ast.Call) -> str:
    """Tell which end of the result is used: first, last, or neither."""
    limit = view.literal(view.arg(call, "max_results"))
    if isinstance(limit, int) and limit <= _LIMIT:
        return "first"
    statement = view.statement(call)
    at: ast.AST = call
    for up in view.above(call):
        if isinstance(up, ast.Attribute) and up.attr in ("iloc", "head", "tail"):
            if up.attr != "iloc":
                return "last" if up.attr == "tail" else "first"
            at = up
            continue
        if isinstance(up, ast.Subscript) and up.value is at:
            return _end(view, up)
        break
    if isinstance(statement, (ast.Assign, ast.AnnAssign)):
        target = statement.targets[0] if isinstance(statement, ast.Assign) else statement.target
        if isinstance(target, ast.Name):
            return _end_of_name(view, call, target.id)
    return ""


def _end(view: View, node: ast.Subscript) -> str:
    index = node.slice
    if isinstance(index, ast.Tuple) and index.elts:
        index = index.elts[0]
    value = view.literal(index)
    return {0: "first", -1: "last"}.get(value, "") if isinstance(value, int) else ""


def _end_of_name(view: View, near: ast.Call, name: str) -> str:
    scope = view.scope(near)
    for node in view.of(ast.Subscript):
        if node.lineno < near.lineno or view.scope(node) is not scope:
            continue
        base = dotted(node.value)
        if base in (name, f"{name}.iloc") and _end(view, node):
            return _end(view, node)
    heads = (
        call
        for call in view.calls
        if dotted(call.func) == f"{name}.head"
        and call.lineno >= near.lineno
        and view.scope(call) is scope
    )
    return "first" if next(heads, None) is not None else ""


def _sorted_frame(view: View, call: ast.Call) -> Iterator[Hit]:
    key = view.arg(call, "by", 0)
    if isinstance(key, (ast.List, ast.Tuple)) and key.elts:
        key = key.elts[0]
    metric = view.string(key)
    flag = view.arg(call, "ascending")
    value = True if flag is None else view.literal(flag)
    if isinstance(value, list) and value:
        value = value[0]
    way = direction(metric)
    if not way or not isinstance(value, bool):
        return
    take = _taken(view, call)
    statement = view.statement(call)
    if not take or statement is None:
        return
    taken = DOWN if value else UP
    taken = opposite(taken) if take == "last" else taken
    if taken == way or not _meant(view, statement, call):
        return
    yield Hit(
        view.path,
        call.lineno,
        f"The rows are sorted by `{metric}` with ascending={value} and the {take} is taken: "
        f"`{metric}` is better when {better(way)}.",
        f"Write `sort_values({metric!r}, ascending={way == DOWN})`." if take == "first" else "",
    )


def _meant(view: View, statement: ast.stmt, node: ast.AST) -> bool:
    """Tell whether a statement is after the best, by the names in it and of its function."""
    names = " ".join(n.id for n in view.walk(statement) if isinstance(n, ast.Name))
    texts = " ".join(
        n.value[:50]
        for n in view.walk(statement)
        if isinstance(n, ast.Constant) and isinstance(n.value, str)
    )
    function = view.function(node)
    around = function.name if function is not None else ""
    if isinstance(statement, ast.Return):
        names += f" {around}"
    if _WORST.search(names) or _WORST.search(texts) or _WORST.search(around):
        return False
    return bool(_BEST.search(names) or _BEST.search(around) or _BEST.search(_used(view, statement)))


def _used(view: View, statement: ast.stmt) -> str:
    """Names that the next few lines give to parts of what a statement assigns."""
    if not isinstance(statement, ast.Assign) or not isinstance(statement.targets[0], ast.Name):
        return ""
    name, scope = statement.targets[0].id, view.scope(statement)
    return " ".join(
        target
        for target, values in view.assigned.get(scope, {}).items()
        if any(isinstance(v, ast.Subscript) and name in dotted(v) for v in values)
    )


# --- extremes ----------------------------------------------------------------------------------


def _extreme(view: View, judge: Judge, call: ast.Call, name: str) -> Iterator[Hit]:
    key = view.arg(call, "key")
    statement = view.statement(call)
    if statement is None or not call.args:
        return
    if key is None:
        way, metric = judge.of(call.args[0]) if name in ("max", "min") else ("", "")
        if len(call.args) > 1 or not _names_best(statement):
            return
    else:
        way, metric = _key(judge, key, call)
    taken = UP if name in ("max", "heapq.nlargest") else DOWN
    if name == "sorted":
        flag = view.arg(call, "reverse")
        taken = UP if flag is not None and view.literal(flag) is True else DOWN
        take = _taken(view, call)
        if not take:
            return
        taken = opposite(taken) if take == "last" else taken
    if not way or way == taken or not _meant(view, statement, call):
        return
    shown = f"`{name}(..., key=...)` takes the {'largest' if taken == UP else 'smallest'}"
    yield Hit(
        view.path,
        call.lineno,
        f"{shown} `{metric}`, which is better when {better(way)}.",
        f"Take the {'smallest' if way == DOWN else 'largest'} `{metric}` instead.",
    )


def _names_best(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.Assign) and bool(
        re.search(r"(?:^|_)best", dotted(statement.targets[0]))
    )


def _largest(view: View, call: ast.Call) -> Iterator[Hit]:
    short = last(view.name(call))
    metric = view.string(view.arg(call, "columns", 1))
    way, statement = direction(metric), view.statement(call)
    taken = UP if short == "nlargest" else DOWN
    if way and way != taken and statement is not None and _meant(view, statement, call):
        yield Hit(
            view.path,
            call.lineno,
            f"`{short}` by `{metric}`, which is better when {better(way)}.",
            f"Use `{'nsmallest' if taken == UP else 'nlargest'}`.",
        )


def _ray(view: View, call: ast.Call) -> Iterator[Hit]:
    metric, mode = view.string(view.arg(call, "metric", 0)), view.string(view.arg(call, "mode", 1))
    if call.args and direction(metric) and mode == opposite(direction(metric)):
        yield Hit(
            view.path,
            call.lineno,
            f"`{last(view.name(call))}` takes the {mode} of `{metric}`, which is better when "
            f"{better(direction(metric))}.",
            f'Write `mode="{direction(metric)}"`.',
        )


def _wandb(view: View, call: ast.Call) -> Iterator[Hit]:
    given = view.arg(call, "order")
    order = view.string(given) if given is not None else ""
    metric = order.lstrip("+-").removeprefix("summary_metrics.")
    way = direction(metric)
    taken = UP if order.startswith("-") else DOWN
    if way and taken != way and "summary" in order and _taken(view, call) == "first":
        yield Hit(
            view.path,
            call.lineno,
            f'The runs are ordered by "{order}" and the first is taken: `{metric}` is better when '
            f"{better(way)}.",
            f'Order by "{"-" if way == UP else "+"}summary_metrics.{metric}".',
        )


def _key(judge: Judge, key: ast.expr, call: ast.Call) -> tuple[str, str]:
    if isinstance(key, ast.Lambda):
        body = key.body.elts[0] if isinstance(key.body, ast.Tuple) and key.body.elts else key.body
        way, name = judge.of(body)
        if way or not isinstance(body, ast.Subscript):
            return way, name
        owner = dotted(call.args[0]).replace(".items()", "")
        return direction(last(owner)), last(owner)
    if isinstance(key, ast.Attribute) and key.attr in ("get", "__getitem__"):
        name = last(dotted(key.value))
        return direction(name), name
    if isinstance(key, ast.Call) and last(dotted(key)) in ("itemgetter", "attrgetter") and key.args:
        first = key.args[0]
        text = first.value if isinstance(first, ast.Constant) else ""
        return (direction(text), text) if isinstance(text, str) else ("", "")
    return "", ""


def _position(view: View, judge: Judge, call: ast.Call, short: str) -> Iterator[Hit]:
    owner = call.func.value if isinstance(call.func, ast.Attribute) else None
    of_module = view.name(call).partition(".")[0] in ("numpy", "np", "torch", "jnp", "jax")
    what = call.args[0] if of_module and call.args else owner
    statement = view.statement(call)
    if what is None or statement is None:
        return
    way, metric = judge.of(what)
    taken = UP if short.endswith("max") else DOWN
    if way and way != taken and _meant(view, statement, call):
        yield Hit(
            view.path,
            call.lineno,
            f"`{short}` over `{metric}`, which is better when {better(way)}: this is the worst.",
            f"Use `{short.replace('max', 'min') if taken == UP else short.replace('min', 'max')}`.",
        )


def _scheduled(view: View, judge: Judge, call: ast.Call) -> Iterator[Hit]:
    """`ReduceLROnPlateau(mode=...)` and the value that its `step` gets."""
    owner = view.settled(call.func.value) if isinstance(call.func, ast.Attribute) else None
    if not isinstance(owner, ast.Call) or last(view.name(owner)) != "ReduceLROnPlateau":
        return
    given = view.arg(owner, "mode", 1)
    mode = view.string(given) if given is not None else DOWN
    way, metric = judge.of(call.args[0])
    if way and mode == opposite(way) and not view.spreads(owner):
        yield Hit(
            view.path,
            owner.lineno,
            f"`ReduceLROnPlateau` waits for a {'larger' if mode == UP else 'smaller'} value, and "
            f"`step` at line {call.lineno} gives it `{metric}`, which is better when "
            f"{better(way)}.",
            f'Write `mode="{way}"`.',
            also=((view.path, call.lineno),),
            severity=HIGH,
        )


_OF_FRAMES: Final[Mapping[str, Callable[[View, ast.Call], Iterator[Hit]]]] = {
    "sort_values": _sorted_frame,
    "nlargest": _largest,
    "nsmallest": _largest,
    "get_best_result": _ray,
    "get_best_trial": _ray,
    "get_best_config": _ray,
    "runs": _wandb,
}
_ENDS: Final = frozenset(_OF_FRAMES) | frozenset(  # last parts of all calls that choose
    "search_runs search_logged_models search_model_versions max min sorted nlargest nsmallest"
    " argmax argmin idxmax idxmin nanargmax nanargmin step".split()
)
