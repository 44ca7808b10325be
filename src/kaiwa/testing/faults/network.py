"""A bad line for a call: datagrams between a caller by WebRTC and the house that are lost, late or swapped.

Knows UDP and which datagrams are sound (RTP); everything else passes. The same chances for one seed.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any, cast

from kaiwa.events.value import Value


class BadLine(Value, kw_only=True):
    """`loss` and `reorder` are shares of the packets of the caller's sound; `jitter_ms`: so late at most."""

    loss: float = 0.0
    reorder: float = 0.0
    jitter_ms: float = 0.0
    seed: int = 1


class Network(asyncio.DatagramProtocol):
    """What comes from the house goes to the caller seen last, everything else to the house."""

    def __init__(self, server: tuple[str, int], line: BadLine) -> None:
        self._server = server
        self._line = line
        self._peer: tuple[str, int] | None = None
        self._chance = random.Random(line.seed)
        self._held: bytes | None = None
        self.lost = self.swapped = self.late = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: tuple[Any, ...]) -> None:
        if addr[1] == self._server[1]:
            if self._peer is not None:
                self._transport.sendto(data, self._peer)
            return
        self._peer = (addr[0], addr[1])
        if is_sound(data):
            self._carry_sound(data)
        else:
            self._transport.sendto(data, self._server)

    def _carry_sound(self, data: bytes) -> None:
        if self._chance.random() < self._line.loss:
            self.lost += 1
        elif self._held is None and self._chance.random() < self._line.reorder:
            self._held = data
            self.swapped += 1
        else:
            held, self._held = self._held, None
            self._send(data)
            if held is not None:
                self._send(held)

    def _send(self, data: bytes) -> None:
        if not self._line.jitter_ms:
            self._transport.sendto(data, self._server)
            return
        self.late += 1
        late_s = self._chance.uniform(0, self._line.jitter_ms / 1000)
        asyncio.get_running_loop().call_later(late_s, self._send_late, data)

    def _send_late(self, data: bytes) -> None:
        if not self._transport.is_closing():
            self._transport.sendto(data, self._server)


def is_sound(datagram: bytes) -> bool:
    """Tell RTP from STUN, DTLS and RTCP (RFC 5761, section 4; RFC 7983)."""
    return len(datagram) > 1 and 127 < datagram[0] < 192 and not 192 <= datagram[1] <= 223


@asynccontextmanager
async def bad_line(server_port: int, line: BadLine) -> AsyncGenerator[tuple[Network, int]]:
    """Open a line to a call's port on this machine; give it, and the port at its near end."""
    loop = asyncio.get_running_loop()
    transport, network = await loop.create_datagram_endpoint(
        lambda: Network(("127.0.0.1", server_port), line), local_addr=("127.0.0.1", 0)
    )
    try:
        yield network, transport.get_extra_info("sockname")[1]
    finally:
        transport.close()
