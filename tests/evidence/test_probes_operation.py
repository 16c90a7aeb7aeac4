"""Probes of monitoring, governance and team: each strength, and theatre."""

from __future__ import annotations

import pytest
from probing import COLUMNS, Ask, Files, check, names

TRAIN = (
    "from sklearn.svm import SVC\n\ndef train(x, y):\n    return "
    "SVC().fit(x, y)\n\nif __name__ == '__main__':\n    train(1, 2)\n"
)
APP = (
    "import joblib\nfrom fastapi import FastAPI\n\napp = FastAPI()\nmodel = "
    "joblib.load('model.pkl')\n\n@app.post('/predict')\ndef predict(x: "
    "dict):\n    return model.predict([x])\n"
)
S = {"app.py": APP}
T = {"train.py": TRAIN}
B = {**S, **T}
LIB = {
    "pyproject.toml": '[project]\nname = "x"\n',
    "x/__init__.py": "def add(a, b):\n    return a + b\n",
}
DEPLOY = (
    "apiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: model\nspec:\n"
    "  replicas: 3\n  template:\n    spec:\n      containers:\n        - "
    "name: app\n          image: r/model:1\n"
)
D = {"k8s/d.yaml": DEPLOY}
PROBED = {
    "k8s/d.yaml": DEPLOY
    + "          livenessProbe:\n            httpGet: {path: /health, port: 80}\n"
}
HPA = (
    "apiVersion: autoscaling/v2\nkind: HorizontalPodAutoscaler\nmetadata: "
    "{name: m}\nspec:\n  scaleTargetRef: {kind: Deployment, name: %s}\n  "
    "minReplicas: 2\n  maxReplicas: %s\n"
)
AUTO = {
    ".github/workflows/cd.yml": "on: [push]\njobs:\n  d:\n    steps:\n      - run: kubectl apply -f k8s/\n"
}
RULES = {
    "rules.yml": "groups:\n  - name: g\n    rules:\n      - alert: Slow\n        expr: up == 0\n"
}
RECEIVER = {
    "alertmanager.yml": (
        "route: {receiver: team}\nreceivers:\n  - name: team\n    slack_configs:\n"
        "      - channel: '#ml'\n"
    )
}
DRIFT = (
    "import pandas as pd\nfrom evidently.report import Report\n\ndef "
    "check(current, reference):\n    result = "
    "Report(metrics=[]).run(current_data=current, reference_data=reference)\n"
    "    if result.drift_share > 0.3:\n        raise SystemExit('drift')\n\n"
    "if __name__ == '__main__':\n    check(1, 2)\n"
)
CRON = {
    "k8s/cron.yaml": (
        "apiVersion: batch/v1\nkind: CronJob\nmetadata: {name: drift}\nspec:\n  "
        "schedule: '0 6 * * *'\n  jobTemplate:\n    spec:\n      template:\n     "
        "   spec:\n          containers:\n            - name: c\n              "
        "command: [python, drift.py]\n"
    )
}
TYPED = (
    APP.replace("from fastapi", "from pydantic import BaseModel, Field\nfrom fastapi")
    .replace("@app.post", "class Item(BaseModel):\n    age: int%s\n\n@app.post")
    .replace("x: dict", "x: Item")
)
PROM = "from prometheus_client import Counter, make_asgi_app\n" + APP + "\nC = Counter('a', 'b')\n"

CASES = [
    # health, logs, metrics
    ("health_checks", {**S, **PROBED}, "present", 4, "cluster"),
    (
        "health_checks",
        {**S, "Dockerfile": "FROM x\nHEALTHCHECK CMD curl localhost\n"},
        "present",
        3,
        "container",
    ),
    (
        "health_checks",
        {"app.py": APP + "\n@app.get('/health')\ndef health():\n    return 'ok'\n"},
        "present",
        2,
        "who asks",
    ),
    (
        "health_checks",
        {**S, "Dockerfile": "FROM x\n# HEALTHCHECK CMD curl localhost\nHEALTHCHECK NONE\n"},
        "absent",
        0,
        "",
    ),
    ("health_checks", LIB, "not_applicable", 0, ""),
    (
        "service_logs",
        {
            "app.py": "import logging\nlog = logging.getLogger('x')\n" + APP,
            "compose.yaml": "services:\n  a:\n    logging: {driver: awslogs}\n",
        },
        "present",
        3,
        "one place",
    ),
    (
        "service_logs",
        {"app.py": "import logging\nlog = logging.getLogger('x')\n" + APP},
        "present",
        2,
        "not shown",
    ),
    (
        "service_logs",
        {"app.py": APP.replace("    return", "    print(x)\n    return")},
        "absent",
        0,
        "",
    ),
    (
        "service_metrics",
        {
            "app.py": PROM + "app.mount('/metrics', make_asgi_app())\n",
            "m.yaml": (
                "apiVersion: monitoring.coreos.com/v1\nkind: ServiceMonitor\nmetadata: {name: m}\n"
            ),
        },
        "present",
        4,
        "scraped",
    ),
    (
        "service_metrics",
        {"app.py": PROM + "app.mount('/metrics', make_asgi_app())\n"},
        "present",
        3,
        "",
    ),
    ("service_metrics", {"app.py": PROM}, "present", 2, "no endpoint"),
    ("service_metrics", S, "absent", 0, ""),
    ("service_metrics", T, "not_applicable", 0, ""),
    # alerting
    ("alerting", {**S, **RULES, **RECEIVER}, "present", 4, "routed"),
    ("alerting", {**S, **RULES}, "present", 2, "no recipient"),
    (
        "alerting",
        {**S, **RULES, "alertmanager.yml": "receivers:\n  - name: team\n"},
        "present",
        2,
        "empty",
    ),
    (
        "alerting",
        {
            **S,
            "prometheus.yml": "rule_files: [alerts.yml]\n",
            "README.md": "Alerts are sent to Slack by alertmanager.\n",
        },
        "absent",
        0,
        "not here",
    ),
    (
        "alerting",
        {
            "m.tf": (
                'resource "aws_cloudwatch_metric_alarm" "a" {\n  alarm_actions = '
                "[aws_sns_topic.t.arn]\n}\n"
            ),
            **S,
        },
        "present",
        4,
        "",
    ),
    (
        "alerting",
        {"m.tf": 'resource "aws_cloudwatch_metric_alarm" "a" {\n  alarm_actions = []\n}\n', **S},
        "present",
        2,
        "none notifies",
    ),
    ("alerting", {**S, **D}, "absent", 0, ""),
    ("alerting", S, "unknown", 0, ""),
    ("alerting", LIB, "not_applicable", 0, ""),
    (
        "batch_job_monitoring",
        {
            **T,
            "dag.py": (
                "from airflow import DAG\nfrom train import train\nwith DAG('d', "
                "on_failure_callback=notify):\n    train(1, 2)\n"
            ),
        },
        "present",
        3,
        "",
    ),
    (
        "batch_job_monitoring",
        {
            **T,
            "dag.py": (
                "from airflow import DAG\nfrom train import train\nwith DAG('d'):\n    "
                "train(1, 2)\n"
            ),
        },
        "absent",
        0,
        "",
    ),
    # scaling
    ("serving_scales", {**S, **D, "k8s/h.yaml": HPA % ("model", 9), **AUTO}, "present", 4, ""),
    (
        "serving_scales",
        {**S, **D, "h.yaml": HPA % ("model", 9)},
        "present",
        2,
        "nothing found applies",
    ),
    ("serving_scales", {**S, **D, "h.yaml": HPA % ("model", 2)}, "present", 2, "bounds are equal"),
    (
        "serving_scales",
        {**S, **D, "h.yaml": HPA % ("other", 9)},
        "present",
        2,
        "target is not here",
    ),
    (
        "serving_scales",
        {
            **S,
            **D,
            "k8s/h.yaml": HPA % ("model", 9),
            ".github/workflows/cd.yml": AUTO[".github/workflows/cd.yml"].replace(
                "kubectl apply -f k8s/", "kubectl set image deploy/model model=img:2"
            ),
        },
        "present",
        2,
        "only images are exchanged",
    ),
    ("serving_scales", {**S, **D}, "absent", 0, "fixed number"),
    ("serving_scales", S, "unknown", 0, ""),
    # predictions
    ("serving_input_validation", {"app.py": TYPED % " = Field(ge=0)"}, "present", 4, "bounds"),
    ("serving_input_validation", {"app.py": TYPED % ""}, "present", 3, "types only"),
    (
        "serving_input_validation",
        {
            "app.py": (
                "import joblib\nfrom flask import Flask, request\napp = Flask(__name__)\n"
                "model = joblib.load('m')\n\n@app.route('/predict')\ndef predict():\n    "
                "return model.predict(request.get_json())\n"
            )
        },
        "absent",
        0,
        "raw JSON",
    ),
    ("serving_input_validation", LIB, "not_applicable", 0, ""),
    (
        "prediction_logging",
        {"app.py": APP.replace("    return", "    producer.send('predictions', x)\n    return")},
        "present",
        3,
        "",
    ),
    (
        "prediction_logging",
        {
            "i.yaml": (
                "apiVersion: serving.kserve.io/v1beta1\nkind: InferenceService\nspec:\n  "
                "predictor:\n    logger: {mode: all, url: http://x}\n"
            )
        },
        "present",
        3,
        "platform",
    ),
    (
        "prediction_logging",
        {
            "app.py": "import logging\n"
            + APP.replace("    return", "    logging.info(x)\n    return")
        },
        "present",
        2,
        "log only",
    ),
    ("prediction_logging", S, "absent", 0, ""),
    ("data_drift_detection", {**S, "drift.py": DRIFT, **CRON}, "present", 4, ""),
    (
        "data_drift_detection",
        {
            **S,
            "drift.py": DRIFT.replace(
                "    if result.drift_share > 0.3:\n        raise SystemExit('drift')\n", ""
            ),
            **CRON,
        },
        "present",
        3,
        "no threshold",
    ),
    (
        "data_drift_detection",
        {**S, "drift.py": DRIFT, "Makefile": "drift:\n\tpython drift.py\n"},
        "present",
        3,
        "Makefile",
    ),
    (
        "data_drift_detection",
        {**S, "drift.py": DRIFT},
        "present",
        2,
        "nothing in the workspace runs it",
    ),
    (
        "data_drift_detection",
        {**S, "README.md": "We monitor drift with Evidently.\n"},
        "present",
        1,
        "",
    ),
    ("data_drift_detection", S, "absent", 0, ""),
    ("data_drift_detection", T, "unknown", 0, ""),
    (
        "data_drift_detection",
        {**LIB, "README.md": "This library detects drift and monitors it.\n"},
        "not_applicable",
        0,
        "",
    ),
    (
        "prediction_drift",
        {
            **S,
            "drift.py": DRIFT + "\ndef prediction_drift(a):\n    return a\nprediction_drift(1)\n",
        },
        "present",
        2,
        "",
    ),
    (
        "quality_with_labels",
        {
            **S,
            "monitoring.py": (
                "from sklearn.metrics import f1_score\n\ndef live(ground_truth, p):\n    "
                "return f1_score(ground_truth, p)\nlive(1, 2)\n"
            ),
        },
        "present",
        2,
        "",
    ),
    ("quality_with_labels", S, "absent", 0, ""),
    (
        "fallback_serving",
        {
            "app.py": APP.replace(
                "    return model",
                "    if bad(x):\n        return fallback_score(x)\n    return model",
            )
        },
        "present",
        3,
        "without a test",
    ),
    ("fallback_serving", S, "absent", 0, ""),
    (
        "numeric_stability",
        {
            "app.py": "import numpy as np\n"
            + APP.replace("    return", "    if np.isnan(x):\n        raise ValueError\n    return")
        },
        "present",
        3,
        "",
    ),
    # parity
    (
        "train_serve_parity",
        {
            "features.py": "def build_features(x):\n    return x\n",
            "train.py": "from features import build_features\n"
            + TRAIN.replace("fit(x, y)", "fit(build_features(x), y)"),
            "app.py": "from features import build_features\n"
            + APP.replace("predict([x])", "predict(build_features(x))"),
        },
        "present",
        3,
        "build_features",
    ),
    (
        "train_serve_parity",
        {
            "features.py": "def build_features(x):\n    return x\n\ndef clean(x):\n    return x\n",
            "train.py": "from features import build_features\n"
            + TRAIN.replace("fit(x, y)", "fit(build_features(x), y)"),
            "app.py": "from features import clean\n"
            + APP.replace("predict([x])", "predict(clean(x))"),
        },
        "present",
        2,
        "no function",
    ),
    (
        "train_serve_parity",
        {
            **T,
            "app.py": "import pandas as pd\n"
            + APP.replace("predict([x])", "predict(pd.get_dummies(x))"),
        },
        "absent",
        0,
        "by itself",
    ),
    (
        "train_serve_parity",
        {
            "train.py": "import joblib\nfrom sklearn.pipeline import make_pipeline\n"
            + TRAIN.replace("SVC().fit(x, y)", "joblib.dump(make_pipeline(SVC()).fit(x, y), 'm')"),
            **S,
        },
        "present",
        3,
        "stored inside",
    ),
    ("train_serve_parity", T, "unknown", 0, ""),
    # governance
    ("model_owner", {**T, "catalog-info.yaml": "spec:\n  owner: team-fraud\n"}, "present", 3, ""),
    ("model_owner", {**T, "CODEOWNERS": "* @team\n"}, "present", 2, "no model names"),
    ("model_owner", {**T, "dag.yaml": "owner: airflow\n"}, "unknown", 0, ""),
    (
        "model_cards",
        {
            **T,
            "MODEL_CARD.md": (
                "# Model card\n## Intended use\nScores loans. For banks.\n## Limitations\n"
                "Only adults. Not for firms.\n"
            ),
        },
        "present",
        2,
        "each release",
    ),
    (
        "model_cards",
        {**T, "MODEL_CARD.md": "# Model card\n## Intended use\nTODO\n## Limitations\nTODO\n"},
        "present",
        2,
        "placeholder",
    ),
    (
        "model_cards",
        {"train.py": TRAIN.replace("    return", "    write_model_card(1)\n    return")},
        "present",
        3,
        "by code",
    ),
    ("model_cards", T, "absent", 0, ""),
    (
        "release_approval",
        {
            **B,
            ".gitlab-ci.yml": "deploy-production:\n  script: [kubectl apply -f k8s]\n  when: manual\n",
        },
        "present",
        4,
        "waits",
    ),
    (
        "release_approval",
        {
            "p.py": (
                "import sagemaker\nfrom sagemaker.workflow.model_step import ModelStep\n"
                "model = sagemaker.Model()\n"
                "model.register(approval_status='PendingManualApproval')\n"
            ),
            **T,
        },
        "present",
        2,
        "waits",
    ),
    (
        "release_approval",
        {
            **B,
            ".github/workflows/d.yml": (
                "on: [push]\njobs:\n  d:\n    environment: production\n    steps:\n      "
                "- run: kubectl apply -f k8s\n"
            ),
        },
        "present",
        2,
        "not in the files",
    ),
    ("release_approval", {**B, **AUTO}, "absent", 0, ""),
    (
        "fairness_assessment",
        {
            "train.py": "from fairlearn.metrics import MetricFrame\n"
            + TRAIN.replace("    return", "    MetricFrame(metrics=1)\n    return")
        },
        "present",
        3,
        "",
    ),
    (
        "fairness_assessment",
        {"train.py": "import fairlearn\n" + TRAIN},
        "present",
        2,
        "nothing of it is called",
    ),
    ("fairness_assessment", T, "unknown", 0, ""),
    (
        "explainability",
        {
            "app.py": "import shap\n"
            + APP.replace("    return", "    shap.TreeExplainer(model)\n    return")
        },
        "present",
        3,
        "",
    ),
    ("explainability", T, "absent", 0, ""),
    (
        "data_definitions",
        {**T, "docs/data_dictionary.md": "# Columns\nage: years of age.\n"},
        "present",
        2,
        "",
    ),
    ("data_definitions", T, "absent", 0, ""),
    (
        "purpose_documented",
        {**T, "README.md": "# Loans\n## Purpose\nScores loans for clerks.\n"},
        "present",
        2,
        "",
    ),
    ("risk_classification", {**T, "model.yaml": "risk_class: high\n"}, "present", 2, ""),
    ("impact_assessment", T, "unknown", 0, ""),
    (
        "access_control",
        {"r.yaml": "apiVersion: rbac.authorization.k8s.io/v1\nkind: Role\nmetadata: {name: r}\n"},
        "present",
        3,
        "",
    ),
    # team
    (
        "code_review",
        {
            "p.tf": (
                'resource "github_branch_protection" "m" {\n  '
                "required_pull_request_reviews {\n    required_approving_review_count = "
                "1\n  }\n}\n"
            )
        },
        "present",
        4,
        "",
    ),
    ("code_review", {".github/CODEOWNERS": "* @a\n"}, "present", 2, ""),
    ("code_review", T, "unknown", 0, ""),
    (
        "coding_standards",
        {
            **T,
            ".github/workflows/c.yml": "on: [push]\njobs:\n  l:\n    steps:\n      - run: ruff check .\n",
        },
        "present",
        4,
        "",
    ),
    (
        "coding_standards",
        {
            **T,
            ".github/workflows/c.yml": (
                "on: [push]\njobs:\n  l:\n    steps:\n      - run: ruff check .\n        "
                "continue-on-error: true\n"
            ),
        },
        "present",
        2,
        "does not stop",
    ),
    (
        "coding_standards",
        {
            **T,
            ".github/workflows/c.yml": "on: [push]\njobs:\n  l:\n    steps:\n      - run: flake8 --exit-zero\n",
        },
        "present",
        2,
        "does not stop",
    ),
    (
        "coding_standards",
        {**T, ".pre-commit-config.yaml": "repos:\n  - repo: x\n    hooks:\n      - id: ruff\n"},
        "present",
        3,
        "",
    ),
    (
        "coding_standards",
        {**T, "pyproject.toml": "[tool.ruff]\nline-length = 100\n"},
        "present",
        2,
        "nothing runs it",
    ),
    ("coding_standards", T, "absent", 0, ""),
    (
        "project_documentation",
        {**T, "README.md": "# X\n## Setup\n```\npip install -r requirements.txt\n```\n"},
        "present",
        3,
        "",
    ),
    (
        "project_documentation",
        {**T, "README.md": "# X\nA model.\n"},
        "present",
        2,
        "without commands",
    ),
    ("project_documentation", T, "absent", 0, ""),
    (
        "runbooks",
        {
            **S,
            "rules.yml": (
                "groups:\n- rules:\n  - alert: A\n    expr: x\n    annotations: "
                "{runbook_url: docs/runbook.md}\n"
            ),
            "docs/runbook.md": "# Slow\nRestart it.\n",
        },
        "present",
        3,
        "",
    ),
    ("runbooks", {**S, "docs/runbook.md": "# Slow\nRestart it.\n"}, "present", 2, ""),
    ("runbooks", S, "unknown", 0, ""),
    ("project_templates", {"cookiecutter.json": "{}"}, "present", 2, ""),
    ("project_templates", {".copier-answers.yml": "a: 1"}, "present", 3, ""),
    ("project_templates", T, "unknown", 0, ""),
    (
        "service_level_objectives",
        {**S, "slo.yaml": "apiVersion: openslo/v1\nkind: SLO\nmetadata: {name: a}\n"},
        "present",
        3,
        "",
    ),
    (
        "service_level_objectives",
        {**S, "README.md": "# X\n## SLOs\n99 % of answers under 100 ms.\n"},
        "present",
        2,
        "nothing measures",
    ),
    ("service_level_objectives", S, "unknown", 0, ""),
    (
        "post_mortems",
        {"docs/postmortem-1.md": "# Outage\n## Actions\nAdd a test.\n"},
        "present",
        3,
        "",
    ),
    ("on_call", {"o.tf": 'resource "pagerduty_schedule" "s" {\n}\n'}, "present", 3, ""),
    (
        "shared_repository",
        {
            ".github/workflows/c.yml": "on: pull_request\njobs:\n  l:\n    steps:\n      - run: pytest\n"
        },
        "present",
        3,
        "",
    ),
    ("shared_repository", T, "unknown", 0, ""),
]


@pytest.mark.parametrize(COLUMNS, CASES, ids=names(CASES))
def test_probe(
    ask: Ask, practice: str, files: Files, outcome: str, strength: int, words: str
) -> None:
    check(ask(practice, files), files, outcome, strength, words)
