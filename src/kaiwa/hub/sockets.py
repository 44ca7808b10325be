"""A WebSocket whose frames are written by whoever has them ready, without a task and without a copy.

Knows uvicorn's protocol class and RFC 6455's framing; nothing of hubs. An application finds the socket in the
scope as `extensions["kaiwa.socket"]`, accepts as always, and attaches: from then on what comes goes to its
`Reader` at once, in pieces, and what it writes goes to the transport. One that does not attach notices
nothing.
"""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, Protocol

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.frames import Frame, Opcode

EXTENSION: Final = "kaiwa.socket"
NORMAL: Final = 1000
GOING_AWAY: Final = 1001
NO_STATUS: Final = 1005
CLOSE_WAIT_S: Final = 5.0
"""How long a client has to answer a close frame (rule S-20)."""


class Reader(Protocol):
    """Who reads an attached socket. Called from the event loop; must not block."""

    def received(self, data: bytes) -> None:
        """Take a piece of a message as it came: a message may be cut anywhere."""
        ...

    def writing_paused(self) -> None:
        """The transport holds more than it likes."""
        ...

    def writing_resumed(self) -> None: ...

    def writing_ends(self) -> None:
        """The client says goodbye: nothing may be written any more."""
        ...

    def server_stops(self) -> None:
        """The server shuts down: last words may be written now."""
        ...

    def closed(self, code: int) -> None:
        """The socket is gone. Called once, after everything else."""
        ...


class Socket(Protocol):
    """What the scope offers."""

    def attach(self, reader: Reader) -> None: ...

    def write(self, frames: bytes) -> None:
        """Write whole frames; silently nothing on a socket that closes."""
        ...

    def close(self, code: int = NORMAL, reason: str = "") -> None: ...

    def abort(self) -> None: ...

    def pause_reading(self) -> None: ...

    def resume_reading(self) -> None: ...

    @property
    def gathers(self) -> bool:
        """Many small writes in one turn of the event loop become one system call."""
        ...

    def write_straight(self) -> Callable[[bytes], None]:
        """Return what writes without looking whether the socket closes; for an open one."""
        ...

    @property
    def waiting_bytes(self) -> int:
        """What was written and the kernel has not taken."""
        ...


if TYPE_CHECKING:
    _Base = WebSocketsSansIOProtocol
else:
    _Base = object


class Attachable(_Base):
    """For a subclass of uvicorn's WebSocketsSansIOProtocol: `class Mine(Attachable,
    WebSocketsSansIOProtocol)`.
    """

    _reader: Reader | None = None
    _held = False

    # What an attached application calls.

    def attach(self, reader: Reader) -> None:
        assert self.handshake_complete, "accept the WebSocket before attaching to it"
        self._reader = reader
        self.stop_keepalive()  # hubs ping by messages of their own
        early = [message for message in _drained(self.queue) if message["type"] == "websocket.receive"]
        self._shed()
        for message in early:
            text = message.get("text")
            reader.received(text.encode() if text is not None else message["bytes"])
        if self.disconnected or self.transport.is_closing():
            self._tell_closed(NO_STATUS)
        elif self.read_paused:
            self.read_paused = False
            self.transport.resume_reading()

    def _shed(self) -> None:
        """Drop what only the opening needed: a third of an idle connection's memory."""
        self.queue = _NOWHERE
        for name in ("request", "response"):
            opening: Any = self.__dict__.pop(name, None)
            if opening is not None:
                opening.headers.clear()  # the parser's frame holds on to the request itself
        self.conn.events.clear()

    def write(self, frames: bytes) -> None:
        if not self.close_sent and not self.disconnected:
            self.transport.write(frames)

    def close(self, code: int = NORMAL, reason: str = "") -> None:
        if self.close_sent or self.disconnected or self.transport.is_closing():
            return
        self.conn.send_close(code, reason)
        self.transport.write(b"".join(self.conn.data_to_send()))
        self.close_sent = True
        self.resume_reading()
        self.close_timer = self.loop.call_later(CLOSE_WAIT_S, self.transport.abort)

    def abort(self) -> None:
        self.transport.abort()

    def pause_reading(self) -> None:
        if not self._held and not self.disconnected:
            self._held = True
            self.transport.pause_reading()

    def resume_reading(self) -> None:
        if self._held and not self.disconnected:
            self._held = False
            self.transport.resume_reading()

    @property
    def gathers(self) -> bool:
        return type(self.transport).__module__.startswith("uvloop")

    def write_straight(self) -> Callable[[bytes], None]:
        return self.transport.write

    @property
    def waiting_bytes(self) -> int:
        return self.transport.get_write_buffer_size()

    # What uvicorn calls.

    def handle_connect(self, event: Any) -> None:
        super().handle_connect(event)
        if hasattr(self, "scope"):
            # The task that reads the scope has not run yet.
            scope: Any = self.scope
            scope["extensions"][EXTENSION] = self

    def handle_text(self, event: Frame) -> None:
        if self._reader is None:
            super().handle_text(event)
        else:
            self._pass_on(event)

    def handle_bytes(self, event: Frame) -> None:
        if self._reader is None:
            super().handle_bytes(event)
        else:
            self._pass_on(event)

    def handle_cont(self, event: Frame) -> None:
        if self._reader is None or self.frames:
            super().handle_cont(event)
        else:
            self._pass_on(event)

    def send_receive_event_to_app(self) -> None:
        if self._reader is None:
            super().send_receive_event_to_app()
            return
        # A message of several frames that began before the application attached.
        data, self.frames = b"".join(self.frames), []
        self._reader.received(data)

    def _pass_on(self, event: Frame) -> None:
        assert self._reader is not None
        if not self.close_sent and event.data:
            self._reader.received(bytes(event.data))

    def handle_close(self, event: Frame) -> None:
        if self._reader is not None:
            self._reader.writing_ends()
        received = self.conn.close_rcvd
        nameless = received is not None and received.code == NO_STATUS
        if self._reader is not None and not self.close_sent and nameless:
            # A close without a code is answered with 1000, as ASP.NET does (rule S-18).
            self.conn.data_to_send()
            self.transport.write(bytes((0x80 | Opcode.CLOSE, 2)) + struct.pack("!H", NORMAL))
            self.close_sent = True
            self.transport.close()
            return
        super().handle_close(event)

    def pause_writing(self) -> None:
        super().pause_writing()
        if self._reader is not None:
            self._reader.writing_paused()

    def resume_writing(self) -> None:
        super().resume_writing()
        if self._reader is not None:
            self._reader.writing_resumed()

    def shutdown(self) -> None:
        if self._reader is not None and not self.close_sent:
            self._reader.server_stops()
            if self.close_sent:
                return
        super().shutdown()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        received = self.conn.close_rcvd
        self._tell_closed(received.code if received is not None else NO_STATUS)

    def _tell_closed(self, code: int) -> None:
        reader, self._reader = self._reader, None
        if reader is not None:
            reader.closed(code)


class HubWebSocket(Attachable, WebSocketsSansIOProtocol):
    """A `ws=` class for uvicorn: fast for hubs, uvicorn's own for every other application."""


class _Nowhere(asyncio.Queue[Any]):
    """Where uvicorn puts what an attached application is told by other means."""

    def put_nowait(self, item: Any) -> None: ...


_NOWHERE: Final = _Nowhere()


def _drained(queue: asyncio.Queue[Any]) -> list[Any]:
    messages: list[Any] = []
    while not queue.empty():
        messages.append(queue.get_nowait())
    return messages
