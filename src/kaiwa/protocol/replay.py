"""What was sent, kept for whoever comes late: numbered from 1, bounded, oldest forgotten first.

Knows sizes, numbers and the moments it is given; does not know what it keeps. Pure.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from itertools import islice
from typing import Final, Generic, TypeVar

T = TypeVar("T")
KEPT_BYTES: Final = 256 * 1024
_ENTRY_BYTES: Final = 100


class Forgotten(Exception):
    """What was asked for is older than what is kept, or was never there."""


class ReplayLog(Generic[T]):
    """Entries in order. `last` is the number of the newest, 0 when there was none."""

    def __init__(self, kept_bytes: int = KEPT_BYTES) -> None:
        self._kept_bytes = kept_bytes
        self._entries: deque[tuple[T, int, float]] = deque()
        self._newest_forgotten: T | None = None
        self.size_bytes = 0
        self.last = 0

    def add(self, entry: T, size_bytes: int, now: float = 0.0) -> int:
        """Keep one more, forget what no longer fits, and return its number. The newest always fits."""
        cost = size_bytes + _ENTRY_BYTES
        self._entries.append((entry, cost, now))
        self.size_bytes += cost
        self.last += 1
        while self.size_bytes > self._kept_bytes and len(self._entries) > 1:
            self._forget_oldest()
        return self.last

    def forget_before(self, moment: float) -> None:
        """Forget what was added earlier."""
        while self._entries and self._entries[0][2] < moment:
            self._forget_oldest()

    def after(self, number: int) -> list[tuple[int, T]]:
        """Return what came after this number, oldest first, up to now.

        Raises Forgotten when something between is no longer kept, or the number is yet to come.
        """
        oldest = self._oldest
        if not oldest - 1 <= number <= self.last:
            raise Forgotten
        wanted = islice(self._entries, number + 1 - oldest, None)
        return [(position, entry) for position, (entry, _, _) in enumerate(wanted, number + 1)]

    def newest(self, fits: Callable[[T], bool]) -> int | None:
        """Return the number of the newest entry that fits, among those after which all is kept."""
        for back, (entry, _, _) in enumerate(reversed(self._entries)):
            if fits(entry):
                return self.last - back
        if self._newest_forgotten is not None and fits(self._newest_forgotten):
            return self._oldest - 1
        return None

    @property
    def _oldest(self) -> int:
        return self.last - len(self._entries) + 1

    def _forget_oldest(self) -> None:
        self._newest_forgotten, cost, _ = self._entries.popleft()
        self.size_bytes -= cost
