"""Variables of the environment that documents tell to set and nothing reads."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from mlops_advisor.tools.audit_workflow.repo import AuditRepository
from mlops_advisor.tools.audit_workflow.rule import MEDIUM, Hit
from mlops_advisor.tools.audit_workflow.rules import _docs, _docs_claims
from mlops_advisor.tools.evidence.parse.markdown import Document
from mlops_advisor.tools.evidence.repository import Repository, shared

_EXPORT: Final = re.compile(
    r"^\s{0,8}(?:[$>%]\s{1,2})?(?:export|set|setx)\s{1,3}([A-Z][A-Z0-9_]{3,60})="
)
_ENV: Final = re.compile(r"^\s{0,4}([A-Z][A-Z0-9]{1,30}_[A-Z0-9_]{1,60})=\S{0,200}\s{0,4}$")
_ROW: Final = re.compile(r"^\s{0,4}\|\s{0,4}`([A-Z][A-Z0-9]{1,30}_[A-Z0-9_]{1,60})`\s{0,4}\|")
# Read by tools and libraries, not by the code of a repository.
_OTHERS: Final = re.compile(
    r"^(?:AWS|AZURE|ARM|GOOGLE|GCP|GCLOUD|CLOUDSDK|MLFLOW|WANDB|KAGGLE|PREFECT|AIRFLOW|HF|HUGGING|CUDA"
    r"|DVC|GITHUB|GH|GITLAB|CI|DOCKER|COMPOSE|KUBE|PYTHON|PIP|CONDA|UV|POETRY|JAVA|SPARK|HADOOP|PYSPARK"
    r"|TF|TORCH|OMP|NCCL|MINIO|POSTGRES|PG|MYSQL|MONGO|REDIS|GRAFANA|PROMETHEUS|OPENAI|ANTHROPIC"
    r"|FLASK|FASTAPI|DJANGO|UVICORN|GUNICORN|STREAMLIT|GRADIO|RAY|BENTOML|ZENML|CLEARML|COMET|NEPTUNE"
    r"|TWINE|HTTP|HTTPS|NO_PROXY|PATH|HOME|LD|DATABRICKS|SNOWFLAKE|LANGCHAIN|LANGSMITH|OTEL|SENTRY"
    r"|TRANSFORMERS|TOKENIZERS|PROJECT_ID|REGION|ZONE|NODE|NPM|DAGSTER|METAFLOW|FEAST|VAULT|SSH|KFP"
    r"|TRITON|NVIDIA|DATABASE|SSL|ELASTIC|PULUMI|CDK|SAM|HYDRA|KEDRO|GIT|LC|LANG|DEBIAN)(?:_|$)"
)
_MAX_HITS: Final = 2


def unread(repo: AuditRepository) -> Iterator[Hit]:
    """Report variables that a document tells to set and that stand in no other file."""
    if not repo.code.product or not _reads_environment(repo):
        return
    for document in _docs_claims.documents(repo):
        if repo.is_aside(document.path) and not _docs.tells_of_product(repo, document.path):
            continue
        found = list(_of(repo, document))
        for line, name in found[:_MAX_HITS]:
            yield Hit(
                document.path,
                line,
                f"This tells to set `{name}`, and no file of the repository reads it.",
                "Name the variable that the code reads.",
                severity=MEDIUM,
                confidence=0.75,
            )


def _of(repo: AuditRepository, document: Document) -> Iterator[tuple[int, str]]:
    text = repo.text(document.path)
    seen: set[str] = set()
    fenced = {n for n, _ in document.code}
    for number, line in enumerate(repo.lines(document.path)[:5_000], 1):
        found = _EXPORT.match(line[:400]) or _ROW.match(line[:400])
        if found is None and number in fenced:
            found = _ENV.match(line[:400])
        name = found.group(1) if found is not None else ""
        if not name or name in seen or _OTHERS.match(name) or "__" in name:
            continue
        seen.add(name)
        used = re.search(rf"[$%{{]\{{?{name}\b", text)
        if not used and not _read(repo, name):
            yield number, name


def _read(repo: Repository, name: str) -> bool:
    """Tell whether a file names a variable, or a setting called like it or without its prefix."""
    low = name.lower()
    words = _words(repo)
    return low in words or low.partition("_")[2] in words or any(w.endswith(low) for w in words)


@shared
def _words(repo: Repository) -> frozenset[str]:
    """Every name with an underscore in files that are no documents, lower case."""
    documents = {d.path for d in repo.documents}
    found: set[str] = set()
    for path, file in repo.files.items():
        if path not in documents and not path.endswith((".csv", ".svg", ".lock", ".html")):
            found.update(w.lower() for w in re.findall(r"[A-Za-z]\w{3,60}", file.text[:300_000]))
    return frozenset(found)


@shared
def _reads_environment(repo: Repository) -> bool:
    """Tell whether code of the product reads variables by literal names at all."""
    return any(
        c.name in ("os.getenv", "os.environ.get") and c.args and isinstance(c.args[0], str)
        for m in repo.code.product.values()
        for c in m.calls
    ) or any('os.environ["' in repo.text(p) for p in repo.code.product)
