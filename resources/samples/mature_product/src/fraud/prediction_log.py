"""Log of predictions: queued, and sent in batches by a thread, so that scoring never waits."""

from __future__ import annotations

import json
import logging
import queue
import threading
from collections.abc import Callable
from typing import Any

import boto3
from prometheus_client import Counter

log = logging.getLogger("fraud.prediction_log")
DROPPED = Counter("fraud_prediction_log_dropped_total", "Predictions that could not be logged")
BATCH = 200
Sink = Callable[[list[bytes]], int]


def firehose_sink(stream: str) -> Sink:
    """Return a sink that writes to a delivery stream and returns how many records failed."""
    client = boto3.client("firehose")

    def send(records: list[bytes]) -> int:
        answer = client.put_record_batch(
            DeliveryStreamName=stream, Records=[{"Data": record} for record in records]
        )
        return int(answer["FailedPutCount"])

    return send


class PredictionLog:
    """Takes predictions at once and sends them later; counts what it had to drop."""

    def __init__(self, sink: Sink, capacity: int = 10_000) -> None:
        self._sink = sink
        self._queue: queue.Queue[bytes | None] = queue.Queue(capacity)
        self._thread = threading.Thread(target=self._run, name="prediction-log", daemon=True)
        self._thread.start()

    def put(self, prediction: dict[str, Any]) -> None:
        """Queue one prediction; never blocks."""
        try:
            self._queue.put_nowait(json.dumps(prediction).encode() + b"\n")
        except queue.Full:
            DROPPED.inc()

    def close(self) -> None:
        """Send what is queued and stop."""
        self._queue.put(None)
        self._thread.join(timeout=10)

    def _run(self) -> None:
        open_ = True
        while open_:
            batch = [self._queue.get()]
            while len(batch) < BATCH and not self._queue.empty():
                batch.append(self._queue.get())
            open_ = None not in batch
            records = [record for record in batch if record is not None]
            if records:
                self._send(records)

    def _send(self, records: list[bytes]) -> None:
        try:
            failed = self._sink(records)
        except Exception:  # the log must outlive any fault of the stream
            log.exception("predictions not logged")
            failed = len(records)
        DROPPED.inc(failed)
