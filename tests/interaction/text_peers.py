"""Clients of the doors for text: event streams in both styles, and pages at a SignalR hub in both protocols."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import aiohttp
from tests.interaction.houses import House
from tests.interaction.peers import End, Question, soon
from websockets.asyncio.client import connect

from kaiwa.protocol.signalr.client import ClientConnection
from kaiwa.protocol.signalr.messages import Protocol, StreamItem

CONVERSATION = "the-same-tab"
HUB_MARKS: dict[str, End] = {"\n\n✅ 完了": "stop", "\n\n⏹ 中断しました": "cancelled", "\n\n⚠️ ": "error"}


async def _events(content: aiohttp.StreamReader) -> AsyncIterator[tuple[str, str]]:
    """Yield the number and the data of every whole event. Comments have neither."""
    rest = b""
    async for piece in content.iter_any():
        *whole, rest = (rest + piece).split(b"\n\n")
        for event in whole:
            lines = [line.partition(": ") for line in event.decode().split("\n")]
            fields = {
                name: "\n".join(data for other, _, data in lines if other == name) for name, _, _ in lines
            }
            if "data" in fields:
                yield fields.get("id", ""), fields["data"]


async def _is_refused(answer: aiohttp.ClientResponse, codes: list[str]) -> bool:
    """Say whether a limit was reached, and note what that is called."""
    assert answer.status in (200, 429), await answer.text()
    if answer.status == 429:
        codes.append((await answer.json())["error"]["code"])
    return answer.status == 429


class StreamPeer:
    """`/api/chat-stream`, typed or plain, in one conversation."""

    def __init__(
        self, http: aiohttp.ClientSession, group: asyncio.TaskGroup, *, typed: bool, returning: bool
    ) -> None:
        self._http = http
        self._group = group
        self._typed = self.tells_stops = typed
        self._returning = returning
        self._streams: dict[Question, str] = {}
        self._seen: dict[Question, str] = {}
        self._readers: dict[Question, asyncio.Task[None]] = {}
        self._refusals: list[str] = []
        self.remarks: list[str] = []

    async def begin(self, text: str) -> Question:
        style = "typed" if self._typed else "plain"
        body = {"prompt": text, "conversation_id": CONVERSATION, "events": style, "resume": self._returning}
        answer = await self._http.post("/api/chat-stream", json=body)
        question = Question()
        if await _is_refused(answer, self._refusals):
            question.close("error")
            return question
        self._streams[question] = answer.headers["x-stream-id"]
        self._readers[question] = self._group.create_task(self._read(answer, question))
        return question

    async def refused(self) -> str:
        await self.begin("one more")
        return self._refusals[-1]

    async def stop(self, question: Question) -> None:
        async with self._http.delete(f"/api/streams/{self._streams[question]}") as stopped:
            assert stopped.status == 204

    async def drop(self) -> None:
        for reader in self._readers.values():
            reader.cancel()
        await asyncio.wait(self._readers.values())

    async def come_back(self) -> None:
        for question, stream in self._streams.items():
            if question.end is None:
                last = {"last-event-id": self._seen.get(question, "0")}
                answer = await self._http.get(f"/api/chat-stream/{stream}", headers=last)
                assert answer.status == 200, await answer.text()
                self._readers[question] = self._group.create_task(self._read(answer, question))

    async def _read(self, answer: aiohttp.ClientResponse, question: Question) -> None:
        async with answer:
            async for number, data in _events(answer.content):
                (self._take_typed if self._typed else self._take_plain)(data, question)
                self._seen[question] = number
        if question.end is None:
            question.close("cancelled")

    def _take_typed(self, data: str, question: Question) -> None:
        piece = {} if data == "[DONE]" else json.loads(data)
        if piece.get("type") == "notice":
            self.remarks.append(piece["message"])
        if piece.get("type") == "text":
            question.add(piece["text"])
        elif piece.get("type") == "usage":
            question.used(piece["input_tokens"], piece["output_tokens"])
        elif piece.get("type") == "finish":
            question.close({"stop": "stop", "cancelled": "cancelled"}.get(piece["reason"], "error"))  # type: ignore[arg-type]

    @staticmethod
    def _take_plain(data: str, question: Question) -> None:
        if data == "[DONE]":
            question.close("stop")
        elif data.startswith('{"error":'):
            question.close("cancelled" if json.loads(data)["error"]["code"] == "cancelled" else "error")
        else:
            question.add(data)


class HubPeer:
    """A page of the tutorial. It asks by POST and joins each answer's stream at the hub, as a second tab does.

    (Tokens that are sent to a connection do not tell of which answer they are.)
    """

    tells_stops = True

    def __init__(self, http: aiohttp.ClientSession, group: asyncio.TaskGroup, protocol: Protocol) -> None:
        self._http = http
        self._group = group
        self._protocol: Protocol = protocol
        self._joined: dict[str, Question] = {}
        self._streams: dict[Question, str] = {}
        self._answers: dict[Question, aiohttp.ClientResponse] = {}
        self._sockets = AsyncExitStack()
        self._refusals: list[str] = []
        self.remarks: list[str] = []

    async def connect(self) -> None:
        """Negotiate as the stock clients do, and listen."""
        async with self._http.post("/api/negotiate") as given:
            told = await given.json()
        bearer = {"authorization": f"Bearer {told['accessToken']}"}
        where = told["url"].replace("/client/?", "/client/negotiate?") + "&negotiateVersion=1"
        async with self._http.post(where, headers=bearer) as answer:
            negotiated = await answer.json()
        url = f"{told['url']}&id={negotiated['connectionToken']}&access_token={told['accessToken']}"
        self._machine = ClientConnection(self._protocol)
        self._machine.shake_hands()
        opening = connect(url.replace("http://", "ws://"), compression=None, close_timeout=1, proxy=None)
        self._socket = await self._sockets.enter_async_context(opening)
        self._hearing = self._group.create_task(self._hear())
        await self._flush()

    async def leave(self) -> None:
        self._hearing.cancel()
        await soon(self._sockets.aclose(), "the sockets close")

    async def begin(self, text: str) -> Question:
        body = {"prompt": text, "group": "nobody", "conversation_id": CONVERSATION}
        answer = await self._http.post("/api/chat_stream", json=body)
        question = Question()
        if await _is_refused(answer, self._refusals):
            question.close("error")
            return question
        self._streams[question], self._answers[question] = answer.headers["x-stream-id"], answer
        await self._join(question)
        return question

    async def refused(self) -> str:
        await self.begin("one more")
        return self._refusals[-1]

    async def stop(self, question: Question) -> None:
        async with self._http.delete(f"/api/streams/{self._streams[question]}") as stopped:
            assert stopped.status == 204

    async def drop(self) -> None:
        self._hearing.cancel()
        self._socket.transport.abort()
        await asyncio.wait([self._hearing])

    async def come_back(self) -> None:
        """Join what runs again: its words come from the first on."""
        await self.connect()
        self._joined.clear()
        for question in self._streams:
            if question.end is None:
                question.text = ""
                await self._join(question)

    async def _join(self, question: Question) -> None:
        self._joined[self._machine.stream("join", self._streams[question])] = question
        await self._flush()

    async def _flush(self) -> None:
        payload = self._machine.take_payload()
        await self._socket.send(payload.decode() if self._machine.protocol == "json" else payload)

    async def _hear(self) -> None:
        async for frame in self._socket:
            self._machine.receive_bytes(frame.encode() if isinstance(frame, str) else frame, 0.0)
            for message in self._machine.heard():
                if isinstance(message, StreamItem):
                    await self._take(str(message.item), self._joined[message.invocation_id])

    async def _take(self, token: str, question: Question) -> None:
        for mark, end in HUB_MARKS.items():
            words, found, _ = token.partition(mark)
            if found:
                question.add(words)
                await self._account(question)
                question.close(end)
                return
        question.add(token)

    async def _account(self, question: Question) -> None:
        """Read what the request was answered with at the end."""
        usage = (await self._answers[question].json()).get("usage")
        if usage is not None:
            question.used(usage["input_tokens"], usage["output_tokens"])


@asynccontextmanager
async def streams(house: House, *, typed: bool, returning: bool = False) -> AsyncIterator[StreamPeer]:
    async with aiohttp.ClientSession(house.address) as http, asyncio.TaskGroup() as group:
        yield StreamPeer(http, group, typed=typed, returning=returning)


@asynccontextmanager
async def hub(house: House, protocol: Protocol, *, returning: bool = False) -> AsyncIterator[HubPeer]:
    del returning  # an answer is kept for whoever joins it
    async with aiohttp.ClientSession(house.address) as http, asyncio.TaskGroup() as group:
        peer = HubPeer(http, group, protocol)
        await peer.connect()
        yield peer
        await peer.leave()
