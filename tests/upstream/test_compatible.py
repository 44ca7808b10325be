"""A chat model behind a real socket: whole answers, broken answers, and answers nobody waits for."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from datetime import datetime
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scripted_chat import DONE, DROP, HOLD, USAGE, ScriptedChat, call, delta, event, serving

from kaiwa.engines.chat import ChatArguments, ChatCall, ChatEnd, ChatEvent, ChatRequest, ChatText
from kaiwa.engines.compatible import CompatibleChatModel
from kaiwa.errors import ConfigError
from kaiwa.events.items import InputText, Message
from kaiwa.events.tools import ToolSpec
from kaiwa.upstream.chat import ChatCompletions
from kaiwa.upstream.endpoint import ChatEndpoint, azure_deployment, azure_v1, openai_compatible

KEY = "sk-very-secret"
NOW = datetime(2026, 11, 21, 14, 5, tzinfo=ZoneInfo("Asia/Tokyo"))
HELLO = Message(role="user", content=(InputText(text="予約したいです"),))
TOOL = ToolSpec(
    name="list_locations", parameters={"type": "object", "properties": {"city": {"type": "string"}}}
)


def asking(**changes: Any) -> ChatRequest:
    return ChatRequest(**{"history": (HELLO,), "instructions": "Rent cars.", "now": NOW} | changes)


@asynccontextmanager
async def model_at(endpoint: ChatEndpoint, silence_s: float = 5) -> AsyncIterator[CompatibleChatModel]:
    model = CompatibleChatModel(ChatCompletions(endpoint, connect_s=2, silence_s=silence_s))
    try:
        yield model
    finally:
        await model.close()


async def answer(script: ScriptedChat, silence_s: float = 5, **changes: Any) -> list[ChatEvent]:
    async with serving(script), model_at(openai_compatible(f"{script.url}/v1", "m", KEY), silence_s) as model:
        async with asyncio.timeout(10):
            return [piece async for piece in model.generate(asking(**changes))]


def end_of(events: list[ChatEvent]) -> ChatEnd:
    assert isinstance(events[-1], ChatEnd)
    assert not any(isinstance(piece, ChatEnd) for piece in events[:-1])
    return events[-1]


async def test_text_arrives_piece_by_piece_and_ends_with_its_usage() -> None:
    script = ScriptedChat(
        [delta(content="かしこ"), delta(content="まりました。"), delta("stop"), USAGE, DONE]
    )
    *texts, end = await answer(script)
    assert texts == [ChatText(text="かしこ"), ChatText(text="まりました。")]
    assert isinstance(end, ChatEnd)
    assert end.reason == "completed"
    assert end.usage is not None
    assert (end.usage.input_tokens, end.usage.output_tokens, end.usage.total_tokens) == (20, 4, 24)
    assert end.usage.input_token_details.cached_tokens == 16


async def test_the_request_carries_date_tools_and_limit() -> None:
    script = ScriptedChat([delta("stop"), DONE])
    await answer(script, tools=(TOOL,), tool_choice="required", max_output_tokens=64)
    [asked] = script.asked
    assert asked.path == "/v1/chat/completions"
    assert asked.headers["Authorization"] == f"Bearer {KEY}"
    assert asked.body["messages"][0]["content"] == (
        "It is Saturday, 2026-11-21, 14:05 (Asia/Tokyo).\n\nRent cars."
    )
    assert asked.body["tools"][0]["function"]["name"] == "list_locations"
    assert asked.body["tool_choice"] == "required"
    assert asked.body["max_tokens"] == 64
    assert asked.body["stream_options"] == {"include_usage": True}


async def test_no_tools_means_no_tool_choice_and_no_limit_means_no_field() -> None:
    script = ScriptedChat([delta("stop"), DONE])
    await answer(script)
    assert set(script.asked[0].body) == {"model", "messages", "stream", "stream_options"}


async def test_parallel_calls_are_told_apart_by_index() -> None:
    script = ScriptedChat([
        call(0, id="a", name="x"), call(1, id="b", name="y"), call(0, arguments='{"p":'),
        call(1, arguments="{}"), call(0, arguments="1}"), delta("tool_calls"), DONE,
    ])  # fmt: skip
    events = await answer(script)
    assert [piece.index for piece in events if isinstance(piece, ChatArguments)] == [0, 1, 0]
    assert [piece for piece in events if isinstance(piece, ChatCall)] == [
        ChatCall(index=0, name="x", arguments='{"p":1}', call_id="a"),
        ChatCall(index=1, name="y", arguments="{}", call_id="b"),
    ]


async def test_calls_without_an_index_are_told_apart_by_id() -> None:
    pieces = [
        call(None, id="a", name="x", arguments="{"),
        call(None, arguments="}"),
        call(None, id="b", name="y"),
    ]
    events = await answer(ScriptedChat([*pieces, delta("tool_calls"), DONE]))
    calls = [(piece.name, piece.arguments) for piece in events if isinstance(piece, ChatCall)]
    assert calls == [("x", "{}"), ("y", "{}")]


@pytest.mark.parametrize(
    ("finish", "reason"), [("length", "max_output_tokens"), ("content_filter", "content_filter")]
)
async def test_an_answer_cut_short_says_why_and_makes_no_half_call(finish: str, reason: str) -> None:
    events = await answer(ScriptedChat([call(0, id="a", name="x", arguments='{"p'), delta(finish), DONE]))
    assert end_of(events).reason == reason
    assert not any(isinstance(piece, ChatCall) for piece in events)


REFUSALS = [
    (400, b'{"error":{"code":"content_filter"}}', "content_filter", None),
    (400, b'{"error":{"code":"bad_tool"}}', "failed", "upstream_rejected"),
    (401, b"", "failed", "upstream_unauthorized"),
    (404, b'{"error":null}', "failed", "upstream_not_found"),
    (429, b"[]", "failed", "rate_limit_exceeded"),
    (503, b"<html>", "failed", "upstream_unavailable"),
]


@pytest.mark.parametrize(("status", "body", "reason", "code"), REFUSALS)
async def test_a_refusal_is_an_end_with_a_code(
    status: int, body: bytes, reason: str, code: str | None
) -> None:
    end = end_of(await answer(ScriptedChat([body], status=status)))
    assert end.reason == reason
    assert (end.error.code if end.error else None) == code


BREAKS = [
    ([event({"error": {"message": "overloaded at 10.0.0.7"}})], "upstream_failed"),
    ([b"data: {not json}\n\n"], "upstream_garbled"),
    ([b"data: \xff\n\n"], "upstream_garbled"),
    ([], "upstream_cut_off"),
    ([DROP], "upstream_unreachable"),
    ([HOLD], "upstream_timeout"),
]


@pytest.mark.parametrize(("pieces", "code"), BREAKS)
async def test_a_broken_stream_keeps_what_came_and_ends_failed(pieces: list[bytes], code: str) -> None:
    events = await answer(ScriptedChat([delta(content="はい"), *pieces]), silence_s=0.3)
    assert events[0] == ChatText(text="はい")
    error = end_of(events).error
    assert error is not None
    assert error.code == code
    assert "10.0.0.7" not in error.message


async def test_a_stream_without_its_closing_mark_is_whole_when_a_reason_came() -> None:
    assert end_of(await answer(ScriptedChat([delta(content="はい"), delta("stop")]))).reason == "completed"


async def test_nobody_listening_is_a_retryable_failure() -> None:
    async with serving(ScriptedChat()) as gone:
        endpoint = openai_compatible(f"{gone.url}/v1", "m")
    async with model_at(endpoint) as model:
        end = end_of([piece async for piece in model.generate(asking())])
    assert end.error is not None
    assert end.error.code == "upstream_unreachable"


async def test_closing_the_answer_closes_the_request() -> None:
    script = ScriptedChat([delta(content="長い"), HOLD])
    async with serving(script), model_at(openai_compatible(f"{script.url}/v1", "m")) as model:
        async with aclosing(model.generate(asking())) as pieces:  # type: ignore[type-var]
            assert await anext(pieces) == ChatText(text="長い")
        async with asyncio.timeout(20):
            await script.client_left.wait()


async def test_cancelling_while_waiting_closes_the_request() -> None:
    script = ScriptedChat([delta(content="長い"), HOLD])
    first = asyncio.Event()

    async def listen(model: CompatibleChatModel) -> None:
        async for _ in model.generate(asking()):
            first.set()

    async with (
        serving(script),
        model_at(openai_compatible(f"{script.url}/v1", "m")) as model,
        asyncio.timeout(20),
    ):
        async with asyncio.TaskGroup() as group:
            listening = group.create_task(listen(model))
            await first.wait()
            listening.cancel()
        await script.client_left.wait()


async def test_keys_and_addresses_reach_neither_logs_nor_reprs(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    body = b'{"error":{"code":"x","message":"key sk-very-secret of host"}}'
    script = ScriptedChat([body], status=401)
    events = await answer(script)
    endpoint = openai_compatible(script.url, "m", KEY)
    kaiwa_lines = [record for record in caplog.records if record.name.startswith("kaiwa")]
    assert kaiwa_lines
    for text in [*(str(vars(record)) for record in kaiwa_lines), repr(endpoint), repr(events)]:
        assert KEY not in text
        assert "127.0.0.1" not in text
        assert "予約" not in text


def test_the_addresses_of_azure_and_openai() -> None:
    classic = azure_deployment("https://me.openai.azure.com/", "gpt 4o", KEY, "2024-10-21")
    assert classic.url == (
        "https://me.openai.azure.com/openai/deployments/gpt%204o/chat/completions?api-version=2024-10-21"
    )
    assert classic.headers == {"api-key": KEY}
    assert azure_v1("https://me.openai.azure.com", "d", KEY).url.endswith(
        "azure.com/openai/v1/chat/completions"
    )
    assert openai_compatible("https://api.openai.com/v1", "m", KEY).limit_field == "max_completion_tokens"
    assert openai_compatible("http://127.0.0.1:11434/v1/", "m").headers == {}


@pytest.mark.parametrize(
    "address", ["me.openai.azure.com", "ftp://x", "https://", "https://u:p@x", "https://x/?k=v"]
)
def test_an_address_that_cannot_work_names_its_setting(address: str) -> None:
    with pytest.raises(ConfigError, match="azure_openai_endpoint"):
        azure_v1(address, "d", KEY)


@settings(max_examples=25, deadline=None)
@given(places=st.lists(st.integers(0, 10_000), max_size=8))
def test_any_cut_of_the_stream_gives_the_same_answer(places: list[int]) -> None:
    stream = b"".join(
        [
            delta(content="会話"),
            call(0, id="a", name="x", arguments='{"場所":"東京"}'),
            delta("tool_calls"),
            DONE,
        ]
    )
    edges = [0, *sorted(place % len(stream) for place in places), len(stream)]
    pieces = [stream[a:b] for a, b in pairwise(edges) if a < b]
    assert asyncio.run(answer(ScriptedChat(pieces))) == [
        ChatText(text="会話"),
        ChatArguments(index=0, name="x", delta='{"場所":"東京"}'),
        ChatCall(index=0, name="x", arguments='{"場所":"東京"}', call_id="a"),
        ChatEnd(),
    ]
