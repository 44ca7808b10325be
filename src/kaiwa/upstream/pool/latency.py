"""How long a deployment takes to its first token: now, and over its recent past. Knows seconds only."""

from __future__ import annotations

from collections import deque
from typing import Final

KEPT: Final = 256
_NEWEST: Final = 0.3
_HALVES_EVERY_S: Final = 30.0
_SORT_EVERY: Final = 16


class Latency:
    """An exponentially weighted mean for the choice, and the newest samples for who wants to look."""

    def __init__(self) -> None:
        self.mean_s: float | None = None
        self._at = 0.0
        self._samples: deque[float] = deque(maxlen=KEPT)
        self._sorted: list[float] = []
        self._unsorted = 0

    @property
    def samples(self) -> tuple[float, ...]:
        return tuple(self._samples)

    def observed(self, seconds: float, now: float) -> None:
        self._weigh(seconds, now)
        self._samples.append(seconds)
        self._unsorted += 1

    def exceeded(self, seconds: float, now: float) -> None:
        """Nobody waited for the first token, but it would have taken longer than this."""
        if self.mean_s is not None and seconds > self.mean_s:
            self._weigh(seconds, now)

    def beside(self, best_s: float, now: float) -> float:
        """Return how many times slower than the best it is; old slowness is forgotten by and by."""
        if self.mean_s is None or best_s <= 0 or self.mean_s <= best_s:
            return 1.0
        forgotten = 0.5 ** ((now - self._at) / _HALVES_EVERY_S)
        return 1 + (self.mean_s / best_s - 1) * forgotten

    def quantile(self, share: float, at_least: int = 1) -> float | None:
        """Return a quantile, up to 16 samples old; None while there are fewer samples than `at_least`."""
        if len(self._samples) < max(at_least, 1):
            return None
        if self._unsorted >= _SORT_EVERY or len(self._sorted) < _SORT_EVERY:
            self._sorted, self._unsorted = sorted(self._samples), 0
        return self._sorted[min(int(share * len(self._sorted)), len(self._sorted) - 1)]

    def _weigh(self, seconds: float, now: float) -> None:
        old = seconds if self.mean_s is None else self.mean_s
        self.mean_s = old + _NEWEST * (seconds - old)
        self._at = now
