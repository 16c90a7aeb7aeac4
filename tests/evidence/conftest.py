"""Small inline workspaces, and the facts that probes find in them."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pytest

from mlops_advisor.tools.evidence.collect import collect_inline
from mlops_advisor.tools.evidence.models import Fact
from mlops_advisor.tools.evidence.run import probe_all

Files = Mapping[str, str]
Ask = Callable[..., Fact]


@pytest.fixture
def ask() -> Ask:
    """Give the fact about one practice, from files; `probe` picks one of several probes."""

    def answer(practice: str, *layers: Files, probe: str = "") -> Fact:
        files: dict[str, str] = {}
        for layer in layers:
            files.update(layer)
        report = probe_all(collect_inline(list(files.items())))
        facts = [f for f in report.facts if f.practice == practice and probe in ("", f.probe)]
        assert len(facts) == 1, [f.probe for f in facts]
        return facts[0]

    return answer


TRAIN = {
    "src/train.py": """\
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
}

SERVE = {
    "app/main.py": """\
import joblib
from fastapi import FastAPI

app = FastAPI()
model = joblib.load("model.pkl")


@app.post("/predict")
def predict(features: dict):
    return model.predict([features])
"""
}

CI_TEST = {
    ".github/workflows/ci.yml": """\
name: ci
on: [push, pull_request]
jobs:
  test:
    runs-on: ubuntu-latest
    steps:
      - uses: actions/checkout@v4
      - run: pip install -r requirements.txt
      - run: pytest
"""
}

LIBRARY = {
    "pyproject.toml": '[project]\nname = "tool"\n',
    "tool/__init__.py": "def add(a, b):\n    return a + b\n",
}


@pytest.fixture
def train() -> Files:
    """A script that trains."""
    return TRAIN


@pytest.fixture
def serve() -> Files:
    """A service that predicts."""
    return SERVE


@pytest.fixture
def ci() -> Files:
    """CI that runs pytest on each change."""
    return CI_TEST


@pytest.fixture
def library() -> Files:
    """A plain library: no training, no serving."""
    return LIBRARY
