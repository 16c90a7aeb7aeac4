"""Training, the gate, promotion and the guard of retraining."""

from __future__ import annotations

import json
from copy import deepcopy
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import mlflow
import pytest
import yaml

from fraud import registry
from fraud.dataset import open_snapshot
from fraud.gate import failures
from fraud.model_card import model_card
from fraud.train import fit, train

ROOT = Path(__file__).parents[1]
SAMPLE = str(ROOT / "tests/data/transactions_sample.csv")
CONFIG: dict[str, Any] = yaml.safe_load((ROOT / "conf/model.yaml").read_text(encoding="utf-8"))
NOW = datetime(2026, 9, 1, tzinfo=UTC)
GOOD: dict[str, Any] = {
    "candidate": {"average_precision": 0.80, "recall_at_1pct_fpr": 0.60},
    "champion": {"average_precision": 0.79, "recall_at_1pct_fpr": 0.60},
    "baseline": {"average_precision": 0.40, "recall_at_1pct_fpr": 0.20},
    "slices": {"foreign": {"average_precision": 0.75, "recall_at_1pct_fpr": 0.5, "rows": 900}},
}


def test_good_candidate_passes() -> None:
    assert failures(GOOD, CONFIG["gate"]) == []


@pytest.mark.parametrize(
    ("part", "name", "value", "reason"),
    [
        ("candidate", "recall_at_1pct_fpr", 0.10, "minimum"),
        ("candidate", "average_precision", float("nan"), "minimum"),
        ("baseline", "average_precision", 0.75, "baseline"),
        ("champion", "average_precision", 0.85, "champion"),
        ("slices", "average_precision", 0.30, "slice foreign"),
    ],
)
def test_bad_candidate_is_refused(part: str, name: str, value: float, reason: str) -> None:
    report = deepcopy(GOOD)
    figures = report[part]["foreign"] if part == "slices" else report[part]
    figures[name] = value
    assert any(reason in found for found in failures(report, CONFIG["gate"]))


def test_first_version_is_gated_too() -> None:
    assert failures({**GOOD, "champion": None}, CONFIG["gate"]) == []
    weak = {"average_precision": 0.2, "recall_at_1pct_fpr": 0.1}
    assert failures({**GOOD, "champion": None, "candidate": weak}, CONFIG["gate"])


def test_the_same_data_and_seed_give_the_same_model() -> None:
    payments = open_snapshot(SAMPLE).payments
    params = {"num_leaves": 7, "rounds": 20, "learning_rate": 0.1, "min_data_in_leaf": 10}
    first, second = (fit(payments, params, seed=1).model_to_string() for _ in range(2))
    assert first == second


def test_only_gated_versions_are_released(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    mlflow.set_tracking_uri(f"sqlite:///{tmp_path}/mlflow.db")
    version = train(SAMPLE, CONFIG, tmp_path / "out")
    with pytest.raises(registry.NotGatedError):
        registry.fetch(version, tmp_path / "model")

    report = registry.read_report(CONFIG["name"], version)
    registry.set_gate(CONFIG["name"], version, passed=not failures(report, CONFIG["gate"]))
    registry.fetch(version, tmp_path / "model")
    registry.promote(version)
    assert registry.champion() == version
    release = json.loads((tmp_path / "model/release.json").read_text(encoding="utf-8"))
    card = model_card(release["version"], report, CONFIG)
    assert report["data_version"] in card
    assert "slice foreign" in card


def test_retraining_is_rate_limited_and_can_be_paused() -> None:
    policy = CONFIG["retraining"]
    week_ago = NOW - timedelta(days=7)
    assert registry.may_retrain([week_ago], NOW, policy, paused=False) is None
    assert registry.may_retrain([week_ago], NOW, policy, paused=True)
    assert registry.may_retrain([NOW - timedelta(days=1)], NOW, policy, paused=False)
    many = [NOW - timedelta(days=4 * n) for n in range(1, 7)]
    assert registry.may_retrain(many, NOW, policy, paused=False)
