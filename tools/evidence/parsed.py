"""Files of one workspace, each parsed at most once, when first asked for."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Final

from cachetools import LRUCache

from mlops_advisor.tools.evidence.models import Place, Skip, SourceFile, Workspace
from mlops_advisor.tools.evidence.parse.ci import Job, jenkins_jobs, jobs_of, system_of
from mlops_advisor.tools.evidence.parse.data import parse_ini, parse_json, parse_toml
from mlops_advisor.tools.evidence.parse.markdown import Document, parse_markdown
from mlops_advisor.tools.evidence.parse.notebook import (
    Notebook,
    file_lines,
    notebook_tree,
    parse_notebook,
)
from mlops_advisor.tools.evidence.parse.python import parse_with_tree
from mlops_advisor.tools.evidence.parse.python_model import PythonModule
from mlops_advisor.tools.evidence.parse.requirements import Requirements, parse_requirements
from mlops_advisor.tools.evidence.parse.shell import Instruction, Line, dockerfile, make_targets
from mlops_advisor.tools.evidence.parse.syntax import tolerant_tree
from mlops_advisor.tools.evidence.parse.terraform import Block, parse_terraform
from mlops_advisor.tools.evidence.parse.tree import Node
from mlops_advisor.tools.evidence.parse.yaml_tree import YamlFile, parse_yaml
from mlops_advisor.tools.evidence.text import excerpt
from mlops_advisor.tools.evidence.view import View

_MAX_TREE_CHARS: Final = 512 << 10
_KEPT_CHARS: Final = 3 << 20  # a tree takes some 32 bytes a character: 100 MB
_KEPT_VIEWS: Final = 1_024
_DOC_SUFFIXES: Final = (".md", ".markdown", ".rst", ".adoc")
_DOC_NAMES: Final = ("readme", "readme.txt", "contributing.txt")
# Folders whose files show how a thing could be done, not that it is done here.
_ASIDE: Final = frozenset(
    ("examples", "example", "docs", "doc", "tutorials", "tutorial", "fixtures")
)


@dataclass(frozen=True, slots=True)
class Manifest:
    """One Kubernetes object."""

    path: str
    kind: str
    api: str
    name: str
    node: Node

    @property
    def line(self) -> int:
        """Line of its `kind`."""
        kind = self.node.child("kind")
        return kind.line if kind is not None else self.node.line


def _never() -> bool:
    return False


class Parsed:
    """The files of a workspace, parsed.  All collections are in the order of paths."""

    def __init__(
        self, workspace: Workspace, expired: Callable[[], bool] = _never, *, trees: bool = False
    ) -> None:
        """Wrap a workspace; nothing is parsed yet, and nothing once the time is up.

        With `trees`, syntax trees of the first few megabytes of source are kept for `view`.
        """
        self._room = _KEPT_CHARS if trees else 0
        self._kept: dict[str, ast.Module] = {}
        self._views: LRUCache[str, View | None] = LRUCache(_KEPT_VIEWS)
        self._expired = expired
        self.cut = False  # the deadline left files unparsed
        self.workspace = workspace
        self.files: dict[str, SourceFile] = {f.path: f for f in workspace.files}
        self.paths: tuple[str, ...] = tuple(sorted(workspace.paths | self.files.keys()))
        self._lines: dict[str, list[str]] = {}
        self._in_notebooks: dict[str, list[int]] = {}
        self._yaml: dict[str, YamlFile] = {}
        self._trees: dict[str, Node | None] = {}

    def late(self) -> bool:
        """Tell whether the time is up, and remember it."""
        self.cut = self.cut or self._expired()
        return self.cut

    # --- files and places -------------------------------------------------------------------

    def text(self, path: str) -> str:
        """Text of a file that was read, else empty."""
        file = self.files.get(path)
        return file.text if file is not None else ""

    def lines(self, path: str) -> list[str]:
        """Lines of a file."""
        found = self._lines.get(path)
        if found is None:
            found = self._lines[path] = self.text(path).split("\n")
        return found

    def place(self, path: str, line: int, text: str = "") -> Place:
        """Located evidence; the text is that of the line unless given.

        In a notebook the line is that of the file, and the text names the cell.
        """
        book = self.notebooks.get(path) if path.endswith(".ipynb") else None
        if book is not None and 0 < line <= len(book.lines):
            cell, at, _ = book.lines[line - 1]
            source = book.written[line - 1]
            return Place(
                path,
                self._line_in_notebook(path, line, book),
                excerpt(f"[cell {cell}:{at}] {source}"),
            )
        lines = self.lines(path)
        if not text and 0 < line <= len(lines):
            text = lines[line - 1]
        return Place(path, max(1, line), excerpt(text))

    def _line_in_notebook(self, path: str, line: int, book: Notebook) -> int:
        known = self._in_notebooks.get(path)
        if known is None:
            known = self._in_notebooks[path] = file_lines(book, self.text(path))
        return known[line - 1]

    def line_of(self, path: str, words: str, after: int = 0) -> int:
        """Line, 1-based, of the first line below line `after` that holds `words`; 0 when none."""
        lines = self.lines(path)
        return next((n for n in range(after + 1, len(lines) + 1) if words in lines[n - 1]), 0)

    def named(self, *names: str) -> list[str]:
        """Paths read whose file name, lower case, is one of `names`."""
        return [p for n in names for p in self._by_name.get(n, ())]

    @cached_property
    def _by_name(self) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for path in self.files:
            found.setdefault(path.rsplit("/", 1)[-1].lower(), []).append(path)
        return found

    def ending(self, *suffixes: str) -> list[str]:
        """Paths read that end so, compared in lower case."""
        return [p for p in self.files if p.lower().endswith(suffixes)]

    def seen(self, *suffixes: str) -> list[str]:
        """Paths seen, read or not, that end so."""
        return [p for p in self.paths if p.lower().endswith(suffixes)]

    @staticmethod
    def is_aside(path: str) -> bool:
        """Tell whether a path lies among examples, documentation and fixtures."""
        return not _ASIDE.isdisjoint(path.lower().split("/")[:-1])

    @cached_property
    def has_git(self) -> bool:
        """True when the folder is a work tree of git."""
        return ".git/" in self.workspace.paths or ".git" in self.workspace.paths

    # --- code -------------------------------------------------------------------------------

    @cached_property
    def notebooks(self) -> dict[str, Notebook]:
        """Notebooks by path."""
        return {
            p: parse_notebook(p, self.text(p)) for p in self.ending(".ipynb") if not self.late()
        }

    @cached_property
    def python(self) -> dict[str, PythonModule]:
        """Python files and notebooks by path."""
        found = {
            p: self._module(p, f.text)
            for p, f in self.files.items()
            if p.endswith((".py", ".pyw")) and not self.late()
        }
        found.update((p, b.module) for p, b in self.notebooks.items() if b.language == "python")
        return dict(sorted(found.items()))

    def _module(self, path: str, text: str) -> PythonModule:
        module, tree = parse_with_tree(path, text)
        if tree is not None and len(text) <= self._room:
            self._room -= len(text)
            self._kept[path] = tree
        return module

    def view(self, path: str) -> View | None:
        """Indexed syntax tree of a module or notebook; None for what does not parse.

        The last few hundred are kept; a tree that was let go is parsed again.
        """
        if path not in self._views:
            module = self.python.get(path)
            tree = self._kept.get(path)
            if module is not None and tree is None and not module.problem:
                book = self.notebooks.get(path)
                tree = notebook_tree(book)[0] if book else tolerant_tree(self.text(path))[0]
            made = View(module, tree) if module is not None and tree is not None else None
            self._views[path] = made
        return self._views[path]

    # --- configuration ----------------------------------------------------------------------

    def yaml(self, path: str) -> YamlFile:
        """One YAML file."""
        found = self._yaml.get(path)
        if found is None:
            if self.late():
                return YamlFile(path, ())
            found = self._yaml[path] = parse_yaml(path, self.text(path))
        return found

    def yaml_files(
        self, *, holding: Iterable[str] = (), named: Iterable[str] = ()
    ) -> Iterator[YamlFile]:
        """YAML files whose text holds one of some words, or whose name is one of some."""
        words, names = tuple(holding), frozenset(named)
        for path in self._yaml_paths:
            text = self.text(path)
            if path.rsplit("/", 1)[-1].lower() in names or any(w in text for w in words):
                yield self.yaml(path)

    @cached_property
    def _yaml_paths(self) -> list[str]:
        return [p for p in self.files if p.lower().endswith((".yml", ".yaml"))]

    def tree(self, path: str) -> Node | None:
        """Tree of a JSON, TOML or INI file; None when broken or too large."""
        if path not in self._trees:
            text, low = self.text(path), path.lower()
            node = None
            if len(text) <= _MAX_TREE_CHARS:
                if low.endswith((".toml", "pipfile")):
                    node = parse_toml(text)
                elif low.endswith((".ini", ".cfg")):
                    node = parse_ini(text)
                else:
                    node = parse_json(text)
            self._trees[path] = node
        return self._trees[path]

    @cached_property
    def manifests(self) -> tuple[Manifest, ...]:
        """Kubernetes objects in YAML files."""
        found: list[Manifest] = []
        for file in self.yaml_files(holding=("apiVersion",)):
            for doc in file.docs:
                for node in (
                    [doc, *doc.list_at("items")] if doc.text_at("kind") == "List" else [doc]
                ):
                    kind, api = node.text_at("kind"), node.text_at("apiVersion")
                    if kind and api:
                        found.append(
                            Manifest(file.path, kind, api, node.text_at("metadata", "name"), node)
                        )
        return tuple(found)

    def kinds(self, *kinds: str) -> list[Manifest]:
        """Kubernetes objects of some kinds."""
        return [m for m in self.manifests if m.kind in kinds]

    def ci_system(self, path: str) -> str:
        """Name of the CI system that a file belongs to, by its path or what it holds."""
        system = system_of(path)
        if not system and path.endswith((".yml", ".yaml")):
            text = self.text(path)
            if "/cloud-builders/" in text and "steps:" in text:
                system = "cloudbuild"
        return system

    @cached_property
    def jobs(self) -> tuple[Job, ...]:
        """Jobs of all CI systems."""
        found: list[Job] = []
        for path in self.files:
            system = self.ci_system(path)
            if system == "jenkins":
                found.extend(jenkins_jobs(path, self.text(path)))
            elif system:
                found.extend(jobs_of(path, system, self.yaml(path).docs))
        return tuple(found)

    @cached_property
    def ci_paths(self) -> list[str]:
        """Files of CI systems."""
        return [p for p in self.files if self.ci_system(p)]

    @cached_property
    def terraform(self) -> tuple[tuple[str, Block], ...]:
        """Blocks of all Terraform files, with their paths."""
        return tuple((p, b) for p in self.ending(".tf") for b in parse_terraform(self.text(p)))

    def resources(self, *types: str) -> list[tuple[str, Block]]:
        """Terraform resources of some types (prefixes)."""
        return [
            (p, b) for p, b in self.terraform if b.kind == "resource" and b.type.startswith(types)
        ]

    @cached_property
    def dockerfiles(self) -> dict[str, list[Instruction]]:
        """Dockerfiles by path."""
        return {
            p: dockerfile(f.text)
            for p, f in self.files.items()
            if (name := p.rsplit("/", 1)[-1].lower()).startswith(("dockerfile", "containerfile"))
            or name.endswith(".dockerfile")
        }

    @cached_property
    def makefiles(self) -> dict[str, dict[str, tuple[int, list[str], list[Line]]]]:
        """Targets of Makefiles by path."""
        return {
            p: make_targets(f.text)
            for p, f in self.files.items()
            if p.rsplit("/", 1)[-1].lower() in ("makefile", "gnumakefile") or p.endswith(".mk")
        }

    @cached_property
    def compose(self) -> list[YamlFile]:
        """Compose files."""
        return [
            self.yaml(p)
            for p in self._yaml_paths
            if p.rsplit("/", 1)[-1].lower().startswith(("docker-compose", "compose."))
        ]

    @cached_property
    def requirements(self) -> list[Requirements]:
        """Requirement files."""
        found = []
        for path in self.ending(".txt", ".in", ".lock"):
            name = path.rsplit("/", 1)[-1].lower()
            if "requirement" in path.lower() or name.startswith(
                ("constraints", "deps", "dependencies")
            ):
                found.append(parse_requirements(path, self.text(path)))
        return found

    # --- documents --------------------------------------------------------------------------

    @cached_property
    def documents(self) -> tuple[Document, ...]:
        """Markdown and the like."""
        return tuple(
            parse_markdown(p, f.text)
            for p, f in self.files.items()
            if p.lower().endswith(_DOC_SUFFIXES) or p.rsplit("/", 1)[-1].lower() in _DOC_NAMES
        )

    # --- what could not be understood -------------------------------------------------------

    def broken(self) -> list[Skip]:
        """Files that were parsed and found broken."""
        found = [
            Skip(m.path, f"{m.problem}; read line by line")
            for m in self.python.values()
            if m.problem
        ]
        found += [Skip(b.path, b.problem) for b in self.notebooks.values() if b.problem]
        found += [Skip(y.path, y.problem) for y in self._yaml.values() if y.problem]
        found += [
            Skip(p, "broken or too large to parse")
            for p, t in self._trees.items()
            if t is None and self.text(p).strip()
        ]
        return sorted(set(found), key=lambda s: (s.path, s.reason))
