"""`tools/call` in memory, in both eras: results, refusals, faults."""

from __future__ import annotations

import json
import logging
import threading
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import pytest
from mcp import Client, MCPError

from mlops_advisor.server import calls, toolcall

pytestmark = pytest.mark.anyio

ERAS = pytest.mark.parametrize("mode", ["legacy", "auto"])


async def call(server: Any, mode: str, name: str = "stand_in", **arguments: Any) -> Any:
    with anyio.fail_after(10):
        async with Client(server, mode=mode) as client:
            return await client.call_tool(name, arguments)


def details(text: str) -> list[dict[str, str]]:
    return [json.loads(line) for line in text.splitlines()[1:]]


@ERAS
async def test_a_result_carries_structure_and_one_text(
    build: Any, arguments: dict[str, Any], text_of: Any, mode: str
) -> None:
    result = await call(build(), mode, **arguments)

    assert not result.is_error
    assert result.structured_content["as_of"] == "2026-11-23"
    assert "absent" not in result.structured_content
    assert text_of(result) == "heard 0 answers"


@ERAS
async def test_an_unknown_argument_is_refused_with_the_nearest_known(
    build: Any, text_of: Any, mode: str
) -> None:
    result = await call(build(), mode, workspce="x")

    assert result.is_error
    assert result.structured_content is None
    assert details(text_of(result)) == [
        {"field": "workspce", "problem": "unknown field; did you mean 'workspace'?"}
    ]


async def test_an_unknown_nested_argument_is_refused_with_its_path(
    build: Any, text_of: Any
) -> None:
    result = await call(build(), "auto", part={"sise": 1}, options={"zzz": 1})

    found = {item["field"]: item["problem"] for item in details(text_of(result))}
    assert found["part.sise"] == "unknown field; did you mean 'size'?"
    assert found["options.zzz"].startswith("unknown field; known are: scope, timeout_ms")


async def test_every_bad_field_is_named_and_no_input_is_echoed(build: Any, text_of: Any) -> None:
    secret = "s3cret" * 50
    result = await call(
        build(), "auto", do=secret, part={"size": 0}, responses=[{"practice": "a", "answer": "x"}]
    )

    text = text_of(result)
    assert [item["field"] for item in details(text)] == ["do", "responses.0.answer", "part.size"]
    assert "s3cret" not in text
    assert "pydantic" not in text


async def test_a_long_unknown_name_is_cut(build: Any, text_of: Any) -> None:
    long: dict[str, Any] = {"n" * 5000: 1}
    result = await call(build(), "auto", **long)

    assert len(text_of(result)) < 400


async def test_lists_and_objects_sent_as_json_text_are_understood(build: Any) -> None:
    result = await call(
        build(),
        "auto",
        responses='[{"practice": "a", "answer": "no"}]',
        options='{"interview": false}',
    )

    assert result.structured_content["heard"] == {"a": "no"}


async def test_json_text_that_is_not_what_is_due_is_refused(build: Any, text_of: Any) -> None:
    result = await call(build(), "auto", responses='{"practice": "a"}')

    assert details(text_of(result))[0]["field"] == "responses"


async def test_a_day_that_does_not_exist_is_refused(build: Any, text_of: Any) -> None:
    result = await call(build(), "auto", options={"as_of": "2026-02-30"})

    assert details(text_of(result))[0]["field"] == "options.as_of"


@ERAS
async def test_an_advisor_error_names_code_message_and_problems(
    build: Any, text_of: Any, mode: str
) -> None:
    result = await call(build(), mode, do="deny")

    assert result.is_error
    assert text_of(result).splitlines() == [
        "invalid_input: not that",
        '{"field": "do", "problem": "choose another"}',
    ]


@ERAS
@pytest.mark.parametrize("do", ["crash", "exit", "recurse"])
async def test_a_fault_of_ours_is_told_by_reference_only(
    build: Any, text_of: Any, caplog: pytest.LogCaptureFixture, mode: str, do: str
) -> None:
    with caplog.at_level(logging.ERROR):
        result = await call(build(), mode, do=do)

    assert result.is_error
    text = text_of(result)
    assert text.startswith("internal_error: internal error (reference ")
    assert "secret detail" not in text
    assert text.split("reference ")[1][:12] in caplog.text


@ERAS
@pytest.mark.parametrize("do", ["crash", "exit"])
async def test_a_fault_in_the_worker_thread_is_told_alike(
    build: Any, text_of: Any, tmp_path: Path, mode: str, do: str
) -> None:
    result = await call(build(tmp_path), mode, do=do, workspace=str(tmp_path))

    assert text_of(result).startswith("internal_error: ")


async def test_a_workspace_without_roots_is_refused_with_the_way_out(
    build: Any, text_of: Any
) -> None:
    result = await call(build(), "auto", workspace="/etc")

    assert "--root" in text_of(result)
    assert text_of(result).startswith("path_denied: ")


@ERAS
async def test_an_unknown_tool_is_a_protocol_error(build: Any, mode: str) -> None:
    with anyio.fail_after(10):
        async with Client(build(), mode=mode) as client:
            with pytest.raises(MCPError) as caught:
                await client.call_tool("stand_inn", {})

    assert caught.value.code == -32602
    assert "did you mean stand_in?" in caught.value.message


@ERAS
async def test_an_unknown_cursor_is_a_protocol_error(build: Any, mode: str) -> None:
    with anyio.fail_after(10):
        async with Client(build(), mode=mode) as client:
            for ask in (
                client.list_tools,
                client.list_resources,
                client.list_resource_templates,
                client.list_prompts,
            ):
                with pytest.raises(MCPError) as caught:
                    await ask(cursor="x")
                assert caught.value.code == -32602


@ERAS
async def test_an_unforeseen_exception_is_32603_in_both_eras(
    build: Any, monkeypatch: pytest.MonkeyPatch, mode: str
) -> None:
    server = build()

    async def broken(_ctx: Any, _params: Any) -> None:
        raise KeyError("secret detail")

    entry = server.get_request_handler("prompts/list")
    server.add_request_handler("prompts/list", entry.params_type, broken)
    with anyio.fail_after(10):
        async with Client(server, mode=mode) as client:
            with pytest.raises(MCPError) as caught:
                await client.list_prompts()

    assert caught.value.code == -32603
    assert caught.value.message.startswith("internal error (reference ")


async def test_progress_rises_and_is_not_more_than_twenty_steps(
    build: Any, tmp_path: Path, arguments: dict[str, Any]
) -> None:
    seen: list[float] = []

    async def note(progress: float, total: float | None, message: str | None) -> None:
        seen.append(progress)
        assert total == 100
        assert message == f"step {progress:.0f}"

    for mode in ("legacy", "auto"):
        seen.clear()
        with anyio.fail_after(10):
            async with Client(build(tmp_path), mode=mode) as client:
                await client.call_tool(
                    "stand_in",
                    {"do": "count", "workspace": "x", **arguments},
                    progress_callback=note,
                )
        assert seen == sorted(set(seen))
        assert 10 <= len(seen) <= 21


@ERAS
async def test_cancelling_a_call_stops_its_thread(
    build: Any, hooks: Any, tmp_path: Path, arguments: dict[str, Any], mode: str
) -> None:
    with anyio.fail_after(10):
        async with Client(build(tmp_path), mode=mode) as client:
            with anyio.CancelScope() as scope:
                async with anyio.create_task_group() as group:

                    async def cancel() -> None:
                        await anyio.to_thread.run_sync(hooks.started.wait)
                        scope.cancel()

                    group.start_soon(cancel)
                    wait = {"do": "wait", "workspace": "x", **arguments}
                    await client.call_tool("stand_in", wait)
            assert await anyio.to_thread.run_sync(hooks.ended.wait, 5)
            # The server is still there.
            assert not (await client.call_tool("stand_in", dict(arguments))).is_error


async def test_the_deadline_of_the_caller_ends_a_run(
    build: Any, hooks: Any, tmp_path: Path
) -> None:
    options = {"timeout_ms": 1000, "interview": False}
    result = await call(build(tmp_path), "auto", do="wait", workspace="x", options=options)

    assert not result.is_error
    assert hooks.ended.is_set()


async def test_a_run_that_ignores_its_deadline_is_given_up(
    build: Any, hooks: Any, text_of: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(toolcall, "GRACE_SECONDS", 0.0)
    try:
        result = await call(
            build(tmp_path), "auto", do="hang", workspace="x", options={"timeout_ms": 1000}
        )
    finally:
        hooks.release.set()

    assert result.is_error
    assert text_of(result).startswith("timeout_exceeded: no result after 1 s")


async def test_only_what_takes_long_leaves_the_event_loop(
    build: Any, hooks: Any, arguments: dict[str, Any]
) -> None:
    await call(build(), "auto", practices=["short"], **arguments)
    await call(build(), "auto", practices=["long"] * 200, **arguments)

    here = threading.get_ident()
    assert [thread == here for thread in hooks.threads] == [True, False]


async def test_calls_at_once_do_not_mix(build: Any, arguments: dict[str, Any]) -> None:
    async def one(client: Any, name: str) -> None:
        said = [{"practice": name, "answer": "no"}]
        result = await client.call_tool("stand_in", {"responses": said, **arguments})
        assert result.structured_content["heard"] == {name: "no"}

    with anyio.fail_after(20):
        async with Client(build()) as client, anyio.create_task_group() as group:
            for number in range(50):
                group.start_soon(one, client, f"p{number}")


def test_the_same_request_is_answered_from_what_is_kept_unless_told_otherwise() -> None:
    tool = calls.load("assess_maturity")
    arguments = {"practices": ["Data is versioned with DVC."], "options": {"as_of": "2026-11-23"}}
    first = calls.execute(tool, calls.prepare(tool, arguments), calls.Limits())
    again = calls.execute(tool, calls.prepare(tool, arguments), calls.Limits())
    assert again is first
    arguments["options"] = {"as_of": "2026-11-23", "force_refresh": True}
    anew = calls.execute(tool, calls.prepare(tool, arguments), calls.Limits())
    assert anew is not first
    assert anew.structured == first.structured


def test_what_rests_on_files_is_never_kept() -> None:
    tool = calls.load("assess_maturity")
    request = calls.prepare(tool, {"files": [{"path": "a.py", "content": "x = 1"}]})
    first = calls.execute(tool, request, calls.Limits())
    assert calls.execute(tool, request, calls.Limits()) is not first
