"""A small SignalR client for the tests: JSON over a WebSocket, as the hub's golden rules have it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import Any

import aiohttp

END = "\x1e"
Said = Callable[[bytes], bytes]


class Listener:
    def __init__(self, socket: aiohttp.ClientWebSocketResponse, said: Said) -> None:
        self._socket = socket
        self._said = said
        self._waiting: list[dict[str, Any]] = []

    async def next(self, kind: int = 1) -> dict[str, Any]:
        """Return the next message of a kind: 1 is a call of a target, 3 a result."""
        async with asyncio.timeout(10):
            while True:
                while self._waiting:
                    message = self._waiting.pop(0)
                    if message.get("type") == kind:
                        return message
                text = self._said((await self._socket.receive_str()).encode()).decode()
                self._waiting += [json.loads(part) for part in text.split(END) if part]

    async def invoke(self, target: str, *arguments: Any) -> dict[str, Any]:
        call = {"type": 1, "invocationId": "1", "target": target, "arguments": list(arguments)}
        await self._socket.send_str(json.dumps(call) + END)
        return await self.next(3)


@asynccontextmanager
async def connected(
    negotiate: str, user: str = "", said: Said = lambda data: data
) -> AsyncGenerator[tuple[Listener, str]]:
    """Connect by an app's negotiate function; give the listener and its connection's id."""
    async with aiohttp.ClientSession() as client:
        async with client.post(negotiate, headers={"x-user": user}) as answer:
            info = await answer.json()
        token = info["accessToken"]
        place, query = info["url"].split("?", 1)
        more = f"{query}&negotiateVersion=1"
        headers = {"authorization": f"Bearer {token}"}
        async with client.post(f"{place}negotiate?{more}", headers=headers) as answer:
            assert answer.status == 200
            made = await answer.json()
        url = f"{place}?{query}&id={made['connectionToken']}&access_token={token}"
        async with client.ws_connect(url) as socket:
            await socket.send_str('{"protocol":"json","version":1}' + END)
            assert await socket.receive_str() == "{}" + END
            yield Listener(socket, said), made["connectionId"]
