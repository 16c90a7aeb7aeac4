"""Interfaces that went or will go: since which version, and what to use instead.

Checked against release notes and migration guides in November 2026.
"""

from __future__ import annotations

from typing import Final, NamedTuple


class Gone(NamedTuple):
    """What happened to an interface, and what replaces it."""

    since: str
    instead: str


_SKLEARN_PLOTS: Final = Gone(
    "removed in scikit-learn 1.2", "the `...Display.from_estimator` classes"
)
_AIRFLOW_2: Final = Gone("deprecated since Airflow 2.0, removed in 3.0", "the modules of providers")
_STAGES: Final = Gone(
    "deprecated since MLflow 2.9 and to be removed",
    "`set_registered_model_alias` and `models:/name@alias`",
)
_MLFLOW_1: Final = Gone("removed in MLflow 2.0", "the `search_...` methods")
_DASHBOARDS: Final = Gone(
    "deprecated since Evidently 0.1.59, removed in 0.3.0", "`Report` with a preset"
)
EVIDENTLY: Final = Gone(
    "moved to `evidently.legacy` in Evidently 0.7", "`from evidently import Report, Dataset`"
)
_BENTO_0: Final = Gone(
    "the interface of BentoML 0.13, gone in 1.0", "`@bentoml.service` and `@bentoml.api`"
)
_PREFECT_2: Final = Gone(
    "deprecated since Prefect 2.16, removed in 3.0", "`flow.deploy()` or `flow.serve()` and workers"
)
_GX_0: Final = Gone(
    "removed in Great Expectations 1.0", "a data context of 1.x (`gx.get_context()`)"
)
_KFP_1: Final = Gone("removed in KFP 2.0", "`@dsl.component` or `@dsl.container_component`")
_SAGEMAKER_1: Final = Gone("renamed in SageMaker SDK 2.0", "the names of version 2")
_TF_1: Final = Gone("an interface of TensorFlow 1, gone in 2.0", "Keras and eager execution")
_AZUREML_1: Final = Gone(
    "Azure ML SDK v1: deprecated since March 2025, supported until June 2026", "`azure.ai.ml` (v2)"
)
_NUMPY: Final = Gone("deprecated since NumPy 1.20, removed in 1.24", "the plain Python type")
_OPTUNA: Final = Gone("deprecated since Optuna 3.0", "`suggest_float(..., log=..., step=...)`")

# Dotted names, of imports, calls and attributes; a name stands for all below it too.
NAMES: Final[dict[str, Gone]] = {
    "sklearn.externals.joblib": Gone("removed in scikit-learn 0.23", "`import joblib`"),
    "sklearn.externals": Gone("removed in scikit-learn 0.23", "the package itself"),
    "sklearn.cross_validation": Gone("removed in scikit-learn 0.20", "`sklearn.model_selection`"),
    "sklearn.grid_search": Gone("removed in scikit-learn 0.20", "`sklearn.model_selection`"),
    "sklearn.preprocessing.Imputer": Gone(
        "removed in scikit-learn 0.22", "`sklearn.impute.SimpleImputer`"
    ),
    "sklearn.datasets.load_boston": Gone(
        "deprecated since scikit-learn 1.0, removed in 1.2", "`fetch_california_housing`"
    ),
    "sklearn.metrics.plot_confusion_matrix": _SKLEARN_PLOTS,
    "sklearn.metrics.plot_roc_curve": _SKLEARN_PLOTS,
    "sklearn.metrics.plot_precision_recall_curve": _SKLEARN_PLOTS,
    "pandas.Panel": Gone("removed in pandas 1.0", "a MultiIndex or xarray"),
    "numpy.int": _NUMPY,
    "numpy.float": _NUMPY,
    "numpy.object": _NUMPY,
    "numpy.str": _NUMPY,
    "numpy.complex": _NUMPY,
    "numpy.unicode": _NUMPY,
    "evidently.dashboard": _DASHBOARDS,
    "evidently.model_profile": _DASHBOARDS,
    "evidently.tabs": _DASHBOARDS,
    "evidently.profile_sections": _DASHBOARDS,
    "evidently.report": EVIDENTLY,
    "evidently.metric_preset": EVIDENTLY,
    "evidently.test_suite": EVIDENTLY,
    "evidently.test_preset": EVIDENTLY,
    "evidently.pipeline.column_mapping": EVIDENTLY,
    "evidently.ColumnMapping": EVIDENTLY,
    "bentoml.BentoService": _BENTO_0,
    "bentoml.env": _BENTO_0,
    "bentoml.artifacts": _BENTO_0,
    "bentoml.adapters": _BENTO_0,
    "bentoml.frameworks": _BENTO_0,
    "prefect.deployments.Deployment": _PREFECT_2,
    "prefect.deployments.DeploymentSpec": _PREFECT_2,
    "prefect.flow_runners": _PREFECT_2,
    "prefect.infrastructure": _PREFECT_2,
    "prefect.agent": _PREFECT_2,
    "prefect.orion": Gone("renamed in Prefect 2.8", "`prefect.server` and `prefect.client`"),
    "prefect.tasks.prefect": Gone("the interface of Prefect 1", "flows called as functions"),
    "prefect.run_configs": Gone("the interface of Prefect 1", "work pools"),
    "prefect.storage": Gone("the interface of Prefect 1", "`flow.from_source`"),
    "airflow.operators.python_operator": _AIRFLOW_2,
    "airflow.operators.bash_operator": _AIRFLOW_2,
    "airflow.operators.dummy_operator": Gone(
        "deprecated since Airflow 2.0, removed in 3.0", "`EmptyOperator`"
    ),
    "airflow.operators.dummy": Gone(
        "deprecated since Airflow 2.4, removed in 3.0", "`EmptyOperator`"
    ),
    "airflow.operators.docker_operator": _AIRFLOW_2,
    "airflow.operators.postgres_operator": _AIRFLOW_2,
    "airflow.operators.email_operator": _AIRFLOW_2,
    "airflow.hooks.postgres_hook": _AIRFLOW_2,
    "airflow.hooks.S3_hook": _AIRFLOW_2,
    "airflow.contrib": _AIRFLOW_2,
    "airflow.operators.subdag": Gone("deprecated since Airflow 2.0, removed in 3.0", "task groups"),
    "airflow.operators.subdag_operator": Gone(
        "deprecated since Airflow 2.0, removed in 3.0", "task groups"
    ),
    "airflow.utils.dates.days_ago": Gone(
        "deprecated since Airflow 2.2, removed in 3.0", "a fixed `pendulum.datetime(...)`"
    ),
    "great_expectations.from_pandas": _GX_0,
    "great_expectations.read_csv": _GX_0,
    "great_expectations.dataset": _GX_0,
    "great_expectations.data_context.DataContext": _GX_0,
    "great_expectations.checkpoint.SimpleCheckpoint": _GX_0,
    "great_expectations.core.batch.RuntimeBatchRequest": _GX_0,
    "kfp.dsl.ContainerOp": _KFP_1,
    "kfp.dsl.VolumeOp": _KFP_1,
    "kfp.dsl.ResourceOp": _KFP_1,
    "kfp.components.func_to_container_op": _KFP_1,
    "kfp.components.create_component_from_func": _KFP_1,
    "kfp.gcp": _KFP_1,
    "kfp.onprem": _KFP_1,
    "kfp.aws": _KFP_1,
    "sagemaker.amazon.amazon_estimator.get_image_uri": Gone(
        "renamed in SageMaker SDK 2.0", "`sagemaker.image_uris.retrieve`"
    ),
    "sagemaker.s3_input": Gone("renamed in SageMaker SDK 2.0", "`sagemaker.inputs.TrainingInput`"),
    "sagemaker.session.s3_input": Gone(
        "renamed in SageMaker SDK 2.0", "`sagemaker.inputs.TrainingInput`"
    ),
    "sagemaker.predictor.csv_serializer": _SAGEMAKER_1,
    "sagemaker.predictor.RealTimePredictor": _SAGEMAKER_1,
    "sagemaker.content_types": _SAGEMAKER_1,
    "tensorflow.Session": _TF_1,
    "tensorflow.placeholder": _TF_1,
    "tensorflow.contrib": _TF_1,
    "tensorflow.get_variable": _TF_1,
    "tensorflow.global_variables_initializer": _TF_1,
    "tensorflow.app": _TF_1,
    "tensorflow.ConfigProto": _TF_1,
    "tensorflow.set_random_seed": _TF_1,
    "tensorflow.layers": _TF_1,
    "tensorflow.compat.v1.Session": _TF_1,
    "tensorflow.compat.v1.placeholder": _TF_1,
    "tensorflow.compat.v1.disable_v2_behavior": _TF_1,
    "tensorflow.compat.v1.disable_eager_execution": _TF_1,
    "tensorflow.estimator": Gone("removed in TensorFlow 2.16", "Keras"),
    "tensorflow.keras.wrappers.scikit_learn": Gone("removed in TensorFlow 2.12", "`scikeras`"),
    "keras.wrappers.scikit_learn": Gone("removed in Keras 2.12", "`scikeras`"),
    "azureml.core": _AZUREML_1,
    "azureml.pipeline": _AZUREML_1,
    "azureml.train": _AZUREML_1,
    "torch.cuda.amp.autocast": Gone("deprecated since PyTorch 2.4", '`torch.amp.autocast("cuda")`'),
    "torch.cuda.amp.GradScaler": Gone(
        "deprecated since PyTorch 2.4", '`torch.amp.GradScaler("cuda")`'
    ),
    "pytorch_lightning.metrics": Gone("removed in Lightning 1.5", "`torchmetrics`"),
    "datasets.load_metric": Gone("removed in datasets 3.0", "`evaluate.load`"),
}

# Methods by their last name; what must stand before them.
METHODS: Final[dict[str, tuple[str, Gone]]] = {
    "transition_model_version_stage": ("", _STAGES),
    "get_latest_versions": ("", _STAGES),
    "list_registered_models": ("mlflow", _MLFLOW_1),
    "list_experiments": ("mlflow", _MLFLOW_1),
    "list_run_infos": ("mlflow", _MLFLOW_1),
    "load_runner": ("bentoml", Gone("removed in BentoML 1.0", "`bentoml.<framework>.get(...)`")),
    "build_from_flow": ("", _PREFECT_2),
    "fit_generator": ("", Gone("deprecated since TensorFlow 2.1", "`model.fit`")),
    "predict_generator": ("", Gone("deprecated since TensorFlow 2.1", "`model.predict`")),
    "evaluate_generator": ("", Gone("deprecated since TensorFlow 2.1", "`model.evaluate`")),
    "predict_classes": ("", Gone("removed in TensorFlow 2.6", "`argmax` over `model.predict`")),
    "suggest_uniform": ("", _OPTUNA),
    "suggest_loguniform": ("", _OPTUNA),
    "suggest_discrete_uniform": ("", _OPTUNA),
    "fit_sample": ("", Gone("removed in imbalanced-learn 0.8", "`fit_resample`")),
    "before_first_request": ("", Gone("removed in Flask 2.3", "set-up before the app starts")),
}

_TRAINER: Final = Gone("removed in Lightning 2.0", "`accelerator=` and `devices=`")
_RENAMED: Final = Gone("renamed in SageMaker SDK 2.0", "the name without `train_`")
_LGBM: Final = Gone("removed in LightGBM 4.0", "`callbacks=[lightgbm.early_stopping(...)]`")
_XGB: Final = Gone(
    "deprecated since XGBoost 1.6, removed in 2.1", "the argument of the constructor"
)

# Arguments: last name of what is called (`*`: any), start of its full name, argument.
ARGUMENTS: Final[tuple[tuple[str, str, str, Gone], ...]] = (
    (
        "mean_squared_error",
        "sklearn",
        "squared",
        Gone("deprecated since scikit-learn 1.4, removed in 1.6", "`root_mean_squared_error`"),
    ),
    (
        "OneHotEncoder",
        "sklearn",
        "sparse",
        Gone("deprecated since scikit-learn 1.2, removed in 1.4", "`sparse_output`"),
    ),
    (
        "*",
        "sklearn.ensemble",
        "base_estimator",
        Gone("deprecated since scikit-learn 1.2, removed in 1.4", "`estimator`"),
    ),
    (
        "*",
        "sklearn.linear_model",
        "normalize",
        Gone("deprecated since scikit-learn 1.0, removed in 1.2", "`StandardScaler` in a pipeline"),
    ),
    ("Trainer", "pytorch_lightning", "gpus", _TRAINER),
    ("Trainer", "pytorch_lightning", "tpu_cores", _TRAINER),
    ("Trainer", "pytorch_lightning", "num_processes", _TRAINER),
    ("Trainer", "pytorch_lightning", "auto_select_gpus", _TRAINER),
    (
        "Trainer",
        "pytorch_lightning",
        "progress_bar_refresh_rate",
        Gone("removed in Lightning 1.7", "a progress bar callback"),
    ),
    (
        "Trainer",
        "pytorch_lightning",
        "checkpoint_callback",
        Gone("removed in Lightning 1.7", "`enable_checkpointing`"),
    ),
    (
        "Trainer",
        "pytorch_lightning",
        "weights_summary",
        Gone("removed in Lightning 1.7", "the `ModelSummary` callback"),
    ),
    (
        "Trainer",
        "pytorch_lightning",
        "resume_from_checkpoint",
        Gone("removed in Lightning 2.0", "`trainer.fit(ckpt_path=...)`"),
    ),
    ("*", "sagemaker", "train_instance_type", _RENAMED),
    ("*", "sagemaker", "train_instance_count", _RENAMED),
    ("*", "sagemaker", "train_volume_size", _RENAMED),
    ("*", "sagemaker", "train_max_run", _RENAMED),
    ("*", "sagemaker", "train_use_spot_instances", _RENAMED),
    ("*", "sagemaker", "image_name", Gone("renamed in SageMaker SDK 2.0", "`image_uri`")),
    ("fit", "xgboost.XGB", "early_stopping_rounds", _XGB),
    ("fit", "xgboost.XGB", "eval_metric", _XGB),
    ("fit", "lightgbm.LGBM", "early_stopping_rounds", _LGBM),
    ("train", "lightgbm", "early_stopping_rounds", _LGBM),
    ("train", "lightgbm", "verbose_eval", _LGBM),
    ("cv", "lightgbm", "early_stopping_rounds", _LGBM),
    (
        "*TrainingArguments",
        "transformers",
        "evaluation_strategy",
        Gone("deprecated since Transformers 4.41 and removed since", "`eval_strategy`"),
    ),
    (
        "read_csv",
        "pandas",
        "error_bad_lines",
        Gone("deprecated since pandas 1.3, removed in 2.0", "`on_bad_lines`"),
    ),
    (
        "DAG",
        "airflow",
        "schedule_interval",
        Gone("deprecated since Airflow 2.4, removed in 3.0", "`schedule`"),
    ),
    (
        "dag",
        "airflow",
        "schedule_interval",
        Gone("deprecated since Airflow 2.4, removed in 3.0", "`schedule`"),
    ),
    (
        "*",
        "airflow",
        "provide_context",
        Gone("without effect since Airflow 2.0, removed in 3.0", "nothing: leave it out"),
    ),
    (
        "*",
        "feast",
        "event_timestamp_column",
        Gone("deprecated since Feast 0.20", "`timestamp_field`"),
    ),
    (
        "*",
        "torchvision.models",
        "pretrained",
        Gone("deprecated since torchvision 0.13", "`weights`"),
    ),
)

# Texts in code and configuration.
TEXTS: Final[tuple[tuple[str, Gone], ...]] = (
    ("reg:linear", Gone("deprecated since XGBoost 0.83", "`reg:squarederror`")),
)
