"""Commands written into configuration that no parser of CI knows: clusters, machines, editors."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from mlops_advisor.tools.evidence.code import is_test_path
from mlops_advisor.tools.evidence.parse.shell import shell_lines
from mlops_advisor.tools.evidence.parse.tree import Node
from mlops_advisor.tools.evidence.repository import Repository, shared

_WORDS: Final = ("install", "curl", "wget", "dpkg")
_FETCHES: Final = re.compile(
    r"\b(?:pip[23]?|conda|mamba|micromamba|npm|pnpm|go|pipx|uv(?: tool)?|dpkg)\b.{0,80}"
    r"(?:\binstall\b|\bget\b|\s-i\b|\sadd\b)|\b(?:curl|wget)\b.{0,300}https?://"
)
_PROSE: Final = frozenset(
    "description help message summary title doc docs comment comments note notes about text body"
    " name label markdown readme instructions error hint".split()
)
_ARGUMENTS: Final = ("command", "args", "entrypoint", "cmd")
_EDITOR: Final = re.compile(
    r"^\s{0,40}\"(?:onCreate|updateContent|postCreate|postStart|postAttach)Command\"\s{0,4}:\s{0,4}"
    r"(?:\[\s{0,4})?(\".{1,1000}\")"
)
_EDITOR_FILES: Final = ("devcontainer.json", ".devcontainer.json")


@shared
def written(repo: Repository) -> tuple[tuple[str, int, str, str], ...]:
    """Commands in YAML strings outside CI, and in set-ups of editors: path, line, kind, text."""
    found: list[tuple[str, int, str, str]] = []
    compose = {f.path for f in repo.compose}
    cluster = {m.path for m in repo.manifests}
    skipped = {*repo.ci_paths, *repo.named("dvc.yaml", "mlproject", ".pre-commit-config.yaml")}
    for file in repo.yaml_files(holding=_WORDS):
        if file.path in skipped or is_test_path(file.path):
            continue
        kind = "compose" if file.path in compose else "k8s" if file.path in cluster else "yaml"
        for doc in file.docs:
            for key, node in doc.walk():
                if key.lower() not in _PROSE:
                    found += [(file.path, n, kind, t) for n, t in _commands(key, node)]
    for path in repo.named(*_EDITOR_FILES):
        for number, line in enumerate(repo.lines(path)[:2_000], 1):
            made = _EDITOR.match(line[:1_200])
            if made:
                found.append((path, number, "yaml", made.group(1).strip('"').replace('", "', " ")))
    return tuple(found)


def _commands(key: str, node: Node) -> Iterator[tuple[int, str]]:
    """Lines of a scalar, or of a list of commands, that fetch something."""
    if node.items is not None:
        single = [n for n in node.items if n.text and _FETCHES.search(n.text[:4_000])]
        for item in single:
            yield from _lines(item)
        if not single and key in _ARGUMENTS:
            text = " ".join(n.text for n in node.items[:60] if n.text)
            if _FETCHES.search(text[:4_000]):
                yield node.line, text
    elif node.text and _FETCHES.search(node.text[:20_000]):
        yield from _lines(node)


def _lines(node: Node) -> Iterator[tuple[int, str]]:
    for line in shell_lines(node.text, node.line + (1 if node.block else 0)):
        yield line.line, line.text
