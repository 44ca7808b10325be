"""What a connection may cost before anybody heard it: bytes and seconds of a request, lines of the log.

Knows uvicorn's connections; nothing of requests and events. Without it a head without end is kept until its
sender tires, a silent connection for ever, and every frame of broken text leaves a traceback.
"""

from __future__ import annotations

import asyncio
import logging
from asyncio.transports import BaseTransport
from typing import Any, ClassVar, Final

import uvicorn
from uvicorn.protocols.http.auto import AutoHTTPProtocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from kaiwa.hub.sockets import Attachable

log = logging.getLogger("kaiwa.server")
MAX_HEAD_BYTES: Final = 64 * 1024
_NO_TEXT: Final = 1007
_TOO_LARGE: Final = (
    b"HTTP/1.1 431 Request Header Fields Too Large\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"
)
_FULL: Final = b'{"error":{"message":"This server has no room for another connection. Try again soon.",\
"type":"server_error","code":"server_busy","param":null}}'
_NO_ROOM: Final = (
    b"HTTP/1.1 503 Service Unavailable\r\nconnection: close\r\nretry-after: 1\r\n"
    b"content-type: application/json\r\ncontent-length: %d\r\n\r\n%b" % (len(_FULL), _FULL)
)


class BoundedConfig(uvicorn.Config):
    """uvicorn's, with the number of connections that may be open: its own bound looks at requests only.

    `leaving`: the server ends, and who is done with TLS only now comes too late.
    """

    most_connections: int | None = None
    leaving = False


class BoundedHandshake(AutoHTTPProtocol):
    """uvicorn's connection, closed when there is no room for it, or when the head of a request is too long or
    does not come."""

    head_s: ClassVar[float] = 15.0
    # uvicorn's attributes are not known to be typed through its automatic choice of a parser.
    config: Any
    connections: Any
    cycle: Any
    transport: Any
    _timer: asyncio.TimerHandle | None = None
    _head_bytes = 0
    _begun: Any = None

    def connection_made(self, transport: BaseTransport) -> None:  # type: ignore[override]
        super().connection_made(transport)  # type: ignore[arg-type]
        if getattr(self.config, "leaving", False):
            self.transport.close()
            return
        most = getattr(self.config, "most_connections", None)
        if most is not None and len(self.connections) > most:
            self.transport.write(_NO_ROOM)
            self.transport.close()
            return
        self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_waiting()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self.transport.is_closing():
            return  # there was no room for it
        super().data_received(data)
        if self.cycle is not self._begun:
            self._begun = self.cycle
            self._stop_waiting()
        elif self.transport.get_protocol() is not self:
            self._stop_waiting()  # it is a WebSocket now
        elif self._timer is not None or self._is_idle():
            if self._timer is None:
                self._await_head()
            self._head_bytes += len(data)
            if self._head_bytes > MAX_HEAD_BYTES and not self.transport.is_closing():
                self.transport.write(_TOO_LARGE)
                self.transport.close()

    def _is_idle(self) -> bool:
        return self.cycle is None or self.cycle.response_complete

    def _await_head(self) -> None:
        self._head_bytes = 0
        self._timer = asyncio.get_running_loop().call_later(self.head_s, self._give_up)

    def _stop_waiting(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _give_up(self) -> None:
        self._timer = None
        self.transport.close()


class AnsweredUpgrade(Attachable, WebSocketsSansIOProtocol):
    """uvicorn's WebSocket, which otherwise neither sends nor closes when a header line is over 8 KiB, and
    cannot be shut down then. Hubs attach to it and write their frames themselves."""

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if not self.handshake_initiated and self.conn.handshake_exc is not None:
            self.transport.write(b"".join(self.conn.data_to_send()))
            self.close_sent = self.handshake_complete = True
            self.transport.close()

    def send_receive_event_to_app(self) -> None:
        if self.curr_msg_data_type == "bytes" or self.close_sent or _is_utf8(self.frames):
            super().send_receive_event_to_app()
            return
        self.frames = []
        log.info("closed a connection over text that is not UTF-8")
        self.conn.send_close(_NO_TEXT)
        self.handle_parser_exception()


def _is_utf8(pieces: list[bytes]) -> bool:
    if all(piece.isascii() for piece in pieces):  # nearly always, and told at once
        return True
    try:
        b"".join(pieces).decode()
    except UnicodeDecodeError:
        return False
    return True
