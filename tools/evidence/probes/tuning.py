"""Search of hyperparameters."""

from __future__ import annotations

from mlops_advisor.tools.evidence.probes._base import (
    Spot,
    Verdict,
    absent,
    from_code,
    not_applicable,
    probe,
    spots,
)
from mlops_advisor.tools.evidence.repository import Repository


@probe(
    "search",
    practice="hyperparameters_tuned",
    asks="Are hyperparameters searched automatically?",
    searched=(
        "calls of Optuna, Hyperopt, Ray Tune, scikit-learn searches, Keras "
        "Tuner, Katib, W&B sweeps and cloud tuners"
    ),
)
def _search(repo: Repository) -> Verdict:
    found = spots(
        repo.code.calls(
            "optuna.create_study",
            "optuna.create_study().optimize",
            "optuna.integration.",
            "hyperopt.fmin",
            "ray.tune.",
            "sklearn.model_selection.GridSearchCV",
            "sklearn.model_selection.RandomizedSearchCV",
            "sklearn.model_selection.HalvingGridSearchCV",
            "sklearn.model_selection.HalvingRandomSearchCV",
            "sklearn.model_selection.ParameterSampler",
            "sklearn.model_selection.ParameterGrid",
            "skopt.",
            "keras_tuner.",
            "kerastuner.",
            "wandb.sweep",
            "wandb.agent",
            "sagemaker.tuner.HyperparameterTuner",
            "google.cloud.aiplatform.HyperparameterTuningJob",
            "azureml.train.hyperdrive.",
            "flaml.",
            "bayes_opt.",
            "ax.",
            "nni.",
            "*.sweep",
            "*.hyperparameter_search",
        )
    )
    found += [Spot(m.path, m.line) for m in repo.kinds("Experiment") if "kubeflow.org" in m.api]
    found += [Spot(f.path, 1) for f in repo.yaml_files(holding=("sweepJob",))]
    found += [
        Spot(f.path, d.line)
        for f in repo.yaml_files(
            holding=("hydra/sweeper", "method: bayes", "method: random", "method: grid")
        )
        for d in f.docs[:1]
    ]
    verdict = from_code(repo, "Hyperparameters are searched automatically", found)
    if verdict is not None:
        return verdict
    if repo.stages.training is not None:
        return absent(
            repo, "Training is here, and no search of hyperparameters.", [repo.stages.training]
        )
    return not_applicable("Nothing here trains a model.")
