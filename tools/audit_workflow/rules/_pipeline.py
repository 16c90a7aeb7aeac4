"""What rules about pipelines share: tasks, flows, and what a function does when it runs."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, NamedTuple, cast

from mlops_advisor.tools.audit_workflow.repo import AuditRepository
from mlops_advisor.tools.evidence.code import is_test_path
from mlops_advisor.tools.evidence.parse.python import dotted
from mlops_advisor.tools.evidence.parse.python_model import PythonModule
from mlops_advisor.tools.evidence.view import FUNCTIONS, AnyFunction, View, last

TASK_MAKERS: Final = {
    "prefect.task": "Prefect",
    "prefect.tasks.task": "Prefect",
    "airflow.decorators.task": "Airflow",
    "airflow.sdk.task": "Airflow",
    "dagster.op": "Dagster",
    "dagster.solid": "Dagster",
    "dagster.asset": "Dagster",
    "dagster.multi_asset": "Dagster",
    "kfp.dsl.component": "KFP",
    "kfp.v2.dsl.component": "KFP",
    "kfp.components.create_component_from_func": "KFP",
    "kfp.components.func_to_container_op": "KFP",
    "flytekit.task": "Flyte",
    "metaflow.step": "Metaflow",
    "zenml.step": "ZenML",
    "zenml.steps.step": "ZenML",
}
FLOW_MAKERS: Final = {
    "prefect.flow": "Prefect",
    "airflow.decorators.dag": "Airflow",
    "airflow.sdk.dag": "Airflow",
    "kfp.dsl.pipeline": "KFP",
    "kfp.v2.dsl.pipeline": "KFP",
    "flytekit.workflow": "Flyte",
    "zenml.pipeline": "ZenML",
    "zenml.pipelines.pipeline": "ZenML",
    "dagster.job": "Dagster",
    "dagster.graph": "Dagster",
    "azure.ai.ml.dsl.pipeline": "Azure ML",
}
DAG_CALLS: Final = (
    "airflow.DAG",
    "airflow.models.DAG",
    "airflow.models.dag.DAG",
    "airflow.sdk.DAG",
)
FLOW_WORDS: Final = (
    "airflow",
    "prefect",
    "dagster",
    "kfp",
    "flytekit",
    "metaflow",
    "zenml",
    "sagemaker",
    "luigi",
    "kedro",
    "tfx",
)
_NETWORK: Final = (
    "requests.",
    "httpx.",
    "urllib.request.",
    "urllib3.",
    "aiohttp.",
    "boto3.",
    "botocore.",
    "google.cloud.",
    "google.api_core.",
    "azure.",
    "azureml.",
    "sagemaker.",
    "sqlalchemy.",
    "psycopg2.",
    "psycopg.",
    "pymongo.",
    "pymysql.",
    "pyodbc.",
    "snowflake.",
    "mlflow.",
    "wandb.init",
    "wandb.login",
    "wandb.use_artifact",
    "wandb.log_artifact",
    "neptune.",
    "comet_ml.",
    "huggingface_hub.",
    "datasets.load_dataset",
    "kaggle.",
    "s3fs.",
    "gcsfs.",
    "minio.",
    "redis.",
    "kafka.",
    "openai.",
    "paramiko.",
    "yfinance.",
    "gdown.",
    "wget.",
    "prefect_aws.",
    "prefect_gcp.",
    "prefect_azure.",
    "feast.",
    "ray.",
    "evidently.ui.",
    "hopsworks.",
)
_NETWORK_LAST: Final = frozenset(
    ("read_sql", "read_sql_query", "read_sql_table", "to_sql", "read_gbq", "to_gbq")
)
_QUIET: Final = ("boto3.session", "mlflow.models.infer_signature", "azure.ai.ml.Input")
_GPU: Final = frozenset(("cuda", "backward", "train_on_batch", "fine_tune"))
_GPU_ROOTS: Final = (
    "torch",
    "tensorflow",
    "keras",
    "transformers",
    "pytorch_lightning",
    "lightning",
)
_READERS: Final = (
    "read_csv",
    "read_parquet",
    "read_json",
    "read_excel",
    "read_table",
    "read_feather",
    "to_csv",
    "to_parquet",
)
REMOTE: Final = (
    "http://",
    "https://",
    "s3://",
    "gs://",
    "gcs://",
    "abfs",
    "wasb",
    "az://",
    "ftp://",
)
_MAX_REACH: Final = 400


class Task(NamedTuple):
    """One decorated function of an orchestrator: tool, function and decorator."""

    tool: str
    function: AnyFunction
    decorator: ast.expr


@dataclass(frozen=True, slots=True)
class Definition:
    """A function found by the name it is called by, with the module it stands in."""

    view: View
    function: AnyFunction
    again: bool = False  # another function of the same name stands there too


def views_holding(repo: AuditRepository, *words: str, tests: bool = False) -> Iterator[View]:
    """Trees of the modules whose text holds one of some words, without tests unless asked for."""
    for path in repo.python:
        if (tests or not is_test_path(path)) and any(w in repo.text(path) for w in words):
            view = repo.view(path)
            if view is not None:
                yield view


def tasks_of(view: View) -> list[Task]:
    """Find functions that an orchestrator runs as tasks, in the order of the source."""
    return _decorated(view, TASK_MAKERS)


def flows_of(view: View) -> list[Task]:
    """Find functions that an orchestrator runs as pipelines."""
    return _decorated(view, FLOW_MAKERS)


def _decorated(view: View, makers: dict[str, str]) -> list[Task]:
    found = []
    for function in view.functions:
        for decorator in function.decorator_list:
            name = view.name(decorator)
            tool = makers.get(name) or makers.get(name.rpartition(".")[0])
            if tool:
                found.append(Task(tool, function, decorator))
                break
    return sorted(found, key=lambda t: t.function.lineno)


def keyword(call: ast.expr | None, *names: str) -> ast.keyword | None:
    """Find the first keyword of a call that has one of some names."""
    if not isinstance(call, ast.Call):
        return None
    return next((k for k in call.keywords if k.arg in names), None)


def dict_entry(node: ast.expr | None, *keys: str) -> tuple[ast.expr, ast.expr] | None:
    """Key and value of a literal dictionary (or `dict(...)`) by one of some keys."""
    if isinstance(node, ast.Dict):
        for key, value in zip(node.keys, node.values, strict=True):
            if isinstance(key, ast.Constant) and key.value in keys:
                return key, value
    if isinstance(node, ast.Call) and dotted(node).removesuffix("()") == "dict":
        found = keyword(node, *keys)
        if found is not None:
            return found.value, found.value
    return None


def _top_level(view: View) -> dict[str, list[AnyFunction]]:
    """Functions of a module by name, those of classes as `Class.name`."""
    found: dict[str, list[AnyFunction]] = {}
    for function in view.functions:
        above = view.parent(function)
        while isinstance(above, (ast.If, ast.Try, ast.With)):
            above = view.parent(above)
        if isinstance(above, ast.Module):
            found.setdefault(function.name, []).append(function)
        elif isinstance(above, ast.ClassDef):
            found.setdefault(f"{above.name}.{function.name}", []).append(function)
    return found


def _functions(repo: AuditRepository, view: View) -> dict[str, list[AnyFunction]]:
    key = ("functions", view.path)
    if key not in repo.shared:
        repo.shared[key] = _top_level(view)
    return cast("dict[str, list[AnyFunction]]", repo.shared[key])


def _defined(view: View, functions: list[AnyFunction] | None) -> Definition | None:
    return Definition(view, functions[-1], len(functions) > 1) if functions else None


def definition(repo: AuditRepository, view: View, node: ast.expr) -> Definition | None:
    """Find the function of this workspace that an expression names or calls."""
    raw = "" if isinstance(node, ast.Call) else dotted(node)
    if not raw or raw.startswith("?") or "()" in raw:
        return None
    here = _functions(repo, view)
    head, _, tail = raw.partition(".")
    known = head in view.aliases or raw in here or head == "self"
    if not known or _shadowed(view, node, head):
        return None
    if raw in here and raw not in view.aliases:
        return _defined(view, here[raw])
    if head == "self":
        owner = next((n for n in view.above(node) if isinstance(n, ast.ClassDef)), None)
        method = here.get(f"{owner.name}.{tail}") if owner is not None else None
        return _defined(view, method)
    full = view.aliases.get(head)
    if full is None:
        return None
    full = f"{full}.{tail}" if tail else full
    module, _, name = full.rpartition(".")
    if full.startswith(".") and not module.strip("."):
        module = "." * (len(full) - len(full.lstrip(".")))
    path = importable(repo, module, view.path) if module else ""
    other = repo.view(path) if path and path != view.path else None
    function = _functions(repo, other).get(name) if other is not None else None
    return _defined(other, function) if other is not None else None


def _shadowed(view: View, node: ast.AST, name: str) -> bool:
    """Tell whether a name stands for something of a function around, not of the module."""
    if name == "self":
        return False
    for up in view.above(node):
        if isinstance(up, (ast.FunctionDef, ast.AsyncFunctionDef)):
            args = up.args
            plain = (*args.posonlyargs, *args.args, *args.kwonlyargs)
            if any(a.arg == name for a in plain) or name in view.assigned.get(up, ()):
                return True
            if any(getattr(s, "name", "") == name for s in up.body):
                return True
    return False


def importable(repo: AuditRepository, module: str, origin: str) -> str:
    """Path of the module that an import means for sure; empty when it may mean another one."""
    path = repo.code.resolve(module, origin)
    if not path or module.startswith("."):
        return path
    if module.partition(".")[0] in sys.stdlib_module_names:
        return ""
    key = ("importable", module, origin.rpartition("/")[0])
    if key not in repo.shared:
        repo.shared[key] = _reachable(repo, module, origin, path)
    return path if repo.shared[key] else ""


def _reachable(repo: AuditRepository, module: str, origin: str, path: str) -> bool:
    """Tell whether the folder that holds a module is one that Python searches, not a package."""
    end = f"{module.replace('.', '/')}.py"
    whole = f"{module.replace('.', '/')}/__init__.py"
    tail = end if path.endswith(end) else whole
    base = path[: -len(tail)].rstrip("/")
    here = origin.rpartition("/")[0]
    if base and f"{base}/__init__.py" in repo.files and base != here:
        return False
    same = [p for p in _namesakes(repo, module) if p == end or p.endswith((f"/{end}", f"/{whole}"))]
    return len(same) <= 1 or base == here


def _namesakes(repo: AuditRepository, module: str) -> list[str]:
    key = "modules by name"
    if key not in repo.shared:
        found: dict[str, list[str]] = {}
        for path in repo.python:
            parts = path.removesuffix(".py").split("/")
            name = parts[-2] if parts[-1] == "__init__" and len(parts) > 1 else parts[-1]
            found.setdefault(name, []).append(path)
        repo.shared[key] = found
    names = cast("dict[str, list[str]]", repo.shared[key])
    return names.get(module.rpartition(".")[2], [])


def own_calls(*nodes: ast.AST) -> list[ast.Call]:
    """Find calls in the bodies of nodes, without those in functions and classes defined there."""
    found: list[ast.Call] = []
    stack: list[ast.AST] = []
    for node in nodes:
        if isinstance(node, (*FUNCTIONS, ast.Module)):
            stack.extend(reversed(node.body))
        else:
            stack.append(node)
    while stack:
        child = stack.pop()
        if isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda)):
            continue
        if isinstance(child, ast.Call):
            found.append(child)
        stack.extend(reversed(list(ast.iter_child_nodes(child))))
    return sorted(found, key=lambda c: (c.lineno, c.col_offset))


def reached(
    repo: AuditRepository, view: View, function: ast.AST, depth: int = 2
) -> Iterator[tuple[View, ast.Call]]:
    """Go through calls a function makes, those of the functions of this workspace included."""
    seen: set[int] = {id(function)}
    stack: list[tuple[View, ast.AST, int]] = [(view, function, depth)]
    left = _MAX_REACH
    while stack and left > 0:
        here, node, more = stack.pop()
        for call in own_calls(node):
            left -= 1
            yield here, call
            target = definition(repo, here, call.func) if more else None
            if target is not None and id(target.function) not in seen:
                seen.add(id(target.function))
                stack.append((target.view, target.function, more - 1))


def does_network(view: View, call: ast.Call) -> bool:
    """Tell whether a call talks to another machine."""
    name = view.name(call)
    if name.startswith(_QUIET):
        return False
    if name.startswith(_NETWORK) or last(name) in _NETWORK_LAST:
        return True
    if last(name) in _READERS and call.args:
        return view.string(call.args[0]).startswith(REMOTE)
    return last(name) in ("from_pretrained", "urlretrieve", "snapshot_download")


def does_gpu(view: View, call: ast.Call) -> bool:
    """Tell whether a call trains a deep network."""
    name = last(view.name(call))
    deep = bool(view.module.roots.intersection(_GPU_ROOTS))
    return deep and (name in _GPU or name in ("fit", "train"))


def hard_work(repo: AuditRepository, view: View, function: AnyFunction) -> str:
    """Name of the first call of a task that goes over the network or trains on a GPU."""
    for where, call in reached(repo, view, function):
        if does_network(where, call) or does_gpu(where, call):
            return where.name(call)
    return ""


def imports(module: PythonModule, *roots: str) -> bool:
    """Tell whether a module imports one of some packages."""
    return not module.roots.isdisjoint(roots)


def short(name: str) -> str:
    """Make a resolved name fit for a sentence: at most its last two parts, without chains."""
    parts = name.replace("()", "").lstrip("?.").split(".")
    return ".".join(parts[-2:])
