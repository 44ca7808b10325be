"""A peer inside the process: events go in and come out as values. The door for tests and embedding."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from kaiwa.events.client import ClientEvent
from kaiwa.events.server import ServerEvent


class MemoryTransport:
    """`say` an event, `hear` the answers; `leave` ends it. `capacity` events may wait unread."""

    def __init__(self, capacity: int = 4096) -> None:
        self._said: asyncio.Queue[ClientEvent | None] = asyncio.Queue(capacity)
        self._sent: asyncio.Queue[ServerEvent] = asyncio.Queue(capacity)
        self.closed: tuple[int, str] | None = None

    async def say(self, event: ClientEvent) -> None:
        await self._said.put(event)

    async def hear(self) -> ServerEvent:
        return await self._sent.get()

    async def leave(self) -> None:
        await self._said.put(None)

    async def receive(self) -> AsyncIterator[ClientEvent]:
        while (event := await self._said.get()) is not None:
            yield event

    async def send(self, event: ServerEvent) -> None:
        if self.closed is not None:
            raise ConnectionError("closed")
        await self._sent.put(event)

    async def close(self, code: int, reason: str) -> None:
        self.closed = (code, reason)
        await self._said.put(None)
