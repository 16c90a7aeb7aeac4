"""Lineage of runs broken or deleted

## What it does

Reports code outside tests that deletes runs, experiments or registered models; experiment names
that hold a date or a random part; and evaluation or registration that opens a run of its own,
without the id of the run that trained the model.

## Why is this bad?

The way back from a model in production to its parameters, metrics and data leads over its run. A
deleted run ends it. Metrics in another run than the model belong to nothing, and an experiment
for each start makes runs impossible to compare.

## Known problems

A run id that is handed over through files or the environment, and not by `run_id=`, is not seen.

## Example

```python
mlflow.set_experiment(f"churn-{datetime.now():%Y%m%d}")
with mlflow.start_run():        # evaluate.py, after train.py had its own run
    mlflow.log_metric("auc", auc)
```

## Use instead

```python
mlflow.set_experiment("churn")
with mlflow.start_run(run_id=training_run_id):
    mlflow.log_metric("auc", auc)
```
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from typing import Final

from mlops_advisor.tools.audit_workflow.repo import AuditRepository
from mlops_advisor.tools.audit_workflow.rule import HIGH, MEDIUM, Hit, rule
from mlops_advisor.tools.audit_workflow.rules._data_frames import views_with
from mlops_advisor.tools.audit_workflow.rules._tracking import mlflow_calls, tracked_modules
from mlops_advisor.tools.evidence.view import AnyFunction, View

_DELETES: Final = {
    "delete_run": "runs",
    "delete_experiment": "an experiment with all its runs",
    "delete_registered_model": "a registered model with all its versions",
    "delete_model_version": "a version of a registered model",
}
_CLI: Final = re.compile(r"\bmlflow (?:gc|experiments delete|runs delete)\b|\brm -rf? \S*mlruns\b")
_CHANGING: Final = frozenset("now today utcnow time time_ns uuid4 uuid1 strftime token_hex".split())
_EVALUATES: Final = re.compile(r"(?i)eval|test_model|score|validat|compare|register|promote")
_LOGS: Final = ("log_metric", "log_metrics", "log_model", "log_artifact", "log_batch")
_FITS: Final = frozenset(("fit", "train", "fit_transform", "partial_fit", "backward"))


@rule(
    "TR06",
    name="run-lineage-broken",
    dimension="model_training",
    severity=HIGH,
    confidence=0.8,
    fix="Hand the run id from training to evaluation: `mlflow.start_run(run_id=...)`, or nest the"
    " runs; archive instead of deleting.",
    effort=(0.5, 2),
    sources=(
        "google_mlops: level 1, Metadata management: lineage of data and artefacts",
        "se4ml: Provide Audit Trails",
    ),
)
def run_lineage_broken(repo: AuditRepository) -> Iterator[Hit]:
    """Report deleted runs, changing experiment names and runs apart."""
    for view in views_with(repo, "mlflow", "mlruns", "wandb"):
        text = repo.text(view.path)
        if ".delete_" in text:
            yield from _deleted(view)
        if "experiment" in text:
            yield from _names(view)
        if "rmtree" in text or "system" in text or "subprocess" in text:
            yield from _trees(view)
    for run in repo.runs.everything:
        if run.counts and _CLI.search(run.text):
            yield Hit(
                run.path,
                run.line,
                "This command deletes recorded runs: what they made has no history any more.",
                "Keep the runs; let the store archive what is old.",
            )
    yield from _apart(repo)


def _deleted(view: View) -> Iterator[Hit]:
    for call in mlflow_calls(view, *_DELETES):
        name = call.func.attr if isinstance(call.func, ast.Attribute) else ""
        yield Hit(
            view.path,
            call.lineno,
            f"`{name}` deletes {_DELETES.get(name, 'runs')}: what came of it has no history.",
            "Tag what is obsolete (`set_tag`), or archive it; delete nothing by code.",
            end_line=call.end_lineno or 0,
            severity=None if "model" not in name else MEDIUM,
        )


def _trees(view: View) -> Iterator[Hit]:
    """Report `shutil.rmtree("mlruns")`."""
    for call in view.calls:
        if view.name(call) in ("shutil.rmtree", "os.system", "subprocess.run") and call.args:
            text = view.string(call.args[0])
            wiped = text.strip("./").split("/")[-1] in ("mlruns", "wandb", "mlflow.db")
            if wiped or ("rm " in text and "mlruns" in text):
                yield Hit(
                    view.path,
                    call.lineno,
                    f"This deletes the store of all runs (`{text}`).",
                    "Keep the runs; use another experiment for a clean start.",
                )


def _names(view: View) -> Iterator[Hit]:
    for call in mlflow_calls(view, "set_experiment", "create_experiment"):
        name = view.arg(call, "experiment_name", 0) or view.arg(call, "name", 0)
        made = _changing(view, name, 0)
        if made:
            yield Hit(
                view.path,
                call.lineno,
                f"The name of the experiment holds `{made}`: each start opens an experiment of"
                " its own, and runs cannot be compared.",
                "Give the experiment one fixed name; put the date into the run name or a tag.",
            )


def _changing(view: View, node: ast.expr | None, depth: int) -> str:
    """Name of the call in an expression that gives another value on each start."""
    if node is None or depth > 3:  # noqa: PLR2004 - variables followed
        return ""
    for below in view.walk(node):
        if isinstance(below, ast.Call):
            name = view.name(below)
            if name.rpartition(".")[2] in _CHANGING:
                return f"{name}()"
        elif isinstance(below, ast.Name):
            values = view.values(below.id, below)
            if len(values) == 1 and values[0] is not node:
                found = _changing(view, values[0], depth + 1)
                if found:
                    return found
    return ""


def _apart(repo: AuditRepository) -> Iterator[Hit]:
    """Report runs of evaluation that do not know the run of the training."""
    starts = []
    for path in tracked_modules(repo):
        view = repo.view(path)
        if view is not None and not repo.code.modules[path].notebook:
            starts += [(view, c, view.function(c)) for c in mlflow_calls(view, "start_run")]
    training = [(v, c) for v, c, f in starts if _trains(repo, v, c, f)]
    for view, call, function in starts:
        if call.args or any(
            k.arg in ("run_id", "nested", "parent_run_id", None) for k in call.keywords
        ):
            continue
        named = f"{view.path.rpartition('/')[2]} {function.name if function else ''}"
        if not _EVALUATES.search(named) or _trains(repo, view, call, function):
            continue
        if not _logs(view, call, function):
            continue
        ends = [(v, c) for v, c in training if _near(v.path, view.path)]
        if ends:
            other = ends[0]
            yield Hit(
                view.path,
                call.lineno,
                "This opens a new run: what it logs lies apart from the run that trained the"
                f" model ({other[0].path}:{other[1].lineno}), with nothing between the two.",
                also=((other[0].path, other[1].lineno),),
                confidence=0.7,
            )


def _near(one: str, other: str) -> bool:
    """Tell whether two modules belong to one project: the same folder, or one not far."""
    a, b = one.split("/")[:-1], other.split("/")[:-1]
    return a[: max(0, len(a) - 1)] == b[: max(0, len(a) - 1)] or a[:1] == b[:1] == ["src"]


def _within(view: View, call: ast.Call, function: AnyFunction | None) -> ast.AST:
    return function or next((n for n in view.above(call) if isinstance(n, ast.With)), view.tree)


def _trains(
    repo: AuditRepository, view: View, call: ast.Call, function: AnyFunction | None
) -> bool:
    """Tell whether the code around a call fits a model, itself or in what it calls."""
    if function is None and view.path in repo.code.training:
        return True
    where = _within(view, call, function)
    names = {_last(n) for n in view.walk(where) if isinstance(n, ast.Call)}
    if names & _FITS or any("train" in n.lower() and "_eval" not in n for n in names):
        return True
    local = {f.name: f for f in view.functions if f.name in names}
    return any(
        _last(n) in _FITS for f in local.values() for n in view.walk(f) if isinstance(n, ast.Call)
    )


def _logs(view: View, call: ast.Call, function: AnyFunction | None) -> bool:
    where = _within(view, call, function)
    return any(isinstance(n, ast.Call) and _last(n) in _LOGS for n in view.walk(where))


def _last(call: ast.Call) -> str:
    func = call.func
    return func.attr if isinstance(func, ast.Attribute) else getattr(func, "id", "")
