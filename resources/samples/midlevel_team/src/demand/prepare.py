"""Build the features and cut the last weeks off as test set."""

from __future__ import annotations

import sys
from pathlib import Path

import pandas as pd
import yaml

from demand.features import TARGET, build_features
from demand.validate import read_sales


def split_by_week(rows: pd.DataFrame, test_weeks: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Split by time: the newest `test_weeks` weeks are the test set."""
    weeks = sorted(rows["week"].unique())
    cut = weeks[-test_weeks]
    return rows[rows["week"] < cut], rows[rows["week"] >= cut]


def main(source: Path, target: Path) -> None:
    params = yaml.safe_load(Path("params.yaml").read_text(encoding="utf-8"))["split"]
    rows = build_features(read_sales(source)).dropna(subset=[TARGET])
    train, test = split_by_week(rows, params["test_weeks"])
    target.mkdir(parents=True, exist_ok=True)
    train.to_csv(target / "train.csv", index=False)
    test.to_csv(target / "test.csv", index=False)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
