"""Training as a pipeline, and what starts it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from mlops_advisor.tools.evidence.parse.python_model import PythonModule
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
from mlops_advisor.tools.evidence.repository import Repository
from mlops_advisor.tools.evidence.runs import Run

_DRIFT: Final = ("drift", "degrad", "performance_drop", "psi", "monitor", "live_quality")
_ASKED: Final = re.compile(
    r"(?:need|should|ask|trigger|request|decide|check)\w{0,12}retrain|"
    r"retrain\w{0,12}(?:need|trigger|request|require)"
)
_START: Final = (
    "trigger_dag",
    "TriggerDagRunOperator",
    "run_deployment",
    "create_run_from_pipeline_func",
    "create_dispatch_event",
    "start_pipeline_execution",
    "trigger_retraining",
    "retrain",
    "start_execution",
    "trigger_training",
    "run_pipeline",
    "retrain_model",
)


@probe(
    "training_pipeline",
    practice="training_pipeline",
    asks="Does training run as an orchestrated pipeline of steps?",
    searched=(
        "pipeline definitions of Airflow, Kubeflow, Prefect, Dagster, Metaflow, "
        "Flyte, ZenML, Kedro, DVC, Argo, SageMaker, Vertex, Azure ML, TFX, "
        "Luigi, Databricks"
    ),
)
def _training_pipeline(repo: Repository) -> Verdict:
    verdict = first_of(repo, _training_flow, _other_flow, _make_chain)
    if verdict is not None:
        return verdict
    if repo.stages.training is not None:
        detail = "Training is here, and no orchestrated pipeline runs it."
        return absent(repo, detail, [repo.stages.training])
    return not_applicable("Nothing here trains a model.")


def _training_flow(repo: Repository) -> Verdict | None:
    flows = [f for f in repo.flows.all if f.trains and not repo.is_aside(f.path)]
    if not flows:
        return None
    tool = flows[0].tool
    places = [(f.path, f.line) for f in flows]
    live = [t for t in repo.flows.triggers if not t.off]
    if live:
        detail = f"{tool} runs the training steps, started by {live[0].what}."
        return present(repo, E, detail, [*places[:4], (live[0].path, live[0].line)])
    starts = [r for f in flows if (r := repo.runs.automatic.get(f.path)) is not None]
    if any(f.tool == "DVC" for f in flows):
        starts += [r for r in repo.runs.ci if r.automatic and r.hard and r.counts and reproduces(r)]
    if starts:
        detail = f"{tool} runs the training steps, started by {starts[0].at}."
        return present(repo, E, detail, [*places[:4], starts[0].where])
    detail = f"{tool} runs the training steps; nothing found starts it by itself."
    return present(repo, W, detail, places)


def reproduces(run: Run) -> bool:
    """Tell whether a command runs the stages of DVC."""
    return "dvc" in run.text and ("repro" in run.text or "exp run" in run.text)


def _other_flow(repo: Repository) -> Verdict | None:
    if not repo.flows.all:
        return None
    places = [(f.path, f.line) for f in repo.flows.all]
    return present(repo, C, "A pipeline is defined, but no step of it was seen to train.", places)


def _make_chain(repo: Repository) -> Verdict | None:
    scripts = repo.code.training_scripts
    targets = [r for r in repo.runs.make if any(p in scripts for p in repo.runs.modules(r))]
    if not targets:
        return None
    detail = "Training runs from make: steps in order, without retries or recorded state."
    return present(repo, C, detail, [targets[0].where])


@probe(
    "training_trigger",
    practice="training_triggered",
    asks="Does training start by schedule or on new data, without a person?",
    searched=(
        "schedules, sensors and events of orchestrators, cron objects, CI "
        "schedules, cloud schedulers"
    ),
)
def _training_trigger(repo: Repository) -> Verdict:
    triggers = repo.flows.triggers
    live = [t for t in triggers if not t.off]
    if live:
        return present(
            repo, E, f"Training is started by a {live[0].what}.", [(t.path, t.line) for t in live]
        )
    if triggers:
        return contrary(
            repo,
            "A schedule is written down, but it is null, paused or switched off.",
            [(t.path, t.line) for t in triggers],
        )
    if repo.stages.pipeline is not None:
        return absent(
            repo, "A pipeline is here, and no schedule or event starts it.", [repo.stages.pipeline]
        )
    if repo.stages.training is not None:
        return absent(
            repo, "Training is here, and nothing starts it by itself.", [repo.stages.training]
        )
    return not_applicable("Nothing here trains a model.")


@probe(
    "retraining_on_signal",
    practice="continuous_training",
    asks="Does drift or a fall in live performance start retraining?",
    searched=(
        "code that starts training in the same function or module that judges drift or live quality"
    ),
)
def _retraining_on_signal(repo: Repository) -> Verdict:
    found = [
        spot
        for module in repo.code.product.values()
        if not module.notebook and any(w in repo.text(module.path).lower() for w in _DRIFT)
        for spot in _starts(module)
    ]
    found += [
        Spot(job.path, job.line)
        for job in repo.jobs
        if "event" in job.events and _ASKED.search(f"{job.name} {job.path}".lower())
    ]
    verdict = from_code(repo, "A judgement on drift starts training", found)
    if verdict is not None:
        return verdict
    if repo.stages.training is not None and repo.stages.scoring is not None:
        return absent(
            repo,
            "Nothing here starts training from what is seen in production.",
            [repo.stages.training],
        )
    return unknown("Training and serving are not both here.")


def _starts(module: PythonModule) -> Iterator[Spot]:
    """Find calls and steps that start training, where drift or quality is judged."""
    judged = any(
        w in n for c in (*module.checks, *module.branches) for n in c.names for w in _DRIFT
    )
    for call in module.calls:
        if call.last in _START and (judged or any(w in call.scope.lower() for w in _DRIFT)):
            yield Spot(module.path, call.line, call.scope, call.swallowed)
    for function in module.functions:
        if function.decorators and _ASKED.search(function.last.lower()):
            yield Spot(module.path, function.line, function.name)


@probe(
    "compute",
    practice="managed_compute",
    asks="Does training run on shared managed compute?",
    searched="jobs of SageMaker, Vertex, Azure ML, Kubeflow, Ray, Databricks, Slurm, Kubernetes",
)
def _compute(repo: Repository) -> Verdict:
    hits = repo.code.calls(
        "sagemaker.estimator.",
        "sagemaker.pytorch.",
        "sagemaker.sklearn.",
        "sagemaker.xgboost.",
        "sagemaker.tensorflow.",
        "sagemaker.huggingface.",
        "google.cloud.aiplatform.CustomJob",
        "google.cloud.aiplatform.CustomTrainingJob",
        "google.cloud.aiplatform.CustomContainerTrainingJob",
        "azure.ai.ml.command",
        "azureml.core.ScriptRunConfig",
        "ray.job_submission.",
        "ray.train.torch.TorchTrainer",
        "ray.train.",
        "sky.launch",
        "airflow.providers.cncf.kubernetes.operators.pod.KubernetesPodOperator",
        "kubeflow.training.",
        "submitit.",
        "modal.App",
    )
    hits = [
        h
        for h in hits
        if not h.call.name.startswith("ray.train.") or h.call.last.endswith("Trainer")
    ]
    found = spots(hits)
    found += [
        Spot(m.path, m.line)
        for m in repo.kinds("PyTorchJob", "TFJob", "MPIJob", "TrainJob", "RayJob", "XGBoostJob")
    ]
    found += [
        Spot(r.path, r.line)
        for r in repo.runs.everything
        if r.counts
        and any(
            w in r.text
            for w in (
                "sbatch ",
                "az ml job create",
                "gcloud ai custom-jobs",
                "ray job submit",
                "databricks jobs",
                "anyscale job",
            )
        )
    ]
    verdict = from_code(repo, "Training is sent to managed compute", found)
    if verdict is not None:
        return verdict
    triggers = [t for t in repo.flows.triggers if not t.off]
    if triggers:
        return present(
            repo,
            C,
            "Training starts by itself, so on no one's laptop; the machine is not shown.",
            [(t.path, t.line) for t in triggers],
        )
    return (
        unknown("Files do not tell where training runs.")
        if repo.stages.training
        else not_applicable("Nothing here trains a model.")
    )
