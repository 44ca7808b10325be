"""A hub connection over long polling (rules S-25 to S-29): each answer takes what waits, or waits for
something.
"""

from __future__ import annotations

import asyncio
from typing import Final

from kaiwa.hub.connection import Connection
from kaiwa.hub.doors.exchange import UNCACHED, Exchange
from kaiwa.hub.doors.links import LOOK_S

_OCTETS: Final = b"application/octet-stream"


class PollLink:
    """Between polls it waits for the client to come back; during one, for something to say."""

    name = "LongPolling"
    binary = True
    pings = False
    lingers = True
    straight = None

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._news = asyncio.Event()
        self._reading = asyncio.Event()
        self._reading.set()
        self._since: float | None = None
        self.turn = 0
        """Counts polls: the newest one is answered, one before it gives way."""
        self.deleted = False

    # What the connection calls.

    def wake(self) -> None:
        board = self._connection.switchboard
        if self._connection.over:
            self._connection.keep_until(board.now() + board.options.disconnect_s)
        elif self._since is None:
            self._since = board.now()
            board.wheel.watch(self._connection, self._since + LOOK_S)
        self._news.set()

    def abort(self) -> None:
        self.deleted = True
        self._news.set()
        self._connection.lost(self)

    def pause(self) -> None:
        self._reading.clear()

    def resume(self) -> None:
        self._reading.set()

    async def readable(self) -> None:
        await self._reading.wait()

    @property
    def congested(self) -> bool:
        """Output waits for the next poll as a matter of course."""
        return False

    def check(self, now: float) -> float | None:
        since = self._since
        if since is None:
            return None
        if now - since >= self._connection.switchboard.options.send_s:
            self.abort()
            return None
        return now + LOOK_S

    # What the polls call.

    def take(self) -> bytes:
        machine = self._connection.machine
        assert machine is not None
        self._since = None
        payload = b"" if self._connection.held else machine.take_payload()
        self._connection.drained()
        return payload

    async def news(self, turn: int) -> None:
        """Wait for output, for the end, or for another poll."""
        machine = self._connection.machine
        assert machine is not None
        connection = self._connection
        while turn == self.turn and not (connection.over or self.deleted):
            if machine.has_output and not connection.held:
                return
            self._news.clear()
            await self._news.wait()

    def overtake(self) -> int:
        """Begin a poll; the one that waits ends."""
        self.turn += 1
        self._news.set()
        return self.turn


async def first_poll(exchange: Exchange, connection: Connection) -> None:
    """Answer at once: the JavaScript client says hello only after it (trap T4)."""
    link = PollLink(connection)
    connection.attach(link)
    await exchange.answer(200, b"", _OCTETS, UNCACHED)
    _expect_next(connection)


async def poll(exchange: Exchange, connection: Connection, link: PollLink) -> None:
    options = connection.switchboard.options
    turn = link.overtake()
    connection.deadline = None
    waiting = [asyncio.ensure_future(link.news(turn)), asyncio.ensure_future(exchange.gone())]
    try:
        await asyncio.wait(waiting, timeout=options.poll_s, return_when=asyncio.FIRST_COMPLETED)
        is_gone = waiting[1].done()
    finally:
        for task in waiting:
            task.cancel()
        await asyncio.wait(waiting)
    if turn != link.turn or link.deleted:
        await exchange.answer(204, headers=UNCACHED)
        return
    if not is_gone:
        await _answer(exchange, connection, link)
    _expect_next(connection)


async def _answer(exchange: Exchange, connection: Connection, link: PollLink) -> None:
    payload = link.take()
    if payload or not connection.over:
        await exchange.answer(200, payload, _OCTETS, UNCACHED)
        return
    connection.switchboard.forget(connection)
    await exchange.answer(204, headers=UNCACHED)


def _expect_next(connection: Connection) -> None:
    board = connection.switchboard
    if board.found(connection.token) is connection:
        connection.keep_until(board.now() + board.options.disconnect_s)
