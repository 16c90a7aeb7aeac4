"""Read one YAML data file into a validated model, or say file, line and field.

YAML 1.2 core rules: only true and false are booleans, so `no` stays the word that it is.
The quick path builds plain objects; only a file that fails is read again with line marks.
"""

from __future__ import annotations

import re
from collections.abc import Hashable
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from mlops_advisor.resources.errors import DataFileError

Model = TypeVar("Model", bound=BaseModel)
_BASE: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_KEPT = ("tag:yaml.org,2002:int", "tag:yaml.org,2002:null", "tag:yaml.org,2002:float")


class CoreLoader(_BASE):  # type: ignore[misc]  # the C base exists only at run time
    """Safe loader with YAML 1.2 core scalars and no repeated keys."""

    def construct_mapping(
        self,
        node: yaml.MappingNode,
        deep: bool = False,  # noqa: FBT001, FBT002  # the signature of the base class
    ) -> dict[Hashable, Any]:
        """Refuse a key written twice: the second would silently replace the first."""
        seen: set[str] = set()
        for key, _ in node.value:
            if key.value in seen:
                raise yaml.MarkedYAMLError(
                    problem=f"key '{key.value}' is written twice", problem_mark=key.start_mark
                )
            seen.add(key.value)
        result: dict[Hashable, Any] = super().construct_mapping(node, deep=deep)
        return result


CoreLoader.yaml_implicit_resolvers = {
    first: [(tag, regexp) for tag, regexp in resolvers if tag in _KEPT]
    for first, resolvers in _BASE.yaml_implicit_resolvers.items()
}
CoreLoader.add_implicit_resolver(
    "tag:yaml.org,2002:bool", re.compile(r"^(?:true|false)$"), list("tf")
)


def read(path: Path, model: type[Model]) -> Model:
    """Return the file as `model`.  Raises DataFileError with file, line and field."""
    try:
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise DataFileError(path.name, 1, "", f"cannot be read: {error}") from error
    try:
        data = yaml.load(text, Loader=CoreLoader)  # noqa: S506  # a SafeLoader with fewer types
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise DataFileError(path.name, line, "", error.problem or "not valid YAML") from error
    except (yaml.YAMLError, RecursionError) as error:
        raise DataFileError(path.name, 1, "", "not valid YAML") from error
    try:
        return model.model_validate(data)
    except ValidationError as error:
        # A misspelt key is also a missing one; the misspelling is what there is to mend.
        found = error.errors(include_url=False, include_input=False)
        first = next((e for e in found if e["type"] == "extra_forbidden"), found[0])
        loc = first["loc"]
        field = ".".join(str(part) for part in loc)
        raise DataFileError(path.name, line_of(text, loc), field, first["msg"]) from error


def line_of(text: str, loc: tuple[int | str, ...]) -> int:
    """Return the 1-based line of the deepest node on the way `loc` that exists."""
    node: yaml.Node | None = yaml.compose(text, Loader=CoreLoader)
    if node is None:
        return 1
    line = node.start_mark.line + 1
    for part in loc:
        found: yaml.Node | None = None
        if isinstance(node, yaml.MappingNode):
            for key, value in node.value:
                if key.value == str(part):
                    found, line = value, key.start_mark.line + 1
        elif (
            isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value)
        ):
            found = node.value[part]
            line = found.start_mark.line + 1
        if found is None:
            break
        node = found
    return int(line)
