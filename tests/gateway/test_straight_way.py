"""The straight way: a known head, a kept connection, no task. It ends where the long way would."""

from __future__ import annotations

import asyncio
import gc
import sys
import time
from pathlib import Path
from types import FrameType
from typing import Self

import pytest
from tests.gateway.raw_upstream import CUT, END, chunk, raw_upstream, sized
from tests.gateway.relaying import ANSWER, ASKED, DONE, FINISH, HELLO, Caller, event, relay, streamed, text
from tests.gateway.test_at_the_house import house

from kaiwa.gateway.stream import Rules
from kaiwa.policy.keys import KeyStore
from kaiwa.server.direct import DirectConnection
from kaiwa.server.plain import KnownHeads, Plain
from kaiwa.server.reception import BELIEVED_S
from kaiwa.upstream.http1.connection import Connection

PATH = "/v1/chat/completions"
WORDS = HELLO + DONE
# Python calls of one request: its reading and the question, and then its first words. A guard, no aim.
MOST_CALLS = 185
MOST_CALLS_A_PIECE = 4


async def test_requests_with_a_known_head_are_answered_as_the_first_was():
    async with relay([ANSWER]) as running, running.caller() as caller:
        for words in ("a", "b" * 200, "c"):
            asked = {**ASKED, "messages": [{"role": "user", "content": words}]}
            await caller.ask(PATH, asked, {"content-type": "application/json"})
            assert (await caller.answer()).body == WORDS
            assert words.encode() in running.upstreams[0].asked[-1].body
        assert running.upstreams[0].connections == 1


@pytest.mark.parametrize("cut_at", [1, 30, -1, -100, -129])
async def test_a_known_head_may_come_in_pieces(cut_at: int):
    async with relay([ANSWER]) as running, running.caller() as caller:
        await caller.ask(PATH, ASKED)
        assert (await caller.answer()).body == WORDS
        pieces: list[bytes] = []
        writer, caller.writer = caller.writer, _Kept(pieces)  # type: ignore[assignment]
        await caller.ask(PATH, ASKED)
        (request,) = pieces
        for piece in (request[:cut_at], request[cut_at:]):
            writer.write(piece)
            await asyncio.sleep(0.01)  # so that they come apart; together they mean the same
        assert (await caller.answer()).body == WORDS
        assert len(running.upstreams[0].asked) == 2


class _Kept:
    def __init__(self, pieces: list[bytes]) -> None:
        self.write = pieces.append

    async def drain(self) -> None:
        """Nothing is sent."""


async def test_a_request_behind_another_waits_for_its_turn():
    async with relay([ANSWER]) as running, running.caller() as caller:
        for _ in range(3):
            await caller.ask(PATH, ASKED)
        assert [(await caller.answer()).body for _ in range(3)] == [WORDS] * 3


async def test_another_head_on_the_same_connection_is_read():
    async with relay([ANSWER]) as running, running.caller() as caller:
        await caller.ask(PATH, ASKED)
        assert (await caller.answer()).body == WORDS
        await caller.ask(PATH, ASKED, {"x-kaiwa-resumable": "1"})
        assert b"id: str_" in (await caller.answer()).body
        await caller.ask(PATH, b"{}")
        assert (await caller.head())[0] != 200


async def test_a_kept_connection_that_closes_unanswered_is_replaced():
    async with relay([[CUT], ANSWER]) as running:
        assert (await running.post()).body == WORDS
        assert running.upstreams[0].connections == 2
        assert running.gateway.pool.leases == 0


@pytest.mark.parametrize(
    "refusal",
    [
        [sized(b"{}", "500 Internal Server Error")],
        [*streamed(event({"error": {"code": "server_error"}})), END],
        [*streamed(event({"choices": []})), CUT],
        [b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 1\r\n\r\nx"],
        [b"nothing of HTTP\r\n\r\n"],
    ],
)
async def test_what_is_no_answer_is_made_good_by_another_deployment(refusal: list[bytes | str]):
    async with relay([refusal], [ANSWER]) as running:
        answer = await running.post()
        assert (answer.body, answer.headers["server-timing"][-1]) == (WORDS, '"')
        assert 'desc="2"' in answer.headers["server-timing"]
        assert await running.ended() == {"completed": 1}
        assert running.gateway.pool.leases == 0


async def test_a_client_that_leaves_while_its_attempt_falters_leaves_nothing_behind():
    never = asyncio.Event()
    async with relay([[*streamed(event({"choices": []})), never]]) as running:
        async with running.caller() as caller:
            await caller.ask(PATH, ASKED)
            asked = await running.upstreams[0].request()
            caller.leave()
        async with asyncio.timeout(20):
            await asked.gone.wait()
        assert await running.ended() == {"client_left": 1}
        assert running.gateway.pool.leases == 0


async def test_a_key_that_was_revoked_opens_nothing_once_its_head_is_believed_no_longer(tmp_path: Path):
    store = KeyStore(tmp_path / "keys.json")
    key, record = store.create(time.time(), label="a")
    async with raw_upstream(ANSWER) as upstream:
        entry = {"base_url": f"http://127.0.0.1:{upstream.port}/v1", "api_key": "k", "models": ["m"]}
        async with house(tmp_path, [entry], keys=tmp_path / "keys.json") as server:
            host, port = server.addresses[0].removeprefix("http://").split(":")
            reader, writer = await asyncio.open_connection(host, int(port))
            caller = Caller(reader, writer)
            for _ in range(3):
                await caller.ask(PATH, ASKED, {"api-key": key})
                assert (await caller.answer()).body == WORDS
            store.revoke(record.id, time.time())
            await asyncio.sleep(BELIEVED_S)
            await caller.ask(PATH, ASKED, {"api-key": key})
            assert (await caller.answer()).status == 401
            writer.close()


@pytest.mark.parametrize("head", ["no head", "a head"])
async def test_who_says_nothing_within_the_first_token_time_has_another_asked(head: str):
    silence: list[bytes | str | asyncio.Event] = [asyncio.Event()]
    if head == "a head":
        silence = [*streamed(event({"choices": []})), asyncio.Event()]
    rules = Rules(first_token_s=0.1)  # it begins with the question
    async with relay([silence], [ANSWER], rules=rules) as running:
        answer = await running.post()
        assert (answer.body, running.gateway.pool.leases) == (WORDS, 0)
        assert 'desc="2"' in answer.headers["server-timing"]


async def test_a_head_is_told_to_the_pool_while_its_words_take_their_time():
    going = asyncio.Event()
    head = b"HTTP/1.1 200 OK\r\nx-ratelimit-remaining-tokens: 7\r\ntransfer-encoding: chunked\r\n\r\n"
    script = [head, going, chunk(event(text("a"), FINISH)), chunk(DONE) + END]
    async with relay([script]) as running, running.caller() as caller:
        await caller.ask(PATH, ASKED)
        (member,) = running.gateway.pool.members
        async with asyncio.timeout(20):
            while not member.told:  # noqa: ASYNC110 the pool tells nobody
                await asyncio.sleep(0.005)
        going.set()
        assert (await caller.answer()).whole


def test_only_whole_requests_of_one_head_are_learned():
    plain = Plain("chat/completions", None, (), (), None, False)
    heads, head = KnownHeads(), b"POST /v1 HTTP/1.1\r\nContent-Length: %d\r\nx: y\r\n\r\n"
    for strange in (head % 3 + b"ab", head % 1 + b"ab", b"POST /v1 HTTP/1.1\r\nx: y\r\n\r\n", head[:30]):
        assert heads.learn(strange, plain) is None
    known = heads.learn(head % 2 + b"ab", plain)
    assert known is not None
    assert heads.find(head % 777) is known
    assert known.body_of(head % 777) == (len(head % 777), 777)
    assert known.body_of((head % 2).replace(b"2", b"+2")) is None
    assert heads.find((head % 2).replace(b"x: y", b"x: z")) is None


class _Calls:
    """Counts the Python calls within the callbacks that read a socket, without those of the garbage collector."""

    def __init__(self) -> None:
        self.number = self._within = 0

    def __enter__(self) -> Self:
        gc.disable()
        sys.setprofile(self._count)
        return self

    def __exit__(self, *_: object) -> None:
        sys.setprofile(None)
        gc.enable()

    def _count(self, frame: FrameType, kind: str, _: object) -> None:
        reads = frame.f_code in _READS
        if kind == "call" and (self._within or reads):
            self.number += 1
        if reads and kind in ("call", "return"):
            self._within += 1 if kind == "call" else -1


_READS = (DirectConnection.data_received.__code__, Connection.data_received.__code__)


async def test_a_request_takes_few_calls_before_its_first_words():
    """Calls are counted, not seconds: they are the same on a busy machine."""
    going = asyncio.Event()
    script = [*streamed(event(text("a")), going, event(FINISH) + DONE), END]
    async with relay([ANSWER, ANSWER, script]) as running, running.caller() as caller:
        for _ in range(2):
            await caller.ask(PATH, ASKED)
            await caller.answer()
        with _Calls() as calls:
            await caller.ask(PATH, ASKED)
            await caller.head()
            assert await caller.piece() == event(text("a"))
        going.set()
        await caller.piece()
    assert 20 < calls.number < MOST_CALLS


async def test_words_go_from_socket_to_socket_in_few_calls():
    steps = [asyncio.Event() for _ in range(4)]
    words = [event(text(word)) for word in ("a", "b", "c", "d")]
    script = [*streamed(*(one for pair in zip(words, steps, strict=True) for one in pair), DONE), END]
    async with relay([script]) as running, running.caller() as caller:
        await caller.ask(PATH, ASKED)
        await caller.head()
        for word, step in zip(words[:3], steps, strict=False):
            assert await caller.piece() == word
            if word is not words[2]:
                step.set()
        with _Calls() as calls:
            steps[2].set()
            assert await caller.piece() == words[3]
        steps[3].set()
        assert await caller.piece() == DONE
    assert 1 < calls.number <= MOST_CALLS_A_PIECE
