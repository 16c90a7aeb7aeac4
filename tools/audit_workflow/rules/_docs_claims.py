"""Practices and tools that documents claim, and whether a file shows them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from mlops_advisor.tools.audit_workflow.repo import AuditRepository
from mlops_advisor.tools.audit_workflow.rule import HIGH, MEDIUM, Hit
from mlops_advisor.tools.audit_workflow.rules import _docs, _monitoring, _testing
from mlops_advisor.tools.evidence.claims import claims_of
from mlops_advisor.tools.evidence.models import Claim, Outcome, SourceFile, Workspace
from mlops_advisor.tools.evidence.parse.markdown import Document, Sentence
from mlops_advisor.tools.evidence.repository import Repository, shared

# Practices that leave a trace in files when they are in place.
_SHOWN: Final = {
    "data_versioning": "versioned data",
    "schema_validation": "validation of schemas",
    "value_validation": "validation of data",
    "experiment_tracking": "tracking of experiments",
    "training_pipeline": "an orchestrated training pipeline",
    "training_triggered": "training on a schedule",
    "continuous_training": "retraining on drift",
    "model_validation_gate": "a quality gate for models",
    "slice_evaluation": "evaluation on slices",
    "model_registry": "a model registry",
    "model_ci": "CI of the model",
    "model_cd": "automatic deployment of the model",
    "staged_rollout": "a staged rollout",
    "progressive_delivery": "progressive delivery",
    "automatic_rollback": "an automatic rollback",
    "infrastructure_as_code": "infrastructure as code",
    "service_metrics": "metrics of the service",
    "alerting": "alerts",
    "data_drift_detection": "detection of drift",
    "prediction_logging": "logged predictions",
    "quality_with_labels": "quality measured on live data",
    "fairness_assessment": "an assessment of fairness",
    "feature_catalogue": "a feature store",
    "hyperparameters_tuned": "tuned hyperparameters",
    "health_checks": "health checks",
    "pipeline_integration_test": "integration tests",
    "model_cards": "a model card",
    "serving_scales": "automatic scaling",
}
_TOOLS: Final[dict[str, tuple[str, tuple[str, ...]]]] = {
    "Kubernetes": (r"kubernetes|k8s|minikube", ("kubernetes", "kubectl", "k8s", "helm",
    "minikube", "eksctl")),
    "Helm": (r"helm(?: charts?)?", ("helm", "chart.yaml")),
    "Airflow": (r"(?:apache )?airflow|mwaa|cloud composer", ("airflow",)),
    "Kubeflow": (r"kubeflow", ("kubeflow", "kfp")),
    "Prefect": (r"prefect", ("prefect",)),
    "Dagster": (r"dagster", ("dagster",)),
    "MLflow": (r"mlflow", ("mlflow",)),
    "DVC": (r"dvc", ("dvc",)),
    "Terraform": (r"terraform", ("terraform", ".tf\n")),
    "Docker": (r"docker(?:ized|ised)?|docker[- ]compose", ("docker", "containerfile",
    "from python")),
    "Prometheus": (r"prometheus", ("prometheus",)),
    "Grafana": (r"grafana", ("grafana",)),
    "Evidently": (r"evidently(?: ?ai)?", ("evidently",)),
    "Great Expectations": (r"great[ _]expectations", ("great_expectations", "great-expectations")),
    "Feast": (r"feast", ("feast",)),
    "Weights & Biases": (r"weights (?:&|and) bias(?:es)?|wandb|w&b", ("wandb",)),
    "Jenkins": (r"jenkins", ("jenkins",)),
    "GitHub Actions": (r"github[ -]actions?", (".github/workflows/", ".github/actions")),
    "GitLab CI": (r"gitlab[ -]ci(?:/cd)?", (".gitlab-ci", "gitlab")),
    "CircleCI": (r"circle ?ci", (".circleci",)),
    "pytest": (r"pytest", ("pytest", "def test_")),
    "pre-commit": (r"pre-commit(?: hooks?)?", ("pre-commit", "pre_commit")),
    "Spark": (r"(?:apache |py)spark", ("spark",)),
    "Kafka": (r"(?:apache )?kafka", ("kafka",)),
    "BentoML": (r"bentoml", ("bentoml",)),
    "Seldon": (r"seldon(?: core)?", ("seldon",)),
    "KServe": (r"kserve|kfserving", ("kserve", "kfserving")),
    "SageMaker": (r"(?:aws |amazon )?sagemaker", ("sagemaker",)),
    "Vertex AI": (r"vertex ?ai", ("aiplatform", "vertex")),
    "FastAPI": (r"fastapi", ("fastapi",)),
    "Flask": (r"flask", ("flask",)),
    "Streamlit": (r"streamlit", ("streamlit",)),
    "Optuna": (r"optuna", ("optuna",)),
    "Hyperopt": (r"hyperopt", ("hyperopt",)),
    "Whylogs": (r"whylogs|whylabs", ("whylogs", "whylabs")),
    "Pandera": (r"pandera", ("pandera",)),
    "Argo": (r"argo ?cd|argo workflows?|argo rollouts?", ("argo",)),
    "Ansible": (r"ansible", ("ansible", "playbook")),
    "Databricks": (r"databricks", ("databricks", "dbutils", "dbfs")),
    "LakeFS": (r"lakefs", ("lakefs",)),
    "Hydra": (r"hydra", ("hydra",)),
    "MinIO": (r"minio", ("minio",)),
    "Redis": (r"redis", ("redis",)),
    "Alertmanager": (r"alertmanager", ("alertmanager",)),
    "PagerDuty": (r"pagerduty", ("pagerduty",)),
    "Locust": (r"locust", ("locust",)),
    "mypy": (r"mypy", ("mypy",)),
    "flake8": (r"flake8", ("flake8",)),
    "black": (r"`black`", ("black",)),
    "ZenML": (r"zenml", ("zenml",)),
    "Metaflow": (r"metaflow", ("metaflow",)),
    "NannyML": (r"nannyml", ("nannyml",)),
    "Alibi Detect": (r"alibi[ -]detect", ("alibi",)),
    "CML": (r"cml", ("cml",)),
    "Poetry": (r"poetry", ("poetry",)),
    "Elasticsearch": (r"elastic ?search|kibana", ("elasticsearch", "kibana", "elastic")),
    "Sentry": (r"sentry", ("sentry",)),
    "Nginx": (r"nginx", ("nginx",)),
    "CodePipeline": (r"(?:aws )?code ?pipeline", ("codepipeline",)),
    "CodeBuild": (r"(?:aws )?code ?build", ("codebuild", "buildspec")),
    "Celery": (r"celery", ("celery",)),
}  # fmt: skip
_WORD: Final = {
    name: re.compile(rf"(?<![\w/.@-])(?:{pattern})(?![\w/@-])", re.IGNORECASE)
    for name, (pattern, _) in _TOOLS.items()
}
_USES: Final = re.compile(
    r"\b(?:is|are|was|were|been|uses?|using|used|with|via|through|on|by|in|runs?|deploy(?:s|ed|ment)?|orchestrat\w{1,6}|"
    r"track(?:s|ed|ing)?|monitor(?:s|ed|ing)?|built|powered|serv(?:es?|ed|ing)|schedul\w{1,6}|manag\w{1,6}|"
    r"version(?:ed|ing)?|provision\w{0,4}|scrap\w{1,5}|visuali\w{1,6}|contain\w{1,8})\b"
)
_STACK: Final = re.compile(
    r"\b(?:tech(?:nolog(?:y|ies))?(?: stack)?|stack|tools?(?: used)?|tooling|built with|"
    r"architecture|"
    r"components?|frameworks?|features|applied technologies|infrastructure|what is used|mlops)\b"
)
_NOT: Final = re.compile(
    r"\b(?:no|not|never|without|lacks?|missing|cannot|can't|don't|doesn't|isn't|aren't|won't|todo|tbd|wip|"
    r"planned|plans?|planning|future|roadmap|later|soon|next|upcoming|should|could|would|may|might|want|"
    r"ideally|eventually|consider|optional|optionally|if|extend|easy to|easier|tutorial|learn|"
    r"course|"
    r"exercise|until|instead of|unlike|deprecated|no longer|or|such as|e\.g|compared|"
    r"alternatives?|similar|like|"
    r"inspired|based on|will|can be|feel free|we'll|let's|assumes?|alternatively|either|any|"
    r"removed|replaced|migrat\w{1,6}|drop(?:ped|s)|support(?:s|ed)? for|for more|see also|docs|"
    r"documentation|"
    r"blog|article|video|official|install(?:ed|ing|ation)?|requires?|prerequisites?|account|credit|thanks|"
    r"you(?:'ll| will| can| need)|how to|what is|why|guide|book|awesome|template|"
    r"integrates? with|compatible)\b|\?|\[ \]"
)
_NOT_HEADING: Final = re.compile(
    r"\b(?:todo|future|roadmap|planned|plans?|next steps?|ideas?|wish|improvements?|"
    r"limitations?|not included|"
    r"out of scope|references?|resources|further|links|learn|course|license|changelog|related|"
    r"acknowledge\w{0,6}|"
    r"credits?|alternatives?|prerequisites?|requirements?|install\w{0,6}|set-?up|inspir\w{0,6}|faq|tips|"
    r"contribut\w{0,6}|comparison|why|motivation|background|skills|objectives?|goals?)\b|\[ \]"
)
_OUTSIDE: Final = re.compile(r"\]\(https?://[^)]{1,400}\)")
_INSIDE: Final = re.compile(r"\]\((?!https?:|#|mailto:)([^)\s#]{1,300})")
_IMPERATIVE: Final = re.compile(
    r"^[\W_]{0,8}(?:use|run|add|create|install|try|check|see|read|follow|open|start|launch|set|make|note|go|click|"
    r"navigate|enable|configure|build|download|clone|visit|select|choose|refer)\b",
    re.IGNORECASE,
)
_MAX: Final = 600
_NO_CLAIMS: Final = ("changelog", "license", "code_of_conduct", "history", "pull_request",
    "contributing",
                     "release", "security", "issue", "bug", "feature_request")  # fmt: skip
_DATA: Final = (".csv", ".svg", ".html", ".tsv", ".jsonl", ".lock")
_SCAN_CHARS: Final = 200_000
_GIVEN: Final = "documentation"


def documents(repo: AuditRepository) -> list[Document]:
    """Documents that speak of this repository as it is."""
    return [
        d
        for d in repo.documents
        if not d.path.rsplit("/", 1)[-1].lower().startswith(_NO_CLAIMS)
        and "template" not in d.path.lower()
        and not _docs.is_template(d.path)
        and "/.github/" not in f"/{d.path}"
    ]


# --- practices ----------------------------------------------------------------------------------


def practices(repo: AuditRepository) -> Iterator[Hit]:
    """Practices that a document says are in place and no file shows, the first sentence of each."""
    if not repo.code.product:
        return
    paths = {d.path for d in documents(repo)}
    lines = {(d.path, s.line): s for d in repo.documents for s in d.sentences}
    told: set[str] = set()
    for claim in repo.report.claims:
        place = claim.place
        sentence = lines.get((place.path, place.line))
        if claim.practice in told or place.path not in paths or sentence is None:
            continue
        if not _open(repo, claim.practice) or not _fair(repo, place.path, place.line):
            continue
        told.add(claim.practice)
        yield _practice(claim.practice, place.path, place.line)
    if "data_drift_detection" not in told:
        yield from _other_drift(repo, paths)


def _practice(practice: str, path: str, line: int) -> Hit:
    return Hit(
        path,
        line,
        f"This claims {_SHOWN[practice]}, and neither code nor configuration nor CI of "
        "the repository shows it.",
        confidence=0.75,
    )


def _open(repo: AuditRepository, practice: str) -> bool:
    """Tell whether no file shows a practice that would leave a trace."""
    if practice not in _SHOWN:
        return False
    if practice in ("model_ci", "model_cd") and _testing.other_ci(repo):
        return False
    facts = [f for f in repo.report.facts if f.practice == practice]
    return bool(facts) and not any(
        f.outcome is Outcome.PRESENT and (f.strength or 0) > 1 for f in facts
    )


def _fair(repo: AuditRepository, path: str, line: int) -> bool:
    """Tell whether a sentence of a line claims, rather than teaches or shows where."""
    sentences = [s for d in repo.documents if d.path == path for s in d.sentences if s.line == line]
    return any(_claims(repo, path, s) for s in sentences)


def _claims(repo: AuditRepository, path: str, sentence: Sentence) -> bool:
    text = sentence.text[:_MAX]
    low = f" {text.lower()} "
    if _NOT.search(low) or any(
        _NOT_HEADING.search(h) for h in sentence.headings[1:] or sentence.headings
    ):
        return False
    if _IMPERATIVE.match(text) or text.rstrip().endswith(":"):
        return False
    folder = path.rpartition("/")[0]
    for target in _INSIDE.findall(text):
        if (
            f"{folder}/{target}".strip("/").removeprefix("./") in repo.paths
            or target.strip("./") in repo.paths
        ):
            return False  # it shows where
    bare = _OUTSIDE.sub("", text)
    return len(bare.split()) > 2  # noqa: PLR2004


def _other_drift(repo: AuditRepository, paths: set[str]) -> Iterator[Hit]:
    """Find data drift that is claimed where only drift of the target is measured."""
    calls = _monitoring.drift_calls(repo)
    made = {h.call.last for h in calls}
    if not any("TargetDrift" in m for m in made) or any(
        "DataDrift" in m or "ColumnDrift" in m or "DatasetDrift" in m or m in ("ks_2samp", "psi")
        for m in made
    ):
        return
    for document in repo.documents:
        for sentence in document.sentences if document.path in paths else ():
            low = f" {sentence.text[:_MAX].lower()} "
            if "data drift" in low and not re.search(r"\b(?:planned|todo|future|not|will)\b", low):
                yield Hit(
                    document.path,
                    sentence.line,
                    "This speaks of data drift, and the code measures only the drift of the "
                    "target: no "
                    "check looks at the features.",
                    also=tuple(
                        (h.module.path, h.call.line) for h in calls if "TargetDrift" in h.call.last
                    )[:1],
                    severity=MEDIUM,
                    confidence=0.75,
                )
                return


def given(repo: AuditRepository) -> Iterator[Hit]:
    """Claims of the documentation that came with the request."""
    if not repo.documentation.strip():
        return
    text = repo.documentation[: 512 << 10]
    other = Repository(Workspace((SourceFile(f"{_GIVEN}.md", text, len(text)),)))
    told: set[str] = set()
    claims: tuple[Claim, ...] = claims_of(other)
    for claim in claims:
        if claim.practice in told or not _open(repo, claim.practice):
            continue
        told.add(claim.practice)
        hit = _practice(claim.practice, _GIVEN, claim.place.line)
        yield Hit(hit.path, hit.line, hit.why, text=claim.place.text, severity=HIGH)
    lines: set[int] = set()
    for document in other.documents:
        for name, sentence in _tool_sentences(document):
            if sentence.line not in lines and not _evidence(repo, name):
                lines.add(sentence.line)
                why = f"This names {name} as in use, and no file of the repository mentions it."
                yield Hit(_GIVEN, sentence.line, why, text=sentence.text[:160], severity=HIGH)


# --- tools --------------------------------------------------------------------------------------


def tools(repo: AuditRepository) -> Iterator[Hit]:
    """Tools that a document names as in use and that no other file mentions, one finding each."""
    told: set[str] = set()
    if not repo.code.product:
        return
    for document in sorted(documents(repo), key=lambda d: (d.path.count("/"), d.path)):
        if repo.is_aside(document.path):
            continue
        by_line: dict[int, list[str]] = {}
        for name, sentence in _tool_sentences(document):
            if name not in told and not _evidence(repo, name):
                told.add(name)
                by_line.setdefault(sentence.line, []).append(name)
        for line, names in by_line.items():
            listed = " and ".join(names) if len(names) < 3 else ", ".join(names)  # noqa: PLR2004
            yield Hit(
                document.path,
                line,
                f"This names {listed} as in use, and no code, configuration or requirement of the "
                "repository mentions it.",
                confidence=0.75,
            )


def _tool_sentences(document: Document) -> Iterator[tuple[str, Sentence]]:
    for sentence in document.sentences:
        text = sentence.text[:_MAX]
        low = f" {text.lower()} "
        if _NOT.search(_OUTSIDE.sub("]", low)) or any(
            _NOT_HEADING.search(h) for h in sentence.headings
        ):
            continue
        bare = re.sub(r"https?://\S{1,400}", "", text)
        listed = any(_STACK.search(h) for h in sentence.headings) and text.lstrip().startswith(
            ("-", "*", "|", "+", "1", "2", "3", "4", "5", "6", "7", "8", "9")
        )
        used = _USES.search(low) and not _IMPERATIVE.match(text)
        if not (listed or used):
            continue
        for name, pattern in _WORD.items():
            if pattern.search(bare):
                yield name, sentence


def _evidence(repo: Repository, name: str) -> bool:
    """Tell whether a path or a file that is no document mentions a tool."""
    return name in _mentioned(repo)


@shared
def _mentioned(repo: Repository) -> frozenset[str]:
    """Tools that a path, or a file that is no document, mentions."""
    documents_ = {d.path for d in repo.documents}
    said = "\n".join((*(repo.text(p) for p in documents_), getattr(repo, "documentation", "")))
    left = {n: words for n, (_, words) in _TOOLS.items() if _WORD[n].search(said)}
    found: set[str] = {"Kubernetes"} if repo.manifests else set()
    texts = ["\n".join((*repo.paths, "")).lower()]
    texts += [" ".join(m.roots).lower() for m in repo.code.modules.values() if m.notebook]
    for text in texts:
        found |= {name for name, words in left.items() if any(w in text for w in words)}
    for path in repo.files:
        left = {name: words for name, words in left.items() if name not in found}
        if path not in documents_ and not path.endswith(_DATA):
            low = repo.text(path)[:_SCAN_CHARS].lower()
            found |= {name for name, words in left.items() if any(w in low for w in words)}
    return frozenset(found)
