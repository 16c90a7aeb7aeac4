"""Which Python a repository asks for: CI, environments, project files, functions, commands."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from mlops_advisor.tools.audit_workflow.repo import AuditRepository
from mlops_advisor.tools.audit_workflow.rules._supply import folder_of
from mlops_advisor.tools.evidence.code import is_test_path
from mlops_advisor.tools.evidence.parse.tree import Node

_VERSION: Final = re.compile(r"^(?:python-?|py|cpython-?)?v?([23])\.?(\d{1,2})(?:[.\s]|$)")
_UPPER: Final = re.compile(r"<(=?)\s{0,3}3\.(\d{1,2})(?:\.(\d{1,3}))?")
_FIXED: Final = re.compile(
    r"(?:^|,|\s)\s{0,3}(?:={2,3}|~=|~)\s{0,3}v?(3\.\d{1,2}|2\.7)(\.[\d*x]{1,3})?"
)
_BARE: Final = re.compile(r"^v?(3\.\d{1,2}|2\.7)(?:\.[\d*x]{1,3})?$")
_CONDA: Final = re.compile(
    r"\bpython\s{0,2}(={1,2}|<=?|>=?|~=)\s{0,2}(\d\.\d{1,2})([^\s'\"]{0,40})"
)
_TERRAFORM: Final = re.compile(
    r"^\s{0,20}runtime\s{0,20}=\s{0,4}\"(python\d\.?\d{1,2}|nodejs\d{1,2}\.x)\""
)
_COMMAND: Final = re.compile(
    r"\b(?:conda|mamba|micromamba)\s{1,4}(?:create|install)\b[^|&;\n]{0,300}?\bpython={1,2}(\d\.\d{1,2})"
    r"|\b(?:uv (?:venv|python install)|pyenv (?:install|local|global)|--python)[= ]"
    r"(?:[^|&;\n]{0,60}?)\b(\d\.\d{1,2})\b|--runtime[= ]python(\d)\.?(\d{1,2})\b"
    r"|\bvirtualenv\s{1,4}-p\s{1,4}python(\d\.\d{1,2})"
)


@dataclass(frozen=True, slots=True)
class Wanted:
    """One place that fixes a version: `kind` is python or lambda."""

    path: str
    line: int
    version: str
    where: str
    kind: str = "python"


def wanted_pythons(repo: AuditRepository) -> Iterator[Wanted]:
    """Every place that fixes the version of Python, or that of a function's runtime."""
    for one in (*_ci(repo), *_yaml(repo), *_projects(repo), *_small(repo), *_commands(repo)):
        if not is_test_path(one.path):
            yield one


def plain(text: str) -> str:
    """Major and minor version in a text such as `3.8.10`, `python38` or `py3.8`; else empty."""
    found = _VERSION.match(text.strip().strip("\"'").lower())
    return f"{found.group(1)}.{found.group(2)}" if found else ""


def _ci(repo: AuditRepository) -> Iterator[Wanted]:
    for path in repo.ci_paths:
        for doc in repo.yaml(path).docs:
            for key, node in doc.find(
                "python-version", "versionSpec", "python_version", "PYTHON_VERSION"
            ):
                texts = [n.text for n in node.items] if node.items is not None else [node.text]
                versions = [plain(t) for t in texts]
                if versions and all(versions):
                    # A matrix is as new as its newest version.
                    newest = max(versions, key=lambda v: tuple(map(int, v.split("."))))
                    yield Wanted(path, node.line, newest, f"`{key}` of CI")
            for _, node in doc.find("runtime-versions"):
                child = node.child("python")
                if child is not None and plain(child.text):
                    yield Wanted(path, child.line, plain(child.text), "the build")


def _yaml(repo: AuditRepository) -> Iterator[Wanted]:
    ci = set(repo.ci_paths)
    for file in repo.yaml_files(holding=("python", "Python")):
        if file.path in ci or f"{folder_of(file.path)}/MLmodel".lstrip("/") in repo.paths:
            continue
        for doc in file.docs:
            yield from _conda(file.path, doc)
            for key, node in doc.find("runtime", "Runtime", "python_version", "pythonVersion"):
                runtime = node.text.lower()
                if key in ("runtime", "Runtime") and runtime.startswith(("python", "nodejs")):
                    where = "the runtime of the function"
                    yield Wanted(file.path, node.line, _lambda(runtime), where, "lambda")
                elif plain(node.text) and _BARE.match(node.text):
                    yield Wanted(file.path, node.line, plain(node.text), f"`{key}`")
            child = doc.child("python")
            if child is not None and _BARE.match(child.text):
                yield Wanted(file.path, child.line, plain(child.text), "`python`")


def _lambda(text: str) -> str:
    found = re.match(r"python(\d)\.?(\d{1,2})$", text)
    return f"python{found.group(1)}.{found.group(2)}" if found else text


def _conda(path: str, doc: Node) -> Iterator[Wanted]:
    for item in doc.list_at("dependencies"):
        found = _CONDA.match(item.text.strip())
        if found:
            version = newest_allowed(found.group(1) + found.group(2) + found.group(3))
            if version:
                yield Wanted(path, item.line, version, "the environment")


def newest_allowed(spec: str) -> str:
    """Newest minor version that a specification lets in; empty when it has no upper end."""
    spec = spec.strip()
    found = _FIXED.search(spec) or _BARE.match(spec) or re.match(r"=(\d\.\d{1,2})", spec)
    if found:
        return found.group(1)
    upper = _UPPER.search(spec)
    if upper is None:
        return ""
    inclusive, minor, micro = upper.group(1), int(upper.group(2)), upper.group(3)
    last = minor if inclusive or (micro and int(micro) > 0) else minor - 1
    return f"3.{last}" if last >= 0 else ""


def _projects(repo: AuditRepository) -> Iterator[Wanted]:
    for path in repo.named("pyproject.toml"):
        tree = repo.tree(path)
        if tree is None:
            continue
        spec = tree.text_at("project", "requires-python")
        key = "requires-python"
        if not spec:
            spec, key = tree.text_at("tool", "poetry", "dependencies", "python"), "python"
        version = newest_allowed(spec) if not spec.startswith("^") else ""
        if version:
            line = repo.line_of(path, f"{key} =") or repo.line_of(path, f"{key}=") or 1
            yield Wanted(path, line, version, f"`{key}`")
    for path in repo.named("pipfile"):
        tree = repo.tree(path)
        text = tree.text_at("requires", "python_version") if tree is not None else ""
        text = text or (tree.text_at("requires", "python_full_version") if tree is not None else "")
        if plain(text):
            line = repo.line_of(path, "python_version") or repo.line_of(path, "python_full_version")
            yield Wanted(path, line or 1, plain(text), "the Pipfile")
    for path in repo.named("setup.py", "setup.cfg"):
        line = repo.line_of(path, "python_requires")
        text = repo.lines(path)[line - 1].partition("=")[2].strip(" \"',") if line else ""
        version = newest_allowed(text)
        if version:
            yield Wanted(path, line, version, "`python_requires`")


def _small(repo: AuditRepository) -> Iterator[Wanted]:
    for path in repo.named(".python-version", "runtime.txt", ".tool-versions"):
        for number, line in enumerate(repo.lines(path)[:20], 1):
            text = line.strip()
            if path.endswith(".tool-versions"):
                text = text.removeprefix("python ") if text.startswith("python ") else ""
            if plain(text):
                yield Wanted(path, number, plain(text), f"`{path.rsplit('/', 1)[-1]}`")
                break
    for path, block in repo.terraform:
        for number, line in block.body:
            found = _TERRAFORM.match(line)
            if found:
                version = _lambda(found.group(1))
                where = "the runtime of the function"
                yield Wanted(path, number, version, where, "lambda")


def _commands(repo: AuditRepository) -> Iterator[Wanted]:
    seen: set[tuple[str, int]] = set()
    for run in repo.runs.everything:
        named = "python" in run.text or "pyenv" in run.text
        found = _COMMAND.search(run.text[:4_000]) if named else None
        if found and (run.path, run.line) not in seen:
            seen.add((run.path, run.line))
            joined = f"{found.group(3)}.{found.group(4)}" if found.group(3) else ""
            version = found.group(1) or found.group(2) or joined or found.group(5)
            yield Wanted(run.path, run.line, version, "the command")
