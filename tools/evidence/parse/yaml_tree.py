"""YAML as trees, from parser events: no object is ever constructed.

Events come from an iterative parser, so nesting cannot exhaust the stack; a budget bounds
events, aliases and depth.  A file that is a template (Helm, Jinja) is read a second time with
its placeholders blanked.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import yaml

from mlops_advisor.tools.evidence.parse.tree import Node

_Event: TypeAlias = Any  # the stubs know no attributes of events
_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_MAX_EVENTS: Final = 200_000
_MAX_ALIASES: Final = 2_000
_MAX_DEPTH: Final = 200
# libyaml recurses nowhere, but each level of `[` costs it; nobody nests brackets this deep.
_DEEP: Final = re.compile(r"(?:[\[{]\s{0,8}){100}")
PLACEHOLDER: Final = "tpl"  # stands where a template would put a value
_PLACEHOLDER: Final = re.compile(r"\{\{[^{}\n]{0,400}\}\}|\{%[^%\n]{0,400}%\}")


@dataclass(frozen=True, slots=True)
class YamlFile:
    """Documents of one file; `problem` says why the rest could not be read."""

    path: str
    docs: tuple[Node, ...]
    problem: str = ""


class _TooMuchError(Exception):
    pass


def parse_yaml(path: str, text: str) -> YamlFile:
    """Read all documents; what stands before an error is kept."""
    docs, problem = _read(text)
    if problem and "{{" in text and not docs:
        again, second = _read(_blank_placeholders(text))
        if again:
            docs, problem = again, second
    return YamlFile(path, tuple(docs), problem)


def _blank_placeholders(text: str) -> str:
    lines = []
    for line in text.split("\n"):
        bare = line.strip()
        if bare.startswith(("{{", "{%")) and bare.endswith(("}}", "%}")):
            lines.append("")
        else:
            lines.append(_PLACEHOLDER.sub(PLACEHOLDER, line) if "{" in line else line)
    return "\n".join(lines)


def _read(text: str) -> tuple[list[Node], str]:
    docs: list[Node] = []
    if _DEEP.search(text):
        return docs, "nested too deeply"
    builder = _Builder(docs)
    try:
        for event in yaml.parse(text, Loader=_LOADER):
            builder.take(event)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        return docs, f"YAML error in line {mark.line + 1 if mark else 1}"
    except yaml.YAMLError:
        return docs, "YAML error"
    except _TooMuchError as error:
        return docs, str(error)
    except (ValueError, RecursionError, MemoryError):
        return docs, "YAML error"
    return docs, ""


class _Builder:
    """Builds trees from events; a map waits for its key, then for its value."""

    def __init__(self, docs: list[Node]) -> None:
        self._docs = docs
        self._stack: list[Node] = []
        self._keys: list[tuple[str, int] | None] = []
        self._anchors: dict[str, Node] = {}
        self._events = 0
        self._aliases = 0
        self._take = {
            yaml.ScalarEvent: self._scalar,
            yaml.MappingStartEvent: self._start_map,
            yaml.SequenceStartEvent: self._start_list,
            yaml.MappingEndEvent: self._end,
            yaml.SequenceEndEvent: self._end,
            yaml.AliasEvent: self._alias,
            yaml.DocumentEndEvent: self._end_document,
        }

    def take(self, event: _Event) -> None:
        self._events += 1
        if self._events > _MAX_EVENTS:
            raise _TooMuchError("too many entries")
        step = self._take.get(event.__class__)
        if step is not None:
            step(event)

    def _scalar(self, event: _Event) -> None:
        node = Node(event.start_mark.line + 1, event.value)
        node.quoted = event.style in ("'", '"')
        node.block = event.style in ("|", ">")
        self._named(event, node)
        self._put(node)

    def _start_map(self, event: _Event) -> None:
        node = Node(event.start_mark.line + 1)
        node.map = {}
        self._open(event, node)

    def _start_list(self, event: _Event) -> None:
        node = Node(event.start_mark.line + 1)
        node.items = []
        self._open(event, node)

    def _open(self, event: _Event, node: Node) -> None:
        self._named(event, node)
        if len(self._stack) >= _MAX_DEPTH:
            raise _TooMuchError("nested too deeply")
        self._stack.append(node)
        self._keys.append(None)

    def _named(self, event: _Event, node: Node) -> None:
        if event.anchor:
            self._anchors[event.anchor] = node

    def _end(self, _event: _Event) -> None:
        node = self._stack.pop()
        self._keys.pop()
        self._put(node)

    def _alias(self, event: _Event) -> None:
        self._aliases += 1
        if self._aliases > _MAX_ALIASES:
            raise _TooMuchError("too many aliases")
        node = self._anchors.get(event.anchor)
        if node is None or any(node is open_ for open_ in self._stack):
            node = Node(event.start_mark.line + 1)
        self._put(node)

    def _put(self, node: Node) -> None:
        if not self._stack:
            self._docs.append(node)
            return
        parent = self._stack[-1]
        if parent.items is not None:
            parent.items.append(node)
            return
        key = self._keys[-1]
        if key is None:
            self._keys[-1] = (node.text or "?", node.line)
            return
        self._keys[-1] = None
        name, line = key
        if name == "<<":
            parent.merged = [*(parent.merged or []), *(node.items or [node])]
        elif parent.map is not None:
            if node.key_line == node.line:
                node.key_line = line
            parent.map[name] = node

    def _end_document(self, _event: _Event) -> None:
        self._stack.clear()
        self._keys.clear()
        self._anchors.clear()
