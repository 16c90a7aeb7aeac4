"""Tracking store on one machine

## What it does

Reports tracking and registry URIs that lead to a file or a local SQLite database (`file:`,
`sqlite:`, `./mlruns`) outside tests, in code and in configuration; servers started on such a
store; runs of MLflow without any URI; and the stores of trackers that lie in git (`mlruns/`,
`mlflow.db`, `wandb/`, `.prefect/prefect.db`).

## Why is this bad?

The runs are on one disk: nobody else sees them, a container loses them when it ends, and they have
no access control. A store in git grows with each run and mixes what everyone ran.

## Known problems

A default in `os.getenv` is not reported when a file of the workspace sets the variable. A URI on
`localhost` is reported as a candidate only.

## Example

```python
mlflow.set_tracking_uri("sqlite:///mlflow.db")
```

## Use instead

```python
mlflow.set_tracking_uri(os.environ["MLFLOW_TRACKING_URI"])  # https://mlflow.example.org
```
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from typing import Final

from mlops_advisor.tools.audit_workflow.repo import AuditRepository
from mlops_advisor.tools.audit_workflow.rule import LOW, MEDIUM, Hit, rule
from mlops_advisor.tools.audit_workflow.rules._data_frames import views_with
from mlops_advisor.tools.audit_workflow.rules._tracking import mlflow_calls, tracked_modules
from mlops_advisor.tools.evidence.code import is_test_path
from mlops_advisor.tools.evidence.view import View

_LOCAL: Final = re.compile(
    r"(?i)^(?:file:|sqlite:|\.{0,2}/?(?:[\w.{}-]{0,60}/){0,6}mlruns/?$|(?:\.{0,2}/)?mlflow\.db$)"
)
_HERE: Final = re.compile(r"(?i)^https?://(?:127\.0\.0\.1|localhost|0\.0\.0\.0)(?::\d{1,5})?/?$")
_KEYS: Final = frozenset(
    "tracking_uri mlflow_tracking_uri mlflow_uri registry_uri mlflow_registry_uri"
    " mlflow_tracking_url tracking_url backend_store_uri mlflow_backend_store_uri".split()
)
_ASSIGNED: Final = re.compile(
    r"(?i)^\s{0,20}(?:export\s{1,4}|ENV\s{1,4}|-\s{1,4})?[\"']?"
    r"(mlflow_tracking_uri|mlflow_backend_store_uri|backend_store_uri|mlflow_registry_uri)"
    r"[\"']?\s{0,4}[=: ]\s{0,4}[\"']?([^\s\"'#]{1,200})"
)
_SERVER: Final = re.compile(r"\bmlflow\s{1,4}(?:server|ui)\b")
_STORE: Final = re.compile(
    r"--backend-store-uri[ =]\s{0,4}[\"']?((?:sqlite:|file:|\.{0,2}/)\S{0,200})"
)
_URI_CALLS: Final = ("set_tracking_uri", "set_registry_uri")
_IN_GIT: Final = re.compile(
    r"(?:^|/)(?:mlruns/|wandb/|lightning_logs/|\.prefect/\S{0,80}\.db$|(?:mlflow|mlruns|optuna|orion"
    r"|prefect|airflow)\.(?:db|sqlite3?)$)"
)
_FOLDERS: Final = re.compile(r"(?:^|/)(?:mlruns|wandb|lightning_logs)/")
_RUN_FILE: Final = re.compile(r"/(?:meta\.yaml|run-[^/]+/|metrics/|params/|version_\d+/)")
_CONFIG: Final = (".env", ".sh", ".bash", ".yaml", ".yml", ".toml", ".json", ".ini", ".cfg", ".mk")
_SET_ELSEWHERE: Final = (
    "MLFLOW_TRACKING_URI",
    "set_tracking_uri",
    "tracking_uri",
    "DATABRICKS_HOST",
    "dagshub",
    "azureml",
    "azure.ai.ml",
    "databricks",
    "sagemaker_mlflow",
    "--backend-store-uri",
)


@rule(
    "TR07",
    name="tracking-store-local",
    dimension="model_training",
    severity=MEDIUM,
    confidence=0.85,
    fix="Run one tracking server with a database and a bucket, and read its address from"
    " MLFLOW_TRACKING_URI.",
    effort=(0.5, 2),
    sources=("mlflow_docs: MLflow Tracking Server (collaboration, sharing, centralized access)",),
)
def tracking_store_local(repo: AuditRepository) -> Iterator[Hit]:
    """Report tracking stores that one machine, or git, keeps."""
    for view in views_with(repo, "mlflow", "MLFlow", "MLFLOW"):
        yield from _in_code(repo, view)
    yield from _in_config(repo)
    yield from _servers(repo)
    yield from _in_git(repo)
    yield from _nowhere(repo)


def _in_code(repo: AuditRepository, view: View) -> Iterator[Hit]:
    wanted = [(c, view.arg(c, "uri", 0)) for c in mlflow_calls(view, *_URI_CALLS)]
    for call in view.calls:
        short = view.name(call).rpartition(".")[2]
        if short in ("MLFlowLogger", "MlflowClient"):
            uri = view.arg(call, "tracking_uri", 0 if short == "MlflowClient" else -1)
            wanted.append((call, uri))
    seen: set[str] = set()
    for call, node in wanted:
        text = view.string(node)
        if node is None or text in seen:
            continue
        seen.add(text)
        variable = _variable(view, node)
        if variable and _set_anywhere(repo, variable, view.path):
            continue
        local, here = bool(_LOCAL.match(text)), bool(_HERE.match(text))
        if here and view.module.notebook:
            continue
        if not local and not (here and not variable):
            local = _mlruns(view, node, text)
            if not local:
                continue
        settled = view.settled(node)
        line = (
            settled.lineno if local and settled is not None and settled is not node else call.lineno
        )
        if settled is not None and view.function(settled) is not view.function(node):
            line = settled.lineno
        yield _hit(view.path, line, text, here=here, certain=not variable)
    yield from _environment(view)


def _mlruns(view: View, node: ast.expr, text: str) -> bool:
    """Tell whether a URI is made of a path on this machine."""
    if "://" in text and not text.startswith("file:"):
        return False
    if text.rstrip("/").endswith(("mlruns", "mlflow.db")):
        return True
    settled = view.settled(node)
    return isinstance(settled, ast.Call) and view.name(settled).endswith((".as_uri", ".absolute"))


def _environment(view: View) -> Iterator[Hit]:
    """Report `os.environ["MLFLOW_TRACKING_URI"] = "sqlite:///..."`."""
    for node in view.of(ast.Assign):
        target = node.targets[0]
        if view.column(target) == "MLFLOW_TRACKING_URI":
            text = view.string(node.value)
            if _LOCAL.match(text) or _HERE.match(text):
                yield _hit(view.path, node.lineno, text, here=bool(_HERE.match(text)))


def _variable(view: View, node: ast.expr) -> str:
    """Name of the environment variable that may replace the value."""
    settled = view.settled(node)
    for below in view.walk(settled) if settled is not None else ():
        if isinstance(below, ast.Call) and view.name(below) in ("os.getenv", "os.environ.get"):
            return f"{view.literal(below.args[0])}" if below.args else "?"
    return ""


def _set_anywhere(repo: AuditRepository, variable: str, path: str) -> bool:
    return any(
        variable in f.text
        for p, f in repo.files.items()
        if p != path and not p.endswith((".py", ".ipynb", ".md", ".rst"))
    )


def _hit(path: str, line: int, uri: str, *, here: bool, certain: bool = True) -> Hit:
    if here:
        why = (
            f"The tracking URI `{uri}` is the own machine: it works where a server runs beside it."
        )
        return Hit(path, line, why, severity=LOW, confidence=0.5)
    why = f"The tracking URI `{uri}` is a file on one machine: nobody else sees these runs."
    return Hit(path, line, why, confidence=None if certain else 0.55)


def _in_config(repo: AuditRepository) -> Iterator[Hit]:
    for path, file in repo.files.items():
        low = path.lower()
        name = low.rpartition("/")[2]
        config = low.endswith(_CONFIG) or name.startswith((".env", "dockerfile", "makefile"))
        if not config or is_test_path(path) or _FOLDERS.search(path):
            continue
        if "tracking_ur" not in file.text.lower() and "store_uri" not in file.text.lower():
            continue
        for number, line in enumerate(repo.lines(path), 1):
            found = _ASSIGNED.match(line[:400]) or _key(line[:400])
            if found is None:
                continue
            uri = found.group(2).strip("\"',")
            if _LOCAL.match(uri):
                aside = any(w in low for w in ("local", "dev", "example", "template", "sample"))
                if not aside:
                    yield _hit(path, number, uri, here=False)


_KEY_LINE: Final = re.compile(
    r"^\s{0,40}[\"']?([A-Za-z_]{3,40})[\"']?\s{0,4}[:=]\s{0,4}[\"']?([^\s\"'#]{1,200})"
)


def _key(line: str) -> re.Match[str] | None:
    found = _KEY_LINE.match(line)
    return found if found and found.group(1).lower() in _KEYS else None


def _servers(repo: AuditRepository) -> Iterator[Hit]:
    """Report MLflow servers that keep their runs in a local file."""
    seen = set()
    for run in (*repo.runs.everything, *repo.runs.images):
        found = _STORE.search(run.text) if _SERVER.search(run.text) else None
        if found is None or (run.path, run.line) in seen or is_test_path(run.path):
            continue
        seen.add((run.path, run.line))
        line = repo.line_of(run.path, "--backend-store-uri", run.line - 1) or run.line
        yield Hit(
            run.path,
            line if line < run.line + 12 else run.line,
            f"The tracking server keeps its runs in `{found.group(1)}`, a file inside the machine"
            " or container.",
            "Give `--backend-store-uri` a database server and `--default-artifact-root` a bucket.",
            confidence=0.7,
        )


def _in_git(repo: AuditRepository) -> Iterator[Hit]:
    """Report stores of trackers that git holds: one place for each store."""
    seen: set[str] = set()
    ignored = repo.workspace.ignored
    for path in repo.paths:
        if path in ignored or is_test_path(path) or not _IN_GIT.search(path):
            continue
        folder = _FOLDERS.search(path)
        root = path[: folder.end()] if folder else path
        if root in seen or root in ignored or f"{path}.dvc" in repo.paths:
            continue
        if folder and path != root and not _RUN_FILE.search(f"/{path}"):
            continue  # a package of that name
        seen.add(root)
        yield Hit(
            path,
            1,
            f"`{root}` is the store of a tracker, and no .gitignore lists it.",
            f"Add `{root}` to .gitignore and `git rm -r --cached {root}`.",
            text=root,
        )


def _nowhere(repo: AuditRepository) -> Iterator[Hit]:
    """Report runs of MLflow when nothing says where the store is: `./mlruns`."""
    paths = [
        p
        for p in tracked_modules(repo)
        if "mlflow" in repo.code.modules[p].roots and p in repo.code.training_code
    ]
    if not paths or any(w in f.text for f in repo.files.values() for w in _SET_ELSEWHERE):
        return
    for path in paths:
        for call in repo.code.modules[path].calls:
            if call.name in ("mlflow.set_experiment", "mlflow.start_run", "mlflow.autolog"):
                yield Hit(
                    path,
                    call.line,
                    "Nothing in the workspace sets a tracking URI, so runs go to `./mlruns`"
                    " beside the script.",
                    confidence=0.6,
                )
                return
