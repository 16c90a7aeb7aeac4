"""Work is done while a pipeline file is read

## What it does

Looks at what runs when a module that defines a DAG, flow or task is imported, the modules of the
repository that it imports included: reading data, loading a model, queries and HTTP calls,
`Variable.get`, starting an MLflow or Weights & Biases run.  `os.environ["X"]` without a default
and `open()` of a file are reported because the whole file fails to load where the variable or the
file is absent.  In any other module that another one imports, training and starting a run at
import are reported.

## Why is this bad?

A scheduler reads pipeline files every few seconds, a worker before each task.  What stands at the
top of the file is done each time, slows everything down, and when it fails no task of that file
exists any more.

## Known problems

A service that loads its model when it starts is right to do so and is not looked at.

## Example

```python
model = joblib.load("/models/model.pkl")

with DAG("score", schedule="@daily", start_date=datetime(2025, 1, 1), catchup=False):
    PythonOperator(task_id="score", python_callable=lambda: model.predict(read()))
```

## Use instead

```python
def score():
    model = joblib.load("/models/model.pkl")
    return model.predict(read())
```
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import Final

from mlops_advisor.tools.audit_workflow.repo import AuditRepository
from mlops_advisor.tools.audit_workflow.rule import HIGH, MEDIUM, Hit, Severity, rule
from mlops_advisor.tools.audit_workflow.rules._pipeline import (
    definition,
    does_network,
    flows_of,
    own_calls,
    short,
    views_holding,
)
from mlops_advisor.tools.evidence.view import FUNCTIONS, View, last

_READS: Final = frozenset(
    "read_csv read_parquet read_json read_excel read_table read_feather read_pickle read_sql"
    " read_sql_query read_gbq load_dataset load_model from_pretrained load_from_checkpoint"
    " train_test_split fit fit_transform urlretrieve".split()
)
_LOADERS: Final = frozenset(
    "joblib.load pickle.load cloudpickle.load dill.load torch.load"
    " onnxruntime.InferenceSession mlflow.pyfunc.load_model airflow.models.Variable.get"
    " airflow.sdk.Variable.get airflow.hooks.base.BaseHook.get_connection wandb.init"
    " wandb.login mlflow.start_run mlflow.create_experiment mlflow.set_experiment"
    " mlflow.search_runs prefect.variables.Variable.get prefect.blocks.system.Secret.load"
    " prefect.blocks.system.JSON.load dagshub.init subprocess.run subprocess.check_output"
    " subprocess.call os.system".split()
)
_LIGHT: Final = (
    "mlflow.set_tracking_uri",
    "mlflow.set_registry_uri",
    "mlflow.tracking.MlflowClient",
    "mlflow.MlflowClient",
    "mlflow.autolog",
    "sagemaker.workflow",
    "sagemaker.Session",
    "sagemaker.session",
    "boto3.Session",
    "boto3.session",
    "boto3.client",
    "boto3.resource",
    "google.cloud.aiplatform.init",
    "azure.ai.ml",
    "azure.identity",
    "feast.Field",
    "feast.Entity",
    "feast.File",
    "feast.Feature",
    "feast.Value",
    "feast.types",
    "sqlalchemy.orm",
    "sqlalchemy.Column",
    "sqlalchemy.MetaData",
    "sqlalchemy.create_engine",
    "requests.Session",
    "requests.adapters",
    "ray.train",
    "ray.tune",
    "ray.serve",
    "ray.data.preprocessors",
    "ray.remote",
    "evidently.ui",
)
_RUNS: Final = frozenset(
    ("mlflow.start_run", "wandb.init", "mlflow.set_experiment", "mlflow.create_experiment")
)
_LIBRARY: Final = (
    ".fit(", "start_run", "wandb.init", "_experiment(", ".read_", "load_dataset", "requests.get",
)  # fmt: skip
_NEAR: Final = 6  # lines; calls so near to each other are one finding
_TOOLS: Final = ("Airflow", "Prefect", "Dagster", "Flyte", "Kubeflow Pipelines", "ZenML", "Luigi")


@rule(
    "PL05",
    name="heavy-work-at-parse",
    dimension="model_training",
    severity=HIGH,
    confidence=0.85,
    fix="Move the call into the task that needs its result.",
    effort=(0.1, 1),
    sources=(
        "airflow_docs: Best Practices, Top level Python Code",
        "ruff: AIR003 airflow-variable-get-outside-task",
    ),
)
def heavy_work_at_parse(repo: AuditRepository) -> Iterator[Hit]:
    """Report calls that run when a pipeline module is imported."""
    tools = {
        f.path: f.tool for f in repo.flows.all if f.tool in _TOOLS and f.path in repo.code.product
    }
    inside: dict[str, tuple[str, str]] = {}
    for path, tool in tools.items():
        for other in repo.code.closure([path]):
            if other == path or other not in inside:
                inside[other] = (path, tool)
    for path in sorted(inside):
        view = repo.view(path)
        if view is not None and path not in repo.code.tests and not view.module.notebook:
            yield from _pipeline(repo, view, *inside[path])
    for view in views_holding(repo, *_LIBRARY):
        if view.path not in inside and not view.module.notebook:
            yield from _library(repo, view)


def _pipeline(repo: AuditRepository, view: View, flow: str, tool: str) -> Iterator[Hit]:
    entry = view.path == flow
    by = "" if entry else f", and `{flow}` imports this module"
    strict = tool == "Airflow"
    own = entry and _is_script(view) and not strict
    if own:
        return
    severity = HIGH if strict else MEDIUM
    work = [(c, i) for c, i in _at_import(repo, view) if _heavy(*i)]
    lines: list[int] = []
    for call, inner in work:
        if lines and call.lineno - lines[-1] <= _NEAR:
            continue
        lines.append(call.lineno)
        when = "each time the scheduler parses the file" if strict else "when it is imported"
        via = "" if inner[1] is call else f" (`{short(view.name(call))}` calls it)"
        why = f"`{short(_heavy(*inner))}` runs {when}{by}{via}."
        also = tuple((view.path, c.lineno) for c, _ in work if 0 < c.lineno - call.lineno <= _NEAR)
        yield Hit(view.path, call.lineno, why, severity=severity, also=also)
    for hit in _fails(view, by, severity):
        if not any(0 <= hit.line - n <= _NEAR for n in lines):
            yield hit


def _is_script(view: View) -> bool:
    """Tell whether a flow's module runs the flow at its end without a main guard."""
    return view.main_block is None and any(
        isinstance(s, ast.Expr) and isinstance(s.value, ast.Call) and view.at_import(s)
        for s in view.tree.body[-1:]
    )


def _at_import(
    repo: AuditRepository, view: View
) -> Iterator[tuple[ast.Call, tuple[View, ast.Call]]]:
    """Find calls that run at import, each with the work it comes to: itself or one below it."""
    bodies: list[ast.stmt] = _plain_body(view)
    for flow in flows_of(view):
        if flow.tool == "Airflow":
            bodies.extend(s for s in flow.function.body if not isinstance(s, FUNCTIONS))
    for call in own_calls(*(b for b in bodies if not isinstance(b, (*FUNCTIONS, ast.ClassDef)))):
        if not _guarded(view, call):
            inner = _work(repo, view, call)
            if inner is not None:
                yield call, inner


def _work(repo: AuditRepository, view: View, call: ast.Call) -> tuple[View, ast.Call] | None:
    if _heavy(view, call):
        return view, call
    target = definition(repo, view, call.func)
    if target is None or target.function.decorator_list:
        return None
    below = own_calls(target.function)[:60]
    return next(((target.view, c) for c in below if _heavy(target.view, c)), None)


def _guarded(view: View, node: ast.AST) -> bool:
    """Tell whether a node stands below the main guard, or in a lambda."""
    return not view.at_import(node) and view.function(node) is None


def _heavy(view: View, call: ast.Call) -> str:
    name = view.name(call)
    if name.startswith(_LIGHT):
        return ""
    if name in _LOADERS or last(name) in _READS:
        return name if last(name) not in ("fit", "fit_transform") or "." in name else ""
    return name if does_network(view, call) and not last(name)[:1].isupper() else ""


def _fails(view: View, by: str, severity: Severity) -> Iterator[Hit]:
    """Find what makes the import fail where something is not set or not there."""
    for node in view.of(ast.Subscript):
        if (
            view.name(node.value) == "os.environ"
            and isinstance(node.ctx, ast.Load)
            and isinstance(node.slice, ast.Constant)
            and view.at_import(node)
            and not view.inside(node, ast.Try)
        ):
            key = str(node.slice.value)[:60]
            why = f'`os.environ["{key}"]` is read at import: the file fails to load without it{by}.'
            fix = f'Read it in the task, or with a default: `os.getenv("{key}", "...")`.'
            yield Hit(view.path, node.lineno, why, fix, severity=severity)
    for call in view.calls:
        if (
            view.name(call) in ("open", "io.open", "builtins.open")
            and view.at_import(call)
            and not view.inside(call, ast.Try)
            and not _beside(view, call)
        ):
            target = view.string(call.args[0]) if call.args else ""
            what = f"`{target}`" if target else "A file"
            why = f"{what} is opened at import: where it is absent the file fails to load{by}."
            yield Hit(view.path, call.lineno, why, severity=severity, confidence=0.7)


def _beside(view: View, call: ast.Call) -> bool:
    """Tell whether the file opened lies beside the module: it is there whenever the module is."""
    return bool(call.args) and "__file__" in ast.dump(view.settled(call.args[0]) or call.args[0])


def _library(repo: AuditRepository, view: View) -> Iterator[Hit]:
    """Find training and runs started at import in a module that another one imports."""
    users = sorted(
        p for p in repo.code.importers.get(view.path, ()) if not repo.code.modules[p].notebook
    )
    if not users or view.path in repo.code.serving or view.path.endswith("__init__.py"):
        return
    for call in own_calls(*_plain_body(view)):
        name = view.name(call)
        if not view.at_import(call) or view.inside(call, ast.Try):
            continue
        trains = last(name) == "fit" and "." in name
        if name in _RUNS or trains or _loads_data(view, call):
            why = f"`{short(name)}` runs as soon as `{users[0]}` imports this module."
            also = tuple((u, 1) for u in users[:3])
            yield Hit(view.path, call.lineno, why, severity=MEDIUM, confidence=0.8, also=also)
            return


def _plain_body(view: View) -> list[ast.stmt]:
    """Statements that run at import: without the main guard, functions and classes."""
    return [
        s
        for s in view.tree.body
        if s is not view.main_block and not isinstance(s, (*FUNCTIONS, ast.ClassDef))
    ]


def _loads_data(view: View, call: ast.Call) -> bool:
    name = view.name(call)
    return name.startswith("pandas.read_") or name in ("datasets.load_dataset", "requests.get")
