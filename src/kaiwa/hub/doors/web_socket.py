"""A hub connection over a WebSocket (S-15 to S-20): attached where the server offers it, else by ASGI."""

from __future__ import annotations

from typing import Any, cast

from kaiwa.hub.connection import Connection
from kaiwa.hub.doors.exchange import Exchange
from kaiwa.hub.doors.links import SocketLink, TaskLink
from kaiwa.hub.sockets import EXTENSION, NORMAL, Socket

_GONE = (OSError, RuntimeError)
"""What servers raise when an application writes to a client that has gone."""


async def serve_web_socket(exchange: Exchange, connection: Connection) -> None:
    await exchange.receive()  # websocket.connect
    await exchange.send({"type": "websocket.accept", "headers": list(exchange.always)})
    offered: dict[str, Any] = exchange.scope.get("extensions") or {}
    socket = offered.get(EXTENSION)
    if socket is None:
        await _serve_by_asgi(exchange, connection)
    else:
        await _serve_attached(cast(Socket, socket), connection)


async def _serve_attached(socket: Socket, connection: Connection) -> None:
    link = SocketLink(connection, socket)
    connection.attach(link)
    socket.attach(link)
    await link.finished


async def _serve_by_asgi(exchange: Exchange, connection: Connection) -> None:
    link = TaskLink(connection, "WebSockets", binary=True)
    connection.attach(link)

    async def write(payload: bytes) -> None:
        binary = connection.protocol == "messagepack"
        content = {"bytes": payload} if binary else {"text": payload.decode()}
        await exchange.send({"type": "websocket.send", **content})

    async def read() -> None:
        while True:
            await link.readable()
            message = await exchange.receive()
            if message["type"] == "websocket.disconnect":
                return
            connection.receive(_bytes_of(message))

    async def speak() -> None:
        await link.pump(write)
        await exchange.send({"type": "websocket.close", "code": NORMAL})

    try:
        await link.first_of(read(), speak())
    except* _GONE:
        pass
    finally:
        connection.lost(link)


def _bytes_of(message: Any) -> bytes:
    text = message.get("text")
    return text.encode() if text is not None else message["bytes"]
