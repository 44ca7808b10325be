"""One timer for all connections of a hub: pings, time-outs and stalled sockets, a quarter of a second exact.

Knows when a thing wants to be looked at; not what it does then. A timer of the event loop for each connection
would cost memory and a heap operation for every message that moves a deadline. Here a deadline that moves out
is found out when the old one comes.
"""

from __future__ import annotations

import asyncio
import math
from typing import Final, Protocol

TICK_S: Final = 0.25


class Timed(Protocol):
    """Whoever sits in the wheel. `tick` is the wheel's own note of where: 0 means nowhere."""

    tick: int

    def due(self, now: float) -> float | None:
        """Do what is due at `now` and return when to look again, on the loop's clock, or None for never."""
        ...


class Wheel:
    def __init__(self) -> None:
        self._slots: dict[int, set[Timed]] = {}
        self._turn: asyncio.TimerHandle | None = None
        self._last = 0

    def watch(self, timed: Timed, at: float) -> None:
        """Look at `timed` at `at` at the latest. An earlier look that was asked for stays."""
        tick = max(math.ceil(at / TICK_S), self._last + 1)
        if 0 < timed.tick <= tick:
            return
        self.forget(timed)
        timed.tick = tick
        self._slots.setdefault(tick, set()).add(timed)
        self._start()

    def forget(self, timed: Timed) -> None:
        slot = self._slots.get(timed.tick)
        timed.tick = 0
        if slot is not None:
            slot.discard(timed)

    def stop(self) -> None:
        self._slots.clear()
        if self._turn is not None:
            self._turn.cancel()
            self._turn = None

    def _start(self) -> None:
        if self._turn is None and self._slots:
            loop = asyncio.get_running_loop()
            now = loop.time()
            self._turn = loop.call_at((math.floor(now / TICK_S) + 1) * TICK_S, self._go_round)

    def _go_round(self) -> None:
        self._turn = None
        now = asyncio.get_running_loop().time()
        self._last = math.floor(now / TICK_S)
        for tick in sorted(tick for tick in self._slots if tick <= self._last):
            for timed in self._slots.pop(tick):
                timed.tick = 0
                again = timed.due(now)
                if again is not None and timed.tick == 0:
                    self.watch(timed, again)
        self._start()
