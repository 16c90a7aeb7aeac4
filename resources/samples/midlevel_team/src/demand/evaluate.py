"""Measure the model on the test weeks, beside the naive forecast (same as last week)."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import joblib
import mlflow
import pandas as pd

from demand.features import FEATURES, TARGET


def wape(actual: pd.Series, forecast: pd.Series) -> float:
    """Weighted absolute percentage error: sum of errors over sum of sales, 0 is perfect."""
    return float((actual - forecast).abs().sum() / actual.sum())


def main(source: Path, models: Path, report: Path) -> None:
    rows = pd.read_csv(source, parse_dates=["week"])
    model = joblib.load(models / "model.joblib")
    forecast = pd.Series(model.predict(rows[FEATURES]), index=rows.index)
    promo = rows["promo"] == 1
    metrics = {
        "wape": wape(rows[TARGET], forecast),
        "wape_promo": wape(rows.loc[promo, TARGET], forecast[promo]),
        "wape_naive": wape(rows[TARGET], rows["lag_1"]),
    }
    for name, value in metrics.items():
        print(f"{name:12s} {value:.4f}")
    if metrics["wape"] > metrics["wape_naive"]:
        print("WARNING: worse than the naive forecast")

    with mlflow.start_run(run_id=(models / "run_id.txt").read_text(encoding="utf-8").strip()):
        mlflow.log_metrics(metrics)
    report.parent.mkdir(parents=True, exist_ok=True)
    report.write_text(json.dumps(metrics, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3]))
