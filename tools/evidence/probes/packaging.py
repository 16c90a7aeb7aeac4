"""Model and scoring code as one versioned artefact."""

from __future__ import annotations

from typing import Final

from mlops_advisor.tools.evidence.parse.shell import Instruction
from mlops_advisor.tools.evidence.probes._base import (
    C,
    E,
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
from mlops_advisor.tools.evidence.probes._deploy import BUILD_IMAGE, PUSH_ACTIONS, PUSH_IMAGE
from mlops_advisor.tools.evidence.repository import Repository

_STARTS: Final = (
    "uvicorn",
    "gunicorn",
    "predict",
    "serve",
    "score",
    "infer",
    "tritonserver",
    "flask",
)
_MODELS: Final = ("model", ".pkl", ".joblib", ".onnx", ".pt")
_FILES: Final = (
    "bentofile.yaml",
    "cog.yaml",
    "config.pbtxt",
    "mlproject",
    "model-settings.json",
    "truss.yaml",
)


@probe(
    "package",
    practice="model_packaged",
    asks="Do model and scoring code ship as one versioned artefact?",
    searched=(
        "Dockerfiles that start a service or job, bentofile and the like, "
        "log_model calls, image builds in CI"
    ),
)
def _package(repo: Repository) -> Verdict:
    verdict = stronger(_image(repo), _logged(repo), _files(repo))
    if verdict is not None:
        return verdict
    if repo.stages.scoring is not None:
        return absent(
            repo, "A model is used here, and no image or package holds it.", [repo.stages.scoring]
        )
    if repo.stages.training is not None:
        return unknown("Training is here; how the model ships is not shown.")
    return not_applicable("Nothing here trains or serves a model.")


def _image(repo: Repository) -> Verdict | None:
    found = [
        (path, i.line)
        for path, instructions in repo.dockerfiles.items()
        for i in instructions
        if _holds_model(repo, i)
    ]
    if not found:
        return None
    pushed = _pushed(repo)
    if pushed is not None:
        detail = f"An image with the scoring code is built and pushed by {pushed[0]}:{pushed[1]}."
        return present(repo, E, detail, [*found[:4], pushed])
    builds = repo.runs.matching(BUILD_IMAGE)
    if builds:
        detail = f"An image with the scoring code is built by {builds[0].at}."
        return present(repo, W, detail, [*found[:4], builds[0].where])
    composed = [
        (file.path, n.key_line)
        for file in repo.compose
        for d in file.docs
        for _, n in d.find("build")
    ]
    if composed:
        detail = "An image with the scoring code is built by compose."
        return present(repo, W, detail, [*found[:4], composed[0]])
    return present(
        repo, C, "A Dockerfile for the scoring code exists; nothing found builds it.", found
    )


def _holds_model(repo: Repository, instruction: Instruction) -> bool:
    """Tell whether an instruction starts scoring code, or puts a model into the image."""
    low = instruction.text.lower()
    if instruction.name in ("CMD", "ENTRYPOINT"):
        scoring = repo.code.serving_code | frozenset(repo.code.batch)
        started = repo.runs.started(instruction.text)
        return bool(started & scoring) or any(w in low for w in _STARTS)
    if instruction.name in ("COPY", "ADD"):
        return repo.stages.scoring is not None and any(w in low for w in _MODELS)
    return False


def _pushed(repo: Repository) -> tuple[str, int] | None:
    """Path and line of the CI step that pushes an image."""
    for job in repo.jobs:
        for step in job.steps if job.automatic else ():
            if step.disabled:
                continue
            if step.uses.lower().startswith(PUSH_ACTIONS) and (
                step.inputs is None or step.inputs.text_at("push") != "false"
            ):
                return job.path, step.line
            for line in step.commands:
                if not line.idle and PUSH_IMAGE.search(line.text):
                    return job.path, line.line
    return None


def _logged(repo: Repository) -> Verdict | None:
    hits = [
        h
        for h in repo.code.calls(
            "mlflow.",
            "bentoml.",
            "skops.",
            "kserve.",
            "torch_model_archiver.",
            "sagemaker.model.",
            "sagemaker.pytorch.model.",
        )
        if h.call.last in ("log_model", "save_model", "save", "Model", "PyTorchModel", "register")
    ]
    return from_code(
        repo, "Training stores the model as a package with its environment", spots(hits), most=W
    )


def _files(repo: Repository) -> Verdict | None:
    found = [(p, 1) for p in repo.named(*_FILES)]
    if not found:
        return None
    builds = repo.runs.matching(BUILD_IMAGE)
    if builds and any(r.automatic for r in builds):
        return present(
            repo, E, f"The bundle is built by {builds[0].at}.", [*found, builds[0].where]
        )
    return present(repo, W if builds else C, "A bundle of model and code is described.", found)
