"""An ASGI application on a real socket of this process, with the means to break its connections.

Knows uvicorn and TCP; knows nothing of what is served.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import asynccontextmanager, contextmanager
from typing import Any, cast

import uvicorn
from starlette.websockets import WebSocket
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from kaiwa.transports.parting import stop_accepting

MAX_FRAME_BYTES = 24 * 1024 * 1024
PING_S = 20.0
_WIRE = "kaiwa.testing.wire"


class Wire(WebSocketsSansIOProtocol):
    """uvicorn's WebSocket connection, which a fault may reset or freeze."""

    _frozen = False

    def handle_connect(self, event: Any) -> None:
        super().handle_connect(event)
        if self.response.status_code == 101:
            # The application's task has not begun yet: it will find the connection in its scope.
            cast(dict[str, Any], self.scope)["state"][_WIRE] = self

    def data_received(self, data: bytes) -> None:
        if self._frozen:
            self.transport.pause_reading()
        else:
            super().data_received(data)

    def reset(self) -> None:
        """End the TCP connection so that the peer gets a reset instead of a close."""
        connection: socket.socket = self.transport.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.transport.abort()

    def freeze(self) -> None:
        """Read nothing and answer nothing any more, pings included, without closing."""
        self._frozen = True
        self.stop_keepalive()
        self.transport.pause_reading()

    def shutdown(self) -> None:
        if self._frozen:
            self.transport.abort()
        else:
            super().shutdown()


def wire_of(websocket: WebSocket) -> Wire:
    wire = websocket.scope["state"].get(_WIRE)
    assert isinstance(wire, Wire), "this fault needs the sockets of kaiwa.testing.service"
    return wire


class _Server(uvicorn.Server):
    """Tells when it listens, and leaves signals to the process it runs in."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.listening = asyncio.Event()
        self.leaving = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.listening.set()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        await stop_accepting(self.servers)
        await super().shutdown(sockets)

    async def main_loop(self) -> None:
        await self.on_tick(0)
        await self.leaving.wait()

    @contextmanager
    def capture_signals(self) -> Generator[None]:
        yield


def _listener(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # With its protocol named, asyncio sends at once (TCP_NODELAY) instead of waiting 40 ms for an ACK.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen()
    except OSError:
        listener.close()
        raise
    return listener


@asynccontextmanager
async def listening(
    app: Any,
    *,
    host: str = "127.0.0.1",
    port: int = 0,
    before_stop: Callable[[], None] | None = None,
    **options: Any,
) -> AsyncGenerator[int]:
    """Serve `app` until the block is left; give the port. `before_stop` lets waiting requests end.

    `options` are uvicorn's. Raises OSError when the port is taken.
    """
    usual: dict[str, Any] = {
        "ws": Wire,
        "ws_max_size": MAX_FRAME_BYTES,
        "ws_ping_interval": PING_S,
        "ws_ping_timeout": PING_S,
        "ws_per_message_deflate": False,
        "log_config": None,
        "access_log": False,
        "timeout_graceful_shutdown": 3,
    }
    with _listener(host, port) as listener:
        server = _Server(uvicorn.Config(app, **usual | options))
        serving = asyncio.create_task(server.serve([listener]))
        ready = asyncio.create_task(server.listening.wait())
        try:
            await asyncio.wait([serving, ready], return_when=asyncio.FIRST_COMPLETED)
            yield cast(int, listener.getsockname()[1])
        finally:
            ready.cancel()
            if before_stop is not None:
                before_stop()
            server.leaving.set()
            await serving
