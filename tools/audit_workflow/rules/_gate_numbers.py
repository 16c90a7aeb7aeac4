"""Gates that know one number, written into the code, and no model to compare with."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from typing import Final

from mlops_advisor.tools.audit_workflow.repo import AuditRepository
from mlops_advisor.tools.audit_workflow.rule import LOW, Hit
from mlops_advisor.tools.audit_workflow.rules._called import step_of
from mlops_advisor.tools.audit_workflow.rules._gate_compare import metric_part
from mlops_advisor.tools.audit_workflow.rules._gate_projects import project_of
from mlops_advisor.tools.audit_workflow.rules._gates import fails, releases, training_paths
from mlops_advisor.tools.evidence.parse.python import dotted
from mlops_advisor.tools.evidence.probes.evaluation import is_metric
from mlops_advisor.tools.evidence.view import AnyFunction, View, last

_CONDITIONS: Final = re.compile(r"^sagemaker\.workflow\.conditions\.Condition(?:Less|Greater)")
_BRANCHES: Final = re.compile(
    r"^(?:kfp|tfx)\.\S{0,40}\b(?:Condition|If|Elif)$|^flytekit\.conditional\(\)\.(?:if_|elif_)$"
)
_CHAMPION: Final = (
    *("champion", "production_", "prod_metric", "prod_score", "prod_model", "prod_acc"),
    *("prod_rmse", "prod_f1", "prod_auc", "prod_mae", "baseline_", "current_best"),
    "incumbent",
)
_ORDERS: Final = (ast.Lt, ast.LtE, ast.Gt, ast.GtE)
_ASKS: Final = ("Condition", "dsl.If", "conditional(")


def thresholds(repo: AuditRepository) -> Iterator[Hit]:
    """Report, at the number, gates that know one number in the code and no other model."""
    relevant = training_paths(repo) | repo.flows.modules
    known: dict[str, bool] = {}
    for path in sorted(repo.code.product):
        module = repo.code.modules[path]
        text = repo.text(path)
        asks = any(w in text for w in _ASKS)
        if module.notebook or not (module.branches or module.checks or asks):
            continue
        if path in repo.code.serving_code and path not in relevant:
            continue
        if not (asks or path in relevant) or _champion_known(repo, relevant, path, known):
            continue
        view = repo.view(path)
        if view is not None:
            yield from _of_view(view, asks=asks, trains=path in relevant)


def _champion_known(
    repo: AuditRepository, relevant: frozenset[str], path: str, known: dict[str, bool]
) -> bool:
    """Tell whether the project's training code speaks of a model to compare with."""
    project = project_of(repo, path)
    if project not in known:
        texts = (
            repo.text(p).lower()
            for p in relevant
            if p in repo.code.product and project_of(repo, p) == project
        )
        known[project] = any(w in text for text in texts for w in _CHAMPION)
    return known[project]


def _of_view(view: View, *, asks: bool, trains: bool) -> Iterator[Hit]:
    if asks:
        for call in view.calls:
            name = view.name(call)
            if _CONDITIONS.match(name):
                right = View.arg(call, "right", 1)
                line = _line(view, right)
                if line and right is not None:
                    yield _fixed(view.path, line, ast.unparse(right)[:40])
            elif _BRANCHES.match(name) and call.args:
                yield from _of_test(view, call.args[0], loose=True)
    if not trains:
        return
    released = {r.call for r in releases(view)}
    for node in view.of(ast.If):
        inside = (*node.body, *node.orelse)
        if any(fails(s) for s in node.body) or (
            released
            and any(isinstance(c, ast.Call) and c in released for s in inside for c in view.walk(s))
        ):
            yield from _of_test(view, node.test)
    for check in view.of(ast.Assert):
        yield from _of_test(view, check.test)


def _of_test(view: View, test: ast.expr, *, loose: bool = False) -> Iterator[Hit]:
    for compare in [test, *view.below(test, ast.Compare)]:
        if not isinstance(compare, ast.Compare) or len(compare.comparators) != 1:
            continue
        if not isinstance(compare.ops[0], _ORDERS):
            continue
        sides = (compare.left, compare.comparators[0])
        lines = [_line(view, s) for s in sides]
        if bool(lines[0]) == bool(lines[1]):
            continue
        other = sides[0] if lines[1] else sides[1]
        words = re.findall(r"[a-z_]\w{0,60}", ast.unparse(other).lower())
        name = last(dotted(other)).lower()
        if loose or any(is_metric(n) or metric_part(n) for n in (name, *words)):
            yield _fixed(view.path, max(lines), ast.unparse(compare)[:60])
            return


def _line(view: View, node: ast.expr | None) -> int:
    """Line of the number that an expression stands for; 0 when it is none that is written here."""
    value = view.literal(node)
    if isinstance(value, (int, float)) and not isinstance(value, bool) and value != 0:
        settled = view.settled(node)
        return settled.lineno if settled is not None else 0
    if isinstance(node, ast.Name):
        return _default(view, node)
    return 0


def _default(view: View, node: ast.Name) -> int:
    """Line of a parameter's default, when no call in the module gives another value."""
    function = view.function(node)
    if function is None or function.decorator_list or view.values(node.id, node):
        return 0
    default = default_of(function, node.id)
    if not isinstance(default, ast.Constant) or not isinstance(default.value, float):
        return 0
    given = any(
        k.arg == node.id for c in view.calls if step_of(c) == function.name for k in c.keywords
    )
    return 0 if given else default.lineno


def default_of(function: AnyFunction, name: str) -> ast.expr | None:
    """Default of a parameter."""
    args = function.args
    plain = [*args.posonlyargs, *args.args]
    pairs = list(zip(reversed(plain), reversed(args.defaults), strict=False))
    pairs += [(a, d) for a, d in zip(args.kwonlyargs, args.kw_defaults, strict=True) if d]
    return next((d for a, d in pairs if a.arg == name), None)


def _fixed(path: str, line: int, what: str) -> Hit:
    return Hit(
        path,
        line,
        f"The gate knows one number in the code (`{what}`) and no model to compare with: a"
        " candidate worse than the model in production passes.",
        "Take the threshold from configuration, and compare with the champion on the same data.",
        severity=LOW,
        confidence=0.65,
    )
