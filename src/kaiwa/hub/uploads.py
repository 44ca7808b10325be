"""A stream from the client, as the hub method reads it. Knows no wire; its bound is kept by the machine."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Any

import msgspec

from kaiwa.hub.errors import HubException


class Upload:
    """The async iterator that a method gets. Items are converted when they are read."""

    def __init__(self, kind: Any, taken: Callable[[], None]) -> None:
        """`taken` is called for each item that was read, so that the client may send another."""
        self._kind = kind
        self._taken = taken
        self._items: deque[Any] = deque()
        self._news = asyncio.Event()
        self._ended = False
        self._error: str | None = None

    def __aiter__(self) -> Upload:
        return self

    async def __anext__(self) -> Any:
        """Raises HubException when the client ended the stream with an error."""
        while not self._items:
            if self._ended:
                if self._error is not None:
                    raise HubException(self._error)
                raise StopAsyncIteration
            self._news.clear()
            await self._news.wait()
        item = self._items.popleft()
        self._taken()
        return item if self._kind is Any else msgspec.convert(item, self._kind)

    def put(self, item: Any) -> None:
        self._items.append(item)
        self._news.set()

    def end(self, error: str | None) -> None:
        self._ended, self._error = True, error
        self._news.set()
