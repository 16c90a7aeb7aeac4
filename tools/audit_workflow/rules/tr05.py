"""Run recorded incompletely

## What it does

Looks at training code that records runs and reports what a run lacks: parameters, metrics, the
model, its signature, the version of the data. Runs that rest on `autolog()` alone, artifacts,
parameters and metrics that are logged empty, hyper-parameters that a search chose and nobody
recorded, and models that are saved to disk but not logged are reported at their own lines.

## Why is this bad?

A run answers which model this is, what it was trained on and with what. One missing answer is
enough to make a model in production untraceable.

## Known problems

What other repositories log into the same run is not seen. Runs of a search need no model.

## Example

```python
with mlflow.start_run():
    model.fit(X_train, y_train)
    mlflow.log_metric("rmse", rmse)
    joblib.dump(model, "model.pkl")
```

## Use instead

```python
with mlflow.start_run():
    mlflow.log_params(params)
    mlflow.log_input(mlflow.data.from_pandas(train, source=train_uri), context="training")
    model.fit(X_train, y_train)
    mlflow.log_metric("rmse", rmse)
    mlflow.sklearn.log_model(model, name="model", signature=infer_signature(X_train[:5]))
```
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from typing import Final

from mlops_advisor.tools.audit_workflow.repo import AuditRepository
from mlops_advisor.tools.audit_workflow.rule import LOW, MEDIUM, Hit, rule
from mlops_advisor.tools.audit_workflow.rules._data_frames import shown_line
from mlops_advisor.tools.audit_workflow.rules._tracking import (
    Log,
    kinds_around,
    logs_of,
    mlflow_calls,
    saves_of,
    start_of,
    tracked_modules,
)
from mlops_advisor.tools.evidence.code import is_test_path
from mlops_advisor.tools.evidence.probes.tracking import data_recorded
from mlops_advisor.tools.evidence.view import View, last

_FILLS: Final = frozenset(
    "add_file add_dir add_files add add_reference new_file save wait add_data_records".split()
)
_LOGS: Final = frozenset(("log_artifact", "link_artifact", "log_model"))
_FIX_MODEL: Final = 'Log it in the same run: `mlflow.<flavour>.log_model(model, name="model")`.'
_STORES: Final = frozenset(("model", "artifact", "autolog", "saved"))
_EMPTY: Final = {
    "log_params": "parameters",
    "log_hyperparams": "parameters",
    "log_parameters": "parameters",
    "log_metrics": "metrics",
}
_RECORDED: Final = {
    "params": "parameters",
    "parameters": "parameters",
    "hyperparams": "parameters",
    "hyperparameters": "parameters",
    "hparams": "parameters",
    "metrics": "metrics",
}
_HELPER: Final = re.compile(
    r"(?i)(?:^|_)(?:log|track|record|save)_?(?:\w{0,20}_)?(?:run|experiment|results?|mlflow|wandb|"
    r"training|model|metadata)|^(?:log|track|record)(?:_to)?_?(?:mlflow|run|wandb|experiment)"
)
_SEARCHES: Final = frozenset(
    "GridSearchCV RandomizedSearchCV HalvingGridSearchCV HalvingRandomSearchCV BayesSearchCV"
    " CrossValidator TrainValidationSplit create_study fmin".split()
)
_SEARCH_LIBRARIES: Final = ("sklearn.", "skopt.", "pyspark.", "optuna.", "hyperopt.", "cuml.")
_CHOSEN: Final = re.compile(
    r"best_?params|best_trial|bestModel|best_estimator_?\.get_params|best_params_|space_eval"
    r"|extractParamMap|avgMetrics|cv_results_|trials_dataframe|MLflowCallback|trial\.params"
    r"|log_params?\((?:params|trial)|best_model\.get_params"
)


@rule(
    "TR05",
    name="incomplete-run-metadata",
    dimension="model_training",
    severity=MEDIUM,
    confidence=0.75,
    fix="Log parameters, metrics, the model with a signature and the version of the data in the"
    " same run.",
    effort=(0.2, 1),
    sources=(
        "kreuzberger: principle P7, ML metadata tracking and logging",
        (
            "mlflow_docs: MLflow Tracking, Concepts (code version, parameters, metrics and"
            " artifacts of a run)"
        ),
        "se4ml: Use Versioning for Data, Model, Configurations and Training Scripts",
    ),
)
def incomplete_run_metadata(repo: AuditRepository) -> Iterator[Hit]:
    """Report what recorded runs lack."""
    known = frozenset(tracked_modules(repo))
    for path in tracked_modules(repo):
        if is_test_path(path) or repo.is_aside(path):
            continue
        view = repo.view(path)
        if view is not None and "Artifact(" in repo.text(path):
            yield from _empty_artifacts(view)
        if view is not None and "wandb.config" in repo.text(path):
            yield from _config_replaced(view)
        hits = [] if view is None else [*_empty_logs(view), *_unlogged_choice(repo, view)]
        yield from hits
        hit = _of_training(repo, path)
        if hit is not None and not any(h.line == hit.line for h in hits):
            yield hit
    for path in repo.code.product if known else ():
        view = repo.view(path) if path not in known and "={}" in repo.text(path) else None
        if view is not None and not repo.is_aside(path):
            yield from _empty_logs(view)


def _of_training(repo: AuditRepository, path: str) -> Hit | None:
    """Report the worst gap of one module that trains."""
    code = repo.code
    trains = path in code.training or any(t in code.training for t in code.edges.get(path, ()))
    logs = logs_of(repo, path)
    start = start_of(repo, path)
    if not trains or start is None or "dvclive" in code.modules[path].roots:
        return None
    if not {log.kind for log in logs} - {"data"}:
        return None
    scripts = any(not code.modules[p].notebook for p in tracked_modules(repo))
    if (code.modules[path].notebook and scripts) or _elsewhere(repo, path):
        return None
    kinds = kinds_around(repo, path)
    auto = next((log for log in logs if log.kind == "autolog"), None)
    if auto is not None:
        return _autolog(repo, auto, kinds)
    saved = next(iter(saves_of(code.modules[path])), None) if not kinds & _STORES else None
    if saved is not None:
        where = shown_line(repo, path, start.call.line)
        return Hit(
            path,
            saved.line,
            f"The model is saved to disk, but the run of line {where} does not hold it: nothing"
            " ties the file to what was recorded.",
            _FIX_MODEL,
            also=((path, start.call.line),),
        )
    return _gaps(repo, path, start, kinds)


def _elsewhere(repo: AuditRepository, path: str) -> bool:
    """Tell whether the run belongs to another module, which starts it and imports this one."""
    if any(log.kind == "start" for log in logs_of(repo, path)):
        return False
    above = repo.code.importers.get(path, ())
    return any(log.kind == "start" for p in above for log in logs_of(repo, p))


def _autolog(repo: AuditRepository, auto: Log, kinds: frozenset[str]) -> Hit | None:
    own = kinds & {"params", "metrics", "model", "tags", "data", "artifact"}
    if own:
        return None
    data = "" if data_recorded(repo) else ", the version of the data"
    return Hit(
        auto.path,
        auto.call.line,
        "The run rests on `autolog()` alone: metrics on held-out data that the code computes"
        f"{data} and the commit as a tag are not recorded.",
        "Add `mlflow.log_metrics(...)` for the test set, `mlflow.log_input(...)` and"
        ' `mlflow.set_tag("git_commit", ...)`.',
        severity=LOW,
        confidence=0.7,
    )


def _gaps(repo: AuditRepository, path: str, start: Log, kinds: frozenset[str]) -> Hit | None:
    search = _is_search(repo, path)
    missing = []
    if "params" not in kinds:
        missing.append("parameters")
    if "metrics" not in kinds:
        missing.append("metrics")
    if not kinds & {"model", "artifact", "saved", "autolog"} and not search:
        missing.append("the model")
    unsigned = _unsigned(repo, path)
    line, severity, confidence = start.call.line, MEDIUM, 0.8
    if not missing:
        if unsigned:
            line = unsigned
        severity, confidence = LOW, 0.6
    if unsigned:
        missing.append("a signature of the model")
    if not data_recorded(repo) and not search:
        missing.append("the version of the data")
    if not missing or (search and severity is LOW):
        return None
    text = ", ".join(missing[:-1]) + (" and " if len(missing) > 1 else "") + missing[-1]
    return Hit(
        path,
        line,
        f"What this run records lacks {text}.",
        severity=severity,
        confidence=confidence,
    )


def _is_search(repo: AuditRepository, path: str) -> bool:
    return bool(repo.code.modules[path].roots & {"optuna", "hyperopt", "ray", "skopt", "nevergrad"})


def _unsigned(repo: AuditRepository, path: str) -> int:
    """Line of a logged model of MLflow with neither signature nor example; 0 when there is none."""
    view = repo.view(path)
    if view is None:
        return 0
    for call in mlflow_calls(view, "log_model"):
        given = {k.arg for k in call.keywords}
        if not given & {"signature", "input_example", None}:
            return call.lineno
    return 0


def _config_replaced(view: View) -> Iterator[Hit]:
    """Report `wandb.config = {...}`: a new name in the module, which W&B never sees."""
    for node in view.of(ast.Assign):
        target = node.targets[0]
        if isinstance(target, ast.Attribute) and view.name(target) == "wandb.config":
            yield Hit(
                view.path,
                node.lineno,
                "This puts another object in place of `wandb.config`; the parameters in it are"
                " not recorded with the run.",
                "Write `wandb.config.update({...})`, or hand them to `wandb.init(config=...)`.",
            )


def _empty_artifacts(view: View) -> Iterator[Hit]:
    """Report artifacts of W&B that are logged with nothing in them."""
    for call in view.calls:
        if view.name(call) not in ("wandb.Artifact", "wandb.sdk.artifacts.artifact.Artifact"):
            continue
        statement = view.parent(call)
        if not isinstance(statement, ast.Assign) or not isinstance(statement.targets[0], ast.Name):
            continue
        name = statement.targets[0].id
        scope = view.scope(call)
        logged = 0
        filled = False
        for other in view.calls:
            if view.scope(other) is not scope:
                continue
            func = other.func
            if isinstance(func, ast.Attribute) and isinstance(func.value, ast.Name):
                filled = filled or (func.value.id == name and func.attr in _FILLS)
            given = [*other.args, *(k.value for k in other.keywords)]
            if any(isinstance(a, ast.Name) and a.id == name for a in given):
                short = func.attr if isinstance(func, ast.Attribute) else ""
                logged = logged or (other.lineno if short in _LOGS else 0)
                filled = filled or short not in _LOGS
        if logged and not filled:
            yield Hit(
                view.path,
                logged,
                f"The artifact `{name}` (line {call.lineno}) is logged without any file in it.",
                f"Call `{name}.add_file(...)` or `{name}.add_dir(...)` before it is logged.",
                confidence=0.9,
            )


def _empty_logs(view: View) -> Iterator[Hit]:
    """Report `log_params({})`, and `params={}` handed to a helper that records runs."""
    for call in view.calls:
        func = call.func
        short = func.attr if isinstance(func, ast.Attribute) else getattr(func, "id", "")
        if short in _EMPTY and call.args and _is_empty(call.args[0]):
            yield _empty(view, call.lineno, _EMPTY[short])
            continue
        if not call.keywords or not _HELPER.search(short):
            continue
        for keyword in call.keywords:
            what = _RECORDED.get(keyword.arg or "", "")
            if what and _is_empty(keyword.value):
                yield _empty(view, keyword.value.lineno, what)
                break


def _is_empty(node: ast.expr) -> bool:
    plain = isinstance(node, ast.Dict) and not node.keys
    return plain or (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id == "dict"
        and not node.args
        and not node.keywords
    )


def _empty(view: View, line: int, what: str) -> Hit:
    return Hit(
        view.path,
        line,
        f"The run gets an empty record of its {what}: nobody can tell later what they were.",
        f"Hand over the {what} that this run used.",
        confidence=0.85,
    )


def _unlogged_choice(repo: AuditRepository, view: View) -> Iterator[Hit]:
    """Report a search whose metrics are recorded while the parameters it chose are not."""
    path = view.path
    kinds = kinds_around(repo, path)
    near = repo.code.closure((path, *sorted(repo.code.importers.get(path, ()))))
    if not {"metrics", "params"} <= kinds or "autolog" in kinds:
        return  # a run without any parameters is another finding
    if any(_CHOSEN.search(repo.text(p)) for p in near):
        return
    for call in view.calls:
        if last(view.name(call)) in _SEARCHES and view.name(call).startswith(_SEARCH_LIBRARIES):
            yield Hit(
                path,
                call.lineno,
                f"`{last(view.name(call))}` chooses hyper-parameters, the run records metrics, and"
                " which ones were chosen is recorded nowhere.",
                "Log them: `mlflow.log_params(search.best_params_)`.",
                confidence=0.7,
            )
            return
