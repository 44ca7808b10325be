"""One connection: a question out, an answer in, again and again. Knows no other connection.

Bytes of a body reach their sink in the callback that read them. There is one timer a connection, armed anew
when it fires and not with every byte.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from typing import Final, Protocol, cast

from kaiwa.errors import UpstreamError
from kaiwa.upstream.http1.bodies import Body, body_of
from kaiwa.upstream.http1.heads import MAX_HEAD_BYTES, ResponseHead, parse_head

_HEAD_END: Final = b"\r\n\r\n"
# Reads kept while nobody takes the body yet; then the socket waits.
_MOST_EARLY: Final = 4


class Sink(Protocol):
    """Who takes a body. One `ended` or one `broken` comes last; both may come within `deliver`."""

    def body(self, data: bytes) -> None: ...

    def ended(self) -> None: ...

    def broken(self, error: UpstreamError) -> None: ...


class Ending(Protocol):
    """Who hears how a body ended."""

    def ended(self) -> None: ...

    def broken(self, error: UpstreamError) -> None: ...


class Unanswered(Exception):
    """The connection closed before any byte of an answer: what was kept for long may have been given up."""


class Connection(asyncio.Protocol):
    """A socket to one origin. `ask` once for each question; `deliver` or `release` before the next."""

    def __init__(self, idle_s: float) -> None:
        self._loop = asyncio.get_running_loop()
        self._idle_s = idle_s
        self._transport: asyncio.Transport | None = None
        self._answer: asyncio.Future[ResponseHead] | None = None
        self._head_bytes = bytearray()
        self._body: Body | None = None
        self._early: list[bytes] = []
        self._sink: Ending | None = None
        self._take: Callable[[bytes], None] = _drop
        self._failure: UpstreamError | None = None
        self._keep_alive = False
        self._paused = self._closed = False
        self._heard = 0.0
        self._patience_s = 0.0
        self._timer: asyncio.TimerHandle | None = None

    @property
    def reusable(self) -> bool:
        """Whether another question may be asked."""
        body = self._body
        finished = body is None or (body.done and not body.excess and self._keep_alive)
        return finished and not self._closed and not self._unwritten

    @property
    def tls(self) -> ssl.SSLObject | None:
        return None if self._transport is None else self._transport.get_extra_info("ssl_object")

    async def ask(self, question: bytes, first_byte_s: float) -> ResponseHead:
        """Send a question and return the head of its answer. Raises UpstreamError, Unanswered."""
        if self._transport is None or self._closed:
            raise Unanswered
        self._body, self._failure, self._sink = None, None, None
        self._head_bytes.clear()
        self._early.clear()
        self._answer = self._loop.create_future()
        self._wait(first_byte_s)
        self._transport.write(question)
        try:
            return await self._answer
        except BaseException:
            self.abort()
            raise
        finally:
            self._answer = None

    def deliver(self, sink: Ending, take: Callable[[bytes], None]) -> None:
        """Hand over the body: what is here now, the rest as it comes. `sink` hears of its end."""
        self._sink, self._take = sink, take
        early, self._early = b"".join(self._early), []
        if early:
            take(early)
        if self._sink is not sink:  # it has had enough
            return
        if self._failure is not None:
            self._finish(self._failure)
        elif self._body is not None and self._body.done:
            self._finish(None)
        else:
            self.resume()

    def drop_body(self) -> None:
        """Take the rest of the body and give it to nobody."""
        self._take = _drop

    def pause(self) -> None:
        """Read no more: the service waits when buffers are full. The wait is not the service's silence."""
        if not self._paused and not self._closed and self._transport is not None:
            self._paused = True
            self._transport.pause_reading()

    def resume(self) -> None:
        if self._paused and not self._closed and self._transport is not None:
            self._paused = False
            self._heard = self._loop.time()
            self._transport.resume_reading()

    def abort(self) -> None:
        """Close at once; nothing more is delivered."""
        self._sink, self._take = None, _drop
        self._stop_waiting()
        if self._transport is not None and not self._closed:
            self._closed = True
            self._transport.abort()

    def rest(self) -> None:
        """Be kept: wait for nothing, and close when anything comes unasked."""
        self._body, self._take = None, _drop
        self._stop_waiting()
        self.resume()

    # What the transport calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self._heard = self._loop.time()
        try:
            if self._body is not None:
                self._pass(self._body, data)
            elif self._answer is not None and not self._answer.done():
                self._take_head(self._answer, data)
            else:
                self.abort()
        except UpstreamError as error:
            self._fail(error)

    def eof_received(self) -> bool:
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self._closed = True
        if self._answer is not None and not self._answer.done() and not self._head_bytes:
            self._answer.set_exception(Unanswered())
        elif self._body is None or self._body.done:
            self._fail(_cut_off())
        elif exc is None and self._body.close():
            self._finish(None)
        else:
            self._fail(_cut_off())

    @property
    def _unwritten(self) -> bool:
        return self._transport is None or self._transport.get_write_buffer_size() > 0

    def _take_head(self, answer: asyncio.Future[ResponseHead], data: bytes) -> None:
        self._head_bytes += data
        while (end := self._head_bytes.find(_HEAD_END, 0, MAX_HEAD_BYTES)) >= 0:
            head = parse_head(bytes(self._head_bytes[:end]))
            del self._head_bytes[: end + len(_HEAD_END)]
            if head.status < 200:
                self._skip(head)
                continue
            self._begin(head)
            answer.set_result(head)
            return
        if len(self._head_bytes) >= MAX_HEAD_BYTES:
            raise _garbled("has a head without end")

    def _skip(self, head: ResponseHead) -> None:
        if head.status == 101:
            raise _garbled("changes the protocol unasked")

    def _begin(self, head: ResponseHead) -> None:
        self._keep_alive = head.keep_alive
        self._body = body_of(head)
        self._wait(self._idle_s)
        rest = bytes(self._head_bytes)
        self._head_bytes.clear()
        if rest:
            self._pass(self._body, rest)

    def _pass(self, body: Body, data: bytes) -> None:
        content = body.feed(data)
        sink = self._sink
        if sink is None:
            self._early.append(content)
            if len(self._early) >= _MOST_EARLY:
                self.pause()
            return
        if content:
            self._take(content)
        if body.done and self._sink is not None:
            self._finish(None)

    def _fail(self, error: UpstreamError) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(error)
        self._finish(error)
        self.abort()

    def _finish(self, error: UpstreamError | None) -> None:
        self._stop_waiting()
        sink, self._sink = self._sink, None
        if sink is None:
            self._failure = self._failure or error
        elif error is None:
            sink.ended()
        else:
            sink.broken(error)

    def _wait(self, patience_s: float) -> None:
        self._patience_s = patience_s
        self._heard = self._loop.time()
        self._stop_waiting()
        self._timer = self._loop.call_at(self._heard + patience_s, self._look)

    def _look(self) -> None:
        now = self._loop.time()
        if self._paused:
            self._heard = now
        due = self._heard + self._patience_s
        if now < due:
            self._timer = self._loop.call_at(due, self._look)
            return
        self._timer = None
        self._fail(UpstreamError("upstream_timeout", "The service did not answer in time.", retryable=True))

    def _stop_waiting(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


def _drop(data: bytes) -> None:
    """Nobody wants it."""


def _cut_off() -> UpstreamError:
    return UpstreamError("upstream_cut_off", "The service's answer broke off.", retryable=True)


def _garbled(what: str) -> UpstreamError:
    return UpstreamError("upstream_garbled", f"The service's answer {what}.", retryable=True)
