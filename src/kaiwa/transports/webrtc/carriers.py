"""Who carries calls: a process of its own, or the event loop of the server for development and tests."""

from __future__ import annotations

import asyncio
import socket
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Final, Protocol

import msgspec

from kaiwa.errors import ConfigError
from kaiwa.transports.webrtc.line import Line
from kaiwa.transports.webrtc.orders import Order, Ready, Refused, Report, report_decoder
from kaiwa.transports.webrtc.settings import MediaSettings

if TYPE_CHECKING:
    from kaiwa.transports.webrtc.house import MediaHouse

_START_S: Final = 20.0
_END_S: Final = 5.0


class Carrier(Protocol):
    @property
    def runs(self) -> bool: ...

    @property
    def process_id(self) -> int | None: ...

    async def start(self) -> None:
        """Come to the point where orders can be given. Raises ConfigError when that cannot be."""
        ...

    def order(self, order: Order) -> None:
        """Give an order. When nobody is there to take it, nothing happens."""
        ...

    async def room(self) -> None:
        """Wait until more can be ordered. Raises ConnectionError when that will never be."""
        ...

    async def close(self) -> None: ...


class InThisLoop:
    """Media beside everything else: a pause of the server is a pause in every call."""

    process_id = None

    def __init__(
        self,
        settings: MediaSettings,
        port: int,
        report: Callable[[Report], None],
        lost: Callable[[Carrier], None],
    ) -> None:
        self._make = lambda: _house(settings, port, report)
        self._house: MediaHouse | None = None

    @property
    def runs(self) -> bool:
        return self._house is not None

    async def start(self) -> None:
        self._house = self._make()

    def order(self, order: Order) -> None:
        if self._house is not None:
            self._house.take(order)

    async def room(self) -> None:
        """There always is."""

    async def close(self) -> None:
        if self._house is not None:
            await self._house.close()
            self._house = None


def _house(settings: MediaSettings, port: int, report: Callable[[Report], None]) -> MediaHouse:
    # Loaded here and nowhere else: a server whose media has a process of its own never loads aiortc.
    from kaiwa.transports.webrtc.house import MediaHouse

    return MediaHouse(settings, port, report)


class OwnProcess:
    """`lost` is called when the process ends without having been asked to."""

    def __init__(
        self,
        settings: MediaSettings,
        port: int,
        report: Callable[[Report], None],
        lost: Callable[[Carrier], None],
    ) -> None:
        self._settings = settings
        self._port = port
        self._report = report
        self._lost = lost
        self._line: Line | None = None
        self._process: asyncio.subprocess.Process | None = None
        self._ready: asyncio.Future[None] | None = None
        self._closing = False

    @property
    def runs(self) -> bool:
        return self._line is not None and not self._line.gone.is_set()

    @property
    def process_id(self) -> int | None:
        return self._process.pid if self._process is not None and self.runs else None

    async def start(self) -> None:
        if self._process is not None:
            await self._reap(self._process)
        loop = asyncio.get_running_loop()
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        self._ready = loop.create_future()
        line = Line(report_decoder, self._take, self._gone)
        with theirs:
            self._process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "kaiwa.transports.webrtc.process"),
                *(str(theirs.fileno()), str(self._port), msgspec.json.encode(self._settings).decode()),
                pass_fds=(theirs.fileno(),),
            )
        await loop.create_unix_connection(lambda: line, sock=ours)
        self._line = line
        try:
            async with asyncio.timeout(_START_S):
                await self._ready
        except (TimeoutError, ConfigError):
            await self.close()
            raise

    def order(self, order: Order) -> None:
        if self._line is not None:
            self._line.send(order)

    async def room(self) -> None:
        if self._line is None:
            raise ConnectionError("no media process")
        await self._line.room()

    async def close(self) -> None:
        self._closing = True
        if self._line is not None:
            self._line.close()
            await self._line.gone.wait()
        if self._process is not None:
            await self._reap(self._process)
            self._process = None
        self._closing = False

    async def _reap(self, process: asyncio.subprocess.Process) -> None:
        try:
            async with asyncio.timeout(_END_S):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()

    def _take(self, report: Report) -> None:
        ready = self._ready
        match report:
            case Ready() if ready is not None and not ready.done():
                ready.set_result(None)
            case Refused() if ready is not None and not ready.done():
                ready.set_exception(ConfigError(report.setting, report.problem, report.remedy))
            case _:
                self._report(report)

    def _gone(self) -> None:
        if self._ready is not None and not self._ready.done():
            self._ready.set_exception(
                ConfigError("WebRTC", "the media process did not start.", "See its message above.")
            )
        elif not self._closing:
            self._lost(self)
