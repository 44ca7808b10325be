"""What goes wrong with the stand-in's chat: each fault as a client on a plain socket finds it."""

from __future__ import annotations

import asyncio
import gzip
import json
import re
import time
from email.utils import parsedate_to_datetime
from typing import Any

import aiohttp
import pytest
from openai import APIConnectionError, APIError, AsyncAzureOpenAI, RateLimitError

from kaiwa.testing.service import Faults, Habits, Service, running_service
from kaiwa.testing.service.faults import parse_faults

PATH = "/openai/deployments/chat/chat/completions?api-version=2024-10-21"
ASKING: Any = {"messages": [{"role": "user", "content": "one two three"}], "stream": True}
SAYING_HI: Any = {"model": "chat", "messages": [{"role": "user", "content": "hi"}]}
ENDED = b"0\r\n\r\n"


def azure(service: Service) -> AsyncAzureOpenAI:
    return AsyncAzureOpenAI(
        azure_endpoint=service.url, api_key=service.key, api_version="2024-10-21", max_retries=0
    )


async def asking(service: Service, faults: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Send a request with these faults in its header."""
    body = json.dumps(ASKING).encode()
    head = (
        f"POST {PATH} HTTP/1.1\r\nhost: x\r\nconnection: close\r\napi-key: {service.key}\r\n"
        f"x-emulate-faults: {faults}\r\ncontent-length: {len(body)}\r\n\r\n"
    )
    reader, writer = await asyncio.open_connection(*service.url.removeprefix("http://").split(":"))
    writer.write(head.encode() + body)
    return reader, writer


async def received(service: Service, faults: str) -> bytes:
    """Return all bytes of the answer until the connection is closed."""
    reader, writer = await asking(service, faults)
    try:
        async with asyncio.timeout(20):
            return await reader.read(-1)
    finally:
        writer.close()


async def test_an_answer_is_cut_after_a_piece_without_a_proper_end(service: Service) -> None:
    answer = await received(service, "close_after=delta.2")
    assert b'"content":"two "' in answer
    assert b'"content":"three"' not in answer
    assert not answer.endswith(ENDED)
    assert service.chat.ends == {"broken": 1}


async def test_an_answer_is_cut_in_the_middle_of_an_event(service: Service) -> None:
    answer = await received(service, "cut_in=delta.2")
    last = answer[answer.rindex(b"data: ") :]
    assert b"\n\n" not in last
    assert len(last) > 20


async def test_an_answer_ends_properly_but_without_done(service: Service) -> None:
    answer = await received(service, "end_after=delta.2")
    assert answer.endswith(ENDED)
    assert b"[DONE]" not in answer
    assert b'finish_reason":"stop' not in answer


@pytest.mark.parametrize("place", ["prompt_filter", "role", "delta.2"])
async def test_an_error_comes_inside_a_200(service: Service, place: str) -> None:
    answer = await received(service, f"error_after={place}")
    assert answer.startswith(b"HTTP/1.1 200 OK")
    assert answer.endswith(ENDED)
    assert b'data: {"error":{"message"' in answer
    assert answer.count(b'"content":"t') == (1 if place == "delta.2" else 0)


async def test_the_script_can_fail_inside_a_stream_and_before_it(service: Service) -> None:
    async with azure(service) as client:
        asked: Any = {"model": "chat", "messages": [{"role": "user", "content": "fail overloaded"}]}
        with pytest.raises(APIError) as inside:
            _ = [chunk async for chunk in await client.chat.completions.create(**asked, stream=True)]
        with pytest.raises(APIError) as before:
            await client.chat.completions.create(**asked)
    assert inside.value.code == before.value.code == "overloaded"


async def test_garbage_and_an_unknown_event_are_put_in_once(service: Service) -> None:
    answer = await received(service, "malformed_after=delta,unknown_after=delta.*")
    assert answer.count(b'data: {"choices":[{"delta":{"content":"\n\n') == 1
    assert answer.count(b"stand_in.nobody_knows") == 1
    assert b"[DONE]" in answer


@pytest.mark.parametrize("place", ["request", "head", "delta.2"])
async def test_a_connection_is_reset(service: Service, place: str) -> None:
    with pytest.raises(ConnectionResetError):
        await received(service, f"reset_after={place},late_ms=30")


async def test_a_connection_is_closed_before_the_head(service: Service) -> None:
    assert await received(service, "close_after=request") == b""


async def test_a_stream_stalls_until_its_client_leaves(service: Service) -> None:
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.3):
            await received(service, "freeze_after=delta.1")
    record = service.chat.streams[-1]
    async with asyncio.timeout(20):
        await record.ended.wait()
    assert (record.end, record.pieces) == ("left", 1)


async def test_a_stalled_stream_does_not_hold_up_the_end_of_the_stand_in() -> None:
    async with running_service() as service, aiohttp.ClientSession() as http:
        headers = {"api-key": service.key, "x-emulate-faults": "freeze_after=delta.1"}
        answer = await http.post(service.url + PATH, json=ASKING, headers=headers)
        began = time.monotonic()
    assert time.monotonic() - began < 2
    assert service.chat.streams[-1].end in ("left", "stopped")
    answer.close()


async def test_a_slow_first_token_comes_after_the_head(service: Service) -> None:
    body = json.dumps(ASKING).encode()
    async with aiohttp.ClientSession() as http:
        headers = {"api-key": service.key, "x-emulate-faults": "first_token_s=0.3"}
        began = time.monotonic()
        async with http.post(service.url + PATH, data=body, headers=headers) as answer:
            head_s = time.monotonic() - began
            seen = b""
            while b'"content":"one "' not in seen:
                seen += await answer.content.readany()
            token_s = time.monotonic() - began
    assert head_s < 0.25
    assert 0.29 < token_s < 2


@pytest.mark.parametrize("framing", ["chunked", "content-length", "close", "gzip"])
async def test_a_body_may_be_framed_in_every_way(service: Service, framing: str) -> None:
    answer = await received(service, f"framing={framing}")
    head, _, body = answer.partition(b"\r\n\r\n")
    if framing == "content-length":
        assert f"content-length: {len(body)}".encode() in head
    elif framing == "gzip":
        assert b"content-encoding: gzip" in head
        body = gzip.decompress(unchunked(body))
    assert body.count(b"[DONE]") == 1
    assert service.chat.ends == {"done": 1}


def unchunked(body: bytes) -> bytes:
    found = b""
    while not body.startswith(b"0\r\n"):
        size, _, body = body.partition(b"\r\n")
        found, body = found + body[: int(size, 16)], body[int(size, 16) + 2 :]
    return found


async def test_the_head_and_the_body_come_in_fragments_and_are_the_same() -> None:
    async with running_service(seed=1) as service:
        whole = b"".join(await read_one_by_one(service, ""))
    async with running_service(seed=1) as service:
        parts = await read_one_by_one(service, "head_parts=3,fragment_bytes=100")
    assert len(parts) > 10
    assert b"\r\n\r\n" not in parts[0]
    assert without_moment(b"".join(parts)) == without_moment(whole)


def without_moment(answer: bytes) -> bytes:
    return re.sub(rb'"created":\d+', b"", answer)


async def read_one_by_one(service: Service, faults: str) -> list[bytes]:
    """Return what each read of the socket gave."""
    reader, writer = await asking(service, faults)
    parts: list[bytes] = []
    try:
        async with asyncio.timeout(20):
            while part := await reader.read(65536):
                parts.append(part)
    finally:
        writer.close()
    return parts


@pytest.mark.parametrize(
    ("form", "header"), [("seconds", "retry-after"), ("ms", "retry-after-ms"), ("date", "retry-after")]
)
async def test_a_refusal_tells_when_to_come_again_in_every_form(
    service: Service, form: str, header: str
) -> None:
    service.faults = parse_faults(f"http_status=429,retry_after_s=86400,retry_after_form={form},times=1")
    async with azure(service) as client:
        with pytest.raises(RateLimitError) as refused:
            await client.chat.completions.create(**SAYING_HI)
        await client.chat.completions.create(**SAYING_HI)  # once only
    told = refused.value.response.headers[header]
    if form == "date":
        assert 86_300 < parsedate_to_datetime(told).timestamp() - time.time() < 86_401
    else:
        assert told == {"seconds": "86400", "ms": "86400000"}[form]


async def test_the_prompts_filter_says_what_struck(service: Service) -> None:
    answer = await received(service, "http_status=400")
    error = json.loads(answer.partition(b"\r\n\r\n")[2])["error"]
    assert (error["code"], error["param"], error["status"]) == ("content_filter", "prompt", 400)
    assert error["innererror"]["code"] == "ResponsibleAIPolicyViolation"
    assert error["innererror"]["content_filter_result"]["violence"]["filtered"] is True


async def test_faults_of_one_deployment_leave_the_others_alone() -> None:
    async with running_service(chat_models={"a": "gpt-4o", "b": "gpt-4o"}) as service:
        service.strike("a", Faults(http_status=503, times=2))
        paths = [
            PATH.replace("/chat/chat", f"/{name}/chat") for name in ("a", "b", "a", "a", "b@http_status=500")
        ]
        statuses = [(await asked(service, path)) for path in paths]
    assert statuses == [503, 200, 503, 200, 500]
    assert service.chat.requests == {"a": 3, "b": 2}


async def asked(service: Service, path: str) -> int:
    headers = {"api-key": service.key}
    async with (
        aiohttp.ClientSession() as http,
        http.post(service.url + path, json=ASKING, headers=headers) as answer,
    ):
        await answer.read()
        return answer.status


async def test_a_broken_stream_is_an_error_to_the_stock_client() -> None:
    faults = Faults(close_after="delta.2", late_ms=5)
    async with (
        running_service(faults=faults, habits=Habits(chunks=20)) as service,
        azure(service) as client,
    ):
        with pytest.raises(APIConnectionError):
            _ = [chunk async for chunk in await client.chat.completions.create(**SAYING_HI, stream=True)]
