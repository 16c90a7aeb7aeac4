"""Comparisons of metrics that decide nothing or the wrong thing."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from typing import Final

from mlops_advisor.tools.audit_workflow.repo import AuditRepository
from mlops_advisor.tools.audit_workflow.rule import MEDIUM, Hit
from mlops_advisor.tools.audit_workflow.rules._gates import judges, releases
from mlops_advisor.tools.evidence.probes.evaluation import is_metric
from mlops_advisor.tools.evidence.view import View

LOSSES: Final = re.compile(
    r"(?:^|_)(?:rmse|mae|mse|mape|loss|error|logloss|rmsle|wer|perplexity|brier)(?:_|$)"
)
SCORES: Final = re.compile(
    r"(?:^|_)(?:acc|accuracy|f1|auc|r2|precision|recall|score|gini|ndcg|map)(?:_|$)"
)
_NEW: Final = re.compile(r"(?:^|_)(?:new|challenger|candidate|cand|current|latest|this)(?:_|$)")
OLD: Final = re.compile(
    r"(?:^|_)(?:prod|production|champion|champ|old|best|previous|prev|baseline|deployed|"
    r"existing)(?:_|$)"
)
_MAX_ORIGIN: Final = 4
_MAX_TEXT: Final = 600
_FIRST: Final = re.compile(
    r"champion|prod|existing|previous|versions|latest|deployed|baseline", re.IGNORECASE
)


# --- comparisons that decide nothing ---------------------------------------------------------


def comparisons(repo: AuditRepository) -> Iterator[Hit]:
    """Report a challenger compared with itself or the wrong way round, and first versions."""
    for path, module in repo.code.product.items():
        if path in repo.code.serving or (
            not module.branches and not module.checks and "None" not in repo.text(path)
        ):
            continue
        text = repo.text(path)
        if not any(
            w in text
            for w in (
                "register",
                "promot",
                "deploy",
                "alias",
                "champion",
                "challenger",
                "production",
                "stage",
                "best",
            )
        ):
            continue
        view = repo.view(path)
        if view is None:
            continue
        released = {r.call for r in releases(view) if r.kind != "save"}
        for node in view.of(ast.If):
            yield from _itself(view, node)
            if released:
                yield from _swapped(view, node, released)
                yield from _first_exempt(view, node, released)


def _itself(view: View, node: ast.If) -> Iterator[Hit]:
    for compare in [node.test, *view.below(node.test, ast.Compare)]:
        if not isinstance(compare, ast.Compare) or len(compare.comparators) != 1:
            continue
        left, right = compare.left, compare.comparators[0]
        if not isinstance(compare.ops[0], (ast.Lt, ast.LtE, ast.Gt, ast.GtE)) or isinstance(
            left, ast.Constant
        ):
            continue
        alike = left.__class__ is right.__class__
        if not alike and not _same_source(view, left, right):
            continue
        texts = ast.unparse(left), ast.unparse(right)
        if not any(
            is_metric(w) or metric_part(w)
            for t in texts
            for w in re.findall(r"\w{1,60}", t.lower())
        ):
            continue
        if texts[0] == texts[1] or _same_source(view, left, right):
            yield Hit(
                view.path,
                compare.lineno,
                f"`{texts[0]}` and `{texts[1]}` are the same value, so the challenger is compared"
                " with"
                " itself: the result is always the same.",
                "Evaluate the model in production on the same data for the other side.",
                confidence=0.9,
            )


def _same_source(view: View, left: ast.expr, right: ast.expr) -> bool:
    """Tell whether two names were given the same value, through the names in it."""
    made = view.settled(left), view.settled(right)
    if made[0] is made[1] or not all(isinstance(m, (ast.Call, ast.Subscript)) for m in made):
        return False
    return _origin(view, made[0], 0) == _origin(view, made[1], 0)


def _origin(view: View, node: ast.expr | None, depth: int) -> str:
    """Text of an expression with its names replaced by what each was given once."""
    if node is None or depth > _MAX_ORIGIN:
        return ""
    if isinstance(node, ast.Name):
        settled = view.settled(node)
        known = settled is not None and settled is not node
        return _origin(view, settled, depth + 1) if known else node.id
    if isinstance(node, ast.Call):
        given = [_origin(view, a, depth + 1) for a in node.args]
        given += [f"{k.arg}={_origin(view, k.value, depth + 1)}" for k in node.keywords]
        owner = node.func
        head = (
            f"{_origin(view, owner.value, depth + 1)}.{owner.attr}"
            if isinstance(owner, ast.Attribute)
            else ast.unparse(owner)
        )
        return f"{head}({', '.join(given)})"[:_MAX_TEXT]
    if isinstance(node, ast.Subscript):
        return f"{_origin(view, node.value, depth + 1)}[{ast.unparse(node.slice)}]"[:_MAX_TEXT]
    return ast.unparse(node)[:_MAX_TEXT]


def metric_part(word: str) -> bool:
    """Tell whether a word holds the name of a loss or a score."""
    return bool(LOSSES.search(word) or SCORES.search(word))


def _swapped(view: View, node: ast.If, released: set[ast.Call]) -> Iterator[Hit]:
    test = node.test
    if not isinstance(test, ast.Compare) or len(test.comparators) != 1:
        return
    inside = any(c in released for s in node.body for c in view.walk(s))
    if not inside or not isinstance(test.ops[0], (ast.Lt, ast.LtE, ast.Gt, ast.GtE)):
        return
    left, right = ast.unparse(test.left).lower(), ast.unparse(test.comparators[0]).lower()
    wants_more = isinstance(test.ops[0], (ast.Gt, ast.GtE))
    words = [re.sub(r"\W{1,40}", "_", t) for t in (left, right)]
    if _NEW.search(words[0]) and OLD.search(words[1]):
        new_is_more = wants_more
    elif OLD.search(words[0]) and _NEW.search(words[1]):
        new_is_more = not wants_more
    else:
        return
    loss = all(LOSSES.search(w) for w in words)
    score = all(SCORES.search(w) for w in words)
    if (loss and new_is_more) or (score and not loss and not new_is_more):
        yield Hit(
            view.path,
            node.lineno,
            f"`{ast.unparse(test)[:100]}` promotes the model that is worse: of this metric"
            f" {'less' if loss else 'more'} is better.",
            "Turn the comparison round.",
            confidence=0.9,
        )


def _first_exempt(view: View, node: ast.If, released: set[ast.Call]) -> Iterator[Hit]:
    """Report a branch for the first version that releases without looking at a metric."""
    if not any(c in released for s in node.body for c in view.walk(s)):
        return
    text = ast.unparse(node.test)
    empty = (
        text.startswith("not ")
        or text.endswith(("is None", "== 0", "== []"))
        or ("len(" in text and "== 0" in text)
    )
    if not empty or not _FIRST.search(text) or judges(node.test):
        return
    inside = [
        c for s in node.body for c in view.walk(s) if isinstance(c, ast.Call) and c in released
    ]
    judged = any(isinstance(s, ast.If) and judges(s.test) for s in node.body)
    if (
        inside
        and not judged
        and not any(isinstance(up, ast.If) and judges(up.test) for up in view.above(node))
    ):
        yield Hit(
            view.path,
            inside[0].lineno,
            f"While there is no model yet (`{text[:60]}`), any model is promoted, however bad: the"
            " first version passes no gate.",
            "Hold the first version to an absolute threshold or a simple baseline.",
            severity=MEDIUM,
            confidence=0.65,
        )
