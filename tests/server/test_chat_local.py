"""Chat, responses and embeddings without an account, as the stock `openai` package asks for them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from openai import (
    AsyncAzureOpenAI,
    AsyncOpenAI,
    AuthenticationError,
    BadRequestError,
    NotFoundError,
    OpenAI,
)
from openai.types.chat import ChatCompletionChunk
from tests.server.running import at_home, running

KEY = "the-key-of-this-house"
HELLO: Any = [{"role": "user", "content": "Who are you?"}]
WEATHER: Any = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "Tell the weather in a city.",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string", "description": "City"}},
            "required": ["city"],
        },
    },
}
WEATHER_OF_RESPONSES: Any = {"type": "function", **WEATHER["function"]}
IN_KYOTO: Any = {"role": "user", "content": "What's the weather in Kyoto?"}


@pytest.fixture
async def address(tmp_path: Path) -> AsyncIterator[str]:
    async with running(at_home(tmp_path, api_key=KEY)) as server:
        yield server.addresses[0]


@pytest.fixture
async def client(address: str) -> AsyncIterator[AsyncOpenAI]:
    async with AsyncOpenAI(api_key=KEY, base_url=f"{address}/v1", max_retries=0) as client:
        yield client


# --- chat completions --------------------------------------------------------------------------------


async def test_a_question_is_answered_whole_with_its_cost(client: AsyncOpenAI) -> None:
    answer = await client.chat.completions.create(model="gpt-4o-mini", messages=HELLO)
    choice = answer.choices[0]
    assert answer.model == "kaiwa-local"
    assert "kaiwa" in (choice.message.content or "")
    assert (choice.finish_reason, choice.message.role) == ("stop", "assistant")
    assert answer.usage is not None
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens
    assert answer.usage.completion_tokens > 5


async def test_a_stream_has_its_role_first_then_the_same_words_and_its_usage_last(
    client: AsyncOpenAI,
) -> None:
    whole = await client.chat.completions.create(model="kaiwa-local", messages=HELLO)
    chunks = [
        chunk
        async for chunk in await client.chat.completions.create(
            model="kaiwa-local", messages=HELLO, stream=True, stream_options={"include_usage": True}
        )
    ]
    assert chunks[0].choices[0].delta.role == "assistant"
    assert words(chunks) == whole.choices[0].message.content
    assert len([chunk for chunk in chunks if chunk.choices and chunk.choices[0].delta.content]) > 2
    assert chunks[-2].choices[0].finish_reason == "stop"
    assert (chunks[-1].choices, chunks[-1].usage) == ([], whole.usage)
    assert chunks[0].usage is None


def words(chunks: list[ChatCompletionChunk]) -> str:
    return "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)


async def test_usage_is_not_told_unasked_and_a_stream_ends_with_done(address: str) -> None:
    asking = {"model": "gpt-4o", "messages": HELLO, "stream": True}
    headers = {"Authorization": f"Bearer {KEY}"}
    async with (
        aiohttp.ClientSession(headers=headers) as http,
        http.post(f"{address}/v1/chat/completions", json=asking) as answer,
    ):
        text = await answer.text()
        assert answer.headers["content-type"].startswith("text/event-stream")
    assert text.endswith("data: [DONE]\n\n")
    assert '"usage"' not in text


async def test_azures_client_finds_it_under_its_deployments(address: str) -> None:
    async with AsyncAzureOpenAI(azure_endpoint=address, api_key=KEY, api_version="2024-10-21") as client:
        answer = await client.chat.completions.create(model="my-deployment", messages=HELLO)
        response = await client.responses.create(model="my-deployment", input="Who are you?")
    assert answer.choices[0].message.content == response.output_text != ""


async def test_the_client_that_blocks_is_served_as_well(address: str) -> None:
    def ask() -> str:
        with OpenAI(api_key=KEY, base_url=f"{address}/openai/v1", max_retries=0, timeout=20) as client:
            return words(list(client.chat.completions.create(model="gpt-4o", messages=HELLO, stream=True)))

    assert "kaiwa" in await asyncio.to_thread(ask)


async def test_the_system_message_is_followed(client: AsyncOpenAI) -> None:
    system: Any = {"role": "developer", "content": "日本語で答えてください。"}
    answer = await client.chat.completions.create(model="gpt-4o", messages=[system, *HELLO])
    assert "デモ" in (answer.choices[0].message.content or "")


async def test_a_limit_of_tokens_cuts_the_answer_and_says_so(client: AsyncOpenAI) -> None:
    asked: Any = {"model": "gpt-4o", "messages": HELLO}
    old = await client.chat.completions.create(**asked, max_tokens=5)
    new = await client.chat.completions.create(**asked, max_completion_tokens=5)
    assert old.choices[0].finish_reason == new.choices[0].finish_reason == "length"
    assert old.usage is not None
    assert old.usage.completion_tokens <= 5


async def test_a_tool_of_the_request_is_called_and_its_result_is_told(client: AsyncOpenAI) -> None:
    asked: Any = {"model": "gpt-4o", "tools": [WEATHER]}
    first = await client.chat.completions.create(messages=[IN_KYOTO], **asked)
    call: Any = (first.choices[0].message.tool_calls or [])[0]
    assert first.choices[0].finish_reason == "tool_calls"
    assert (call.function.name, json.loads(call.function.arguments)) == ("get_weather", {"city": "Kyoto"})
    result: Any = {
        "role": "tool",
        "tool_call_id": call.id,
        "content": json.dumps({"city": "Kyoto", "weather": "rain", "temperature": 12}),
    }
    said: Any = first.choices[0].message.model_dump(exclude_none=True)
    second = await client.chat.completions.create(messages=[IN_KYOTO, said, result], **asked)
    assert second.choices[0].finish_reason == "stop"
    assert "12" in (second.choices[0].message.content or "")


async def test_a_call_is_streamed_by_its_name_first_then_its_arguments(client: AsyncOpenAI) -> None:
    pieces: list[Any] = [
        call
        async for chunk in await client.chat.completions.create(
            model="gpt-4o", messages=[IN_KYOTO], tools=[WEATHER], stream=True
        )
        for call in chunk.choices[0].delta.tool_calls or ()
    ]
    assert (pieces[0].function.name, pieces[0].function.arguments) == ("get_weather", "")
    assert all(piece.id is None for piece in pieces[1:])
    assert json.loads("".join(piece.function.arguments for piece in pieces)) == {"city": "Kyoto"}


@pytest.mark.parametrize(("choice", "calls"), [("none", 0), ("required", 1)])
async def test_whether_tools_are_called_is_the_clients_choice(
    client: AsyncOpenAI, choice: Any, calls: int
) -> None:
    answer = await client.chat.completions.create(
        model="gpt-4o", messages=[IN_KYOTO], tools=[WEATHER], tool_choice=choice
    )
    assert len(answer.choices[0].message.tool_calls or ()) == calls


async def test_no_tool_of_an_agent_runs_for_who_names_it_as_the_model(client: AsyncOpenAI) -> None:
    ask: Any = {"role": "user", "content": "店舗の一覧を教えてください。"}
    answer = await client.chat.completions.create(model="rentacar", messages=[ask])
    assert answer.model == "rentacar"
    assert not answer.choices[0].message.tool_calls
    assert "東京駅前" not in (answer.choices[0].message.content or "")


# --- what is refused ---------------------------------------------------------------------------------


REFUSED: Any = (
    ({"n": 2}, "n"),
    ({"response_format": {"type": "json_object"}}, "response_format"),
    ({"stop": ["\n"]}, "stop"),
    ({"logprobs": True}, "logprobs"),
    ({"messages": []}, "messages"),
    ({"messages": "hello"}, "messages"),
    ({"messages": [{"role": "tool", "tool_call_id": "call_1", "content": "x"}]}, "messages[0]"),
    (
        {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x"}}]}]},
        "messages[0].content",
    ),
    ({"tools": [{"type": "web_search"}]}, "tools[0]"),
    ({"tools": [WEATHER], "tool_choice": {"type": "function", "function": {"name": "x"}}}, "tool_choice"),
    ({"tool_choice": "required"}, "tool_choice"),
    ({"max_tokens": 0}, "max_tokens"),
    ({"functions": [{"name": "old"}]}, "functions"),
    ({"messages": [*HELLO] * 600}, "messages"),
    ({"tools": [{"type": "function", "function": {"name": ""}}]}, "tools[0]"),
)


@pytest.mark.parametrize("stream", [False, True])
async def test_what_cannot_be_honoured_is_refused_by_its_name(client: AsyncOpenAI, stream: bool) -> None:
    asked: Any = {"model": "gpt-4o", "messages": HELLO, "stream": stream}
    for wrong, param in REFUSED:
        with pytest.raises(BadRequestError) as refused:
            await client.chat.completions.create(**(asked | wrong))
        assert refused.value.param == param, wrong


async def test_a_call_without_its_result_is_refused(client: AsyncOpenAI) -> None:
    made: Any = {
        "role": "assistant",
        "tool_calls": [{"id": "call_9", "type": "function", "function": {"name": "x", "arguments": "{}"}}],
    }
    for behind in ([], HELLO):
        with pytest.raises(BadRequestError, match="call_9"):
            await client.chat.completions.create(model="gpt-4o", messages=[*HELLO, made, *behind])


async def test_what_makes_no_difference_is_let_pass(client: AsyncOpenAI) -> None:
    asked: Any = {"temperature": 0.2, "seed": 7, "user": "u", "logit_bias": {}, "stop": None, "n": 1}
    await client.chat.completions.create(
        model="gpt-4o", messages=HELLO, response_format={"type": "text"}, **asked
    )


async def test_the_houses_key_is_asked_for(address: str) -> None:
    async with AsyncOpenAI(api_key="wrong", base_url=f"{address}/v1", max_retries=0) as client:
        with pytest.raises(AuthenticationError):
            await client.chat.completions.create(model="gpt-4o", messages=HELLO)
        with pytest.raises(AuthenticationError):
            await client.embeddings.create(model="kaiwa-hash-embedding", input="x")


# --- responses ---------------------------------------------------------------------------------------


async def test_a_response_is_given_whole_and_streamed(client: AsyncOpenAI) -> None:
    whole = await client.responses.create(model="gpt-4o", input="Who are you?", instructions="Be brief.")
    async with client.responses.stream(
        model="gpt-4o", input="Who are you?", instructions="Be brief."
    ) as stream:
        events = [event async for event in stream]
        final = await stream.get_final_response()
    assert (whole.status, whole.instructions, whole.model) == ("completed", "Be brief.", "kaiwa-local")
    assert whole.output_text == final.output_text != ""
    assert whole.usage == final.usage
    assert [event.sequence_number for event in events] == list(range(len(events)))
    assert [events[0].type, events[-1].type] == ["response.created", "response.completed"]


async def test_a_response_calls_a_tool_and_takes_its_output(client: AsyncOpenAI) -> None:
    asked: Any = {"model": "gpt-4o", "tools": [WEATHER_OF_RESPONSES]}
    first = await client.responses.create(input=[IN_KYOTO], **asked)
    call: Any = first.output[-1]
    assert (call.type, call.name, json.loads(call.arguments)) == (
        "function_call",
        "get_weather",
        {"city": "Kyoto"},
    )
    weather = json.dumps({"city": "Kyoto", "weather": "rain", "temperature": 12})
    output: Any = {"type": "function_call_output", "call_id": call.call_id, "output": weather}
    said: Any = [item.model_dump() for item in first.output]
    second = await client.responses.create(input=[IN_KYOTO, *said, output], **asked)
    assert "12" in second.output_text


async def test_a_response_that_is_cut_is_incomplete(client: AsyncOpenAI) -> None:
    cut = await client.responses.create(model="gpt-4o", input="Who are you?", max_output_tokens=5)
    assert cut.status == "incomplete"
    assert cut.incomplete_details is not None
    assert cut.incomplete_details.reason == "max_output_tokens"


async def test_what_a_response_cannot_do_is_refused_by_its_name(client: AsyncOpenAI) -> None:
    asked: Any = {"model": "gpt-4o", "input": "hi"}
    for wrong, param in REFUSED_OF_RESPONSES:
        with pytest.raises(BadRequestError) as refused:
            await client.responses.create(**(asked | wrong))
        assert refused.value.param == param, wrong


REFUSED_OF_RESPONSES: Any = (
    ({"previous_response_id": "resp_1"}, "previous_response_id"),
    ({"background": True}, "background"),
    ({"text": {"format": {"type": "json_object"}}}, "text.format"),
    ({"input": [{"type": "item_reference", "id": "x"}]}, "input[0].type"),
    (
        {"input": [{"role": "user", "content": [{"type": "input_image", "image_url": "x"}]}]},
        "input[0].content",
    ),
    ({"tools": [{"type": "file_search", "vector_store_ids": []}]}, "tools[0]"),
)


# --- embeddings --------------------------------------------------------------------------------------


async def test_texts_are_embedded_in_both_forms_and_any_size(client: AsyncOpenAI) -> None:
    model = "kaiwa-hash-embedding"
    packed = await client.embeddings.create(model=model, input=["京都の天気", "rent a car"])
    listed = await client.embeddings.create(model=model, input="京都の天気", encoding_format="float")
    small = await client.embeddings.create(model=model, input="京都の天気", dimensions=64)
    assert len(packed.data) == 2
    assert packed.data[0].embedding == pytest.approx(listed.data[0].embedding, abs=1e-6)
    assert (len(listed.data[0].embedding), len(small.data[0].embedding)) == (512, 64)
    assert sum(value * value for value in listed.data[0].embedding) == pytest.approx(1)


async def test_another_embedding_model_is_not_pretended_to_be_here(client: AsyncOpenAI) -> None:
    with pytest.raises(NotFoundError, match="KAIWA_UPSTREAMS"):
        await client.embeddings.create(model="text-embedding-3-small", input="x")


async def test_tokens_instead_of_words_are_refused(client: AsyncOpenAI) -> None:
    with pytest.raises(BadRequestError):
        await client.embeddings.create(model="kaiwa-hash-embedding", input=[1, 2, 3])
    with pytest.raises(BadRequestError, match="2048"):
        await client.embeddings.create(model="kaiwa-hash-embedding", input=["x"] * 2049)
    with pytest.raises(BadRequestError, match="characters"):
        await client.embeddings.create(model="kaiwa-hash-embedding", input="x" * 300_001)
