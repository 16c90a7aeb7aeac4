"""A small tree with line numbers for YAML, JSON and TOML."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

_WALK_NODES: Final = 50_000


class Node:
    """A scalar (`text`), a list (`items`) or a map (`map`), with its line, 1-based (0: unknown).

    A YAML alias shares the node of its anchor, so a tree may be a graph; `walk` sees each
    node once, and so stays linear whatever the aliases do.
    """

    __slots__ = ("block", "items", "key_line", "line", "map", "merged", "quoted", "text")

    def __init__(self, line: int, text: str = "") -> None:
        """Make a scalar; the parser fills `items` or `map` to make it a list or a map."""
        self.line = line
        self.key_line = line  # of the key in front of it, when it is the value of a map
        self.text = text
        self.quoted = False
        self.block = False  # a block scalar: its text begins on the next line
        self.items: list[Node] | None = None
        self.map: dict[str, Node] | None = None
        self.merged: list[Node] | None = None

    def get(self, *path: str) -> Node | None:
        """Follow map keys; merge keys count as the parser of the file would read them."""
        here: Node | None = self
        for key in path:
            if here is None:
                return None
            here = here.child(key)
        return here

    def child(self, key: str) -> Node | None:
        """Value of one key of a map."""
        if self.map is None:
            return None
        found = self.map.get(key)
        if found is None and self.merged:
            for other in self.merged[:20]:
                if other.map is not None and (found := other.map.get(key)) is not None:
                    break
        return found

    def text_at(self, *path: str) -> str:
        """Text of the scalar at a path, or empty."""
        node = self.get(*path)
        return node.text if node is not None else ""

    def list_at(self, *path: str) -> list[Node]:
        """Items of the list at a path; a scalar or map counts as a list of one."""
        node = self.get(*path)
        if node is None:
            return []
        if node.items is not None:
            return node.items
        return [node] if node.map is not None or node.text else []

    def pairs(self, *path: str) -> list[tuple[str, Node]]:
        """Keys and values of the map at a path."""
        node = self.get(*path)
        if node is None or node.map is None:
            return []
        return list(node.map.items())

    def walk(self) -> Iterator[tuple[str, Node]]:
        """Every map entry below, each node once, as key and value, in the order of the file."""
        seen = {id(self)}
        stack: list[tuple[str, Node]] = [("", self)]
        left = _WALK_NODES
        while stack and left > 0:
            key, node = stack.pop()
            left -= 1
            if key:
                yield key, node
            below: list[tuple[str, Node]] = []
            if node.map is not None:
                below = list(node.map.items())
            elif node.items is not None:
                below = [("", n) for n in node.items]
            for pair in reversed(below):
                if id(pair[1]) not in seen:
                    seen.add(id(pair[1]))
                    stack.append(pair)

    def below(self) -> Iterator[Node]:
        """Go through the node and all below it, each once."""
        seen = {id(self)}
        stack = [self]
        while stack and len(seen) < _WALK_NODES:
            node = stack.pop()
            yield node
            for other in [*(node.map or {}).values(), *(node.items or [])]:
                if id(other) not in seen:
                    seen.add(id(other))
                    stack.append(other)

    def find(self, *keys: str) -> Iterator[tuple[str, Node]]:
        """Entries anywhere below whose key is one of `keys`."""
        return ((k, n) for k, n in self.walk() if k in keys)

    @property
    def truthy(self) -> bool:
        """True unless the scalar is empty, null or false."""
        if self.items is not None or self.map is not None:
            return bool(self.items or self.map)
        return self.quoted or self.text.lower() not in ("", "~", "null", "none", "false", "no")


def from_data(data: object, line: int = 0) -> Node:
    """Turn plain JSON or TOML data into a tree without line numbers (iteratively)."""
    root = Node(line)
    stack: list[tuple[Node, object]] = [(root, data)]
    while stack:
        node, value = stack.pop()
        if isinstance(value, dict):
            node.map = {}
            for key, item in value.items():
                below = Node(line)
                node.map[f"{key}"] = below
                stack.append((below, item))
        elif isinstance(value, list):
            node.items = []
            for item in value:
                below = Node(line)
                node.items.append(below)
                stack.append((below, item))
        elif isinstance(value, bool):
            node.text = "true" if value else "false"
        elif value is not None:
            node.text = f"{value}"
            node.quoted = isinstance(value, str)
    return root
