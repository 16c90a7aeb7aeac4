"""Wraps every message: what nobody foresaw becomes one kind of protocol error.

Left alone, the SDK answers an unforeseen exception with code 0 and its text on a connection of
the handshake era, and with -32603 on a modern one.
"""

from __future__ import annotations

import logging
import uuid
from typing import Any

from mcp.server.context import CallNext, HandlerResult, ServerRequestContext
from mcp.shared.exceptions import MCPError
from mcp_types import INTERNAL_ERROR
from pydantic import ValidationError

from mlops_advisor.resources.errors import DataFileError

logger = logging.getLogger(__name__)


async def faults(ctx: ServerRequestContext[Any, Any], call_next: CallNext) -> HandlerResult:
    """Answer an unforeseen exception with -32603 and a reference; its traceback goes to the log."""
    try:
        return await call_next(ctx)
    except (MCPError, ValidationError):
        raise
    except DataFileError as error:
        logger.exception("%s failed", ctx.method)
        raise MCPError(INTERNAL_ERROR, f"a knowledge file is broken: {error}") from error
    except Exception as error:
        reference = uuid.uuid4().hex[:12]
        logger.exception("%s failed, reference %s", ctx.method, reference)
        raise MCPError(INTERNAL_ERROR, f"internal error (reference {reference})") from error
