"""kaiwa as a relay on a real socket, in this process, before a stand-in of the service."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from kaiwa.engines.realtime import Upstreams
from kaiwa.server.app import create_app
from kaiwa.server.relay import RelayAnswerer, relay_from
from kaiwa.server.settings import Settings
from kaiwa.testing.service import Service
from kaiwa.testing.service.sockets import listening

PATIENCE_S = 10
CLIENT_KEY = "key-of-the-client"


def settings_for(service: Service, **settings: Any) -> Settings:
    usual = {
        "azure_openai_endpoint": service.url,
        "azure_openai_api_key": service.key,
        "azure_openai_realtime_deployment": "voice",
        "realtime_reopen_s": 0,
    }
    return Settings(_env_file=None, **usual | settings)  # type: ignore[call-arg]


@asynccontextmanager
async def relaying(
    settings: Settings, change: Callable[[RelayAnswerer], None] | None = None
) -> AsyncIterator[str]:
    """Give the address of the relay, ws://127.0.0.1:PORT."""
    answerer = relay_from(settings)
    assert answerer is not None
    if change is not None:
        change(answerer)
    async with listening(create_app(settings, answerer)) as port:
        yield f"ws://127.0.0.1:{port}"


def impatient(connect_s: float = 10.0, ping_s: float = 20.0) -> Callable[[RelayAnswerer], None]:
    def change(answerer: RelayAnswerer) -> None:
        upstreams = Upstreams(answerer._upstreams.pool, connect_s=connect_s, ping_s=ping_s)
        answerer.upstreams = answerer._upstreams = upstreams

    return change


class Peer:
    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket
        self.heard: list[dict[str, Any]] = []

    async def send(self, event_type: str, **fields: Any) -> None:
        await self.socket.send(json.dumps({"type": event_type, **fields}))

    async def until(self, event_type: str) -> dict[str, Any]:
        """Return the next event of this type."""
        async with asyncio.timeout(PATIENCE_S):
            while True:
                event = json.loads(await self.socket.recv())
                self.heard.append(event)
                if event["type"] == event_type:
                    return event

    async def until_any(self) -> dict[str, Any]:
        """Return the next event."""
        async with asyncio.timeout(PATIENCE_S):
            event: dict[str, Any] = json.loads(await self.socket.recv())
        self.heard.append(event)
        return event

    async def end(self) -> tuple[int, str]:
        """Hear everything until the connection is closed; return the close."""
        try:
            async with asyncio.timeout(PATIENCE_S):
                while True:
                    self.heard.append(json.loads(await self.socket.recv()))
        except ConnectionClosed as closed:
            assert closed.rcvd is not None, "closed without a close frame"
            return closed.rcvd.code, closed.rcvd.reason

    async def say(self, text: str) -> None:
        part = {"type": "input_text", "text": text}
        await self.send(
            "conversation.item.create", item={"type": "message", "role": "user", "content": [part]}
        )
        await self.send("response.create")

    @property
    def errors(self) -> list[dict[str, Any]]:
        return [event["error"] for event in self.heard if event["type"] == "error"]


@asynccontextmanager
async def peer_of(
    address: str, path: str = "/v1/realtime?model=gpt-realtime", **options: Any
) -> AsyncIterator[Peer]:
    headers = {"Authorization": f"Bearer {CLIENT_KEY}"} | options.pop("headers", {})
    usual: dict[str, Any] = {"max_size": None, "compression": None}
    async with connect(address + path, additional_headers=headers, **usual | options) as socket:
        yield Peer(socket)
