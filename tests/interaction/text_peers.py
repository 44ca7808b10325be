"""Clients of the doors for text: event streams in both styles, and pages at a SignalR hub in both protocols."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
from tests.interaction.peers import End, Question, soon
from websockets.asyncio.client import ClientConnection as WebSocket
from websockets.asyncio.client import connect

from kaiwa.protocol.signalr.client import ClientConnection
from kaiwa.protocol.signalr.messages import Protocol, StreamItem
from kaiwa.upstream.sse import EventStreamParser

CONVERSATION = "the-same-tab"
HUB_MARKS: dict[str, End] = {"\n\n✅ 完了": "stop", "\n\n⏹ 中断しました": "cancelled", "\n\n⚠️ ": "error"}


class StreamPeer:
    """`/api/chat-stream`, typed or plain, in one conversation."""

    def __init__(self, http: aiohttp.ClientSession, group: asyncio.TaskGroup, *, typed: bool) -> None:
        self._http = http
        self._group = group
        self._typed = self.tells_stops = typed
        self._streams: dict[Question, str] = {}

    async def begin(self, text: str) -> Question:
        style = "typed" if self._typed else "plain"
        body = {"prompt": text, "conversation_id": CONVERSATION, "events": style}
        answer = await self._http.post("/api/chat-stream", json=body)
        assert answer.status == 200, await answer.text()
        question = Question()
        self._streams[question] = answer.headers["x-stream-id"]
        self._group.create_task(self._read(answer, question))
        return question

    async def stop(self, question: Question) -> None:
        async with self._http.delete(f"/api/streams/{self._streams[question]}") as stopped:
            assert stopped.status == 204

    async def _read(self, answer: aiohttp.ClientResponse, question: Question) -> None:
        parser = EventStreamParser()
        async with answer:
            async for piece in answer.content.iter_any():
                for data in parser.feed(piece):
                    (self._take_typed if self._typed else self._take_plain)(data.decode(), question)
        if question.end is None:
            question.close("cancelled")

    @staticmethod
    def _take_typed(data: str, question: Question) -> None:
        piece = {} if data == "[DONE]" else json.loads(data)
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

    def __init__(self, http: aiohttp.ClientSession, socket: WebSocket, machine: ClientConnection) -> None:
        self._http = http
        self._socket = socket
        self._machine = machine
        self._joined: dict[str, Question] = {}
        self._streams: dict[Question, str] = {}

    async def begin(self, text: str) -> Question:
        body = {"prompt": text, "group": "nobody", "conversation_id": CONVERSATION}
        answer = await self._http.post("/api/chat_stream", json=body)
        assert answer.status == 200, await answer.text()
        question = Question()
        self._streams[question] = answer.headers["x-stream-id"]
        self._joined[self._machine.stream("join", self._streams[question])] = question
        await self.flush()
        return question

    async def stop(self, question: Question) -> None:
        async with self._http.delete(f"/api/streams/{self._streams[question]}") as stopped:
            assert stopped.status == 204

    async def flush(self) -> None:
        payload = self._machine.take_payload()
        await self._socket.send(payload.decode() if self._machine.protocol == "json" else payload)

    async def hear(self) -> None:
        async for frame in self._socket:
            self._machine.receive_bytes(frame.encode() if isinstance(frame, str) else frame, 0.0)
            for message in self._machine.heard():
                if isinstance(message, StreamItem):
                    self._take(str(message.item), self._joined[message.invocation_id])

    @staticmethod
    def _take(token: str, question: Question) -> None:
        for mark, end in HUB_MARKS.items():
            words, found, _ = token.partition(mark)
            if found:
                question.add(words)
                question.close(end)
                return
        question.add(token)


@asynccontextmanager
async def streams(address: str, *, typed: bool) -> AsyncIterator[StreamPeer]:
    async with aiohttp.ClientSession(address) as http, asyncio.TaskGroup() as group:
        yield StreamPeer(http, group, typed=typed)


@asynccontextmanager
async def hub(address: str, protocol: Protocol) -> AsyncIterator[HubPeer]:
    async with aiohttp.ClientSession(address) as http:
        async with http.post("/api/negotiate") as given:
            told = await given.json()
        bearer = {"authorization": f"Bearer {told['accessToken']}"}
        where = told["url"].replace("/client/?", "/client/negotiate?") + "&negotiateVersion=1"
        async with http.post(where, headers=bearer) as answer:
            negotiated = await answer.json()
        url = f"{told['url']}&id={negotiated['connectionToken']}&access_token={told['accessToken']}"
        machine = ClientConnection(protocol)
        machine.shake_hands()
        async with connect(url.replace("http://", "ws://"), compression=None, close_timeout=1) as socket:
            peer = HubPeer(http, socket, machine)
            await peer.flush()
            async with asyncio.TaskGroup() as group:
                hearing = group.create_task(peer.hear())
                yield peer
                hearing.cancel()
            await soon(socket.close(), "the socket closes")
