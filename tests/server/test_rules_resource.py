"""`mlops://rules` and `mlops://rules/{id}`: the rules to read, and the completion of ids."""

from __future__ import annotations

import json
import re
from collections.abc import Awaitable, Callable
from typing import Any

import anyio
import pytest
from mcp import Client, MCPError
from mcp_types import ResourceTemplateReference

from mlops_advisor.resources.loaders import bundled
from mlops_advisor.server.app import build_server
from mlops_advisor.server.settings import Settings
from mlops_advisor.tools.audit_workflow import risk
from mlops_advisor.tools.audit_workflow.rule import ORDER
from mlops_advisor.tools.audit_workflow.rules import all_rules

pytestmark = pytest.mark.anyio

RULES = all_rules()


async def with_client(use: Callable[[Client], Awaitable[Any]], mode: str = "auto") -> Any:
    with anyio.fail_after(30):
        async with Client(build_server(Settings()), mode=mode) as client:
            return await use(client)


async def read(*uris: str) -> list[tuple[str, str]]:
    async def use(client: Client) -> list[tuple[str, str]]:
        found = []
        for uri in uris:
            (content,) = (await client.read_resource(uri)).contents
            found.append((str(content.mime_type), content.text))  # type: ignore[union-attr]
        return found

    pages: list[tuple[str, str]] = await with_client(use)
    return pages


async def test_the_index_and_the_template_are_listed() -> None:
    async def use(client: Client) -> tuple[set[str], set[str]]:
        listed = (await client.list_resources()).resources
        templates = (await client.list_resource_templates()).resource_templates
        return {str(r.uri) for r in listed}, {t.uri_template for t in templates}

    listed, templates = await with_client(use)
    assert "mlops://rules" in listed
    assert "mlops://rules/{id}{?format}" in templates


async def test_the_index_holds_every_rule_and_what_severities_mean() -> None:
    ((mime, text),) = await read("mlops://rules")
    page = json.loads(text)

    assert mime == "application/json"
    assert [r["id"] for r in page["rules"]] == [r.id for r in RULES]
    assert set(page["severities"]) == {s.value for s in ORDER}
    assert page["risk"] == risk.FORMULA
    for entry, rule in zip(page["rules"], RULES, strict=True):
        assert entry == {
            "id": rule.id,
            "name": rule.name,
            "title": rule.title,
            "dimension": rule.dimension,
            "severity": rule.severity.value,
            "confidence": rule.confidence,
        }


async def test_the_index_reads_as_a_table() -> None:
    ((mime, text),) = await read("mlops://rules?format=markdown")

    assert mime == "text/markdown"
    assert text.startswith("# Rules of the audit\n")
    for rule in RULES:
        (row,) = [line for line in text.split("\n") if line.startswith(f"| {rule.id} ")]
        assert len(re.findall(r"(?<!\\)\|", row)) == 6


async def test_every_rule_reads_as_json_with_its_sources() -> None:
    pages = await read(*(f"mlops://rules/{r.id}" for r in RULES))

    known = bundled().sources
    for (mime, text), rule in zip(pages, RULES, strict=True):
        page = json.loads(text)
        assert mime == "application/json"
        assert (page["id"], page["fix"]) == (rule.id, rule.fix)
        assert page["documentation"] == rule.doc
        assert page["effort_days"] == {"low": rule.effort_days[0], "high": rule.effort_days[1]}
        assert (page["absence"], page["searched"]) == (rule.absence, rule.searched)
        assert len(page["sources"]) == len(rule.sources)
        for source in page["sources"]:
            if source["id"] in known:  # test_rules.py sees to it that all are
                assert source["url"].startswith("https://")
                assert source["title"] == known[source["id"]].title


async def test_every_rule_reads_as_a_page() -> None:
    pages = await read(*(f"mlops://rules/{r.id}?format=markdown" for r in RULES))

    for (mime, text), rule in zip(pages, RULES, strict=True):
        assert mime == "text/markdown"
        assert text.startswith(f"# {rule.id} {rule.name}: ")
        assert f"Severity {rule.severity.value}" in text
        for heading in ("## What it does", "## Use instead", "## Fix", "## Sources"):
            assert heading in text
        assert text.endswith("\n")
        assert "\n\n\n\n" not in text


async def test_an_id_in_small_letters_is_the_same_rule() -> None:
    small, large = await read("mlops://rules/ds06", "mlops://rules/DS06")

    assert small == large


@pytest.mark.parametrize(("mode", "code"), [("legacy", -32002), ("auto", -32602)])
@pytest.mark.parametrize(
    ("uri", "hint"),
    [
        ("mlops://rules/DS66", "nearest: DS"),
        ("mlops://rules/nothing-like-it", "e.g. "),
        ("mlops://rules/DS06?format=sarif", "known: json, markdown"),
        ("mlops://rules/" + "a" * 5000, "Unknown rule"),
        ("mlops://rules/DS06/more", "Unknown resource"),
    ],
)
async def test_an_unknown_rule_is_refused_with_what_is_near(
    mode: str, code: int, uri: str, hint: str
) -> None:
    async def use(client: Client) -> MCPError:
        with pytest.raises(MCPError) as caught:
            await client.read_resource(uri)
        return caught.value

    error = await with_client(use, mode)
    assert error.code == code
    assert hint in error.message
    assert len(error.message) < 600


async def test_ids_complete() -> None:
    async def complete(name: str, typed: str) -> Any:
        ref = ResourceTemplateReference(uri="mlops://rules/{id}{?format}")

        async def use(client: Client) -> Any:
            return (await client.complete(ref, {"name": name, "value": typed})).completion

        return await with_client(use)

    ids = [r.id for r in RULES]
    assert (await complete("id", "ds0")).values == [i for i in ids if i.startswith("DS0")]
    whole = await complete("id", "")
    assert whole.values == ids[:100]
    assert whole.total == len(ids)
    assert (await complete("id", "06")).values == [i for i in ids if i.endswith("06")]
    assert (await complete("format", "m")).values[0] == "markdown"
    assert (await complete("dimension", "")).values == []
