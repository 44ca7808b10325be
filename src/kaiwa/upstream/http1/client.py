"""Connections to services, kept and used again. Knows origins and counts; nothing of what is asked for.

Keys and addresses travel in requests only: no message, log line or repr of this room shows one.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

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

    def offer_chunks(self, take: Callable[[bytes], bool]) -> None:
        """From now on offer what may be a whole chunk, as it came, before it goes to the sink."""
        if self._connection is not None:
            self._connection.offer_chunks(take)

    def deliver(self, sink: Sink) -> None:
        """Give the body to the sink as it comes."""
        assert self._connection is not None, "a body is taken once"
        self._sink = sink
        self._connection.deliver(self, sink)

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
            self._connection.drop_body(seconds)

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


class Inquirer(Protocol):
    """Who hears what came of a question: one of both, once, and never within `ask_kept`."""

    def answered(self, exchange: Exchange) -> None: ...

    def unanswered(self, error: UpstreamError | Unanswered) -> None: ...


class Question:
    """What was asked, until the head of its answer is here. `close` it, and nothing more is told."""

    __slots__ = ("_client", "_connection", "_inquirer", "_origin")

    def __init__(
        self, client: HttpClient, origin: Origin, connection: Connection, inquirer: Inquirer
    ) -> None:
        self._client = client
        self._origin = origin
        self._connection = connection
        self._inquirer = inquirer

    def close(self) -> None:
        self._client.forget(self._connection)
        self._connection.abort()

    # As who hears from its connection.

    def answered(self, head: ResponseHead) -> None:
        self._inquirer.answered(Exchange(self._client, self._origin, self._connection, head))

    def unanswered(self, error: UpstreamError | Unanswered) -> None:
        self._client.forget(self._connection)
        self._inquirer.unanswered(error)


class HttpClient:
    """Every connection of a process. Create it anywhere, use and close it in one loop."""

    def __init__(self, limits: Limits | None = None, tls: ssl.SSLContext | None = None) -> None:
        """`tls` None: what this machine trusts."""
        self._limits = limits or Limits()
        self._tls = tls
        self._kept: dict[Origin, list[Connection]] = {}
        self._open: set[Connection] = set()

    @property
    def counts(self) -> tuple[int, int]:
        """Connections that are open, and those among them that wait for a question."""
        return len(self._open), sum(len(kept) for kept in self._kept.values())

    async def send(self, request: Request, *, first_byte_s: float | None = None) -> Exchange:
        """Ask, and return when the head of the answer is there. Raises UpstreamError.

        A kept connection that closes before any byte of an answer is replaced, at last by a new one.
        """
        patience_s = self._limits.first_byte_s if first_byte_s is None else first_byte_s
        while (connection := self._take_kept(request.origin)) is not None:
            try:
                return await self._answer(request, connection, patience_s)
            except Unanswered:
                continue
        try:
            connection = await self._connect(request.origin)
            return await self._answer(request, connection, patience_s)
        except Unanswered:
            raise _unreachable() from None

    def ask_kept(self, request: Request, inquirer: Inquirer) -> Question | None:
        """Ask at once, on a connection that was kept; None: there is none, and nothing was asked.

        If it closes before any byte of an answer (`Unanswered`), `send` may ask the same again.
        """
        connection = self._take_kept(request.origin)
        if connection is None:
            return None
        question = Question(self, request.origin, connection, inquirer)
        connection.ask(request.encoded(), self._limits.first_byte_s, question)
        return question

    def forget(self, connection: Connection) -> None:
        """Count a connection no longer: it is closed."""
        self._open.discard(connection)

    def take_back(self, origin: Origin, connection: Connection) -> None:
        """Keep a connection for the next question, or close it."""
        kept = self._kept.setdefault(origin, [])
        if origin.scheme == "https" and isinstance(self._tls, RememberingContext):
            self._tls.remember(connection.tls)
        if not connection.reusable or len(kept) >= self._limits.kept_per_origin:
            self._open.discard(connection)
            connection.abort()
            return
        connection.rest(self._limits.kept_s, self._give_up)
        kept.append(connection)

    async def close(self) -> None:
        """Close every connection, also those in use."""
        self._kept.clear()
        for connection in self._open:
            connection.abort()
        self._open.clear()

    async def _answer(self, request: Request, connection: Connection, patience_s: float) -> Exchange:
        if connection.closed:
            self._open.discard(connection)
            raise Unanswered
        waiting = _Waiting()
        question = Question(self, request.origin, connection, waiting)
        connection.ask(request.encoded(), patience_s, question)
        try:
            return await waiting.exchange
        except BaseException:
            question.close()
            raise

    def _take_kept(self, origin: Origin) -> Connection | None:
        kept = self._kept.get(origin)
        while kept:
            connection = kept.pop()  # the one used last: what is too many grows old and goes
            if connection.reusable:
                return connection
            self._open.discard(connection)
            connection.abort()
        return None

    def _give_up(self, connection: Connection) -> None:
        for kept in self._kept.values():
            if connection in kept:
                kept.remove(connection)
        self._open.discard(connection)
        connection.abort()

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


class _Waiting:
    """Lets somebody wait for what came of a question."""

    def __init__(self) -> None:
        self.exchange: asyncio.Future[Exchange] = asyncio.get_running_loop().create_future()

    def answered(self, exchange: Exchange) -> None:
        if self.exchange.done():  # whoever waited was told to stop in this turn of the loop
            exchange.close()
        else:
            self.exchange.set_result(exchange)

    def unanswered(self, error: UpstreamError | Unanswered) -> None:
        if not self.exchange.done():
            self.exchange.set_exception(error)


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
