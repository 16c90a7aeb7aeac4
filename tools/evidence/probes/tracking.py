"""Experiment tracking, model registry, lineage."""

from __future__ import annotations

from typing import Final

from mlops_advisor.tools.evidence.probes._base import (
    C,
    E,
    Spot,
    Verdict,
    W,
    absent,
    from_code,
    grade,
    not_applicable,
    present,
    probe,
    spots,
    stronger,
    unknown,
)
from mlops_advisor.tools.evidence.repository import Repository, shared

_TRACK: Final = (
    "mlflow.start_run",
    "mlflow.log_*",
    "mlflow.autolog",
    "mlflow.sklearn.autolog",
    "mlflow.xgboost.autolog",
    "mlflow.lightgbm.autolog",
    "mlflow.pytorch.autolog",
    "mlflow.tensorflow.autolog",
    "mlflow.keras.autolog",
    "mlflow.start_run().",
    "wandb.init",
    "wandb.log",
    "neptune.init_run",
    "neptune.init",
    "comet_ml.Experiment",
    "comet_ml.start",
    "clearml.Task.init",
    "trains.Task.init",
    "dvclive.Live",
    "dvclive.",
    "aim.Run",
    "sagemaker.experiments.",
    "google.cloud.aiplatform.log_metrics",
    "google.cloud.aiplatform.log_params",
    "google.cloud.aiplatform.start_run",
    "azureml.core.Run.get_context",
    "azureml.core.Experiment",
    "ray.air.integrations.mlflow.",
    "ray.air.integrations.wandb.",
    "pytorch_lightning.loggers.MLFlowLogger",
    "pytorch_lightning.loggers.WandbLogger",
    "lightning.pytorch.loggers.MLFlowLogger",
    "lightning.pytorch.loggers.WandbLogger",
    "sacred.Experiment",
    "guild.",
    "polyaxon.tracking.",
    "trackio.",
    "swanlab.init",
)
_ROOTS: Final = ("mlflow", "wandb", "neptune", "comet_ml", "clearml", "dvclive", "aim", "sacred")
_REGISTER: Final = (
    "mlflow.register_model",
    "*.create_model_version",
    "*.create_registered_model",
    "*.register_model",
    "*.transition_model_version_stage",
    "*.set_registered_model_alias",
    "wandb.run.link_model",
    "*.link_artifact",
    "*.link_model",
    "*.log_model_version",
    "google.cloud.aiplatform.Model.upload",
    "azureml.core.Model.register",
    "azureml.core.model.Model.register",
    "sagemaker.workflow.step_collections.RegisterModel",
    "sagemaker.workflow.model_step.ModelStep",
    "*.create_model_package",
    "bentoml.*.save_model",
    "clearml.OutputModel",
    "comet_ml.API().create_registry_model",
    "hsml.",
)


@probe(
    "run_tracking",
    practice="experiment_tracking",
    asks="Are parameters, metrics and artefacts of each run recorded in a tracker?",
    searched=(
        "calls of MLflow, W&B, Neptune, Comet, ClearML, DVCLive, Aim and cloud "
        "trackers in Python and notebooks"
    ),
)
def _run_tracking(repo: Repository) -> Verdict:
    hits = [h for h in repo.code.calls(*_TRACK) if not h.call.name.startswith("mlflow.log_model")]
    verdict = from_code(repo, "Runs are recorded in a tracker", spots(hits))
    if verdict is not None:
        return verdict
    imported = repo.code.importing(*_ROOTS)
    if imported:
        found = [(m.path, repo.code.import_line(m, *_ROOTS)) for m in imported]
        return present(repo, C, "A tracker is imported, but nothing is recorded with it.", found)
    if repo.stages.training is not None:
        return absent(
            repo, "Training is here, and no tracker records its runs.", [repo.stages.training]
        )
    return not_applicable("Nothing here trains a model.")


@probe(
    "model_registry",
    practice="model_registry",
    asks="Are models registered with versions in one registry?",
    searched=(
        "registering calls of MLflow, W&B, SageMaker, Vertex, Azure ML, BentoML, "
        "ClearML; dvc.yaml artifacts"
    ),
)
def _model_registry(repo: Repository) -> Verdict:
    hits = repo.code.calls(*_REGISTER)
    named = [
        h
        for h in repo.code.calls("mlflow.")
        if h.call.kwargs.get("registered_model_name") not in (None, "")
        or (h.call.name.endswith(".log_model") and h.call.kwargs.get("registered_model_name"))
    ]
    bento = [h for h in repo.code.calls("bentoml.") if h.call.last in ("save_model", "save")]
    verdict = stronger(
        from_code(repo, "Models are registered with a version", spots([*hits, *named, *bento])),
        _dvc_models(repo),
    )
    if verdict is not None:
        return verdict
    if repo.stages.training is not None:
        return absent(
            repo, "Training is here, and its models go to no registry.", [repo.stages.training]
        )
    if repo.stages.scoring is not None:
        return unknown("Models are used here; where they are registered is not shown.")
    return not_applicable("Nothing here trains or serves a model.")


def _dvc_models(repo: Repository) -> Verdict | None:
    for file in repo.yaml_files(named=("dvc.yaml", "artifacts.yaml")):
        for doc in file.docs:
            for _, node in doc.pairs("artifacts"):
                if node.text_at("type") == "model":
                    return present(
                        repo,
                        W,
                        "The model is a named, versioned artefact of DVC.",
                        [(file.path, node.line)],
                    )
    return None


@probe(
    "lineage",
    practice="model_lineage",
    asks="Does a model lead back to its data version, code, parameters and run?",
    searched="dvc.lock, tags and inputs recorded with runs, artefacts used and logged in one run",
)
def _lineage(repo: Repository) -> Verdict:
    locks = [
        p
        for p in repo.named("dvc.lock")
        if "outs:" in repo.text(p) and ("md5:" in repo.text(p) or "hash:" in repo.text(p))
    ]
    if locks:
        automatic = any(
            r.automatic
            and r.hard
            and "dvc" in r.text
            and ("repro" in r.text or "exp run" in r.text)
            for r in repo.runs.ci
        )
        detail = "dvc.lock ties the model to the hashes of its data, code and parameters."
        return present(repo, E if automatic else W, detail, [(p, 1) for p in locks])
    data = data_recorded(repo)
    commit = _commit_recorded(repo)
    track = grade(repo, spots(repo.code.calls(*_TRACK)))
    if data and (commit or track is not None):
        verdict = from_code(
            repo,
            "Runs record the version of their data" + (" and of the code" if commit else ""),
            [*data, *commit],
        )
        if verdict is not None:
            return verdict
    if commit and track is not None:
        return present(
            repo, C, "Runs record the version of the code, but not that of the data.", commit
        )
    if track is not None:
        return present(
            repo,
            C,
            "Runs are tracked, but no version of the data is recorded with them.",
            track.spots,
        )
    if repo.stages.training is not None:
        return absent(
            repo,
            "Training is here, and nothing ties a model to its data and code.",
            [repo.stages.training],
        )
    return not_applicable("Nothing here trains a model.")


@shared
def data_recorded(repo: Repository) -> list[Spot]:
    """Find calls that record with a run which data it used."""
    found = spots(
        repo.code.calls(
            "mlflow.log_input",
            "*.use_artifact",
            "*.log_input",
            "dvc.api.get_url",
            "dvc.api.params_show",
        )
    )
    for hit in repo.code.calls("*.set_tag", "*.log_param", "*.log_params", "*.set_tags"):
        keys = [hit.call.text_of("key", 0).lower(), *[k.lower() for k in hit.call.kwargs]]
        if any(
            ("data" in k or "dataset" in k)
            and any(
                w in k for w in ("version", "hash", "md5", "commit", "sha", "revision", "snapshot")
            )
            for k in keys
        ):
            found += spots([hit])
    return found


def _commit_recorded(repo: Repository) -> list[Spot]:
    found = []
    for hit in repo.code.calls("*.set_tag", "*.log_param", "*.set_tags", "*.log_params"):
        texts = [hit.call.text_of("key", 0).lower(), *[k.lower() for k in hit.call.kwargs]]
        if any("commit" in t or "git" in t or "code_version" in t for t in texts):
            found.append(hit)
    found += repo.code.calls(
        "git.Repo().head.commit.hexsha", "dvc.repo.", "*.get_git_revision_hash"
    )
    return spots(found)
