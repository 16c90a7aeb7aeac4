"""The scoring service: contract, one known prediction, fallback, prediction log."""

from __future__ import annotations

import json
import queue
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from fraud import serve
from fraud.dataset import open_snapshot
from fraud.prediction_log import PredictionLog
from fraud.train import fit

ROOT = Path(__file__).parents[1]
PARAMS = {"num_leaves": 7, "rounds": 30, "learning_rate": 0.1, "min_data_in_leaf": 10}
AUTH = {"Authorization": "Bearer test-caller"}
PAYMENT: dict[str, Any] = {
    "transaction_id": "tx_0123456789ab",
    "card_token": "ct_0123456789ab",
    "event_time": "2026-08-01T02:30:00Z",
    "merchant_country": "FR",
    "card_country": "SE",
    "amount": 900.0,
    "amount_24h": 40.0,
    "tx_count_1h": 8,
    "card_age_days": 12,
    "merchant_risk_30d": 0.09,
}


@pytest.fixture
def logged(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    records: list[bytes] = []

    def sink(batch: list[bytes]) -> int:
        records.extend(batch)
        return 0

    monkeypatch.setattr(serve, "firehose_sink", lambda stream: sink)
    return records


@pytest.fixture
def client(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, logged: list[bytes]
) -> Iterator[TestClient]:
    payments = open_snapshot(str(ROOT / "tests/data/transactions_sample.csv")).payments
    fit(payments, PARAMS, seed=1).save_model(tmp_path / "model.txt")
    (tmp_path / "release.json").write_text('{"version": "7"}', encoding="utf-8")
    (tmp_path / "token").write_text("test-caller\n", encoding="utf-8")
    monkeypatch.setenv("MODEL_DIR", str(tmp_path))
    monkeypatch.setenv("MODEL_CONFIG", str(ROOT / "conf/model.yaml"))
    monkeypatch.setenv("CALLER_TOKEN_FILE", str(tmp_path / "token"))
    monkeypatch.setenv("PREDICTION_STREAM", "test")
    with TestClient(serve.app) as client:
        yield client


def test_known_fraud_scores_above_a_known_good_payment(client: TestClient) -> None:
    fraud = client.post("/v1/score", json=PAYMENT, headers=AUTH).json()
    good = {**PAYMENT, "merchant_country": "SE", "tx_count_1h": 0, "amount": 20.0}
    good |= {"card_age_days": 2000, "merchant_risk_30d": 0.0, "event_time": "2026-08-01T12:00:00Z"}
    assert fraud["score"] > 0.5 > client.post("/v1/score", json=good, headers=AUTH).json()["score"]
    assert (fraud["source"], fraud["model_version"]) == ("model", "7")
    assert fraud["reasons"]


@pytest.mark.parametrize(
    "change", [{"amount": 0}, {"amount": "NaN"}, {"card_country": "Sweden"}, {"pan": "1"}]
)
def test_bad_input_is_refused(client: TestClient, change: dict[str, Any]) -> None:
    assert client.post("/v1/score", json=PAYMENT | change, headers=AUTH).status_code == 422


def test_unknown_caller_is_refused(client: TestClient) -> None:
    assert client.post("/v1/score", json=PAYMENT).status_code == 401


def test_rules_answer_when_the_model_fails(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Broken:
        def predict(self, features: Any, **_: Any) -> list[float]:
            return [float("nan")]

    monkeypatch.setattr(client.app.state.scorer, "booster", Broken())  # type: ignore[attr-defined]
    answer = client.post("/v1/score", json=PAYMENT, headers=AUTH).json()
    assert (answer["source"], answer["decision"]) == ("rules", "decline")


def test_metrics_and_readiness(client: TestClient) -> None:
    client.post("/v1/score", json=PAYMENT, headers=AUTH)
    text = client.get("/metrics").text
    assert 'fraud_requests_total{status="200"}' in text
    assert 'fraud_model_info{version="7"} 1.0' in text
    assert client.get("/readyz").json()["model_version"] == "7"


def test_predictions_are_logged(client: TestClient, logged: list[bytes]) -> None:
    client.post("/v1/score", json=PAYMENT, headers=AUTH)
    client.app.state.predictions.close()  # type: ignore[attr-defined]
    record = json.loads(logged[0])
    assert record["model_version"] == "7"
    assert record["is_foreign"] == 1.0
    assert "card_token" not in record


def test_a_broken_stream_never_stops_scoring() -> None:
    seen: queue.Queue[int] = queue.Queue()

    def sink(batch: list[bytes]) -> int:
        seen.put(len(batch))
        raise ConnectionError("stream is down")

    log = PredictionLog(sink)
    log.put({"score": 0.1})
    assert seen.get(timeout=5) == 1
    log.put({"score": 0.2})
    log.close()
    assert seen.get(timeout=5) == 1
