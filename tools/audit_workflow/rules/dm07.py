"""The test set chooses the model that it then judges

## What it does

Reports test data that decide something about the model and are then used for the reported score:
early stopping or the best checkpoint (`eval_set=[(X_test, y_test)]`, `validation_data=` with
`EarlyStopping`, `valid_sets=`), the objective of a hyper-parameter search (Optuna, Hyperopt, Ray
Tune), the best of several models or settings kept in a loop, and a threshold taken from the test
set's own curve.

## Why is this bad?

What is chosen because it does well on the test set does better there than elsewhere.  The score is
no estimate of quality any more, and the more is tried, the further it is off.

## Known problems

Data that only are watched (`eval_set` without early stopping) are not reported.  Which part is the
test set is told by the split and by the names of variables.

## Example

```python
model.fit(X_train, y_train, eval_set=[(X_test, y_test)], early_stopping_rounds=20)
print(f1_score(y_test, model.predict(X_test)))
```

## Use instead

```python
X_fit, X_val, y_fit, y_val = train_test_split(X_train, y_train, random_state=0)
model.fit(X_fit, y_fit, eval_set=[(X_val, y_val)], early_stopping_rounds=20)
print(f1_score(y_test, model.predict(X_test)))
```
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from typing import Final

from mlops_advisor.tools.audit_workflow.repo import AuditRepository
from mlops_advisor.tools.audit_workflow.rule import HIGH, Hit, rule
from mlops_advisor.tools.audit_workflow.rules._dataflow import (
    at,
    class_of,
    in_product,
    product,
)
from mlops_advisor.tools.evidence.trace import (
    Choice,
    Event,
    Fit,
    Predict,
    Score,
    Trace,
    Value,
    ancestors,
)
from mlops_advisor.tools.evidence.trace_library import role_of_name
from mlops_advisor.tools.evidence.view import View

_STOPS: Final = re.compile(
    r"early_?stop|od_type|od_wait|n_iter_no_change|best_model|EarlyStop", re.IGNORECASE
)
_CALLBACKS: Final = re.compile(r"EarlyStopping|ModelCheckpoint|ReduceLROnPlateau|early_stopping")
_SEARCHES: Final = re.compile(
    r"(?:^|\.)(?:optimize|fmin|minimize|maximize|tune|gp_minimize|forest_minimize|run_search|"
    r"Objective|Tuner|bayes_opt|BayesianOptimization|with_parameters)$"
)
_BEST: Final = re.compile(r"(?:^|_)(?:best|max|min|lowest|highest|top)(?:_|$)")
_CURVES: Final = ("roc_curve", "precision_recall_curve", "det_curve")


@rule(
    "DM07",
    name="leakage-test-used-for-selection",
    dimension="data_management",
    severity=HIGH,
    confidence=0.75,
    fix="Divide the training rows once more and choose on that validation set; touch the test set"
    " once, for the final score.",
    effort=(0.3, 1),
    sources=(
        "sklearn_docs: Cross-validation, opening (use a validation set, not the test set)",
        "sklearn_docs: Common pitfalls, section Data leakage",
        "kapoor_narayanan: L1 lack of clean separation of training and test dataset",
    ),
)
def leakage_test_used_for_selection(repo: AuditRepository) -> Iterator[Hit]:
    """Report test data that select a model, its length of training or its threshold."""
    seen: set[tuple[str, int]] = set()
    for trace in product(repo):
        loops = _Loops(repo)
        for hit in (
            *_stopping(trace),
            *_searching(trace),
            *loops.choosing(trace),
            *_best(trace),
            *_limits(trace),
        ):
            if (hit.path, hit.line) not in seen:
                seen.add((hit.path, hit.line))
                yield hit


# --- early stopping -----------------------------------------------------------------------------


def _stopping(trace: Trace) -> Iterator[Hit]:
    for fit in trace.of(Fit):
        held = next((v for h in fit.held for v in _test_parts(h)), None)
        if held is None or not in_product(fit) or not _stops(fit):
            continue
        if any(_SEARCHES.search(w) for w in fit.within):
            continue  # reported as a search
        final = _final(trace, fit, held)
        if final is None:
            continue
        yield Hit(
            fit.path,
            fit.line,
            f"Training of `{class_of(fit.estimator) or 'the model'}` is stopped, or its best round"
            f" kept, by how well it does on {_named(trace, held)}, and the same test set gives"
            f" the final score{at(final, fit.path)}.",
            also=((final.path, final.line),),
        )


def _test_parts(held: Value) -> Iterator[Value]:
    for one in _flat(held, 0):
        if one.role == "test":
            yield one


def _flat(value: Value, depth: int) -> Iterator[Value]:
    if depth < 4 and value.kind in ("sequence", "mapping"):  # noqa: PLR2004 - lists of pairs
        for item in value.items[:20]:
            yield from _flat(item, depth + 1)
        return
    yield value


def _stops(fit: Fit) -> bool:
    for name, value in (*fit.options.items(), *fit.estimator.options.items()):
        if _STOPS.search(name) and not (value.known and not value.const):
            return True
        if name in ("callbacks", "callback") and any(
            _CALLBACKS.search(v.name) for v in ancestors((value,))
        ):
            return True
        if any(_STOPS.search(k) for k in (*value.keys, *value.options)):
            return True
    return "catboost" in fit.estimator.name.lower()


def _final(trace: Trace, event: Event, data: Value) -> Score | Predict | None:
    """Score or prediction on the same rows that is no part of the selection itself."""
    for later in _measures(trace):
        if later.order <= event.order or later.excludes(event) or later.within != event.within:
            continue
        values = later.values if isinstance(later, Score) else (later.data,)
        if any(v.rows == data.rows for one in values for v in _flat(one, 0)):
            return later
    return None


# --- searches -----------------------------------------------------------------------------------


def _searching(trace: Trace) -> Iterator[Hit]:
    found: set[tuple[str, str]] = set()
    for event in sorted(_measures(trace), key=lambda e: isinstance(e, Predict)):
        search = next((w for w in event.within if _SEARCHES.search(w)), "")
        if not search or not in_product(event) or (event.path, search) in found:
            continue
        values = event.values if isinstance(event, Score) else (event.data,)
        tested = next((v for one in values for v in _test_parts(one)), None)
        if tested is None:
            continue
        found.add((event.path, search))
        final = next(
            (
                e
                for e in _measures(trace)
                if e.order > event.order and not e.within and _on(e, tested)
            ),
            None,
        )
        told = f"; the same set gives the final score{at(final, event.path)}" if final else ""
        yield Hit(
            event.path,
            event.line,
            f"The search `{search.rpartition('.')[2]}` chooses hyper-parameters by the score on the"
            f" test set{_known_as(trace, tested)}{told}.",
            also=((final.path, final.line),) if final is not None else (),
        )


def _named(trace: Trace, value: Value) -> str:
    """Name of a test set: the outermost one that speaks of it."""
    label = ""
    for one in ancestors((value,)):
        if one.role == "test" and one.id in trace.labels:
            label = trace.labels[one.id]
            if role_of_name(label) == "test":
                break
    return f"`{label}`" if label.isidentifier() else "the test set"


def _known_as(trace: Trace, value: Value) -> str:
    name = _named(trace, value)
    return f" {name}" if name.startswith("`") else ""


def _measures(trace: Trace) -> list[Score | Predict]:
    """Scores and predictions, in order."""
    found: list[Score | Predict] = [*trace.of(Score), *trace.of(Predict)]
    return sorted(found, key=lambda e: e.order)


def _on(event: Score | Predict, data: Value) -> bool:
    values = event.values if isinstance(event, Score) else (event.data,)
    return any(v.rows == data.rows for one in values for v in _flat(one, 0))


# --- the best in a loop -------------------------------------------------------------------------


class _Loops:
    """Loops that keep the best of what they try."""

    def __init__(self, repo: AuditRepository) -> None:
        self._repo = repo

    def choosing(self, trace: Trace) -> Iterator[Hit]:
        """Report loops that fit, score on test rows, and keep the best."""
        done: set[tuple[str, int]] = set()
        for score in _measures(trace):
            if not score.loops or not in_product(score):
                continue
            values = score.values if isinstance(score, Score) else (score.data,)
            tested = next((v for one in values for v in _test_parts(one)), None)
            fits = [
                f
                for f in trace.of(Fit)
                if f.loops[:1] == score.loops[:1] and f.path == score.path and f.order < score.order
            ]
            if tested is None or not fits or (score.path, score.loops[0]) in done:
                continue
            view = self._repo.view(score.path)
            line = _keeps_best(view, score.loops[0]) if view is not None else 0
            if line:
                done.add((score.path, score.loops[0]))
                within = score.loops[0] < score.line < line
                yield Hit(
                    score.path,
                    score.line if within else line,
                    f"The loop keeps what scores best on the test set{_known_as(trace, tested)}, so"
                    " the score of the winner on it is too good.",
                    also=((score.path, line if within else score.line),),
                    confidence=0.7,
                )


def _keeps_best(view: View, line: int) -> int:
    """Line of `if score > best: best = score` in the loop at a line; 0 when there is none."""
    loop = next((n for n in view.of(ast.For, ast.While, ast.AsyncFor) if n.lineno == line), None)
    if loop is None:
        return 0
    for node in view.below(loop, ast.If):
        compares = [c for c in view.walk(node.test) if isinstance(c, ast.Compare)]
        if not any(
            isinstance(o, (ast.Gt, ast.Lt, ast.GtE, ast.LtE)) for c in compares for o in c.ops
        ):
            continue
        names = {n.id for n in view.walk(node.test) if isinstance(n, ast.Name)}
        for below in node.body:
            for target in view.walk(below):
                if (
                    isinstance(target, ast.Name)
                    and isinstance(target.ctx, ast.Store)
                    and target.id in names
                    and _BEST.search(target.id.lower())
                ):
                    return node.lineno
    return 0


# --- the best of a list of scores ---------------------------------------------------------------


def _best(trace: Trace) -> Iterator[Hit]:
    """`max` over scores that several models got on the test set."""
    for choice in trace.of(Choice):
        made = {v.id for v in ancestors(choice.values)}
        score = next(
            (
                s
                for s in trace.of(Score)
                if s.result is not None
                and s.result.id in made
                and s.loops
                and in_product(s)
                and any(v.role == "test" for one in s.values for v in _flat(one, 0))
            ),
            None,
        )
        fitted = score is not None and any(
            f.loops[:1] == score.loops[:1] and f.path == score.path for f in trace.of(Fit)
        )
        if score is not None and fitted:
            name = choice.name.rpartition(".")[2]
            yield Hit(
                score.path,
                score.line,
                f"`{name}`{at(choice, score.path)} picks the best of these scores, which are taken"
                " on the test set: the score of the winner is too good.",
                also=((choice.path, choice.line),),
                confidence=0.7,
            )


# --- thresholds ---------------------------------------------------------------------------------


def _limits(trace: Trace) -> Iterator[Hit]:
    curves = [
        s
        for s in trace.of(Score)
        if s.name.endswith(_CURVES) and any(v.role == "test" for v in s.values) and in_product(s)
    ]
    for curve in curves:
        for score in trace.of(Score):
            if score.order <= curve.order:
                continue
            judged = [
                c
                for v in score.values
                for c in ancestors((v,))
                if c.name == "compare" and any(a.name == curve.name for a in ancestors(c.parents))
            ]
            if judged and any(v.role == "test" for v in score.values):
                yield Hit(
                    curve.path,
                    curve.line,
                    f"The threshold comes from the curve on the test set, and"
                    f" `{score.name.rpartition('.')[2]}`{at(score, curve.path)} judges it on the"
                    " same rows.",
                    also=((score.path, score.line),),
                )
                break
