"""References of image builds that do not hold: build arguments, copied files, contexts."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from typing import Final

from mlops_advisor.tools.audit_workflow.repo import AuditRepository
from mlops_advisor.tools.audit_workflow.rule import HIGH, MEDIUM, Hit
from mlops_advisor.tools.audit_workflow.rules._pipeline_paths import (
    WRITTEN,
    anywhere,
    folder_of,
    folders,
    held,
    join,
    may_appear,
    plain,
)
from mlops_advisor.tools.evidence.arguments import words_of
from mlops_advisor.tools.evidence.parse.shell import Instruction
from mlops_advisor.tools.evidence.parse.tree import Node
from mlops_advisor.tools.evidence.view import last

_ARG: Final = re.compile(r"([A-Za-z_]\w{0,100})(?:\s{0,2}=|\s|$)")
_USED: Final = re.compile(
    r"(?<![\\$])\$(?:\{([A-Za-z_]\w{0,80})(?::?[-+][^}]{0,80})?\}|([A-Za-z_]\w{0,80}))"
)
_PREDEFINED: Final = frozenset(
    "HTTP_PROXY http_proxy HTTPS_PROXY https_proxy FTP_PROXY ftp_proxy NO_PROXY no_proxy ALL_PROXY"
    " all_proxy BUILDKIT_INLINE_CACHE BUILDKIT_CONTEXT_KEEP_GIT_DIR SOURCE_DATE_EPOCH"
    " DOCKER_BUILDKIT"
    " TARGETPLATFORM TARGETARCH TARGETOS TARGETVARIANT BUILDPLATFORM BUILDARCH BUILDOS".split()
)
_VALUED: Final = frozenset(
    "-t --tag -f --file --build-arg --target --platform --label --cache-from --cache-to --output -o"
    " --progress --network --secret --ssh --add-host --iidfile --memory -m --shm-size --ulimit"
    " --builder --metadata-file --build-context --squash-name --isolation --cpuset-cpus".split()
)
_WATCHED: Final = ("ENV", "COPY", "ADD", "WORKDIR", "LABEL", "USER", "EXPOSE")


def broken_images(repo: AuditRepository) -> Iterator[Hit]:
    """Find what builds of images name and nothing holds."""
    for path, instructions in repo.dockerfiles.items():
        if not repo.is_aside(path):
            yield from _scoped(path, instructions)
            yield from _copied(repo, path, instructions)
    yield from _commands(repo)
    yield from _actions(repo)
    yield from _compose(repo)
    yield from _sdk(repo)


# --- build arguments ----------------------------------------------------------------------------


def _scoped(path: str, instructions: list[Instruction]) -> Iterator[Hit]:
    """Find arguments used in a stage that only another stage, or none, declares."""
    declared_before: dict[str, int] = {}
    elsewhere: dict[str, int] = {}
    here: set[str] = set()
    inside = False
    for item in instructions:
        if item.name == "FROM":
            inside, here = True, set()
        elif item.name == "ARG":
            for name in _ARG.findall(item.text)[:1]:
                (elsewhere if inside else declared_before).setdefault(name, item.line)
                here.add(name) if inside else None
        elif item.name == "ENV":
            here.update(_environment(item.text))
        if not inside or item.name not in (*_WATCHED, "RUN"):
            continue
        for braced, bare in _USED.findall(item.text):
            name = braced or bare
            line = declared_before.get(name) or elsewhere.get(name)
            if line is None or name in here or f"{name}=" in item.text:
                continue
            here.add(name)
            why = f"`${name}` is empty here: `ARG {name}` of line {line} does not reach this stage."
            fix = f"Repeat `ARG {name}` after the `FROM` of this stage."
            yield Hit(path, item.line, why, fix, also=((path, line),), confidence=0.9)


def _environment(text: str) -> list[str]:
    if "=" not in text.partition(" ")[0]:
        return [text.split(maxsplit=1)[0]] if text.split() else []
    return re.findall(r"(?:^|\s)([A-Za-z_]\w{0,80})=", text)


def declared(repo: AuditRepository, path: str) -> frozenset[str] | None:
    """Build arguments that a Dockerfile declares; None when there is no such file."""
    instructions = repo.dockerfiles.get(path)
    if instructions is None:
        return None
    return frozenset(n for i in instructions if i.name == "ARG" for n in _ARG.findall(i.text)[:1])


def _unknown_args(
    repo: AuditRepository, where: tuple[str, int], names: list[str], dockerfile: str
) -> Iterator[Hit]:
    known = declared(repo, dockerfile)
    if known is None:
        return
    unknown = [n for n in names if n not in known and n not in _PREDEFINED and n.isidentifier()]
    if unknown:
        path, line = where
        found = repo.line_of(path, unknown[0], line - 1)
        line = found if 0 < found <= line + 40 else line
        shown = ", ".join(f"`{n}`" for n in unknown[:5])
        why = f"`{dockerfile}` declares no `ARG` for {shown}: the value is thrown away."
        fix = f"Add `ARG {unknown[0]}` to `{dockerfile}`, in the stage that uses it."
        yield Hit(path, line, why, fix, also=((dockerfile, 1),), severity=HIGH, confidence=0.9)


def _commands(repo: AuditRepository) -> Iterator[Hit]:
    for run in (*repo.runs.ci, *repo.runs.make, *repo.runs.shell, *repo.runs.pipeline):
        if ("docker" not in run.text and "podman" not in run.text) or not run.live:
            continue
        for words in words_of(run.text):
            at = _build_at(words)
            if at is not None:
                yield from _build(repo, (run.path, run.line), words[at + 1 :])


def _build_at(words: list[str]) -> int | None:
    for i, word in enumerate(words[:8]):
        if word == "build" and i and words[i - 1] in ("docker", "podman", "buildx", "image"):
            return i
    return None


def _build(repo: AuditRepository, where: tuple[str, int], words: list[str]) -> Iterator[Hit]:
    names: list[str] = []
    file, context = "", ""
    rest = list(words)
    opaque = False
    while rest:
        word = rest.pop(0)
        flag, equals, value = word.partition("=")
        if flag.startswith("-"):
            if not equals and flag in _VALUED:
                value = rest.pop(0) if rest else ""
            if flag == "--build-arg":
                names.append(value.partition("=")[0])
            elif flag in ("-f", "--file"):
                file = value
            opaque = opaque or (flag not in _VALUED and not equals and len(flag) > 2 and bool(rest))  # noqa: PLR2004
        else:
            opaque = opaque or "$" in word or "{" in word
            context = context or word
    if not context and not opaque and "-" not in words:
        why = "`docker build` is given no folder to build from, so it ends with an error."
        yield Hit(*where, why, "Add the folder, `.`, at the end.", confidence=0.75)
    dockerfile = _dockerfile(repo, where[0], context, file)
    if dockerfile:
        yield from _unknown_args(repo, where, names, dockerfile)


def _dockerfile(repo: AuditRepository, origin: str, context: str, file: str) -> str:
    """Path of the Dockerfile that a build means; empty when that cannot be told."""
    if file:
        if not plain(file):
            return ""
        return repo.runs.file_named(file)
    if context and not plain(context):
        return ""
    for base in ("", folder_of(origin)):
        folder = join(base, context or ".")
        path = f"{folder}/Dockerfile" if folder else "Dockerfile"
        if path in repo.dockerfiles:
            return path
    return next(iter(repo.dockerfiles)) if len(repo.dockerfiles) == 1 else ""


def _actions(repo: AuditRepository) -> Iterator[Hit]:
    for job in repo.jobs:
        for step in job.steps:
            if not step.uses.startswith("docker/build-push-action") or step.inputs is None:
                continue
            node = step.inputs.child("build-args")
            file = step.inputs.text_at("file")
            context = step.inputs.text_at("context")
            if file and plain(file) and not repo.runs.file_named(file) and not held(repo, file):
                line = (step.inputs.child("file") or step.inputs).line
                if not may_appear(repo, file.removeprefix("./")):
                    yield Hit(job.path, line, f"There is no `{file}` to build.", severity=HIGH)
            if node is not None:
                names = [
                    line.strip().partition("=")[0] for line in node.text.split("\n") if "=" in line
                ]
                dockerfile = _dockerfile(repo, "", context, file)
                if dockerfile:
                    yield from _unknown_args(repo, (job.path, node.line), names, dockerfile)


def _sdk(repo: AuditRepository) -> Iterator[Hit]:
    for hit in repo.code.calls("*.build", "*.build_image"):
        if "buildargs" not in hit.call.kwargs:
            continue
        view = repo.view(hit.module.path)
        for call in view.calls if view is not None else ():
            if (
                view is None
                or call.lineno != hit.call.line
                or last(view.name(call)) != hit.call.last
            ):
                continue
            node = view.settled(view.arg(call, "buildargs"))
            if isinstance(node, ast.Dict):
                keys = [k.value for k in node.keys if isinstance(k, ast.Constant)]
                context = view.string(view.arg(call, "path", 0))
                file = view.string(view.arg(call, "dockerfile"))
                dockerfile = _dockerfile(repo, view.path, context, file)
                if dockerfile:
                    names = [k for k in keys if isinstance(k, str)]
                    yield from _unknown_args(repo, (view.path, node.lineno), names, dockerfile)


# --- files --------------------------------------------------------------------------------------


def _copied(repo: AuditRepository, path: str, instructions: list[Instruction]) -> Iterator[Hit]:
    for item in instructions:
        if item.name not in ("COPY", "ADD") or "--from" in item.text or "<<" in item.text:
            continue
        words = item.text.strip("[]").replace('"', " ").replace(",", " ").split()
        sources = [w for w in words if not w.startswith("--")][:-1]
        for source in sources:
            if not plain(source) or "://" in source:
                continue
            clean = join("", source.lstrip("/"))
            if clean and clean != "!" and not anywhere(repo, clean) and _written_here(repo, clean):
                why = f"`{source}` is copied into the image, and the repository does not hold it."
                yield Hit(path, item.line, why, severity=HIGH, confidence=0.85)
                break


def _written_here(repo: AuditRepository, path: str) -> bool:
    """Tell whether a missing path is one that a person would have written into the tree."""
    name = path.rpartition("/")[2].lower()
    code = name.endswith((*WRITTEN, "requirements.txt")) or name in ("pipfile", "makefile")
    return code and not may_appear(repo, path) and ".env" not in name


def _compose(repo: AuditRepository) -> Iterator[Hit]:
    for file in repo.compose:
        if repo.is_aside(file.path):
            continue
        for doc in file.docs:
            for name, service in doc.pairs("services"):
                build = service.child("build")
                if build is not None:
                    yield from _built(repo, file.path, build)
                yield from _mounted(repo, file.path, name, service)


def _built(repo: AuditRepository, path: str, build: Node) -> Iterator[Hit]:
    context = build.text or build.text_at("context") or "."
    name = build.text_at("dockerfile") or "Dockerfile"
    folder = join(folder_of(path), context)
    unsure = not plain(context) or not plain(name) or folder == "!"
    if unsure or may_appear(repo, folder or "x"):
        return
    if folder not in folders(repo):
        line = (build.child("context") or build).line
        yield Hit(path, line, f"There is no folder `{folder}` to build from.", severity=HIGH)
        return
    target = join(folder, name)
    if not held(repo, target):
        line = (build.child("dockerfile") or build).line
        if build.child("dockerfile_inline") is None and not may_appear(repo, target):
            why = f"There is no `{target}` to build from."
            yield Hit(path, line, why, severity=HIGH, confidence=0.9)
        return
    args = build.child("args")
    if args is not None:
        listed = [n.text.partition("=")[0] for n in args.items or []]
        names = list(args.map) if args.map is not None else listed
        yield from _unknown_args(repo, (path, args.line), names, target)


def _mounted(repo: AuditRepository, path: str, name: str, service: Node) -> Iterator[Hit]:
    for volume in service.list_at("volumes"):
        source = volume.text.partition(":")[0] or volume.text_at("source")
        if not source.startswith(("./", "../")) or not plain(source):
            continue
        target = join(folder_of(path), source)
        absent = target != "!" and not held(repo, target) and not may_appear(repo, target)
        if absent and target.lower().endswith(WRITTEN):
            why = f"`{name}` mounts `{source}`, which does not exist: an empty folder appears."
            yield Hit(path, volume.line, why, severity=MEDIUM, confidence=0.85)
