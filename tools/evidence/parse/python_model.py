"""What is known of one Python file or notebook after its syntax tree is dropped."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(slots=True)
class Ref:
    """A value that is not a literal: its dotted name, or `?`."""

    name: str


Value = str | int | float | bool | None | Ref | tuple[Any, ...]


@dataclass(slots=True)
class Call:
    """One call: `name` resolved through imports (`mlflow.log_metric`), variables and chains.

    A method of an object made by a call shows as `pkg.Class().method`. `scope` is the function
    or class around it; `swallowed` says that an `except` around it lets no failure through.
    """

    name: str
    line: int
    args: tuple[Value, ...]
    kwargs: dict[str, Value]
    scope: str
    swallowed: bool
    last: str = ""  # last part of the name

    def text_of(self, key: str, position: int = -1) -> str:
        """Literal string given by keyword, or by position, or empty."""
        value = self.kwargs.get(key)
        if value is None and 0 <= position < len(self.args):
            value = self.args[position]
        return value if isinstance(value, str) else ""


@dataclass(slots=True)
class Import:
    """One import: module with leading dots when relative, the name taken from it, line."""

    module: str
    name: str
    line: int


@dataclass(slots=True)
class Function:
    """One function: qualified name, decorators resolved, parameters with annotations."""

    name: str
    line: int
    end_line: int
    decorators: tuple[str, ...]
    params: tuple[tuple[str, str], ...]
    empty: bool

    @property
    def last(self) -> str:
        """Name without the class."""
        return self.name.rpartition(".")[2]


@dataclass(slots=True)
class Class:
    """One class with its bases, resolved, and the names of annotated fields."""

    name: str
    line: int
    bases: tuple[str, ...]
    fields: tuple[str, ...]


@dataclass(slots=True)
class Check:
    """Something that stops the program: `assert`, or `if ...: raise` / `exit`."""

    kind: str  # assert, raise, exit, return
    line: int
    names: tuple[str, ...]  # names, attributes and strings in the condition, lower case
    compares: bool  # <, <=, >, >=
    constant: bool  # the condition holds no name: `assert True`
    scope: str
    swallowed: bool


@dataclass(slots=True)
class PythonModule:
    """Summary of one file or notebook."""

    path: str
    imports: list[Import] = field(default_factory=list)
    calls: list[Call] = field(default_factory=list)
    functions: list[Function] = field(default_factory=list)
    classes: list[Class] = field(default_factory=list)
    checks: list[Check] = field(default_factory=list)
    branches: list[Check] = field(
        default_factory=list
    )  # comparisons with < <= > >=, wherever they stand
    constants: dict[str, tuple[Value, int]] = field(default_factory=dict)
    raises: list[tuple[str, int]] = field(default_factory=list)  # scope and line
    made: dict[str, str] = field(default_factory=dict)  # variable -> name of the call that made it
    main: bool = False
    problem: str = ""
    notebook: bool = False
    roots: frozenset[str] = frozenset()  # top-level packages imported

    def scoped(self, scope: str) -> list[Call]:
        """Find calls inside a function or class, nested ones included."""
        return [c for c in self.calls if c.scope == scope or c.scope.startswith(scope + ".")]
