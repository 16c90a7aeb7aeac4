"""Steps of training are run by hand, one script after the other

## What it does

Reports a repository that trains a model and has no pipeline that runs the steps: nothing of
Airflow, Kubeflow, Prefect, Dagster, Flyte, DVC, Make and the like.  It needs at least three steps
that have an order: scripts that a document tells a person to start one after the other, scripts
with numbers in their names, or scripts whose names are those of stages.

## Why is this bad?

A step forgotten or run with old inputs is not noticed, nothing retries, and nobody can say later
what was run with what.

## Known problems

An orchestrator that is configured in another repository is not seen.

## Example

```text
README.md
  python src/prepare.py
  python src/train.py
  python src/evaluate.py
```

## Use instead

```yaml
# dvc.yaml
stages:
  prepare: {cmd: python src/prepare.py, deps: [src/prepare.py, data/raw], outs: [data/clean]}
  train: {cmd: python src/train.py, deps: [src/train.py, data/clean], outs: [models]}
  evaluate: {cmd: python src/evaluate.py, deps: [src/evaluate.py, models], metrics: [metrics.json]}
```
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from mlops_advisor.tools.audit_workflow.repo import AuditRepository
from mlops_advisor.tools.audit_workflow.rule import MEDIUM, Hit, rule

_COMMAND: Final = re.compile(r"^[\s$>`*0-9.-]{0,12}(?:[\w./]{0,40}/)?python[\d.]{0,4}\s.{0,200}")
_NUMBERED: Final = re.compile(r"^(?:step[_-]?)?\d{1,2}[_-]")
_STAGES: Final = (
    ("ingest", "import_raw", "download", "load_data", "get_data", "fetch", "extract", "scrape"),
    ("prepare", "preprocess", "make_dataset", "clean", "split", "process"),
    ("feature", "normalize", "transform", "encode"),
    ("train", "fit", "model_training"),
    ("tune", "grid", "hyper", "search"),
    ("evaluat", "test_model", "validate"),
    ("predict", "score", "infer"),
    ("register", "deploy"),
)
_FEW: Final = 3
_TOOLS: Final = frozenset(
    "airflow kfp prefect dagster metaflow flytekit zenml luigi kedro tfx clearml hera".split()
)


@rule(
    "PL01",
    name="no-orchestrated-pipeline",
    dimension="model_training",
    severity=MEDIUM,
    confidence=0.75,
    fix="Describe the steps, their inputs and outputs in one pipeline (DVC is the smallest).",
    effort=(1, 5),
    absence=True,
    searched=(
        "pipeline definitions of Airflow, Kubeflow, Prefect, Dagster, Metaflow, Flyte, ZenML, "
        "Kedro, DVC, Argo, SageMaker, Vertex, Azure ML, TFX, Luigi, Databricks, make targets"
    ),
    practice="training_pipeline",
    sources=(
        (
            "google_mlops: level 0, manual, script-driven and interactive process; level 1, ML "
            "pipeline automation"
        ),
        "kreuzberger: principle P2, workflow orchestration",
    ),
)
def no_orchestrated_pipeline(repo: AuditRepository) -> Iterator[Hit]:
    """Report a chain of scripts that nothing but a person runs in order."""
    if repo.absent("training_pipeline") is None or repo.stages.training is None or _else(repo):
        return
    path, line = repo.stages.training
    written = _written(repo)
    scripts = _ordered(repo)
    if written:
        where, at, commands = written
        also = ((path, line),) if path != where else ()
        why = f"A person is to start {len(commands)} steps in order: {'; '.join(commands[:4])}."
        yield Hit(where, at, why, also=also)
    elif len(scripts) >= _FEW:
        names = ", ".join(f"`{s}`" for s in scripts[:6])
        why = f"Nothing runs the steps in order: {names}."
        yield Hit(path, line, why, also=tuple((s, 1) for s in scripts[:4] if s != path))


def _else(repo: AuditRepository) -> bool:
    """Tell whether a notebook builds a pipeline, or a shell script runs several of the steps."""
    if any(not m.roots.isdisjoint(_TOOLS) for m in repo.code.product.values()):
        return True
    if any(
        i.module.startswith(("sagemaker.workflow", "azureml.pipeline", "azure.ai.ml.dsl"))
        for m in repo.code.product.values()
        for i in m.imports
    ):
        return True
    started: dict[str, set[str]] = {}
    for run in repo.runs.shell:
        started.setdefault(run.path, set()).update(repo.runs.modules(run))
    training = repo.code.training
    return any(len(s) >= _FEW and any(p in training for p in s) for s in started.values())


def _written(repo: AuditRepository) -> tuple[str, int, list[str]] | None:
    """Find the document that lists most commands that start scripts of this repository."""
    best: tuple[str, int, list[str]] | None = None
    for document in repo.documents:
        first, commands = 0, []
        for number, text in enumerate(repo.lines(document.path), 1):
            bare = text.strip()[:300].replace("\\", "/").replace("`", " ").rstrip("/ ")
            started = repo.runs.started(bare) if _COMMAND.match(bare) else frozenset()
            if any(p in repo.code.product and p not in repo.code.serving for p in started):
                first = first or number
                command = bare.strip("`$> *-")
                if command not in commands:
                    commands.append(command)
        if len(commands) >= _FEW and (best is None or len(commands) > len(best[2])):
            best = (document.path, first, commands)
    return best


def _ordered(repo: AuditRepository) -> list[str]:
    """Scripts, one for each stage of a model's life, or with numbers in front of their names."""
    scripts = [
        p
        for p, m in repo.code.product.items()
        if not p.endswith("__init__.py") and (m.main or m.notebook) and not repo.is_aside(p)
    ]
    numbered = [p for p in scripts if _NUMBERED.match(p.rsplit("/", 1)[-1].lower())]
    if len(numbered) >= _FEW:
        return numbered
    picked: dict[int, str] = {}
    for path in scripts:
        name = path.rsplit("/", 1)[-1].lower()
        for i, words in enumerate(_STAGES):
            if any(w in name for w in words):
                picked.setdefault(i, path)
                break
    return [picked[i] for i in sorted(picked)]
