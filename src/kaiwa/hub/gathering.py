"""When what connections have to say is written: at the end of the loop's tick, all of a connection at once.

While the calls of a client stand in line, so that the next one is about to run and may say more to the same
connections, writing waits for it, but not for long. Knows connections; nothing of whom a message is for.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from typing import TYPE_CHECKING, Final

from kaiwa.protocol.signalr.encoding import Outgoing

if TYPE_CHECKING:
    from kaiwa.hub.connection import Connection

HELD_S: Final = 0.005
"""The longest that anything waits for what may follow it."""
HELD_BYTES: Final = 64 * 1024
"""What is not worth waiting with: its own bytes cost more than the system call that writes them."""


class Gathering:
    """`kept_bytes`: what may be kept for a connection; one that has more to be written is taken for slow."""

    def __init__(self, kept_bytes: int) -> None:
        self._most_bytes = min(HELD_BYTES, kept_bytes // 4)
        self._waiting: list[Connection] = []
        self._since = 0.0
        self._bytes = 0
        self._ticking = self._more_comes = self._held = False

    @property
    def holds(self) -> bool:
        """Messages for many are put here instead of being written."""
        return self._more_comes or self._held

    def expect(self) -> None:
        """A client's call is about to run, and others of it stand in line."""
        self._more_comes = True

    def add(self, connection: Connection) -> None:
        """Write what this connection has to say, later."""
        self._begin()
        connection.dirty = True
        self._waiting.append(connection)

    def put(self, message: Outgoing, connections: Collection[Connection], now: float) -> None:
        """Have each of them keep this message until then."""
        self._begin()
        waiting = self._waiting
        for connection in connections:
            machine = connection.machine
            assert machine is not None, "who was admitted has shaken hands"
            machine.send(message, now)
            if not connection.dirty:
                connection.dirty = True
                waiting.append(connection)
        self._bytes += message.size_bytes
        if self._bytes >= self._most_bytes:
            self.write()

    def _begin(self) -> None:
        loop = asyncio.get_running_loop()
        if not self._waiting:
            self._since = loop.time()
        if not self._ticking:
            self._ticking = True
            loop.call_soon(self._tick)

    def _tick(self) -> None:
        loop = asyncio.get_running_loop()
        self._held = self._more_comes and loop.time() - self._since < HELD_S
        self._more_comes = False  # until the next call begins; one that waits for something else does not
        if self._held:
            loop.call_soon(self._tick)
        else:
            self._ticking = False
            self.write()

    def write(self) -> None:
        """Write at once."""
        waiting, self._waiting = self._waiting, []
        self._bytes = 0
        for connection in waiting:
            connection.dirty = False
            machine = connection.machine
            if machine is not None and machine.ended and not connection.over:
                connection.settle(connection.switchboard.now())  # it fell too far behind
            if connection.link is not None:
                connection.link.wake()
