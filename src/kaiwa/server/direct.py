"""Answers written straight to the connection: no task, no message and no wait for each piece.

uvicorn's protocol with one addition: the scope of a request offers a `Client` that writes to the transport.
It learns at once that the peer left (`connection_lost`) or reads slowly (`pause_writing`). Who does not ask
for it is answered by ASGI as ever. Knows nothing of what is sent.
"""

from __future__ import annotations

import asyncio
from asyncio.transports import BaseTransport
from typing import Any, ClassVar, Final

from uvicorn.protocols.http.httptools_impl import STATUS_LINE

from kaiwa.gateway.client import EXTENSION, MOST_WAITING_BYTES, Fields, Listener, Write
from kaiwa.server.handshake import BoundedHandshake
from kaiwa.server.plain import MOST_BYTES, KnownHead, Plain
from kaiwa.server.reception import Reception

_NO_GUESSING: Final = b"x-content-type-options: nosniff\r\n"


class DirectConnection(BoundedHandshake):
    """A connection whose requests may be answered directly. With another parser than httptools nobody is
    offered that, and all goes by ASGI.

    A request whose head is known by its bytes does not go through uvicorn's parser. Such a head may come
    alone; then it is held until its body is here.
    """

    app: Any
    config: Any
    expect_100_continue: Any
    scope: Any
    server_state: Any
    tasks: Any
    _reception: Reception | None = None
    _direct: DirectClient | None = None
    # The request whose body is awaited for the reception: its cycle, its application, its head.
    _held: tuple[Any, Any, Plain] | None = None
    # The head that was taken out of what is being parsed, and the one that this connection sent last.
    _plain: Plain | None = None
    _known: KnownHead | None = None
    _early = b""
    _within = False
    _bounded = False

    def connection_made(self, transport: BaseTransport) -> None:
        self._reception = getattr(getattr(self.config.app, "state", None), "reception", None)
        super().connection_made(transport)

    def data_received(self, data: bytes) -> None:
        if self._early:
            data, self._early = self._early + data, b""
        cycle = self.cycle
        idle = cycle is None or cycle.response_complete
        if self._reception is None or self._within or not idle or self.transport.is_closing():
            super().data_received(data)
        elif not self._goes_straight(self._reception, data):
            self._plain = None
            super().data_received(data)
            if self._plain is not None and not self._within and self.cycle.keep_alive:
                self._known = self._reception.heads.learn(data, self._plain)

    def _goes_straight(self, reception: Reception, data: bytes) -> bool:
        """Have a request answered whose head is known, or keep what there is of it."""
        known = self._known
        place = None if known is None else known.body_of(data)
        if known is None or place is None:
            known = reception.heads.find(data)
            place = None if known is None else known.body_of(data)
        if known is None or place is None:
            return False
        start, size = place
        missing = start + size - len(data)
        if missing > 0 and size <= MOST_BYTES:
            self._early = data
            self._attend()
            return True
        if missing or not reception.took_again(known, data[start:], self._straight):
            return False
        self._known = known
        return True

    def _straight(self) -> DirectClient:
        self._attend()
        cycle = self.cycle = self._begun = _Cycle(self)
        return DirectClient(self, cycle)

    def _attend(self) -> None:
        """Wait for no head, and not for the end of the idle time."""
        uvicorn: Any = self
        uvicorn._unset_keepalive_if_required()
        self._stop_waiting()

    # What uvicorn's parser tells.

    def on_message_begin(self) -> None:
        parser: Any = super()
        parser.on_message_begin()
        self._within = True

    def on_headers_complete(self) -> None:
        parser: Any = super()
        parser.on_headers_complete()
        cycle = self.cycle
        if cycle is not None and cycle.scope is self.scope:
            self.scope["extensions"] = {EXTENSION: _Way(self, cycle)}

    def on_body(self, body: bytes) -> None:
        parser: Any = super()
        parser.on_body(body)
        if self._held is not None and len(self._held[0].body) > MOST_BYTES:
            cycle, app, _ = self._held
            self._held = None
            parser._start_asgi_task(cycle, app)

    def on_message_complete(self) -> None:
        parser: Any = super()
        parser.on_message_complete()
        self._within = False
        held, self._held = self._held, None
        if held is not None:
            self._receive(*held)

    def _start_asgi_task(self, cycle: Any, app: Any) -> None:
        """Let the reception have a request first, once its body is here."""
        reception = self._reception
        plain = None if reception is None or app is not self.app else reception.plain(cycle.scope)
        if plain is None:
            parser: Any = super()
            parser._start_asgi_task(cycle, app)
        elif cycle.more_body:
            self._held = cycle, app, plain
        else:
            self._receive(cycle, app, plain)

    def _receive(self, cycle: Any, app: Any, plain: Plain) -> None:
        reception = self._reception
        assert reception is not None, "it wanted this request"
        if reception.took_now(plain, bytes(cycle.body), _Way(self, cycle).client):
            cycle.body = bytearray()
            self._plain = plain
            return
        task = asyncio.get_running_loop().create_task(self._received(reception, cycle, app, plain))
        task.add_done_callback(self.tasks.discard)
        self.tasks.add(task)

    async def _received(self, reception: Reception, cycle: Any, app: Any, plain: Plain) -> None:
        """Let the reception answer, else the application. A bug must not leave a client waiting."""
        whole = False
        try:
            if await reception.took(plain, bytes(cycle.body), _Way(self, cycle).client):
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

    def bound_waiting(self) -> None:
        """Have `pause_writing` told before much of an answer waits here; for all the connection's answers."""
        if not self._bounded:
            self._bounded = True
            self.transport.set_write_buffer_limits(high=MOST_WAITING_BYTES)

    def answer_directly(self, direct: DirectClient | None) -> None:
        """Tell this one what becomes of the connection; None: nobody."""
        self._direct = direct


class _Unheard:
    """Nobody waits for the messages of a request that never was one of ASGI."""

    def set(self) -> None: ...


class _Cycle:
    """As much of a request as uvicorn asks of its connection's newest; its body is here."""

    message_event: ClassVar[_Unheard] = _Unheard()
    more_body: ClassVar[bool] = False
    scope: ClassVar[dict[str, str]] = {"http_version": "1.1"}
    body = b""
    disconnected = response_started = response_complete = waiting_for_100_continue = False
    keep_alive = True

    def __init__(self, connection: Any) -> None:
        self.on_response = connection.on_response_complete


class _Way:
    """What the scope holds: nothing is made for requests that do not ask."""

    __slots__ = ("_connection", "_cycle")

    def __init__(self, connection: DirectConnection, cycle: Any) -> None:
        self._connection = connection
        self._cycle = cycle

    def client(self) -> DirectClient:
        return DirectClient(self._connection, self._cycle)


def _lines(fields: Fields) -> bytes:
    return "".join(map("%s: %s\r\n".__mod__, fields)).encode("latin-1")


class _Usual:
    """Lines of every answer: uvicorn makes the values anew each second."""

    def __init__(self) -> None:
        self._fields: object = None
        self._lines = b""

    def lines(self, fields: list[tuple[bytes, bytes]]) -> bytes:
        if fields is not self._fields:
            self._fields = fields
            # As `security_headers` has it: what is written here passes no middleware.
            self._lines = b"".join([*(b"%b: %b\r\n" % field for field in fields), _NO_GUESSING])
        return self._lines


_USUAL: Final = _Usual()


class DirectClient:
    """The way back of one request. Fits `gateway.client.EarlyClient`. A head goes out with what follows it.

    The state that uvicorn keeps of a request is kept true, so that it goes on with the connection afterwards.
    """

    status = 0
    _listener: Listener | None = None
    _borne = b""
    _head = b""
    _chunked = True
    _over = False

    def __init__(self, connection: DirectConnection, cycle: Any) -> None:
        self._connection = connection
        self._cycle = cycle
        self._transport: asyncio.Transport = connection.transport
        self._gone = bool(cycle.disconnected or self._transport.is_closing())
        connection.answer_directly(self)
        if not self._gone:
            connection.bound_waiting()

    def listen(self, listener: Listener) -> None:
        self._listener = listener
        if self._gone:
            listener.client_gone()

    def bear(self, fields: Fields) -> None:
        self._borne = _lines(fields)

    def start(self, status: int, fields: Fields) -> None:
        cycle, self.status = self._cycle, status
        cycle.response_started, cycle.waiting_for_100_continue = True, False
        lines = b"\n" + _lines(fields)
        sized = b"\ncontent-length: " in lines
        self._chunked = not sized and cycle.scope["http_version"] != "1.0"
        framing = b""
        if self._chunked:
            framing = b"transfer-encoding: chunked\r\n"
        elif not sized:
            cycle.keep_alive = False
        if not cycle.keep_alive:
            framing += b"connection: close\r\n"
        usual = _USUAL.lines(self._connection.server_state.default_headers)
        self._head = b"%b%b%b%b%b\r\n" % (STATUS_LINE[status], lines[1:], self._borne, usual, framing)

    def write(self, data: bytes) -> None:
        if self._gone or self._over:
            return
        if not data:
            self._send_head()
            return
        piece = b"%x\r\n%b\r\n" % (len(data), data) if self._chunked else data
        if self._head:
            piece, self._head = self._head + piece, b""
        self._transport.write(piece)

    def way(self) -> Write | None:
        plain = self._chunked and not (self._head or self._gone or self._over)
        return self._transport.write if plain else None

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
