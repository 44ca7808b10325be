"""Connections to services, kept and used again. Knows origins and counts; nothing of what is asked for.

Keys and addresses travel in requests only: no message, log line or repr of this room shows one.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from dataclasses import dataclass

from kaiwa.errors import UpstreamError
from kaiwa.upstream.http1.connection import Connection, Sink, Unanswered
from kaiwa.upstream.http1.heads import Origin, Request, ResponseHead
from kaiwa.upstream.http1.tls import RememberingContext, client_context


@dataclass(frozen=True)
class Limits:
    """How long to wait, and how many connections may be. `idle_s`: for each further piece of a body."""

    connect_s: float = 5.0
    first_byte_s: float = 60.0
    idle_s: float = 60.0
    kept_s: float = 50.0
    """Below the 60 s after which gateways of services close what is idle."""
    kept_per_origin: int = 64
    most_open: int = 4096


class Exchange:
    """One answer whose head has come. Take its body once, by `deliver` or `read`; then or before, `close`."""

    __slots__ = ("_client", "_connection", "_origin", "_sink", "head")

    def __init__(
        self, client: HttpClient, origin: Origin, connection: Connection, head: ResponseHead
    ) -> None:
        self._client = client
        self._origin = origin
        self._connection: Connection | None = connection
        self._sink: Sink | None = None
        self.head = head

    def deliver(self, sink: Sink) -> None:
        """Give the body to the sink as it comes."""
        assert self._connection is not None, "a body is taken once"
        self._sink = sink
        self._connection.deliver(self, sink.body)

    async def read(self, most_bytes: int) -> bytes:
        """Return the whole body, and close. Raises UpstreamError, also when it is longer than that."""
        collected = _Collected(most_bytes)
        try:
            self.deliver(collected)
            return await collected.whole
        finally:
            self.close()

    def pause(self) -> None:
        if self._connection is not None:
            self._connection.pause()

    def resume(self) -> None:
        if self._connection is not None:
            self._connection.resume()

    def linger(self, seconds: float) -> None:
        """Drop the rest of the body; keep the connection if it ends in time, else close it."""
        self._sink = None
        if self._connection is not None:
            self._connection.drop_body()
            asyncio.get_running_loop().call_later(seconds, self.close)

    def close(self) -> None:
        """Keep the connection when the body is over, else close its socket at once."""
        connection, self._connection, self._sink = self._connection, None, None
        if connection is not None:
            self._client.take_back(self._origin, connection)

    # As who hears the end from its connection.

    def ended(self) -> None:
        sink = self._sink
        self.close()
        if sink is not None:
            sink.ended()

    def broken(self, error: UpstreamError) -> None:
        sink = self._sink
        self.close()
        if sink is not None:
            sink.broken(error)


class HttpClient:
    """Every connection of a process. Create it anywhere, use and close it in one loop."""

    def __init__(self, limits: Limits | None = None, tls: ssl.SSLContext | None = None) -> None:
        """`tls` None: what this machine trusts."""
        self._limits = limits or Limits()
        self._tls = tls
        self._kept: dict[Origin, list[_Kept]] = {}
        self._open: set[Connection] = set()

    @property
    def counts(self) -> tuple[int, int]:
        """Connections that are open, and those among them that wait for a question."""
        return len(self._open), sum(len(kept) for kept in self._kept.values())

    async def send(self, request: Request, *, first_byte_s: float | None = None) -> Exchange:
        """Ask, and return when the head of the answer is there. Raises UpstreamError.

        A kept connection that closes before any byte of an answer is replaced, at last by a new one.
        """
        question = request.encoded()
        patience_s = self._limits.first_byte_s if first_byte_s is None else first_byte_s
        while (connection := self._take_kept(request.origin)) is not None:
            try:
                return await self._ask(request.origin, connection, question, patience_s)
            except Unanswered:
                continue
        try:
            connection = await self._connect(request.origin)
            return await self._ask(request.origin, connection, question, patience_s)
        except Unanswered:
            raise _unreachable() from None

    async def warm(self, origin: Origin, count: int = 1) -> None:
        """Open connections before they are needed. Raises UpstreamError."""
        for connection in [await self._connect(origin) for _ in range(count)]:
            self.take_back(origin, connection)

    def take_back(self, origin: Origin, connection: Connection) -> None:
        """Keep a connection for the next question, or close it."""
        kept = self._kept.setdefault(origin, [])
        if isinstance(self._tls, RememberingContext) and origin.scheme == "https":
            self._tls.remember(connection.tls)
        if not connection.reusable or len(kept) >= self._limits.kept_per_origin:
            self._open.discard(connection)
            connection.abort()
            return
        connection.rest()
        kept.append(_Kept(connection, self._limits.kept_s, self._give_up))

    async def close(self) -> None:
        """Close every connection, also those in use."""
        for kept in self._kept.values():
            for entry in kept:
                entry.timer.cancel()
        self._kept.clear()
        for connection in self._open:
            connection.abort()
        self._open.clear()

    async def _ask(
        self, origin: Origin, connection: Connection, question: bytes, patience_s: float
    ) -> Exchange:
        try:
            head = await connection.ask(question, patience_s)
        except BaseException:
            self._open.discard(connection)
            raise
        return Exchange(self, origin, connection, head)

    def _take_kept(self, origin: Origin) -> Connection | None:
        kept = self._kept.get(origin, [])
        while kept:
            entry = kept.pop()  # the one used last: what is too many grows old and goes
            entry.timer.cancel()
            if entry.connection.reusable:
                return entry.connection
            self._open.discard(entry.connection)
            entry.connection.abort()
        return None

    def _give_up(self, entry: _Kept) -> None:
        for kept in self._kept.values():
            if entry in kept:
                kept.remove(entry)
        self._open.discard(entry.connection)
        entry.connection.abort()

    async def _connect(self, origin: Origin) -> Connection:
        if len(self._open) >= self._limits.most_open:
            raise UpstreamError("upstream_busy", "Too many connections are open.", retryable=True)
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(self._limits.connect_s):
                _, connection = await loop.create_connection(
                    lambda: Connection(self._limits.idle_s),
                    origin.host,
                    origin.port,
                    ssl=self._context(origin),
                    server_hostname=origin.host if origin.scheme == "https" else None,
                )
        except (OSError, ssl.SSLError, TimeoutError):  # their texts name the host
            raise _unreachable() from None
        self._open.add(connection)
        return connection

    def _context(self, origin: Origin) -> ssl.SSLContext | None:
        if origin.scheme == "http":
            return None
        if self._tls is None:
            self._tls = client_context()
        return self._tls


class _Kept:
    """A connection that waits, and the timer that ends its wait."""

    __slots__ = ("connection", "timer")

    def __init__(self, connection: Connection, kept_s: float, give_up: Callable[[_Kept], None]) -> None:
        self.connection = connection
        self.timer = asyncio.get_running_loop().call_later(kept_s, give_up, self)


class _Collected:
    """A sink that waits for the whole."""

    def __init__(self, most_bytes: int) -> None:
        self._most_bytes = most_bytes
        self._data = bytearray()
        self.whole: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

    def body(self, data: bytes) -> None:
        self._data += data
        if len(self._data) > self._most_bytes:
            self.broken(UpstreamError("upstream_too_large", "The service's answer is too large."))

    def ended(self) -> None:
        if not self.whole.done():
            self.whole.set_result(bytes(self._data))

    def broken(self, error: UpstreamError) -> None:
        if not self.whole.done():
            self.whole.set_exception(error)


def _unreachable() -> UpstreamError:
    return UpstreamError("upstream_unreachable", "The service cannot be reached.", retryable=True)
