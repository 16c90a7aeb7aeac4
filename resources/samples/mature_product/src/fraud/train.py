"""Train a candidate, measure it beside champion and baseline, and register it as not yet gated."""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path
from typing import Any

import lightgbm as lgb
import mlflow
import pandas as pd
import yaml
from mlflow.models import infer_signature
from sklearn.metrics import average_precision_score, roc_curve
from sklearn.model_selection import ParameterSampler

from fraud.dataset import matured, open_snapshot, split_by_time
from fraud.features import build_features, rule_score, slices
from fraud.registry import champion_booster, register

SEARCH_SPACE = {
    "learning_rate": [0.03, 0.06, 0.1],
    "num_leaves": [7, 15, 31],
    "min_data_in_leaf": [10, 20, 40],
    "rounds": [100, 200, 400],
}


def fit(payments: pd.DataFrame, params: dict[str, Any], seed: int) -> lgb.Booster:
    """Fit one booster; the same inputs give the same booster."""
    fixed = {"objective": "binary", "seed": seed, "deterministic": True, "force_row_wise": True}
    tree = {name: value for name, value in params.items() if name != "rounds"}
    data = lgb.Dataset(build_features(payments), payments["is_fraud"])
    return lgb.train({**fixed, **tree, "verbosity": -1}, data, params["rounds"])


def measure(labels: pd.Series, scores: Any) -> dict[str, float]:
    """Return the gate's figures, each 0 to 1, higher is better."""
    false_alarms, recall, _ = roc_curve(labels, scores)
    return {
        "average_precision": float(average_precision_score(labels, scores)),
        "recall_at_1pct_fpr": float(recall[false_alarms <= 0.01].max()),
    }


def search(train: pd.DataFrame, validation: pd.DataFrame, trials: int, seed: int) -> dict[str, Any]:
    """Return the best of `trials` parameter sets on the validation part; each is a nested run."""
    best: tuple[float, dict[str, Any]] = (-1.0, {})
    for params in ParameterSampler(SEARCH_SPACE, trials, random_state=seed):
        with mlflow.start_run(nested=True):
            scores = fit(train, params, seed).predict(build_features(validation))
            figures = measure(validation["is_fraud"], scores)
            mlflow.log_params(params)
            mlflow.log_metrics(figures)
        best = max(best, (figures["average_precision"], params), key=lambda pair: pair[0])
    return best[1]


def evaluate(test: pd.DataFrame, candidate: lgb.Booster) -> dict[str, Any]:
    """Measure candidate, champion (if there is one), baseline and slices on the same test part."""
    features, labels = build_features(test), test["is_fraud"]
    scores = candidate.predict(features)
    champion = champion_booster()
    return {
        "candidate": measure(labels, scores),
        "champion": measure(labels, champion.predict(features)) if champion else None,
        "baseline": measure(labels, rule_score(features).to_numpy()),
        "slices": {
            name: {**measure(labels[mask], scores[mask.to_numpy()]), "rows": int(mask.sum())}
            for name, mask in slices(test).items()
            if labels[mask].nunique() == 2
        },
    }


def train(snapshot_at: str, config: dict[str, Any], out: Path) -> str:
    """Run the training; returns the version registered with the tag gate=pending."""
    settings = config["training"]
    snapshot = open_snapshot(snapshot_at)
    payments = matured(snapshot.payments, settings["label_delay_days"])
    parts = split_by_time(payments, settings["validation_share"], settings["test_share"])
    out.mkdir(parents=True, exist_ok=True)

    mlflow.set_experiment(config["name"])
    with mlflow.start_run() as run:
        params = search(parts.train, parts.validation, settings["search_trials"], settings["seed"])
        booster = fit(pd.concat([parts.train, parts.validation]), params, settings["seed"])
        report = {
            "model": config["name"],
            "run_id": run.info.run_id,
            "data_version": snapshot.version,
            "git_commit": os.environ.get("GIT_COMMIT", "unknown"),
            "trained_until": parts.validation["event_time"].max().isoformat(),
            "rows": {"train": len(parts.train), "test": len(parts.test)},
            **evaluate(parts.test, booster),
        }
        booster.save_model(out / "model.txt")
        reference = build_features(parts.test)
        reference["score"] = booster.predict(reference)
        reference.to_csv(out / "reference.csv", index=False)
        (out / "report.json").write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")

        mlflow.log_params({**params, "seed": settings["seed"]})
        mlflow.log_metrics(report["candidate"])
        mlflow.set_tags({"data_version": snapshot.version, "git_commit": report["git_commit"]})
        mlflow.log_artifacts(str(out), "release")
        example = build_features(parts.test.head(5))
        mlflow.log_dict(
            infer_signature(example, booster.predict(example)).to_dict(), "signature.json"
        )
        return register(config["name"], run.info.run_id)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--snapshot", required=True)
    parser.add_argument("--config", type=Path, default=Path("conf/model.yaml"))
    parser.add_argument("--out", type=Path, default=Path("out"))
    parser.add_argument("--result", type=Path, help="file for the registered version (JSON)")
    args = parser.parse_args()
    config = yaml.safe_load(args.config.read_text(encoding="utf-8"))
    version = train(args.snapshot, config, args.out)
    print(f"registered version {version}, not yet gated")
    if args.result:
        args.result.write_text(json.dumps({"model_version": version}), encoding="utf-8")


if __name__ == "__main__":
    main()
