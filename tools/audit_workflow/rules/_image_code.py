"""Images and the like as environments of code: modules that run in one, Python, packages."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from posixpath import dirname, normpath
from typing import Final

from mlops_advisor.tools.audit_workflow.repo import AuditRepository
from mlops_advisor.tools.audit_workflow.rules._serving import start_of, started_near
from mlops_advisor.tools.audit_workflow.rules._supply import Entry, entries_of, manifests
from mlops_advisor.tools.audit_workflow.rules._supply_commands import parse
from mlops_advisor.tools.evidence.parse.shell import Instruction
from mlops_advisor.tools.evidence.parse.tree import Node
from mlops_advisor.tools.evidence.view import View

_PYTHON: Final = re.compile(
    r"(?:^|/)python:(3)\.(\d{1,2})\b|-py(?:thon)?(3)\.?(\d{1,2})\b|lambda[-/]python:(3)\.(\d{1,2})\b"
)
_PLAIN: Final = re.compile(r"(?:^|/)(?:lambda/|aws-lambda-)?python:\d")
_SPARK: Final = re.compile(r"(?:^|/)spark(?:-py)?:v?3\.[2-5]\b(?!\S{0,60}java17)")
_LAMBDA: Final = re.compile(r"lambda[-/]python\b")
_DISTRIBUTIONS: Final = {"ubuntu:18.04": 6, "ubuntu:20.04": 8, "ubuntu:22.04": 10, "debian:11": 9}
_REQUIREMENT: Final = re.compile(r"(?:^|\s)(?:-r|--requirement)[ =]{0,2}[\"']?([^\s\"';&|]{1,200})")
_OPAQUE: Final = re.compile(
    r"\b(?:poetry|uv|pdm|hatch|rye|pixi)\b|\bpip[\d.]* install[^&|;\n]{0,200}"
    r"(?:\s\.{1,2}(?:/|\[|\s|$)|\s-e\b|\s/\S|\.whl\b|\$|https?://|git\+)|"
    r"\bconda (?:env|create)\b|\bmamba (?:env|create)\b|python[\d.]* setup\.py|"
    r"apt(?:-get)?\b[^&|;\n]{0,600}\bpython3-(?!pip|dev|venv|setuptools|distutils)"
)
_PIPENV: Final = re.compile(r"\bpipenv (?:install|sync)\b")
_CONDA_FILE: Final = re.compile(r"(?:-f|--file)[ =]{1,2}([\w./-]{1,200}\.ya?ml)")
_NEW_PYTHON: Final = re.compile(r"deadsnakes|pyenv|python3\.\d|conda|uv python")
_MAX_LOADED: Final = 300
_NAMED: Final = {"spark": ("pyspark", "py4j"), "lambda": ("boto3", "botocore")}


@dataclass(frozen=True, slots=True)
class Place:
    """One environment: where it is named, the modules that run in it, and what it holds.

    `packages` is None when it cannot be told; `python` is (0, 0) then.  `source` is the file that
    lists the packages.
    """

    path: str
    line: int
    what: str
    modules: frozenset[str]
    python: tuple[int, int] = (0, 0)
    packages: frozenset[str] | None = None
    source: tuple[str, int] = ("", 0)


def places(repo: AuditRepository) -> Iterator[Place]:
    """Environments whose code is known: images, functions, bentos, conda environments."""
    for path, instructions in repo.dockerfiles.items():
        place = _image(repo, path, instructions)
        if place is not None:
            yield place
    yield from _functions(repo)
    yield from _bentos(repo)
    yield from _scoring(repo)


def loaded(repo: AuditRepository, modules: frozenset[str]) -> list[str]:
    """Modules that are loaded with some: those imported in functions or `try` are not."""
    seen = set(modules)
    stack = sorted(modules)
    while stack and len(seen) < _MAX_LOADED:
        path = stack.pop()
        view = repo.view(path)
        for dotted in _imported(view) if view is not None else ():
            target = repo.code.resolve(dotted, path)
            if target and target not in seen:
                seen.add(target)
                stack.append(target)
    return sorted(p for p in seen if p not in repo.code.tests)


def _imported(view: View) -> Iterator[str]:
    for node in view.tree.body:
        if isinstance(node, ast.Import):
            yield from (a.name for a in node.names)
        elif isinstance(node, ast.ImportFrom):
            module = "." * node.level + (node.module or "")
            yield module
            dot = "." if node.module else ""
            yield from (f"{module}{dot}{a.name}" for a in node.names)


# --- images ----------------------------------------------------------------------------------


def _image(repo: AuditRepository, path: str, all_: list[Instruction]) -> Place | None:
    froms = [i for i in all_ if i.name == "FROM"]
    _, text = start_of(all_)
    if not froms:
        return None
    base = next((i.ref for i in repo.images if (i.path, i.line) == (path, froms[-1].line)), "")
    modules = started_near(repo, path, text) if text else frozenset()
    modules = frozenset(modules & repo.code.modules.keys()) or _copied_jobs(repo, path, all_, base)
    if not modules:
        return None
    python = _python_of(base, all_)
    packages, source = _packages(repo, path, all_, base)
    return Place(path, froms[-1].line, "image", modules, python, packages, source)


def _copied_jobs(
    repo: AuditRepository, path: str, all_: list[Instruction], base: str
) -> frozenset[str]:
    """Scripts that an image without a start command of its own holds, when they are named."""
    found: set[str] = set()
    for item in all_:
        if item.name not in ("COPY", "ADD") or "--from" in item.text:
            continue
        for word in item.text.split()[:-1]:
            near = normpath(f"{dirname(path)}/{word}").strip("/")
            if word.endswith(".py"):
                found |= {p for p in (near, word.removeprefix("./")) if p in repo.code.product}
            elif _SPARK.search(base) and near and near != ".":
                found |= {p for p in repo.code.product if p.startswith(f"{near}/")}
    return frozenset(p for p in found if not repo.code.modules[p].notebook)


def _python_of(base: str, all_: list[Instruction]) -> tuple[int, int]:
    found = _PYTHON.search(base)
    if found:
        major, minor = (int(g) for g in found.groups() if g)
        return major, minor
    if _SPARK.search(base):
        return 3, 8
    run = " ".join(i.text for i in all_ if i.name == "RUN")[:8_000]
    if base in _DISTRIBUTIONS and "python3" in run and not _NEW_PYTHON.search(run):
        return 3, _DISTRIBUTIONS[base]
    return 0, 0


def _packages(
    repo: AuditRepository, path: str, all_: list[Instruction], base: str
) -> tuple[frozenset[str] | None, tuple[str, int]]:
    """Names that an image installs, and the place that lists them; None when it cannot be told."""
    names: set[str] = set()
    if _SPARK.search(base):
        names.update(_NAMED["spark"])
    elif _LAMBDA.search(base):
        names.update(_NAMED["lambda"])
    elif not _PLAIN.search(base) and base not in _DISTRIBUTIONS:
        return None, ("", 0)
    source = ("", 0)
    for item in all_:
        if item.name != "RUN":
            continue
        read = _of_run(repo, path, item)
        if read is None:
            return None, ("", 0)
        names |= read[0]
        source = read[1] if read[1][0] and not source[0] else source
    return frozenset(names), source if source[0] else (path, all_[0].line)


def _of_run(
    repo: AuditRepository, path: str, item: Instruction
) -> tuple[set[str], tuple[str, int]] | None:
    text = item.text[:8_000]
    if _OPAQUE.search(text):
        return None
    names: set[str] = set()
    source = ("", 0)
    files = [m.group(1) for m in _REQUIREMENT.finditer(text)] if "install" in text else []
    files += ["Pipfile"] if _PIPENV.search(text) else []
    for name in files:
        target = _file(repo, path, name)
        listed = _listed(repo, target) if target else None
        if listed is None:
            return None
        names |= listed
        source = (target, item.line)
    read = parse(text)
    if read is not None:
        names |= {e.name for e in read[0]}
        if read[0] and not source[0]:
            source = (path, item.line)
    return names, source


def _file(repo: AuditRepository, path: str, name: str) -> str:
    """File of the repository behind a name inside the image, by the COPY that brought it."""
    end = name.rsplit("/", 1)[-1]
    words = [
        w
        for i in repo.dockerfiles[path]
        if i.name in ("COPY", "ADD")
        for w in i.text.split()[:-1]
        if w.rsplit("/", 1)[-1].rstrip("*") in (end, end[: len(w.rsplit("/", 1)[-1].rstrip("*"))])
    ]
    near = dirname(path)
    tried = [normpath(f"{near}/{w}").strip("/") for w in words if w.endswith(end)]
    tried += [w.removeprefix("./") for w in words if w.endswith(end)]
    tried += [normpath(f"{near}/{name}").strip("/"), normpath(f"{near}/{end}").strip("/"), end]
    return next((t for t in tried if t in repo.files), "")


def _listed(repo: AuditRepository, path: str) -> set[str] | None:
    """Names that a requirements file or Pipfile lists, included files too."""
    found = [m for m in manifests(repo) if m.path == path]
    if path.endswith("Pipfile"):
        return {e.name for m in found for e in m.entries} if found else None
    text = repo.text(path)
    names = {e.name for e in entries_of(text)} | {e.name for m in found for e in m.entries}
    for line in text.split("\n")[:2_000]:
        bare = line.strip()
        if bare.startswith(("-e", "--editable", ".", "/", "git+", "http")):
            return None
        if bare.startswith(("-r", "--requirement")):
            name = bare.partition(" ")[2].strip() or bare.partition("=")[2].strip()
            target = normpath(f"{dirname(path)}/{name}").strip("/")
            if target not in repo.files or target == path:
                return None
            names |= {e.name for e in entries_of(repo.text(target))}
    return names


# --- functions, bentos and scoring scripts -----------------------------------------------------


def _functions(repo: AuditRepository) -> Iterator[Place]:
    """SAM functions: the folder's requirements, and what the runtime brings."""
    for file in repo.yaml_files(holding=("AWS::Serverless::Function",)):
        for doc in file.docs:
            for name, resource in doc.pairs("Resources"):
                if resource.text_at("Type") == "AWS::Serverless::Function":
                    place = _function(repo, file.path, name, doc, resource)
                    if place is not None:
                        yield place


def _function(
    repo: AuditRepository, path: str, name: str, doc: Node, resource: Node
) -> Place | None:
    runtime = resource.get("Properties", "Runtime") or doc.get("Globals", "Function", "Runtime")
    found = re.search(r"python(3)\.(\d{1,2})", runtime.text) if runtime is not None else None
    folder = normpath(f"{dirname(path)}/{resource.text_at('Properties', 'CodeUri')}").strip("/")
    handler = resource.text_at("Properties", "Handler").rpartition(".")[0].replace(".", "/")
    module = f"{folder}/{handler}.py"
    if found is None or runtime is None or module not in repo.code.modules:
        return None
    listed = f"{folder}/requirements.txt"
    layers = resource.get("Properties", "Layers")
    names = _listed(repo, listed) if listed in repo.files and layers is None else None
    return Place(
        path,
        runtime.line,
        f"function `{name}`",
        frozenset((module,)),
        (int(found.group(1)), int(found.group(2))),
        frozenset((*names, *_NAMED["lambda"])) if names is not None else None,
        (listed, 1),
    )


def _bentos(repo: AuditRepository) -> Iterator[Place]:
    for path in repo.named("bentofile.yaml", "bentofile.yml"):
        for doc in repo.yaml(path).docs[:1]:
            dotted = doc.text_at("service").partition(":")[0].removesuffix(".py").replace("/", ".")
            module = repo.code.resolve(dotted, path) if dotted else ""
            packages = doc.get("python", "packages")
            listed = doc.text_at("python", "requirements_txt")
            if not module or (packages is None and not listed):
                continue
            entries = [n.text for n in doc.list_at("python", "packages")]
            names: set[str] | None = {_name(t) for t in entries} | {"bentoml"}
            if listed:
                target = normpath(f"{dirname(path)}/{listed}").strip("/")
                below = _listed(repo, target) if target in repo.files else None
                names = names | below if names is not None and below is not None else None
            if doc.get("conda") is not None or any(e.startswith((".", "-", "$")) for e in entries):
                names = None
            line = packages.line if packages is not None else 1
            version = re.match(r"(3)\.(\d{1,2})", doc.text_at("docker", "python_version"))
            yield Place(
                path,
                line,
                "bento",
                frozenset((module,)),
                (3, int(version.group(2))) if version else (0, 0),
                frozenset(names) if names is not None else None,
                (path, line),
            )


def _name(text: str) -> str:
    found: Entry | None = next(entries_of(text), None)
    return found.name if found is not None else ""


def _scoring(repo: AuditRepository) -> Iterator[Place]:
    """Azure ML: a scoring script with the conda file of its environment."""
    words = ("scoring_script", "entryScript", "conda_file", "condaFile")
    for file in repo.yaml_files(holding=words):
        for doc in file.docs:
            script = doc.text_at("code_configuration", "scoring_script") or doc.text_at(
                "entryScript"
            )
            conda = doc.text_at("environment", "conda_file") or doc.text_at("condaFile")
            folder = doc.text_at("code_configuration", "code") or doc.text_at("sourceDirectory")
            if script and conda:
                yield from of_conda(repo, file.path, f"{folder or '.'}/{script}", conda)


def of_conda(repo: AuditRepository, path: str, script: str, conda: str) -> Iterator[Place]:
    """Make the environment of one script of a conda file, both named in some file."""
    code, env = (
        next(
            (
                t
                for t in (normpath(f"{dirname(path)}/{n}").strip("/"), repo.runs.file_named(n))
                if t in repo.files
            ),
            "",
        )
        for n in (script, conda)
    )
    found = next((m for m in manifests(repo) if m.path == env and m.kind == "conda"), None)
    if code not in repo.code.modules or found is None:
        return
    version = re.search(r"-\s{0,4}[\"']?python\s{0,2}==?\s{0,2}(3)\.(\d{1,2})", repo.text(env))
    yield Place(
        env,
        found.line,
        "conda environment",
        frozenset((code,)),
        (3, int(version.group(2))) if version else (0, 0),
        frozenset(e.name for e in found.entries),
        (env, found.line),
    )
