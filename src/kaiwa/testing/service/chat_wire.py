"""The stand-in's HTTP connections: an answer is played straight onto the transport, and may be broken there.

Knows uvicorn's connection and moments; knows nothing of what the bytes mean. No task and no await a write:
a thousand paced streams cost their timers and their system calls.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Callable
from typing import Any, Final, cast

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from kaiwa.testing.service.chat_playback import Playback, Step
from kaiwa.testing.service.chat_records import End

_WIRE: Final = "kaiwa.testing.http_wire"
_FULL_S: Final = 0.005


class HttpWire(HttpToolsProtocol):
    """uvicorn's connection, which an answer may take over until its end."""

    playing: Playing | None = None

    def on_headers_complete(self) -> None:
        super().on_headers_complete()
        # The application's task has not begun yet: it will find the connection in its scope.
        cast(dict[str, Any], self.scope)["state"][_WIRE] = self

    def connection_lost(self, exc: Exception | None) -> None:
        if self.playing is not None:
            self.playing.end("left")
        super().connection_lost(exc)

    def shutdown(self) -> None:
        if self.playing is not None:
            self.playing.end("stopped")
            self.transport.abort()
        else:
            super().shutdown()

    def reset(self) -> None:
        """End the TCP connection so that the peer gets a reset instead of a close."""
        connection: socket.socket = self.transport.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.transport.abort()

    def answered(self) -> None:
        """Take the answer as given, and wait for the next request or close."""
        cycle = self.cycle
        cycle.response_started = cycle.response_complete = True
        cycle.message_event.set()
        if not cycle.keep_alive:
            self.transport.close()
        cycle.on_response()


def wire_of(request: Request) -> HttpWire:
    wire = request.scope["state"].get(_WIRE)
    assert isinstance(wire, HttpWire), "the stand-in's answers need the sockets of kaiwa.testing.service"
    return wire


class Playing:
    """One playback on one connection. Late steps catch up: the pace is kept, not the pauses."""

    def __init__(
        self, wire: HttpWire, playback: Playback, wrote: Callable[[int], None], ended: Callable[[End], None]
    ) -> None:
        self._wire, self._playback = wire, playback
        self._wrote, self._ended = wrote, ended
        self._loop = asyncio.get_running_loop()
        self._position = 0
        self._due = self._loop.time()
        self._timer: asyncio.TimerHandle | None = None
        self.over = asyncio.Event()

    def begin(self) -> None:
        self._wire.playing = self
        if self._wire.transport.is_closing():
            self.end("left")
            return
        self._await_next()

    def end(self, end: End) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._wire.playing = None
        self._wire.cycle.disconnected = True  # uvicorn has nothing to add
        self._ended(end)
        self.over.set()

    def _await_next(self) -> None:
        steps = self._playback.steps
        if self._position < len(steps):
            step = steps[self._position]
            self._due = (self._loop.time() if step.apart else self._due) + step.pause_s
        if self._due <= self._loop.time():
            self._go()
        else:
            self._timer = self._loop.call_at(self._due, self._go)

    def _go(self) -> None:
        """Write all that is due, then wait for what is not."""
        if self._wire.flow.write_paused:  # the client reads slowly
            self._timer = self._loop.call_later(_FULL_S, self._go)
            return
        steps, start, now = self._playback.steps, self._position, self._loop.time()
        self._position = min(start + 1, len(steps))
        while self._position < len(steps):
            step = steps[self._position]
            if step.apart or self._due + step.pause_s > now:
                break
            self._due += step.pause_s
            self._position += 1
        self._write(steps[start : self._position])
        if self._position < len(steps):
            self._await_next()
        else:
            self._finish()

    def _write(self, steps: list[Step]) -> None:
        if steps:
            self._wire.transport.write(b"".join([step.data for step in steps]))
            self._wrote(sum(step.piece for step in steps))

    def _finish(self) -> None:
        match self._playback.ending:
            case "keep":
                self.end("done")
                self._wire.answered()
            case "hang_up" | "close" as ending:
                self.end("done" if ending == "hang_up" else "broken")
                self._wire.transport.close()
            case "reset":
                self.end("broken")
                self._wire.reset()
            case "freeze":
                self._timer = None  # until the client leaves or the stand-in is stopped


class Played(Response):
    """An answer that is played instead of sent."""

    def __init__(
        self, wire: HttpWire, playback: Playback, wrote: Callable[[int], None], ended: Callable[[End], None]
    ) -> None:
        super().__init__()
        self._playing = Playing(wire, playback, wrote, ended)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._playing.begin()
        await self._playing.over.wait()
