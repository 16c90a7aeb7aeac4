"""Names of the frameworks and platforms that a workspace uses, for the inventory."""

from __future__ import annotations

from typing import Final

from mlops_advisor.tools.evidence.repository import Repository

_BY_IMPORT: Final = {
    "sklearn": "scikit-learn",
    "xgboost": "XGBoost",
    "lightgbm": "LightGBM",
    "catboost": "CatBoost",
    "torch": "PyTorch",
    "tensorflow": "TensorFlow",
    "keras": "Keras",
    "jax": "JAX",
    "pyspark": "Spark",
    "transformers": "Transformers",
    "pytorch_lightning": "Lightning",
    "lightning": "Lightning",
    "mlflow": "MLflow",
    "wandb": "Weights & Biases",
    "neptune": "Neptune",
    "comet_ml": "Comet",
    "clearml": "ClearML",
    "dvc": "DVC",
    "dvclive": "DVCLive",
    "airflow": "Airflow",
    "kfp": "Kubeflow Pipelines",
    "prefect": "Prefect",
    "dagster": "Dagster",
    "metaflow": "Metaflow",
    "flytekit": "Flyte",
    "zenml": "ZenML",
    "kedro": "Kedro",
    "luigi": "Luigi",
    "tfx": "TFX",
    "ray": "Ray",
    "dask": "Dask",
    "sagemaker": "SageMaker",
    "azureml": "Azure ML",
    "feast": "Feast",
    "great_expectations": "Great Expectations",
    "pandera": "Pandera",
    "evidently": "Evidently",
    "whylogs": "whylogs",
    "nannyml": "NannyML",
    "alibi_detect": "Alibi Detect",
    "deepchecks": "Deepchecks",
    "optuna": "Optuna",
    "hyperopt": "Hyperopt",
    "fastapi": "FastAPI",
    "flask": "Flask",
    "bentoml": "BentoML",
    "streamlit": "Streamlit",
    "gradio": "Gradio",
    "kserve": "KServe",
    "shap": "SHAP",
    "fairlearn": "Fairlearn",
    "prometheus_client": "Prometheus",
    "opentelemetry": "OpenTelemetry",
    "langchain": "LangChain",
    "llama_index": "LlamaIndex",
    "openai": "OpenAI",
    "anthropic": "Anthropic",
    "vllm": "vLLM",
    "statsmodels": "statsmodels",
    "prophet": "Prophet",
    "pandas": "pandas",
    "polars": "Polars",
}


def frameworks_of(repo: Repository) -> tuple[str, ...]:
    """Names, sorted."""
    found = {_BY_IMPORT[r] for m in repo.code.product.values() for r in m.roots if r in _BY_IMPORT}
    found.update(f.tool for f in repo.flows.all)
    if repo.terraform:
        found.add("Terraform")
    if repo.manifests:
        found.add("Kubernetes")
    if repo.dockerfiles:
        found.add("Docker")
    return tuple(sorted(found, key=str.lower))
