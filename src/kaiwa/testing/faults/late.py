"""A line on which everything takes its time, both ways, in order. Knows ASGI's messages and the clock."""

from __future__ import annotations

import asyncio
import random
from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

MOST_HELD: Final = 1024
"""Messages under way in one direction; who has more to send waits, as on a real line."""


class LateLine:
    """Each message leaves `late_s`, and by chance up to `jitter_s` more, after it came."""

    def __init__(self, receive: Receive, send: Send, late_s: float, jitter_s: float) -> None:
        self._receive, self._send = receive, send
        self._late_s, self._jitter_s = late_s, jitter_s
        self._chance = random.Random(0)
        self._inwards: asyncio.Queue[tuple[float, Message]] = asyncio.Queue(MOST_HELD)
        self._outwards: asyncio.Queue[tuple[float, Message]] = asyncio.Queue(MOST_HELD)

    async def carry(self, app: ASGIApp, scope: Scope) -> None:
        """Serve with the application at the far end, until it has returned and what it sent has left."""
        async with asyncio.TaskGroup() as group:
            ways = [group.create_task(self._bring_in()), group.create_task(self._bring_out())]
            try:
                await app(scope, self._next, self._put)
                await self._outwards.join()
            finally:
                for way in ways:
                    way.cancel()

    async def _next(self) -> Message:
        due, message = await self._inwards.get()
        await _reach(due)
        return message

    async def _put(self, message: Message) -> None:
        await self._outwards.put((self._due(), message))

    async def _bring_in(self) -> None:
        while True:
            message = await self._receive()
            await self._inwards.put((self._due(), message))
            if message["type"] == "websocket.disconnect":
                return

    async def _bring_out(self) -> None:
        gone = False
        while True:
            due, message = await self._outwards.get()
            await _reach(due)
            try:
                if not gone:
                    await self._send(message)
            except (OSError, RuntimeError):
                gone = True  # the application hears of it by the disconnect
            finally:
                self._outwards.task_done()

    def _due(self) -> float:
        late_s = self._late_s + self._chance.uniform(0, self._jitter_s)
        return asyncio.get_running_loop().time() + late_s


async def _reach(moment: float) -> None:
    await asyncio.sleep(max(0.0, moment - asyncio.get_running_loop().time()))
