"""Train the demand model and record the run in MLflow."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import joblib
import mlflow
import pandas as pd
import yaml
from sklearn.ensemble import HistGradientBoostingRegressor

from demand.features import FEATURES, TARGET

EXPERIMENT = "demand-forecast"


def fit(rows: pd.DataFrame, params: dict[str, Any]) -> HistGradientBoostingRegressor:
    """Fit the model on prepared rows."""
    model = HistGradientBoostingRegressor(
        loss="poisson",
        learning_rate=params["learning_rate"],
        max_iter=params["max_iter"],
        max_leaf_nodes=params["max_leaf_nodes"],
        min_samples_leaf=params["min_samples_leaf"],
        random_state=params["seed"],
    )
    return model.fit(rows[FEATURES], rows[TARGET])


def main(source: Path, target: Path) -> None:
    params = yaml.safe_load(Path("params.yaml").read_text(encoding="utf-8"))["train"]
    rows = pd.read_csv(source, parse_dates=["week"])
    commit = subprocess.run(
        ["git", "rev-parse", "HEAD"], check=True, capture_output=True, text=True
    ).stdout.strip()

    mlflow.set_experiment(EXPERIMENT)
    with mlflow.start_run() as run:
        mlflow.log_params(params)
        mlflow.set_tags({"git_commit": commit, "train_rows": str(len(rows))})
        model = fit(rows, params)
        target.mkdir(parents=True, exist_ok=True)
        joblib.dump(model, target / "model.joblib")
        mlflow.log_artifact(str(target / "model.joblib"))
    (target / "run_id.txt").write_text(run.info.run_id + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
