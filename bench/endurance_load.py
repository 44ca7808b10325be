"""What an endurance run asks of a server: relayed streams, realtime sessions in sound and text, answers by
server-sent events and by a hub; with faults of the service, and with clients that drop dead.

Every kind is a loop of its own at a steady pace, so the load is the same from the first minute to the last.
What did not end as it should is counted by what was wrong. Knows clients; nothing of what is measured.
"""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Final
from uuid import uuid4

import aiohttp
import msgspec

from bench.gateway_faults import ask
from bench.gateway_load import Door
from bench.gateway_upstream import Wish
from bench.relay import APPEND, APPENDS_PER_DELTA, TICK_S

CHUNKS: Final = 60
PACE_MS: Final = 20
MOST_S: Final = 20.0
SPOKEN: Final = 100
"""Appends of a session in sound: two seconds."""
DROPPED_SHARE: Final = 0.1
STRUCK_SHARE: Final = 0.1
MENDED: Final = ("refused", "failed", "reset", "missing_done")
"""Faults that another deployment makes good."""
_RECORD: Final = "\x1e"


@dataclass
class Load:
    """What came of it: by kind how many, how long until the first word (ms, with the second it was), and what
    went wrong."""

    port: int
    began: float = field(default_factory=time.monotonic)
    done: Counter[str] = field(default_factory=Counter[str])
    dropped: int = 0
    struck: int = 0
    wrong: Counter[str] = field(default_factory=Counter[str])
    waits: dict[str, list[tuple[float, float]]] = field(default_factory=dict[str, list[tuple[float, float]]])
    chance: random.Random = field(default_factory=lambda: random.Random(1))

    def waited(self, kind: str, asked_at: float) -> None:
        now = time.monotonic()
        self.waits.setdefault(kind, []).append((now - self.began, (now - asked_at) * 1000))

    def drops(self) -> bool:
        """Say whether this client is to drop dead in the middle."""
        drops = self.chance.random() < DROPPED_SHARE
        self.dropped += drops
        return drops


Once = Callable[[Load, aiohttp.ClientSession], Awaitable[None]]


async def keep_up(load: Load, once: Once, pause_s: float, until: float) -> None:
    """Do it again and again; a client hangs when it takes MOST_S."""
    async with aiohttp.ClientSession(f"http://127.0.0.1:{load.port}") as web:
        while time.monotonic() < until:
            try:
                async with asyncio.timeout(MOST_S):
                    await once(load, web)
                load.done[once.__name__] += 1
            except TimeoutError:
                load.wrong[f"{once.__name__}: hangs"] += 1
            except (AssertionError, OSError, aiohttp.ClientError) as trouble:
                load.wrong[f"{once.__name__}: {type(trouble).__name__} {str(trouble)[:80]}"] += 1
            await asyncio.sleep(pause_s)


async def relayed(load: Load, web: aiohttp.ClientSession) -> None:
    """A stream of chat completions; one in ten meets a fault that another deployment makes good."""
    struck = load.chance.random() < STRUCK_SHARE
    load.struck += struck
    wish = Wish(chunks=CHUNKS, pace_ms=PACE_MS)
    if struck:
        fault = load.chance.choice(MENDED)
        later = ("retry-after-ms", "200") if fault == "refused" else None
        fault = {"missing_done": "no_done"}.get(fault, fault)
        wish = Wish(chunks=CHUNKS, pace_ms=PACE_MS, id=uuid4().hex, fault=fault, retry_after=later)
    leaves = load.chance.randrange(1, CHUNKS - 1) if load.drops() else None
    began = time.monotonic()
    heard = await ask(Door(load.port, "", 0), wish, leave_after_words=leaves, most_s=MOST_S)
    assert heard.status == 200, f"status {heard.status}"
    if leaves is None:
        assert heard.words == CHUNKS, f"{heard.words} words of {CHUNKS}"
        if not struck:
            load.waited("relayed", began)
            when_s, _ = heard.pieces[0]
            load.waits["relayed"][-1] = (load.waits["relayed"][-1][0], when_s * 1000)


async def spoken(load: Load, web: aiohttp.ClientSession) -> None:
    """Two seconds of sound both ways; every tenth piece is answered at once."""
    drops = load.drops()
    async with web.ws_connect("/v1/realtime?model=voice", max_msg_size=0) as socket:
        due, asked_at, heard = time.monotonic(), 0.0, 0
        for number in range(SPOKEN):
            due += TICK_S
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            asked_at = time.monotonic()
            await socket.send_str(APPEND)
            if drops and number == SPOKEN // 2:
                return _drop(socket)
            if number % APPENDS_PER_DELTA == APPENDS_PER_DELTA - 1:
                await _told(socket, "response.output_audio.delta")
                load.waited("spoken", asked_at)
                heard += 1
        assert heard == SPOKEN // APPENDS_PER_DELTA
        return None


async def written(load: Load, web: aiohttp.ClientSession) -> None:
    """Three turns in text of a realtime session over the scripted service."""
    async with web.ws_connect("/v1/realtime?model=talk", max_msg_size=0) as socket:
        update = {"type": "realtime", "output_modalities": ["text"]}
        await socket.send_json({"type": "session.update", "session": update})
        drops = load.drops()
        for _ in range(3):
            content = [{"type": "input_text", "text": "hello"}]
            item = {"type": "message", "role": "user", "content": content}
            asked_at = time.monotonic()
            await socket.send_json({"type": "conversation.item.create", "item": item})
            await socket.send_json({"type": "response.create"})
            await _told(socket, "response.created")
            load.waited("written", asked_at)
            if drops:
                return _drop(socket)
            await _told(socket, "response.done")
    return None


async def streamed(load: Load, web: aiohttp.ClientSession) -> None:
    """An agent's answer by server-sent events."""
    drops, asked_at, words = load.drops(), time.monotonic(), ""
    wish = msgspec.json.encode(Wish(chunks=CHUNKS, pace_ms=PACE_MS)).decode()
    async with web.post("/api/chat-stream", json={"prompt": wish, "events": "typed"}) as answer:
        assert answer.status == 200, f"status {answer.status}"
        async for line in answer.content:
            if not line.startswith(b"data: {"):
                continue
            event = json.loads(line[6:])
            if event["type"] == "text":
                if not words:
                    load.waited("streamed", asked_at)
                words += event["text"]
            if drops and len(words.split()) > CHUNKS // 2:
                answer.close()
                return
    assert len(words.split()) == CHUNKS, f"{len(words.split())} words of {CHUNKS}"


async def hub(load: Load, web: aiohttp.ClientSession) -> None:
    """An agent's answer by a hub: negotiated twice, as pages do."""
    async with web.post("/api/negotiate") as answer:
        given = await answer.json()
    address, _, query = given["url"].partition("?")
    bearer = {"authorization": f"Bearer {given['accessToken']}"}
    async with web.post(f"{address}negotiate?{query}&negotiateVersion=1", headers=bearer) as answer:
        named = await answer.json()
    url = f"{address}?{query}&id={named['connectionToken']}&access_token={given['accessToken']}"
    async with web.ws_connect(url) as socket:
        await socket.send_str(json.dumps({"protocol": "json", "version": 1}) + _RECORD)
        drops, asked_at = load.drops(), time.monotonic()
        wish = msgspec.json.encode(Wish(chunks=CHUNKS, pace_ms=PACE_MS)).decode()
        asked = {"prompt": wish, "connectionId": named["connectionId"]}
        asking = asyncio.create_task(_posted(web, asked))
        try:
            words = await _heard(load, socket, asked_at, CHUNKS // 2 if drops else None)
            if drops:
                return _drop(socket)
            assert words == CHUNKS, f"{words} words of {CHUNKS}"
            await asking
        finally:
            asking.cancel()
    return None


async def _posted(web: aiohttp.ClientSession, asked: dict[str, str]) -> None:
    async with web.post("/api/chat_stream", json=asked) as answer:
        await answer.read()


async def _heard(
    load: Load, socket: aiohttp.ClientWebSocketResponse, asked_at: float, leave_at: int | None
) -> int:
    said = ""
    async for message in socket:
        for record in filter(None, str(message.data).split(_RECORD)):
            told = json.loads(record)
            if told.get("type") != 1:
                continue
            if not said:
                load.waited("hub", asked_at)
            said += told["arguments"][0]
        words = len(said.partition("✅")[0].split())
        if "✅" in said or (leave_at is not None and words >= leave_at):
            return words
    return len(said.split())


async def _told(socket: aiohttp.ClientWebSocketResponse, kind: str) -> dict[str, Any]:
    async for message in socket:
        if message.type == aiohttp.WSMsgType.TEXT and kind in message.data[:400]:
            event: dict[str, Any] = json.loads(message.data)
            if event["type"] == kind:
                return event
    raise AssertionError(f"closed with {socket.close_code} before {kind}")


def _drop(socket: aiohttp.ClientWebSocketResponse) -> None:
    """Leave without a word, as a machine that lost its power would."""
    connection = socket._response.connection
    if connection is not None and connection.transport is not None:
        connection.transport.abort()


KINDS: Final[dict[Once, int]] = {relayed: 16, spoken: 4, written: 3, streamed: 4, hub: 4}
"""How many clients of each kind there are at any time."""
