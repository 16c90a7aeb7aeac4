"""Drift and live quality."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml

from fraud.dataset import open_snapshot
from fraud.features import build_features
from fraud.monitor import measure_drift, measure_quality

ROOT = Path(__file__).parents[1]
POLICY: dict[str, Any] = yaml.safe_load((ROOT / "conf/model.yaml").read_text(encoding="utf-8"))[
    "monitoring"
]


@pytest.fixture(scope="module")
def features() -> pd.DataFrame:
    sample = open_snapshot(str(ROOT / "tests/data/transactions_sample.csv"))
    return build_features(sample.payments)


def test_no_alarm_on_the_same_distribution(features: pd.DataFrame) -> None:
    drift = measure_drift(features, features.sample(frac=1, random_state=1), POLICY)
    assert not drift.alarm
    assert set(drift.by_column) == set(features.columns)


def test_alarm_on_a_shift(features: pd.DataFrame) -> None:
    shifted = features.assign(log_amount=features["log_amount"] + 3, tx_count_1h=9.0, is_night=1.0)
    drift = measure_drift(shifted, features, POLICY)
    assert drift.alarm
    assert drift.by_column["log_amount"] > POLICY["drift_threshold"]


def test_few_rows_never_raise_an_alarm(features: pd.DataFrame) -> None:
    shifted = features.assign(log_amount=9.0, tx_count_1h=9.0, is_night=1.0).head(50)
    assert not measure_drift(shifted, features, POLICY).alarm


def test_quality_per_slice() -> None:
    labelled = pd.DataFrame(
        {
            "score": [0.9, 0.1, 0.9, 0.1],
            "decision": ["decline", "approve", "review", "approve"],
            "is_fraud": [1, 1, 0, 0],
            "card_country": ["SE"] * 4,
            "merchant_country": ["SE", "SE", "FR", "FR"],
            "card_age_days": [10, 1000, 10, 1000],
        }
    )
    figures = measure_quality(labelled)
    assert figures["all"] == {"precision": 0.5, "recall": 0.5}
    assert figures["domestic"]["precision"] == 1.0
    assert figures["foreign"]["recall"] == 0.0
