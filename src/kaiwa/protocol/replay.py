"""What was sent, kept for whoever comes late: numbered from 1, bounded, oldest forgotten first.

Knows sizes and numbers; does not know what it keeps. Pure.
"""

from __future__ import annotations

from collections import deque
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
        self._entries: deque[tuple[T, int]] = deque()
        self.size_bytes = 0
        self.last = 0

    def add(self, entry: T, size_bytes: int) -> int:
        """Keep one more, forget what no longer fits, and return its number. The newest always fits."""
        cost = size_bytes + _ENTRY_BYTES
        self._entries.append((entry, cost))
        self.size_bytes += cost
        self.last += 1
        while self.size_bytes > self._kept_bytes and len(self._entries) > 1:
            self.size_bytes -= self._entries.popleft()[1]
        return self.last

    def after(self, number: int) -> list[tuple[int, T]]:
        """Return what came after this number, oldest first, up to now.

        Raises Forgotten when something between is no longer kept, or the number is yet to come.
        """
        oldest = self.last - len(self._entries) + 1
        if not oldest - 1 <= number <= self.last:
            raise Forgotten
        wanted = islice(self._entries, number + 1 - oldest, None)
        return [(position, entry) for position, (entry, _) in enumerate(wanted, number + 1)]
