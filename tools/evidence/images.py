"""Container images that files name: Dockerfiles, compose, Kubernetes, CI, pipelines, code."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from mlops_advisor.tools.evidence.parse.tree import Node
from mlops_advisor.tools.evidence.repository import Repository

_FROM: Final = re.compile(
    r"^(?:--platform=\S{1,60}\s{1,4})?(\S{1,300})(?:\s{1,4}[Aa][Ss]\s{1,4}(\S{1,60}))?"
)
_KEYS: Final = ("image", "container_image", "base_image", "baseImage", "containerImage", "image_uri")
_IMAGE: Final = re.compile(r"^[\w.${}<>/:@-]{2,300}$")
_CODE_KEYS: Final = (
    "base_image",
    "image",
    "image_uri",
    "container_uri",
    "container_image",
    "serving_container_image_uri",
    "docker_image",
    "container_image_uri",
    "worker_pool_image",
)
_VARIABLE: Final = re.compile(r"\$\{?\w|\{\{|\{\}|<\w|%\(")


@dataclass(frozen=True, slots=True)
class Image:
    """One reference: where, in what kind of file, its stage name in a Dockerfile.

    `name` is without tag and digest; `tag` and `digest` are empty when not given.
    """

    path: str
    line: int
    ref: str
    where: str  # dockerfile, compose, k8s, ci, yaml, code
    stage: str = ""
    built: bool = False  # a compose service that is built here
    owner: str = ""  # service, container or function it belongs to

    @property
    def variable(self) -> bool:
        """True when a part is filled in elsewhere."""
        return bool(_VARIABLE.search(self.ref))

    @property
    def digest(self) -> str:
        """`sha256:...`, or empty."""
        return self.ref.partition("@")[2]

    @property
    def tag(self) -> str:
        """Tag, or empty."""
        plain = self.ref.partition("@")[0]
        tail = plain.rpartition("/")[2]
        return tail.partition(":")[2]

    @property
    def name(self) -> str:
        """Repository of the image, registry included."""
        plain = self.ref.partition("@")[0]
        return plain[: len(plain) - len(self.tag) - 1] if self.tag else plain.rstrip(":")


def images_of(repo: Repository) -> tuple[Image, ...]:
    """Every image reference, by path and line."""
    found = [*_docker(repo), *_yaml(repo), *_code(repo)]
    return tuple(sorted(set(found), key=lambda i: (i.path, i.line, i.ref)))


def _docker(repo: Repository) -> Iterator[Image]:
    for path, instructions in repo.dockerfiles.items():
        arguments: dict[str, str] = {}
        stages: set[str] = set()
        for item in instructions:
            if item.name == "ARG" and "=" in item.text:
                key, _, value = item.text.partition("=")
                arguments[key.strip()] = value.strip().strip("\"'")
            elif item.name == "FROM" and (match := _FROM.match(item.text)):
                ref, stage = match.group(1), match.group(2) or ""
                for key, value in arguments.items():
                    ref = ref.replace(f"${{{key}}}", value).replace(f"${key}", value)
                if ref.lower() not in stages and ref != "scratch":
                    yield Image(path, item.line, ref, "dockerfile", stage)
                stages.add(stage.lower())


def _yaml(repo: Repository) -> Iterator[Image]:
    ci = set(repo.ci_paths)
    compose = {f.path for f in repo.compose}
    k8s = {m.path for m in repo.manifests}
    for file in repo.yaml_files(holding=_KEYS):
        where = (
            "ci"
            if file.path in ci
            else "compose"
            if file.path in compose
            else "k8s"
            if file.path in k8s
            else "yaml"
        )
        for doc in file.docs:
            if where == "compose":
                yield from _compose(file.path, doc)
                continue
            for _, node in doc.find(*_KEYS):
                ref = node.text or node.text_at("name") or _parts(node)
                if ref and _IMAGE.match(ref):
                    line = node.line if node.text else (node.get("name") or node).line
                    yield Image(file.path, line, ref, where)


def _parts(node: Node) -> str:
    """Helm writes `repository:` and `tag:` apart."""
    name, tag = node.text_at("repository"), node.text_at("tag")
    return f"{name}:{tag}" if name and tag else name


def _compose(path: str, doc: Node) -> Iterator[Image]:
    for name, service in doc.pairs("services"):
        node = service.child("image")
        if node is not None and node.text:
            built = service.child("build") is not None
            yield Image(path, node.line, node.text, "compose", built=built, owner=name)


def _code(repo: Repository) -> Iterator[Image]:
    for path, module in repo.code.product.items():
        for call in module.calls:
            for key in _CODE_KEYS:
                ref = call.kwargs.get(key)
                if isinstance(ref, str) and _IMAGE.match(ref) and ("/" in ref or ":" in ref):
                    yield Image(path, call.line, ref, "code", owner=call.name)
