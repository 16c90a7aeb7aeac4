"""Completion of template parameters and prompt arguments.  Imported at the first use."""

from __future__ import annotations

from functools import partial
from typing import Any, Final

import anyio.to_thread
from mcp.server.context import HandlerResult, ServerRequestContext
from mcp_types import CompleteRequestParams, PromptReference

from mlops_advisor.resources import loaders
from mlops_advisor.server import prompts
from mlops_advisor.server.listings import ALIASES, DIMENSIONS, FORMATS
from mlops_advisor.tools.audit_workflow.rules import all_rules

_MOST: Final = 100  # values in one answer, by the protocol


class Complete:
    """Handler of `completion/complete`."""

    async def __call__(
        self, _ctx: ServerRequestContext[Any, Any], params: CompleteRequestParams
    ) -> HandlerResult:
        """Answer with what the typed text may become; nothing for what cannot be completed."""
        ref = params.ref
        name = params.argument.name
        if isinstance(ref, PromptReference):
            find = partial(_of_prompt, ref.name, name)
        else:
            find = partial(_of_template, ref.uri, name)
        values = _matching(await anyio.to_thread.run_sync(find), params.argument.value)
        more = len(values) > _MOST
        found = {"values": values[:_MOST], "total": len(values), "hasMore": more}
        return {"resultType": "complete", "completion": found}


def _of_prompt(name: str, argument: str) -> tuple[str, ...]:
    return prompts.topics() if (name, argument) == ("mlops_basics", "topic") else ()


def _of_template(template: str, argument: str) -> tuple[str, ...]:
    """Return the values of a parameter; clients may name the template without its query."""
    if not template.startswith(("mlops://rubric/", "mlops://practices/", "mlops://rules/")):
        return ()
    if argument == "format":
        return FORMATS
    if argument == "dimension" and template.startswith("mlops://rubric/"):
        return (*DIMENSIONS, *ALIASES)
    if argument == "id" and template.startswith("mlops://practices/"):
        return tuple(loaders.bundled().practices)
    if argument == "id" and template.startswith("mlops://rules/"):
        return tuple(r.id for r in all_rules())
    return ()


def _matching(values: tuple[str, ...], typed: str) -> list[str]:
    """Return what begins with the typed text, then what holds it elsewhere."""
    text = typed.casefold()
    first = [value for value in values if value.casefold().startswith(text)]
    return first + [value for value in values if text in value.casefold() and value not in first]
