"""What becomes of predictions: inputs checked, outputs kept, drift and quality measured."""

from __future__ import annotations

import re
from typing import Final

from mlops_advisor.tools.evidence.parse.python_model import Call, Function, PythonModule
from mlops_advisor.tools.evidence.probes._base import (
    C,
    E,
    Spot,
    Verdict,
    W,
    absent,
    contrary,
    first_of,
    from_code,
    not_applicable,
    present,
    probe,
    spots,
    unknown,
)
from mlops_advisor.tools.evidence.probes._scoring import needs_scoring, scoring_code
from mlops_advisor.tools.evidence.repository import Repository

_STORES: Final = frozenset(
    "insert_rows_json insert_one insert_many put_record put_records "
    "put_record_batch send produce publish log_predictions log_prediction"
    " save_prediction store_prediction write_prediction log_inference "
    "record_prediction log_request execute add"
    " log insert put_item xadd write_point append_row monitor log_batch log_row".split()
)
_STORE_WORDS: Final = ("predict", "inference", "request_log", "log_request")
_CAPTURES: Final = (
    "DataCaptureConfig",
    "data_collector",
    "inference_table_config",
    "auto_capture_config",
)
_COLLECTORS: Final = (
    "sagemaker.model_monitor.DataCaptureConfig",
    "whylogs.log",
    "*.log_inference",
    "bentoml.monitor",
)
_OUTPUTS: Final = frozenset(
    "to_sql to_parquet to_csv to_gbq saveAsTable write_table upload_file save".split()
)
_PREDICTING: Final = frozenset(("predict", "predict_proba", "forecast"))
_LOGGERS: Final = ("logging.", "structlog.", "loguru.")
_ROUTES: Final = ("post", "put", "get", "route", "api_route")
_VALIDATORS: Final = (
    "jsonschema.validate",
    "cerberus.",
    "marshmallow.",
    "*.model_validate",
    "*.validate",
    "*.parse_obj",
)
_INPUT_WORDS: Final = ("feature", "columns", "input", "payload", "schema", "missing", "required")
_RAW: Final = ("get_json", "json", "get_data")


@probe(
    "input_checks",
    practice="serving_input_validation",
    asks="Are inputs at prediction time checked against a schema?",
    searched=(
        "types of endpoint parameters (pydantic and the like), schema checks in "
        "scoring code, raw JSON in endpoints"
    ),
)
def _input_checks(repo: Repository) -> Verdict:
    verdict = first_of(repo, _typed_inputs, _library_checks, _own_checks, _raw_inputs)
    if verdict is not None:
        return verdict
    if repo.stages.serving is not None and not repo.code.serving:
        return unknown("The code that scores is not here.")
    return needs_scoring(repo, "A model is used here, and its inputs are not checked.")


def _routes(repo: Repository) -> list[tuple[PythonModule, Function]]:
    modules = [repo.code.modules[p] for p in sorted(repo.code.serving)]
    return [(m, f) for m in modules for f in m.functions if _is_route(f)]


def _typed_inputs(repo: Repository) -> Verdict | None:
    models = _models(repo)
    typed = [
        (Spot(m.path, f.line, f.name), models[a.rpartition(".")[2]])
        for m, f in _routes(repo)
        for _, a in f.params
        if a.rpartition(".")[2] in models
    ]
    if not typed:
        return None
    bounded = any(bounds for _, bounds in typed)
    more = " with bounds of values" if bounded else "; types only, no bounds of values"
    detail = f"The service refuses inputs that do not fit a typed model{more}."
    return present(repo, E if bounded else W, detail, [spot for spot, _ in typed])


def _library_checks(repo: Repository) -> Verdict | None:
    found = [h for h in repo.code.calls(*_VALIDATORS) if h.module.path in scoring_code(repo)]
    found += [
        h
        for h in repo.code.calls("bentoml.io.JSON", "bentoml.io.NumpyNdarray")
        if "pydantic_model" in h.call.kwargs or "enforce_shape" in h.call.kwargs
    ]
    return from_code(repo, "Scoring code checks its inputs", spots(found), stops=True)


def _own_checks(repo: Repository) -> Verdict | None:
    own = [
        Spot(p, c.line, c.scope, c.swallowed)
        for p in sorted({*repo.code.serving, *repo.code.batch})
        for c in repo.code.modules[p].checks
        if any(w in n for n in c.names for w in _INPUT_WORDS)
    ]
    return from_code(repo, "Scoring code refuses wrong inputs", own, stops=True)


def _raw_inputs(repo: Repository) -> Verdict | None:
    raw = [
        Spot(m.path, f.line, f.name)
        for m, f in _routes(repo)
        if any(c.last in _RAW for c in m.scoped(f.name)) and not _checks(m, f)
    ]
    if not raw:
        return None
    return contrary(repo, "The service takes raw JSON without checking it.", raw)


def _models(repo: Repository) -> dict[str, bool]:
    """Names of pydantic models; True when a field has bounds."""
    found: dict[str, bool] = {}
    for module in repo.code.product.values():
        for cls in module.classes:
            if (
                any(
                    b.rpartition(".")[2] in ("BaseModel", "SQLModel", "Struct", "Schema")
                    or b.rpartition(".")[2] in found
                    for b in cls.bases
                )
                and cls.fields
            ):
                bounds = any(
                    c.last
                    in (
                        "Field",
                        "confloat",
                        "conint",
                        "constr",
                        "Query",
                        "field_validator",
                        "validator",
                        "Meta",
                    )
                    and (
                        c.kwargs.keys()
                        & {"ge", "le", "gt", "lt", "min_length", "max_length", "pattern", "regex"}
                        or c.last == "field_validator"
                    )
                    for c in module.scoped(cls.name)
                )
                found[cls.name.rpartition(".")[2]] = bounds
    return found


def _is_route(function: Function) -> bool:
    return any(
        d.rpartition(".")[2] in (*_ROUTES, "api", "service", "deployment", "task")
        for d in function.decorators
    ) or function.last in ("predict", "__call__", "handle", "infer")


def _checks(module: PythonModule, function: Function) -> bool:
    return any(c.scope.startswith(function.name) for c in module.checks) or any(
        s == function.name for s, _ in module.raises
    )


@probe(
    "prediction_store",
    practice="prediction_logging",
    asks="Are inputs and outputs of predictions kept for later analysis?",
    searched=(
        "writes of predictions in scoring code, data capture of SageMaker, "
        "KServe, Seldon, Azure ML, whylogs and Evidently collectors"
    ),
)
def _prediction_store(repo: Repository) -> Verdict:
    platform = _captured(repo)
    if platform:
        return present(repo, W, "The platform captures requests and predictions.", platform)
    code = spots(repo.code.calls(*_COLLECTORS))
    weak: list[Spot] = []
    for path in sorted(scoring_code(repo)):
        module = repo.code.modules[path]
        if path in repo.code.batch:
            code += [Spot(path, c.line, c.scope) for c in module.calls if c.last in _OUTPUTS]
        scopes = {c.scope for c in module.calls if c.last in _PREDICTING}
        for call in module.calls:
            if _keeps(call, path, scopes) and _stores(call.name, repo.text(path)):
                code.append(Spot(path, call.line, call.scope))
            elif call.scope and call.scope in scopes and call.name.startswith(_LOGGERS):
                weak.append(Spot(path, call.line))
    verdict = from_code(repo, "Predictions are stored", code)
    if verdict is not None:
        return verdict
    if weak:
        return present(repo, C, "Predictions appear in the service log only.", weak)
    return needs_scoring(repo, "A model is used here, and its predictions are not kept.")


def _captured(repo: Repository) -> list[tuple[str, int]]:
    found = [
        (m.path, n.key_line)
        for m in repo.kinds("InferenceService", "SeldonDeployment")
        for _, n in m.node.find("logger")
        if n.map
    ]
    found += [
        (p, line)
        for p, b in repo.resources("aws_sagemaker_endpoint_configuration")
        if (line := b.has("data_capture_config"))
    ]
    for file in repo.yaml_files(holding=_CAPTURES):
        found += [
            (file.path, n.key_line)
            for d in file.docs
            for _, n in d.find(*_CAPTURES)
            if n.text_at("EnableCapture") != "false" and n.text_at("enabled") != "false"
        ]
    return found


def _keeps(call: Call, path: str, scopes: set[str]) -> bool:
    """Tell whether a call stores, near a prediction or in what is named after one."""
    if call.last not in _STORES:
        return False
    words = f"{path} {call.scope} {call.last}".lower()
    return call.scope in scopes or any(w in words for w in _STORE_WORDS)


def _stores(name: str, text: str) -> bool:
    last = name.rpartition(".")[2]
    if last in ("execute", "add", "insert"):
        return (
            any(
                w in text
                for w in ("INSERT", "insert into", "session.add", "Prediction(", "predictions")
            )
            and "predict" in text.lower()
        )
    if last in ("log", "send", "publish", "append_row"):
        return any(
            w in name.lower()
            for w in (
                "producer",
                "kafka",
                "whylogs",
                "monitor",
                "collector",
                "why",
                "pubsub",
                "publisher",
                "queue",
                "prediction",
            )
        )
    return True


_FALLBACK: Final = re.compile(
    r"fallback|default_prediction|default_score|last_known|circuit_?breaker", re.IGNORECASE
)


@probe(
    "fallback",
    practice="fallback_serving",
    asks="Does a fallback answer when the model fails?",
    searched="functions, calls and settings named fallback in scoring code",
)
def _fallback(repo: Repository) -> Verdict:
    found: list[Spot] = []
    for path in sorted(scoring_code(repo)):
        module = repo.code.modules[path]
        found += [Spot(path, f.line, f.name) for f in module.functions if _FALLBACK.search(f.last)]
        if _FALLBACK.search(repo.text(path)):
            # A line of code that names it: a call, or a counter that is raised.
            lines = {c.line for c in module.calls}
            found += [
                Spot(path, i)
                for i, line in enumerate(repo.lines(path), 1)
                if i in lines and _FALLBACK.search(line[:300].partition("#")[0])
            ]
    tested = any(_FALLBACK.search(f.last) for m in repo.code.tests.values() for f in m.functions)
    verdict = from_code(
        repo,
        "A fallback answers when the model fails" + ("" if tested else ", without a test of it"),
        found,
        most=E if tested else W,
    )
    if verdict is not None:
        return verdict
    if repo.code.serving:
        return absent(
            repo, "A model is served here, and nothing answers in its place.", [repo.stages.serving]
        )
    return (
        unknown("The code that serves is not here.")
        if repo.stages.serving
        else not_applicable("Nothing here serves a model.")
    )


@probe(
    "numbers",
    practice="numeric_stability",
    asks="Are NaN and infinity watched in training and serving?",
    searched="checks for NaN and infinity in training and scoring code",
)
def _numbers(repo: Repository) -> Verdict:
    found = spots(
        h
        for h in repo.code.calls(
            "torch.autograd.set_detect_anomaly",
            "torch.autograd.detect_anomaly",
            "tensorflow.debugging.",
            "tensorflow.keras.callbacks.TerminateOnNaN",
            "keras.callbacks.TerminateOnNaN",
            "*.clip_grad_norm_",
        )
    )
    for path, module in repo.code.product.items():
        if path in repo.code.training_code or path in scoring_code(repo):
            found += [
                Spot(path, c.line, c.scope, c.swallowed)
                for c in module.checks
                if any(n in ("isnan", "isfinite", "isinf") for n in c.names)
            ]
    verdict = from_code(repo, "NaN or infinity stops the code", found)
    if verdict is not None:
        return verdict
    if repo.stages.training is not None or repo.stages.scoring is not None:
        return absent(
            repo,
            "Nothing here watches for NaN or infinity.",
            [repo.stages.training or repo.stages.scoring],
        )
    return not_applicable("Nothing here computes with a model.")
