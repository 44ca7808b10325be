"""One answer, mostly one that streams: from the request to its one ending, whatever happens on either side.

Bytes from the service are written to the client in the callback that read them. Where nothing must be waited
for (a kept connection, a key that is there, a deployment that answers with a stream), all of it runs in
callbacks, from the question on; a task does the rest: failover, hedging, refusals, answers in one piece.
Knows one client (or a log that outlives it) and one attempt at a time.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, Protocol

from kaiwa.gateway.accounts import Account
from kaiwa.gateway.asking import Asked
from kaiwa.gateway.attempt import EVENTS, Attempt, Clock
from kaiwa.gateway.choosing import Choosing
from kaiwa.gateway.client import Fields, Write
from kaiwa.gateway.ended import StreamEnded
from kaiwa.gateway.headers import downwards
from kaiwa.gateway.interruption import Interrupted, Interruption
from kaiwa.gateway.reasons import Reason, Refusal, error_event, event_of, failed, words_of
from kaiwa.protocol.chat.usage import TokensCounted
from kaiwa.protocol.chat.watching import Watcher
from kaiwa.upstream.http1.client import HttpClient

log = logging.getLogger(__name__)

STREAM_ID: Final = "x-kaiwa-stream-id"
REASON: Final = "x-kaiwa-reason"
_BEAT: Final = b": waiting\n\n"


@dataclass(frozen=True)
class Rules:
    """How long what may take, in seconds, and how large an answer in one piece may be."""

    heartbeat_s: float = 10.0
    first_token_s: float = 300.0
    stalled_s: float = 60.0
    grace_s: float = 30.0
    drain_s: float = 30.0
    most_body_bytes: int = 64 * 1024 * 1024


class Outlet(Protocol):
    """Where a stream goes: a client, or a log that clients read."""

    def start(self, status: int, fields: Fields) -> None: ...

    def write(self, data: bytes) -> None: ...

    def way(self) -> Write | None:
        """Return what takes whole chunks of HTTP as they are; None: there is no such way. Its head was
        written."""
        ...

    def finish(self, trailers: Fields = ()) -> None: ...


class Stream:
    """Run it once; `stop` ends it from anywhere. `reason` is None while it runs, `ended` until it was run.

    `begun` may come before `run`, and spare it. `fields` go into the head.
    """

    fields: Fields = ()
    due_bytes = 0
    reason: Reason | None = None
    ended: StreamEnded | None = None
    _opening: Interruption | None = None
    _go_on: Callable[[Stream], None] | None = None
    _flows = False
    _hear: Callable[[Stream], None] | None = None
    _over: asyncio.Future[None] | None = None
    _attempt: Attempt | None = None
    _started = False
    _quiet = True
    # Of content, at the last beat.
    _bytes_before = 0
    _timer: asyncio.TimerHandle | None = None
    _stall: asyncio.TimerHandle | None = None
    _status = 200
    _waited_s = 0.0

    def __init__(
        self,
        asked: Asked,
        choosing: Choosing,
        http: HttpClient,
        account: Account,
        outlet: Outlet,
        rules: Rules,
        now: Clock,
    ) -> None:
        self.asked = asked
        self._choosing = choosing
        self._http = http
        self._account = account
        self._outlet = outlet
        self._rules = rules
        self._now = now
        self._following = choosing.following

    def begun(self, attempt: Attempt, go_on: Callable[[Stream], None]) -> None:
        """Take up an attempt that was asked just now: all goes on by callbacks, or `go_on` is told to see to
        it that it is `run`."""
        self._attempt, self._go_on, self._flows = attempt, go_on, True
        attempt.tell(self)
        self._await_beat()

    async def run(self) -> None:
        """Answer the client; return when all is over, or goes on by callbacks. `over` waits for the end."""
        if self.asked.streams and self._timer is None and self.reason is None:
            self._await_beat()
        self._opening = Interruption()
        if self.reason is not None:
            self._opening.interrupt()
        try:
            async with self._opening:
                self._attempt = None
                outcome = await self._choosing.first(self._begin)
            if isinstance(outcome, Refusal):
                self._refuse(outcome)
            else:
                self._attempt = outcome
                outcome.flow_to(self)
                self._flows = self.reason is None
        except Interrupted:
            assert self.reason is not None, "whoever interrupts gives the reason first"
        finally:
            if not self._flows:
                self.abandon()
                self._write_down()

    async def over(self) -> None:
        """Wait until all is over."""
        if self.ended is None:
            self._over = asyncio.get_running_loop().create_future()
            await self._over

    def abandon(self) -> None:
        """The server gives up on it: there is nobody left to be told."""
        self._end("shut_down", cut=True)

    def tell(self, hear: Callable[[Stream], None]) -> None:
        """Let somebody hear when it is over."""
        self._hear = hear

    def stop(self, reason: Reason) -> None:
        """End it now: the service's side at once, the client's with an error event and a proper end."""
        self._end(reason)

    # What becomes of the client.

    def client_gone(self) -> None:
        self._end("client_left", cut=True)

    def client_full(self) -> None:
        if self._attempt is not None:
            self._attempt.pause()
        if self._stall is None:
            loop = asyncio.get_running_loop()
            self._stall = loop.call_later(self._rules.stalled_s, self._end, "client_stalled")

    def client_ready(self) -> None:
        if self._stall is not None:
            self._stall.cancel()
            self._stall = None
        if self._attempt is not None:
            self._attempt.resume()

    # The opening of an attempt that was asked at once.

    def began(self) -> None:
        assert self._attempt is not None, "it was asked"
        self._attempt.flow_to(self)

    def faltered(self) -> None:
        assert self._go_on is not None, "it was begun"
        self._flows = False
        self._go_on(self)

    # The flow of an attempt.

    def flowed(self, data: bytes) -> None:
        self._quiet = False
        attempt = self._attempt
        if not self._started:
            self._start(attempt)
        self._outlet.write(data)
        if attempt is not None and attempt.watcher.content_bytes >= self.due_bytes:
            self.grew(attempt.watcher)

    def way(self) -> Write | None:
        return self._outlet.way() if self._started else None

    def flow_ended(self) -> None:
        self._end("completed")

    def flow_broke(self, reason: Reason) -> None:
        self._end(reason)

    def grew(self, watcher: Watcher) -> None:
        """Have what came charged, and end where the limit is."""
        if not self._account.went_on(watcher.events):
            self._end("limit_reached")
        self.due_bytes = self._account.due_at * watcher.event_bytes

    # Parts.

    async def _begin(self, attempt: Attempt) -> Attempt | Refusal:
        head = await attempt.open(self._http)
        kind = head.headers.get("content-type", EVENTS if self.asked.streams else "application/json")
        if not self.asked.streams or not kind.startswith(EVENTS):  # it is in one piece
            body = await attempt.read(self._rules.most_body_bytes)
            self._waited_s = self._now() - self.asked.began
            return Refusal(200, body, tuple(downwards(head.headers)), kind)
        await attempt.wait_for_content(self._rules.first_token_s)
        return attempt

    def _start(self, attempt: Attempt | None) -> None:
        """Begin the answer; None: with a sign of life, before any deployment has."""
        self._started = True
        self._waited_s = self._now() - self.asked.began
        answered = None if attempt is None else attempt.head
        head: Mapping[str, str] = {} if answered is None else answered.headers
        fields = [
            ("content-type", head.get("content-type", EVENTS)),
            ("cache-control", "no-cache"),
            ("x-accel-buffering", "no"),
            *downwards(head),
            *self._own_fields(),
        ]
        if self.asked.said_trailers:
            fields.append(("trailer", REASON))
        self._outlet.start(200, fields)

    def _own_fields(self) -> list[tuple[str, str]]:
        timing = f'first;dur={self._waited_s * 1000:.1f}, attempts;desc="{len(self._choosing.made)}"'
        return [(STREAM_ID, self.asked.id), ("server-timing", timing), *self.fields]

    def _refuse(self, refusal: Refusal) -> None:
        """Answer with a refusal, or an answer in one piece; as an event when heartbeats went before."""
        good = refusal.status == 200 and not refusal.content_type.startswith(EVENTS)
        if self._started:
            self._outlet.write(event_of(refusal) if refusal.content_type != EVENTS else refusal.body)
        else:
            self._answer(refusal)
        self._close("completed" if good else "refused")
        self._outlet.finish(())

    def _answer(self, refusal: Refusal) -> None:
        self._status = refusal.status
        size = ("content-length", str(len(refusal.body)))
        kind = ("content-type", refusal.content_type)
        self._outlet.start(refusal.status, [kind, size, *refusal.headers, *self._own_fields()])
        self._outlet.write(refusal.body)

    def _end(self, reason: Reason, *, cut: bool = False) -> None:
        """The one ending. `cut`: there is nobody left to be told."""
        if self.reason is not None:
            return
        attempt = self._attempt
        self._close(reason)
        if attempt is not None:
            attempt.close()
        if not cut:
            self._say_goodbye(reason)
        if self._flows:
            self._write_down()

    def _say_goodbye(self, reason: Reason) -> None:
        if not self._started:
            refusal = failed(503, reason, words_of(reason))
            self._answer(refusal)
        elif reason != "completed":
            dialect = "responses" if self.asked.operation == "responses" else "chat"
            self._outlet.write(error_event(reason, dialect))
            self._outlet.write(f": reason={reason} stream={self.asked.id}\n\n".encode())
        self._outlet.finish(((REASON, reason),) if self.asked.said_trailers else ())

    def _close(self, reason: Reason) -> None:
        self.reason = reason
        for timer in (self._timer, self._stall):
            if timer is not None:
                timer.cancel()
        self._timer = self._stall = None
        if self._opening is not None:
            self._opening.interrupt()

    def _await_beat(self) -> None:
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(self._rules.heartbeat_s, self._beat)

    def _beat(self) -> None:
        """Show that the answer is still waited for. It says nothing of the service: its own timer goes on."""
        bytes_now = 0 if self._attempt is None else self._attempt.watcher.content_bytes
        if self._quiet and bytes_now == self._bytes_before:
            if not self._started:
                self._start(None)
            self._outlet.write(_BEAT)
        self._quiet, self._bytes_before = True, bytes_now
        self._await_beat()

    def _write_down(self) -> None:
        """Charge the caller, leave one line in the log, and tell who waits."""
        last = self._choosing.attempt
        if last is None or self.reason == "refused":
            self._account.cancel()
        else:
            self._account.settle(last.watcher.usage or last.usage, last.watcher.events)
        self.ended = ended = self._told(last)
        self._log(ended)
        if self._following is not None:
            self._following.ended(ended)
        if self._hear is not None:
            self._hear(self)
        if self._over is not None and not self._over.done():
            self._over.set_result(None)

    def _log(self, ended: StreamEnded) -> None:
        if not log.isEnabledFor(logging.INFO):
            return
        traced = {} if self._following is None else {"trace_id": self._following.trace_id}
        # As `log.info` would, which looks for its caller on the stack first.
        record = log.makeRecord(
            log.name,
            logging.INFO,
            __file__,
            0,
            "request relayed",
            (),
            None,
            extra=traced
            | {
                "stream_id": self.asked.id,
                "caller": self.asked.caller.id,
                "model": ended.model,
                "upstream": ended.deployment,
                "reason": ended.reason,
                "status": ended.status,
                "attempts": ended.attempts,
                "elapsed_ms": round(ended.elapsed_s * 1000),
                "first_token_ms": round((ended.first_token_s or 0.0) * 1000),
                "input_tokens": ended.used.input,
                "output_tokens": ended.used.output,
                "estimated": ended.used.estimated,
            },
        )
        log.handle(record)

    def _told(self, last: Attempt | None) -> StreamEnded:
        assert self.reason is not None, "it is over"
        return StreamEnded(
            operation=self.asked.operation,
            model=self.asked.model,
            deployment=last.lease.deployment.name if last is not None else "",
            reason=self.reason,
            status=self._status,
            streams=self.asked.streams,
            attempts=self._choosing.attempts,
            elapsed_s=self._now() - self.asked.began,
            first_token_s=None if last is None else self._first_token_s(last),
            events=last.watcher.events if last is not None else 0,
            used=self._account.used or TokensCounted(),
            cost=self._account.cost,
            tries=tuple(attempt.told() for attempt in self._choosing.made),
        )

    def _first_token_s(self, last: Attempt) -> float | None:
        """Heartbeats may have begun the answer earlier; they are none."""
        first_at = last.lease.first_at
        return None if first_at is None else first_at - self.asked.began
