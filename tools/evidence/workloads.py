"""What runs: services of compose files, containers and model servers of Kubernetes objects."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from mlops_advisor.tools.evidence.parse.tree import Node
from mlops_advisor.tools.evidence.parse.yaml_tree import parse_yaml
from mlops_advisor.tools.evidence.parsed import Manifest
from mlops_advisor.tools.evidence.repository import Repository, shared

_KSERVE_PARTS: Final = ("predictor", "transformer", "explainer")
# Keys of a KServe predictor that are settings, not the name of a model format.
_NOT_FORMATS: Final = frozenset(
    "containers minReplicas maxReplicas scaleTarget scaleMetric canaryTrafficPercent logger"
    " batcher timeout containerConcurrency serviceAccountName nodeSelector tolerations affinity"
    " imagePullSecrets volumes labels annotations workerSpec deploymentStrategy securityContext"
    " initContainers schedulerName priorityClassName autoScaling".split()
)
_MAX_JSON: Final = 256 << 10


@dataclass(frozen=True, slots=True)
class Port:
    """One published port: `host` is the address it is bound to, empty for all addresses."""

    line: int
    host: str
    published: str
    target: str


@dataclass(frozen=True, slots=True)
class Setting:
    """One environment value with its line; `literal` unless it comes from elsewhere."""

    line: int
    name: str
    value: str
    literal: bool = True


@dataclass(frozen=True, slots=True)
class Workload:
    """One compose service, Kubernetes container or model server that a platform runs.

    `node` is the service or container, `pod` the pod template's spec (Kubernetes) or the same.
    A KServe predictor that only names a model, or a Seldon graph with a prepackaged server, has
    `prepackaged` set: `node` is what holds its resources, and the platform chooses the image.
    """

    path: str
    line: int
    system: str  # compose, k8s
    kind: str  # service, or the kind of the object
    name: str
    image: str
    command: str
    node: Node
    pod: Node
    ports: tuple[Port, ...] = ()
    env: tuple[Setting, ...] = ()
    volumes: tuple[str, ...] = ()
    privileged: bool = field(default=False)
    prepackaged: bool = False
    manifest: Manifest | None = None  # the object a container belongs to


@shared
def json_manifests(repo: Repository) -> tuple[Manifest, ...]:
    """Kubernetes objects in JSON files, with line numbers: JSON is read as YAML."""
    found: list[Manifest] = []
    for path in repo.ending(".json"):
        text = repo.text(path)
        if len(text) > _MAX_JSON or '"apiVersion"' not in text or '"kind"' not in text:
            continue
        for doc in parse_yaml(path, text.replace("\t", "  ")).docs:
            kind, api = doc.text_at("kind"), doc.text_at("apiVersion")
            if kind and api:
                found.append(Manifest(path, kind, api, doc.text_at("metadata", "name"), doc))
    return tuple(found)


def workloads_of(repo: Repository) -> tuple[Workload, ...]:
    """Every service, container and model server, by path and line."""
    return tuple(sorted([*_compose(repo), *_kubernetes(repo)], key=lambda w: (w.path, w.line)))


# --- compose -------------------------------------------------------------------------------


def _compose(repo: Repository) -> Iterator[Workload]:
    for file in repo.compose:
        for doc in file.docs:
            for name, service in doc.pairs("services"):
                if service.map is None:
                    continue
                start = f"{_words(service.child('entrypoint'))} {_words(service.child('command'))}"
                yield Workload(
                    path=file.path,
                    line=service.key_line,
                    system="compose",
                    kind="service",
                    name=name,
                    image=service.text_at("image"),
                    command=start.strip(),
                    node=service,
                    pod=service,
                    ports=tuple(_ports(service)),
                    env=tuple(settings_of(service.child("environment"))),
                    volumes=tuple(_volume(v) for v in service.list_at("volumes")),
                    privileged=service.text_at("privileged").lower() == "true",
                )


def _volume(node: Node) -> str:
    return node.text or f"{node.text_at('source')}:{node.text_at('target')}"


def _words(node: Node | None) -> str:
    if node is None:
        return ""
    return " ".join(n.text for n in node.items) if node.items is not None else node.text


def _ports(service: Node) -> Iterator[Port]:
    for node in service.list_at("ports"):
        if node.map is not None:
            yield Port(
                node.line,
                node.text_at("host_ip"),
                node.text_at("published"),
                node.text_at("target"),
            )
            continue
        head, _, target = _outside(node.text).partition("/")[0].rpartition(":")
        host, _, published = head.rpartition(":")
        yield Port(node.line, host.strip("[]"), published, target)


def _outside(text: str) -> str:
    """Take the default of `${PORT:-8080}`, whose colon separates nothing."""
    while "${" in text and "}" in text:
        start = text.index("${")
        end = text.find("}", start)
        if end < 0:
            break
        name, mark, default = text[start + 2 : end].partition(":-")
        text = text[:start] + (default if mark else name.partition("-")[2] or "0") + text[end + 1 :]
    return text


def settings_of(node: Node | None) -> Iterator[Setting]:
    """Environment values: a map, a list of `NAME=value`, or of objects with name and value."""
    if node is None:
        return
    sources = [*(node.merged or []), node]
    for source in sources:
        if source.map is not None:
            for name, value in source.map.items():
                if value.map is None and value.items is None:
                    yield Setting(value.line, name, value.text, "${" not in value.text)
        for item in source.items or ():
            if item.map is not None and item.child("name") is not None:
                value_node = item.child("value")
                yield Setting(
                    (value_node or item).line,
                    item.text_at("name"),
                    item.text_at("value"),
                    value_node is not None
                    and "${" not in value_node.text
                    and "$(" not in value_node.text,
                )
            elif "=" in item.text:
                name, _, text = item.text.partition("=")
                yield Setting(item.line, name.strip(), text.strip(), "${" not in text)


# --- Kubernetes ----------------------------------------------------------------------------


def _kubernetes(repo: Repository) -> Iterator[Workload]:
    for manifest in (*repo.manifests, *json_manifests(repo)):
        if manifest.kind == "CustomResourceDefinition":
            continue
        for pod in manifest.node.below():
            if pod.child("containers") is not None:
                yield from _containers(manifest, pod)
        if manifest.kind == "InferenceService":
            yield from _kserve(manifest)
        elif manifest.kind == "SeldonDeployment":
            yield from _seldon(manifest)


def _containers(manifest: Manifest, pod: Node) -> Iterator[Workload]:
    for container in pod.list_at("containers"):
        if container.map is None:
            continue
        context = container.child("securityContext")
        start = f"{_words(container.child('command'))} {_words(container.child('args'))}"
        yield Workload(
            path=manifest.path,
            line=container.line,
            system="k8s",
            kind=manifest.kind,
            name=container.text_at("name") or manifest.name,
            image=container.text_at("image"),
            command=start.strip(),
            node=container,
            pod=pod,
            ports=tuple(
                Port(p.line, "", p.text_at("hostPort"), p.text_at("containerPort"))
                for p in container.list_at("ports")
            ),
            env=tuple(settings_of(container.child("env"))),
            volumes=tuple(
                v.text_at("hostPath", "path")
                for v in pod.list_at("volumes")
                if v.child("hostPath") is not None
            ),
            privileged=context is not None and context.text_at("privileged").lower() == "true",
            manifest=manifest,
        )


def _kserve(manifest: Manifest) -> Iterator[Workload]:
    spec = manifest.node.child("spec") or Node(0)
    homes = [spec, *(n for k in ("default", "canary") if (n := spec.child(k)) is not None)]
    for home in homes:
        for part in _KSERVE_PARTS:
            pod = home.child(part)
            if pod is None or pod.child("containers") is not None:
                continue
            for key, server in pod.pairs():
                if key not in _NOT_FORMATS and server.map is not None:
                    yield _prepackaged(manifest, server, pod, manifest.name or key)


def _seldon(manifest: Manifest) -> Iterator[Workload]:
    for predictor in manifest.node.list_at("spec", "predictors"):
        graph = predictor.child("graph")
        own = any(n.child("containers") is not None for n in predictor.below())
        if graph is not None and not own:
            yield _prepackaged(manifest, graph, predictor, predictor.text_at("name"))


def _prepackaged(manifest: Manifest, server: Node, pod: Node, name: str) -> Workload:
    return Workload(
        path=manifest.path,
        line=server.key_line,
        system="k8s",
        kind=manifest.kind,
        name=name or manifest.name,
        image=server.text_at("image"),
        command=_words(server.child("args")),
        node=server,
        pod=pod,
        env=tuple(settings_of(server.child("env"))),
        prepackaged=True,
        manifest=manifest,
    )
