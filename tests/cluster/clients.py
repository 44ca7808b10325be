"""Clients of a house that is restarted under them: each tries again when it is told to, and counts what it got.

What breaks off, hangs, comes twice or is refused without a word about trying again is a trouble, and kept.
"""

from __future__ import annotations

import asyncio
import json
import traceback
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from itertools import count
from typing import Any

import aiohttp
from tests.cluster.upstream import EVERY_WORD

MOST_S = 60.0
PAUSE_S = 0.2
SERVICE_RESTART = 1012
_RECORD = "\x1e"


class TryAgain(Exception):
    """The house said that another process answers."""


@dataclass
class Load:
    """What all clients got. `booked`: customers whose reservation was told to be made."""

    url: str
    done: Counter[str] = field(default_factory=Counter[str])
    refused: Counter[str] = field(default_factory=Counter[str])
    troubles: list[str] = field(default_factory=list[str])
    booked: list[int] = field(default_factory=list[int])
    stop: asyncio.Event = field(default_factory=asyncio.Event)
    _numbers: Any = field(default_factory=count)

    async def repeat(
        self, kind: str, once: Callable[[Load, aiohttp.ClientSession, int], Awaitable[None]]
    ) -> None:
        """Do it again and again until told to stop; each with a number of its own, until it is done."""
        while not self.stop.is_set():
            number = next(self._numbers)
            try:
                async with asyncio.timeout(MOST_S):
                    await self._until_done(kind, once, number)
                self.done[kind] += 1
            except TimeoutError as hangs:
                frames = traceback.extract_tb(hangs.__cause__.__traceback__ if hangs.__cause__ else None)
                own = [f"{frame.name}:{frame.lineno}" for frame in frames if frame.filename == __file__]
                self.troubles.append(f"{kind}: hangs in {' > '.join(own)}")
            except (AssertionError, aiohttp.ClientError, ConnectionError) as trouble:
                self.troubles.append(f"{kind}: {type(trouble).__name__} {str(trouble)[:300]}")

    async def _until_done(self, kind: str, once: Any, number: int) -> None:
        while True:
            # Each time a connection of its own, which the balancer may send anywhere.
            async with aiohttp.ClientSession(
                self.url, connector=aiohttp.TCPConnector(force_close=True)
            ) as web:
                try:
                    return await once(self, web, number)
                except TryAgain as told:
                    self.refused[f"{kind}: {told}"] += 1
            await asyncio.sleep(PAUSE_S)


def _accepted(answer: aiohttp.ClientResponse) -> None:
    if answer.status == 503:
        assert "retry-after" in answer.headers, "a refusal says when to come back"
        raise TryAgain("503")
    assert answer.status in (200, 201), f"status {answer.status}"


async def _events(answer: aiohttp.ClientResponse) -> list[dict[str, Any]]:
    data = [line[6:].strip() async for line in answer.content if line.startswith(b"data: ")]
    return [json.loads(one) for one in data if one.startswith(b"{")]


def _is_whole(words: str) -> None:
    assert words.split() == EVERY_WORD, f"words are missing or doubled: {words!r}"


async def relayed(load: Load, web: aiohttp.ClientSession, number: int) -> None:
    """A stream of chat completions."""
    asked = {"model": "m", "stream": True, "messages": [{"role": "user", "content": "say"}]}
    async with web.post("/v1/chat/completions", json=asked) as answer:
        _accepted(answer)
        data = [line[6:] async for line in answer.content if line.startswith(b"data: ")]
    assert data and data[-1].strip() == b"[DONE]", "a stream has an end"
    choices = [choice for one in data[:-1] for choice in json.loads(one)["choices"]]
    _is_whole("".join(choice["delta"].get("content") or "" for choice in choices))


async def streamed(load: Load, web: aiohttp.ClientSession, number: int) -> None:
    """A question of a conversation that several clients ask, whichever process has it."""
    asked = {"prompt": "say", "conversation_id": f"c{number % 4}", "events": "typed", "agent": "kaiwa-local"}
    async with web.post("/api/chat-stream", json=asked) as answer:
        if answer.status in (409, 429):
            raise TryAgain(str(answer.status))
        _accepted(answer)
        events = await _events(answer)
    error = next((event for event in events if event["type"] == "error"), None)
    assert error is None, f"an answer that was begun broke: {error}"
    assert events[-1] == {"type": "finish", "reason": "stop"}, events[-1]
    _is_whole("".join(event["text"] for event in events if event["type"] == "text"))


async def booking(load: Load, web: aiohttp.ClientSession, number: int) -> None:
    """A car, in two turns of a realtime session: the desk reads back, the caller says yes."""
    if number in load.booked:
        return
    async with web.ws_connect("/v1/realtime?model=rentacar") as socket:
        await _told(socket, "session.created")
        await _say(socket, f"book {number}")
        assert "R-" not in await _told(socket, "response.output_text.done")
        await _say(socket, f"yes {number}")
        made = await _told(socket, "response.output_text.done")
        assert "R-" in made, made
        load.booked.append(number)


async def _say(socket: aiohttp.ClientWebSocketResponse, text: str) -> None:
    content = [{"type": "input_text", "text": text}]
    item = {"type": "message", "role": "user", "content": content}
    try:
        await socket.send_json({"type": "conversation.item.create", "item": item})
        await socket.send_json({"type": "response.create"})
    except (ConnectionError, aiohttp.ClientError):
        return  # why stands in what was said last


async def _told(socket: aiohttp.ClientWebSocketResponse, kind: str) -> str:
    """Return the text of the next event of a kind. A house that ends says so, and closes with its code."""
    error: dict[str, Any] | None = None
    async for message in socket:
        event = json.loads(message.data)
        if event["type"] == "error":
            error = event["error"]
        elif event["type"] == kind:
            return str(event.get("text", ""))
    assert error is not None and error["code"] == "server_shutting_down", (
        f"closed by {socket.close_code}: {error}"
    )
    assert socket.close_code in (1001, 1013), socket.close_code
    raise TryAgain(f"close {socket.close_code}")


async def hub(load: Load, web: aiohttp.ClientSession, number: int) -> None:
    """A page that gets its answer through the hub, and reads it from its stream when the hub sends it away."""
    async with web.post("/api/negotiate") as answer:
        _accepted(answer)
        given = await answer.json()
    bearer = {"authorization": f"Bearer {given['accessToken']}"}
    address, _, query = given["url"].partition("?")
    async with web.post(f"{address}negotiate?{query}&negotiateVersion=1", headers=bearer) as answer:
        _accepted(answer)
        named = await answer.json()
    socket_url = f"{address}?{query}&id={named['connectionToken']}&access_token={given['accessToken']}"
    try:
        async with web.ws_connect(socket_url) as socket:
            await socket.send_str(json.dumps({"protocol": "json", "version": 1}) + _RECORD)
            if (shaken := await socket.receive()).data != "{}" + _RECORD:
                away = '"allowReconnect":true' in str(shaken.data).replace(" ", "")
                assert away or socket.close_code == SERVICE_RESTART, shaken
                raise TryAgain("sent away")
            await _ask_by_hub(web, socket, named["connectionId"])
    except aiohttp.WSServerHandshakeError as refused:
        if refused.status != 404:  # its process ended in between: negotiate anew
            raise
        raise TryAgain("negotiated with a process that ended") from None


async def _ask_by_hub(web: aiohttp.ClientSession, socket: aiohttp.ClientWebSocketResponse, name: str) -> None:
    asked = {"prompt": "say", "agent": "kaiwa-local", "connectionId": name}
    async with web.post("/api/chat_stream", json=asked) as answer:
        _accepted(answer)
        stream = answer.headers["x-stream-id"]
        heard, sent_away = await _heard(socket)
        if sent_away:
            assert EVERY_WORD[: len(heard.split()) - 1] == heard.split()[:-1], "in order, nothing twice"
            heard = await _read_on(web, stream)
        else:
            assert (await answer.json(content_type=None))["ok"] is True
    _is_whole(heard)


async def _heard(socket: aiohttp.ClientWebSocketResponse) -> tuple[str, bool]:
    """Return the words that came, and whether the hub sent us away before the end."""
    words = ""
    async for message in socket:
        for record in str(message.data).split(_RECORD):
            said = json.loads(record or "{}")
            if said.get("type") == 1:
                words += said["arguments"][0]
                if "✅" in words:
                    return words.partition("✅")[0], False
            elif said.get("type") == 7:
                assert said.get("allowReconnect") is True, said
                return words, True
    # Through a process that only passed the socket on: "service restart", after which clients come back.
    assert socket.close_code == SERVICE_RESTART, f"the hub closed without a word ({socket.close_code})"
    return words, True


async def _read_on(web: aiohttp.ClientSession, stream: str) -> str:
    """Read a whole answer from its stream, whichever process has it."""
    async with web.get(f"/api/chat-stream/{stream}") as answer:
        _accepted(answer)
        events = await _events(answer)
    assert events[-1]["type"] == "finish", events[-1:]
    return "".join(event["text"] for event in events if event["type"] == "text")
