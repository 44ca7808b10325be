"""A UDP relay between a peer and a call that loses and swaps datagrams of sound, by a fixed plan."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any


class LossyNetwork(asyncio.DatagramProtocol):
    """What comes from `server` goes to the peer seen last, everything else to `server`."""

    def __init__(self, server: tuple[str, int], *, lost: float, swapped: float, seed: int = 1) -> None:
        self._server = server
        self._peer: Any = None
        self._chance = random.Random(seed)
        self._lost, self._swapped = lost, swapped
        self._held: bytes | None = None
        self.losses = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport: Any = transport

    def datagram_received(self, data: bytes, addr: Any) -> None:
        if addr[1] == self._server[1]:
            self._transport.sendto(data, self._peer)
            return
        self._peer = addr
        is_sound = data[0] > 127 and not 192 <= data[1] <= 223
        if is_sound and self._chance.random() < self._lost:
            self.losses += 1
            return
        if is_sound and self._held is None and self._chance.random() < self._swapped:
            self._held = data
            return
        self._transport.sendto(data, self._server)
        if is_sound and self._held is not None:
            self._transport.sendto(self._held, self._server)
            self._held = None


@asynccontextmanager
async def lossy_network(
    server_port: int, *, lost: float, swapped: float
) -> AsyncIterator[tuple[LossyNetwork, int]]:
    loop = asyncio.get_running_loop()
    transport, network = await loop.create_datagram_endpoint(
        lambda: LossyNetwork(("127.0.0.1", server_port), lost=lost, swapped=swapped),
        local_addr=("127.0.0.1", 0),
    )
    try:
        yield network, transport.get_extra_info("sockname")[1]
    finally:
        transport.close()
