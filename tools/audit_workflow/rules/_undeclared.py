"""Imports of packages that the environment of a service or job does not install."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from typing import Final

from mlops_advisor.tools.audit_workflow.repo import AuditRepository
from mlops_advisor.tools.audit_workflow.rule import HIGH, Hit
from mlops_advisor.tools.audit_workflow.rules._image_code import Place, loaded, places
from mlops_advisor.tools.evidence.view import View

# Import name -> distributions that bring it, for names that differ or have several.
_BROUGHT: Final = {
    "sklearn": "scikit-learn",
    "cv2": "opencv-python opencv-python-headless opencv-contrib-python"
    " opencv-contrib-python-headless opencv py-opencv",
    "PIL": "pillow pillow-simd",
    "yaml": "pyyaml",
    "bs4": "beautifulsoup4",
    "dotenv": "python-dotenv",
    "dateutil": "python-dateutil",
    "jose": "python-jose",
    "jwt": "pyjwt",
    "multipart": "python-multipart",
    "psycopg2": "psycopg2 psycopg2-binary",
    "MySQLdb": "mysqlclient",
    "mysql": "mysql-connector-python",
    "pymongo": "pymongo motor",
    "bson": "pymongo motor",
    "kafka": "kafka-python kafka-python-ng",
    "confluent_kafka": "confluent-kafka",
    "prometheus_client": "prometheus-client",
    "prometheus_fastapi_instrumentator": "prometheus-fastapi-instrumentator",
    "prometheus_flask_exporter": "prometheus-flask-exporter",
    "pytorch_lightning": "pytorch-lightning",
    "sentence_transformers": "sentence-transformers",
    "tensorflow": "tensorflow tensorflow-cpu tensorflow-gpu tensorflow-macos tf-nightly"
    " intel-tensorflow",
    "keras": "keras tensorflow tensorflow-cpu tensorflow-gpu",
    "torch": "torch pytorch pytorch-cpu pytorch-gpu",
    "xgboost": "xgboost xgboost-cpu py-xgboost",
    "onnxruntime": "onnxruntime onnxruntime-gpu",
    "faiss": "faiss-cpu faiss-gpu",
    "mlflow": "mlflow mlflow-skinny",
    "evidently": "evidently",
    "snowflake": "snowflake-connector-python snowflake-snowpark-python",
    "sqlalchemy": "sqlalchemy",
    "flask_cors": "flask-cors",
    "flask_sqlalchemy": "flask-sqlalchemy",
    "flask_restful": "flask-restful",
    "flask_restx": "flask-restx",
    "pydantic_settings": "pydantic-settings",
    "great_expectations": "great-expectations",
    "imblearn": "imbalanced-learn",
    "category_encoders": "category-encoders",
    "feature_engine": "feature-engine",
    "lightning": "lightning",
    "skimage": "scikit-image",
    "zmq": "pyzmq",
    "Crypto": "pycryptodome",
    "git": "gitpython",
    "docx": "python-docx",
    "nltk": "nltk",
    "umap": "umap-learn",
    "hydra": "hydra-core",
    "librosa": "librosa",
    "whisper": "openai-whisper",
    "kfp": "kfp",
    "feast": "feast",
    "attr": "attrs",
    "markdown": "markdown",
    "magic": "python-magic",
    "serial": "pyserial",
    "slugify": "python-slugify",
    "telegram": "python-telegram-bot",
    "usb": "pyusb",
    "Levenshtein": "levenshtein python-levenshtein",
    "tflite_runtime": "tflite-runtime",
    "google_auth": "google-auth",
    "ray": "ray",
}
# Import names that are those of their distribution.
_SAME: Final = frozenset(
    "pandas numpy scipy joblib fastapi flask uvicorn gunicorn requests pydantic redis boto3"
    " lightgbm catboost transformers streamlit gradio plotly matplotlib seaborn statsmodels"
    " prophet spacy datasets tokenizers accelerate shap lime optuna hyperopt wandb dvc dvclive"
    " prefect bentoml httpx aiohttp loguru structlog typer click tqdm pyarrow polars duckdb dill"
    " cloudpickle skops onnx s3fs gcsfs fsspec celery sanic starlette jinja2 minio pika psycopg"
    " asyncpg motor peft sagemaker pyspark deepchecks nannyml whylogs torchvision torchaudio"
    " openai langchain tiktoken geopandas shapely folium networkx gensim surprise implicit pycaret"
    " h2o tabulate openpyxl hvac elasticsearch neptune comet_ml clearml zenml dash xlrd"
    " sentencepiece timm ultralytics mlserver kserve orjson ujson tenacity omegaconf fire".split()
)
_NUMERIC: Final = "numpy scipy joblib threadpoolctl"
# Distribution -> what it brings along; followed some steps.
_PARENTS: Final = {
    "pandas": "numpy python-dateutil pytz",
    "scikit-learn": _NUMERIC,
    "scipy": "numpy",
    "xgboost": "numpy scipy",
    "lightgbm": "numpy scipy",
    "catboost": "numpy pandas scipy matplotlib plotly",
    "statsmodels": "numpy scipy pandas patsy",
    "seaborn": "numpy pandas matplotlib",
    "matplotlib": "numpy pillow python-dateutil",
    "imbalanced-learn": "scikit-learn",
    "shap": "scikit-learn pandas tqdm cloudpickle",
    "prophet": "pandas matplotlib tqdm",
    "mlflow": "mlflow-skinny scikit-learn pandas scipy matplotlib pyarrow sqlalchemy flask"
    " gunicorn jinja2 docker alembic markdown graphene",
    "mlflow-skinny": "requests pyyaml click cloudpickle gitpython protobuf fastapi uvicorn pydantic"
    " python-dotenv databricks-sdk",
    # Extras are not told apart: what they bring counts as there.
    "fastapi": "pydantic starlette typing-extensions uvicorn httpx jinja2 python-multipart",
    "uvicorn": "pyyaml python-dotenv httptools click",
    "celery": "redis click",
    "torch": "numpy networkx jinja2 fsspec",
    "pyarrow": "numpy",
    "dask": "pyyaml fsspec click pandas numpy",
    "xarray": "numpy pandas",
    "sktime": "numpy pandas scikit-learn scipy",
    "autogluon": "numpy pandas scikit-learn scipy joblib matplotlib boto3 requests tqdm",
    "autogluon-tabular": "numpy pandas scikit-learn scipy joblib matplotlib boto3 requests tqdm",
    "kedro": "pyyaml click fsspec omegaconf gitpython",
    "alibi-detect": "scikit-learn scipy pillow opencv-python requests tqdm numpy pandas",
    "azureml-mlflow": "mlflow-skinny azureml-core",
    "redis": "",
    "gunicorn": "",
    "psycopg2-binary": "",
    "pymongo": "",
    "starlette": "anyio",
    "flask": "werkzeug jinja2 click itsdangerous markupsafe",
    "streamlit": "pandas numpy pillow requests pyarrow tornado protobuf gitpython click altair",
    "gradio": "fastapi uvicorn httpx pandas numpy pillow pydantic pyyaml requests jinja2 orjson"
    " typer huggingface-hub matplotlib aiofiles python-multipart",
    "transformers": "numpy requests tqdm pyyaml tokenizers huggingface-hub safetensors regex"
    " filelock packaging",
    "datasets": "numpy pandas pyarrow requests tqdm fsspec aiohttp dill huggingface-hub pyyaml",
    "sentence-transformers": "transformers torch scikit-learn scipy numpy tqdm pillow nltk",
    "huggingface-hub": "requests tqdm pyyaml fsspec filelock httpx",
    "torchvision": "torch numpy pillow",
    "torchaudio": "torch",
    "pytorch-lightning": "torch numpy tqdm pyyaml fsspec torchmetrics",
    "lightning": "torch numpy tqdm pyyaml fsspec pytorch-lightning torchmetrics",
    "tensorflow": "numpy keras tensorboard protobuf requests h5py",
    "tensorflow-cpu": "numpy keras tensorboard protobuf requests h5py",
    "keras": "numpy h5py",
    "ultralytics": "torch torchvision numpy matplotlib opencv-python pillow pyyaml requests scipy"
    " pandas tqdm seaborn psutil",
    "timm": "torch torchvision pyyaml huggingface-hub",
    "spacy": "numpy requests tqdm pydantic jinja2 typer",
    "gensim": "numpy scipy",
    "opencv-python": "numpy",
    "opencv-python-headless": "numpy",
    "scikit-image": "numpy scipy pillow networkx",
    "librosa": "numpy scipy scikit-learn joblib",
    "onnxruntime": "numpy protobuf",
    "onnx": "numpy protobuf",
    "boto3": "botocore s3transfer python-dateutil",
    "sagemaker": "boto3 numpy pandas pyyaml requests protobuf tqdm cloudpickle",
    "s3fs": "fsspec aiohttp aiobotocore",
    "gcsfs": "fsspec aiohttp requests",
    "evidently": "pandas numpy scikit-learn scipy statsmodels plotly nltk requests pyyaml pydantic"
    " fastapi uvicorn typer fsspec",
    "great-expectations": "pandas numpy scipy requests jinja2 pydantic tqdm",
    "deepchecks": "pandas numpy scikit-learn scipy matplotlib plotly tqdm requests",
    "dvc": "pyyaml requests tqdm fsspec gitpython networkx omegaconf hydra-core dvclive"
    " s3fs gcsfs boto3",
    "wandb": "requests pyyaml click gitpython protobuf pydantic",
    "prefect": "httpx pydantic sqlalchemy typer click pyyaml uvicorn fastapi jinja2 requests"
    " cloudpickle python-dateutil orjson pydantic-settings",
    "bentoml": "numpy pyyaml requests click jinja2 attrs starlette uvicorn prometheus-client"
    " pydantic httpx aiohttp python-multipart psutil cloudpickle fsspec",
    "mlserver": "fastapi uvicorn numpy pandas pydantic click aiokafka orjson python-dotenv",
    "kserve": "fastapi uvicorn numpy pandas pydantic httpx pyyaml requests prometheus-client"
    " orjson python-dateutil boto3 google-cloud-storage tabulate",
    "seldon-core": "flask numpy requests gunicorn pyyaml prometheus-client protobuf flask-cors"
    " redis minio",
    "ray": "requests pyyaml click protobuf fastapi starlette uvicorn aiohttp pandas pyarrow numpy"
    " prometheus-client",
    "azureml-defaults": "azureml-core flask requests azureml-inference-server-http",
    "azureml-core": "requests python-dateutil pyyaml pyjwt docker pytz",
    "pyspark": "py4j",
    "pycaret": "scikit-learn pandas numpy scipy joblib matplotlib plotly lightgbm imbalanced-learn"
    " category-encoders requests pyyaml tqdm cloudpickle",
    "optuna": "numpy tqdm sqlalchemy pyyaml",
    "hyperopt": "numpy scipy tqdm cloudpickle networkx",
    "feast": "pandas numpy pyarrow pyyaml click fastapi uvicorn pydantic requests jinja2 tqdm"
    " sqlalchemy dask tenacity",
    "polars": "",
    "feature-engine": "numpy pandas scikit-learn scipy statsmodels",
    "category-encoders": "numpy pandas scikit-learn scipy statsmodels",
    "dash": "flask plotly requests",
    "prometheus-fastapi-instrumentator": "prometheus-client starlette",
    "prometheus-flask-exporter": "prometheus-client flask",
    "flask-cors": "flask",
    "flask-restful": "flask pytz",
    "flask-restx": "flask pytz",
    "flask-sqlalchemy": "flask sqlalchemy",
    "openai": "httpx pydantic tqdm",
    "langchain": "pydantic pyyaml requests sqlalchemy numpy aiohttp tenacity",
    "python-multipart": "",
    "nannyml": "pandas numpy scikit-learn scipy lightgbm matplotlib plotly",
    "geopandas": "pandas numpy shapely",
    "kfp": "click pyyaml requests tabulate protobuf",
    "skops": "scikit-learn numpy huggingface-hub tabulate",
    "tpot": "scikit-learn numpy pandas scipy tqdm joblib",
    "whylogs": "numpy pandas requests",
    "hydra-core": "omegaconf",
    "omegaconf": "pyyaml",
    "cookiecutter": "click jinja2 requests pyyaml python-slugify",
    "requests-toolbelt": "requests",
    "motor": "pymongo",
    "pydantic-settings": "pydantic python-dotenv",
    "litserve": "fastapi uvicorn",
    "modal": "fastapi aiohttp click",
    "vllm": "torch transformers fastapi uvicorn numpy requests tqdm pydantic pillow openai aiohttp",
    "comet-ml": "requests psutil",
    "peft": "torch transformers numpy tqdm accelerate",
    "accelerate": "torch numpy pyyaml psutil",
    "pandera": "pandas numpy pydantic",
    "tensorflow-serving-api": "tensorflow protobuf",
    "google-cloud-storage": "requests",
    "google-cloud-aiplatform": "pydantic shapely",
    "umap-learn": "scikit-learn numpy scipy",
    "zenml": "click pydantic pandas pyyaml sqlalchemy gitpython",
    "clearml": "requests numpy pyyaml pillow pyjwt psutil",
    "neptune": "requests pandas gitpython psutil boto3",
    "surprise": "numpy scipy joblib",
    "scikit-surprise": "numpy scipy joblib surprise",
    "implicit": "numpy scipy tqdm",
    "folium": "numpy requests jinja2",
    "pytest": "",
}
# So many packages bring these that an unknown one in the environment may.
_COMMON: Final = frozenset(
    "numpy pandas scipy sklearn joblib requests yaml click tqdm matplotlib PIL dateutil jinja2"
    " pydantic httpx aiohttp dotenv attr fsspec cloudpickle sqlalchemy plotly typer boto3 pyarrow"
    " redis networkx git jwt markdown tabulate cv2".split()
)
_DEPTH: Final = 4
_MAX_IMPORTS: Final = 400


def undeclared(repo: AuditRepository) -> Iterator[Hit]:
    """Report what a service or job imports at its start and its environment does not hold."""
    for place in places(repo):
        if place.packages:
            held = _with_children(place.packages)
            yield from _of_place(repo, place, held, known=_known() >= held)


def _known() -> frozenset[str]:
    """Names of packages of which the tables say what they bring along."""
    brought = {n for names in _BROUGHT.values() for n in names.split()}
    children = {n for names in _PARENTS.values() for n in names.split()}
    return frozenset((*_PARENTS, *_SAME, *brought, *children))


def _with_children(names: frozenset[str]) -> frozenset[str]:
    found = {re.sub(r"[-_.]{1,4}", "-", n.partition("[")[0].lower()) for n in names}
    for _ in range(_DEPTH):
        found |= {child for n in found for child in _PARENTS.get(n, "").split()}
    return frozenset(found)


def _of_place(
    repo: AuditRepository, place: Place, held: frozenset[str], *, known: bool
) -> Iterator[Hit]:
    missing: dict[str, tuple[str, int]] = {}
    for path in loaded(repo, place.modules):
        view = repo.view(path)
        for root, line in _imports(view) if view is not None else ():
            if root in missing or (root in _COMMON and not known):
                continue
            if _is_missing(repo, path, root, held):
                missing[root] = (path, line)
    for root, (path, line) in sorted(missing.items(), key=lambda i: i[1]):
        source, at = place.source
        yield Hit(
            path,
            line,
            f"`{root}` is imported here, and the {place.what} that runs this code"
            f" ({place.path}:{place.line}) does not install it ({source} lists other packages): it"
            " fails with ModuleNotFoundError when it starts.",
            f"Add `{_BROUGHT.get(root, root).split()[0].replace('_', '-')}` in the version of"
            f" training to {source}.",
            also=((source, max(1, at)),) if source in repo.files else (),
            severity=HIGH,
            confidence=0.75,
        )


def _imports(view: View) -> Iterator[tuple[str, int]]:
    """List packages imported when the module starts: not in functions, `try` or `if`."""
    for node in view.tree.body[:_MAX_IMPORTS]:
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name.partition(".")[0], node.lineno
        elif isinstance(node, ast.ImportFrom) and not node.level and node.module:
            yield node.module.partition(".")[0], node.lineno


def _is_missing(repo: AuditRepository, path: str, root: str, held: frozenset[str]) -> bool:
    if (root not in _BROUGHT and root not in _SAME) or root in sys.stdlib_module_names:
        return False
    if repo.code.resolve(root, path) or any(f"/{root}/" in f"/{p}" for p in repo.code.modules):
        return False
    wanted = _BROUGHT.get(root, root.replace("_", "-")).split()
    return not any(w in held for w in wanted)
