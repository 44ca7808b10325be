"""Events with the moment at which each is due, given out in order. No tasks: whoever iterates waits."""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import AsyncIterator, Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Schedule(Generic[T]):
    def __init__(self) -> None:
        self._waiting: list[tuple[float, int, T]] = []
        self._count = 0
        self._changed = asyncio.Event()

    def put(self, event: T, *, at: float | None = None) -> None:
        """Add an event; without a moment it is due at once. Equal moments keep their order."""
        due = asyncio.get_running_loop().time() if at is None else at
        self._count += 1
        heapq.heappush(self._waiting, (due, self._count, event))
        self._changed.set()

    def drop(self, unwanted: Callable[[T], bool]) -> None:
        self._waiting = [entry for entry in self._waiting if not unwanted(entry[2])]
        heapq.heapify(self._waiting)

    async def events(self) -> AsyncIterator[T]:
        clock = asyncio.get_running_loop().time
        while True:
            while self._waiting and self._waiting[0][0] <= clock():
                yield heapq.heappop(self._waiting)[2]
            self._changed.clear()
            try:
                async with asyncio.timeout_at(self._waiting[0][0] if self._waiting else None):
                    await self._changed.wait()
            except TimeoutError:
                continue
