"""Probes of CI, deployment and rollout: each strength, and theatre."""

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
TEST = "from train import train\n\ndef test_train():\n    assert train([1], [2])\n"
APP_TEST = (
    "from fastapi.testclient import TestClient\nfrom app import app\n\ndef "
    "test_predict():\n    assert "
    "TestClient(app).post('/predict').status_code == 200\n"
)
BASE = {"train.py": TRAIN, "app.py": APP}
LIB = {
    "pyproject.toml": '[project]\nname = "x"\n',
    "x/__init__.py": "def add(a, b):\n    return a + b\n",
}
DEPLOY = {
    "k8s/deployment.yaml": (
        "apiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: model\nspec:\n"
        "  replicas: 3\n  template:\n    spec:\n      containers:\n        - "
        "name: app\n          image: r/model:1\n"
    )
}


def workflow(body: str, on: str = "[push]") -> Files:
    return {".github/workflows/cd.yml": f"on: {on}\njobs:\n{body}"}


def job(name: str, run: str, extra: str = "") -> str:
    return f"  {name}:\n    runs-on: ubuntu-latest\n{extra}    steps:\n      - run: {run}\n"


KUBE = "kubectl apply -f k8s/"
TESTED = job("test", "pytest tests/test_train.py")
MT = {**BASE, "tests/test_train.py": TEST}
ROLLOUT = """\
apiVersion: argoproj.io/v1alpha1
kind: Rollout
metadata: {name: model}
spec:
  strategy:
    canary:
      steps:
        - setWeight: 10
        - pause: {duration: 10m}
        - analysis:
            templates:
              - templateName: errors
        - setWeight: 50
        - pause: {duration: 10m}
"""
ANALYSIS = (
    "apiVersion: argoproj.io/v1alpha1\nkind: AnalysisTemplate\nmetadata: "
    "{name: errors}\nspec:\n  metrics:\n    - name: e\n      "
    "successCondition: result < 0.01\n"
)
KSERVE = (
    "apiVersion: serving.kserve.io/v1beta1\nkind: InferenceService\n"
    "metadata: {name: m}\nspec:\n  predictor:\n    canaryTrafficPercent: %s\n"
    "    model: {storageUri: s3://x}\n"
)
AUTO = workflow(job("deploy", KUBE))

CASES = [
    # model_ci: app-only CI is not model CI
    ("model_ci", {**MT, **workflow(TESTED)}, "present", 4, "each change"),
    ("model_ci", {**MT, **workflow(job("test", "pytest || true"))}, "present", 2, "ignored"),
    ("model_ci", {**MT, **workflow(TESTED, "workflow_dispatch")}, "present", 3, "not on a change"),
    (
        "model_ci",
        {
            **BASE,
            "tests/test_app.py": "def test_x():\n    assert 1 < 2\n",
            **workflow(job("test", "pytest")),
        },
        "absent",
        0,
        "neither trains nor tests",
    ),
    (
        "model_ci",
        {**BASE, **workflow(job("train-model", 'echo "training the model"'))},
        "present",
        2,
        "only prints",
    ),
    (
        "model_ci",
        {**MT, **workflow(job("model", "python train.py", "    if: false\n"))},
        "present",
        2,
        "switched off",
    ),
    (
        "model_ci",
        {**MT, **workflow(job("model", "ruff check .\n      # - run: python train.py"))},
        "absent",
        0,
        "",
    ),
    ("model_ci", BASE, "absent", 0, "no CI"),
    ("model_ci", LIB, "not_applicable", 0, ""),
    # gitlab, azure, circleci, cloud build, jenkins
    (
        "model_ci",
        {
            **MT,
            ".gitlab-ci.yml": "stages: [test]\nunit:\n  stage: test\n  script:\n    - python train.py\n",
        },
        "present",
        4,
        "",
    ),
    (
        "model_ci",
        {**MT, ".gitlab-ci.yml": "unit:\n  script: [python train.py]\n  allow_failure: true\n"},
        "present",
        2,
        "ignored",
    ),
    (
        "model_ci",
        {
            **MT,
            "azure-pipelines.yml": (
                "trigger: [main]\nsteps:\n  - script: python train.py\n    displayName: fit\n"
            ),
        },
        "present",
        4,
        "",
    ),
    (
        "model_ci",
        {
            **MT,
            ".circleci/config.yml": (
                "jobs:\n  fit:\n    steps:\n      - checkout\n      - run: python train.py\n"
            ),
        },
        "present",
        4,
        "",
    ),
    (
        "model_ci",
        {**MT, "cloudbuild.yaml": "steps:\n  - name: python\n    args: [python, train.py]\n"},
        "present",
        4,
        "",
    ),
    (
        "model_ci",
        {**MT, "Jenkinsfile": "pipeline {\n  stage('t') {\n    sh 'python train.py'\n  }\n}\n"},
        "present",
        4,
        "",
    ),
    (
        "model_ci",
        {
            **MT,
            **workflow(job("t", "bash run.sh")),
            "run.sh": "set -e\npython train.py\necho done\n",
        },
        "present",
        4,
        "",
    ),
    (
        "model_ci",
        {**MT, **workflow(job("t", "bash run.sh")), "run.sh": "python train.py\necho done\n"},
        "present",
        2,
        "ignored",
    ),
    # model_cd
    (
        "model_cd",
        {**MT, **DEPLOY, **workflow(TESTED + job("deploy", KUBE, "    needs: test\n"))},
        "present",
        4,
        "by itself",
    ),
    (
        "model_cd",
        {
            **MT,
            **DEPLOY,
            **workflow(TESTED + job("deploy", KUBE, "    needs: test\n"), "workflow_dispatch"),
        },
        "present",
        3,
        "a person starts it",
    ),
    ("model_cd", {**BASE, **DEPLOY, **AUTO}, "present", 2, "nothing shows"),
    (
        "model_cd",
        {**BASE, **workflow(job("deploy", 'echo "deploying"'))},
        "present",
        2,
        "only prints",
    ),
    (
        "model_cd",
        {**BASE, **workflow(job("deploy", KUBE, "    if: ${{ false }}\n"))},
        "present",
        2,
        "switched off",
    ),
    ("model_cd", BASE, "absent", 0, ""),
    ("model_cd", {**LIB, **AUTO}, "not_applicable", 0, ""),
    # deployment_scripted
    ("deployment_scripted", {**BASE, **DEPLOY, **AUTO}, "present", 4, "CI deploys"),
    (
        "deployment_scripted",
        {**BASE, "Makefile": f"deploy:\n\t{KUBE}\n"},
        "present",
        3,
        "a person starts it",
    ),
    ("deployment_scripted", {**BASE, **DEPLOY}, "present", 2, "no command"),
    ("deployment_scripted", {**BASE, "Makefile": "deploy:\n\t@echo done\n"}, "absent", 0, ""),
    ("deployment_scripted", {"train.py": TRAIN}, "unknown", 0, ""),
    ("deployment_scripted", LIB, "not_applicable", 0, ""),
    # model_packaged
    (
        "model_packaged",
        {
            **BASE,
            "Dockerfile": "FROM python\nCOPY . .\nCMD uvicorn app:app\n",
            **workflow(
                "  b:\n    steps:\n      - uses: docker/build-push-action@v6\n        "
                "with:\n          push: true\n"
            ),
        },
        "present",
        4,
        "pushed",
    ),
    (
        "model_packaged",
        {
            **BASE,
            "Dockerfile": 'FROM python\nCMD ["uvicorn", "app:app"]\n',
            "Makefile": "image:\n\tdocker build -t x .\n",
        },
        "present",
        3,
        "",
    ),
    (
        "model_packaged",
        {**BASE, "Dockerfile": "FROM python\nCMD uvicorn app:app\n"},
        "present",
        2,
        "nothing found builds",
    ),
    ("model_packaged", BASE, "absent", 0, ""),
    # scoring code and its interface
    (
        "scoring_code_versioned",
        {**BASE, "tests/test_app.py": APP_TEST, **workflow(job("t", "pytest"))},
        "present",
        4,
        "",
    ),
    ("scoring_code_versioned", BASE, "absent", 0, ""),
    (
        "serving_tested",
        {**BASE, "tests/test_app.py": APP_TEST, **workflow(job("t", "pytest"))},
        "present",
        4,
        "",
    ),
    ("serving_tested", {**BASE, "locustfile.py": "x = 1\n"}, "present", 2, "load test"),
    ("serving_tested", BASE, "absent", 0, ""),
    ("serving_tested", {"train.py": TRAIN}, "not_applicable", 0, ""),
    # environments, infrastructure
    (
        "environments_separated",
        {
            **BASE,
            **workflow(job("staging", KUBE) + job("production", KUBE, "    needs: staging\n")),
        },
        "present",
        4,
        "only after",
    ),
    (
        "environments_separated",
        {**BASE, **workflow(job("staging", KUBE) + job("production", KUBE))},
        "present",
        3,
        "",
    ),
    (
        "environments_separated",
        {**BASE, "k8s/overlays/prod/k.yaml": "a: 1\n", "k8s/overlays/staging/k.yaml": "a: 1\n"},
        "present",
        2,
        "",
    ),
    ("environments_separated", {**BASE, **DEPLOY}, "absent", 0, ""),
    (
        "infrastructure_as_code",
        {
            "main.tf": 'resource "aws_s3_bucket" "b" {\n  bucket = "x"\n}\n',
            **workflow(job("tf", "terraform apply -auto-approve")),
        },
        "present",
        4,
        "",
    ),
    (
        "infrastructure_as_code",
        {"main.tf": 'resource "aws_s3_bucket" "b" {\n}\n', "Makefile": "up:\n\tterraform apply\n"},
        "present",
        3,
        "by hand",
    ),
    (
        "infrastructure_as_code",
        {"main.tf": 'resource "aws_s3_bucket" "b" {\n}\n'},
        "present",
        2,
        "",
    ),
    ("infrastructure_as_code", BASE, "absent", 0, ""),
    # registry
    (
        "model_registry",
        {
            "train.py": TRAIN.replace("from sk", "import mlflow\nfrom sk").replace(
                "    return SVC", "    mlflow.register_model('runs:/1/m', 'm')\n    return SVC"
            )
        },
        "present",
        3,
        "",
    ),
    (
        "model_registry",
        {
            "train.py": TRAIN.replace("from sk", "import mlflow\nfrom sk").replace(
                "    return SVC",
                "    mlflow.sklearn.log_model(m, 'm', registered_model_name='m')\n    return SVC",
            )
        },
        "present",
        3,
        "",
    ),
    ("model_registry", {"train.py": TRAIN}, "absent", 0, ""),
    (
        "deploy_from_registry",
        {
            "app.py": APP.replace(
                "joblib.load('model.pkl')", "mlflow.pyfunc.load_model('models:/m@champion')"
            ).replace("import joblib", "import mlflow")
        },
        "present",
        3,
        "",
    ),
    (
        "deploy_from_registry",
        {
            "app.py": APP.replace(
                "joblib.load('model.pkl')", "mlflow.pyfunc.load_model('models:/m/latest')"
            ).replace("import joblib", "import mlflow")
        },
        "present",
        2,
        "latest",
    ),
    ("deploy_from_registry", BASE, "absent", 0, "from a path"),
    (
        "deploy_from_registry",
        {**BASE, "README.md": "The service loads its model from the model registry.\n"},
        "absent",
        0,
        "",
    ),
    ("model_lineage", {"train.py": TRAIN, "dvc.lock": "outs:\n  md5: aa\n"}, "present", 3, ""),
    (
        "model_lineage",
        {
            "train.py": TRAIN.replace("from sk", "import mlflow\nfrom sk").replace(
                "    return SVC", "    mlflow.log_param('c', 1)\n    return SVC"
            )
        },
        "present",
        2,
        "no version of the data",
    ),
    ("model_lineage", {"train.py": TRAIN}, "absent", 0, ""),
    # secrets
    (
        "secrets_managed",
        {
            **BASE,
            **workflow(
                "  d:\n    steps:\n      - run: ./x\n        env:\n          T: ${{ "
                "secrets.DEPLOY_TOKEN }}\n"
            ),
        },
        "present",
        3,
        "",
    ),
    (
        "secrets_managed",
        {"app.py": APP + "import os\nKEY = os.environ['API_KEY']\n"},
        "present",
        2,
        "environment",
    ),
    (
        "secrets_managed",
        {
            "app.py": APP + "password = 'hunter2-prod'\n",
            "README.md": "Secrets are managed in Vault.\n",
        },
        "absent",
        0,
        "credential",
    ),
    ("secrets_managed", BASE, "unknown", 0, ""),
    # rollout
    ("staged_rollout", {**BASE, "r.yaml": ROLLOUT, **AUTO}, "present", 4, "Argo"),
    (
        "staged_rollout",
        {**BASE, "r.yaml": ROLLOUT, "Makefile": f"deploy:\n\t{KUBE}\n"},
        "present",
        3,
        "",
    ),
    ("staged_rollout", {**BASE, "r.yaml": ROLLOUT}, "present", 2, "nothing found applies"),
    ("staged_rollout", {"i.yaml": KSERVE % 20}, "present", 2, "KServe"),
    ("staged_rollout", {"i.yaml": KSERVE % 100}, "present", 2, "one way"),
    (
        "staged_rollout",
        {**BASE, **DEPLOY, "README.md": "Every model goes through a canary release.\n"},
        "present",
        1,
        "document",
    ),
    ("staged_rollout", {**BASE, **DEPLOY}, "absent", 0, "at once"),
    ("staged_rollout", BASE, "unknown", 0, "not shown"),
    (
        "staged_rollout",
        {**LIB, "README.md": "Detects drift; supports canary releases.\n"},
        "not_applicable",
        0,
        "",
    ),
    (
        "staged_rollout",
        {
            **BASE,
            "v.yaml": (
                "apiVersion: networking.istio.io/v1\nkind: VirtualService\nspec:\n  "
                "http:\n    - route:\n        - destination: {host: a}\n          "
                "weight: 90\n        - destination: {host: b}\n          weight: 10\n"
            ),
        },
        "present",
        2,
        "mesh",
    ),
    (
        "staged_rollout",
        {
            "m.tf": (
                'resource "aws_sagemaker_endpoint_configuration" "c" {\n  '
                "production_variants {\n  }\n  production_variants {\n  }\n}\n"
            ),
            **BASE,
        },
        "present",
        2,
        "",
    ),
    (
        "rollout_decision_rule",
        {**BASE, "r.yaml": ROLLOUT, "a.yaml": ANALYSIS, **AUTO},
        "present",
        4,
        "",
    ),
    ("rollout_decision_rule", {**BASE, "r.yaml": ROLLOUT, **AUTO}, "present", 2, "not here"),
    (
        "rollout_decision_rule",
        {**BASE, "a.yaml": ANALYSIS, **DEPLOY},
        "present",
        2,
        "no rollout refers",
    ),
    ("rollout_decision_rule", {**BASE, "i.yaml": KSERVE % 20}, "absent", 0, ""),
    (
        "progressive_delivery",
        {**BASE, "r.yaml": ROLLOUT, "a.yaml": ANALYSIS, **AUTO},
        "present",
        4,
        "",
    ),
    (
        "progressive_delivery",
        {
            **BASE,
            "r.yaml": ROLLOUT.replace("pause: {duration: 10m}", "pause: {}"),
            "a.yaml": ANALYSIS,
            **AUTO,
        },
        "absent",
        0,
        "",
    ),
    (
        "automatic_rollback",
        {**BASE, "r.yaml": ROLLOUT, "a.yaml": ANALYSIS, **AUTO},
        "present",
        4,
        "",
    ),
    (
        "automatic_rollback",
        {**BASE, **workflow(job("deploy", "helm upgrade --install --atomic m ./chart"))},
        "present",
        4,
        "",
    ),
    ("automatic_rollback", {**BASE, **DEPLOY}, "absent", 0, ""),
    (
        "rollback_documented",
        {
            **BASE,
            **DEPLOY,
            "docs/ops.md": (
                "# Operations\n## Rollback\nRun this:\n```sh\nkubectl rollout undo "
                "deployment/model\n```\n"
            ),
        },
        "present",
        3,
        "",
    ),
    (
        "rollback_documented",
        {**BASE, "Makefile": "rollback:\n\tkubectl rollout undo deployment/model\n"},
        "present",
        3,
        "command",
    ),
    ("rollback_documented", {**BASE, **DEPLOY}, "absent", 0, ""),
    ("zero_downtime_release", {**BASE, **DEPLOY}, "unknown", 0, ""),
    (
        "zero_downtime_release",
        {
            **BASE,
            "d.yaml": (
                "apiVersion: apps/v1\nkind: Deployment\nspec:\n  strategy: {type: Recreate}\n"
            ),
        },
        "absent",
        0,
        "",
    ),
]


@pytest.mark.parametrize(COLUMNS, CASES, ids=names(CASES))
def test_probe(
    ask: Ask, practice: str, files: Files, outcome: str, strength: int, words: str
) -> None:
    check(ask(practice, files), files, outcome, strength, words)


def test_secrets_are_masked_in_evidence(ask: Ask) -> None:
    files = {"app.py": APP + "password = 'hunter2-prod'\n", "x.env": "AWS=AKIAABCDEFGHIJKLMNOP\n"}
    fact = ask("secrets_managed", files)
    assert [(p.path, p.line) for p in fact.places] == [("app.py", 10), ("x.env", 1)]
    assert "hunter2" not in repr(fact)
    assert "AKIA" not in repr(fact)
