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
from mlops_advisor.tools.audit_workflow.rules._serving import (
    Endpoint,
    endpoints,
    prediction,
    reach,
)
from mlops_advisor.tools.evidence.view import HOLE, View, dotted, last, strings_in

_FLOATING: Final = re.compile(
    r"^models:/[^/@]{1,120}/(latest|None|Production|Staging|production|staging)$"
)
_HEX: Final = re.compile(r"\b[0-9a-f]{32}\b")
_RUN_PLACE: Final = re.compile(r"runs:/|/artifacts\b|mlruns|experiments?/|models?/")
_NUMBERED: Final = re.compile(r"^models:/[^/@{}]{1,120}/\d{1,5}$")
_REMOTE: Final = re.compile(r"^(?:s3a?|gs|abfss?|wasbs?|hdfs|https?)://")
_MODEL_FILE: Final = re.compile(
    r"(?:\.(?:pkl|pickle|joblib|pt|pth|onnx|h5|keras|safetensors|cbm|bst|tflite|bin|tar\.gz)|/models?/?|"
    r"saved_model/?)$"
)
_VERSIONED: Final = re.compile(
    r"\{|\$|v\d|/\d{1,14}(?:/|$)|\d{4}-\d{2}|[0-9a-f]{7,40}|version|sha|@|tpl|huggingface\.co|hub"
)
_STORES: Final = ("bentoml.",)
_STORE_ENDS: Final = frozenset(("get", "load_runner", "load_model", "load", "save_to_dir"))
_RECORDS: Final = re.compile(
    r"version|run_id|runid|model_name|model_uri|model_id|model_tag|revision|git_sha|commit|\btag\b|alias",
    re.IGNORECASE,
)
_DOWNLOADS: Final = frozenset(
    (
        "download_file",
        "download_fileobj",
        "upload_file",
        "upload_fileobj",
        "put_object",
        "get_object",
        "blob",
        "fput_object",
        "fget_object",
    )
)
_NEWEST: Final = re.compile(
    r"sort_by\([^)]{0,120}Last_?Modified|ls -t\S{0,3}\b[^|]{0,200}\|\s{0,4}head|--sort-by[= ]~?(?:creationTimestamp|createTime|creationTime)"
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
    using = _using(repo)
    for path in sorted(using):
        view = repo.view(path)
        if view is not None:
            yield from _loads(repo, view)
            yield from _constants(view)
    for path in sorted(repo.code.product.keys()):
        if not repo.code.product[path].notebook and (
            "s3" in repo.text(path) or "storage" in repo.text(path) or ".list(" in repo.text(path)
        ):
            view = repo.view(path)
            if view is not None:
                yield from _fixed(view)
                yield from _newest_of_list(view)
    yield from _files(repo)
    yield from _commands(repo)
    yield from _silent(repo)


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
        elif _NUMBERED.match(uri) and isinstance(
            view.settled(call.args[0] if call.args else None), ast.Constant
        ):
            yield Hit(
                view.path,
                line,
                f"`{uri}` is written into the code: a new model needs a commit, a rollback another.",
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
        if not isinstance(node.value, str) or len(node.value) > 400:
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
    if statement is None or isinstance(statement, ast.Expr) and statement.value is node:
        return False
    up = view.parent(node)
    if isinstance(up, ast.Call) and view.name(up) in ("os.getenv", "os.environ.get"):
        return False
    text = ast.unparse(statement)[:400] if not isinstance(statement, ast.FunctionDef) else ""
    return bool(
        _RUN_PLACE.search(node.value)
        or re.search(r"run_?id|logged_?model|model_?(?:uri|path|id|version)", text, re.IGNORECASE)
    )


def _is_answer(view: View, table: ast.Dict) -> bool:
    keys = " ".join(str(k.value) for k in table.keys if isinstance(k, ast.Constant)).lower()
    return view.function(table) is not None and any(
        w in keys for w in ("predict", "model", "score", "duration", "result", "label", "output")
    )


# --- places that each run overwrites -------------------------------------------------------


def _fixed(view: View) -> Iterator[Hit]:
    """Models at one remote place: uploads and loads."""
    for call in view.calls:
        name = view.name(call)
        end = last(name)
        if end in _DOWNLOADS:
            if "boto3" not in name and not any(
                w in dotted(call).lower()
                for w in ("s3", "bucket", "client", "storage", "minio", "blob")
            ):
                continue
            texts = [view.string(a) for a in (*call.args, *(k.value for k in call.keywords))]
            key = next(
                (t for t in reversed(texts) if _MODEL_FILE.search(t) and "/" not in t[:1]), ""
            )
            if key and not _VERSIONED.search(key) and not _dynamic(view, call):
                yield _overwritten(view.path, call.lineno, key)
        elif end in (
            "load_model",
            "load",
            "read",
            "open",
            "Model",
            "SKLearnModel",
            "XGBoostModel",
            "upload",
        ):
            for node in (
                *call.args[:1],
                *(
                    k.value
                    for k in call.keywords
                    if k.arg in ("model_data", "artifact_uri", "model_uri")
                ),
            ):
                uri = view.string(node)
                if (
                    _REMOTE.match(uri)
                    and _MODEL_FILE.search(uri)
                    and not _VERSIONED.search(uri.partition("://")[2])
                ):
                    yield _overwritten(view.path, call.lineno, uri)


def _dynamic(view: View, call: ast.Call) -> bool:
    """Tell whether a part of the key is not known."""
    return any(HOLE in view.string(a) for a in (*call.args, *(k.value for k in call.keywords)))


def _overwritten(path: str, line: int, where: str) -> Hit:
    return Hit(
        path,
        line,
        f"`{where[:80]}` is one fixed place: each training run overwrites the model that is served,"
        " and the one before is gone.",
        "Write each model under its version or run id, and let the release name which is served.",
        confidence=0.7,
    )


def _newest_of_list(view: View) -> Iterator[Hit]:
    """`Model.list(..., order_by="update_time")[-1]` picks what was uploaded last."""
    for node in view.of(ast.Subscript):
        value = node.value
        if not isinstance(value, ast.Call) or view.literal(node.slice) not in (0, -1):
            continue
        name = view.name(value)
        if (
            name.endswith(
                ("Model.list", "models.list", "search_model_versions", "list_model_packages")
            )
            and "Endpoint" not in name
        ):
            yield Hit(
                view.path,
                node.lineno,
                f"`{ast.unparse(value.func)}(...)[{view.literal(node.slice)}]` deploys whatever was"
                " uploaded last under this name.",
                "Take the resource name or version of the model that was judged as an argument.",
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
                _REMOTE.match(uri)
                and not _VERSIONED.search(uri.partition("://")[2])
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
        match = re.search(r"models:/[^/@\s\"']{1,120}/(?:latest|Production|Staging)\b", text)
        if match and (run.path, run.line) not in seen:
            seen.add((run.path, run.line))
            yield Hit(run.path, run.line, f"`{match.group(0)}` is whatever that means at start.")


# --- answers that do not say which model ---------------------------------------------------


def _silent(repo: AuditRepository) -> Iterator[Hit]:
    done: set[str] = set()
    for path in sorted(repo.code.serving_code):
        view = repo.view(path)
        if view is None or path in done:
            continue
        for endpoint in endpoints(repo, view):
            if endpoint.does != "predict" or endpoint.style not in (
                "http",
                "lambda",
                "bentoml",
                "ray",
                "azure",
            ):
                continue
            if prediction(repo, view, endpoint.function) is None or _says_version(repo, endpoint):
                continue
            done.add(path)
            answer = _answer(view, endpoint)
            yield Hit(
                path,
                answer,
                f"Neither the answer of {endpoint.name} nor a log line says which version of the"
                " model made the prediction.",
                "Add `model_version` to the answer and to the log.",
                severity=LOW,
                confidence=0.7,
            )
            break


def _answer(view: View, endpoint: Endpoint) -> int:
    returns = [
        n
        for n in view.below(endpoint.function, ast.Return)
        if view.function(n) is endpoint.function and n.value is not None
    ]
    return max((n.lineno for n in returns), default=endpoint.function.lineno)


def _says_version(repo: AuditRepository, endpoint: Endpoint) -> bool:
    """Tell whether the endpoint, its service or a log call names a version."""
    for view, function in reach(repo, endpoint.view, endpoint.function):
        if any(
            _RECORDS.search(str(c.value)) for c in strings_in(function) if len(str(c.value)) < 200
        ):
            return True
        for node in view.below(function, ast.Name, ast.Attribute, ast.keyword):
            name = (
                node.id
                if isinstance(node, ast.Name)
                else (node.attr if isinstance(node, ast.Attribute) else node.arg or "")
            )
            if _RECORDS.search(name):
                return True
    view = endpoint.view
    for call in view.calls:
        if last(view.name(call)) in ("info", "debug", "warning", "print") and _RECORDS.search(
            ast.unparse(call)[:300]
        ):
            return True
    return any(_RECORDS.search(e.route) for e in endpoints(repo, view))
