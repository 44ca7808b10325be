"""A relay that only copies bytes: what asyncio protocols on uvloop cost before anything is read.

One connection to a deployment for each of a client, kept as long as that; nothing is chosen, counted or made
good. Knows no HTTP. `python -m bench.gateway_bare PORT SERVICE_PORT ...`
"""

from __future__ import annotations

import asyncio
import itertools
import sys
from collections.abc import Callable
from typing import cast

import uvloop


class _End(asyncio.Protocol):
    """One side of a pair: what comes here goes out there."""

    def __init__(self) -> None:
        self.other: asyncio.Transport | None = None
        self.waiting: list[bytes] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        if self.other is None:
            self.waiting.append(data)
        else:
            self.other.write(data)

    def connection_lost(self, exc: Exception | None) -> None:
        if self.other is not None:
            self.other.abort()


class _Client(_End):
    """A client's side: it opens the other."""

    def __init__(self, port: Callable[[], int], pairing: set[asyncio.Task[None]]) -> None:
        super().__init__()
        self._port, self._pairing = port, pairing

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        task = asyncio.get_running_loop().create_task(self._pair())
        self._pairing.add(task)
        task.add_done_callback(self._pairing.discard)

    async def _pair(self) -> None:
        loop = asyncio.get_running_loop()
        _, service = await loop.create_connection(_End, "127.0.0.1", self._port())
        service.other, self.other = self.transport, service.transport
        service.transport.write(b"".join(self.waiting))


async def _serve(port: int, services: list[int]) -> None:
    following, pairing = itertools.cycle(services), set[asyncio.Task[None]]()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(
        lambda: _Client(lambda: next(following), pairing), "127.0.0.1", port, backlog=4096
    )
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(_serve(int(sys.argv[1]), [int(one) for one in sys.argv[2:]]))
