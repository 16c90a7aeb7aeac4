"""Which parts of a model's life a workspace shows.  Without a stage, its practices do not apply."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cached_property
from typing import Final

from mlops_advisor.tools.evidence.code import ML_ROOTS, Code
from mlops_advisor.tools.evidence.flows import Flows
from mlops_advisor.tools.evidence.parsed import Parsed
from mlops_advisor.tools.evidence.runs import Runs

_SERVE: Final = re.compile(
    r"\b(?:mlflow models serve|bentoml serve|torchserve|tritonserver|"
    r"tensorflow_model_server|vllm serve|"
    r"seldon-core-microservice|mlserver start|ray serve|serve run|gcloud ai "
    r"endpoints|az ml online-)"
)
_SERVE_KINDS: Final = (
    "InferenceService",
    "SeldonDeployment",
    "RayService",
    "InferenceGraph",
    "Model",
    "ServingRuntime",
)
_SERVE_APIS: Final = (
    "serving.kserve.io",
    "machinelearning.seldon.io",
    "mlops.seldon.io",
    "ray.io",
    "serving.kubeflow.org",
)
_SERVE_RESOURCES: Final = (
    "aws_sagemaker_endpoint",
    "google_vertex_ai_endpoint",
    "azurerm_machine_learning_inference",
    "databricks_model_serving",
)
_TRAIN_KINDS: Final = (
    "PyTorchJob",
    "TFJob",
    "MPIJob",
    "XGBoostJob",
    "TrainJob",
    "RayJob",
    "Experiment",
)


class Stages:
    """Computed once, when first asked for; each says where it was seen first."""

    def __init__(self, files: Parsed, code: Code, runs: Runs, flows: Flows) -> None:
        """Look at parsed files and code."""
        self._files = files
        self._code = code
        self._runs = runs
        self._flows = flows

    @cached_property
    def training(self) -> tuple[str, int] | None:
        """Path and line of something that trains a model."""
        code = self._code
        scripts = [(p, c) for p, c in code.training_scripts.items() if not self._files.is_aside(p)]
        for path, call in [*scripts, *code.training_notebooks.items()]:
            return path, call.line
        for flow in self._flows.all:
            if flow.trains:
                return flow.path, flow.line
        for manifest in self._files.kinds(*_TRAIN_KINDS):
            if "kubeflow" in manifest.api or "ray" in manifest.api:
                return manifest.path, manifest.line
        return None

    @cached_property
    def serving(self) -> tuple[str, int] | None:
        """Path and line of something that serves a model online."""
        return next(self._serving(), None)

    def _serving(self) -> Iterator[tuple[str, int]]:
        for path, line in self._code.serving.items():
            if not self._files.is_aside(path):
                yield path, line
        for manifest in self._files.kinds(*_SERVE_KINDS):
            if manifest.api.startswith(_SERVE_APIS):
                yield manifest.path, manifest.line
        yield from ((p, b.line) for p, b in self._files.resources(*_SERVE_RESOURCES))
        yield from ((r.path, r.line) for r in self._runs.matching(_SERVE))
        yield from ((p, 1) for p in self._files.named("bentofile.yaml", "cog.yaml"))
        words = ("OnlineDeployment", "AWS::SageMaker::Endpoint")
        yield from ((f.path, 1) for f in self._files.yaml_files(holding=words))

    @cached_property
    def batch(self) -> tuple[str, int] | None:
        """Path and line of something that scores in batches."""
        for path, call in self._code.batch.items():
            if not self._files.is_aside(path):
                return path, call.line
        return None

    @property
    def scoring(self) -> tuple[str, int] | None:
        """Serving or batch."""
        return self.serving or self.batch

    @cached_property
    def ml(self) -> bool:
        """True when any code uses a machine-learning library."""
        return (
            self.training is not None
            or self.scoring is not None
            or any(m.roots & ML_ROOTS for m in self._code.product.values())
        )

    @cached_property
    def pipeline(self) -> tuple[str, int] | None:
        """Path and line of an orchestrated pipeline."""
        flow = next(iter(self._flows.all), None)
        return (flow.path, flow.line) if flow is not None else None

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Names of the stages shown."""
        found = []
        if self.training is not None:
            found.append("training")
        if self.serving is not None:
            found.append("serving")
        if self.batch is not None:
            found.append("batch")
        if self.pipeline is not None:
            found.append("pipeline")
        return tuple(found)
