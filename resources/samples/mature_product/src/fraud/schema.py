"""Schema and value checks of payments in training; serving shares the bounds."""

from __future__ import annotations

import pandas as pd
import pandera.pandas as pa

from fraud.features import BOUNDS, COUNTRY_PATTERN, ID_PATTERN

PAYMENTS = pa.DataFrameSchema(
    {
        "transaction_id": pa.Column(str, pa.Check.str_matches(ID_PATTERN), unique=True),
        "card_token": pa.Column(str, pa.Check.str_matches(ID_PATTERN)),
        "event_time": pa.Column(pd.DatetimeTZDtype("ns", "UTC")),
        "merchant_country": pa.Column(str, pa.Check.str_matches(COUNTRY_PATTERN)),
        "card_country": pa.Column(str, pa.Check.str_matches(COUNTRY_PATTERN)),
        **{name: pa.Column(float, pa.Check.in_range(*BOUNDS[name])) for name in BOUNDS},
        "is_fraud": pa.Column(int, pa.Check.isin([0, 1])),
    },
    checks=pa.Check(
        lambda payments: 0.0005 <= payments["is_fraud"].mean() <= 0.25,
        error="share of fraud outside 0.05 % to 25 %",
    ),
    strict=True,
    coerce=True,
)


def validate(payments: pd.DataFrame) -> pd.DataFrame:
    """Return the checked payments.  Raises SchemaErrors with every broken rule."""
    return PAYMENTS.validate(payments, lazy=True)
