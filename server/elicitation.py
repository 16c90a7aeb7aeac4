"""Interviews: asks the person, through the client, the questions that a result leaves open.

Two ways to ask: on a connection of the handshake era a live `elicitation/create`; from
2026-07-28 on an `input_required` result that the client answers by calling again, with what was
said so far in `requestState` (sealed by the SDK).  Both use the same form and the same `Talk`.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final, Protocol

from mcp.server.context import ServerRequestContext
from mcp.shared.exceptions import MCPError
from mcp_types import CallToolRequestParams, ElicitResult
from mcp_types.version import is_version_at_least
from pydantic import BaseModel, ValidationError

logger = logging.getLogger(__name__)

ANSWERS: Final = ("no", "partly", "by_hand", "automated", "not_applicable", "unknown")
PER_ROUND: Final = 4
ROUNDS: Final = 3
ENOUGH: Final = 0.95  # confidence at which an interview stops

_INPUT_REQUIRED_SINCE = "2026-07-28"


class Question(Protocol):
    """What a result's question must have to be asked."""

    @property
    def practice(self) -> str: ...  # noqa: D102
    @property
    def question(self) -> str: ...  # noqa: D102
    @property
    def answers(self) -> Sequence[str]: ...  # noqa: D102
    @property
    def why(self) -> str: ...  # noqa: D102


@dataclass(frozen=True, slots=True)
class Talk:
    """An interview so far.

    `rounds` were asked, about the practices `asked` (of which `open` are waiting for an answer);
    `answers` maps practice to answer; `over` says that the person declined or went away.
    """

    rounds: int = 0
    asked: tuple[str, ...] = ()
    open: tuple[str, ...] = ()
    answers: Mapping[str, str] = field(default_factory=dict)
    over: bool = False

    def ask(self, questions: Sequence[Question]) -> Talk:
        """Return the talk after these questions were put."""
        ids = tuple(question.practice for question in questions)
        return replace(self, rounds=self.rounds + 1, asked=self.asked + ids, open=ids)

    def hear(self, reply: ElicitResult | None) -> Talk:
        """Return the talk after a reply.  What was not asked, or is no answer, is dropped."""
        if reply is None or reply.action != "accept":
            return replace(self, open=(), over=True)
        said = {
            practice: answer
            for practice, answer in (reply.content or {}).items()
            if practice in self.open and isinstance(answer, str) and answer in ANSWERS
        }
        return replace(self, open=(), answers={**self.answers, **said}, over=not said)

    def key(self) -> str:
        """Return the name under which this round's form travels."""
        return f"interview-{self.rounds}"

    def encode(self) -> str:
        """Return the talk as text for `requestState`."""
        return json.dumps([self.rounds, self.asked, self.open, dict(self.answers)])

    @classmethod
    def decode(cls, text: str) -> Talk:
        """Return the talk that `encode` wrote; the SDK has checked that it is ours."""
        rounds, asked, waiting, answers = json.loads(text)
        return cls(rounds=rounds, asked=tuple(asked), open=tuple(waiting), answers=answers)


def can_be_asked(ctx: ServerRequestContext[Any, Any]) -> bool:
    """Say whether the client takes forms, and whether they can reach it on this connection."""
    capabilities = ctx.session.client_capabilities
    forms = capabilities.elicitation if capabilities is not None else None
    if forms is None or (forms.form is None and forms.url is not None):
        return False
    return asks_by_result(ctx) or ctx.session.can_send_request


def asks_by_result(ctx: ServerRequestContext[Any, Any]) -> bool:
    """Say whether questions travel in an `input_required` result rather than in a request."""
    return is_version_at_least(ctx.protocol_version, _INPUT_REQUIRED_SINCE)


def resume(params: CallToolRequestParams) -> Talk:
    """Return the talk that a repeated call carries on, or a new one."""
    if params.request_state is None:
        return Talk()
    talk = Talk.decode(params.request_state)
    reply = (params.input_responses or {}).get(talk.key())
    return talk.hear(reply if isinstance(reply, ElicitResult) else None)


def merge(arguments: Mapping[str, Any], request: BaseModel, talk: Talk) -> dict[str, Any]:
    """Return the arguments with what was said in the interview among the `responses`."""
    given = [item.model_dump() for item in getattr(request, "responses", ())]
    kept = [item for item in given if item["practice"] not in talk.answers]
    said = [{"practice": practice, "answer": answer} for practice, answer in talk.answers.items()]
    return {**arguments, "responses": [*kept, *said]}


def next_questions(talk: Talk, result: object) -> tuple[Question, ...]:
    """Return what to ask now: nothing when the talk is over or the result is sure enough.

    The engine returns no questions when no answer could change the level.
    """
    if talk.over or talk.rounds >= ROUNDS or getattr(result, "confidence", 0.0) >= ENOUGH:
        return ()
    questions: Sequence[Question] = getattr(result, "questions", ())
    fresh = [question for question in questions if question.practice not in talk.asked]
    return tuple(fresh[:PER_ROUND])


def form(talk: Talk, questions: Sequence[Question]) -> tuple[str, dict[str, Any]]:
    """Return message and schema of one round; `talk` is the one after asking."""
    message = (
        f"These answers would say most about your MLOps maturity (round {talk.rounds} of at most"
        f" {ROUNDS}). Leave open what you do not know; decline to get the result as it stands."
    )
    properties = {
        question.practice: {
            "type": "string",
            "title": question.question,
            "description": question.why,
            "enum": [answer for answer in question.answers if answer in ANSWERS],
        }
        for question in questions
    }
    return message, {"type": "object", "properties": properties}


def input_required(talk: Talk, questions: Sequence[Question]) -> dict[str, Any]:
    """Return the result that asks, for clients of 2026-07-28 and later."""
    message, schema = form(talk, questions)
    ask = {"mode": "form", "message": message, "requestedSchema": schema}
    return {
        "resultType": "input_required",
        "inputRequests": {talk.key(): {"method": "elicitation/create", "params": ask}},
        "requestState": talk.encode(),
    }


async def ask_live(
    ctx: ServerRequestContext[Any, Any], talk: Talk, questions: Sequence[Question]
) -> Talk:
    """Ask on the connection and wait for the person.  A failure ends the talk, never the call."""
    message, schema = form(talk, questions)
    try:
        reply = await ctx.session.elicit_form(message, schema, related_request_id=ctx.request_id)
    except (MCPError, ValidationError, ValueError) as error:
        logger.warning("the client failed to ask: %s", type(error).__name__)
        return talk.hear(None)
    return talk.hear(reply)
