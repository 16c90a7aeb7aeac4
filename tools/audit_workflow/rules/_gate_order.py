"""Releases that come before the evaluation that should decide about them."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from typing import Final

from mlops_advisor.tools.audit_workflow.repo import AuditRepository
from mlops_advisor.tools.audit_workflow.rule import HIGH, Hit
from mlops_advisor.tools.audit_workflow.rules._called import step_of
from mlops_advisor.tools.audit_workflow.rules._gates import gated, releases
from mlops_advisor.tools.audit_workflow.rules._serving import callee, calls_in, reach
from mlops_advisor.tools.evidence.parse.python import dotted
from mlops_advisor.tools.evidence.probes.evaluation import is_metric
from mlops_advisor.tools.evidence.view import AnyFunction, View, last

_PIPELINES: Final = ("flow", "workflow", "pipeline", "dag", "job", "graph")
_PROMOTE_WORDS: Final = re.compile(
    r"(?:^|_)(?:register|promote|deploy|publish|release|push)(?:_|$|[a-z]{0,3}_)|register_model|"
    r"deploy_model|push_model"
)
_EVALUATE_WORDS: Final = re.compile(
    r"evaluat|validate_model|model_validation|test_model(?!_deploy)|score_model|(?:compute|"
    r"calculate|calc|get|log)_(?:metrics|accuracy|scores?)|(?:^|_)eval(?:_|$)|model_test"
)
_OPERATOR: Final = re.compile(r"Operator$|^task$")


def early_releases(repo: AuditRepository) -> Iterator[Hit]:
    """Report pipelines and functions that register or deploy first and evaluate afterwards."""
    for path, module in repo.code.product.items():
        if path in repo.code.serving or module.notebook or not module.roots:
            continue
        low = repo.text(path).lower()
        if not any(
            w in low for w in ("register", "promot", "deploy", "publish", "release", "push")
        ):
            continue
        if not any(
            w in low for w in ("eval", "metric", "accura", "score", "test_model", "validat")
        ):
            continue
        view = repo.view(path)
        if view is None:
            continue
        yield from _inside(repo, view)
        yield from _steps(repo, view)
        yield from _chains(view)


def _inside(repo: AuditRepository, view: View) -> Iterator[Hit]:
    """Within one function: registered at line n, measured only later."""
    for one in releases(view):
        if one.kind == "save" or gated(repo, one):
            continue
        scope: ast.AST = view.function(one.call) or view.tree
        measured = [
            c.lineno
            for c in calls_in(view, scope)
            if view.function(c) is view.function(one.call) and _measures(view, c)
        ]
        end = one.call.end_lineno or one.line
        if measured and min(measured) > end:
            yield _early(view.path, one.line, f"`{one.what}`", min(measured), "")


def _measures(view: View, call: ast.Call) -> bool:
    name = view.name(call)
    end = last(name)
    return (
        name.startswith("sklearn.metrics.")
        or end == "evaluate"
        or (end.endswith("_score") and is_metric(end))
        or bool(_EVALUATE_WORDS.search(step_of(call).lower()))
    )


def _steps(repo: AuditRepository, view: View) -> Iterator[Hit]:
    """Within a pipeline function or a main function: the order of its steps."""
    for function in view.functions:
        names = [last(view.name(d)) for d in function.decorator_list]
        if not any(n in _PIPELINES for n in names) and not function.name.startswith(
            ("main", "run", "pipeline", "train_pipeline")
        ):
            continue
        roles: list[tuple[str, ast.Call]] = []
        for call in calls_in(view, function):
            role = _role(repo, view, call) if view.function(call) is function else ""
            if role:
                roles.append((role, call))
        promotes = [c for r, c in roles if r == "promote"]
        evaluates = [c for r, c in roles if r == "evaluate"]
        if promotes and evaluates and evaluates[0].lineno > promotes[0].lineno:
            name = last(dotted(promotes[0]).removesuffix("()"))
            later = last(dotted(evaluates[0]).removesuffix("()"))
            yield _early(
                view.path, promotes[0].lineno, f"Step `{name}`", evaluates[0].lineno, later
            )


def _role(repo: AuditRepository, view: View, call: ast.Call) -> str:
    name = step_of(call).lower()
    target = callee(repo, view, call)
    if target is None:
        return ""
    if _EVALUATE_WORDS.search(name):
        return "evaluate"
    if _PROMOTE_WORDS.search(name) and _releases(repo, target[0], target[1]):
        return "promote"
    return ""


def _releases(repo: AuditRepository, view: View, function: AnyFunction) -> bool:
    for where, one in reach(repo, view, function):
        inside = {id(c) for c in calls_in(where, one)}
        if any(id(r.call) in inside and r.kind != "save" for r in releases(where)):
            return True
    return False


def _chains(view: View) -> Iterator[Hit]:
    """Airflow: `train >> register >> evaluate`."""
    if "airflow" not in view.module.roots:
        return
    for node in view.of(ast.BinOp):
        if not isinstance(node.op, ast.RShift) or isinstance(view.parent(node), ast.BinOp):
            continue
        order = _flat(node)
        words = [_task_words(view, n) for n in order]
        promote = next(
            (
                i
                for i, w in enumerate(words)
                if _PROMOTE_WORDS.search(w) and not _EVALUATE_WORDS.search(w)
            ),
            -1,
        )
        first = next((i for i, w in enumerate(words) if _EVALUATE_WORDS.search(w)), -1)
        if promote >= 0 and first > promote:
            yield _early(
                view.path,
                order[promote].lineno,
                f"Task `{ast.unparse(order[promote])[:40]}`",
                order[first].lineno,
                ast.unparse(order[first])[:40],
            )


def _flat(node: ast.expr) -> list[ast.expr]:
    found: list[ast.expr] = []
    stack = [node]
    while stack and len(found) < 200:  # noqa: PLR2004 - a bound
        one = stack.pop()
        if isinstance(one, ast.BinOp) and isinstance(one.op, ast.RShift):
            stack += [one.right, one.left]
        elif isinstance(one, (ast.List, ast.Tuple)):
            found += one.elts
        else:
            found.append(one)
    return found


def _task_words(view: View, node: ast.expr) -> str:
    text = ast.unparse(node).lower()[:200]
    settled = view.settled(node)
    if isinstance(settled, ast.Call) and _OPERATOR.search(last(view.name(settled))):
        text = f"{text}_{view.string(View.arg(settled, 'task_id', 0)).lower()}"
    return re.sub(r"\W{1,20}", "_", text)


def _early(path: str, line: int, what: str, later: int, step: str) -> Hit:
    by = f" (`{step}`)" if step else ""
    return Hit(
        path,
        line,
        f"{what} releases the model before it is evaluated in line {later}{by}: what the evaluation"
        " finds comes too late.",
        "Evaluate first, and make the release depend on the result.",
        also=((path, later),) if later != line else (),
        severity=HIGH,
        confidence=0.8,
    )
