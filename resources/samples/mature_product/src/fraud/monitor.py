"""Daily monitoring: drift of features and scores, live quality per slice, age of the model."""

from __future__ import annotations

import argparse
import json
import os
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd
import yaml
from evidently import Report
from evidently.presets import DataDriftPreset
from prometheus_client import CollectorRegistry, Gauge, push_to_gateway

from fraud.dataset import read_table
from fraud.features import FEATURES, slices
from fraud.registry import champion, read_reference, read_report


@dataclass(frozen=True)
class Drift:
    """Drift per column (PSI, 0 or more), and whether enough columns drifted to act."""

    by_column: dict[str, float]
    share: float
    alarm: bool


def measure_drift(current: pd.DataFrame, reference: pd.DataFrame, policy: dict[str, Any]) -> Drift:
    """Compare the columns of two tables; too few rows never raise an alarm."""
    preset = DataDriftPreset(
        method=policy["drift_method"],
        threshold=policy["drift_threshold"],
        drift_share=policy["drift_share"],
    )
    result = Report([preset]).run(current[reference.columns], reference).dict()
    by_column = {
        metric["config"]["column"]: float(metric["value"])
        for metric in result["metrics"]
        if "column" in metric["config"]
    }
    drifted = sum(value >= policy["drift_threshold"] for value in by_column.values())
    share = drifted / len(by_column)
    enough = len(current) >= policy["minimum_rows"]
    return Drift(by_column, share, alarm=enough and share >= policy["drift_share"])


def measure_quality(labelled: pd.DataFrame) -> dict[str, dict[str, float]]:
    """Return precision and recall of "not approved" per slice, for predictions with a label."""
    figures = {}
    for name, mask in {"all": labelled["score"].notna(), **slices(labelled)}.items():
        rows = labelled[mask]
        flagged, fraud = rows["decision"] != "approve", rows["is_fraud"] == 1
        hits = int((flagged & fraud).sum())
        figures[name] = {
            "precision": hits / max(int(flagged.sum()), 1),
            "recall": hits / max(int(fraud.sum()), 1),
        }
    return figures


def push(gateway: str, drift: Drift, quality: dict[str, dict[str, float]], age_days: float) -> None:
    """Hand the figures to Prometheus; deploy/overlays/prod/alerts.yaml has the alerts on them."""
    registry = CollectorRegistry()
    by_column = Gauge("fraud_drift_psi", "PSI per column", ["column"], registry=registry)
    for column, value in drift.by_column.items():
        by_column.labels(column=column).set(value)
    Gauge("fraud_drift_share", "Share of columns drifted", registry=registry).set(drift.share)
    precision = Gauge("fraud_live_precision", "Live precision", ["slice"], registry=registry)
    recall = Gauge("fraud_live_recall", "Live recall", ["slice"], registry=registry)
    for name, figures in quality.items():
        precision.labels(slice=name).set(figures["precision"])
        recall.labels(slice=name).set(figures["recall"])
    Gauge("fraud_model_age_days", "Days since the training data ended", registry=registry).set(
        age_days
    )
    done = Gauge("fraud_monitor_last_success_timestamp_seconds", "Last run", registry=registry)
    done.set_to_current_time()
    push_to_gateway(gateway, job="fraud_monitor", registry=registry)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--predictions", required=True, help="prediction log of the day")
    parser.add_argument("--labelled", required=True, help="predictions whose labels came in")
    parser.add_argument("--config", type=Path, default=Path("conf/model.yaml"))
    parser.add_argument("--result", type=Path, required=True)
    args = parser.parse_args()
    config = yaml.safe_load(args.config.read_text(encoding="utf-8"))
    version = champion()
    if version is None:
        raise SystemExit("no champion in the registry: nothing to monitor")

    reference = read_reference(version)[[*FEATURES, "score"]]
    current, _ = read_table(args.predictions)
    drift = measure_drift(current, reference, config["monitoring"])
    quality = measure_quality(read_table(args.labelled)[0])
    report = read_report(config["name"], version)
    age = datetime.now(UTC) - datetime.fromisoformat(report["trained_until"])
    push(os.environ["PUSHGATEWAY"], drift, quality, age.total_seconds() / 86_400)

    weak = quality["all"]["recall"] < config["monitoring"]["minimum_recall"]
    verdict = {"retrain": drift.alarm or weak, "drift_share": drift.share, "weak": weak}
    args.result.write_text(json.dumps(verdict), encoding="utf-8")


if __name__ == "__main__":
    main()
