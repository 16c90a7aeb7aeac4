"""Wire schemas out of the models: what clients of every make can read.

Many clients stumble over `$ref`, over `anyOf` with null, over arrays without items and over
`$schema`; so everything is inlined, and an optional field is one that is not required.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mlops_advisor.server.registry import Tool

_DROPPED = frozenset({"$defs", "title", "$schema"})


def entry(tool: Tool) -> dict[str, Any]:
    """Return the wire form of a tool as `tools/list` shows it.

    All tools only read, and the same request gives the same result.
    """
    return {
        "name": tool.name,
        "title": tool.title,
        "description": tool.description,
        "inputSchema": schema(tool.input_model.model_json_schema()),
        "outputSchema": schema(tool.result_model.model_json_schema()),
        "annotations": {
            "title": tool.title,
            "readOnlyHint": True,
            "destructiveHint": False,
            "idempotentHint": True,
            "openWorldHint": False,
        },
    }


def schema(model_schema: Mapping[str, Any]) -> dict[str, Any]:
    """Return pydantic's schema with references inlined and null, titles and noise removed.

    Raises ValueError for a union.  A model that holds itself cannot be inlined: RecursionError.
    """
    result = _clean(model_schema, model_schema.get("$defs", {}))
    result.pop("description", None)  # the docstring of the model; the tool has its own
    return result


def _clean(node: Mapping[str, Any], defs: Mapping[str, Any]) -> dict[str, Any]:
    result: dict[str, Any] = {}
    for key, value in _plain(node, defs, ()).items():
        if key in _DROPPED or (key == "default" and _says_nothing(value)):
            continue
        if key == "properties":
            result[key] = {name: _clean(inner, defs) for name, inner in value.items()}
        elif key in {"items", "additionalProperties"} and isinstance(value, Mapping):
            result[key] = _clean(value, defs)
        else:
            result[key] = value
    if result.get("type") == "object" and "properties" in result:
        result.setdefault("additionalProperties", True)
    return result


def _plain(
    node: Mapping[str, Any], defs: Mapping[str, Any], inside: tuple[str, ...]
) -> Mapping[str, Any]:
    """Return the node itself, with what it refers to in place; what stands at the node wins."""
    if "$ref" in node:
        name = str(node["$ref"]).rpartition("/")[2]
        if name in inside:
            raise ValueError(f"{name} is nothing but itself")
        rest = {key: value for key, value in node.items() if key != "$ref"}
        return _plain({**defs[name], **rest}, defs, (*inside, name))
    if "anyOf" in node:
        choices = [choice for choice in node["anyOf"] if choice.get("type") != "null"]
        if len(choices) != 1:
            raise ValueError(f"a union of {len(choices)} types: {node.get('description')}")
        rest = {key: value for key, value in node.items() if key != "anyOf"}
        return _plain({**choices[0], **rest}, defs, inside)
    return node


def _says_nothing(default: object) -> bool:
    """Say whether a default is left out: null, nothing, or an object whose fields have theirs."""
    return default is None or default == [] or isinstance(default, dict)
