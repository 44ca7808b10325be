"""Answers written straight to the connection: no task, no message and no wait for each piece.

uvicorn's protocol with one addition: the scope of a request offers a `Client` that writes to the transport.
It learns at once that the peer left (`connection_lost`) or reads slowly (`pause_writing`). Who does not ask
for it is answered by ASGI as ever. Knows nothing of what is sent.
"""

from __future__ import annotations

import asyncio
from typing import Any, Final

from uvicorn.protocols.http.httptools_impl import STATUS_LINE

from kaiwa.gateway.client import EXTENSION, MOST_WAITING_BYTES, Fields, Listener
from kaiwa.server.handshake import BoundedHandshake
from kaiwa.server.reception import MOST_BYTES, Reception

_NO_GUESSING: Final = b"x-content-type-options: nosniff\r\n"


class DirectConnection(BoundedHandshake):
    """A connection whose requests may be answered directly. With another parser than httptools nobody is
    offered that, and all goes by ASGI."""

    app: Any
    config: Any
    expect_100_continue: Any
    scope: Any
    server_state: Any
    tasks: Any
    _direct: DirectClient | None = None
    # The request whose body is awaited for the reception.
    _held: Any = None
    _held_app: Any = None

    def on_headers_complete(self) -> None:
        parser: Any = super()
        parser.on_headers_complete()
        cycle = self.cycle
        if cycle is not None and cycle.scope is self.scope:
            self.scope["extensions"] = {EXTENSION: _Way(self, cycle)}

    def on_body(self, body: bytes) -> None:
        parser: Any = super()
        parser.on_body(body)
        if self._held is not None and len(self._held.body) > MOST_BYTES:
            parser._start_asgi_task(*self._release())

    def on_message_complete(self) -> None:
        parser: Any = super()
        parser.on_message_complete()
        if self._held is not None:
            self._receive(*self._release())

    def _start_asgi_task(self, cycle: Any, app: Any) -> None:
        """Let the reception have a request first, once its body is here."""
        reception = self._reception
        if reception is None or app is not self.app or not reception.may_take(cycle.scope):
            parser: Any = super()
            parser._start_asgi_task(cycle, app)
        elif cycle.more_body:
            self._held, self._held_app = cycle, app
        else:
            self._receive(cycle, app)

    @property
    def _reception(self) -> Reception | None:
        return getattr(getattr(self.config.app, "state", None), "reception", None)

    def _release(self) -> tuple[Any, Any]:
        held, self._held = (self._held, self._held_app), None
        self._held_app = None
        return held

    def _receive(self, cycle: Any, app: Any) -> None:
        task = asyncio.get_running_loop().create_task(self._received(cycle, app))
        task.add_done_callback(self.tasks.discard)
        self.tasks.add(task)

    async def _received(self, cycle: Any, app: Any) -> None:
        """Let the reception answer, else the application. A bug must not leave a client waiting."""
        reception, whole = self._reception, False
        assert reception is not None, "it wanted this request"
        try:
            if await reception.took(cycle.scope, bytes(cycle.body), _Way(self, cycle).client):
                cycle.body = bytearray()
            else:
                await cycle.run_asgi(app)
            whole = True
        finally:
            if not whole:
                self.transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        if self._direct is not None:
            self._direct.lost()

    def pause_writing(self) -> None:
        super().pause_writing()
        if self._direct is not None:
            self._direct.listener_is_full()

    def resume_writing(self) -> None:
        super().resume_writing()
        if self._direct is not None:
            self._direct.listener_is_ready()

    def answer_directly(self, direct: DirectClient | None) -> None:
        """Tell this one what becomes of the connection; None: nobody."""
        self._direct = direct


class _Way:
    """What the scope holds: nothing is made for requests that do not ask."""

    __slots__ = ("_connection", "_cycle")

    def __init__(self, connection: DirectConnection, cycle: Any) -> None:
        self._connection = connection
        self._cycle = cycle

    def client(self) -> DirectClient:
        return DirectClient(self._connection, self._cycle)


class DirectClient:
    """The way back of one request. Fits `gateway.client.Client`.

    The state that uvicorn keeps of a request is kept true, so that it goes on with the connection afterwards.
    """

    __slots__ = (
        "_chunked",
        "_connection",
        "_cycle",
        "_gone",
        "_head",
        "_listener",
        "_over",
        "_transport",
        "status",
    )

    def __init__(self, connection: DirectConnection, cycle: Any) -> None:
        self._connection = connection
        self._cycle = cycle
        self._transport: asyncio.Transport = connection.transport
        self._listener: Listener | None = None
        self.status = 0
        self._head = b""
        self._chunked = True
        self._over = False
        self._gone = bool(cycle.disconnected or self._transport.is_closing())
        connection.answer_directly(self)

    def listen(self, listener: Listener) -> None:
        self._listener = listener
        if self._gone:
            listener.client_gone()

    def start(self, status: int, fields: Fields) -> None:
        cycle, self.status = self._cycle, status
        cycle.response_started, cycle.waiting_for_100_continue = True, False
        names = {name for name, _ in fields}
        modern = cycle.scope["http_version"] != "1.0"
        self._chunked = "content-length" not in names and modern
        lines = [f"{name}: {value}\r\n".encode("latin-1") for name, value in fields]
        lines += [b"%b: %b\r\n" % field for field in self._connection.server_state.default_headers]
        lines.append(_NO_GUESSING)  # as `security_headers` has it: what is written here passes no middleware
        if self._chunked:
            lines.append(b"transfer-encoding: chunked\r\n")
        elif "content-length" not in names:
            cycle.keep_alive = False
        if not cycle.keep_alive:
            lines.append(b"connection: close\r\n")
        self._head = b"".join((STATUS_LINE[status], *lines, b"\r\n"))
        if not self._gone:
            self._transport.set_write_buffer_limits(high=MOST_WAITING_BYTES)
        # It goes out together with what is written in the same turn.
        asyncio.get_running_loop().call_soon(self._send_head)

    def write(self, data: bytes) -> None:
        if self._gone or self._over or not data:
            return
        piece = b"%x\r\n%b\r\n" % (len(data), data) if self._chunked else data
        if self._head:
            piece, self._head = self._head + piece, b""
        self._transport.write(piece)

    def finish(self, trailers: Fields = ()) -> None:
        if self._over:
            return
        self._over = True
        self._connection.answer_directly(None)
        if self._gone:
            return
        last = self._head
        if self._chunked:
            fields = "".join(f"{name}: {value}\r\n" for name, value in trailers)
            last += f"0\r\n{fields}\r\n".encode("latin-1")
        if last:
            self._transport.write(last)
        self._head = b""
        self._transport.set_write_buffer_limits()
        self._close_cycle()

    def cut(self) -> None:
        self._over = True
        self._connection.answer_directly(None)
        if not self._gone:
            self._cycle.disconnected = True
            self._cycle.message_event.set()
            self._transport.close()

    # What the connection tells.

    def lost(self) -> None:
        self._gone = True
        self._connection.answer_directly(None)
        if self._listener is not None and not self._over:
            self._listener.client_gone()

    def listener_is_full(self) -> None:
        if self._listener is not None:
            self._listener.client_full()

    def listener_is_ready(self) -> None:
        if self._listener is not None:
            self._listener.client_ready()

    def _send_head(self) -> None:
        head, self._head = self._head, b""
        if head and not self._gone:
            self._transport.write(head)

    def _close_cycle(self) -> None:
        cycle = self._cycle
        cycle.response_complete = True
        cycle.message_event.set()
        if not cycle.keep_alive:
            self._transport.close()
        cycle.on_response()
