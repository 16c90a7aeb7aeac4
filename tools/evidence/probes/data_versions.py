"""Versions of the data that models are trained on."""

from __future__ import annotations

import re
from typing import Final

from mlops_advisor.tools.evidence.probes._base import (
    C,
    E,
    Spot,
    Verdict,
    W,
    absent,
    from_code,
    not_applicable,
    present,
    probe,
    spots,
    stronger,
    unknown,
)
from mlops_advisor.tools.evidence.probes.tracking import data_recorded
from mlops_advisor.tools.evidence.repository import Repository

_DVC_USE: Final = re.compile(r"\bdvc (?:repro|pull|exp|fetch|status|checkout|get|import)\b")
_CALLS: Final = (
    "dvc.api.",
    "lakefs.",
    "lakefs_client.",
    "lakefs_sdk.",
    "mlflow.log_input",
    "mlflow.data.",
    "wandb.run.use_artifact",
    "wandb.init().use_artifact",
    "*.use_artifact",
    "clearml.Dataset.get",
    "quilt3.",
    "pachyderm_sdk.",
    "azureml.core.Dataset.get_by_name",
    "hopsworks.",
    "deltalake.DeltaTable",
)
_HASHED: Final = ("data", "hash", "checksum", "fingerprint", "snapshot")
_TIME_TRAVEL: Final = (
    "versionAsOf",
    "timestampAsOf",
    "snapshot-id",
    "VERSION AS OF",
    "TIMESTAMP AS OF",
    "FOR SYSTEM_TIME AS OF",
)


@probe(
    "data_versions",
    practice="data_versioning",
    asks="Can a training run name the exact data it used?",
    searched=(
        ".dvc files and dvc.lock, LFS attributes, and calls of DVC, lakeFS, "
        "Delta, Iceberg, W&B artifacts, MLflow inputs"
    ),
)
def _data_versions(repo: Repository) -> Verdict:
    found = stronger(_dvc(repo), _calls(repo), _time_travel(repo), _hashes(repo), _lfs(repo))
    if found is not None:
        return found
    config = [p for p in repo.files if f"/{p}".endswith("/.dvc/config")]
    if config:
        return absent(
            repo,
            "DVC is set up, but no .dvc file or dvc.lock with a hash is committed.",
            [(p, 1) for p in config],
        )
    if repo.stages.training is not None:
        return absent(
            repo,
            "Training is here, and nothing records which data it used.",
            [repo.stages.training],
        )
    if not repo.stages.ml:
        return not_applicable("Nothing here trains a model.")
    return unknown("No training was found here.")


def _dvc(repo: Repository) -> Verdict | None:
    tracked: list[tuple[str, int]] = []
    for path in repo.ending(".dvc", "dvc.lock"):
        text = repo.text(path)
        for mark in ("md5:", "etag:", "checksum:", "hash:"):
            at = text.find(mark)
            if at >= 0:
                tracked.append((path, text.count("\n", 0, at) + 1))
                break
    if not tracked:
        return None
    uses = [
        r for r in repo.runs.ci if r.automatic and r.hard and r.counts and _DVC_USE.search(r.text)
    ]
    if uses:
        detail = f"Data is tracked by hash with DVC, and {uses[0].at} fetches it by that hash."
        return present(repo, E, detail, [*tracked, uses[0].where])
    stages = [f for f in repo.flows.all if f.tool == "DVC" and f.trains]
    runs = repo.runs.matching(_DVC_USE)
    if stages or runs or repo.code.calls("dvc.api."):
        first = [(f.path, f.line) for f in stages] or [(r.path, r.line) for r in runs]
        return present(
            repo,
            W,
            "Data is tracked by hash with DVC, and the training uses that version.",
            [*tracked[:3], *first],
        )
    return present(
        repo,
        C,
        "Data is tracked by hash with DVC; no training step that uses it was found.",
        tracked,
    )


def _calls(repo: Repository) -> Verdict | None:
    hits = repo.code.calls(*_CALLS)
    found = [
        Spot(h.module.path, h.call.line, h.call.scope, h.call.swallowed)
        for h in hits
        if h.call.name != "deltalake.DeltaTable" or "version" in h.call.kwargs
    ]
    found += spots(
        h
        for h in repo.code.calls("datasets.load_dataset", "*.load_dataset")
        if h.call.text_of("revision")
    )
    return from_code(repo, "Code reads data by version or records its version", found)


def _time_travel(repo: Repository) -> Verdict | None:
    found: list[Spot] = []
    for path, module in repo.code.product.items():
        text = repo.text(path)
        if module.notebook or not any(w in text for w in _TIME_TRAVEL):
            continue
        for i, line in enumerate(repo.lines(path), 1):
            if any(w in line for w in _TIME_TRAVEL) and not line.lstrip().startswith("#"):
                found.append(Spot(path, i))
    return from_code(repo, "Tables are read as of a version", found)


def _hashes(repo: Repository) -> Verdict | None:
    """Find a hash of the data that is stored with the run."""
    code = repo.code
    found = []
    for hit in code.calls("hashlib.", "*.hash_pandas_object", "pandas.util.hash_pandas_object"):
        scope = hit.call.scope.lower()
        words = f"{hit.module.path} {scope}".lower()
        if hit.module.path in code.training_code and any(w in words for w in _HASHED):
            found.append(hit)
    recorded = data_recorded(repo)
    if recorded:
        return from_code(repo, "Runs record the version of their data", recorded)
    return from_code(repo, "The training code computes a hash of its data", spots(found), most=W)


def _lfs(repo: Repository) -> Verdict | None:
    for path in repo.named(".gitattributes"):
        for i, line in enumerate(repo.lines(path), 1):
            if "filter=lfs" in line and any(
                s in line for s in ("csv", "parquet", "data", "json", "feather", "arrow", "zip")
            ):
                return present(repo, C, "Data files are stored with git LFS.", [(path, i)])
    return None
