"""Probes of data and training: each strength, and what only looks like a practice."""

from __future__ import annotations

import pytest
from probing import COLUMNS, Ask, Files, check, names

TRAIN = """\
import argparse
import pandas as pd
from sklearn.ensemble import RandomForestClassifier

def train(path):
    df = pd.read_csv(path)
    model = RandomForestClassifier()
    model.fit(df.drop(columns="y"), df["y"])
    return model

if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    train(parser.parse_args().path)
"""
SCHEMA = """\
import pandera as pa

SCHEMA = pa.DataFrameSchema({"age": pa.Column(int, pa.Check.ge(0))})

def check(df):
    return SCHEMA.validate(df)
"""
CALLS_CHECK = TRAIN.replace(
    "import pandas as pd", "import pandas as pd\nfrom schema import check"
).replace("    model = Random", "    df = check(df)\n    model = Random")
RUN_TRAIN = """\
on: [push]
jobs:
  model:
    runs-on: ubuntu-latest
    steps:
      - run: python train.py data.csv
"""
DAG = """\
from airflow import DAG
from airflow.operators.python import PythonOperator
from train import train

with DAG("fit", schedule="@daily", default_args={"retries": 2}) as dag:
    PythonOperator(task_id="train", python_callable=train)
"""
DVC = """\
stages:
  train:
    cmd: python train.py data.csv
    deps: [data.csv]
"""
LOCK = (
    "schema: '2.0'\nstages:\n  train:\n    deps:\n    - path: data.csv\n     "
    " md5: 0a1b\n    outs:\n    - path: m.pkl\n      md5: 0c\n"
)
BOOK = (
    '{"cells": [{"cell_type": "markdown", "source": "# Hi"}, {"cell_type": "code", "source": '
    '["%matplotlib inline\\n", "from sklearn.svm import SVC\\n", '
    '"SVC().fit(x, y)"], "outputs": []}], '
    '"metadata": {"kernelspec": {"language": "python"}}, "nbformat": 4}'
)
T = {"train.py": TRAIN}
N = {"model.ipynb": BOOK}
LIB = {
    "pyproject.toml": '[project]\nname = "x"\n',
    "x/__init__.py": "def add(a, b):\n    return a + b\n",
}


def mlflow_train(extra: str = "") -> str:
    return TRAIN.replace("import pandas", "import mlflow\nimport pandas").replace(
        "    return model", f"    mlflow.log_metric('auc', 1)\n{extra}    return model"
    )


def gha(steps: str, on: str = "[push, pull_request]", job: str = "") -> Files:
    return {
        ".github/workflows/ci.yml": (
            f"on: {on}\njobs:\n  test:\n    runs-on: ubuntu-latest\n{job}    steps:\n{steps}"
        )
    }


CASES = [
    # code_version_control
    ("code_version_control", gha("      - run: pytest\n"), "present", 3, "CI files"),
    ("code_version_control", {".gitignore": "*.pyc"}, "present", 2, ""),
    ("code_version_control", T, "unknown", 0, ""),
    # training_scripted
    (
        "training_scripted",
        {**T, **gha("      - run: python train.py data.csv\n")},
        "present",
        4,
        "",
    ),
    (
        "training_scripted",
        {**T, "Makefile": "train:\n\tpython train.py data.csv\n"},
        "present",
        3,
        "Makefile",
    ),
    ("training_scripted", T, "present", 3, "parameters"),
    (
        "training_scripted",
        {"t.py": "from sklearn.svm import SVC\nSVC().fit(x, y)\n"},
        "present",
        2,
        "nothing runs it",
    ),
    ("training_scripted", N, "absent", 0, "notebooks only"),
    ("training_scripted", LIB, "not_applicable", 0, ""),
    # experiment_tracking
    (
        "experiment_tracking",
        {"train.py": mlflow_train(), ".github/workflows/ci.yml": RUN_TRAIN},
        "present",
        4,
        "",
    ),
    ("experiment_tracking", {"train.py": mlflow_train()}, "present", 3, "training code"),
    ("experiment_tracking", {"train.py": "import mlflow\n" + TRAIN}, "present", 2, "imported"),
    ("experiment_tracking", {"examples/t.py": mlflow_train(), **T}, "present", 2, "example"),
    ("experiment_tracking", T, "absent", 0, ""),
    ("experiment_tracking", LIB, "not_applicable", 0, ""),
    (
        "experiment_tracking",
        {**T, "README.md": "Experiments are tracked with MLflow.\n"},
        "present",
        1,
        "document",
    ),
    (
        "experiment_tracking",
        {**T, "README.md": "We plan to track experiments with MLflow.\n"},
        "absent",
        0,
        "",
    ),
    (
        "experiment_tracking",
        {**T, "README.md": "# TODO\nTrack experiments with MLflow.\n"},
        "absent",
        0,
        "",
    ),
    # environment_pinned
    (
        "environment_pinned",
        {"requirements.txt": "numpy\npandas>=1\n", **T},
        "absent",
        0,
        "not locked",
    ),
    ("environment_pinned", {"poetry.lock": "x", **T}, "present", 2, "no command"),
    (
        "environment_pinned",
        {"poetry.lock": "x", "Dockerfile": "FROM python:3.11\nRUN poetry install\n"},
        "present",
        3,
        "",
    ),
    (
        "environment_pinned",
        {
            "requirements.txt": "numpy==1.0 \\\n    --hash=sha256:aa\n",
            "Dockerfile": "RUN pip install --require-hashes -r requirements.txt\n",
        },
        "present",
        4,
        "refuses",
    ),
    ("environment_pinned", T, "absent", 0, ""),
    # training_reproducible: never more than configured
    (
        "training_reproducible",
        {
            "train.py": TRAIN.replace("Classifier()\n", "Classifier(random_state=1)\n"),
            ".github/workflows/ci.yml": RUN_TRAIN,
        },
        "present",
        2,
        "Seeds",
    ),
    ("training_reproducible", T, "absent", 0, "no seed"),
    # data_versioning
    (
        "data_versioning",
        {**T, "dvc.yaml": DVC, "dvc.lock": LOCK, **gha("      - run: dvc pull && dvc repro\n")},
        "present",
        4,
        "",
    ),
    (
        "data_versioning",
        {**T, "dvc.yaml": DVC, "dvc.lock": LOCK},
        "present",
        3,
        "uses that version",
    ),
    (
        "data_versioning",
        {"data.csv.dvc": "outs:\n- md5: aa\n  path: data.csv\n", **T},
        "present",
        2,
        "",
    ),
    ("data_versioning", {**T, ".dvc/config": "[core]\n"}, "absent", 0, "no .dvc file"),
    ("data_versioning", {**T, "data_v2/readme.txt": "x"}, "absent", 0, ""),
    ("data_versioning", LIB, "not_applicable", 0, ""),
    (
        "data_versioning",
        {"train.py": mlflow_train("    mlflow.set_tags({'data_version': 'x'})\n")},
        "present",
        3,
        "record",
    ),
    # data_pipeline_automated
    (
        "data_pipeline_automated",
        {"prepare.py": "import pandas as pd\npd.read_csv('a').to_parquet('b')\n", **T},
        "present",
        2,
        "",
    ),
    (
        "data_pipeline_automated",
        {
            "prepare.py": "import pandas as pd\npd.read_csv('a').to_parquet('b')\n",
            "Makefile": "data:\n\tpython prepare.py\n",
            **T,
        },
        "present",
        3,
        "",
    ),
    (
        "data_pipeline_automated",
        {
            "prepare.py": "import pandas as pd\npd.read_csv('a').to_parquet('b')\n",
            "dvc.yaml": "stages:\n  p:\n    cmd: python prepare.py\n",
            **T,
        },
        "present",
        4,
        "",
    ),
    ("data_pipeline_automated", N, "absent", 0, "notebook"),
    # schema and values
    ("schema_validation", {"schema.py": SCHEMA, **T}, "present", 2, ""),
    (
        "schema_validation",
        {"schema.py": SCHEMA, "train.py": CALLS_CHECK},
        "present",
        3,
        "training code",
    ),
    (
        "schema_validation",
        {"schema.py": SCHEMA, "train.py": CALLS_CHECK, ".github/workflows/ci.yml": RUN_TRAIN},
        "present",
        4,
        "ci.yml",
    ),
    (
        "schema_validation",
        {
            "schema.py": SCHEMA,
            "train.py": CALLS_CHECK,
            ".github/workflows/ci.yml": RUN_TRAIN.replace("data.csv", "data.csv || true"),
        },
        "present",
        3,
        "",
    ),
    (
        "schema_validation",
        {"schema.py": SCHEMA, "train.py": CALLS_CHECK, "dvc.yaml": DVC},
        "present",
        4,
        "pipeline",
    ),
    (
        "schema_validation",
        {
            "schema.py": SCHEMA.replace(
                "    return SCHEMA.validate(df)",
                (
                    "    try:\n        SCHEMA.validate(df)\n    except Exception:\n        "
                    "print('bad')"
                ),
            ),
            "train.py": CALLS_CHECK,
            "dvc.yaml": DVC,
        },
        "present",
        2,
        "ignored",
    ),
    (
        "schema_validation",
        {"schema.py": "import pandera as pa\nS = pa.DataFrameSchema({})\n", **T},
        "present",
        2,
        "no training or pipeline code",
    ),
    (
        "schema_validation",
        {
            "train.py": TRAIN.replace(
                "    model = Random",
                (
                    "    if set(df.columns) != {'a'}:\n        raise ValueError('columns')\n "
                    "   model = Random"
                ),
            )
        },
        "present",
        3,
        "Own code",
    ),
    ("schema_validation", T, "absent", 0, ""),
    ("schema_validation", LIB, "not_applicable", 0, ""),
    ("value_validation", {"schema.py": SCHEMA, "train.py": CALLS_CHECK}, "present", 3, ""),
    (
        "value_validation",
        {
            "train.py": TRAIN.replace(
                "    model = Random", "    assert not df.isnull().any().any()\n    model = Random"
            )
        },
        "present",
        3,
        "Own code",
    ),
    ("value_validation", T, "absent", 0, ""),
    # training_pipeline and its trigger
    ("training_pipeline", {**T, "dag.py": DAG}, "present", 4, "Airflow"),
    (
        "training_pipeline",
        {**T, "dag.py": DAG.replace('"@daily"', "None")},
        "present",
        3,
        "nothing found starts it",
    ),
    ("training_pipeline", {**T, "dvc.yaml": DVC}, "present", 3, "DVC"),
    (
        "training_pipeline",
        {**T, "dvc.yaml": DVC, **gha("      - run: dvc repro\n")},
        "present",
        4,
        "",
    ),
    ("training_pipeline", {**T, "Makefile": "train:\n\tpython train.py d\n"}, "present", 2, "make"),
    (
        "training_pipeline",
        {"flow.py": "from prefect import flow\n@flow\ndef copy():\n    pass\n", **LIB},
        "present",
        2,
        "no step",
    ),
    ("training_pipeline", T, "absent", 0, ""),
    (
        "training_pipeline",
        {
            "f.py": (
                "from metaflow import FlowSpec, step\nclass TrainFlow(FlowSpec):\n    "
                "@step\n    def train(self):\n        pass\n"
            )
        },
        "present",
        3,
        "Metaflow",
    ),
    ("training_triggered", {**T, "dag.py": DAG}, "present", 4, "schedule"),
    ("training_triggered", {**T, "dag.py": DAG.replace('"@daily"', "None")}, "absent", 0, "null"),
    (
        "training_triggered",
        {
            **T,
            "dag.py": DAG.replace('"@daily"', "None"),
            "README.md": "The model is retrained every night on a schedule.\n",
        },
        "absent",
        0,
        "null",
    ),
    (
        "training_triggered",
        {**T, **gha("      - run: python train.py d\n", "\n  schedule:\n    - cron: '0 3 * * 1'")},
        "present",
        4,
        "schedule",
    ),
    (
        "training_triggered",
        {
            **T,
            **gha(
                "      - run: python train.py d\n",
                "\n  schedule:\n    - cron: '0 3 * * 1'",
                "    if: false\n",
            ),
        },
        "absent",
        0,
        "",
    ),
    (
        "training_triggered",
        {
            **T,
            "prefect.yaml": (
                "deployments:\n- name: fit\n  entrypoint: train.py:train\n  schedule: null\n"
            ),
        },
        "absent",
        0,
        "null",
    ),
    (
        "training_triggered",
        {
            **T,
            "prefect.yaml": (
                "deployments:\n- name: fit\n  entrypoint: train.py:train\n  schedule:\n  "
                "  cron: 0 3 * * *\n"
            ),
        },
        "present",
        4,
        "",
    ),
    (
        "training_triggered",
        {
            **T,
            "cron.yaml": (
                "apiVersion: batch/v1\nkind: CronJob\nspec:\n  suspend: true\n  x:\n    "
                "command: [python, train.py]\n"
            ),
        },
        "absent",
        0,
        "",
    ),
    ("training_triggered", LIB, "not_applicable", 0, ""),
    # gate
    (
        "model_validation_gate",
        {
            **T,
            "evaluate.py": "import sys\nauc = 1\nif auc < 0.8:\n    sys.exit(1)\n",
            "dvc.yaml": DVC + "  evaluate:\n    cmd: python evaluate.py\n",
        },
        "present",
        4,
        "",
    ),
    (
        "model_validation_gate",
        {
            "train.py": TRAIN.replace(
                "    return model",
                "    if accuracy < 0.8:\n        raise ValueError('bad')\n    return model",
            )
        },
        "present",
        3,
        "",
    ),
    (
        "model_validation_gate",
        {**T, "evaluate.py": "import sys\nauc = 1\nif auc < 0.8:\n    sys.exit(1)\n"},
        "present",
        2,
        "nothing in the workspace runs it",
    ),
    (
        "model_validation_gate",
        {
            **T,
            "evaluate.py": "accuracy = 1\nif accuracy < 0.8:\n    print('bad')\n",
            "dvc.yaml": DVC + "  evaluate:\n    cmd: python evaluate.py\n",
        },
        "absent",
        0,
        "",
    ),
    (
        "model_validation_gate",
        {
            **T,
            "tests/test_model.py": (
                "from train import train\ndef test_quality():\n    accuracy = "
                "score(train('x'))\n    assert accuracy > 0.8\n"
            ),
            **gha("      - run: pytest\n"),
        },
        "present",
        4,
        "test",
    ),
    ("model_validation_gate", T, "absent", 0, ""),
    # other evaluation
    (
        "baseline_model",
        {
            "train.py": TRAIN.replace(
                "    return model", "    DummyClassifier().fit(df)\n    return model"
            ).replace("import pandas", "from sklearn.dummy import DummyClassifier\nimport pandas")
        },
        "present",
        3,
        "",
    ),
    ("baseline_model", T, "absent", 0, ""),
    (
        "slice_evaluation",
        {
            "train.py": TRAIN.replace(
                "import pandas", "from fairlearn.metrics import MetricFrame\nimport pandas"
            ).replace("    return model", "    MetricFrame(metrics=f)\n    return model")
        },
        "present",
        3,
        "",
    ),
    ("slice_evaluation", T, "absent", 0, "average"),
    (
        "holdout_discipline",
        {
            "train.py": TRAIN.replace(
                "import pandas",
                "from sklearn.model_selection import train_test_split\nimport pandas",
            ).replace("    model.fit", "    train_test_split(df)\n    model.fit")
        },
        "present",
        3,
        "",
    ),
    (
        "hyperparameters_tuned",
        {
            "train.py": TRAIN.replace("import pandas", "import optuna\nimport pandas").replace(
                "    return model", "    optuna.create_study().optimize(f)\n    return model"
            )
        },
        "present",
        3,
        "",
    ),
    (
        "hyperparameters_tuned",
        {
            "model.ipynb": BOOK.replace(
                "SVC().fit(x, y)",
                (
                    "from sklearn.model_selection import GridSearchCV\\nGridSearchCV(SVC(), "
                    "{}).fit(x, y)"
                ),
            )
        },
        "present",
        2,
        "notebook",
    ),
    ("hyperparameters_tuned", T, "absent", 0, ""),
    # tests
    (
        "feature_code_tested",
        {
            **T,
            "features.py": "def build_features(df):\n    return df\n",
            "tests/test_f.py": (
                "from features import build_features\ndef test_it():\n    assert "
                "build_features(1) == 1\n"
            ),
            **gha("      - run: pytest\n"),
        },
        "present",
        4,
        "CI runs them",
    ),
    (
        "feature_code_tested",
        {
            **T,
            "features.py": "def build_features(df):\n    return df\n",
            "tests/test_f.py": (
                "from features import build_features\ndef test_it():\n    assert "
                "build_features(1) == 1\n"
            ),
        },
        "present",
        2,
        "nothing in the workspace runs",
    ),
    (
        "feature_code_tested",
        {
            **T,
            "features.py": "def build_features(df):\n    return df\n",
            "tests/test_f.py": (
                "from features import build_features\ndef test_it():\n    "
                "build_features(1)\n    assert True\n"
            ),
            **gha("      - run: pytest\n"),
        },
        "present",
        2,
        "none of them asserts",
    ),
    (
        "feature_code_tested",
        {**T, "features.py": "def build_features(df):\n    return df\n"},
        "absent",
        0,
        "",
    ),
    ("feature_code_tested", LIB, "not_applicable", 0, ""),
    (
        "model_code_unit_tests",
        {
            **T,
            "tests/test_t.py": "from train import train\ndef test_it():\n    assert train('x')\n",
            **gha("      - run: pytest || true\n"),
        },
        "present",
        2,
        "does not stop",
    ),
    (
        "model_code_unit_tests",
        {
            **T,
            "tests/test_t.py": "from train import train\ndef test_it():\n    assert train('x')\n",
            "Makefile": "test:\n\tpytest\n",
        },
        "present",
        3,
        "Makefile",
    ),
    (
        "model_code_unit_tests",
        {
            **T,
            "tests/test_t.py": "from train import train\ndef test_it():\n    assert train('x')\n",
            "Makefile": "test:\n\tpytest\n",
            **gha("      - run: make test\n"),
        },
        "present",
        4,
        "ci.yml",
    ),
    (
        "model_code_unit_tests",
        {**T, "tests/test_t.py": "def test_it():\n    assert 1 == 1.0\n"},
        "absent",
        0,
        "",
    ),
    (
        "pipeline_integration_test",
        {**T, **gha("      - run: python train.py --sample tests/data/small.csv\n")},
        "present",
        4,
        "",
    ),
    ("pipeline_integration_test", T, "absent", 0, ""),
    # features
    (
        "feature_catalogue",
        {
            **T,
            "feature_store.yaml": "project: x\n",
            "repo.py": "from feast import FeatureView\nFeatureView(name='a')\n",
        },
        "present",
        2,
        "nothing found reads",
    ),
    (
        "feature_catalogue",
        {
            "train.py": TRAIN.replace(
                "    df = pd.read_csv(path)",
                "    df = store.get_historical_features(entity_df=e).to_df()",
            )
        },
        "present",
        3,
        "",
    ),
    ("feature_catalogue", T, "absent", 0, ""),
    (
        "point_in_time_correctness",
        {"train.py": TRAIN.replace("    df = pd.read_csv(path)", "    df = pd.merge_asof(a, b)")},
        "present",
        3,
        "",
    ),
    (
        "continuous_training",
        {
            **T,
            "monitor.py": (
                "from airflow.api import trigger_dag\ndef on_drift(drift_share):\n    if "
                "drift_share > 0.3:\n        trigger_dag('train')\non_drift(1)\n"
            ),
        },
        "present",
        2,
        "",
    ),
    (
        "managed_compute",
        {
            "train.py": TRAIN.replace(
                "import pandas", "from sagemaker.sklearn import SKLearn\nimport pandas"
            ).replace("    return model", "    SKLearn(entry_point='x').fit()\n    return model")
        },
        "present",
        3,
        "",
    ),
]


@pytest.mark.parametrize(COLUMNS, CASES, ids=names(CASES))
def test_probe(
    ask: Ask, practice: str, files: Files, outcome: str, strength: int, words: str
) -> None:
    check(ask(practice, files), files, outcome, strength, words)


def test_notebook_evidence_names_cell_and_line(ask: Ask) -> None:
    place = ask("training_scripted", N).places[0]
    assert (place.path, place.text) == ("model.ipynb", "[cell 2:3] SVC().fit(x, y)")


def test_evidence_points_at_the_line(ask: Ask) -> None:
    fact = ask("schema_validation", {"schema.py": SCHEMA, "train.py": CALLS_CHECK})
    assert [(p.path, p.line, p.text) for p in fact.places] == [
        ("schema.py", 6, "return SCHEMA.validate(df)")
    ]
