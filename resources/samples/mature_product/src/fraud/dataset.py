"""Read one immutable snapshot of labelled payments."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import boto3
import pandas as pd

from fraud.schema import validate


@dataclass(frozen=True)
class Snapshot:
    """Checked payments, oldest first, and the version that names them exactly."""

    payments: pd.DataFrame
    version: str


@dataclass(frozen=True)
class Split:
    """Payments cut by time: `test` is the newest part."""

    train: pd.DataFrame
    validation: pd.DataFrame
    test: pd.DataFrame


def read_table(location: str) -> tuple[pd.DataFrame, str]:
    """Read a CSV or Parquet file (path or s3://): the table and the SHA-256 of the file."""
    if not location.startswith("s3://"):
        return _read(Path(location))
    bucket, _, key = location.removeprefix("s3://").partition("/")
    with TemporaryDirectory() as folder:
        path = Path(folder, Path(key).name)
        boto3.client("s3").download_file(bucket, key, str(path))
        return _read(path)


def _read(path: Path) -> tuple[pd.DataFrame, str]:
    table = pd.read_parquet(path) if path.suffix == ".parquet" else pd.read_csv(path)
    return table, hashlib.sha256(path.read_bytes()).hexdigest()


def open_snapshot(location: str) -> Snapshot:
    """Read and check a snapshot.  Raises SchemaErrors: a bad snapshot stops the run."""
    table, digest = read_table(location)
    payments: pd.DataFrame = (
        validate(table).sort_values("event_time", kind="stable").reset_index(drop=True)
    )
    return Snapshot(payments, f"{location}@sha256:{digest}")


def matured(payments: pd.DataFrame, label_delay_days: int) -> pd.DataFrame:
    """Leave out the newest payments: a fraud among them may not be reported yet."""
    newest = payments["event_time"].max() - pd.Timedelta(days=label_delay_days)
    ripe: pd.DataFrame = payments[payments["event_time"] <= newest]
    return ripe


def split_by_time(payments: pd.DataFrame, validation_share: float, test_share: float) -> Split:
    """Cut payments (oldest first) into train, validation and test."""
    test_at = round(len(payments) * (1 - test_share))
    validation_at = round(len(payments) * (1 - test_share - validation_share))
    return Split(
        train=payments.iloc[:validation_at],
        validation=payments.iloc[validation_at:test_at],
        test=payments.iloc[test_at:],
    )
