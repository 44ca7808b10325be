"""A circuit breaker: who failed too often is left alone, then asked once, then trusted again by and by.

Knows faults and the time; nothing of HTTP. Any pool may use it.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Final, Literal

State = Literal["closed", "open", "half_open"]
LEAST_SHARE: Final = 0.1
_KEPT: Final = 200


@dataclass(frozen=True)
class BreakerRules:
    """It opens after `in_a_row` faults, or when of the last `window_s` at least `share` of `at_least` failed.

    Each further opening without a recovery lasts twice as long, up to `open_at_most_s`.
    """

    in_a_row: int = 5
    window_s: float = 30.0
    at_least: int = 10
    share: float = 0.5
    open_s: float = 5.0
    open_at_most_s: float = 120.0
    slow_start_s: float = 30.0


class Breaker:
    """Closed: everybody may ask. Open: nobody. Half open: one probe, and what becomes of it decides."""

    def __init__(self, rules: BreakerRules | None = None) -> None:
        self._rules = rules or BreakerRules()
        self._recent: deque[tuple[float, bool]] = deque(maxlen=_KEPT)
        self._faults_in_a_row = 0
        self._openings = 0
        self.retry_at: float | None = None
        """When a probe may come; None: it is closed."""
        self._changed_at: float | None = None
        self.recovered_at: float | None = None
        """When it was closed again, while its load still grows; None: it bears all of it."""
        self.probing = False
        self.reason: str | None = None
        """Why it is open, if somebody must mend it; None: it failed too often."""

    def state(self, now: float) -> State:
        if self.retry_at is None:
            return "closed"
        return "open" if now < self.retry_at else "half_open"

    def trust(self, now: float) -> float:
        """Return the share of its usual load that it should bear: it grows to 1 after a recovery."""
        if self.recovered_at is None:
            return 1.0
        grown = (now - self.recovered_at) / self._rules.slow_start_s
        if grown >= 1:
            self.recovered_at = None
        return min(max(grown, LEAST_SHARE), 1.0)

    def begin_probe(self) -> None:
        assert not self.probing, "one probe at a time"
        self.probing = True

    def end_probe(self) -> None:
        """The probe is over. If it said nothing, the next one may begin."""
        self.probing = False

    def succeeded(self, now: float, *, begun: float, probe: bool = False) -> None:
        """Something that began at `begun` went well. Late words of an earlier time count for nothing."""
        if self.retry_at is not None:
            if probe:
                self._close(now)
            return
        if probe or not self._is_stale(begun):
            self._faults_in_a_row = 0
            self._recent.append((now, True))

    def failed(self, now: float, *, begun: float, probe: bool = False) -> None:
        if self.retry_at is not None:
            if probe:
                self._open(now, self._next_s())
            return
        if not probe and self._is_stale(begun):
            return
        self._faults_in_a_row += 1
        self._recent.append((now, False))
        if self._faults_in_a_row >= self._rules.in_a_row or self._fails_too_often(now):
            self._open(now, self._next_s())

    def trip(self, now: float, for_s: float, reason: str) -> None:
        """Open it at once: somebody must mend what `reason` says."""
        self._open(now, for_s)
        self.reason = reason

    def forgive(self, now: float) -> None:
        """Let it be asked again at once: what was wrong may have been mended."""
        if self.retry_at is not None:
            self.retry_at = min(self.retry_at, now)

    def _is_stale(self, begun: float) -> bool:
        return self._changed_at is not None and begun < self._changed_at

    def _fails_too_often(self, now: float) -> bool:
        since = now - self._rules.window_s
        fitting = [went_well for at, went_well in self._recent if at >= since]
        faults = fitting.count(False)
        return len(fitting) >= self._rules.at_least and faults >= self._rules.share * len(fitting)

    def _next_s(self) -> float:
        return min(self._rules.open_s * 2.0 ** min(self._openings, 30), self._rules.open_at_most_s)

    def _open(self, now: float, for_s: float) -> None:
        self._openings += 1
        self.retry_at, self._changed_at = now + for_s, now
        self.reason = None
        self._faults_in_a_row = 0
        self._recent.clear()

    def _close(self, now: float) -> None:
        self.retry_at, self._changed_at, self.recovered_at = None, now, now
        self._openings = 0
        self.reason = None
