"""Azure SignalR Service as kaiwa serves it, on a port of a test: the REST API, a client, and what is planted."""

from __future__ import annotations

import io
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import aiohttp
from starlette.applications import Starlette
from starlette.routing import Mount
from tests.hub.bending import Bend
from tests.hub.house import Socket, bent, serving
from websockets.asyncio.client import connect

from kaiwa.hub.azure.service.data_plane import data_plane
from kaiwa.hub.azure.service.local import Keys, LocalService
from kaiwa.hub.azure.service.upstream import NO_UPSTREAM, Upstream
from kaiwa.hub.azure.tokens import signed

KEY = "the-first-key-of-this-service-0123456789ABCDEF"
SECOND = "the-second-key-of-this-service-0123456789ABCDE"
DATED = "2024-12-01"


@dataclass(frozen=True)
class Told:
    status: int
    code: str
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Service:
    """A service at `url`, asked by raw HTTP with tokens made here."""

    def __init__(self, local: LocalService, url: str, http: aiohttp.ClientSession, bend: Bend) -> None:
        self.local = local
        self.url = url
        self.http = http
        self.bend = bend

    @property
    def connection_string(self) -> str:
        return f"Endpoint={self.url};AccessKey={KEY};Version=1.0;"

    async def call(
        self, method: str, path: str, body: Any = None, *, token: str | None = None, **given: Any
    ) -> Told:
        """Make a call of the newest version; `path` is from the hub on, or the whole."""
        address = path if path.startswith("/api/") else f"/api/hubs/chat{path}"
        query = {} if address.startswith("/api/v1/") else {"api-version": DATED}
        query |= given.pop("query", {})
        audience = f"{self.url}{address}"
        headers = {
            "authorization": f"Bearer {token or signed(audience, KEY, 60)}",
            **given.pop("headers", {}),
        }
        written = json.dumps(body).encode() if body is not None and not isinstance(body, bytes) else body
        content = None if written is None else io.BytesIO(written)
        if isinstance(body, dict | list):
            headers.setdefault("content-type", "application/json")
        async with self.http.request(method, audience, params=query, data=content, headers=headers) as answer:
            code = answer.headers.get("x-ms-error-code", "")
            return Told(answer.status, code, await answer.read())

    @asynccontextmanager
    async def client(
        self, hub: str = "chat", user: str | None = None, **claims: Any
    ) -> AsyncIterator[Client]:
        """A client that negotiated and shook hands, as a page does (rule S-55)."""
        given = self.local.negotiated(self.url, hub, 60, user, claims)
        headers = {"authorization": f"Bearer {given.access_token}"}
        address = given.url.replace("/client/?", "/client/negotiate?") + "&negotiateVersion=1"
        async with self.http.post(address, headers=headers) as answer:
            assert answer.status == 200, await answer.text()
            negotiated = await answer.json()
        ws = f"{given.url}&id={negotiated['connectionToken']}&access_token={given.access_token}"
        async with connect(ws.replace("http://", "ws://"), compression=None, close_timeout=1) as raw:
            yield Client(await Socket(raw, self.bend).hello(), negotiated["connectionId"])


@dataclass(frozen=True)
class Client:
    socket: Socket
    id: str

    async def told(self) -> tuple[str, list[Any]]:
        """Return the next call that came."""
        record = await self.socket.record()
        assert record["type"] == 1, record
        return record["target"], record["arguments"]


@asynccontextmanager
async def open_service(
    bend: Bend | None = None, upstream: Upstream = NO_UPSTREAM, keys: Keys | None = None
) -> AsyncIterator[Service]:
    bend = bend or Bend()
    local = LocalService(keys or Keys(KEY, SECOND), bend.options(_options()), upstream=upstream)
    app = Starlette(
        routes=[
            *data_plane(local, lambda request: str(request.base_url).rstrip("/")),
            Mount("/client", local),
        ]
    )
    async with local.running(), serving(bent(app, bend)) as port, aiohttp.ClientSession() as http:
        yield Service(local, f"http://127.0.0.1:{port}", http, bend)


def _options() -> Any:
    from kaiwa.hub import HubOptions

    return HubOptions()
