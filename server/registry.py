"""The tools that are served, one line each.

Nothing of a tool is imported here: `tools/list` is answered from the committed files in
`schemas/`, and a tool's models, engine and text load at its first call, because building them
at start would cost more than the whole start-up budget.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from pydantic import BaseModel

    from mlops_advisor.tools.common.run import RunContext

TOOLS: Final = (
    "mlops_advisor.tools.assess_maturity",
    "mlops_advisor.tools.audit_workflow",
)

SCHEMAS = Path(__file__).parent / "schemas"
_LOADING = threading.Lock()


@dataclass(frozen=True, slots=True)
class Tool:
    """A loaded tool.  `run` raises AdvisorError; `render` makes the text block (Markdown)."""

    name: str
    title: str
    description: str
    input_model: type[BaseModel]
    result_model: type[BaseModel]
    run: Callable[[BaseModel, RunContext], BaseModel]
    render: Callable[[BaseModel], str]


def names() -> tuple[str, ...]:
    """Return the names of the tools, in the order in which they are listed."""
    return tuple(module.rpartition(".")[2] for module in TOOLS)


@cache
def listing() -> tuple[dict[str, Any], ...]:
    """Return the wire form of every tool as `tools/list` shows it, from the committed files."""
    return tuple(
        json.loads((SCHEMAS / f"{name}.json").read_text(encoding="utf-8")) for name in names()
    )


def input_schema(name: str) -> dict[str, Any] | None:
    """Return the published input schema of a tool, or None if there is no such tool."""
    for entry in listing():
        if entry["name"] == name:
            schema: dict[str, Any] = entry["inputSchema"]
            return schema
    return None


@cache
def _load(name: str) -> Tool:
    module = TOOLS[names().index(name)]
    package = import_module(module)
    models = import_module(f"{module}.models")
    stem = "".join(part.capitalize() for part in name.split("_"))
    return Tool(
        name=package.NAME,
        title=package.TITLE,
        description=package.DESCRIPTION,
        input_model=getattr(models, f"{stem}Input"),
        result_model=getattr(models, f"{stem}Result"),
        run=import_module(f"{module}.run").run,
        render=import_module(f"{module}.text").render,
    )


def load(name: str) -> Tool:
    """Return the tool `name`, imported at its first use.  Raises ValueError for another name.

    The lock keeps two first calls in two threads from building the models twice.
    """
    with _LOADING:
        return _load(name)
