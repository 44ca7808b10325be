"""All calls of one media process: takes orders, runs connections, reports."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable

from kaiwa.errors import ConfigError
from kaiwa.transports.webrtc.addresses import listen, named
from kaiwa.transports.webrtc.answer import Facts, write_answer
from kaiwa.transports.webrtc.connection import Connection
from kaiwa.transports.webrtc.mux import Mux
from kaiwa.transports.webrtc.opus import silence_packet
from kaiwa.transports.webrtc.orders import (
    Answered,
    Busy,
    Ended,
    Flush,
    HangUp,
    Open,
    Order,
    Play,
    Report,
    Tell,
)
from kaiwa.transports.webrtc.secured import fingerprint_of, new_certificate
from kaiwa.transports.webrtc.settings import MediaSettings


class MediaHouse:
    """Lives in one event loop. Raises ConfigError when it cannot listen at `port`."""

    def __init__(self, settings: MediaSettings, port: int, report: Callable[[Report], None]) -> None:
        sockets = listen(settings.host, port)
        try:
            self._named = named(settings.public_addresses, sockets)
        except ConfigError:
            for one in sockets:
                one.close()
            raise
        self._settings = settings
        self._report = report
        self._mux = Mux(sockets)
        # Made now, so that the first call need not wait for it.
        silence_packet(settings.bitrate, settings.complexity, lossy=settings.lossy)
        self._certificate = new_certificate()
        self._fingerprint = fingerprint_of(self._certificate)
        self._calls: dict[int, Connection] = {}
        self._tasks: dict[int, asyncio.Task[None]] = {}

    def take(self, order: Order) -> None:
        """Carry out an order. One for a call that ended meanwhile is late, and no fault."""
        if isinstance(order, Open):
            self._open(order)
            return
        connection = self._calls.get(order.call)
        if connection is None:
            return
        match order:
            case Play():
                connection.play(order.sound)
            case Flush():
                connection.flush()
            case Tell():
                connection.tell(order.frame)
            case HangUp():
                connection.hang_up()

    async def close(self) -> None:
        """End every call and the sockets."""
        for connection in self._calls.values():
            connection.hang_up()
        if self._tasks:
            await asyncio.wait(self._tasks.values())
        self._mux.close()

    def _open(self, order: Open) -> None:
        if len(self._calls) >= self._settings.max_calls:
            self._report(Busy(call=order.call))
            return
        facts = Facts(
            session_id=secrets.randbits(62),
            ufrag=secrets.token_hex(8),
            password=secrets.token_hex(16),
            fingerprint=self._fingerprint,
            ssrc=secrets.randbits(31) + 1,
            addresses=self._named,
        )
        connection = Connection(
            order.call, order.offer, facts, self._settings, self._certificate, self._reported
        )
        self._calls[order.call] = connection
        self._mux.expect(connection)
        self._tasks[order.call] = asyncio.create_task(connection.run())
        self._report(Answered(call=order.call, sdp=write_answer(order.offer, facts)))

    def _reported(self, report: Report) -> None:
        if isinstance(report, Ended):
            self._mux.forget(self._calls.pop(report.call))
            self._tasks.pop(report.call)
        self._report(report)
