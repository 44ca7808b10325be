"""The schedule of outgoing packets: one every 20 ms, reckoned from the first and not from the last. Pure."""

from __future__ import annotations

from typing import Final

STEP_S: Final = 0.02
STALL_S: Final = 0.1
"""After a longer delay the schedule moves, instead of a burst that no jitter buffer wants."""


class Pace:
    def __init__(self, begin: float) -> None:
        self._begin = begin
        self._steps = 0
        self.late = 0
        self.stalls = 0
        self.latest_s = 0.0

    @property
    def steps(self) -> int:
        return self._steps

    @property
    def due(self) -> float:
        """When the next packet has to go."""
        return self._begin + self._steps * STEP_S

    def step(self, now: float) -> None:
        """Note that the packet went."""
        lateness_s = now - self.due
        self.latest_s = max(self.latest_s, lateness_s)
        if lateness_s >= STEP_S:
            self.late += 1
        if lateness_s > STALL_S:
            self._begin += lateness_s
            self.stalls += 1
        self._steps += 1
