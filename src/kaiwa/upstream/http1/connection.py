"""One connection: a question out, an answer in, again and again. Knows no other connection.

Heads and bodies reach whoever waits for them in the callback that read them. There is one timer a connection:
it is armed anew when it fires and something is due later, not with every byte and every question.
"""

from __future__ import annotations

import asyncio
import math
import ssl
from collections.abc import Callable
from typing import Final, Protocol, cast

from kaiwa.errors import UpstreamError
from kaiwa.upstream.http1.bodies import Body, body_of
from kaiwa.upstream.http1.heads import MAX_HEAD_BYTES, ResponseHead, parse_head

_HEAD_END: Final = b"\r\n\r\n"
# Reads kept while nobody takes the body yet; then the socket waits.
_MOST_EARLY: Final = 4
_NEVER: Final = math.inf
# A process that stood still on a busy machine may find its timers due before it has read what came meanwhile.
# So a service is called silent when there was time to read, too.
BREATH_S: Final = 0.01


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


class Asker(Protocol):
    """Who hears of the head of an answer: one of both, once, and never within `ask`."""

    def answered(self, head: ResponseHead) -> None:
        """The body follows. Take it now or later; until then the socket waits."""
        ...

    def unanswered(self, error: UpstreamError | Unanswered) -> None: ...


class Connection(asyncio.Protocol):
    """A socket to one origin. `ask` once for each question; `deliver` its body and `rest` before the next."""

    def __init__(self, idle_s: float) -> None:
        self._loop = asyncio.get_running_loop()
        self._idle_s = idle_s
        self._transport: asyncio.Transport | None = None
        self._asker: Asker | None = None
        self._head_bytes = bytearray()
        self._body: Body | None = None
        self._early: list[bytes] = []
        self._sink: Ending | None = None
        self._take: Callable[[bytes], None] = _drop
        self._take_chunk: Callable[[bytes], bool] | None = None
        self._failure: UpstreamError | None = None
        self._keep_alive = False
        self._paused = self._closed = False
        self._tired: Callable[[Connection], None] | None = None
        # Something must be heard so many seconds after the last, and all be over by then.
        self._heard = 0.0
        self._patience_s = self._deadline = _NEVER
        self._timer: asyncio.TimerHandle | None = None
        self._looks_at = _NEVER
        self._looked = False

    @property
    def reusable(self) -> bool:
        """Whether another question may be asked."""
        body, transport = self._body, self._transport
        if self._closed or transport is None or transport.get_write_buffer_size() > 0:
            return False
        return body is None or (body.done and not body.excess and self._keep_alive)

    @property
    def closed(self) -> bool:
        return self._closed or self._transport is None

    @property
    def tls(self) -> ssl.SSLObject | None:
        return None if self._transport is None else self._transport.get_extra_info("ssl_object")

    def ask(self, question: bytes, first_byte_s: float, asker: Asker) -> None:
        """Send a question. It must not be closed."""
        transport = self._transport
        assert transport is not None, "who asks has looked whether it is closed"
        self._asker = asker
        transport.write(question)
        self._tired = None
        self._await(first_byte_s)

    def deliver(self, ending: Ending, sink: Sink) -> None:
        """Hand over the body: what is here now, the rest as it comes. `ending` hears of its end."""
        self._sink, self._take = ending, sink.body
        if self._early:
            early, self._early = b"".join(self._early), []
            sink.body(early)
            if self._sink is not ending:  # it has had enough
                return
        if self._failure is not None:
            self._finish(self._failure)
        elif self._body is not None and self._body.done:
            self._finish(None)
        elif self._paused:
            self.resume()

    def offer_chunks(self, take: Callable[[bytes], bool]) -> None:
        """From now on offer bytes that may be one whole chunk, as they came. Who says no gets their content
        by the sink."""
        self._take_chunk = take

    def drop_body(self, within_s: float) -> None:
        """Give the rest of the body to nobody; it is broken off unless it ends in time."""
        self._take, self._take_chunk = _drop, None
        if self._body is not None and not self._body.done:
            self._await(_NEVER, within_s)

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
        self._asker, self._sink, self._take, self._take_chunk = None, None, _drop, None
        self._stop_looking()
        if self._transport is not None and not self._closed:
            self._closed = True
            self._transport.abort()

    def rest(self, kept_s: float, tired: Callable[[Connection], None]) -> None:
        """Be kept for so long, then tell, or when it is lost; close when anything comes unasked."""
        self._body, self._failure, self._take, self._tired = None, None, _drop, tired
        self._take_chunk = None
        self._early.clear()
        self._await(_NEVER, kept_s)
        self.resume()

    # What the transport calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self._heard = self._loop.time()
        body = self._body
        try:
            if body is not None:
                take = self._take_chunk
                if take is None or not body.resting or not take(data):
                    self._pass(body, data)
            elif self._asker is not None:
                self._take_head(self._asker, data)
            else:
                self.abort()
        except UpstreamError as error:
            self._fail(error)

    def eof_received(self) -> bool:
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self._closed = True
        asker, tired = self._asker, self._tired
        if tired is not None:
            self.abort()
            tired(self)
        elif asker is not None and not self._head_bytes:
            self.abort()
            asker.unanswered(Unanswered())
        elif self._body is None or self._body.done:
            self._fail(_cut_off())
        elif exc is None and self._body.close():
            self._finish(None)
        else:
            self._fail(_cut_off())

    def _take_head(self, asker: Asker, data: bytes) -> None:
        if self._head_bytes:
            data = bytes(self._head_bytes) + data
            self._head_bytes.clear()
        while (end := data.find(_HEAD_END, 0, MAX_HEAD_BYTES)) >= 0:
            head = parse_head(data[:end])
            data = data[end + len(_HEAD_END) :]
            if head.status < 200:
                self._skip(head)
                continue
            self._begin(asker, head, data)
            return
        self._head_bytes += data
        if len(data) >= MAX_HEAD_BYTES:
            raise _garbled("has a head without end")

    def _skip(self, head: ResponseHead) -> None:
        if head.status == 101:
            raise _garbled("changes the protocol unasked")

    def _begin(self, asker: Asker, head: ResponseHead, rest: bytes) -> None:
        """Let the asker take the body, or close, before its first bytes come."""
        self._asker, self._keep_alive = None, head.keep_alive
        self._body = body = body_of(head)
        self._await(self._idle_s)
        asker.answered(head)
        if not rest or self._closed:
            return
        if self._body is body:
            self._pass(body, rest)
        else:  # the answer is over, and this is more
            self.abort()

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
        asker = self._asker
        if asker is not None:
            self.abort()
            asker.unanswered(error)
            return
        self._finish(error)
        self.abort()

    def _finish(self, error: UpstreamError | None) -> None:
        self._patience_s = self._deadline = _NEVER
        sink, self._sink = self._sink, None
        if sink is None:
            self._failure = self._failure or error
        elif error is None:
            sink.ended()
        else:
            sink.broken(error)

    def _await(self, patience_s: float, within_s: float = _NEVER) -> None:
        """From now on, look again when something is due. A timer that fires before that may stay."""
        self._heard = now = self._loop.time()
        self._patience_s, self._deadline = patience_s, now + within_s
        due = now + min(patience_s, within_s)
        if due < self._looks_at:
            self._look_at(due)

    def _look_at(self, due: float) -> None:
        self._stop_looking()
        if due < _NEVER:
            self._looks_at, self._timer = due, self._loop.call_at(due, self._look)

    def _look(self) -> None:
        now = self._loop.time()
        self._looks_at, self._timer = _NEVER, None
        if self._paused:
            self._heard = now
        due = min(self._heard + self._patience_s, self._deadline)
        looked, self._looked = self._looked, now >= due
        if now < due:
            self._look_at(due)
        elif not looked:
            self._look_at(now + BREATH_S)
        elif self._tired is not None:
            self._tired(self)
        else:
            text = "The service did not answer in time."
            self._fail(UpstreamError("upstream_timeout", text, retryable=True))

    def _stop_looking(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._looks_at, self._timer = _NEVER, None


def _drop(data: bytes) -> None:
    """Nobody wants it."""


def _cut_off() -> UpstreamError:
    return UpstreamError("upstream_cut_off", "The service's answer broke off.", retryable=True)


def _garbled(what: str) -> UpstreamError:
    return UpstreamError("upstream_garbled", f"The service's answer {what}.", retryable=True)
