"""Conversations of the house over the pool of deployments: pieces, failover, refusals, and leaving at once."""

from __future__ import annotations

import asyncio
import itertools
import json
from contextlib import aclosing
from typing import Any

import pytest
from tests.gateway.raw_upstream import CUT, END, sized
from tests.gateway.relaying import ANSWER, DONE, FINISH, HELLO, USAGE, Relay, event, relay, streamed, text

from kaiwa.errors import UpstreamError
from kaiwa.gateway.completions import PooledCompletions
from kaiwa.upstream.chunks import Chunk

BODY = {"messages": [{"role": "user", "content": "hi"}]}


def completions(house: Relay) -> PooledCompletions:
    numbers = itertools.count(1)
    return PooledCompletions(house.gateway, "m", lambda kind: f"{kind}_{next(numbers)}")


def words(chunks: list[Chunk]) -> str:
    deltas = (choice.delta for chunk in chunks for choice in chunk.choices or ())
    return "".join(delta.content or "" for delta in deltas if delta is not None)


async def read(house: Relay, body: dict[str, Any] = BODY) -> list[Chunk]:
    async with asyncio.timeout(20):
        return [chunk async for chunk in completions(house).stream(body)]


async def test_an_answer_comes_in_chunks_with_its_usage() -> None:
    async with relay([[*streamed(HELLO, event(USAGE), DONE), END]]) as house:
        chunks = await read(house)
        asked = json.loads((await house.upstreams[0].request()).body)
    assert words(chunks) == "こんにちは"
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.completion_tokens == 3
    assert asked == {**BODY, "model": "m", "stream": True, "stream_options": {"include_usage": True}}


async def test_a_deployment_that_fails_before_a_word_is_replaced_by_the_next() -> None:
    broken = sized(b'{"error":{"code":"server_error"}}', "500 Internal Server Error")
    async with relay([[broken]], [ANSWER]) as house:
        assert words(await read(house)) == "こんにちは"


@pytest.mark.parametrize(
    ("script", "code"),
    [
        ([sized(b'{"error":{"code":"content_filter"}}', "400 Bad Request")], "content_filter"),
        ([sized(b"{}", "401 Unauthorized")], "upstream_unauthorized"),
        ([sized(b"{}", "429 Too Many Requests", "retry-after: 7")], "rate_limit_exceeded"),
        ([*streamed(event(text("途中"))), CUT], "upstream_failed"),
    ],
)
async def test_what_goes_wrong_is_told_in_our_words(script: list[Any], code: str) -> None:
    async with relay([script]) as house:
        with pytest.raises(UpstreamError) as error:
            await read(house)
    assert error.value.code == code


async def test_who_stops_listening_ends_the_request_at_once() -> None:
    never = asyncio.Event()
    async with relay([[*streamed(event(text("長"))), never, *streamed(event(FINISH), DONE), END]]) as house:
        async with asyncio.timeout(20), aclosing(completions(house).stream(BODY)) as chunks:
            assert words([await anext(chunks)]) == "長"
        async with asyncio.timeout(20):
            await (await house.upstreams[0].request()).gone.wait()
        assert house.gateway.pool.leases == 0


@pytest.mark.parametrize(
    ("kind", "field"), [("compatible", "max_tokens"), ("openai", "max_completion_tokens")]
)
async def test_the_longest_answer_is_named_as_the_deployments_know_it(kind: str, field: str) -> None:
    async with relay([ANSWER], kind=kind) as house:
        assert completions(house).limit_field == field
