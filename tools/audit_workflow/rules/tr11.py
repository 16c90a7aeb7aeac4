"""Model is judged by a single metric

## What it does

Looks at the metrics that the code of one part of the repository computes or logs.  When that is one
metric only (accuracy, or R2, or RMSE), the place that computes it is reported.

## Why is this bad?

Accuracy on unbalanced classes is high for a model that never finds the rare class; one error
figure hides bias and outliers.  Nobody sees which group of cases got worse.

## Known problems

Metrics that a framework computes by itself (AutoML, autologging of evaluation) are not seen; such
code is left out.

## Example

```python
print(accuracy_score(y_test, model.predict(X_test)))
```

## Use instead

```python
print(classification_report(y_test, model.predict(X_test)))
```
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from mlops_advisor.tools.audit_workflow.repo import AuditRepository
from mlops_advisor.tools.audit_workflow.rule import LOW, MEDIUM, Hit, rule
from mlops_advisor.tools.audit_workflow.rules._training_metrics import direction
from mlops_advisor.tools.evidence.parse.python_model import Call, PythonModule

_MANY: Final = frozenset(
    "classification_report confusion_matrix precision_recall_fscore_support evaluate"
    " ConfusionMatrixDisplay roc_curve precision_recall_curve MetricCollection"
    " multilabel_confusion_matrix".split()
)
_FAMILIES: Final = (
    (re.compile(r"acc(?:uracy)?(?:_score)?$|accuracy"), "accuracy"),
    (re.compile(r"r2|r_squared|rsquared"), "R2"),
    (re.compile(r"rmse|mse|mean_squared|root_mean"), "RMSE"),
    (re.compile(r"mape|mean_absolute_percentage"), "MAPE"),
    (re.compile(r"mae|mean_absolute"), "MAE"),
    (re.compile(r"f1|f_1|fbeta"), "F1"),
    (re.compile(r"auc|roc"), "AUC"),
    (re.compile(r"precision"), "precision"),
    (re.compile(r"recall|sensitivity"), "recall"),
)
_LOGS: Final = frozenset("log_metric log_metrics log_scalar add_scalar log".split())
_ESTIMATORS: Final = ("sklearn.", "xgboost.", "lightgbm.", "catboost.")
_PROJECTS: Final = 3  # folders that train: each is a project of its own
_AUTOMATIC: Final = re.compile(r"mlflow\.evaluate|AutoML|pycaret|autogluon|evidently|deepchecks")


@rule(
    "TR11",
    name="single-or-unsuitable-metric",
    dimension="model_training",
    severity=MEDIUM,
    confidence=0.65,
    fix="Add metrics that show the rare cases, and compute them for the groups that matter.",
    effort=(0.2, 1),
    sources=(
        "ml_test_score: Model 6, model quality is sufficient on important data slices",
        "code_smells_ml: smell 22, Threshold-Dependent Validation",
    ),
)
def single_metric(repo: AuditRepository) -> Iterator[Hit]:
    """Report parts of a repository that compute one metric only."""
    folders = {_folder(p) for p in repo.code.training}
    split = len(folders) >= _PROJECTS

    def _part(path: str) -> str:
        return _folder(path) if split else ""

    parts: dict[str, dict[str, list[tuple[str, Call]]]] = {}
    skipped: set[str] = set()
    for path, module in repo.code.product.items():
        part = _part(path)
        if _AUTOMATIC.search(repo.text(path)):
            skipped.add(part)
        for family, call in _metrics(module):
            parts.setdefault(part, {}).setdefault(family, []).append((path, call))
    for part, families in parts.items():
        if part in skipped or len(families) != 1 or "many" in families:
            continue
        family, calls = next(iter(families.items()))
        trained = any(_part(p) == part for p in repo.code.training)
        computed = [(p, c) for p, c in calls if c.last not in _LOGS] or calls
        scripts = [(p, c) for p, c in computed if not repo.code.modules[p].notebook]
        if not trained or not (scripts or _few_notebooks(repo)):
            continue
        path, call = (scripts or computed)[-1]
        yield _hit(path, call, family)


def _hit(path: str, call: Call, family: str) -> Hit:
    if family == "accuracy":
        return Hit(
            path,
            call.line,
            "Accuracy is the only metric that this code computes: it says nothing about rare "
            "classes or single groups.",
            "Add `classification_report`, or F1, recall and PR-AUC for each class.",
        )
    return Hit(
        path,
        call.line,
        f"{family} is the only metric that this code computes: bias, outliers and single groups "
        "stay hidden.",
        "Add a second metric (MAE beside RMSE, AUC beside F1), and both for each group.",
        severity=LOW,
        confidence=0.55,
    )


def _few_notebooks(repo: AuditRepository) -> bool:
    return not repo.code.training_scripts


def _folder(path: str) -> str:
    """Folder at the top, which stands for one project."""
    return path.partition("/")[0] if "/" in path else ""


def _metrics(module: PythonModule) -> Iterator[tuple[str, Call]]:
    for call in module.calls:
        if call.last in _MANY and ("metric" in call.name or call.last != "evaluate"):
            yield "many", call
        elif call.name.startswith(("sklearn.metrics.", "torchmetrics.")):
            family = _family(call.last)
            if family:
                yield family, call
        elif call.last == "score" and call.name.startswith(_ESTIMATORS):
            yield ("accuracy" if "Classifier" in call.name else "R2"), call
        elif call.last == "compile" and "metrics" in call.kwargs:
            value = call.kwargs["metrics"]
            for item in value if isinstance(value, tuple) else ():
                yield _family(f"{getattr(item, 'name', item)}") or "other", call
        elif call.last in _LOGS and (call.args or call.kwargs):
            key = call.text_of("key", 0) or call.text_of("name", 0)
            if direction(key) and "loss" not in key.lower():
                yield _family(key) or key, call


def _family(name: str) -> str:
    low = name.rpartition(".")[2].lower()
    return next((family for pattern, family in _FAMILIES if pattern.search(low)), "")
