"""A line between clients and a hub that can be cut: every connection on it is dropped at once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from functools import partial

from kaiwa.transports.parting import stop_accepting


class Line:
    def __init__(self, port: int) -> None:
        self._far_port = port
        self._ends: set[asyncio.StreamWriter] = set()
        self._in_use: set[asyncio.StreamWriter] = set()
        self._carrying: set[asyncio.Task[None]] = set()
        self._over = False
        self._refused = 0
        self.port = 0
        self.down = False
        """Nobody comes through."""

    def cut(self, *, refused: int = 0) -> None:
        """Drop what is in use. A WebSocket that is just being opened stays: for the JavaScript client one that
        fails to open is not a connection that broke.

        `refused`: so many of those that come next are dropped, too. A browser itself repeats a request that an
        old connection took with it, and its page learns of nothing unless a new connection fails as well.
        """
        self._refused = refused
        for end in list(self._in_use):
            end.transport.abort()

    def close(self) -> None:
        """Drop what is open."""
        for end in list(self._ends):
            end.transport.abort()

    async def end(self) -> None:
        """Drop everything, and return when nothing is carried any more."""
        self._over = True
        self.close()
        if self._carrying:
            await asyncio.wait(self._carrying)

    async def carry(self, near_reader: asyncio.StreamReader, near: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._carrying.add(task)
        try:
            await self._carry(near_reader, near)
        finally:
            self._carrying.discard(task)

    async def _carry(self, near_reader: asyncio.StreamReader, near: asyncio.StreamWriter) -> None:
        if self.down:
            near.transport.abort()
            return
        if self._refused:
            self._refused -= 1
            near.transport.abort()
            return
        far_reader, far = await asyncio.open_connection("127.0.0.1", self._far_port)
        if self._over:  # meanwhile
            near.transport.abort()
            far.transport.abort()
            return
        both = {near, far}
        self._ends |= both
        asked = b""
        with suppress(ConnectionError):
            asked = await near_reader.read(65_536)
        far.write(asked)
        opens = b"upgrade: websocket" in asked.lower()
        used = partial(self._in_use.update, both)
        ways = [
            asyncio.create_task(_copy(near_reader, far, used if opens else None)),
            asyncio.create_task(_copy(far_reader, near, None if opens else used)),
        ]
        await asyncio.wait(ways)
        self._ends -= both
        self._in_use -= both


async def _copy(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, used: Callable[[], None] | None
) -> None:
    """`used` is called whenever something comes."""
    with suppress(ConnectionError):
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()
            if used is not None:
                used()
    writer.transport.abort() if reader.exception() else writer.close()


@asynccontextmanager
async def line_to(port: int) -> AsyncIterator[Line]:
    line = Line(port)
    server = await asyncio.start_server(line.carry, "127.0.0.1", 0)
    line.port = server.sockets[0].getsockname()[1]
    try:
        yield line
    finally:
        await stop_accepting([server])
        await line.end()
