"""Stop a piece of waiting from a callback, as a time-out would: the block ends with Interrupted."""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import Self


class Interrupted(Exception):
    """The block was told to end."""


class Interruption:
    """`async with` around what waits; `interrupt` from anywhere, also before it began. One use."""

    __slots__ = ("_cancelling", "_task", "_told")

    def __init__(self) -> None:
        self._task: asyncio.Task[object] | None = None
        self._cancelling = 0
        self._told = False

    def interrupt(self) -> None:
        if not self._told:
            self._told = True
            if self._task is not None:
                self._task.cancel()

    async def __aenter__(self) -> Self:
        if self._told:
            raise Interrupted
        task = asyncio.current_task()
        assert task is not None, "this is waited for in a task"
        self._task, self._cancelling = task, task.cancelling()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        task, self._task = self._task, None
        assert task is not None
        if (
            self._told
            and task.uncancel() <= self._cancelling
            and kind is not None
            and issubclass(kind, asyncio.CancelledError)
        ):
            raise Interrupted from error
