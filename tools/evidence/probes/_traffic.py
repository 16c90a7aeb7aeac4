"""Settings that give a new version a part of traffic."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple

from mlops_advisor.tools.evidence.parse.tree import Node
from mlops_advisor.tools.evidence.parsed import Manifest
from mlops_advisor.tools.evidence.repository import Repository, shared

_TEMPLATES: Final = (
    "AWS::SageMaker::Endpoint",
    "OnlineEndpoint",
    "onlineEndpoint",
    "managedOnlineEndpoint",
    "traffic:",
)
_TRAFFIC_KEYS: Final = (
    "ProductionVariants",
    "ShadowProductionVariants",
    "traffic",
    "TrafficRoutingConfiguration",
)
_ALL: Final = 100


class Split(NamedTuple):
    """One setting that gives a new version a part of traffic."""

    what: str
    path: str
    line: int
    real: bool  # False: the numbers send everything one way
    judged: bool = False  # metrics decide about the next step
    steps: int = 0


@shared
def splits(repo: Repository) -> list[Split]:
    """Every traffic setting in manifests, templates and Terraform."""
    found: list[Split] = []
    for manifest in repo.manifests:
        spec = manifest.node.child("spec")
        if spec is not None:
            found += _of_manifest(manifest, spec)
    return found + _of_terraform(repo) + _of_templates(repo)


def _of_manifest(manifest: Manifest, spec: Node) -> list[Split]:
    readers: dict[str, tuple[str, Callable[[Manifest, Node], list[Split]]]] = {
        "InferenceService": ("", _kserve),
        "Rollout": ("argoproj.io", _rollout),
        "Canary": ("flagger.app", _flagger),
        "SeldonDeployment": ("", _seldon),
        "VirtualService": ("", _mesh),
        "HTTPRoute": ("", _mesh),
        "TrafficSplit": ("", _mesh),
        "Service": ("serving.knative.dev", _knative),
    }
    api, reader = readers.get(manifest.kind, ("", None))
    return reader(manifest, spec) if reader is not None and manifest.api.startswith(api) else []


def _kserve(manifest: Manifest, spec: Node) -> list[Split]:
    return [
        Split(f"KServe {key}", manifest.path, node.key_line, 0 < _number(node) < _ALL)
        for key, node in spec.find("canaryTrafficPercent")
    ]


def _flagger(manifest: Manifest, spec: Node) -> list[Split]:
    analysis = spec.child("analysis") or spec.child("canaryAnalysis")
    if analysis is None:
        return [Split("Flagger canary", manifest.path, manifest.line, real=False)]
    step = int(_number(analysis.child("stepWeight")))
    steps = _ALL // step if step > 0 else 0
    judged = bool(analysis.list_at("metrics"))
    return [
        Split("Flagger canary", manifest.path, manifest.line, real=True, judged=judged, steps=steps)
    ]


def _seldon(manifest: Manifest, spec: Node) -> list[Split]:
    weights = [_number(n) for _, n in spec.find("traffic")]
    shadow = any(n.text == "true" for _, n in spec.find("shadow"))
    if not weights and not shadow:
        return []
    real = shadow or any(0 < w < _ALL for w in weights)
    return [Split("Seldon traffic split", manifest.path, manifest.line, real)]


def _mesh(manifest: Manifest, spec: Node) -> list[Split]:
    weights = [_number(n) for _, n in spec.find("weight")]
    mirror = any(True for _ in spec.find("mirror"))
    if len(weights) <= 1 and not mirror:
        return []
    return [
        Split("mesh traffic weights", manifest.path, manifest.line, mirror or _several(weights))
    ]


def _knative(manifest: Manifest, spec: Node) -> list[Split]:
    weights = [_number(n) for _, n in spec.find("percent")]
    if len(weights) <= 1:
        return []
    return [Split("Knative traffic", manifest.path, manifest.line, _several(weights))]


def _several(weights: list[float]) -> bool:
    return sum(w > 0 for w in weights) > 1


def _number(node: Node | None) -> float:
    try:
        return float(node.text.strip().rstrip("%")) if node is not None else 0.0
    except ValueError:
        return 0.0


def _rollout(manifest: Manifest, spec: Node) -> list[Split]:
    strategy = spec.child("strategy")
    canary = spec.get("strategy", "canary")
    blue = spec.get("strategy", "blueGreen")
    if canary is not None and strategy is not None:
        steps = canary.list_at("steps")
        weights = [s for s in steps if s.child("setWeight") is not None]
        judged = canary.child("analysis") is not None or any(
            s.child("analysis") is not None for s in steps
        )
        # An open-ended pause waits for a person, so traffic is not raised by the system alone.
        waits = any(
            (p := s.child("pause")) is not None and p.child("duration") is None for s in steps
        )
        real = any(0 < _number(s.child("setWeight")) < _ALL for s in weights)
        return [
            Split(
                "Argo Rollouts canary",
                manifest.path,
                canary.key_line,
                real,
                judged,
                0 if waits else len(weights),
            )
        ]
    if blue is not None:
        judged = (
            blue.child("prePromotionAnalysis") is not None
            or blue.child("postPromotionAnalysis") is not None
        )
        return [
            Split(
                "Argo Rollouts blue/green",
                manifest.path,
                blue.key_line,
                blue.text_at("autoPromotionEnabled") == "false" or judged,
                judged,
            )
        ]
    return []


def _of_terraform(repo: Repository) -> list[Split]:
    found: list[Split] = []
    for path, block in repo.resources(
        "aws_sagemaker_endpoint_configuration", "google_vertex_ai_endpoint", "aws_lambda_alias"
    ):
        text = block.text()
        variants = text.count("production_variants {") + text.count("shadow_production_variants {")
        if variants > 1 or "routing_config" in text or "traffic_split" in text:
            found.append(Split("traffic split", path, block.line, real=True))
    for path, block in repo.resources("aws_sagemaker_endpoint"):
        text = block.text()
        if "traffic_routing_configuration" in text and ("CANARY" in text or "LINEAR" in text):
            found.append(
                Split(
                    "SageMaker canary",
                    path,
                    block.line,
                    real=True,
                    judged="auto_rollback_configuration" in text,
                    steps=2 if "LINEAR" in text else 1,
                )
            )
    return found


def _of_templates(repo: Repository) -> list[Split]:
    return [
        split
        for file in repo.yaml_files(holding=_TEMPLATES)
        for doc in file.docs
        for key, node in doc.find(*_TRAFFIC_KEYS)
        if (split := _of_template(file.path, doc, key, node)) is not None
    ]


def _of_template(path: str, doc: Node, key: str, node: Node) -> Split | None:
    line = node.key_line
    if key == "ShadowProductionVariants" or (
        key == "ProductionVariants" and len(node.list_at()) > 1
    ):
        return Split("SageMaker variants", path, line, real=True)
    if key == "TrafficRoutingConfiguration" and node.text_at("Type") in ("CANARY", "LINEAR"):
        return Split("SageMaker canary", path, line, real=True)
    if key == "traffic" and node.map is not None and doc.child("apiVersion") is None:
        return Split(
            "endpoint traffic", path, line, _several([_number(n) for n in node.map.values()])
        )
    return None
