"""A balancer as dumb as they come: each new TCP connection goes to the next backend that is ready. Nothing sticks."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, closing, suppress
from itertools import count

from kaiwa.transports.parting import stop_accepting

_PIECE = 65536
LOOK_S = 0.3


class Balancer:
    """`port` is for clients; `ports` are the backends, which come and go."""

    def __init__(self, ports: Sequence[int]) -> None:
        self.ports = list(ports)
        self.port = 0
        self.turned_away = 0
        self._ready = set(ports)
        self._turn = count()
        self._taken: set[asyncio.Task[None]] = set()

    async def take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Carry one connection, until both sides are done or the balancer ends."""
        task = asyncio.create_task(self._carry(reader, writer))
        self._taken.add(task)
        task.add_done_callback(self._taken.discard)
        await asyncio.wait([task])

    async def watch(self) -> None:
        """Ask each backend again and again whether it is ready."""
        while True:
            for port in self.ports:
                ready = False
                with suppress(OSError):
                    ready = await _is_ready(port)
                (self._ready.add if ready else self._ready.discard)(port)
            await asyncio.sleep(LOOK_S)

    async def end(self) -> None:
        """Drop what is carried still."""
        for task in self._taken:
            task.cancel()
        if self._taken:
            await asyncio.wait(self._taken)

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with closing(writer):
            behind = await self._connected()
            if behind is None:
                self.turned_away += 1
                return
            there_reader, there_writer = behind
            with closing(there_writer):
                async with asyncio.TaskGroup() as group:
                    group.create_task(_carry(reader, there_writer))
                    group.create_task(_carry(there_reader, writer))

    async def _connected(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter] | None:
        first = next(self._turn)
        for step in range(len(self.ports)):
            if self.ports[(first + step) % len(self.ports)] not in self._ready:
                continue
            with suppress(OSError):
                return await asyncio.open_connection(
                    "127.0.0.1", self.ports[(first + step) % len(self.ports)]
                )
        return None


@asynccontextmanager
async def balancer(ports: Sequence[int]) -> AsyncIterator[Balancer]:
    made = Balancer(ports)
    server = await asyncio.start_server(made.take, "127.0.0.1", 0)
    made.port = server.sockets[0].getsockname()[1]
    watching = asyncio.create_task(made.watch())
    try:
        yield made
    finally:
        watching.cancel()
        await asyncio.wait([watching])
        await stop_accepting([server])
        await made.end()


async def _is_ready(port: int) -> bool:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    with closing(writer):
        writer.write(b"GET /readyz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
        return (await reader.readline()).startswith(b"HTTP/1.1 200")


async def _carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Pass on what comes; an end is an end on the other side, a reset a reset."""
    try:
        while data := await reader.read(_PIECE):
            writer.write(data)
            await writer.drain()
        writer.write_eof()
    except OSError:
        writer.transport.abort()
