"""Serving differs from training, or needs the label

## What it does

Looks at code that answers requests or scores batches. It reports where this code reads the target
column, filters by it or drops rows without it; and where it prepares its input in another way than
training did: encoders and scalers fitted on the request, one-hot columns made from the request,
a scaler of training that serving never applies, a logarithm of the target that is never undone,
other constants of image transforms, columns in another order.

## Why is this bad?

In production there is no label: the code stops, or the label leaks into the prediction. A model
that gets other inputs than it was trained on gives an answer all the same, a wrong one.

## Known problems

What a model wrapper (`mlflow.pyfunc`, a Pipeline) does inside is taken as right.

## Example

```python
def predict(df):
    df = df.dropna(subset=["price"])     # the target
    return model.predict(StandardScaler().fit_transform(df[FEATURES]))
```

## Use instead

```python
pipeline = joblib.load("pipeline.joblib")   # scaler and model, fitted together


def predict(df):
    return pipeline.predict(df[FEATURES])
```
"""

from __future__ import annotations

import ast
import posixpath
import re
from collections.abc import Iterator
from typing import Final

from mlops_advisor.tools.audit_workflow.repo import AuditRepository
from mlops_advisor.tools.audit_workflow.rule import HIGH, MEDIUM, Hit, rule
from mlops_advisor.tools.audit_workflow.rules import _data_skew
from mlops_advisor.tools.audit_workflow.rules._data_frames import targets, targets_near, written
from mlops_advisor.tools.audit_workflow.rules._data_sides import of_project, sides
from mlops_advisor.tools.evidence.parse.python import dotted
from mlops_advisor.tools.evidence.view import View, last

_FRAME: Final = re.compile(
    r"(?i)^(?:self\.)?(?:\w{0,30}_)?(?:df|data|frame|dataframe|dataset|raw|batch|input_data)(?:_\w{0,30})?$"
)
_MEASURES: Final = re.compile(
    r"(?i)monitor|drift|feedback|actual|ground_?truth|evaluat|metric|backtest|report|compare|label"
)
_DROPS: Final = ("dropna",)


@rule(
    "DM15",
    name="label-required-at-inference",
    dimension="data_management",
    severity=HIGH,
    confidence=0.75,
    fix="Store the preparation with the model (a Pipeline), and let inference touch features only.",
    effort=(0.5, 2),
    sources=(
        "kapoor_narayanan: L2 model uses features that are not legitimate",
        "ml_test_score: Monitor 3, training and serving features compute the same values",
        "rules_of_ml: Rule #32, re-use code between training and serving pipeline",
    ),
    practice="train_serve_parity",
)
def label_required_at_inference(repo: AuditRepository) -> Iterator[Hit]:
    """Report inference that needs the label, or prepares its input differently."""
    train, serve = sides(repo)
    for path in serve:
        view = repo.view(path)
        if view is None or repo.is_aside(path):
            continue
        yield from _labels(repo, view)
        yield from _data_skew.at_request(view)
        if train:
            yield from _data_skew.apart(repo, view, of_project(repo, path, train))


def _labels(repo: AuditRepository, view: View) -> Iterator[Hit]:
    """Report reads of the target column: one for each function."""
    if _MEASURES.search(view.path.rpartition("/")[2]):
        return
    known = targets_near(repo, view.path)
    known = frozenset(n for n in known if not _predicted(view, n))
    found: dict[ast.AST | None, tuple[int, int, str, str]] = {}
    answered = {view.function(c): c.lineno for c in reversed(view.calls) if _answers(c)}
    for rank, line, name, how, node in _reads(view, known):
        function = view.function(node)
        if line > answered.get(function, line):
            continue  # the answer is there already: this joins what came of it
        if function is not None and _MEASURES.search(function.name):
            continue
        best = found.get(function)
        if best is None or (rank, line) < best[:2]:
            found[function] = (rank, line, name, how)
    for rank, line, name, how in found.values():
        places = _target_place(repo, name, view.path)
        yield Hit(
            view.path,
            line,
            f"Inference {how} `{name}`, the target of training: new data do not have it yet.",
            f"Leave `{name}` out of all that runs before `predict`.",
            also=places,
            severity=HIGH if rank == 0 else MEDIUM,
        )


def _target_place(repo: AuditRepository, name: str, path: str) -> tuple[tuple[str, int], ...]:
    """Find the place in training that takes a column as the target."""
    places = [p for p in targets(repo).get(name, ()) if p.path != path]
    best = max(places, key=lambda p: len(posixpath.commonprefix((p.path, path))), default=None)
    return ((best.path, best.line),) if best is not None else ()


def _answers(call: ast.Call) -> bool:
    return last(dotted(call.func)) in ("predict", "predict_proba", "transform")


def _reads(view: View, known: frozenset[str]) -> Iterator[tuple[int, int, str, str, ast.AST]]:
    """Find reads of target columns: rank, line, name, how, node."""
    if not known:
        return
    for call in view.calls:
        if last(dotted(call.func)) in _DROPS:
            subset = view.literal(view.arg(call, "subset"))
            for name in subset if isinstance(subset, list) else [subset]:
                if isinstance(name, str) and name in known:
                    yield 0, call.lineno, name, "drops rows without", call
    nodes: list[ast.Subscript | ast.Attribute] = [*view.of(ast.Subscript), *view.of(ast.Attribute)]
    for node in nodes:
        name = node.attr if isinstance(node, ast.Attribute) else view.column(node)
        if name not in known or not isinstance(node.ctx, ast.Load):
            continue
        if isinstance(node, ast.Attribute) and (
            not isinstance(node.value, ast.Name) or _called(view, node)
        ):
            continue
        if _FRAME.match(dotted(node.value)):
            yield (*_how(view, node, name), node)


def _called(view: View, node: ast.Attribute) -> bool:
    parent = view.parent(node)
    return isinstance(parent, ast.Call) and parent.func is node


def _how(view: View, node: ast.expr, name: str) -> tuple[int, int, str, str]:
    parent = view.parent(node)
    if isinstance(parent, ast.Attribute) and parent.attr in ("notnull", "notna", "isnull", "isna"):
        return 0, node.lineno, name, "filters rows by"
    if isinstance(parent, ast.Compare):
        return 0, node.lineno, name, "filters rows by"
    return 1, node.lineno, name, "reads"


def _predicted(view: View, name: str) -> bool:
    """Tell whether the column of that name holds the predictions here."""
    for node in view.of(ast.Assign):
        target = node.targets[0]
        column = view.column(target) or (target.attr if isinstance(target, ast.Attribute) else "")
        if column == name and "pred" in written(node.value, 300).lower():
            return True
    return False
