"""The feature library.  Training, serving and monitoring all build their features here.

Bounds of the inputs and the rule score stand here too: training and serving share them.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

FEATURES = [
    "log_amount",
    "amount_to_24h",
    "tx_count_1h",
    "card_age_days",
    "is_foreign",
    "is_night",
    "merchant_risk_30d",
]
ID_PATTERN = r"^[a-z]{2}_[0-9a-f]{12}$"
COUNTRY_PATTERN = r"^[A-Z]{2}$"
BOUNDS: dict[str, tuple[float, float]] = {
    "amount": (0.01, 50_000.0),
    "amount_24h": (0.0, 500_000.0),
    "tx_count_1h": (0.0, 500.0),
    "card_age_days": (0.0, 15_000.0),
    "merchant_risk_30d": (0.0, 1.0),
}


def build_features(payments: pd.DataFrame) -> pd.DataFrame:
    """Return one row of FEATURES (floats) per payment, in the same order.

    Each row is computed from its own columns alone: all of them were known at `event_time`,
    so no payment can see a later one.
    """
    spent = payments["amount"] + payments["amount_24h"]
    hour = pd.to_datetime(payments["event_time"], utc=True).dt.hour
    features = pd.DataFrame(
        {
            "log_amount": np.log1p(payments["amount"]),
            "amount_to_24h": payments["amount"] / spent,
            "tx_count_1h": payments["tx_count_1h"],
            "card_age_days": payments["card_age_days"],
            "is_foreign": payments["merchant_country"] != payments["card_country"],
            "is_night": (hour >= 23) | (hour < 6),
            "merchant_risk_30d": payments["merchant_risk_30d"],
        },
        index=payments.index,
    )
    return features[FEATURES].astype(float)


def rule_score(features: pd.DataFrame) -> pd.Series:
    """Return a risk from 0 to 1 per row: the baseline in training, the fallback in serving."""
    burst = (features["tx_count_1h"] >= 6) * 0.4
    abroad = features["is_foreign"] * features["is_night"] * 0.3
    merchant = features["merchant_risk_30d"].clip(0, 0.1) * 3
    return burst + abroad + merchant


def slices(payments: pd.DataFrame) -> dict[str, pd.Series]:
    """Return the segments that quality is broken down by: name to mask."""
    foreign = payments["merchant_country"] != payments["card_country"]
    new_card = payments["card_age_days"] < 90
    return {
        "domestic": ~foreign,
        "foreign": foreign,
        "new_card": new_card,
        "old_card": ~new_card,
    }
