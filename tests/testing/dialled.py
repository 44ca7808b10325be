"""A client of the stand-in for tests: dials it, says things, and checks every frame it hears."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from websockets.asyncio.client import ClientConnection, connect

from kaiwa.testing.conformance import check_server_event
from kaiwa.testing.service import Service

PATIENCE_S = 10
TEXT_ONLY: Any = {"type": "realtime", "output_modalities": ["text"]}


class Dialled:
    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket
        self.frames: list[str] = []

    async def send(self, event_type: str, **fields: Any) -> None:
        await self.socket.send(json.dumps({"type": event_type, **fields}))

    async def hear(self) -> dict[str, Any]:
        async with asyncio.timeout(PATIENCE_S):
            frame = await self.socket.recv(decode=True)
        self.frames.append(frame)
        return check_server_event(frame)

    async def until(self, event_type: str) -> list[dict[str, Any]]:
        seen = [await self.hear()]
        while seen[-1]["type"] != event_type:
            seen.append(await self.hear())
        return seen

    async def begin_in_text(self) -> None:
        await self.send("session.update", session=TEXT_ONLY)
        await self.until("session.updated")

    async def ask(self, text: str) -> None:
        part = {"type": "input_text", "text": text}
        await self.send(
            "conversation.item.create", item={"type": "message", "role": "user", "content": [part]}
        )
        await self.send("response.create")

    async def answer_to(self, text: str) -> list[dict[str, Any]]:
        await self.ask(text)
        return await self.until("response.done")

    async def play(self, pcm: bytes, *, chunk_bytes: int = 4800) -> None:
        for at in range(0, len(pcm), chunk_bytes):
            sound = base64.b64encode(pcm[at : at + chunk_bytes]).decode()
            await self.send("input_audio_buffer.append", audio=sound)


def dial(service: Service, model: str = "gpt-realtime", **options: Any) -> connect:
    """Return the connection to be entered; the stand-in's key is sent unless `key` says otherwise."""
    headers = {"Authorization": f"Bearer {options.pop('key', service.key)}"} | options.pop("headers", {})
    url = options.pop("url", None) or service.realtime_url(model, flavour=options.pop("flavour", None))
    # Without a bound on unread frames a close is not held up by what nobody reads any more.
    return connect(url, additional_headers=headers, max_size=None, max_queue=None, **options)


@asynccontextmanager
async def talking(service: Service, model: str = "gpt-realtime", **options: Any) -> AsyncIterator[Dialled]:
    async with dial(service, model, **options) as socket:
        yield Dialled(socket)


def said(events: list[dict[str, Any]]) -> str:
    ends = {"response.output_text.done": "text", "response.output_audio_transcript.done": "transcript"}
    return "".join(event[ends[event["type"]]] for event in events if event["type"] in ends)
