"""What runs: services of compose files and containers of Kubernetes objects, as one model."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from mlops_advisor.tools.evidence.parse.tree import Node
from mlops_advisor.tools.evidence.repository import Repository

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
    """One compose service or Kubernetes container.

    `node` is the service or container, `pod` the pod template's spec (Kubernetes) or the same.
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


def workloads_of(repo: Repository) -> tuple[Workload, ...]:
    """Every service and container, by path and line."""
    return tuple(sorted([*_compose(repo), *_kubernetes(repo)], key=lambda w: (w.path, w.line)))


def _compose(repo: Repository) -> Iterator[Workload]:
    for file in repo.compose:
        for doc in file.docs:
            for name, service in doc.pairs("services"):
                command = _words(service.child("entrypoint")) + " " + _words(service.child("command"))
                yield Workload(
                    file.path,
                    service.key_line,
                    "compose",
                    "service",
                    name,
                    service.text_at("image"),
                    command.strip(),
                    service,
                    service,
                    tuple(_ports(service)),
                    tuple(settings_of(service.child("environment"))),
                    tuple(_volume(v) for v in service.list_at("volumes")),
                    service.text_at("privileged").lower() == "true",
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
                node.line, node.text_at("host_ip"), node.text_at("published"), node.text_at("target")
            )
            continue
        text = node.text.partition("/")[0]
        head, _, target = text.rpartition(":")
        host, _, published = head.rpartition(":")
        yield Port(node.line, host, published, target)


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
                value = item.child("value")
                yield Setting(
                    (value or item).line,
                    item.text_at("name"),
                    item.text_at("value"),
                    value is not None and "${" not in value.text and "$(" not in value.text,
                )
            elif "=" in item.text:
                name, _, text = item.text.partition("=")
                yield Setting(item.line, name.strip(), text.strip(), "${" not in text)


def _kubernetes(repo: Repository) -> Iterator[Workload]:
    for manifest in repo.manifests:
        pods = [n for n in manifest.node.below() if n.child("containers") is not None]
        for pod in pods:
            for container in pod.list_at("containers"):
                context = container.child("securityContext")
                yield Workload(
                    manifest.path,
                    container.line,
                    "k8s",
                    manifest.kind,
                    container.text_at("name") or manifest.name,
                    container.text_at("image"),
                    f"{_words(container.child('command'))} {_words(container.child('args'))}".strip(),
                    container,
                    pod,
                    tuple(
                        Port(p.line, "", p.text_at("hostPort"), p.text_at("containerPort"))
                        for p in container.list_at("ports")
                    ),
                    tuple(settings_of(container.child("env"))),
                    tuple(
                        v.text_at("hostPath", "path") for v in pod.list_at("volumes") if v.child("hostPath")
                    ),
                    context is not None and context.text_at("privileged").lower() == "true",
                )
