"""The model registry: versions, the gate's verdict, promotion, and the guard of retraining."""

from __future__ import annotations

import argparse
import json
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import lightgbm as lgb
import mlflow
import pandas as pd
import yaml
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient

NAME = "fraud-scoring"
EXIT_SKIP = 99  # the DAG skips what follows, without an alarm


class NotGatedError(Exception):
    """A version without the gate's approval was asked for."""


def register(name: str, run_id: str) -> str:
    """Register the artefacts of a run as a new version, gate=pending; returns its number."""
    client = MlflowClient()
    if not client.search_registered_models(f"name = '{name}'"):
        client.create_registered_model(name)
    source = f"{client.get_run(run_id).info.artifact_uri}/release"
    version = str(client.create_model_version(name, source, run_id).version)
    client.set_model_version_tag(name, version, "gate", "pending")
    return version


def set_gate(name: str, version: str, *, passed: bool) -> None:
    """Record the gate's verdict on a version."""
    MlflowClient().set_model_version_tag(name, version, "gate", "passed" if passed else "failed")


def champion() -> str | None:
    """Return the version in production, if there is one."""
    try:
        return str(MlflowClient().get_model_version_by_alias(NAME, "champion").version)
    except MlflowException:
        return None


def champion_booster() -> lgb.Booster | None:
    """Load the model in production, if there is one."""
    version = champion()
    if version is None:
        return None
    return lgb.Booster(model_file=_artifact(NAME, version, "model.txt"))


def read_report(name: str, version: str) -> dict[str, Any]:
    """Return the training report of a version."""
    text = Path(_artifact(name, version, "report.json")).read_text(encoding="utf-8")
    report: dict[str, Any] = json.loads(text)
    return report


def read_reference(version: str) -> pd.DataFrame:
    """Return features and scores of the test part: the reference of drift."""
    return pd.read_csv(_artifact(NAME, version, "reference.csv"))


def _artifact(name: str, version: str, file: str) -> str:
    run_id = MlflowClient().get_model_version(name, version).run_id
    path: str = mlflow.artifacts.download_artifacts(run_id=run_id, artifact_path=f"release/{file}")
    return path


def require_gated(version: str) -> None:
    """Raise NotGatedError unless the gate passed this version."""
    verdict = MlflowClient().get_model_version(NAME, version).tags.get("gate")
    if verdict != "passed":
        raise NotGatedError(f"{NAME} version {version}: the gate says {verdict}")


def fetch(version: str, target: Path) -> None:
    """Write the files that go into the image of a gated version."""
    require_gated(version)
    target.mkdir(parents=True, exist_ok=True)
    for file in ("model.txt", "report.json"):
        text = Path(_artifact(NAME, version, file)).read_text(encoding="utf-8")
        (target / file).write_text(text, encoding="utf-8")
    release = {"name": NAME, "version": version}
    (target / "release.json").write_text(json.dumps(release) + "\n", encoding="utf-8")


def promote(version: str) -> None:
    """Make a gated version the champion; the release workflow calls it after the roll-out."""
    require_gated(version)
    MlflowClient().set_registered_model_alias(NAME, "champion", version)


def may_retrain(
    trained: list[datetime], now: datetime, policy: dict[str, int], *, paused: bool
) -> str | None:
    """Return why there must be no retraining now, or None.  `paused` is the human override."""
    if paused:
        return "retraining is paused by the on-call"
    recent = [when for when in trained if now - when < timedelta(days=30)]
    if len(recent) >= policy["max_in_30_days"]:
        return f"{len(recent)} trainings in 30 days"
    if any(now - when < timedelta(days=policy["days_between"]) for when in recent):
        return f"last training under {policy['days_between']} days ago"
    return None


def guard(policy: dict[str, int]) -> int:
    """Exit code of the guard: 0, or EXIT_SKIP when retraining is not allowed now."""
    client = MlflowClient()
    versions = client.search_model_versions(f"name = '{NAME}'")
    trained = [datetime.fromtimestamp(v.creation_timestamp / 1000, UTC) for v in versions]
    paused = client.get_registered_model(NAME).tags.get("retraining") == "paused"
    reason = may_retrain(trained, datetime.now(UTC), policy, paused=paused)
    print(f"guard: {reason or 'go'}")
    return EXIT_SKIP if reason else 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("command", choices=["champion", "fetch", "guard", "promote"])
    parser.add_argument("--version")
    parser.add_argument("--to", type=Path, default=Path("build/model"))
    parser.add_argument("--config", type=Path, default=Path("conf/model.yaml"))
    args = parser.parse_args()
    if args.command == "guard":
        return guard(yaml.safe_load(args.config.read_text(encoding="utf-8"))["retraining"])
    if args.command == "champion":
        print(champion() or "")
        return 0
    if not args.version:
        parser.error("--version is needed")
    if args.command == "fetch":
        fetch(args.version, args.to)
    else:
        promote(args.version)
    return 0


if __name__ == "__main__":
    sys.exit(main())
