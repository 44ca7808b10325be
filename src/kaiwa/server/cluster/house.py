"""What a process is among the others of its house: its door for them, its place, and what it shares.

Knows settings, a socket and the directory. A process that is alone has none of it, and is found by nobody.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Final

import msgspec

from kaiwa.errors import ConfigError
from kaiwa.server.cluster.crossing import Crossing
from kaiwa.server.cluster.directory import Directory, Holder, MemoryDirectory, this_machine
from kaiwa.server.cluster.redis import RedisDirectory
from kaiwa.server.settings import Settings

log = logging.getLogger("kaiwa.cluster")

WORKER: Final = "worker"
_LOOPBACK: Final = "127.0.0.1"
_BACKLOG: Final = 2048


class Place(msgspec.Struct, frozen=True):
    """Which of `count` workers a process is, under the supervisor called `house`."""

    house: str = ""
    number: int = 0
    count: int = 1


ALONE: Final = Place()


class Cluster:
    """Works inside `running`. `door` is bound there, for who serves the process to listen on."""

    def __init__(self, settings: Settings, place: Place = ALONE) -> None:
        self.place = place
        self._settings = settings
        self._redis: RedisDirectory | None = None
        if settings.redis_url is not None:
            self._redis = RedisDirectory(settings.redis_url.get_secret_value(), "", this_machine())
        self._alone = MemoryDirectory()
        self.crossing = Crossing(self.directory)
        self.door: socket.socket | None = None

    @property
    def directory(self) -> Directory:
        return self._redis or self._alone

    @property
    def is_shared(self) -> bool:
        """Whether there may be other processes."""
        return self._redis is not None

    @asynccontextmanager
    async def running(self) -> AsyncGenerator[None]:
        """Be found by the others while the block lasts. Raises ConfigError when the door cannot be opened."""
        if self._settings.peer_host is not None and "://" not in self._settings.database.get_secret_value():
            log.warning("reservations are kept in a file, which other machines do not see: KAIWA_DATABASE")
        async with self.crossing.running():
            if self._redis is None:
                yield
                return
            self.door = self._bound()
            host, port = self.door.getsockname()[:2]
            self._redis.announce(f"[{host}]:{port}" if ":" in host else f"{host}:{port}")
            try:
                async with self._redis.running():
                    await self._take_place()
                    yield
            finally:
                self.door.close()

    async def siblings(self) -> dict[int, Holder | None]:
        """Return the other workers of this machine by number; None: it is not there."""
        others = [number for number in range(self.place.count) if number != self.place.number]
        found = await asyncio.gather(*(self.directory.find(WORKER, self._name(one)) for one in others))
        return dict(zip(others, found, strict=True))

    async def _take_place(self) -> None:
        """Be found by number; a worker before this one that died without a word is forgotten."""
        if self.place.count == 1:
            return
        name = self._name(self.place.number)
        before = await self.directory.find(WORKER, name)
        await self.directory.claim(WORKER, name, instead_of=before)

    def _name(self, number: int) -> str:
        return f"{self.place.house}:{number}"

    def _bound(self) -> socket.socket:
        host = self._settings.peer_host or _LOOPBACK
        port = self._settings.peer_port and self._settings.peer_port + self.place.number
        try:
            family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
            door = socket.socket(family, kind, protocol)
            door.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                door.bind(address)
                # Before anybody is told of it: who comes early waits instead of being turned away.
                door.listen(_BACKLOG)
            except OSError:
                door.close()
                raise
        except OSError as error:
            name, problem = (
                ("KAIWA_PEER_PORT", f"{port} cannot be used") if port else ("KAIWA_PEER_HOST", host)
            )
            raise ConfigError(name, f"{problem} ({error.strerror}).", "Choose another.") from error
        door.setblocking(False)
        return door
