"""Best model is chosen in the wrong direction

## What it does

Compares the metric by which something is chosen with the direction in which it is chosen: order of
MLflow's `search_runs`, `sorted`, `max`, `min`, `argmax` and `idxmin` over a metric, `monitor` and
`mode` of checkpoints and early stopping, direction of Optuna, Hyperopt, W&B sweeps, Katib,
SageMaker and Hydra searches, `make_scorer` of a loss, and comparisons of a candidate with the
champion.

## Why is this bad?

The worst model of all is kept, registered and served, and every log looks right.

## Known problems

The direction of a metric is told by its name; a metric whose name says nothing is left alone.

## Example

```python
best = client.search_runs([experiment], order_by=["metrics.rmse DESC"], max_results=1)[0]
```

## Use instead

```python
best = client.search_runs([experiment], order_by=["metrics.rmse ASC"], max_results=1)[0]
```
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import Final

from mlops_advisor.tools.audit_workflow.repo import AuditRepository
from mlops_advisor.tools.audit_workflow.rule import CRITICAL, HIGH, Hit, rule
from mlops_advisor.tools.audit_workflow.rules._called import called
from mlops_advisor.tools.audit_workflow.rules._calls import ending
from mlops_advisor.tools.audit_workflow.rules._training_metrics import (
    DOWN,
    UP,
    Judge,
    direction,
    function_named,
    opposite,
    returned,
    way_of,
)
from mlops_advisor.tools.audit_workflow.rules._training_order import chosen
from mlops_advisor.tools.audit_workflow.rules._training_pairs import WAY_KEYS, Mismatch, mismatches
from mlops_advisor.tools.evidence.parse.python import dotted
from mlops_advisor.tools.evidence.parse.tree import Node
from mlops_advisor.tools.evidence.view import View, last

_YAML_WORDS: Final = (
    "mode:",
    "goal:",
    "direction:",
    "greater_is_better",
    "higher_is_better",
    "objectiveMetricName",
    "maximize",
    "MetricName",
)
_JSON_WORDS: Final = ('"goal"', '"mode"', '"direction"', '"greater_is_better"', '"Type"')
_CALLBACKS: Final = frozenset(("ModelCheckpoint", "EarlyStopping"))
_ARGUMENTS: Final = "TrainingArguments"
_SETTLED: Final = _CALLBACKS | {"HyperparameterTuner", "make_scorer", "optimize", "fmin"}
_LIGHTNING: Final = ("lightning.", "pytorch_lightning.")


def _each(_repo: AuditRepository, view: View) -> Iterator[Hit]:
    judge = Judge(view)
    yield from _calls(view, judge)
    yield from _dictionaries(view)
    yield from chosen(view, judge)


@rule(
    "TR12",
    each=_each,
    name="best-run-wrong-direction",
    dimension="model_training",
    severity=CRITICAL,
    confidence=0.85,
    fix="Choose in the direction in which the metric is better.",
    effort=(0.1, 0.5),
    sources=("lightning_docs: ModelCheckpoint, arguments monitor and mode",),
)
def wrong_direction(repo: AuditRepository) -> Iterator[Hit]:
    """Report choices whose direction does not fit the metric."""
    yield from _files(repo)


# --- settings beside each other ----------------------------------------------------------------


def _hit(path: str, line: int, found: Mismatch) -> Hit:
    better = "smaller" if direction(found.metric) == DOWN else "larger"
    return Hit(
        path,
        line,
        f"`{found.way_key}` is `{found.way}` for the metric `{found.metric}`, "
        f"which is better when {better}: the worst model is kept.",
        f"Set `{found.way_key}` to `{found.right}`.",
    )


def _files(repo: AuditRepository) -> Iterator[Hit]:
    for file in repo.yaml_files(holding=_YAML_WORDS):
        for doc in file.docs:
            for node in doc.below():
                yield from _mapping(file.path, node)
            yield from _hydra(file.path, doc)
    for path in repo.ending(".json"):
        text = repo.text(path)
        if any(w in text for w in _JSON_WORDS):
            tree = repo.tree(path)
            for node in tree.below() if tree is not None else ():
                for found in mismatches(_texts(node)):
                    line = repo.line_of(path, f'"{found.metric}"') or 1
                    near = repo.line_of(path, f'"{found.way_key}"', max(0, line - 6))
                    yield _hit(path, near or line, found)


def _texts(node: Node) -> dict[str, str]:
    return {k: n.text for k, n in (node.map or {}).items() if n.text}


def _mapping(path: str, node: Node) -> Iterator[Hit]:
    if node.map is None:
        return
    for found in mismatches(_texts(node)):
        yield _hit(path, node.map[found.way_key].key_line, found)


def _hydra(path: str, doc: Node) -> Iterator[Hit]:
    """Optuna sweeper of Hydra: the direction and `optimized_metric` stand on different levels."""
    metric = doc.child("optimized_metric")
    sweeper = doc.get("hydra", "sweeper", "direction")
    if metric is None or sweeper is None or not metric.text:
        return
    for found in mismatches({"optimized_metric": metric.text, "direction": sweeper.text}):
        hit = _hit(path, sweeper.key_line, found)
        yield Hit(path, hit.line, hit.why, hit.fix, also=((path, metric.key_line),))


def _dictionaries(view: View) -> Iterator[Hit]:
    for node in view.of(ast.Dict):
        if not any(isinstance(k, ast.Constant) and k.value in WAY_KEYS for k in node.keys):
            continue
        settings: dict[str, str] = {}
        lines: dict[str, int] = {}
        for key, value in zip(node.keys, node.values, strict=True):
            if isinstance(key, ast.Constant) and isinstance(key.value, str):
                text = _text(view, value)
                if text:
                    settings[key.value], lines[key.value] = text, value.lineno
        for found in mismatches(settings) if len(settings) > 1 else ():
            yield _hit(view.path, lines[found.way_key], found)


def _text(view: View, node: ast.expr) -> str:
    node = view.settled(node) or node
    if isinstance(node, ast.Constant) and isinstance(node.value, (str, bool)):
        return f"{node.value}"
    if isinstance(node, ast.Attribute):
        return node.attr if node.attr.lower() in ("maximize", "minimize") else ""
    return ""


# --- calls -------------------------------------------------------------------------------------


def _judged(view: View) -> list[ast.Call]:
    """List calls that set a direction beside a metric, or whose name says that they choose."""
    certain = {id(c) for c in ending(view, _SETTLED)}
    return [
        call
        for call in view.calls
        if id(call) in certain
        or (call.keywords and any(k.arg in WAY_KEYS for k in call.keywords))
        or called(call).endswith(_ARGUMENTS)
        or (isinstance(call.func, ast.Name) and call.func.id in view.aliases)
    ]


def _calls(view: View, judge: Judge) -> Iterator[Hit]:
    for call in _judged(view):
        name = view.name(call)
        short = last(name)
        settings = {k.arg: _text(view, k.value) for k in call.keywords if k.arg}
        if len(settings) > 1:
            for found in mismatches({k: v for k, v in settings.items() if v}):
                line = next(k.value.lineno for k in call.keywords if k.arg == found.way_key)
                yield _hit(view.path, line, found)
        if short in _CALLBACKS and name.startswith(_LIGHTNING):
            yield from _default_mode(view, call, settings)
        elif short.endswith(_ARGUMENTS):
            yield from _default_greater(view, call, settings)
        elif short == "HyperparameterTuner":
            yield from _default_tuner(view, call, settings)
        elif short == "make_scorer":
            yield from _scorer(view, call)
        elif short == "optimize" and call.args:
            yield from _optuna(view, judge, call)
        elif name in ("hyperopt.fmin", "hyperopt.fmin.fmin"):
            yield from _hyperopt(view, judge, call)


def _default_mode(view: View, call: ast.Call, settings: dict[str, str]) -> Iterator[Hit]:
    metric = settings.get("monitor") or view.string(view.arg(call, "monitor", 0))
    if "mode" not in settings and direction(metric) == UP and not view.spreads(call):
        name = last(view.name(call))
        yield Hit(
            view.path,
            call.lineno,
            f"`{name}` monitors `{metric}`, which is better when larger, "
            'and has no `mode`: the default is "min".',
            'Add `mode="max"`.',
        )


def _default_greater(view: View, call: ast.Call, settings: dict[str, str]) -> Iterator[Hit]:
    metric = settings.get("metric_for_best_model", "")
    if (
        direction(metric) == DOWN
        and not metric.endswith("loss")
        and "greater_is_better" not in settings
        and not view.spreads(call)
    ):
        yield Hit(
            view.path,
            next(k.value.lineno for k in call.keywords if k.arg == "metric_for_best_model"),
            f"`metric_for_best_model` is `{metric}` and `greater_is_better` is not set: "
            "Transformers takes the largest of every metric whose name does not end with `loss`.",
            "Add `greater_is_better=False`.",
        )


def _default_tuner(view: View, call: ast.Call, settings: dict[str, str]) -> Iterator[Hit]:
    metric = settings.get("objective_metric_name") or view.string(
        view.arg(call, "objective_metric_name", 1)
    )
    if direction(metric) == DOWN and "objective_type" not in settings and not view.spreads(call):
        yield Hit(
            view.path,
            call.lineno,
            f"The tuner maximises `{metric}`: `objective_type` is not set and is Maximize.",
            'Add `objective_type="Minimize"`.',
        )


def _scorer(view: View, call: ast.Call) -> Iterator[Hit]:
    metric = last(view.name(view.arg(call, "score_func", 0)))
    way = direction(metric)
    flag = view.arg(call, "greater_is_better", 1)
    greater = True if flag is None else view.literal(flag)
    if (way == DOWN and greater is True) or (way == UP and greater is False):
        yield Hit(
            view.path,
            call.lineno,
            f"`make_scorer({metric})` is maximised, so a search with it keeps the largest {metric}."
            if way == DOWN
            else f"`make_scorer({metric}, greater_is_better=False)` keeps the smallest {metric}.",
            f"Write `make_scorer({metric}, greater_is_better={way == UP})`.",
        )


def _optuna(view: View, judge: Judge, call: ast.Call) -> Iterator[Hit]:
    owner = call.func.value if isinstance(call.func, ast.Attribute) else None
    study = view.settled(owner) if isinstance(owner, (ast.Name, ast.Attribute)) else owner
    if not isinstance(study, ast.Call) or not view.name(study).endswith("create_study"):
        return
    said = view.arg(study, "direction")
    if view.arg(study, "directions") is not None or view.spreads(study):
        return
    way = DOWN if said is None else way_of(view.string(said))
    function = function_named(view, call.args[0])
    found = [judge.of(v) for v in returned(view, function)] if function is not None else []
    if isinstance(call.args[0], ast.Lambda):
        found = [judge.of(call.args[0].body)]
    ways = {w for w, _ in found if w}
    if not way or len(ways) != 1 or way in ways:
        return
    name = next(n for w, n in found if w)
    right = opposite(way)
    shown = "minimised (the default)" if said is None else f"{way}imised"
    yield Hit(
        view.path,
        (said if said is not None else study).lineno,
        f"The study is {shown}, and the objective returns `{name}`, which is better when "
        f"{'larger' if right == UP else 'smaller'}.",
        f'Write `create_study(direction="{right}imize")`.',
        also=((view.path, function.lineno),) if function is not None else (),
    )


def _hyperopt(view: View, judge: Judge, call: ast.Call) -> Iterator[Hit]:
    function = function_named(view, view.arg(call, "fn", 0))
    for value in returned(view, function) if function is not None else ():
        loss: ast.expr | None = value
        if isinstance(value, ast.Dict):
            pairs = zip(value.keys, value.values, strict=True)
            loss = next(
                (v for k, v in pairs if isinstance(k, ast.Constant) and k.value == "loss"), None
            )
        way, name = judge.of(loss)
        if way == UP and loss is not None:
            yield Hit(
                view.path,
                loss.lineno,
                f"`fmin` minimises what `{function.name if function else ''}` returns, and that is "
                f"`{name}`, which is better when larger.",
                f"Return `-{dotted(loss) or name}`.",
                severity=CRITICAL if name else HIGH,
            )
