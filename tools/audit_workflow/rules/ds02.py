"""Model version that floats or is not recorded

## What it does

Looks at what serving, batch and deployment code loads: `latest`, a stage or a name without a
version, the newest file of a folder or bucket, a run id written into the code, and a remote path
that every training run overwrites.  Prediction endpoints whose answers and logs never say which
model they used are reported once for each service.

## Why is this bad?

When a prediction turns out wrong, nobody can tell which model made it; a restart changes the model
without a release; and there is no earlier version to go back to.

## Known problems

A version that is resolved and recorded elsewhere is not seen.  Aliases (`models:/churn@champion`)
and versions from configuration are fine.

## Example

```python
model = mlflow.pyfunc.load_model("models:/churn/latest")
```

## Use instead

```python
model = mlflow.pyfunc.load_model(f"models:/churn/{settings.model_version}")
logger.info("serving churn version %s", settings.model_version)
```
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from typing import Final

from mlops_advisor.tools.audit_workflow.repo import AuditRepository
from mlops_advisor.tools.audit_workflow.rule import LOW, MEDIUM, Hit, rule
from mlops_advisor.tools.audit_workflow.rules._model_answers import silent_answers
from mlops_advisor.tools.audit_workflow.rules._model_fetches import (
    configured_runs,
    fetched_models,
    written_versions,
)
from mlops_advisor.tools.audit_workflow.rules._model_places import REMOTE, VERSIONED, fixed_places
from mlops_advisor.tools.evidence.view import HOLE, View, last

_FLOATING: Final = re.compile(
    r"^models:/[^/@]{1,120}/(latest|None|Production|Staging|production|staging)$"
)
_MAX_TEXT: Final = 400
_HEX: Final = re.compile(r"\b[0-9a-f]{32}\b")
_RUN_PLACE: Final = re.compile(r"runs:/|/artifacts\b|mlruns|experiments?/|models?/")
_NUMBERED: Final = re.compile(r"^models:/[^/@{}]{1,120}/\d{1,5}$")
_STORES: Final = ("bentoml.",)
_STORE_ENDS: Final = frozenset(("get", "load_runner", "load_model", "load", "save_to_dir"))
_COPIED: Final = re.compile(
    r"\b(?:aws s3 (?:cp|sync)|gsutil (?:-m )?(?:cp|rsync)|gcloud storage cp|mc cp)\s"
    r"[^&|;]{0,200}?\b\S{0,100}model\S{0,100}\s{1,4}((?:s3|gs)://\S{1,200})"
)
_NEWEST: Final = re.compile(
    r"sort_by\([^)]{0,120}Last_?Modified|ls -t\S{0,3}\b[^|]{0,200}\|\s{0,4}head|"
    r"--sort-by[= ]~?(?:creationTimestamp|createTime|creationTime)"
)
_MODELISH: Final = re.compile(r"model|run_id|artifact|checkpoint|ckpt", re.IGNORECASE)
_NAMES: Final = ("version", "model_version", "modelVersion", "model-version")


@rule(
    "DS02",
    name="model-version-floating",
    dimension="deployment",
    severity=MEDIUM,
    confidence=0.8,
    fix="Let the release name the version (`MODEL_VERSION` from configuration), load exactly that,"
    " and log it and return it with each prediction.",
    effort=(0.25, 1.0),
    sources=(
        "ml_test_score: Infra 7, serving models can be rolled back",
        "se4ml: practice 'Log Production Predictions with the Model's Version and Input Data'",
    ),
)
def model_version_floating(repo: AuditRepository) -> Iterator[Hit]:
    """Report models whose version nobody chose or recorded."""
    found: dict[tuple[str, int], Hit] = {}
    for hit in _found(repo):
        found.setdefault((hit.path, hit.line), hit)
    yield from found.values()


def _found(repo: AuditRepository) -> Iterator[Hit]:
    using = _using(repo)
    for path in sorted(using):
        view = repo.view(path)
        if view is not None:
            yield from _loads(repo, view)
            yield from _constants(view)
            yield from written_versions(view)
    yield from fixed_places(repo)
    yield from fetched_models(repo)
    yield from configured_runs(repo)
    yield from _files(repo)
    yield from _commands(repo)
    yield from silent_answers(repo)


def _using(repo: AuditRepository) -> frozenset[str]:
    """Modules that use models in production: serving, batch, and what deploys."""
    code = repo.code
    found = set(code.serving_code) | set(code.closure(code.batch))
    found |= {
        p
        for p, m in code.product.items()
        if any(w in p.lower() for w in ("deploy", "serv", "predict", "infer", "score", "scoring"))
        and not m.notebook
    }
    tests = code.tests
    return frozenset(p for p in found if p not in tests and not code.modules[p].notebook)


# --- what code loads -----------------------------------------------------------------------


def _loads(repo: AuditRepository, view: View) -> Iterator[Hit]:
    recorded = _recorded(repo, view)
    for call in view.calls:
        name = view.name(call)
        uri = _uri(view, call)
        line = _line(view, call, uri)
        if (found := _FLOATING.match(uri)) and not recorded:
            yield Hit(
                view.path,
                line,
                f"`{uri}` loads whatever is {found.group(1)} when the process starts, and the"
                " version that it finds is not recorded.",
            )
        elif _NUMBERED.match(uri.replace(HOLE, "0")) and (written := _written_at(view, call)):
            yield Hit(
                view.path,
                written,
                f"`{uri}` is written into the code: each new model and rollback is a commit.",
                severity=LOW,
            )
        elif last(name) == "get_latest_versions" and not recorded:
            yield Hit(
                view.path, call.lineno, "The newest registered version is used, and not recorded."
            )
        elif name.startswith(_STORES) and last(name) in _STORE_ENDS and not recorded:
            yield from _of_store(view, call)
        elif (
            last(name) in ("use_artifact", "use_model", "get_artifact")
            and uri.endswith(":latest")
            and not recorded
        ):
            yield Hit(
                view.path,
                line,
                f"`{uri}` is whatever was logged last, and its version is not recorded.",
            )
        elif last(name) in ("max", "sorted") and _by_time(view, call):
            yield Hit(
                view.path,
                call.lineno,
                "The newest file is taken for the model: what was written last goes live, judged"
                " or not.",
                confidence=0.7,
            )


def _uri(view: View, call: ast.Call) -> str:
    for node in (
        *call.args[:2],
        *(k.value for k in call.keywords if k.arg in ("model_uri", "artifact_path", "name", "tag")),
    ):
        text = view.string(node)
        if text and ("/" in text or ":" in text):
            return text
    return ""


def _written_at(view: View, call: ast.Call) -> int:
    """Line where the number of a version is written; 0 when it comes from elsewhere."""
    node = view.settled(call.args[0] if call.args else View.arg(call, "model_uri"))
    if isinstance(node, ast.JoinedStr) and node.values:
        end = node.values[-1]
        node = view.settled(end.value) if isinstance(end, ast.FormattedValue) else end
    return node.lineno if isinstance(node, ast.Constant) else 0


def _line(view: View, call: ast.Call, uri: str) -> int:
    """Line of the literal that decides, when it stands elsewhere in this module."""
    for node in call.args[:1]:
        settled = view.settled(node)
        if settled is not None and settled is not node and uri:
            return settled.lineno
    return call.lineno


def _of_store(view: View, call: ast.Call) -> Iterator[Hit]:
    node = call.args[0] if call.args else View.arg(call, "tag") or View.arg(call, "name")
    tag = view.string(node)
    if tag and HOLE not in tag and (":" not in tag or tag.endswith(":latest")):
        yield Hit(
            view.path,
            call.lineno,
            f"`{tag}` names no version, so whatever was saved last in the local store is served.",
            f'Name it: `"{tag.partition(":")[0]}:VERSION"`, or build the bento with a fixed tag.',
        )


def _by_time(view: View, call: ast.Call) -> bool:
    key = View.arg(call, "key")
    if key is None or not any(
        w in ast.unparse(key)
        for w in ("getmtime", "getctime", "st_mtime", "last_modified", "LastModified")
    ):
        return False
    statement = view.statement(call)
    return statement is not None and bool(_MODELISH.search(ast.unparse(statement)[:400]))


def _recorded(repo: AuditRepository, view: View) -> bool:
    """Tell whether the resolved version is read from what was loaded."""
    text = repo.text(view.path)
    return any(
        w in text
        for w in (
            ".version",
            "current_version",
            "model_version",
            "metadata.run_id",
            ".run_id",
            "_model_meta",
        )
    )


def _constants(view: View) -> Iterator[Hit]:
    """Run ids in code, and versions that an answer states whatever was loaded."""
    seen: set[str] = set()
    for node in view.of(ast.Constant):
        if not isinstance(node.value, str) or len(node.value) > _MAX_TEXT:
            continue
        found = _HEX.search(node.value)
        if found and found.group(0) not in seen and _is_run(view, node):
            seen.add(found.group(0))
            yield Hit(
                view.path,
                node.lineno,
                f"The run `{found.group(0)[:8]}...` is written into the code: a new model or a"
                " rollback needs another commit and release.",
                'Read it from configuration: `os.environ["RUN_ID"]`, set by the deployment.',
            )
    for table in view.of(ast.Dict):
        for key, value in zip(table.keys, table.values, strict=True):
            if (
                isinstance(key, ast.Constant)
                and key.value in _NAMES
                and isinstance(value, ast.Constant)
                and isinstance(value.value, (str, int, float))
                and not isinstance(value.value, bool)
                and _is_answer(view, table)
            ):
                yield Hit(
                    view.path,
                    value.lineno,
                    f"The answer states version {value.value!r} whatever model was loaded.",
                    "Return the version that was loaded.",
                    confidence=0.75,
                )


def _is_run(view: View, node: ast.Constant) -> bool:
    statement = view.statement(node)
    if statement is None or (isinstance(statement, ast.Expr) and statement.value is node):
        return False
    up = view.parent(node)
    if isinstance(up, ast.Call) and view.name(up) in ("os.getenv", "os.environ.get"):
        return False
    text = ast.unparse(statement)[:400] if not isinstance(statement, ast.FunctionDef) else ""
    return bool(
        _RUN_PLACE.search(str(node.value))
        or re.search(r"run_?id|logged_?model|model_?(?:uri|path|id|version)", text, re.IGNORECASE)
    )


def _is_answer(view: View, table: ast.Dict) -> bool:
    keys = " ".join(str(k.value) for k in table.keys if isinstance(k, ast.Constant)).lower()
    return view.function(table) is not None and any(
        w in keys for w in ("predict", "model", "score", "duration", "result", "label", "output")
    )


# --- files and commands --------------------------------------------------------------------


def _files(repo: AuditRepository) -> Iterator[Hit]:
    for path in repo.named("bentofile.yaml", "bentofile.yml"):
        for doc in repo.yaml(path).docs:
            for node in doc.list_at("models"):
                tag = node.text or node.text_at("tag")
                if tag and (":" not in tag or tag.endswith(":latest")):
                    yield Hit(
                        path, node.line, f"The bento takes whatever version of `{tag}` is latest."
                    )
    for work in repo.workloads:
        for key, node in work.node.find("storageUri", "storage_uri", "modelUri"):
            uri = node.text
            if (
                REMOTE.match(uri)
                and not VERSIONED.search(uri.partition("://")[2])
                and "tpl" not in uri
            ):
                yield Hit(
                    work.path,
                    node.line,
                    f"`{key}: {uri}` names no version: whatever was copied there last is served"
                    " after the next restart.",
                    "Put the version into the path, and change it with a release.",
                )
        for setting in work.env:
            if _FLOATING.match(setting.value) or (
                setting.name.upper() in ("MODEL_VERSION", "MODEL_TAG")
                and setting.value.lower() == "latest"
            ):
                yield Hit(
                    work.path,
                    setting.line,
                    f"`{setting.name}={setting.value}` lets a restart choose another model.",
                )


def _commands(repo: AuditRepository) -> Iterator[Hit]:
    seen: set[tuple[str, int]] = set()
    for run in (*repo.runs.ci, *repo.runs.shell, *repo.runs.images, *repo.runs.make):
        text = run.text[:2_000]
        found = _NEWEST.search(text)
        if found and _MODELISH.search(text) and (run.path, run.line) not in seen:
            seen.add((run.path, run.line))
            yield Hit(
                run.path,
                run.line,
                "The newest object is taken for the model that goes live: any training run, good or"
                " bad, is released.",
                "Ask the registry for the version that was approved.",
            )
        copied = _COPIED.search(text)
        if copied and not VERSIONED.search(copied.group(1)) and (run.path, run.line) not in seen:
            seen.add((run.path, run.line))
            yield Hit(
                run.path,
                run.line,
                f"`{copied.group(1)[:80]}` is one fixed place: each run overwrites the model there,"
                " and the one before is gone.",
                "Copy each model under its version, and let the release name which is served.",
                confidence=0.7,
            )
        match = re.search(r"models:/[^/@\s\"']{1,120}/(?:latest|Production|Staging)\b", text)
        if match and (run.path, run.line) not in seen:
            seen.add((run.path, run.line))
            yield Hit(run.path, run.line, f"`{match.group(0)}` is whatever that means at start.")
