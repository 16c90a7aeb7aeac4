"""Model and scoring code as one versioned artefact."""

from __future__ import annotations

from typing import Final

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
    found: list[tuple[str, int]] = []
    scoring = repo.code.serving_code | frozenset(repo.code.batch)
    for path, instructions in repo.dockerfiles.items():
        for i in instructions:
            if i.name in ("CMD", "ENTRYPOINT"):
                started = repo.runs.started(i.text)
                if started & scoring or any(
                    w in i.text
                    for w in (
                        "uvicorn",
                        "gunicorn",
                        "predict",
                        "serve",
                        "score",
                        "infer",
                        "torchserve",
                        "tritonserver",
                        "flask",
                    )
                ):
                    found.append((path, i.line))
            elif (
                i.name in ("COPY", "ADD")
                and any(w in i.text.lower() for w in ("model", ".pkl", ".joblib", ".onnx", ".pt"))
                and repo.stages.scoring is not None
            ):
                found.append((path, i.line))
    if not found:
        return None
    for job in repo.jobs:
        for step in job.steps:
            pushes = step.uses.lower().startswith(PUSH_ACTIONS) and (
                step.inputs is None or step.inputs.text_at("push") != "false"
            )
            line = next(
                (c for c in step.commands if not c.idle and PUSH_IMAGE.search(c.text)), None
            )
            if (pushes or line is not None) and job.automatic and not step.disabled:
                at = (job.path, line.line if line is not None else step.line)
                return present(
                    repo,
                    E,
                    f"An image with the scoring code is built and pushed by {at[0]}:{at[1]}.",
                    [*found, at],
                )
    builds = repo.runs.matching(BUILD_IMAGE)
    if builds:
        return present(
            repo,
            W,
            f"An image with the scoring code is built by {builds[0].at}.",
            [*found, builds[0].where],
        )
    if repo.compose:
        for file in repo.compose:
            for doc in file.docs:
                node = next((n for _, n in doc.find("build")), None)
                if node is not None:
                    return present(
                        repo,
                        W,
                        "An image with the scoring code is built by compose.",
                        [*found, (file.path, node.line)],
                    )
    return present(
        repo, C, "A Dockerfile for the scoring code exists; nothing found builds it.", found
    )


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
