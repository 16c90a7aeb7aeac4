from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from pandera.errors import SchemaErrors

from demand.validate import SALES, main, read_sales

SAMPLE = Path(__file__).parent / "data" / "sales_sample.csv"


def test_sample_is_valid() -> None:
    assert len(read_sales(SAMPLE)) == 280


@pytest.mark.parametrize(
    ("column", "value"),
    [("units", -1.0), ("price", 0.0), ("promo", 2), ("store_id", "17"), ("week", "2026-01-06")],
)
def test_bad_value_is_refused(column: str, value: object) -> None:
    sales = pd.read_csv(SAMPLE).astype({column: object})
    sales.loc[0, column] = value
    with pytest.raises(SchemaErrors):
        SALES.validate(sales, lazy=True)


def test_duplicates_stop_the_pipeline(tmp_path: Path) -> None:
    sales = pd.read_csv(SAMPLE)
    broken = tmp_path / "sales.csv"
    pd.concat([sales, sales.head(1)]).to_csv(broken, index=False)
    assert main(broken, tmp_path / "report.json") == 1
    assert not (tmp_path / "report.json").exists()
