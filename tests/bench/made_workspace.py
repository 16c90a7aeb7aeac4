"""A workspace as companies have them, made by a program: the same 1 000 files every time."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path

# Files by kind; together 1 000.
COUNTS = {
    "python": 560,
    "yaml": 200,
    "notebook": 60,
    "docker": 40,
    "markdown": 100,
    "json": 30,
    "toml": 10,
}

WORDS = (
    "customer churn price demand order basket session event feature label score signal segment "
    "region product invoice stock return channel campaign device sensor reading forecast window"
).split()

HEAD = '''"""{title}: {words}."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
from sklearn.ensemble import RandomForestClassifier
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import train_test_split

from {package}.common import settings

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class {cls}Config:
    """Parameters of one run."""

    path: Path = Path("data/{a}_{b}.parquet")
    n_estimators: int = {n}
    max_depth: int | None = {d}
    threshold: float = 0.{d}
    columns: tuple[str, ...] = ("{a}", "{b}", "{c}")
'''

LOAD = '''

def load_{a}_{i}(config: {cls}Config) -> pd.DataFrame:
    """Read the {a} table and drop what cannot be used."""
    frame = pd.read_parquet(config.path, columns=list(config.columns))
    before = len(frame)
    frame = frame.dropna(subset=["{b}"])
    if len(frame) < before * 0.9:
        logger.warning("dropped %d of %d rows of {a}", before - len(frame), before)
    for column in config.columns:
        if column not in frame.columns:
            raise ValueError(f"column {{column}} is missing from {{config.path}}")
    return frame.rename(columns={{"{c}": "{c}_raw"}})
'''

FEATURES = '''

def {b}_features_{i}(frame: pd.DataFrame, window: int = {n}) -> pd.DataFrame:
    """Rolling features of {b} by {c}."""
    grouped = frame.sort_values("{c}").groupby("{a}")["{b}"]
    out = pd.DataFrame(
        {{
            "{b}_mean": grouped.transform(lambda s: s.rolling(window, min_periods=1).mean()),
            "{b}_std": grouped.transform(lambda s: s.rolling(window, min_periods=1).std()),
            "{b}_lag": grouped.shift(1),
            "{b}_ratio": np.where(frame["{b}"] > 0, frame["{c}"] / frame["{b}"], 0.0),
        }}
    )
    return out.fillna(settings.FILL)
'''

TRAIN = '''

def train_{c}_{i}(config: {cls}Config, frame: pd.DataFrame) -> float:
    """Fit, log and return the area under the curve."""
    x, y = frame.drop(columns=["label"]), frame["label"]
    x_train, x_test, y_train, y_test = train_test_split(x, y, test_size=0.2, random_state={n})
    with mlflow.start_run(run_name="{a}-{b}"):
        model = RandomForestClassifier(
            n_estimators=config.n_estimators, max_depth=config.max_depth, random_state={n}
        )
        model.fit(x_train, y_train)
        auc = float(roc_auc_score(y_test, model.predict_proba(x_test)[:, 1]))
        mlflow.log_params({{"n_estimators": config.n_estimators, "max_depth": config.max_depth}})
        mlflow.log_metric("auc", auc)
        if auc > config.threshold:
            mlflow.sklearn.log_model(model, "model", registered_model_name="{a}_{b}")
    return auc
'''

TEST = """

def test_{a}_{b}_{i}(tmp_path: Path) -> None:
    frame = pd.DataFrame({{"{a}": [1, 2, 3], "{b}": [0.1, {n}, {d}], "{c}": ["x", "y", "z"]}})
    frame.to_parquet(tmp_path / "{a}.parquet")
    assert len(frame) == 3
    assert frame["{b}"].max() <= max({n}, {d})
"""

WORKFLOW = """name: {a} {b}
on:
  push:
    branches: [main]
  schedule:
    - cron: "{d} {h} * * *"
env:
  MODEL: {a}_{b}
jobs:
"""

JOB = """  {c}_{i}:
    runs-on: ubuntu-latest
    timeout-minutes: {n}
    steps:
      - uses: actions/checkout@v4
      - uses: actions/setup-python@v5
        with:
          python-version: "3.11"
          cache: pip
      - name: install
        run: |
          python -m pip install -r requirements.txt
          python -m pip install -e .
      - name: {c}
        run: python -m pipelines.{a} --config conf/{b}.yaml --seed {n}
        env:
          TRACKING: ${{{{ secrets.TRACKING }}}}
"""

MANIFEST = """apiVersion: apps/v1
kind: Deployment
metadata:
  name: {a}-{b}
  labels: {{app: {a}, part: {c}}}
spec:
  replicas: {d}
  selector:
    matchLabels: {{app: {a}}}
  template:
    metadata:
      labels: {{app: {a}}}
    spec:
      containers:
        - name: server
          image: registry.example.com/{a}/{b}:1.{d}.{n}
          ports: [{{containerPort: 8080}}]
          resources:
            requests: {{cpu: 500m, memory: 1Gi}}
            limits: {{cpu: "2", memory: 4Gi}}
          readinessProbe:
            httpGet: {{path: /ready, port: 8080}}
            initialDelaySeconds: {d}
          env:
            - name: MODEL_NAME
              value: {a}_{b}
            - name: THRESHOLD
              value: "0.{n}"
---
apiVersion: v1
kind: Service
metadata:
  name: {a}-{b}
spec:
  selector: {{app: {a}}}
  ports:
    - port: 80
      targetPort: 8080
"""

DOCKERFILE = """FROM python:3.11-slim AS build
WORKDIR /app
COPY requirements.txt .
RUN python -m pip install --no-cache-dir -r requirements.txt
COPY src/{a} /app/{a}
ENV MODEL={a}_{b} WORKERS={d}
EXPOSE 80{n}
HEALTHCHECK CMD ["python", "-m", "{a}.health"]
USER 1000
CMD ["python", "-m", "{a}.serve", "--port", "80{n}"]
"""

SECTION = """
## {a} and {b} {i}

The {a} model reads the {b} table every night and writes a score for each {c}. The threshold is
0.{n}; it was chosen on the validation set of last year. Whoever changes it asks the {c} team first.

- Input: `data/{a}_{b}.parquet`, {n} columns
- Output: one row for each {c}, with a score between 0 and 1
- Owner: the {c} team

```python
from {a} import train

train.main(window={n})
```
"""


class _Maker:
    """Fills the templates; the seed makes every run of it the same."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)

    def fill(self, template: str, i: int) -> str:
        a, b, c = self._random.sample(WORDS, 3)
        return template.format(
            a=a,
            b=b,
            c=c,
            i=i,
            n=self._random.randint(10, 99),
            d=self._random.randint(2, 9),
            h=self._random.randint(0, 23),
            cls="Run",
            package="company",
            title=f"{a.title()} by {b}",
            words=" ".join(self._random.choices(WORDS, k=8)),
        )

    def repeated(self, templates: tuple[str, ...], low: int, high: int) -> str:
        count = self._random.randint(low, high)
        return "".join(self.fill(self._random.choice(templates), i) for i in range(count))

    def python(self, number: int) -> tuple[str, str]:
        if number % 5 == 0:
            head = "from pathlib import Path\n\nimport pandas as pd\n"
            return f"tests/unit/test_part_{number}.py", head + self.repeated((TEST,), 4, 12)
        body = self.fill(HEAD, number) + self.repeated((LOAD, FEATURES, TRAIN), 3, 8)
        return f"src/company/area_{number % 23}/module_{number}.py", body

    def yaml(self, number: int) -> tuple[str, str]:
        if number % 4 == 0:
            text = self.fill(WORKFLOW, number) + self.repeated((JOB,), 1, 4)
            return f".github/workflows/flow_{number}.yml", text
        if number % 4 == 1:
            values = "".join(
                self.fill("{a}_{i}:\n  {b}: {n}\n  {c}: [{d}, {n}]\n  enabled: true\n", i)
                for i in range(12)
            )
            return f"conf/run_{number}.yaml", values
        return f"deploy/app_{number}.yaml", self.fill(MANIFEST, number)

    def notebook(self, number: int) -> tuple[str, str]:
        cells: list[dict[str, object]] = []
        for i in range(self._random.randint(8, 16)):
            cells.append({"cell_type": "markdown", "metadata": {}, "source": [f"## Step {i}\n"]})
            code = self.fill(self._random.choice((LOAD, FEATURES)), i)
            picture = "".join(self._random.choices("ABCDEFGHabcdefgh0123456789+/", k=3000))
            cells.append(
                {
                    "cell_type": "code",
                    "execution_count": i + 1,
                    "metadata": {},
                    "source": code.splitlines(keepends=True),
                    "outputs": [
                        {
                            "output_type": "display_data",
                            "metadata": {},
                            "data": {"image/png": picture, "text/plain": ["<Figure>"]},
                        }
                    ],
                }
            )
        whole = {"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
        return f"notebooks/look_{number}.ipynb", json.dumps(whole, indent=1)

    def docker(self, number: int) -> tuple[str, str]:
        return f"images/image_{number}/Dockerfile", self.fill(DOCKERFILE, number)

    def markdown(self, number: int) -> tuple[str, str]:
        return f"docs/page_{number}.md", "# Notes\n" + self.repeated((SECTION,), 2, 8)

    def json(self, number: int) -> tuple[str, str]:
        rows = [{"name": self.fill("{a} {b}", i), "value": i} for i in range(60)]
        return f"schemas/table_{number}.json", json.dumps({"rows": rows}, indent=2)

    def toml(self, number: int) -> tuple[str, str]:
        lines = (self.fill('{a}_{i} = {{ {b} = {n}, {c} = "{d}" }}\n', i) for i in range(30))
        return f"services/service_{number}/pyproject.toml", "[tool.company]\n" + "".join(lines)


def make(folder: Path, seed: int = 7, scale: float = 1.0) -> list[Path]:
    """Write the files into `folder` (new or empty) and return their paths.

    `scale` 10 makes ten times as many of each kind, 0.1 a tenth.
    """
    maker = _Maker(seed)
    kinds: dict[str, Callable[[int], tuple[str, str]]] = {
        "python": maker.python,
        "yaml": maker.yaml,
        "notebook": maker.notebook,
        "docker": maker.docker,
        "markdown": maker.markdown,
        "json": maker.json,
        "toml": maker.toml,
    }
    made = []
    for kind, count in COUNTS.items():
        for number in range(round(count * scale)):
            name, text = kinds[kind](number)
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, "utf-8")
            made.append(path)
    return made
