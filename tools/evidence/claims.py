"""Sentences of documents that say a practice is in place.  They claim; they prove nothing."""

from __future__ import annotations

import re
from typing import Final

from mlops_advisor.tools.evidence.models import Claim, Place
from mlops_advisor.tools.evidence.parse.markdown import Sentence
from mlops_advisor.tools.evidence.repository import Repository
from mlops_advisor.tools.evidence.text import excerpt

# Words that must all occur; alternatives are separated by `|`.  Matched in one lower-case sentence.
_SAYS: Final = {
    "data_versioning": ("version|versioned|versioning|snapshots", "data |dataset|dvc|lakefs"),
    "schema_validation": ("schema", "validat|check|enforce"),
    "value_validation": (
        "data quality|data validation|great expectations|pandera",
        "check|validat|test|run",
    ),
    "experiment_tracking": (
        "experiment|runs",
        "track|log",
        "mlflow|wandb|weights|tracked|tracking|neptune|comet",
    ),
    "training_pipeline": (
        "pipeline|dag",
        "training|train|retrain",
        "airflow|kubeflow|prefect|dagster|orchestrat|dvc|metaflow|flyte|zenml|kedro|automat",
    ),
    "training_triggered": (
        "retrain|trained|training runs|train the model",
        "nightly|weekly|daily|schedule|cron|every night|every week|every day|hourly|monthly",
    ),
    "continuous_training": ("retrain", "drift|degrad|performance drop"),
    "model_validation_gate": (
        "threshold|gate|better than",
        "model|accuracy|metric",
        "deploy|promot|release|register|block",
    ),
    "slice_evaluation": ("slice|segment|subgroup|cohort", "evaluat|metric|measur|performance"),
    "model_registry": ("registry", "model"),
    "model_lineage": ("lineage",),
    "model_ci": (
        "ci |ci/cd|continuous integration|github actions|gitlab ci",
        "model|train",
        "test|validat|evaluat|train",
    ),
    "model_cd": ("deploy", "automatic|continuous|ci/cd|cd ", "model|service|pipeline"),
    "staged_rollout": ("canary|shadow|blue/green|blue-green|a/b test",),
    "progressive_delivery": ("progressive|gradual", "rollout|delivery|traffic"),
    "automatic_rollback": ("automatic|by itself|auto", "rollback|roll back|rolled back|rolls back"),
    "rollback_documented": ("rollback|roll back",),
    "infrastructure_as_code": ("terraform|pulumi|cloudformation|infrastructure as code|helm",),
    "environments_separated": ("staging", "production|prod"),
    "serving_scales": ("autoscal|auto-scal|scales automatically|hpa",),
    "service_metrics": (
        "prometheus|grafana|metrics",
        "latency|errors|throughput|dashboard|service",
    ),
    "alerting": (
        "alert|pagerduty|opsgenie",
        "notify|sent|page|fire|slack|on-call|threshold|alertmanager",
    ),
    "data_drift_detection": ("drift", "monitor|detect|evidently|alibi|whylogs|measur|check"),
    "prediction_logging": ("prediction", "logged|stored|recorded|logs"),
    "quality_with_labels": ("labels|ground truth|actuals", "live|production|arriv|delayed"),
    "model_cards": ("model card",),
    "release_approval": ("approv|sign-off|sign off", "release|deploy|production|promot"),
    "fairness_assessment": ("fairness|bias|disparity", "assess|evaluat|check|measur|audit|test"),
    "explainability": ("shap|lime|explainab|explanations",),
    "code_review": ("review", "pull request|merge request|code|merge"),
    "model_owner": ("maintained by|owned by|owner of the model|model owner",),
    "feature_catalogue": ("feature store|feast",),
    "train_serve_parity": (
        "same",
        "feature|preprocessing|transform",
        "training",
        "serving|inference",
    ),
    "runbooks": ("runbook",),
    "service_level_objectives": ("slo|service level objective",),
    "hyperparameters_tuned": ("hyperparameter", "tun|search|optuna|optimi"),
    "deployment_scripted": ("deploy", "script|make |command|helm|kubectl"),
    "secrets_managed": ("secret", "vault|manager|store|managed"),
    "health_checks": ("health check|healthcheck|liveness|readiness",),
    "service_logs": ("logs", "collect|cloudwatch|elk|loki|central|stackdriver|datadog"),
    "pipeline_integration_test": ("integration test|end-to-end test|end to end test",),
    "data_definitions": ("data dictionary|datasheet|data sheet",),
    "on_call": ("on-call|on call", "rota|rotation|engineer|team"),
    "post_mortems": ("post-mortem|postmortem|post mortem",),
}
_NOT: Final = re.compile(
    r"\b(?:no|not|never|without|lacks?|missing|cannot|can't|don't|doesn't|"
    r"isn't|aren't|won't|todo|tbd|wip|planned|plans?|planning|future|"
    r"roadmap|later|soon|next|upcoming|should|could|would|may|might|want|wish|"
    r"ideally|eventually|consider|optional|optionally|"
    r"if|extend|easy to|easier|example|tutorial|learn|course|exercise|until|"
    r"instead of|unlike|deprecated|no longer)\b"
)
_NOT_HEADING: Final = re.compile(
    r"\b(?:todo|future|roadmap|planned|plans?|next steps?|ideas?|wish|"
    r"improvements?|limitations?|not included|out of scope|"
    r"references?|resources|further reading|links|learn|course|license|changelog|related)\b|\[ \]"
)
_NO_CLAIMS: Final = ("changelog", "license", "code_of_conduct", "history", "pull_request")
_MAX_SENTENCE: Final = 600


def _rules() -> tuple[tuple[str, tuple[tuple[str, ...], ...]], ...]:
    return tuple(
        (p, tuple(tuple(term.split("|")) for term in terms)) for p, terms in sorted(_SAYS.items())
    )


_RULES: Final = _rules()


def claims_of(repo: Repository) -> tuple[Claim, ...]:
    """Claims in documents outside change logs and templates, by practice and place."""
    found: dict[tuple[str, str, int], Claim] = {}
    for document in repo.documents:
        name = document.path.rsplit("/", 1)[-1].lower()
        if name.startswith(_NO_CLAIMS) or "template" in name:
            continue
        whole = repo.text(document.path).lower()
        rules = [r for r in _RULES if _holds(whole, r[1])]
        for sentence in document.sentences if rules else ():
            text = f" {sentence.text[:_MAX_SENTENCE].lower()} "
            said = [practice for practice, terms in rules if _holds(text, terms)]
            if said and _asserts(sentence, text):
                place = Place(document.path, sentence.line, excerpt(sentence.text))
                for practice in said:
                    found.setdefault((practice, place.path, place.line), Claim(practice, place))
    return tuple(found[k] for k in sorted(found))


def _holds(text: str, terms: tuple[tuple[str, ...], ...]) -> bool:
    for term in terms:
        for word in term:
            if word in text:
                break
        else:
            return False
    return True


def _asserts(sentence: Sentence, text: str) -> bool:
    """Tell claims from plans, negations, open tasks, and what stands under such a heading."""
    if "[ ]" in text or _NOT.search(text):
        return False
    return not any(_NOT_HEADING.search(h) for h in sentence.headings)
