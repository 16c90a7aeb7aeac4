"""Comparisons of metrics that decide nothing, the wrong thing, or by one number only."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from typing import Final

from mlops_advisor.tools.audit_workflow.repo import AuditRepository
from mlops_advisor.tools.audit_workflow.rule import LOW, MEDIUM, Hit
from mlops_advisor.tools.audit_workflow.rules._gates import fails, judges, releases, training_paths
from mlops_advisor.tools.evidence.probes.evaluation import is_metric
from mlops_advisor.tools.evidence.view import View, dotted, last

_LOSSES: Final = re.compile(
    r"(?:^|_)(?:rmse|mae|mse|mape|loss|error|logloss|rmsle|wer|perplexity|brier)(?:_|$)"
)
_SCORES: Final = re.compile(
    r"(?:^|_)(?:acc|accuracy|f1|auc|r2|precision|recall|score|gini|ndcg|map)(?:_|$)"
)
_NEW: Final = re.compile(r"(?:^|_)(?:new|challenger|candidate|cand|current|latest|this)(?:_|$)")
_OLD: Final = re.compile(
    r"(?:^|_)(?:prod|production|champion|champ|old|best|previous|prev|baseline|deployed|"
    r"existing)(?:_|$)"
)
_FIRST: Final = re.compile(
    r"champion|prod|existing|previous|versions|latest|deployed|baseline", re.IGNORECASE
)
_CONDITIONS: Final = re.compile(r"^sagemaker\.workflow\.conditions\.Condition(?:Less|Greater)")
_CHAMPION: Final = (
    *("champion", "production_", "prod_metric", "prod_score", "prod_model", "prod_acc"),
    *("prod_rmse", "prod_f1", "prod_auc", "prod_mae", "baseline_", "current_best"),
    "incumbent",
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
        texts = ast.unparse(left), ast.unparse(right)
        if not any(
            is_metric(w) or _metric_part(w)
            for t in texts
            for w in re.findall(r"\w{1,60}", t.lower())
        ):
            continue
        made = view.settled(left), view.settled(right)
        same = texts[0] == texts[1] or (
            isinstance(made[0], ast.Call)
            and isinstance(made[1], ast.Call)
            and made[0] is not made[1]
            and ast.unparse(made[0]) == ast.unparse(made[1])
        )
        if same:
            yield Hit(
                view.path,
                compare.lineno,
                f"`{texts[0]}` and `{texts[1]}` are the same value, so the challenger is compared"
                " with"
                " itself: the result is always the same.",
                "Evaluate the model in production on the same data for the other side.",
                confidence=0.9,
            )


def _metric_part(word: str) -> bool:
    return bool(_LOSSES.search(word) or _SCORES.search(word))


def _swapped(view: View, node: ast.If, released: set[ast.Call]) -> Iterator[Hit]:
    test = node.test
    if not isinstance(test, ast.Compare) or len(test.comparators) != 1:
        return
    inside = {c for s in node.body for c in ast.walk(s) if isinstance(c, ast.Call)} & released
    left, right = ast.unparse(test.left).lower(), ast.unparse(test.comparators[0]).lower()
    if not inside or not isinstance(test.ops[0], (ast.Lt, ast.LtE, ast.Gt, ast.GtE)):
        return
    wants_more = isinstance(test.ops[0], (ast.Gt, ast.GtE))
    words = [re.sub(r"\W{1,40}", "_", t) for t in (left, right)]
    if _NEW.search(words[0]) and _OLD.search(words[1]):
        new_is_more = wants_more
    elif _OLD.search(words[0]) and _NEW.search(words[1]):
        new_is_more = not wants_more
    else:
        return
    loss = all(_LOSSES.search(w) for w in words)
    score = all(_SCORES.search(w) for w in words)
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
    text = ast.unparse(node.test)
    empty = (
        text.startswith("not ")
        or text.endswith(("is None", "== 0", "== []"))
        or ("len(" in text and "== 0" in text)
    )
    if not empty or not _FIRST.search(text) or judges(node.test):
        return
    inside = [
        c for s in node.body for c in ast.walk(s) if isinstance(c, ast.Call) and c in released
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


# --- one number in the code ------------------------------------------------------------------


def thresholds(repo: AuditRepository) -> Iterator[Hit]:
    """Report gates that know one number in the code and no model to compare with."""
    relevant = training_paths(repo) | repo.flows.modules
    paths = [p for p in repo.code.product if p not in repo.code.serving_code or p in relevant]
    texts = (repo.text(p).lower() for p in paths if p in relevant)
    if any(w in text for text in texts for w in _CHAMPION):
        return
    for path in sorted(paths):
        module = repo.code.modules[path]
        if module.notebook or not (
            module.branches or module.checks or "Condition" in repo.text(path)
        ):
            continue
        view = repo.view(path)
        if view is None:
            continue
        for call in view.calls:
            if _CONDITIONS.match(view.name(call)) and _number(view, View.arg(call, "right", 1)):
                yield _fixed(
                    path, call.lineno, ast.unparse(View.arg(call, "right", 1) or call)[:40]
                )
        if path in relevant:
            for node in view.of(ast.If):
                yield from _of_if(view, node)


def _number(view: View, node: ast.expr | None) -> bool:
    value = view.literal(node)
    return isinstance(value, (int, float)) and not isinstance(value, bool) and value != 0


def _of_if(view: View, node: ast.If) -> Iterator[Hit]:
    released = {r.call for r in releases(view)}
    inside = {c for s in (*node.body, *node.orelse) for c in ast.walk(s) if isinstance(c, ast.Call)}
    if not (inside & released or any(fails(s) for s in node.body)):
        return
    for compare in [node.test, *view.below(node.test, ast.Compare)]:
        if not isinstance(compare, ast.Compare) or len(compare.comparators) != 1:
            continue
        if not isinstance(compare.ops[0], (ast.Lt, ast.LtE, ast.Gt, ast.GtE)):
            continue
        sides = (compare.left, compare.comparators[0])
        numbers = [s for s in sides if _number(view, s)]
        names = [
            last(dotted(s)).lower() or ast.unparse(s).lower() for s in sides if s not in numbers
        ]
        if len(numbers) == 1 and any(is_metric(n) or _metric_part(n) for n in names):
            settled = view.settled(numbers[0])
            line = settled.lineno if settled is not None else compare.lineno
            yield _fixed(view.path, line, ast.unparse(compare)[:60])
            return


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
