"""A chat room over SignalR with nothing else of kaiwa. Run it with: python examples/hub_alone.py

In a page: new signalR.HubConnectionBuilder().withUrl("http://127.0.0.1:8000/chat").build()
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import uvicorn
from starlette.applications import Starlette

from kaiwa.hub import Hub, HubException, HubWebSocket


class Chat(Hub):
    async def join(self, room: str) -> None:
        await self.groups.add(self.context.connection_id, room)

    async def say(self, room: str, text: str) -> None:
        if not text.strip():
            raise HubException("say something")
        await self.clients.group(room).send("said", self.context.connection_id, text)

    async def count(self, most: int) -> AsyncIterator[int]:
        for number in range(most):
            yield number
            await asyncio.sleep(0.1)

    async def total(self, numbers: AsyncIterator[int]) -> int:
        return sum([number async for number in numbers])


chat = Chat()
app = Starlette(routes=chat.routes("/chat"), lifespan=lambda app: chat.running())

if __name__ == "__main__":
    uvicorn.run(app, ws=HubWebSocket, ws_per_message_deflate=False, timeout_graceful_shutdown=3)
