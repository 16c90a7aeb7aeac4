"""Wire schemas: equal to the models, and readable by clients of every make."""

from __future__ import annotations

import json
from collections.abc import Iterator
from importlib import import_module
from typing import Any

import pytest

from mlops_advisor.server import calling, registry, snapshots, wire

# Comes with the SDK, without type stubs.
jsonschema: Any = import_module("jsonschema")

TOOLS = registry.names()
SIDES = ("inputSchema", "outputSchema")
# What some client or other is known to stumble over, or what says nothing.
BANNED = {"$ref", "$defs", "$schema", "anyOf", "oneOf", "allOf", "title", "prefixItems"}


def schema(name: str, side: str) -> dict[str, Any]:
    (entry,) = [entry for entry in registry.listing() if entry["name"] == name]
    found: dict[str, Any] = entry[side]
    return found


def nodes(node: dict[str, Any], path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    yield path, node
    for name, inner in node.get("properties", {}).items():
        yield from nodes(inner, f"{path}.{name}")
    for key in ("items", "additionalProperties"):
        if isinstance(node.get(key), dict):
            yield from nodes(node[key], f"{path}[]")


def test_committed_files_are_what_models_and_knowledge_say() -> None:
    assert snapshots.stale() == []


@pytest.mark.parametrize("name", TOOLS)
def test_a_listed_tool_equals_its_models(name: str) -> None:
    (entry,) = [entry for entry in registry.listing() if entry["name"] == name]

    assert entry == json.loads(json.dumps(wire.entry(registry.load(name))))


@pytest.mark.parametrize("name", TOOLS)
def test_tools_only_read(name: str) -> None:
    (entry,) = [entry for entry in registry.listing() if entry["name"] == name]

    assert entry["annotations"] == {
        "title": entry["title"],
        "readOnlyHint": True,
        "destructiveHint": False,
        "idempotentHint": True,
        "openWorldHint": False,
    }
    assert 50 <= len(entry["description"]) <= 1200


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("name", TOOLS)
def test_a_schema_is_plain(name: str, side: str) -> None:
    top = schema(name, side)
    jsonschema.Draft202012Validator.check_schema(top)
    assert top["type"] == "object"
    for path, node in nodes(top):
        assert not BANNED & set(node), path
        assert isinstance(node["type"], str), path
        assert node["type"] != "null", path
        assert node.get("default", 0) is not None, path
        if node["type"] == "array":
            assert "items" in node, path
        if node["type"] == "object":
            assert "additionalProperties" in node, path


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("name", TOOLS)
def test_every_property_is_described(name: str, side: str) -> None:
    for path, node in nodes(schema(name, side)):
        for key, inner in node.get("properties", {}).items():
            assert inner.get("description"), f"{path}.{key}"


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("name", TOOLS)
def test_every_number_says_its_range(name: str, side: str) -> None:
    for path, node in nodes(schema(name, side)):
        for key, inner in node.get("properties", {}).items():
            if inner["type"] in {"integer", "number"}:
                assert "minimum" in inner, f"{path}.{key}"


@pytest.mark.parametrize("name", TOOLS)
def test_unknown_arguments_are_refused_by_the_schema_too(name: str) -> None:
    top = schema(name, "inputSchema")

    assert top["additionalProperties"] is False
    assert top.get("required", []) == []


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"practices": ["We deploy by hand", "Nothing is monitored"], "target_level": 4},
        {
            "context": {
                "team_size": 3,
                "current_maturity": "optimized",
                "compliance": ["gdpr", "eu_ai_act_high_risk"],
                "workloads": ["llm"],
            },
            "deployment_frequency": "twice a year",
            "delivery": {"lead_time_days": 3, "change_failure_rate": 0.1, "recovery_hours": 4},
            "options": {"detail": "full"},
        },
    ],
)
def test_results_match_the_published_schema(given: dict[str, Any]) -> None:
    outcome = calling.call("assess_maturity", given, ())

    jsonschema.validate(outcome.structured, schema("assess_maturity", "outputSchema"))
    assert ": null" not in json.dumps(outcome.structured)


@pytest.mark.parametrize(
    "model_schema",
    [
        {"anyOf": [{"type": "string"}, {"type": "integer"}]},
        {"$ref": "#/$defs/A", "$defs": {"A": {"$ref": "#/$defs/A"}}},
    ],
)
def test_what_cannot_be_said_plainly_is_refused(model_schema: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"union|itself"):
        wire.schema(model_schema)
