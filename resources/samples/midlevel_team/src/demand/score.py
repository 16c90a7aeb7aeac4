"""Weekly scoring job: forecast the newest week of the sales table."""

from __future__ import annotations

import logging
import sys
import time
from pathlib import Path

import joblib
import pandas as pd

from demand.features import FEATURES, KEYS, build_features
from demand.validate import read_sales

MODEL = Path("models/model.joblib")
log = logging.getLogger("demand.score")


def forecast(sales: pd.DataFrame, model_path: Path = MODEL) -> pd.DataFrame:
    """Return the forecast of the newest week: week, store_id, sku, units (0 or more)."""
    rows = build_features(sales)
    newest = rows[rows["week"] == rows["week"].max()].copy()
    newest["units"] = joblib.load(model_path).predict(newest[FEATURES]).clip(min=0).round(1)
    return newest[["week", *KEYS, "units"]]


def main(source: Path, target: Path) -> None:
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    started = time.monotonic()
    result = forecast(read_sales(source))
    result.to_csv(target, index=False)
    log.info("wrote %d forecasts to %s in %.1f s", len(result), target, time.monotonic() - started)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
