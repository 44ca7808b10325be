"""What carries a connection's bytes: an attached socket, or a task of the client's own that writes for it.

Knows connections and sockets; nothing of requests and answers.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Final

from kaiwa.hub.connection import Connection
from kaiwa.hub.sockets import NORMAL, Socket

LOOK_S: Final = 1.0
"""How often a client that takes nothing is looked at."""


class SocketLink:
    """A WebSocket that takes prebuilt frames: no task, and no byte that waits outside of the machine twice.

    While the transport is congested the output stays in the machine, whose bound then counts. `straight` is
    for messages that nothing is before: they pass the machine by, where the event loop gathers what is
    written.
    """

    name = "WebSockets"
    binary = True
    pings = True
    lingers = False

    __slots__ = ("_congested_since", "_connection", "_last_waiting", "_socket", "_straight", "finished")

    def __init__(self, connection: Connection, socket: Socket) -> None:
        self._connection = connection
        self._socket = socket
        self._congested_since: float | None = None
        self._last_waiting = 0
        self._straight = socket.write_straight() if socket.gathers else None
        self.finished: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    # What the connection calls.

    def wake(self) -> None:
        connection = self._connection
        machine = connection.machine
        if self._congested_since is None or connection.over:
            assert machine is not None
            frame = machine.take_frame()
            if frame:
                self._socket.write(frame)
                if connection.awaited:
                    connection.drained()
        if connection.over:
            self._socket.close(NORMAL)

    def abort(self) -> None:
        self._socket.abort()

    def pause(self) -> None:
        self._socket.pause_reading()

    def resume(self) -> None:
        self._socket.resume_reading()

    async def readable(self) -> None:
        """Nobody posts to a WebSocket."""

    @property
    def straight(self) -> Callable[[bytes], None] | None:
        return self._straight if self._congested_since is None else None

    @property
    def congested(self) -> bool:
        return self._congested_since is not None

    def check(self, now: float) -> float | None:
        since = self._congested_since
        if since is None:
            return None
        waiting = self._socket.waiting_bytes
        if waiting < self._last_waiting:  # it reads, however slowly
            self._congested_since = since = now
        self._last_waiting = waiting
        if now - since >= self._connection.switchboard.options.send_s:
            self._connection.switchboard.counts.too_slow += 1
            self.abort()
            return None
        return now + LOOK_S

    # What the socket calls.

    def received(self, data: bytes) -> None:
        self._connection.receive(data)

    def writing_paused(self) -> None:
        now = self._connection.switchboard.now()
        self._congested_since, self._last_waiting = now, self._socket.waiting_bytes
        self._connection.switchboard.wheel.watch(self._connection, now + LOOK_S)
        self._connection.mind_writing()

    def writing_resumed(self) -> None:
        self._congested_since = None
        self._connection.drained()
        self._connection.mind_writing()

    def writing_ends(self) -> None:
        self._straight = None
        self._connection.mind_writing()

    def server_stops(self) -> None:
        self._connection.close(allow_reconnect=True)
        self.wake()

    def closed(self, code: int) -> None:
        self._connection.lost(self)
        if not self.finished.done():
            self.finished.set_result(None)


class TaskLink:
    """A client whose own task takes the output and writes it, at the client's pace."""

    lingers = False
    straight = None

    def __init__(self, connection: Connection, name: str, *, binary: bool) -> None:
        self.name = name
        self.binary = binary
        self.pings = True
        self._connection = connection
        self._news = asyncio.Event()
        self._reading = asyncio.Event()
        self._reading.set()
        self._writing_since: float | None = None
        self.dropped = asyncio.Event()

    # What the connection calls.

    def wake(self) -> None:
        self._news.set()

    def abort(self) -> None:
        self.dropped.set()

    def pause(self) -> None:
        self._reading.clear()

    def resume(self) -> None:
        self._reading.set()

    @property
    def congested(self) -> bool:
        return self._writing_since is not None

    def check(self, now: float) -> float | None:
        since = self._writing_since
        if since is None:
            return None
        if now - since >= self._connection.switchboard.options.send_s:
            self._connection.switchboard.counts.too_slow += 1
            self.abort()
            return None
        return now + LOOK_S

    # What the client's tasks call.

    async def readable(self) -> None:
        await self._reading.wait()

    async def pump(self, write: Callable[[bytes], Awaitable[None]]) -> None:
        """Write all output until the connection is over. `write` waits as long as the client does."""
        connection = self._connection
        board, machine = connection.switchboard, connection.machine
        assert machine is not None
        while True:
            payload = b"" if connection.held else machine.take_payload()
            if payload:
                self._writing_since = now = board.now()
                board.wheel.watch(connection, now + LOOK_S)
                await write(payload)
                self._writing_since = None
                connection.drained()
            elif connection.over:
                return
            else:
                self._news.clear()
                await self._news.wait()

    async def first_of(self, *works: Coroutine[Any, Any, None]) -> None:
        """Do these until one is done or the client is dropped, and stop the others."""
        async with asyncio.TaskGroup() as tasks:
            running = [tasks.create_task(work) for work in (*works, self._dropped())]
            await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
            for task in running:
                task.cancel()

    async def _dropped(self) -> None:
        await self.dropped.wait()
