"""A line between a client and a server on which a breakage is planted. Knows WebSockets, not what they mean."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from http import HTTPStatus

from tests.clients.place import Place
from tests.contract.breakages import Breakage
from websockets.asyncio.client import ClientConnection, connect
from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.http11 import Request, Response
from websockets.typing import Subprotocol

from kaiwa.server.certificates import tls_context

BROKEN_PATIENCE_S = 4.0
_OWN_HEADERS = {"host", "connection", "upgrade"}
_UNSAYABLE = {1005, 1006}


@asynccontextmanager
async def broken_line(place: Place, planted: Breakage) -> AsyncIterator[Place]:
    """Give the same place behind the breakage; clients there lose patience soon."""
    async with AsyncExitStack() as stack:
        plain = await stack.enter_async_context(_listen(place, planted, None))
        secure = await stack.enter_async_context(_listen(place, planted, tls_context(place.certificate)))
        yield replace(place, plain=_address(plain), secure=_address(secure), patience_s=BROKEN_PATIENCE_S)


def _listen(place: Place, planted: Breakage, context: ssl.SSLContext | None) -> serve:
    calls: dict[ServerConnection, ClientConnection] = {}

    async def dial(peer: ServerConnection, request: Request) -> Response | None:
        try:
            calls[peer] = await _dial(place, request)
        except InvalidStatus as refusal:
            status = refusal.response.status_code
            return peer.respond(HTTPStatus(status), refusal.response.body.decode(errors="replace"))
        return None

    async def carry(peer: ServerConnection) -> None:
        async with calls.pop(peer) as server:
            await _carry(peer, server, planted)

    return serve(
        carry,
        "127.0.0.1",
        0,
        ssl=context,
        process_request=dial,
        select_subprotocol=lambda peer, offered: calls[peer].subprotocol if offered else None,
        compression=None,
        max_size=None,
    )


async def _dial(place: Place, request: Request) -> ClientConnection:
    """Open the same request at the server: path, query, headers and protocols as the client sent them."""
    headers = request.headers
    kept = [
        (name, value)
        for name, value in headers.raw_items()
        if name.lower() not in _OWN_HEADERS and not name.lower().startswith("sec-websocket")
    ]
    offered = [
        Subprotocol(name.strip()) for name in headers.get("Sec-WebSocket-Protocol", "").split(",") if name
    ]
    return await connect(
        f"ws://{place.plain}{request.path}",
        additional_headers=kept,
        subprotocols=offered or None,
        user_agent_header=None,
        compression=None,
        max_size=None,
        proxy=None,
    )


async def _carry(peer: ServerConnection, server: ClientConnection, planted: Breakage) -> None:
    async def down() -> None:
        async for message in server:
            for frame in planted.to_peer(json.loads(message)):
                await peer.send(json.dumps(frame, ensure_ascii=False))

    async def up() -> None:
        async for message in peer:
            for frame in planted.from_peer(json.loads(message)):
                await server.send(json.dumps(frame, ensure_ascii=False))

    tasks = [asyncio.create_task(down()), asyncio.create_task(up())]
    _, left = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in left:
        task.cancel()
    for outcome in await asyncio.gather(*tasks, return_exceptions=True):
        if isinstance(outcome, Exception) and not isinstance(outcome, ConnectionClosed):
            raise outcome
    code, reason = planted.close(server.close_code or 1000, server.close_reason or "")
    await peer.close(1000 if code in _UNSAYABLE else code, reason)


def _address(server: Server) -> str:
    host, port = next(iter(server.sockets)).getsockname()[:2]
    return f"{host}:{port}"
