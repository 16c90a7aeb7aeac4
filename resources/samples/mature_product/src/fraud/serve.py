"""The scoring service: typed input, model score with reasons, rule score when the model fails."""

from __future__ import annotations

import hmac
import json
import logging
import math
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated, Literal

import lightgbm as lgb
import pandas as pd
import yaml
from fastapi import Depends, FastAPI, Header, HTTPException, Request, Response
from prometheus_client import Counter, Gauge, Histogram, make_asgi_app
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from fraud.features import BOUNDS, COUNTRY_PATTERN, ID_PATTERN, build_features, rule_score
from fraud.prediction_log import PredictionLog, firehose_sink

log = logging.getLogger("fraud.serve")
REQUESTS = Counter("fraud_requests_total", "Requests to /v1/score", ["status"])
LATENCY = Histogram(
    "fraud_request_seconds",
    "Time of /v1/score",
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1),
)
SCORES = Histogram("fraud_score", "Scores given", buckets=(0.05, 0.1, 0.2, 0.35, 0.5, 0.65, 0.8, 1))
FALLBACKS = Counter("fraud_fallback_total", "Requests answered by the rules")
MODEL = Gauge("fraud_model_info", "Model version loaded", ["version"])


class Payment(BaseModel):
    """A payment to score.  Unknown fields and values outside the training bounds are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    transaction_id: str = Field(pattern=ID_PATTERN)
    card_token: str = Field(pattern=ID_PATTERN)
    event_time: AwareDatetime
    merchant_country: str = Field(pattern=COUNTRY_PATTERN)
    card_country: str = Field(pattern=COUNTRY_PATTERN)
    amount: float = Field(ge=BOUNDS["amount"][0], le=BOUNDS["amount"][1])
    amount_24h: float = Field(ge=BOUNDS["amount_24h"][0], le=BOUNDS["amount_24h"][1])
    tx_count_1h: float = Field(ge=BOUNDS["tx_count_1h"][0], le=BOUNDS["tx_count_1h"][1])
    card_age_days: float = Field(ge=BOUNDS["card_age_days"][0], le=BOUNDS["card_age_days"][1])
    merchant_risk_30d: float = Field(
        ge=BOUNDS["merchant_risk_30d"][0], le=BOUNDS["merchant_risk_30d"][1]
    )


class Verdict(BaseModel):
    """The answer: score 0 to 1, what to do, and the three features that weighed most."""

    transaction_id: str
    score: float
    decision: Literal["approve", "review", "decline"]
    reasons: list[str]
    model_version: str
    source: Literal["model", "rules"]


class Scorer:
    """The model of the image and the thresholds of its configuration."""

    def __init__(self, folder: Path, config: Path) -> None:
        self.booster = lgb.Booster(model_file=folder / "model.txt")
        release = json.loads((folder / "release.json").read_text(encoding="utf-8"))
        self.version: str = release["version"]
        self.limits = yaml.safe_load(config.read_text(encoding="utf-8"))["decision"]
        MODEL.labels(version=self.version).set(1)

    def decide(self, payment: Payment) -> tuple[Verdict, dict[str, float]]:
        """Score a payment; returns the verdict and the features it rests on."""
        features = build_features(pd.DataFrame([payment.model_dump()]))
        source: Literal["model", "rules"] = "model"
        reasons: list[str] = []
        try:
            score = float(self.booster.predict(features)[0])
            if not math.isfinite(score):
                raise ValueError("the score is not finite")
            weights = self.booster.predict(features, pred_contrib=True)[0][:-1]
            ranked = sorted(zip(weights, features.columns, strict=True), reverse=True)
            reasons = [name for weight, name in ranked[:3] if weight > 0]
        except (ValueError, lgb.basic.LightGBMError):
            log.exception("model failed, the rules answer")
            FALLBACKS.inc()
            source, score = "rules", float(rule_score(features).iloc[0])
        SCORES.observe(score)
        verdict = Verdict(
            transaction_id=payment.transaction_id,
            score=score,
            decision=self._decision(score),
            reasons=reasons,
            model_version=self.version,
            source=source,
        )
        return verdict, {str(name): float(features[name].iloc[0]) for name in features.columns}

    def _decision(self, score: float) -> Literal["approve", "review", "decline"]:
        if score >= self.limits["decline"]:
            return "decline"
        return "review" if score >= self.limits["review"] else "approve"


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Load model, caller token and prediction log before the first request."""
    app.state.scorer = Scorer(Path(os.environ["MODEL_DIR"]), Path(os.environ["MODEL_CONFIG"]))
    app.state.token = Path(os.environ["CALLER_TOKEN_FILE"]).read_text(encoding="utf-8").strip()
    app.state.predictions = PredictionLog(firehose_sink(os.environ["PREDICTION_STREAM"]))
    yield
    app.state.predictions.close()


app = FastAPI(title="fraud-scoring", lifespan=lifespan)
app.mount("/metrics", make_asgi_app())


@app.middleware("http")
async def count(request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
    """Count and time the scoring requests, failed ones too."""
    if request.url.path != "/v1/score":
        return await call_next(request)
    started, status = time.perf_counter(), "500"
    try:
        response = await call_next(request)
        status = str(response.status_code)
        return response
    finally:
        REQUESTS.labels(status=status).inc()
        LATENCY.observe(time.perf_counter() - started)


def require_caller(request: Request, authorization: Annotated[str, Header()] = "") -> None:
    """Let in only callers that hold the token of this environment."""
    expected = f"Bearer {request.app.state.token}"
    if not hmac.compare_digest(authorization.encode(), expected.encode()):
        raise HTTPException(status_code=401, detail="unknown caller")


@app.post("/v1/score", dependencies=[Depends(require_caller)])
def score(payment: Payment, request: Request) -> Verdict:
    """Score one payment and log the prediction, off the request path."""
    scorer: Scorer = request.app.state.scorer
    verdict, features = scorer.decide(payment)
    request.app.state.predictions.put(
        {
            **verdict.model_dump(),
            **features,
            "event_time": payment.event_time.isoformat(),
            "card_country": payment.card_country,
            "merchant_country": payment.merchant_country,
        }
    )
    return verdict


@app.get("/healthz")
def healthz() -> dict[str, str]:
    """Liveness."""
    return {"status": "ok"}


@app.get("/readyz")
def readyz(request: Request) -> dict[str, str]:
    """Readiness: the model is loaded."""
    return {"status": "ok", "model_version": request.app.state.scorer.version}
