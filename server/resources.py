"""Reads `mlops://` resources: the knowledge as JSON or Markdown.  Imported at the first read."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final
from urllib.parse import parse_qs, unquote, urlsplit

import anyio.to_thread
from mcp.server.context import HandlerResult, ServerRequestContext
from mcp.shared.exceptions import MCPError
from mcp_types import INVALID_PARAMS, ReadResourceRequestParams
from mcp_types.version import is_version_at_least

from mlops_advisor.resources import loaders, pages
from mlops_advisor.server import calls, listings
from mlops_advisor.server.listings import ALIASES, FORMATS, JSON, MARKDOWN
from mlops_advisor.tools.audit_workflow import pages as rule_pages
from mlops_advisor.tools.audit_workflow.rules import all_rules
from mlops_advisor.tools.evidence.probes import probes_by_practice

_NOT_FOUND_LEGACY: Final = -32002  # the code of the handshake era; -32602 from 2026-07-28 on
_SHOWN: Final = 200


class UnknownResourceError(Exception):
    """No such resource; the message names the nearest."""


class Read:
    """Handler of `resources/read`."""

    async def __call__(
        self, ctx: ServerRequestContext[Any, Any], params: ReadResourceRequestParams
    ) -> HandlerResult:
        """Answer with one text; an unknown address is refused with the code of the era."""
        try:
            mime, text = await anyio.to_thread.run_sync(read, params.uri)
        except UnknownResourceError as error:
            modern = is_version_at_least(ctx.protocol_version, "2026-07-28")
            code = INVALID_PARAMS if modern else _NOT_FOUND_LEGACY
            raise MCPError(code, str(error), {"uri": params.uri[:_SHOWN]}) from None
        content = {"uri": params.uri, "mimeType": mime, "text": text}
        return {"resultType": "complete", "contents": [content]}


def read(uri: str) -> tuple[str, str]:
    """Return media type and text of a resource.  Raises UnknownResourceError."""
    try:
        parts = urlsplit(uri)
    except ValueError:
        raise _unknown(uri) from None
    form = _format(uri, parse_qs(parts.query, keep_blank_values=True))
    segments = [unquote(part) for part in f"{parts.netloc}{parts.path}".strip("/").split("/")]
    if parts.scheme != "mlops" or parts.fragment:
        raise _unknown(uri)
    data, markdown = _page(uri, segments)
    if form == "markdown":
        return MARKDOWN, markdown()
    return JSON, json.dumps(data(), ensure_ascii=False, separators=(",", ":"))


def _page(uri: str, segments: list[str]) -> tuple[Callable[[], dict[str, Any]], Callable[[], str]]:
    known = loaders.bundled()
    match segments:
        case ["rubric"]:
            return partial(pages.rubric, known), partial(pages.rubric_markdown, known)
        case ["principles"]:
            return partial(pages.principles, known), partial(pages.principles_markdown, known)
        case ["rubric", name]:
            name = ALIASES.get(name, name)
            _must_be_known(name, (*known.dimensions, *ALIASES), "dimension")
            return (
                partial(pages.dimension, known, name),
                partial(pages.dimension_markdown, known, name),
            )
        case ["rules"]:
            return rule_pages.index, rule_pages.index_markdown
        case ["rules", name]:
            rules = {r.id: r for r in all_rules()}
            name = name.upper()
            _must_be_known(name, tuple(rules), "rule")
            return (
                partial(rule_pages.one, rules[name], known.sources),
                partial(rule_pages.one_markdown, rules[name], known.sources),
            )
        case ["practices", name]:
            _must_be_known(name, tuple(known.practices), "practice")
            return (
                partial(pages.practice, known, name, probes_by_practice()),
                partial(pages.practice_markdown, known, name, probes_by_practice()),
            )
        case _:
            raise _unknown(uri)


def _format(uri: str, query: Mapping[str, list[str]]) -> str:
    if set(query) - {"format"} or len(query.get("format", [])) > 1:
        raise UnknownResourceError(f"Unknown resource: {uri[:_SHOWN]}; the only option is format")
    form = query.get("format", ["json"])[0]
    if form not in FORMATS:
        raise UnknownResourceError(f"Unknown format: {form[:40]}; known: {', '.join(FORMATS)}")
    return form


def _must_be_known(name: str, known: tuple[str, ...], kind: str) -> None:
    if name not in known:
        close = calls.nearest(name[:_SHOWN], known, count=3)
        hint = f"; nearest: {', '.join(close)}" if close else f"; e.g. {', '.join(known[:6])}"
        raise UnknownResourceError(f"Unknown {kind}: {name[:60]}{hint}")


def _unknown(uri: str) -> UnknownResourceError:
    plain = [entry["uri"] for entry in listings.resources() if entry["mimeType"] == JSON]
    listed = ", ".join([*plain, *(entry["uriTemplate"] for entry in listings.templates())])
    return UnknownResourceError(f"Unknown resource: {uri[:_SHOWN]}; known: {listed}")
