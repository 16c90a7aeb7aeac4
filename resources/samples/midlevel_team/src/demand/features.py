"""Features of the demand model.  Training and weekly scoring both build them here."""

from __future__ import annotations

import pandas as pd

KEYS = ["store_id", "sku"]
TARGET = "units"
FEATURES = [
    "lag_1",
    "lag_2",
    "lag_4",
    "mean_4",
    "mean_8",
    "price",
    "price_change",
    "promo",
    "holiday",
    "week_of_year",
]
HISTORY_WEEKS = 8


def build_features(sales: pd.DataFrame) -> pd.DataFrame:
    """Return `sales` with the feature columns added.

    A row only sees weeks before its own, so the week to forecast may have no `units`.
    Rows without a full history of HISTORY_WEEKS weeks are left out.
    """
    rows = sales.sort_values([*KEYS, "week"]).reset_index(drop=True)
    units = rows.groupby(KEYS)[TARGET]
    for lag in (1, 2, 4):
        rows[f"lag_{lag}"] = units.shift(lag)
    for window in (4, 8):
        rows[f"mean_{window}"] = units.transform(
            lambda series, size=window: series.shift(1).rolling(size).mean()
        )
    last_price = rows.groupby(KEYS)["price"].shift(1)
    rows["price_change"] = (rows["price"] - last_price) / last_price
    rows["week_of_year"] = rows["week"].dt.isocalendar().week.astype(int)
    return rows.dropna(subset=FEATURES).reset_index(drop=True)
