"""What rules on experiment tracking share: kinds of calls, runs, models that are saved."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from mlops_advisor.tools.audit_workflow.repo import AuditRepository
from mlops_advisor.tools.evidence.code import Code
from mlops_advisor.tools.evidence.parse.python_model import Call, PythonModule, Ref
from mlops_advisor.tools.evidence.repository import Repository, shared
from mlops_advisor.tools.evidence.view import View

ROOTS: Final = frozenset(
    "mlflow wandb neptune comet_ml clearml dvclive aim sacred trackio swanlab".split()
)
_LAST: Final = {
    "log_param": "params",
    "log_params": "params",
    "log_hyperparams": "params",
    "log_hyperparameters": "params",
    "log_parameters": "params",
    "log_parameter": "params",
    "log_metric": "metrics",
    "log_metrics": "metrics",
    "log_batch": "metrics",
    "evaluate": "metrics",
    "log_model": "model",
    "link_model": "model",
    "save_model": "saved",
    "log_artifact": "artifact",
    "log_artifacts": "artifact",
    "log_input": "data",
    "log_inputs": "data",
    "use_artifact": "data",
    "set_tag": "tags",
    "set_tags": "tags",
    "start_run": "start",
    "init": "start",
    "init_run": "start",
    "autolog": "autolog",
    "watch": "other",
    "log": "metrics",
    "finish": "other",
}
_GIVEN: Final = {"config": "params", "tags": "tags", "log_model": "model"}
_NO_MODELS: Final = (
    ".png",
    ".html",
    ".csv",
    ".txt",
    ".yaml",
    ".yml",
    ".jpg",
    ".svg",
    ".log",
    ".md",
)
_LOGGERS: Final = ("MLFlowLogger", "WandbLogger", "NeptuneLogger", "CometLogger", "DVCLiveLogger")
# The object is read or changed: with a name assigned over it, nothing is recorded.
_CONFIG: Final = re.compile(r"(?:wandb|run)\.config\b(?!\s{0,4}=[^=])")
_SAVES: Final = frozenset(
    "joblib.dump pickle.dump cloudpickle.dump dill.dump torch.save torch.jit.save"
    " sklearn.externals.joblib.dump skops.io.dump".split()
)
_METHOD_SAVES: Final = frozenset(("save_model", "save", "save_pretrained", "write"))
_MODEL_WORDS: Final = re.compile(
    r"(?i)(?:^|_|\b)(?:best_?)?(?:model|clf|classifier|regressor|reg|pipe(?:line)?|estimator|net"
    r"|network|booster|bst|lr|rf|svm|svc|knn|xgb|lgbm?|learner|forest|tree|state_dict|grid_search)"
    r"(?:$|_|\b|\d)"
)


@dataclass(frozen=True, slots=True)
class Log:
    """One call of a tracker.

    `kind`: start, params, metrics, model, artifact, data, tags, autolog, saved, other.
    """

    kind: str
    call: Call
    path: str


@shared
def _logs(repo: Repository) -> dict[str, tuple[Log, ...]]:
    found: dict[str, tuple[Log, ...]] = {}
    for path, module in repo.code.product.items():
        logs = tuple(Log(k, c, path) for c in module.calls if (k := _kind(c)))
        if logs:
            found[path] = logs
    return found


def logs_of(repo: AuditRepository, path: str) -> tuple[Log, ...]:
    """Give the calls of trackers in one module, in order."""
    return _logs(repo).get(path, ())


def tracked_modules(repo: AuditRepository) -> tuple[str, ...]:
    """Modules that call a tracker, by path."""
    return tuple(_logs(repo))


def _kind(call: Call) -> str:
    """Kind of a call; empty when it is none of a tracker."""
    root = call.name.partition(".")[0].removesuffix("()")
    if call.last in _LOGGERS:
        return "start"
    if root not in ROOTS or (call.last == "autolog" and call.kwargs.get("disable") is True):
        return ""
    if call.last in ("Live", "Experiment", "Run") or call.name.endswith("Task.init"):
        return "start"
    no_model = call.last == "log_artifact" and call.text_of("local_path", 0).endswith(_NO_MODELS)
    return "other" if no_model else _LAST.get(call.last, "")


def kinds_around(repo: AuditRepository, path: str) -> frozenset[str]:
    """Kinds of tracker calls in a module, what it imports and what imports it."""
    code = repo.code
    near = code.closure((path, *sorted(code.importers.get(path, ()))))
    kinds = {log.kind for p in near for log in logs_of(repo, p)}
    for one in near:
        kinds |= _settings(code, one)
        if _CONFIG.search(repo.text(one)):
            kinds.add("params")
    return frozenset(kinds)


def _settings(code: Code, path: str) -> set[str]:
    """Kinds of what is handed to the call that starts a run, or logged by Lightning."""
    found: set[str] = set()
    module = code.modules[path]
    lightning = bool(module.roots & {"pytorch_lightning", "lightning"})
    for call in module.calls:
        if lightning and call.last in ("log_dict", "log") and call.name.startswith("self."):
            found.add("metrics")
        elif lightning and call.last == "save_hyperparameters":
            found.add("params")
        root = call.name.partition(".")[0].removesuffix("()")
        if root in ROOTS or call.last in _LOGGERS:
            found |= {kind for key, kind in _GIVEN.items() if call.kwargs.get(key)}
    return found


def start_of(repo: AuditRepository, path: str) -> Log | None:
    """Find the call that starts the run in a module, else the first call of a tracker."""
    logs = logs_of(repo, path)
    return next((log for log in logs if log.kind == "start"), logs[0] if logs else None)


def saves_of(module: PythonModule) -> Iterable[Call]:
    """Find calls that store a model in a file."""
    for call in module.calls:
        if call.name in _SAVES and call.args and _is_model(call.args[0]):
            yield call
        elif call.last in _METHOD_SAVES and call.name.partition(".")[0] not in ROOTS:
            owner = call.name.rpartition(".")[0]
            if owner and _MODEL_WORDS.search(owner.replace(".", "_").replace("()", "")):
                yield call


def _is_model(value: object) -> bool:
    if isinstance(value, tuple):
        return any(_is_model(v) for v in value)
    if not isinstance(value, Ref):
        return False
    name = value.name.replace(".", "_").replace("()", "")
    return value.name == "?" or bool(_MODEL_WORDS.search(name))


def mlflow_calls(view: View, *names: str) -> Iterable[ast.Call]:
    """Find calls into MLflow whose last part is one of some names."""
    for call in view.calls:
        func = call.func
        short = func.attr if isinstance(func, ast.Attribute) else getattr(func, "id", "")
        if short in names and view.name(call).startswith("mlflow."):
            yield call
