"""A model is saved that nothing has tested

## What it does

Reports a model that is fitted and saved, logged or registered, while nothing computes a score or a
prediction on rows it was not fitted on: not the program itself, and no other script near it that
loads a model and measures.  Reports also a test set that is made or loaded and never used.

## Why is this bad?

Nobody knows how good the model is before it answers in production.  A test set that is made and
then forgotten is most often an evaluation that was lost in a change.

## Known problems

An evaluation in another repository is not seen.  Models without labels (clusters, outliers) are
left out.

## Example

```python
X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0)
model = RandomForestClassifier(random_state=0).fit(X_train, y_train)
joblib.dump(model, "model.joblib")
```

## Use instead

```python
X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0)
model = RandomForestClassifier(random_state=0).fit(X_train, y_train)
print(classification_report(y_test, model.predict(X_test)))
joblib.dump(model, "model.joblib")
```
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from typing import Final

from mlops_advisor.tools.audit_workflow.repo import AuditRepository
from mlops_advisor.tools.audit_workflow.rule import HIGH, MEDIUM, Hit, rule
from mlops_advisor.tools.audit_workflow.rules._dataflow import (
    at,
    class_of,
    in_product,
    is_model,
    judged,
    product,
    saved,
)
from mlops_advisor.tools.evidence.parse.python import dotted
from mlops_advisor.tools.evidence.trace import (
    Fit,
    Load,
    Read,
    Score,
    Split,
    Trace,
    Value,
)
from mlops_advisor.tools.evidence.view import View, last

_UNLABELLED: Final = re.compile(
    r"KMeans|DBSCAN|IsolationForest|NearestNeighbors|GaussianMixture|OneClassSVM|LocalOutlier|"
    r"AgglomerativeClustering|MeanShift|Word2Vec|FastText|Doc2Vec|LatentDirichlet|BERTopic|"
    r"AutoEncoder|Autoencoder|Drift|Explainer|Tokenizer|PPO|DQN|A2C|SAC|Prophet|ALS\b",
)
_MEASURES: Final = re.compile(
    r"eval|test|score|valid|metric|report|assess|benchmark", re.IGNORECASE
)
_LOOKS: Final = frozenset(
    "print len display head describe info type shape to_csv_preview value_counts unique".split()
)
_LABELS: Final = re.compile(r"^(?:y|Y)(?:_|[A-Z]|test|$)|label|target")
_NEAR: Final = 40


@rule(
    "TR10",
    name="no-holdout-evaluation",
    dimension="model_training",
    severity=HIGH,
    confidence=0.8,
    fix="Predict on rows that were held out and compute a metric before the model is saved; stop"
    " the run when it is below a limit.",
    effort=(0.2, 1),
    sources=(
        "kapoor_narayanan: L1.1 no test set",
        "ml_test_score: Infra 4, model quality is validated before attempting to serve it",
    ),
    absence=True,
    searched="scores, predictions and validation data of each saved model, scripts that load one",
)
def no_holdout_evaluation(repo: AuditRepository) -> Iterator[Hit]:
    """Report saved models that nothing tests, and test sets that nothing uses."""
    seen: set[tuple[str, int]] = set()
    evaluators = [t.path for t in product(repo) if _evaluates(repo, t)]
    for trace in product(repo):
        unused = list(_unused(repo, trace))
        hits = unused or list(_untested(repo, trace, evaluators))
        for hit in hits:
            if (hit.path, hit.line) not in seen:
                seen.add((hit.path, hit.line))
                yield hit


# --- models without a test --------------------------------------------------------------------


def _untested(repo: AuditRepository, trace: Trace, evaluators: list[str]) -> Iterator[Hit]:
    done: set[int] = set()
    for save, model in saved(trace):
        if model.kind not in ("estimator", "unknown", "object") or not in_product(save):
            continue
        fit = next((f for f in trace.of(Fit) if _trains(trace, f, model)), None)
        if fit is None or fit.order in done or fit.excludes(save):
            continue
        done.add(fit.order)
        if judged(trace, fit) or _handed_over(repo, trace, model):
            continue
        if any(_near(repo, path, trace.path) for path in evaluators):
            continue
        yield Hit(
            fit.path,
            fit.line,
            f"`{class_of(fit.estimator) or 'the model'}` is fitted here and stored by"
            f" `{save.name.rpartition('.')[2]}`{at(save, fit.path)}; nothing scores it on rows it"
            " was not fitted on.",
            also=((save.path, save.line),),
        )


def _trains(trace: Trace, fit: Fit, model: Value) -> bool:
    names = [s.name for s in fit.estimator.steps()]
    if any(_UNLABELLED.search(n) for n in names) or not in_product(fit):
        return False
    return fit.estimator.same(model) and is_model(trace, fit.estimator)


def _handed_over(repo: AuditRepository, trace: Trace, model: Value) -> bool:
    """Tell whether the model goes into a call whose name speaks of testing."""
    label = trace.label(model, "")
    view = repo.view(trace.path)
    if view is None:
        return False
    for call in view.calls:
        func = call.func
        name = getattr(func, "attr", "") or getattr(func, "id", "") or last(dotted(call))
        if _MEASURES.search(name) and not name.startswith(("train", "split")):
            given = [*call.args, *(k.value for k in call.keywords)]
            if any(isinstance(a, ast.Name) and a.id == label for a in given):
                return True
    return False


def _evaluates(repo: AuditRepository, trace: Trace) -> bool:
    """Tell whether a module measures a model that it is given or loads."""
    if trace.path in repo.code.serving:
        return False
    scores = [s for s in trace.of(Score) if s.path == trace.path]
    if not scores:
        return False
    own = {f.path for f in trace.of(Fit)}
    if trace.of(Load):
        return True
    # One that measures what it is given; who measures his own model says nothing of others.
    return trace.path not in own and not trace.path.endswith(".ipynb")


def _near(repo: AuditRepository, one: str, other: str) -> bool:
    """Tell whether two modules belong to one project of the repository."""
    if one == other:
        return False
    if len(repo.code.product) <= _NEAR:
        return True
    return one.partition("/")[0] == other.partition("/")[0]


# --- test sets that are not used --------------------------------------------------------------


def _unused(repo: AuditRepository, trace: Trace) -> Iterator[Hit]:
    view = repo.view(trace.path)
    if view is None or not any(is_model(trace, f.estimator) for f in trace.of(Fit)):
        return
    made: dict[str, dict[ast.AST | None, int]] = {}
    for node in view.of(ast.Assign):
        if len(node.targets) != 1 or not isinstance(node.value, ast.Call):
            continue
        for name in _targets(node.targets[0]):
            made.setdefault(name, {}).setdefault(view.function(node), node.lineno)
    tests = _test_names(trace)
    idle = {n: line for n in tests if n in made and (line := _idle(view, n, made[n]))}
    inputs = [n for n in tests if not _LABELS.match(n)]
    if not any(n in idle for n in inputs) or any(n in made and n not in idle for n in inputs):
        return
    line = min(idle.values())
    names = ", ".join(f"`{n}`" for n in sorted(idle, key=lambda n: (idle[n], n)))
    several = len(idle) > 1
    yield Hit(
        trace.path,
        line,
        f"{names} {'are' if several else 'is'} set aside and never used: the model is not tested.",
        also=tuple((trace.path, n) for n in sorted(set(idle.values()) - {line})),
        severity=MEDIUM if not any(True for _ in saved(trace)) else None,
    )


def _targets(target: ast.expr) -> Iterator[str]:
    for node in target.elts if isinstance(target, (ast.Tuple, ast.List)) else (target,):
        if isinstance(node, ast.Name):
            yield node.id


def _test_names(trace: Trace) -> list[str]:
    """Names of test parts that this module makes or reads."""
    ids = _test_ids(trace)
    return sorted({name for one, name in trace.labels.items() if one in ids}) if ids else []


def _test_ids(trace: Trace) -> frozenset[int]:
    ids = {
        p.id
        for s in trace.of(Split)
        if s.path == trace.path and s.how == "call"
        for p in s.parts
        if p.role == "test"
    }
    ids |= {r.value.id for r in trace.of(Read) if r.path == trace.path and r.value.role == "test"}
    return frozenset(ids - {v.id for s in trace.of(Split) for v in s.sources})  # not the rest


def _idle(view: View, name: str, made: dict[ast.AST | None, int]) -> int:
    """Line where a name gets a part that is at most looked at afterwards; 0 when it is used.

    Looked at means printed, measured, transformed into itself.  A function that returns the part
    only passes it on, to where the same name is bound again.
    """
    passing = set()
    for node in view.of(ast.Name):
        if node.id != name or not isinstance(node.ctx, ast.Load) or _looked_at(view, node):
            continue
        if not isinstance(view.statement(node), ast.Return):
            return 0
        passing.add(view.function(node))
    return min((line for f, line in made.items() if f not in passing), default=0)


def _looked_at(view: View, node: ast.Name) -> bool:
    above = view.parent(node)
    if isinstance(above, ast.Attribute):
        return above.attr in ("shape", "head", "info", "describe")
    if not isinstance(above, ast.Call):
        return False
    if dotted(above).rpartition(".")[2] in _LOOKS:
        return True
    statement = view.statement(node)
    return (
        dotted(above).endswith(".transform")
        and isinstance(statement, ast.Assign)
        and node.id in _targets(statement.targets[0])
    )
