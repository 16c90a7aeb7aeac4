"""Container images that files name: Dockerfiles, compose, Kubernetes, CI, pipelines, code."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from mlops_advisor.tools.evidence.parse.tree import Node
from mlops_advisor.tools.evidence.parse.yaml_tree import PLACEHOLDER
from mlops_advisor.tools.evidence.repository import Repository
from mlops_advisor.tools.evidence.view import View, last
from mlops_advisor.tools.evidence.workloads import json_manifests

_FROM: Final = re.compile(
    r"^(?:--platform=\S{1,60}\s{1,4})?(\S{1,300})(?:\s{1,4}[Aa][Ss]\s{1,4}(\S{1,60}))?"
)
_COPY_FROM: Final = re.compile(r"--from=(\S{1,300})")
_IMAGE: Final = re.compile(r"^[\w.${}|:/@+-]{2,300}$")
_DEFAULT: Final = re.compile(r"\$\{\w{1,80}:?-([^{}$]{1,200})\}")
_VARIABLE: Final = re.compile(r"\$\{?\w|\$\(|\{\{|\{\}|<\w|%\(|[^:]//|\b" + PLACEHOLDER + r"\b")
_PICTURE: Final = (
    ".png",
    ".jpg",
    ".jpeg",
    ".svg",
    ".gif",
    ".webp",
    ".ico",
    ".bmp",
    ".tif",
    ".tiff",
)
_KEYS: Final = (
    "image",
    "Image",
    "container_image",
    "containerImage",
    "base_image",
    "baseImage",
    "image_uri",
    "imageUri",
    "ImageUri",
    "TrainingImage",
    "container_uri",
    "containerUri",
    "docker_image",
    "dockerImage",
    "container",
    "custom_image",
)
_LOOSE_KEYS: Final = frozenset(("image", "Image", "container"))  # these name other things too
# Keyword arguments and keys of dictionaries in code.
_CODE_KEYS: Final = frozenset(
    "base_image image_uri container_uri container_image serving_container_image_uri docker_image"
    " container_image_uri target_image custom_image imageUri ImageUri TrainingImage"
    " training_image_uri serving_image_uri master_image_uri".split()
)
_CODE_CALLS: Final = frozenset(
    "DockerOperator KubernetesPodOperator GKEStartPodOperator ContainerOp ContainerSpec"
    " V1Container KubernetesJob DockerContainer KubernetesRun DockerRun Environment ImageSpec"
    " deploy from_registry Container EksPodOperator AzureContainerInstancesOperator kubernetes"
    " container_component BuildContext".split()
)
_CODE_WORDS: Final = tuple(_CODE_KEYS | _CODE_CALLS | {'"Image"', "'Image'", "containers.run"})
_TERRAFORM: Final = re.compile(
    r"^\s{0,40}\"?(?:image|image_uri|container_image|image_id)\"?\s{0,20}[=:]\s{0,4}\"([^\"]{2,300})\""
)
_JSON_IMAGE: Final = re.compile(
    r"\"(?:image|Image|imageUri|image_uri|ImageUri)\"\s{0,4}:\s{0,4}\"([^\"\s]{2,300})\""
)
_JSON_FILES: Final = (
    "devcontainer.json",
    "task-definition.json",
    "taskdef.json",
    "task_definition.json",
)
_JSON_MARKS: Final = (
    "containerDefinitions",
    "AWS::SageMaker",
    "worker_pool_specs",
    "workerPoolSpecs",
)


@dataclass(frozen=True, slots=True)
class Image:
    """One reference: where, in what kind of file, its stage name in a Dockerfile.

    `name` is without tag and digest; `tag` and `digest` are empty when not given.  `where` is
    dockerfile, compose, k8s, helm, kustomize, ci, devcontainer, terraform, json, code or yaml.
    """

    path: str
    line: int
    ref: str
    where: str
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
    """Every image reference, by path and line; one for each line and reference."""
    found: dict[tuple[str, int, str], Image] = {}
    for reader in (_docker, _yaml, _json, _terraform, _code):
        for image in reader(repo):
            if image.ref.strip("${}:/"):
                found.setdefault((image.path, image.line, image.ref), image)
    return tuple(sorted(found.values(), key=lambda i: (i.path, i.line, i.ref)))


# --- Dockerfiles ---------------------------------------------------------------------------


def _docker(repo: Repository) -> Iterator[Image]:
    for path, instructions in repo.dockerfiles.items():
        arguments: dict[str, str] = {}
        stages: set[str] = set()
        for item in instructions:
            if item.name == "ARG":
                key, _, value = item.text.partition("=")
                if value and "$" not in value:
                    arguments[key.strip()] = value.strip().strip("\"'")
            elif item.name == "FROM" and (match := _FROM.match(item.text)):
                ref, stage = _filled(match.group(1), arguments), match.group(2) or ""
                if ref.lower() not in stages and ref != "scratch":
                    yield Image(path, item.line, ref, "dockerfile", stage)
                stages.add(stage.lower())
            elif item.name == "COPY" and (match := _COPY_FROM.search(item.text[:600])):
                ref = _filled(match.group(1), arguments)
                if ref.lower() not in stages and (":" in ref or "/" in ref):
                    yield Image(path, item.line, ref, "dockerfile", owner="copy")


def _filled(ref: str, arguments: dict[str, str]) -> str:
    for key, value in sorted(arguments.items(), key=lambda i: -len(i[0])):
        ref = ref.replace(f"${{{key}}}", value).replace(f"${key}", value)
    return _DEFAULT.sub(r"\1", ref)


# --- YAML ----------------------------------------------------------------------------------


def _yaml(repo: Repository) -> Iterator[Image]:
    kinds = _kinds_of_files(repo)
    for file in repo.yaml_files(holding=(*_KEYS, "newTag", "docker://")):
        where = kinds.get(file.path, "yaml")
        for doc in file.docs:
            if where == "compose":
                yield from _compose(file.path, doc)
            elif where == "ci":
                yield from _ci(file.path, doc)
            elif doc.child("images") is not None and _is_overlay(file.path, doc):
                yield from _kustomize(file.path, doc)
            else:
                yield from _plain(file.path, doc, where)
    for manifest in json_manifests(repo):
        yield from _plain(manifest.path, manifest.node, "k8s")


def _kinds_of_files(repo: Repository) -> dict[str, str]:
    found = dict.fromkeys((m.path for m in repo.manifests), "k8s")
    found.update((p, "helm") for p in repo.files if _is_values(p))
    found.update((f.path, "compose") for f in repo.compose)
    found.update((p, "ci") for p in repo.ci_paths)
    return found


def _is_values(path: str) -> bool:
    name = path.rsplit("/", 1)[-1].lower()
    return name.startswith("values") and name.endswith((".yaml", ".yml"))


def _plain(path: str, doc: Node, where: str) -> Iterator[Image]:
    for key, node in doc.find(*_KEYS):
        loose = key in _LOOSE_KEYS and where == "yaml"
        image = _of_node(path, node, where, loose=loose)
        if image is not None:
            yield image


def _of_node(path: str, node: Node, where: str, *, loose: bool = False) -> Image | None:
    """Make an image of a scalar, or of a map with a name or with repository and tag."""
    at, ref = node, node.text
    if node.map is not None:
        for key in ("repository", "name", "image", "uri"):
            named = node.child(key)
            if named is not None and named.text:
                at, ref = named, named.text
                break
        ref = _with_tag(node, ref)
        tag = node.child("tag")
        at = tag if tag is not None and tag.line else at
    ref = ref.removeprefix("docker://")
    if not _looks_like(ref) or (loose and not (":" in ref or "/" in ref)):
        return None
    return Image(path, at.line, ref, where)


def _with_tag(node: Node, name: str) -> str:
    """Helm writes `registry:`, `repository:` and `tag:` apart."""
    tag, digest = node.text_at("tag"), node.text_at("digest")
    registry = node.text_at("registry")
    name = f"{registry}/{name}" if registry and node.child("repository") is not None else name
    if digest:
        return f"{name}@{digest}"
    if tag:
        return f"{name}:{tag}"
    # An empty tag of a chart means its appVersion.
    return f"{name}:{{}}" if node.child("tag") is not None else name


def _looks_like(ref: str) -> bool:
    return bool(
        _IMAGE.match(ref.replace("{{", "").replace("}}", "").replace(" ", ""))
        and "://" not in ref
        and not ref.lower().endswith(_PICTURE)
        and not ref.startswith((".", "/", "-"))
        and ref.lower() not in ("true", "false", "null", "none")
    )


def _is_overlay(path: str, doc: Node) -> bool:
    return "kustomization" in path.lower() or doc.text_at("kind") == "Kustomization"


def _kustomize(path: str, doc: Node) -> Iterator[Image]:
    for item in doc.list_at("images"):
        name = item.text_at("newName") or item.text_at("name")
        tag = item.child("newTag")
        digest = item.text_at("digest")
        if name and (tag is not None or digest):
            ref = f"{name}@{digest}" if digest else f"{name}:{tag.text if tag else ''}"
            yield Image(path, (tag or item).line, ref, "kustomize", owner=item.text_at("name"))


def _compose(path: str, doc: Node) -> Iterator[Image]:
    for name, service in doc.pairs("services"):
        node = service.child("image")
        if node is not None and node.text:
            built = service.child("build") is not None
            ref = _DEFAULT.sub(r"\1", node.text)
            yield Image(path, node.line, ref, "compose", built=built, owner=name)


def _ci(path: str, doc: Node) -> Iterator[Image]:
    for key, node in doc.walk():
        if key == "uses" and node.text.startswith("docker://"):
            yield Image(path, node.line, node.text.removeprefix("docker://"), "ci")
        elif key == "services" and node.items is not None:  # GitLab
            for item in node.items:
                image = _of_node(path, item, "ci")
                if image is not None:
                    yield image
        elif key in _KEYS or key == "docker":
            for item in node.items if node.items is not None else [node]:
                image = _of_node(path, item, "ci")
                if image is not None:
                    yield image


# --- JSON and Terraform --------------------------------------------------------------------


def _json(repo: Repository) -> Iterator[Image]:
    manifests = {m.path for m in json_manifests(repo)}
    for path in repo.ending(".json"):
        name = path.rsplit("/", 1)[-1].lower()
        text = repo.text(path)
        if path in manifests or not (
            name.endswith(_JSON_FILES) or any(m in text for m in _JSON_MARKS)
        ):
            continue
        where = "devcontainer" if name.endswith("devcontainer.json") else "json"
        for number, line in enumerate(repo.lines(path), 1):
            match = _JSON_IMAGE.search(line[:600])
            if match and not line.lstrip().startswith("//") and _looks_like(match.group(1)):
                yield Image(path, number, match.group(1), where)


def _terraform(repo: Repository) -> Iterator[Image]:
    for path, block in repo.terraform:
        for number, line in block.body:
            match = _TERRAFORM.match(line[:600])
            if match and ("/" in match.group(1) or ":" in match.group(1)):
                ref = match.group(1)
                if not ref.startswith(("ami-", "projects/")) and _looks_like(ref):
                    yield Image(path, number, ref, "terraform", owner=block.name)


# --- code ----------------------------------------------------------------------------------


def _code(repo: Repository) -> Iterator[Image]:
    for path in repo.code.product:
        text = repo.text(path)
        if not any(w in text for w in _CODE_WORDS):
            continue
        view = repo.view(path)
        if view is not None:
            yield from _of_view(view)


def _of_view(view: View) -> Iterator[Image]:
    for call in view.calls:
        name = view.name(call)
        runs = last(name) in _CODE_CALLS
        for keyword in call.keywords:
            if keyword.arg in _CODE_KEYS or (keyword.arg == "image" and runs):
                yield from _of_value(view, keyword.value, name)
        if name.endswith("containers.run") and call.args:
            yield from _of_value(view, call.args[0], name)
    for table in view.of(ast.Dict):
        for key, value in zip(table.keys, table.values, strict=True):
            if isinstance(key, ast.Constant) and (key.value in _CODE_KEYS or key.value == "Image"):
                yield from _of_value(view, value, "")


def _of_value(view: View, value: ast.expr, owner: str) -> Iterator[Image]:
    ref = view.string(value)
    settled = view.settled(value)
    line = settled.lineno if isinstance(settled, (ast.Constant, ast.JoinedStr)) else value.lineno
    if ref and ("/" in ref or ":" in ref) and _looks_like(ref):
        yield Image(view.path, line, ref, "code", owner=owner)
