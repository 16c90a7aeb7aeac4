from __future__ import annotations

import pandas as pd
import pytest

from demand.features import FEATURES, HISTORY_WEEKS, build_features
from demand.prepare import split_by_week


@pytest.fixture
def sales() -> pd.DataFrame:
    weeks = pd.date_range("2026-01-05", periods=12, freq="7D")
    return pd.DataFrame(
        {
            "week": weeks,
            "store_id": "S001",
            "sku": "A00001",
            "units": [float(n) for n in range(12)],
            "price": [2.0] * 11 + [1.5],
            "promo": 0,
            "holiday": 0,
        }
    )


def test_lags_and_means_look_back_only(sales: pd.DataFrame) -> None:
    last = build_features(sales).iloc[-1]
    assert (last["lag_1"], last["lag_2"], last["lag_4"]) == (10, 9, 7)
    assert last["mean_4"] == pytest.approx(8.5)
    assert last["price_change"] == pytest.approx(-0.25)


def test_own_units_never_change_the_features(sales: pd.DataFrame) -> None:
    before = build_features(sales).iloc[-1][FEATURES]
    sales.loc[11, "units"] = None
    after = build_features(sales).iloc[-1][FEATURES]
    pd.testing.assert_series_equal(before, after)


def test_rows_without_history_are_left_out(sales: pd.DataFrame) -> None:
    assert len(build_features(sales)) == 12 - HISTORY_WEEKS


def test_series_do_not_mix(sales: pd.DataFrame) -> None:
    other = sales.assign(sku="A00002", units=100.0)
    rows = build_features(pd.concat([sales, other]))
    assert (rows.loc[rows["sku"] == "A00002", "lag_1"] == 100).all()


def test_split_is_by_time(sales: pd.DataFrame) -> None:
    train, test = split_by_week(sales, test_weeks=3)
    assert len(test) == 3
    assert train["week"].max() < test["week"].min()
