"""Python versions that a repository names, and whether they agree."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from mlops_advisor.tools.audit_workflow.repo import AuditRepository
from mlops_advisor.tools.evidence.parse.tree import Node

_FROM: Final = re.compile(
    r"(?:^|/)python:(\d)\.(\d{1,2})\b|-py(\d)\.?(\d{1,2})\b|-python(\d)\.(\d{1,2})\b"
)
_PLAIN: Final = re.compile(r"\b(3)\.(\d{1,2})\b")
_RUNTIME_WORDS: Final = ("untime: python3.", 'untime: "python3.', "untime: 'python3.")
_RUNTIME: Final = re.compile(r"\bpython(3)\.(\d{1,2})\b")
_CLAUSE: Final = re.compile(
    r"(\^|~=|~|>=|<=|==|!=|>|<|)\s{0,3}(\d)(?:\.(\d{1,2}))?(?:\.[\d*]{1,3})?"
)
_REQUIRES: Final = re.compile(
    r"^\s{0,8}(?:requires-python|python|python_requires|"
    r"python_version)\s{0,4}=\s{0,4}[\"']([^\"'\n]{1,60})[\"']"
)
_CONDA: Final = re.compile(r"^\s{0,8}-\s{0,4}[\"']?python\s{0,2}(?:==?|>=|~=)\s{0,2}(3)\.(\d{1,2})")


@dataclass(frozen=True, slots=True)
class Stated:
    """One place that names a Python version: exact ones, or a range as it is written."""

    path: str
    line: int
    what: str
    versions: frozenset[tuple[int, int]] = frozenset()
    spec: str = ""

    def allows(self, version: tuple[int, int]) -> bool:
        """Tell whether a version agrees with this place."""
        return _within(self.spec, version) if self.spec else version in self.versions

    def __str__(self) -> str:
        """Name the versions as a reader would."""
        return self.spec or ", ".join(f"{a}.{b}" for a, b in sorted(self.versions))


def _within(spec: str, version: tuple[int, int]) -> bool:
    for clause in spec.split(",")[:8]:
        found = _CLAUSE.match(clause.strip())
        if found is None:
            continue
        operator, major, minor = found.groups()
        bound = (int(major), int(minor or 0))
        if not _holds(operator, version, bound, whole=minor is None):
            return False
    return True


def _holds(operator: str, version: tuple[int, int], bound: tuple[int, int], *, whole: bool) -> bool:
    if operator in ("^", "~="):
        return bound <= version and version[0] == bound[0]
    if operator in ("", "==", "~"):
        return version[0] == bound[0] if whole else version == bound
    return {
        ">=": version >= bound,
        ">": version >= bound,
        "<": version < bound,
        "<=": version <= bound,
        "!=": version != bound,
    }.get(operator, True)


def of_images(repo: AuditRepository) -> Iterator[Stated]:
    """Python of the final stage of each Dockerfile."""
    for path, instructions in repo.dockerfiles.items():
        froms = [i for i in instructions if i.name == "FROM"]
        found = None
        for image in repo.images:
            if froms and image.path == path and image.line == froms[-1].line:
                found = _FROM.search(image.ref)
        if found:
            parts = [int(g) for g in found.groups() if g]
            yield Stated(path, froms[-1].line, "the image", frozenset(((parts[0], parts[1]),)))


def of_platforms(repo: AuditRepository) -> Iterator[Stated]:
    """Python of what a platform runs: runtime.txt, bentofile, Lambda."""
    for path in repo.named("runtime.txt"):
        found = re.match(r"python-(3)\.(\d{1,2})", repo.text(path)[:40].strip())
        if found:
            yield Stated(path, 1, "the platform", _pair(found))
    for file in repo.yaml_files(holding=_RUNTIME_WORDS, named=("bentofile.yaml",)):
        for doc in file.docs:
            yield from _of_document(file.path, doc)
    for path, block in repo.resources("aws_lambda_function", "google_cloudfunctions"):
        for line, text in block.body:
            if "runtime" in text and (found := _RUNTIME.search(text)):
                yield Stated(path, line, "the function", _pair(found))


def _of_document(path: str, doc: Node) -> Iterator[Stated]:
    node = doc.get("docker", "python_version")
    if node is not None and (found := _PLAIN.search(node.text)):
        yield Stated(path, node.line, "the bento", _pair(found))
    for _, runtime in doc.find("Runtime", "runtime"):
        if found := _RUNTIME.search(runtime.text):
            yield Stated(path, runtime.line, "the function", _pair(found))


def of_projects(repo: AuditRepository) -> Iterator[Stated]:
    """Python that project files ask for."""
    for path in repo.named("pyproject.toml", "pipfile", "setup.cfg", "setup.py"):
        for number, line in enumerate(repo.lines(path)[:2_000], 1):
            found = _REQUIRES.match(line[:200])
            text = found.group(1) if found else ""
            if text and text[:1] in "^~><=!3" and "tool.black" not in line:
                yield Stated(path, number, "the project", spec=text)
                break
    for path in repo.named(".python-version"):
        found = _PLAIN.match(repo.text(path)[:40].strip())
        if found:
            yield Stated(path, 1, "`.python-version`", _pair(found))
    for path in repo.ending(".yml", ".yaml"):
        if "python=" not in repo.text(path) and "python =" not in repo.text(path):
            continue
        for number, line in enumerate(repo.lines(path)[:500], 1):
            found = _CONDA.match(line[:200])
            if found:
                yield Stated(path, number, "the conda environment", _pair(found))
                break


def of_ci(repo: AuditRepository) -> Iterator[Stated]:
    """Python that CI sets up, all versions of one file together."""
    for path in repo.ci_paths:
        if "python-version" not in repo.text(path):
            continue
        versions: set[tuple[int, int]] = set()
        line = 0
        for doc in repo.yaml(path).docs:
            for _, node in doc.find("python-version", "python_version"):
                for item in node.items if node.items is not None else [node]:
                    if found := _PLAIN.match(item.text.strip()):
                        versions |= _pair(found)
                        line = line or item.line
        if versions:
            yield Stated(path, line, "CI", frozenset(versions))


def _pair(found: re.Match[str]) -> frozenset[tuple[int, int]]:
    return frozenset(((int(found.group(1)), int(found.group(2))),))
