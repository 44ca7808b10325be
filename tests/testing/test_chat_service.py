"""The stand-in's chat as a service: who is let in, what its streams look like, what it remembers."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
from openai import APIStatusError, AsyncAzureOpenAI, AsyncOpenAI

from kaiwa.testing.service import Habits, Service, running_service

CLASSIC = "/openai/deployments/chat/chat/completions?api-version=2024-10-21"
ASKING: Any = {"model": "chat", "messages": [{"role": "user", "content": "one two three"}]}


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=10)) as client:
        yield client


async def events_of(
    http: aiohttp.ClientSession, service: Service, path: str = CLASSIC, **body: Any
) -> list[Any]:
    headers = {"api-key": service.key, "Authorization": f"Bearer {service.key}"}
    if path == CLASSIC:
        del headers["Authorization"]
    asking = ASKING | {"stream": True} | body
    async with http.post(service.url + path, json=asking, headers=headers) as answer:
        assert answer.status == 200
        assert answer.headers["content-type"].startswith("text/event-stream")
        text = await answer.text()
    datas = [line.removeprefix("data: ") for line in text.split("\n") if line.startswith("data: ")]
    return [data if data == "[DONE]" else json.loads(data) for data in datas]


def azure(service: Service, **options: Any) -> AsyncAzureOpenAI:
    usual: Any = {"azure_endpoint": service.url, "api_version": "2024-10-21", "max_retries": 0}
    return AsyncAzureOpenAI(**(usual | {"api_key": service.key} | options))


async def test_a_stream_at_azure_has_its_filters_role_pieces_usage_and_end(
    service: Service, http: aiohttp.ClientSession
) -> None:
    events = await events_of(http, service, stream_options={"include_usage": True})
    prompt, role, one, two, three, finish, usage, done = events
    assert prompt["choices"] == []
    assert prompt["prompt_filter_results"][0]["content_filter_results"]["jailbreak"]["detected"] is False
    assert role["choices"][0]["delta"] == {"role": "assistant", "content": "", "refusal": None}
    assert [e["choices"][0]["delta"]["content"] for e in (one, two, three)] == ["one ", "two ", "three"]
    assert one["choices"][0]["content_filter_results"]["hate"] == {"filtered": False, "severity": "safe"}
    assert (one["usage"], finish["choices"][0]["finish_reason"]) == (None, "stop")
    assert (usage["choices"], usage["usage"]["completion_tokens"]) == ([], 3)
    assert done == "[DONE]"


async def test_a_stream_at_openai_has_no_filters_and_no_usage_unasked(
    service: Service, http: aiohttp.ClientSession
) -> None:
    role, *_, finish, done = await events_of(http, service, "/v1/chat/completions")
    assert "content_filter_results" not in role["choices"][0]
    assert "usage" not in role
    assert (finish["choices"][0]["finish_reason"], done) == ("stop", "[DONE]")


async def test_the_asynchronous_filter_judges_in_chunks_without_a_delta(http: aiohttp.ClientSession) -> None:
    async with running_service(habits=Habits(asynchronous_filter=True)) as service:
        events = await events_of(http, service)
    verdicts = [e for e in events if e != "[DONE]" and e["choices"] and "delta" not in e["choices"][0]]
    assert verdicts[-1]["choices"][0]["content_filter_offsets"]["end_offset"] == len("one two three")
    assert "content_filter_results" not in events[2]["choices"][0]


@pytest.mark.parametrize(
    ("words", "limit", "finish"),
    [
        ("hello", None, "stop"),
        ("one two three", 2, "length"),
        ("call weather {}", None, "tool_calls"),
        ("fail content_filter", None, "content_filter"),
    ],
)
async def test_an_answer_ends_for_the_scripts_reason(
    service: Service, words: str, limit: int | None, finish: str
) -> None:
    async with azure(service) as client:
        asked: Any = {"model": "chat", "messages": [{"role": "user", "content": words}], "max_tokens": limit}
        whole = await client.chat.completions.create(**asked)
        chunks = [chunk async for chunk in await client.chat.completions.create(**asked, stream=True)]
    assert whole.choices[0].finish_reason == chunks[-1].choices[0].finish_reason == finish


async def test_a_call_comes_in_pieces_and_its_output_is_answered(service: Service) -> None:
    async with azure(service) as client:
        ask: Any = {"role": "user", "content": 'call weather {"town": "Kyoto"}'}
        pieces = [
            call
            async for chunk in await client.chat.completions.create(model="chat", messages=[ask], stream=True)
            if chunk.choices
            for call in chunk.choices[0].delta.tool_calls or ()
        ]
        call_id = pieces[0].id
        assert [piece.id for piece in pieces[1:]] == [None, None]
        arguments = "".join(piece.function.arguments or "" for piece in pieces if piece.function)
        assert json.loads(arguments) == {"town": "Kyoto"}
        result: Any = {"role": "tool", "tool_call_id": call_id, "content": "sunny"}
        answer = await client.chat.completions.create(model="chat", messages=[ask, result])
    assert answer.choices[0].message.content == "The tool said: sunny"


# --- the door --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "headers", "status", "code"),
    [
        (CLASSIC, {}, 401, "401"),
        (CLASSIC, {"api-key": "wrong"}, 401, "401"),
        (CLASSIC, {"Authorization": "Bearer key-of-the-stand-in"}, 401, "401"),
        (CLASSIC.partition("?")[0], {"api-key": "key-of-the-stand-in"}, 404, "404"),
        (
            CLASSIC.replace("chat/", "nobody/", 1),
            {"api-key": "key-of-the-stand-in"},
            404,
            "DeploymentNotFound",
        ),
        (
            "/openai/v1/chat/completions?api-version=2024-10-21",
            {"api-key": "key-of-the-stand-in"},
            400,
            "BadRequest",
        ),
        ("/v1/chat/completions", {"api-key": "key-of-the-stand-in"}, 401, "invalid_api_key"),
    ],
)
async def test_who_may_not_come_in_is_told_why_as_the_service_tells_it(
    service: Service, http: aiohttp.ClientSession, path: str, headers: Any, status: int, code: str
) -> None:
    async with http.post(service.url + path, json=ASKING, headers=headers) as answer:
        assert (answer.status, (await answer.json())["error"]["code"]) == (status, code)
        assert "x-request-id" in answer.headers


@pytest.mark.parametrize(
    "path", [CLASSIC, "/openai/v1/chat/completions", "/openai/v1/chat/completions?api-version=preview"]
)
async def test_a_token_of_entra_id_is_a_key_at_azure(
    service: Service, http: aiohttp.ClientSession, path: str
) -> None:
    headers = {"Authorization": f"Bearer {service.entra_tokens[0]}"}
    async with http.post(service.url + path, json=ASKING, headers=headers) as answer:
        assert answer.status == 200
        assert (await answer.json())["model"] == "gpt-4o"


async def test_an_old_api_version_does_not_know_stream_options(service: Service) -> None:
    async with azure(service, api_version="2024-02-15-preview") as client:
        asked: Any = ASKING | {"stream": True, "stream_options": {"include_usage": True}}
        with pytest.raises(APIStatusError, match="stream_options") as refused:
            await client.chat.completions.create(**asked)
    assert refused.value.status_code == 400


async def test_headers_tell_what_is_left(http: aiohttp.ClientSession) -> None:
    habits = Habits(utilization=87.5, remaining_tokens=12)
    async with (
        running_service(habits=habits) as service,
        http.post(service.url + CLASSIC, json=ASKING, headers={"api-key": service.key}) as answer,
    ):
        told = answer.headers
    assert told["azure-openai-deployment-utilization"] == "87.5%"
    assert (told["x-ratelimit-limit-tokens"], told["x-ratelimit-remaining-tokens"]) == ("1000000", "12")
    assert told["apim-request-id"]


# --- the other APIs ----------------------------------------------------------------------------------


async def test_responses_are_streamed_with_their_events_and_given_whole(service: Service) -> None:
    async with AsyncOpenAI(base_url=f"{service.url}/openai/v1", api_key=service.key) as client:
        whole = await client.responses.create(model="chat", input="hello there")
        async with client.responses.stream(model="chat", input='call weather {"a": 1}') as stream:
            kinds = [event.type async for event in stream]
            final = await stream.get_final_response()
    assert whole.output_text == "hello there"
    assert kinds[0] == "response.created"
    assert kinds[-1] == "response.completed"
    assert "response.function_call_arguments.delta" in kinds
    call: Any = final.output[0]
    assert (call.name, json.loads(call.arguments)) == ("weather", {"a": 1})


async def test_embeddings_are_the_same_for_the_same_text(service: Service) -> None:
    async with azure(service) as client:
        found = await client.embeddings.create(
            model="text-embedding-3-small", input=["a", "b", "a"], dimensions=64
        )
    one, two, three = (entry.embedding for entry in found.data)
    assert len(one) == 64
    assert one == three != two


async def test_models_of_chat_are_listed_beside_the_others(service: Service) -> None:
    async with AsyncOpenAI(base_url=f"{service.url}/v1", api_key=service.key) as client:
        names = [model.id async for model in client.models.list()]
    assert {"gpt-realtime", "gpt-4o", "text-embedding-3-small"} <= set(names)


# --- pace and memory ---------------------------------------------------------------------------------


async def test_chunks_come_at_the_pace_that_was_set(http: aiohttp.ClientSession) -> None:
    async with running_service(habits=Habits(chunks_per_s=100, chunks=30, chunk_characters=4)) as service:
        began = time.monotonic()
        events = await events_of(http, service)
        took_s = time.monotonic() - began
    words = [e["choices"][0]["delta"].get("content") for e in events[2:-2]]
    assert [len(word) for word in words] == [4] * 30
    assert 0.29 < took_s < 1.5


async def test_a_client_that_leaves_is_noticed_at_once() -> None:
    habits = Habits(chunks_per_s=50, chunks=1000)
    async with running_service(habits=habits) as service, azure(service) as client:
        stream = await client.chat.completions.create(**ASKING, stream=True)
        async for chunk in stream:
            if chunk.choices and chunk.choices[0].delta.content:
                break
        record = service.chat.streams[-1]
        assert service.chat.live == 1
        await stream.close()
        left_at = time.monotonic()
        async with asyncio.timeout(20):
            await record.ended.wait()
    assert record.end == "left"
    assert record.ended_at is not None
    assert record.ended_at - left_at < 0.5
    assert service.chat.cancelled == [record]
    assert 1 <= record.pieces < 50
    assert service.chat.live == 0


async def test_a_kept_connection_serves_one_answer_after_the_other(service: Service) -> None:
    asking = json.dumps(ASKING | {"stream": True}).encode()
    head = f"POST {CLASSIC} HTTP/1.1\r\nhost: x\r\napi-key: {service.key}\r\ncontent-length: {len(asking)}\r\n\r\n"
    reader, writer = await asyncio.open_connection(*service.url.removeprefix("http://").split(":"))
    try:
        for _ in range(3):
            writer.write(head.encode() + asking)
            async with asyncio.timeout(20):
                answer = await reader.readuntil(b"0\r\n\r\n")
            assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
            assert answer.count(b"[DONE]") == 1
    finally:
        writer.close()
    assert service.chat.ends == {"done": 3}


async def test_what_it_saw_can_be_read_over_http(service: Service, http: aiohttp.ClientSession) -> None:
    await events_of(http, service)
    async with http.get(f"{service.url}/emulate/chat") as answer:
        told = await answer.json()
    assert (told["live"], told["ends"], told["requests"]) == (0, {"done": 1}, {"chat": 1})
    assert told["streams"][0]["pieces"] == 3


async def test_habits_can_be_changed_while_it_runs(service: Service, http: aiohttp.ClientSession) -> None:
    async with http.put(f"{service.url}/emulate/habits", json={"chunks": 2}) as answer:
        assert (await answer.json())["chunks"] == 2
    assert len(await events_of(http, service)) == 6
    async with http.put(f"{service.url}/emulate/habits", json={"chunk": 2}) as answer:
        assert answer.status == 400
