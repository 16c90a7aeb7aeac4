"""Monitoring or loading of models in the request path

## What it does

Follows prediction endpoints through the functions they call, and reports writes to databases,
files and monitoring services that the client waits for and whose failure fails the prediction.
Models that are loaded anew for a request, and reloads in the background that a failed download
stops, are reported too.

## Why is this bad?

When the monitoring database is down, the service that it watches is down as well, and each
prediction is as slow as both together.  A model that is fetched per request adds seconds, and a
broken upload takes the service away while a good model was in memory.

## Known problems

Writes that are inside `try` with an `except` are left out: they cost time, but do not fail the
request.  Consumers of streams, whose writes are their work, are left out too.

## Example

```python
@app.post("/predict")
def predict(ride: Ride):
    y = model.predict([ride.features()])[0]
    collection.insert_one({"y": y})
    return {"y": y}
```

## Use instead

```python
@app.post("/predict")
def predict(ride: Ride, tasks: BackgroundTasks):
    y = model.predict([ride.features()])[0]
    tasks.add_task(log_prediction, ride, y)
    return {"y": y}
```
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from typing import Final

from mlops_advisor.tools.audit_workflow.repo import AuditRepository
from mlops_advisor.tools.audit_workflow.rule import MEDIUM, Hit, module_rule
from mlops_advisor.tools.audit_workflow.rules._serving import Endpoint, calls_in, endpoints, reach
from mlops_advisor.tools.evidence.view import AnyFunction, View, last

_WRITES: Final = frozenset(
    "insert_one insert_many insert_rows_json insert_rows to_sql put_item put_object put_record"
    " put_metric_data write_points update_one index_document put_events batch_write_item"
    " executemany flush upload_file upload_fileobj upload_blob upload_from_string".split()
)
_FRAMES: Final = frozenset(("to_csv", "to_parquet", "to_excel", "to_json"))
_TRACKING: Final = (
    "mlflow.log_",
    "wandb.log",
    "neptune.",
    "whylogs.log",
    "evidently.",
    "influxdb_client.",
    "mlflow.start_run",
)
_HTTP: Final = re.compile(
    r"^(?:requests|httpx)\.(?:post|put|patch|request)$|^urllib\.request\.urlopen$"
)
_MONITORS: Final = re.compile(
    r"monitor|evidently|drift|iterate|metric|logg|track|report|elastic|loki|influx|pushgateway"
)
# A producer that waits for the broker.
_AWAITED: Final = re.compile(r"\.(?:send|publish)\(\)\.(?:get|result)$")
_SQL: Final = re.compile(r"^\s{0,20}(?:insert|update|delete|create)\b", re.IGNORECASE)
_LOADS: Final = frozenset(
    "joblib.load pickle.load cloudpickle.load dill.load torch.load mlflow.pyfunc.load_model"
    " mlflow.sklearn.load_model mlflow.pytorch.load_model mlflow.xgboost.load_model"
    " mlflow.lightgbm.load_model mlflow.keras.load_model mlflow.tensorflow.load_model"
    " mlflow.catboost.load_model onnxruntime.InferenceSession tensorflow.keras.models.load_model"
    " keras.models.load_model tensorflow.saved_model.load".split()
)
_RELOADS: Final = re.compile(r"reload|refresh|(?:update|swap|switch|change)[-_]?model")
_CACHED: Final = (
    "cache",
    "lru_cache",
    "cached",
    "cached_property",
    "alru_cache",
    "cache_resource",
    "on_event",
    "singleton",
    "memoize",
)


@module_rule(
    "DS16",
    name="monitoring-io-in-request-path",
    dimension="deployment",
    severity=MEDIUM,
    confidence=0.7,
    fix="Hand the record to a queue or a background task (`BackgroundTasks.add_task(...)`), catch"
    " and count its failures, and answer first.",
    effort=(0.5, 2.0),
    sources=("google_sre: chapter 22, Addressing Cascading Failures",),
    words=("predict", "score", "infer", "classif", "load", "request"),
)
def monitoring_io_in_request_path(repo: AuditRepository, view: View) -> Iterator[Hit]:
    """Report what a prediction waits for and should not."""
    if view.module.notebook:
        return
    seen: set[tuple[str, int]] = set()
    found = endpoints(repo, view)
    hits = [h for e in found if e.does == "predict" for h in _of_endpoint(repo, e)]
    for endpoint in found:
        if _RELOADS.search(f"{endpoint.route} {endpoint.function.name}".lower()):
            hits += _reload(repo, endpoint)
    for hit in [*hits, *_loops(view)]:
        if (hit.path, hit.line) not in seen:
            seen.add((hit.path, hit.line))
            yield hit


def _of_endpoint(repo: AuditRepository, endpoint: Endpoint) -> Iterator[Hit]:
    first: Hit | None = None
    also: list[tuple[str, int]] = []
    loaded = False
    for view, function in reach(repo, endpoint.view, endpoint.function):
        for call in calls_in(view, function):
            name = view.name(call)
            if name in _LOADS and not loaded and _each_time(view, function, call):
                loaded = True
                yield Hit(
                    view.path,
                    call.lineno,
                    f"{endpoint.name} loads the model for every request (`{name}`): each answer"
                    " waits for it, and a missing or broken file fails them all.",
                    "Load once at start, and exchange the model in memory only after the new one"
                    " has been loaded and tried.",
                )
            elif (
                endpoint.style != "lambda" and _waits(view, call, name) and not _caught(view, call)
            ):
                if first is None:
                    first = Hit(
                        view.path,
                        call.lineno,
                        f"{endpoint.name} waits for `{ast.unparse(call.func)[:60]}(...)` before it"
                        " answers; when that fails, the prediction fails.",
                    )
                else:
                    also.append((view.path, call.lineno))
    if first is not None:
        yield Hit(first.path, first.line, first.why, also=tuple(also[:4]))


def _reload(repo: AuditRepository, endpoint: Endpoint) -> Iterator[Hit]:
    """Report an endpoint that exchanges the model in memory for whatever it loads."""
    for view, function in reach(repo, endpoint.view, endpoint.function):
        tried = any(True for _ in view.below(function, ast.Try))
        for call in calls_in(view, function):
            if view.name(call) in _LOADS and not tried:
                yield Hit(
                    view.path,
                    call.lineno,
                    f"{endpoint.name} exchanges the model for whatever `{view.name(call)}` finds:"
                    " nothing tries it first or goes back to the last good one.",
                    "Load into another name, predict a known row with it, and only then exchange.",
                    confidence=0.6,
                )
                return


def _waits(view: View, call: ast.Call, name: str) -> bool:
    """Tell whether a call writes a record somewhere outside the process."""
    end = last(name)
    if end in _WRITES or (end in _FRAMES and call.args) or name.startswith(_TRACKING):
        return end != "flush" or "producer" in name.lower()
    if (end == "commit" and "git" not in name) or _AWAITED.search(name):
        return True
    if name == "open":
        mode = view.literal(View.arg(call, "mode", 1))
        return isinstance(mode, str) and mode.startswith("a")
    if end == "execute" and call.args:
        return bool(_SQL.match(view.string(call.args[0])[:60]))
    if _HTTP.match(name):
        function = view.function(call)
        address = view.string(call.args[0]) if call.args else ""
        text = f"{ast.unparse(call)[:300]} {function.name if function else ''} {address}"
        return bool(_MONITORS.search(text.lower()))
    return False


def _caught(view: View, call: ast.Call) -> bool:
    """Tell whether a failure is caught and the request goes on."""
    child: ast.AST = call
    for up in view.above(call):
        if isinstance(up, ast.Try) and child in up.body and up.handlers:
            bad = [h for h in up.handlers for n in view.walk(h) if isinstance(n, ast.Raise)]
            answers = [h for h in up.handlers for n in view.walk(h) if isinstance(n, ast.Return)]
            return not bad and not answers
        child = up
    return False


def _each_time(view: View, function: AnyFunction, call: ast.Call) -> bool:
    names = [last(view.name(d)) for d in function.decorator_list]
    if any(n in _CACHED for n in names) or function.name in (
        "__init__",
        "setup",
        "startup",
        "load_context",
    ):
        return False
    for up in view.above(call):
        if isinstance(up, ast.If):
            text = ast.unparse(up.test)
            if "None" in text or text.startswith("not ") or " not in " in text:
                return False
        if isinstance(up, ast.Call) and up.func is not call and last(view.name(up)) in _CACHED:
            return False
    # `if model is not None: return model` before it
    for node in view.below(function, ast.If):
        if node.lineno < call.lineno and any(isinstance(s, ast.Return) for s in node.body):
            test = ast.unparse(node.test)
            if "None" in test or " in " in test:
                return False
    return True


def _loops(view: View) -> Iterator[Hit]:
    """Report a thread that loads models again and again and dies at the first failure."""
    for loop in view.of(ast.While):
        if not (isinstance(loop.test, ast.Constant) and loop.test.value):
            continue
        for call in calls_in(view, loop):
            if view.name(call) in _LOADS and not any(
                isinstance(n, ast.Try) for n in view.above(call)
            ):
                yield Hit(
                    view.path,
                    call.lineno,
                    "This loop exchanges the model and stops for good when one load fails;"
                    " nothing catches that and keeps the last good model.",
                    "Load into another name inside `try`, check it, then exchange; log and go on"
                    " when it fails.",
                )
