"""Check the sales table; the pipeline stops if a row breaks the schema."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pandas as pd
import pandera.pandas as pa
from pandera.errors import SchemaErrors

SALES = pa.DataFrameSchema(
    {
        "week": pa.Column("datetime64[ns]", pa.Check(lambda week: week.dt.day_of_week == 0)),
        "store_id": pa.Column(str, pa.Check.str_matches(r"^S\d{3}$")),
        "sku": pa.Column(str, pa.Check.str_matches(r"^A\d{5}$")),
        "units": pa.Column(float, pa.Check.in_range(0, 10_000), nullable=True),
        "price": pa.Column(float, pa.Check.in_range(0.01, 500)),
        "promo": pa.Column(int, pa.Check.isin([0, 1])),
        "holiday": pa.Column(int, pa.Check.isin([0, 1])),
    },
    unique=["week", "store_id", "sku"],
    strict=True,
    coerce=True,
)


def read_sales(path: Path) -> pd.DataFrame:
    """Read a sales table and check it.  Raises SchemaErrors with every broken rule."""
    return SALES.validate(pd.read_csv(path, parse_dates=["week"]), lazy=True)


def main(source: Path, report: Path) -> int:
    try:
        sales = read_sales(source)
    except SchemaErrors as error:
        print(error.failure_cases.head(20).to_string(), file=sys.stderr)
        return 1
    report.parent.mkdir(parents=True, exist_ok=True)
    summary = {"rows": len(sales), "last_week": str(sales["week"].max().date())}
    report.write_text(json.dumps(summary) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2])))
