"""Model binaries or build output in git

## What it does

Reports files of trained models (pickle, joblib, PyTorch, Keras, ONNX, XGBoost, CatBoost,
safetensors and others) and what a build makes (wheels, `dist/`, `*.egg-info`, compiled pipelines,
notebook checkpoints) that git holds: not listed in a `.gitignore`, no LFS pointer, no file that
DVC keeps elsewhere.

## Why is this bad?

Nobody can review a binary. A model in git has no record of the run that made it, a new one
overwrites the old, and every clone carries all of them. Pickles run code when they are loaded.
Build output goes stale beside the source that it was made from.

## Known problems

Fixtures below `tests/` are left out. It cannot be told from the files alone whether git already
tracks a file; one that no `.gitignore` lists is taken as tracked.

## Example

```text
models/model.pkl    12 MB
```

## Use instead

```python
mlflow.sklearn.log_model(model, name="model", registered_model_name="churn")
```
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from mlops_advisor.tools.audit_workflow.repo import AuditRepository
from mlops_advisor.tools.audit_workflow.rule import LOW, MEDIUM, Hit, rule
from mlops_advisor.tools.audit_workflow.rules._data_tree import (
    Blob,
    grouped,
    is_fixture,
    kept_in_git,
    words_of,
)

_MODEL: Final = re.compile(
    r"\.(?:joblib|pt|pth|ckpt|onnx|keras|tflite|safetensors|cbm|mlmodel|pmml|dill|ubj|bst|gguf|mar"
    r"|model|sav)$"
)
_MAYBE: Final = re.compile(r"\.(?:pkl|pickle|h5|hdf5|bin|pb|npy|b|cloudpickle)$")
_WORDS: Final = frozenset(
    "model models clf classifier regressor reg pipeline scaler encoder vectorizer preprocessor"
    " transformer estimator forest svm xgb lgb lgbm catboost weights checkpoint checkpoints dv"
    " imputer tokenizer saved pca kmeans knn bert net predictor artifacts artifact".split()
)
_DATA: Final = frozenset("data dataset datasets train test features embeddings x y".split())
_BUILT: Final = re.compile(r"(?:^|/)(?:dist|build/lib[^/]*|bentos)/$|\.egg-info/$")
_CHECKPOINTS: Final = ".ipynb_checkpoints/"
_LOOSE: Final = re.compile(r"\.(?:whl|egg|pyc)$")
_WEB: Final = frozenset("docs doc static assets public vendor theme".split())
_BOOSTER: Final = ('{"learner"', "tree\nversion=")
_COMPILED: Final = ("# PIPELINE DEFINITION", "pipelines.kubeflow.org/kfp_sdk_version")


@rule(
    "TR17",
    name="model-binary-in-git",
    dimension="model_training",
    severity=MEDIUM,
    confidence=0.85,
    fix="Register the model (MLflow, W&B, BentoML) or let DVC keep it; then `git rm --cached` it.",
    effort=(0.2, 1),
    sources=(
        "mllint: version-control/code/git-no-big-files",
        "openssf_scorecard: Binary-Artifacts (cannot be reviewed; about executables, by analogy)",
    ),
)
def model_binary_in_git(repo: AuditRepository) -> Iterator[Hit]:
    """Report model files and build output that git holds."""
    blobs = kept_in_git(repo)
    for blob, others in grouped(b for b in blobs if _is_model(repo, b)):
        why = f"The model file {blob.shown} lies in git"
        if others:
            why += f", with {len(others)} more in this folder"
        yield Hit(
            blob.path,
            1,
            f"{why}: no version, no run that made it, and a binary that nobody can review.",
            text=blob.shown,
            also=tuple((o.path, 1) for o in others[:4]),
        )
    yield from _built(repo, blobs)


def _is_model(repo: AuditRepository, blob: Blob) -> bool:
    if is_fixture(blob.path) or "/site-packages/" in blob.path:
        return False
    if _MODEL.search(blob.name):
        return True
    words = words_of(blob.name)
    if _MAYBE.search(blob.name):
        folder = words_of(blob.folder)
        if words & _WORDS or (folder & _WORDS and not words & _DATA):
            return True
        other = bool((words | folder) & _DATA) or blob.name.endswith((".npy", ".b", ".pb"))
        return not other and repo.stages.ml
    if blob.name.endswith((".json", ".txt")) and words_of(blob.path) & _WORDS:
        return repo.text(blob.path)[:40].replace("\r", "").startswith(_BOOSTER)
    return False


def _built(repo: AuditRepository, blobs: tuple[Blob, ...]) -> Iterator[Hit]:
    """Report what a build made: folders, wheels, compiled pipelines."""
    seen: set[str] = set()
    for path in repo.paths:
        match = _BUILT.search(f"{path.rpartition('/')[0]}/" if path[-1] != "/" else path)
        root = (path if path[-1] == "/" else f"{path.rpartition('/')[0]}/") if match else ""
        if not root and path.endswith(_CHECKPOINTS):
            root = path
        if not root or root in seen or root in repo.workspace.ignored:
            continue
        if path in repo.workspace.ignored or words_of(root) & _WEB or "package.json" in repo.paths:
            continue
        seen.add(root)
        yield Hit(
            path,
            1,
            f"`{root}` holds what a tool makes from the source, and no .gitignore lists it.",
            f"Add `{root.rsplit('/', 2)[-2]}/` to .gitignore and `git rm -r --cached {root}`.",
            text=root,
            severity=LOW,
        )
    for blob in blobs:
        loose = _LOOSE.search(blob.name) and not is_fixture(blob.path)
        if loose and not any(blob.path.startswith(r) for r in seen):
            yield _output(blob, "is built from source that lies beside it or elsewhere")
        elif blob.name.endswith((".yaml", ".yml")) and _compiled(repo.text(blob.path)):
            yield _output(blob, "is compiled from a pipeline in Python")


def _compiled(text: str) -> bool:
    return text.startswith(_COMPILED[0]) or _COMPILED[1] in text[:2_000]


def _output(blob: Blob, how: str) -> Hit:
    return Hit(
        blob.path,
        1,
        f"{blob.shown} {how}; in git it goes stale, and nobody can review it.",
        f"Build it in CI and publish it; add `{blob.path}` to .gitignore.",
        text=blob.shown,
        severity=LOW,
        confidence=0.7,
    )
