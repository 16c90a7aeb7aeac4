"""Features, parity of training and serving, and the schema."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from pandera.errors import SchemaErrors

from fraud.dataset import matured, open_snapshot, split_by_time
from fraud.features import BOUNDS, FEATURES, build_features, rule_score
from fraud.schema import validate
from fraud.serve import Payment

ROOT = Path(__file__).parents[1]
SAMPLE = str(ROOT / "tests/data/transactions_sample.csv")


@pytest.fixture(scope="module")
def payments() -> pd.DataFrame:
    return open_snapshot(SAMPLE).payments


def test_training_and_serving_compute_equal_features(payments: pd.DataFrame) -> None:
    offline = build_features(payments)
    for position in range(0, len(payments), 50):
        row = payments.iloc[position].drop("is_fraud").to_dict()
        online = build_features(pd.DataFrame([Payment(**row).model_dump()]))
        np.testing.assert_array_equal(online.iloc[0], offline.iloc[position])


def test_features_use_nothing_from_later_payments(payments: pd.DataFrame) -> None:
    earlier = build_features(payments.head(100))
    pd.testing.assert_frame_equal(earlier, build_features(payments).head(100))


def test_features_never_see_the_label(payments: pd.DataFrame) -> None:
    flipped = payments.assign(is_fraud=1 - payments["is_fraud"])
    pd.testing.assert_frame_equal(build_features(flipped), build_features(payments))


def test_features_are_finite_at_the_bounds(payments: pd.DataFrame) -> None:
    for side in (0, 1):
        row = payments.head(1).assign(**{name: bound[side] for name, bound in BOUNDS.items()})
        features = build_features(row)
        assert np.isfinite(features).all(axis=None)
        assert rule_score(features).between(0, 1).all()


def test_catalogue_names_the_features() -> None:
    catalogue = yaml.safe_load((ROOT / "conf/features.yaml").read_text(encoding="utf-8"))
    assert [feature["name"] for feature in catalogue["features"]] == FEATURES
    assert all(feature["owner"] for feature in catalogue["features"])


@pytest.mark.parametrize(
    ("column", "value"),
    [("amount", 0.0), ("merchant_risk_30d", 1.5), ("card_country", "de"), ("is_fraud", 2)],
)
def test_bad_value_stops_the_run(payments: pd.DataFrame, column: str, value: object) -> None:
    broken = payments.astype({column: object})
    broken.loc[3, column] = value
    with pytest.raises(SchemaErrors):
        validate(broken)


def test_unknown_column_and_duplicates_stop_the_run(payments: pd.DataFrame) -> None:
    with pytest.raises(SchemaErrors):
        validate(payments.assign(chargeback_reason="x"))
    with pytest.raises(SchemaErrors):
        validate(pd.concat([payments, payments.head(1)]))


def test_snapshot_version_is_its_hash() -> None:
    assert open_snapshot(SAMPLE).version == open_snapshot(SAMPLE).version
    assert "@sha256:" in open_snapshot(SAMPLE).version


def test_split_is_by_time_and_leaves_out_unripe_labels(payments: pd.DataFrame) -> None:
    ripe = matured(payments, label_delay_days=30)
    assert ripe["event_time"].max() <= payments["event_time"].max() - pd.Timedelta(days=30)
    parts = split_by_time(ripe, validation_share=0.15, test_share=0.2)
    assert parts.train["event_time"].max() <= parts.validation["event_time"].min()
    assert parts.validation["event_time"].max() <= parts.test["event_time"].min()
    assert len(parts.train) + len(parts.validation) + len(parts.test) == len(ripe)
