"""Put packets back into order, and notice which never came. Knows sequence numbers; knows no sound.

A packet in its turn goes on at once. One that is early waits while the missing one may still come: for at
most two later packets or 60 ms, whichever is first.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from kaiwa.transports.webrtc.rtp import RtpPacket

HELD_PACKETS: Final = 2
HELD_S: Final = 0.06
_RESTART: Final = 3000
"""A jump over more numbers than this is a new stream, not a loss (RFC 3550, A.1: MAX_DROPOUT)."""


class Reorder:
    """One stream. `push` and `overdue` give packets in order; a lost one shows as a gap in their numbers."""

    def __init__(self) -> None:
        self._next: int | None = None
        self._held: dict[int, tuple[RtpPacket, float]] = {}
        self.late = 0

    def push(self, packet: RtpPacket, now: float) -> Iterator[RtpPacket]:
        """Take a packet; give those whose turn it is."""
        if self._next is None:
            self._next = packet.sequence
        ahead = (packet.sequence - self._next) & 0xFFFF
        if ahead == 0:
            self._next = (packet.sequence + 1) & 0xFFFF
            yield packet
            yield from self._in_turn()
        elif ahead >= 0x8000 and 0x10000 - ahead < _RESTART:
            self.late += 1
        elif ahead >= _RESTART:
            yield from self._rest()
            self._next = (packet.sequence + 1) & 0xFFFF
            yield packet
        else:
            self._held[packet.sequence] = (packet, now)
            if len(self._held) > HELD_PACKETS:
                yield from self._give_up()

    def overdue(self, now: float) -> Iterator[RtpPacket]:
        """Give what has waited too long for one that is missing."""
        if self._held and now - min(since for _, since in self._held.values()) >= HELD_S:
            yield from self._give_up()

    def _in_turn(self) -> Iterator[RtpPacket]:
        while self._next is not None and (held := self._held.pop(self._next, None)):
            self._next = (self._next + 1) & 0xFFFF
            yield held[0]

    def _give_up(self) -> Iterator[RtpPacket]:
        """Count the missing ones as lost and go on with the earliest that is here."""
        assert self._next is not None, "a packet is held only once a stream has begun"
        expected = self._next
        self._next = min(self._held, key=lambda sequence: (sequence - expected) & 0xFFFF)
        yield from self._in_turn()

    def _rest(self) -> Iterator[RtpPacket]:
        while self._held:
            yield from self._give_up()
