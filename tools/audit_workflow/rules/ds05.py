"""Model is trained or downloaded while the image is built

## What it does

Looks for `RUN` instructions of Dockerfiles that start a training script or pipeline, or fetch a
model file or pretrained weights without naming a version, themselves or in a script that they run.

## Why is this bad?

A model that is made during `docker build` has no version, was judged by nobody, and changes with
every build: the same commit gives another model tomorrow.  A build that trains also needs data,
credentials and hours.

## Known problems

A script is taken for training when its code fits a model, or when its name says so.  Models that
DVC pulls are pinned by the committed `.dvc` files and are left out.

## Example

```dockerfile
FROM python:3.12-slim
COPY . .
RUN python train.py
CMD ["uvicorn", "app:app"]
```

## Use instead

```dockerfile
FROM python:3.12-slim
ARG MODEL_VERSION
RUN python fetch_model.py --name churn --version "$MODEL_VERSION"
CMD ["uvicorn", "app:app"]
```
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from mlops_advisor.tools.audit_workflow.repo import AuditRepository
from mlops_advisor.tools.audit_workflow.rule import HIGH, MEDIUM, Hit, rule
from mlops_advisor.tools.audit_workflow.rules._image_code import loaded
from mlops_advisor.tools.audit_workflow.rules._serving import started_near

_TRAINS: Final = re.compile(
    r"\b(?:python[\d.]*|uv run|poetry run)\s[^&|;]{0,120}?\b(?:re)?train\w{0,40}(?:\.py|\b)|"
    r"\bdvc (?:repro|exp run)\b|\bmake (?:\S{1,40} ){0,3}train\b|\bkedro run\b|\bmlflow run\b"
)
_FILE: Final = re.compile(
    r"\b(?:wget|curl|aria2c|gdown|aws s3 (?:cp|sync)|gsutil (?:-m )?cp|az storage blob download)\b"
    r"[^&|;]{0,400}?(?:\.(?:pkl|pickle|joblib|pt|pth|onnx|h5|keras|safetensors|gguf|cbm|bst|"
    r"pb|tflite|ckpt)\b|/models?/|model[\w.-]{0,40}\.(?:tar\.gz|zip|bin)\b)"
)
_WEIGHTS: Final = re.compile(
    r"from_pretrained\(|hf_hub_download\(|snapshot_download\(|SentenceTransformer\(|"
    r"(?:huggingface-cli|hf) download\b|torch\.hub\.load|spacy download\b|whisper\.load_model|"
    r"\bpipeline\(['\"]|\bollama pull\b"
)
_FETCHERS: Final = frozenset(
    ("from_pretrained", "hf_hub_download", "snapshot_download", "SentenceTransformer")
)
_SCRIPT: Final = re.compile(
    r"\bpython[\d.]*\s[^&|;]{0,80}?\b(?:download|fetch|get|pull|load|cache|prefetch)_?"
    r"(?:\w{0,20}_)?(?:models?|weights|checkpoints?)\w{0,20}\.py"
)
_PINNED: Final = re.compile(
    r"revision|--version|MODEL_VERSION|MODEL_TAG|RUN_ID|run-id|run_id|sha256|@v?\d|[0-9a-f]{32}|"
    r"/v\d{1,4}(?:\.\d{1,4}){0,2}/|versions?/\d|--model-id|\$\{?\w{0,40}VERSION"
)


@rule(
    "DS05",
    name="train-in-image-build",
    dimension="deployment",
    severity=HIGH,
    confidence=0.85,
    fix="Train in the pipeline, register the model, and let the image (or its start) fetch a"
    " version that was named: `ARG MODEL_VERSION`.",
    effort=(1.0, 3.0),
    sources=("ml_test_score: Infra 4, model quality is validated before serving",),
)
def train_in_image_build(repo: AuditRepository) -> Iterator[Hit]:
    """Report images that make or fetch their model while they are built."""
    for path, instructions in repo.dockerfiles.items():
        for item in instructions:
            if item.name != "RUN":
                continue
            script = _training_script(repo, item.text)
            if script or _TRAINS.search(item.text[:4_000]):
                what = f"trains a model (`{script}`)" if script else "trains a model"
                why = f"Building the image {what}: the result has no version and no evaluation."
                yield Hit(path, _line(repo, path, item.line, script or "train"), why)
            elif (loads := _loading_script(repo, path, item.text)) is not None:
                name, where = loads
                yield Hit(
                    path,
                    _line(repo, path, item.line, name),
                    f"The build runs `{name}`, which fetches pretrained weights"
                    f" ({where[0]}:{where[1]}) without naming a revision, so each build may hold"
                    " another model.",
                    "Pass `revision=` with a commit, and fetch in a script that does nothing else.",
                    also=(where,),
                    severity=MEDIUM,
                    confidence=0.65,
                )
            elif (fetched := _fetched(item.text)) and not _PINNED.search(item.text[:4_000]):
                yield Hit(
                    path,
                    _line(repo, path, item.line, fetched),
                    f"The build fetches a model (`{fetched[:60]}`) without naming a version, so"
                    " each build may hold another model.",
                    "Name the version or revision that is fetched, and check its hash.",
                    severity=MEDIUM,
                    confidence=0.7,
                )


def _training_script(repo: AuditRepository, text: str) -> str:
    started = sorted(repo.runs.started(text) & repo.code.training_scripts.keys())
    serving = repo.code.serving
    return next((p for p in started if p not in serving and "test" not in p), "")


def _loading_script(
    repo: AuditRepository, image: str, text: str
) -> tuple[str, tuple[str, int]] | None:
    """Find a script that a build runs only to have weights downloaded, and where it does that."""
    if "python" not in text or "pytest" in text:
        return None
    for path in sorted(started_near(repo, image, text) & repo.code.product.keys()):
        for module in loaded(repo, frozenset((path,))):
            for call in repo.code.modules[module].calls:
                if call.last not in _FETCHERS or "revision" in call.kwargs:
                    continue
                name = call.args[0] if call.args else ""
                local = isinstance(name, str) and name.startswith((".", "/", "models/"))
                if not local:
                    return path.rsplit("/", 1)[-1], (module, call.line)
    return None


def _fetched(text: str) -> str:
    for pattern in (_FILE, _WEIGHTS, _SCRIPT):
        found = pattern.search(text[:4_000])
        if found:
            return found.group(0).strip()
    return ""


def _line(repo: AuditRepository, path: str, start: int, words: str) -> int:
    word = words.rsplit("/", 1)[-1][:40]
    at = repo.line_of(path, word, start - 1)
    return at if start <= at <= start + 60 else start
