"""One conversation with several peers: who carries its sound, and observers who see and steer it.

Fits `kaiwa.interfaces.Transport`, so the runner knows of one peer. The sound goes to the first peer alone;
every other event goes to all of them, and what any of them says is said to the conversation.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Final

from kaiwa.events.client import ClientEvent
from kaiwa.events.server import AudioDelta, ServerEvent
from kaiwa.interfaces import Transport
from kaiwa.protocol.realtime.calls import greeting_of

MOST_OBSERVERS: Final = 8
WAITING_EVENTS: Final = 4096
"""What may wait for an observer that reads slowly; with more it is closed (1013)."""
_UNHEARD_EVENTS: Final = 256
_LAST_WORDS_S: Final = 5.0
_SLOW_CONSUMER: Final = 1013
_NORMAL: Final = 1000

Close = tuple[int, str]


class SharedTransport:
    """`first` None: the sound goes another way, and the conversation lasts until `hang_up` or `close`.

    `greeting` is what observers see at first until the session tells of itself. `note` sees every event
    once. `ready` is waited for before more is read of the first peer.
    """

    def __init__(
        self,
        first: Transport | None,
        *,
        ids: Callable[[str], str],
        greeting: ServerEvent | None = None,
        note: Callable[[ServerEvent], None] | None = None,
        ready: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        self._first = first
        self._ids = ids
        self._session = greeting
        self._note = note
        self._ready = ready
        self._said: asyncio.Queue[ClientEvent | None] = asyncio.Queue(_UNHEARD_EVENTS)
        self._observers: set[_Observer] = set()
        self._closed: Close | None = None

    @property
    def full(self) -> bool:
        return len(self._observers) >= MOST_OBSERVERS

    # --- towards the runner --------------------------------------------------------------------

    async def receive(self) -> AsyncIterator[ClientEvent]:
        hearing = asyncio.create_task(self._hear()) if self._first is not None else None
        try:
            while (event := await self._said.get()) is not None:
                yield event
        finally:
            if hearing is not None:
                hearing.cancel()

    async def send(self, event: ServerEvent) -> None:
        if self._note is not None:
            self._note(event)
        if greeting_of(event, "") is not None:
            self._session = event
        if type(event) is not AudioDelta:
            for observer in self._observers:
                observer.tell(event)
        if self._first is not None:
            await self._first.send(event)

    async def close(self, code: int, reason: str) -> None:
        self.dismiss(code, reason)
        if self._first is not None:
            await self._first.close(code, reason)

    # --- towards the peers ---------------------------------------------------------------------

    async def join(self, peer: Transport) -> None:
        """Serve an observer until it or the conversation is gone."""
        observer = _Observer(peer)
        greeting = None if self._session is None else greeting_of(self._session, self._ids("event"))
        if greeting is not None:
            observer.tell(greeting)
        if self._closed is not None:
            observer.dismiss(*self._closed)
        self._observers.add(observer)
        try:
            await observer.serve(self._said.put)
        finally:
            self._observers.discard(observer)

    def dismiss(self, code: int = _NORMAL, reason: str = "") -> None:
        """Close the observers after what waits for them; none can come any more."""
        self._closed = self._closed or (code, reason)
        for observer in self._observers:
            observer.dismiss(*self._closed)

    def hang_up(self) -> None:
        """End the conversation as if its first peer were gone."""
        if self._said.full():  # what was said last is no matter now
            self._said.get_nowait()
        self._said.put_nowait(None)

    async def _hear(self) -> None:
        assert self._first is not None, "there is somebody to be heard"
        try:
            async for event in self._first.receive():
                await self._said.put(event)
                if self._ready is not None:
                    await self._ready()
        finally:
            self.hang_up()


class _Observer:
    def __init__(self, peer: Transport) -> None:
        self._peer = peer
        self._waiting: deque[ServerEvent] = deque()
        self._more = asyncio.Event()
        self._over = asyncio.Event()
        self._close: Close | None = None

    def tell(self, event: ServerEvent) -> None:
        if self._close is not None:
            return
        if len(self._waiting) >= WAITING_EVENTS:
            self._waiting.clear()
            self._close = (_SLOW_CONSUMER, "slow consumer")
            self._over.set()
            return
        self._waiting.append(event)
        self._more.set()

    def dismiss(self, code: int, reason: str) -> None:
        self._close = self._close or (code, reason)
        self._more.set()
        asyncio.get_running_loop().call_later(_LAST_WORDS_S, self._over.set)

    async def serve(self, heard: Callable[[ClientEvent], Awaitable[None]]) -> None:
        async with asyncio.TaskGroup() as group:
            tasks = group.create_task(self._read(heard)), group.create_task(self._write())
            await self._over.wait()
            for task in tasks:
                task.cancel()
        if self._close is not None:
            try:
                async with asyncio.timeout(_LAST_WORDS_S):
                    await self._peer.close(*self._close)
            except (ConnectionError, TimeoutError):
                return  # it was gone before it could be told

    async def _read(self, heard: Callable[[ClientEvent], Awaitable[None]]) -> None:
        async for event in self._peer.receive():
            await heard(event)
        self._over.set()

    async def _write(self) -> None:
        try:
            while self._waiting or self._close is None:
                while self._waiting:
                    await self._peer.send(self._waiting.popleft())
                if self._close is None:
                    self._more.clear()
                    await self._more.wait()
        except ConnectionError:
            self._close = None
        self._over.set()
