"""Interviews: the client is asked, in both eras, and no failure of asking fails a call."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from functools import partial
from typing import Any

import anyio
import pytest
from mcp import Client, MCPError
from mcp_types import ElicitRequestFormParams, ElicitResult, ErrorData
from pydantic import BaseModel

from mlops_advisor.server import elicitation
from mlops_advisor.server.elicitation import Talk

pytestmark = pytest.mark.anyio

ERAS = pytest.mark.parametrize("mode", ["legacy", "auto"])


class Said(BaseModel):
    practice: str
    answer: str


class StandInLike(BaseModel):
    responses: tuple[Said, ...]


class Person:
    """Answers forms by a function of the round and the practices asked."""

    def __init__(self, reply: Callable[[int, list[str]], ElicitResult | ErrorData]) -> None:
        self.reply = reply
        self.forms: list[ElicitRequestFormParams] = []

    async def __call__(self, _context: Any, params: Any) -> ElicitResult | ErrorData:
        self.forms.append(params)
        return self.reply(len(self.forms), list(params.requested_schema["properties"]))

    def asked(self) -> list[list[str]]:
        return [list(form.requested_schema["properties"]) for form in self.forms]


def everything(_round: int, practices: list[str]) -> ElicitResult:
    return ElicitResult(action="accept", content=dict.fromkeys(practices, "by_hand"))


async def call(server: Any, mode: str, person: Any, **arguments: Any) -> Any:
    with anyio.fail_after(10):
        async with Client(server, mode=mode, elicitation_callback=person) as client:
            return await client.call_tool("stand_in", arguments)


@ERAS
async def test_three_rounds_of_four_are_asked_and_heard(build: Any, mode: str) -> None:
    person = Person(everything)
    said = [{"practice": "mine", "answer": "no"}]

    result = await call(build(), mode, person, responses=said)

    assert [len(practices) for practices in person.asked()] == [4, 4, 4]
    assert len({name for practices in person.asked() for name in practices}) == 12
    assert result.structured_content["heard"] == {
        "mine": "no",
        **{f"practice_{number}": "by_hand" for number in range(1, 10)},
        **{f"practice_{number}": "by_hand" for number in range(10, 13)},
    }


@ERAS
async def test_a_form_shows_the_question_and_its_answers(build: Any, mode: str) -> None:
    person = Person(lambda *_: ElicitResult(action="decline"))

    await call(build(), mode, person)

    (form,) = person.forms
    assert form.message.startswith("These answers would say most")
    assert form.requested_schema["properties"]["practice_1"] == {
        "type": "string",
        "title": "Do you practice_1?",
        "description": "tells",
        "enum": ["no", "partly", "by_hand", "automated", "not_applicable", "unknown"],
    }
    assert "required" not in form.requested_schema


@ERAS
@pytest.mark.parametrize("action", ["decline", "cancel"])
async def test_who_declines_is_not_asked_again(build: Any, mode: str, action: Any) -> None:
    person = Person(lambda *_: ElicitResult(action=action))

    result = await call(build(), mode, person)

    assert len(person.forms) == 1
    assert not result.is_error
    assert len(result.structured_content["questions"]) == 12


@ERAS
async def test_asking_stops_when_the_result_is_sure_enough(build: Any, mode: str) -> None:
    person = Person(everything)
    said = [{"practice": f"known_{number}", "answer": "no"} for number in range(6)]

    result = await call(build(), mode, person, responses=said)

    assert len(person.forms) == 1  # 6 + 4 answers: confidence 1
    assert result.structured_content["confidence"] == 1


@ERAS
async def test_what_was_left_open_is_not_asked_twice(build: Any, mode: str) -> None:
    person = Person(
        lambda _, practices: ElicitResult(action="accept", content={practices[0]: "unknown"})
    )

    await call(build(), mode, person)

    asked = [name for practices in person.asked() for name in practices]
    assert len(asked) == len(set(asked)) == 12


@ERAS
async def test_answers_to_what_was_not_asked_and_no_answers_are_dropped(
    build: Any, mode: str
) -> None:
    person = Person(
        lambda *_: ElicitResult(
            action="accept",
            content={"practice_1": "automated", "practice_2": "very", "practice_9": "no", "x": 1},
        )
    )

    result = await call(build(), mode, person)

    assert result.structured_content["heard"] == {"practice_1": "automated"}


async def test_an_answer_replaces_what_the_caller_said() -> None:
    before = [{"practice": "a", "answer": "unknown"}, {"practice": "b", "answer": "no"}]
    request = StandInLike(responses=tuple(Said(**item) for item in before))
    talk = Talk(rounds=1, answers={"a": "automated"})

    merged = elicitation.merge({"do": "answer", "responses": "as text"}, request, talk)

    assert merged["do"] == "answer"
    assert merged["responses"] == [
        {"practice": "b", "answer": "no"},
        {"practice": "a", "answer": "automated"},
    ]


@ERAS
async def test_nobody_is_asked_when_the_caller_says_so(build: Any, mode: str) -> None:
    person = Person(everything)

    result = await call(build(), mode, person, options={"interview": False})

    assert person.forms == []
    assert len(result.structured_content["questions"]) == 12


@ERAS
async def test_without_the_capability_the_questions_come_back(build: Any, mode: str) -> None:
    result = await call(build(), mode, None)

    assert len(result.structured_content["questions"]) == 12


async def test_a_client_that_fails_to_ask_gets_the_result_all_the_same(
    build: Any, caplog: pytest.LogCaptureFixture
) -> None:
    person = Person(lambda *_: ErrorData(code=-32000, message="no window"))

    with caplog.at_level(logging.WARNING):
        result = await call(build(), "legacy", person)

    assert not result.is_error
    assert len(result.structured_content["questions"]) == 12
    assert "the client failed to ask" in caplog.text


async def test_a_call_repeated_without_the_reply_gets_the_result(build: Any) -> None:
    person: Any = Person(everything)
    with anyio.fail_after(10):
        async with Client(build(), elicitation_callback=person) as client:
            ask: Any = partial(client.session.call_tool, "stand_in", {}, allow_input_required=True)
            first = await ask()
            again = await ask(request_state=first.request_state)

    assert first.result_type == "input_required"
    assert len(again.structured_content["questions"]) == 12


async def test_a_forged_state_is_refused(build: Any) -> None:
    forged = json.dumps([0, [], ["practice_1"], {"practice_1": "automated"}])
    person: Any = Person(everything)
    with anyio.fail_after(10):
        async with Client(build(), elicitation_callback=person) as client:
            with pytest.raises(MCPError) as caught:
                await client.session.call_tool("stand_in", {}, request_state=forged)

    assert caught.value.code == -32602


async def test_an_interview_is_the_same_in_both_eras(build: Any) -> None:
    forms = []
    for mode in ("legacy", "auto"):
        person = Person(everything)
        await call(build(), mode, person)
        forms.append([form.model_dump(exclude={"meta", "task"}) for form in person.forms])

    assert forms[0] == forms[1]


def test_a_talk_survives_its_text() -> None:
    talk = Talk(rounds=2, asked=("a", "b"), open=("b",), answers={"a": "no"})

    assert Talk.decode(talk.encode()) == talk
