"""The client's side of a stream: bytes go out at once, and what becomes of it is told by callback.

Two ways with one behaviour: the server's own protocol writes to its transport (`server/direct.py`); any other
ASGI server is served by `AsgiClient`, with a task that writes and one that watches for the end.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, MutableMapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final, Protocol, cast

# What may wait for one client before its service is read no further.
MOST_WAITING_BYTES: Final = 16 * 1024
EXTENSION: Final = "kaiwa.direct"

Fields = Sequence[tuple[str, str]]
Write = Callable[[bytes], object]
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]


class Listener(Protocol):
    """Who hears what becomes of a client. Called from the event loop; must not wait."""

    def client_gone(self) -> None: ...

    def client_full(self) -> None:
        """More than MOST_WAITING_BYTES wait for it."""
        ...

    def client_ready(self) -> None: ...


class Client(Protocol):
    """One request's way back. `start`, then `write`, then `finish`; none of them waits or raises.

    `status`: the one that was sent, 0 before that.
    """

    status: int

    def listen(self, listener: Listener) -> None:
        """Tell this listener from now on; at once when the client is gone already."""
        ...

    def start(self, status: int, fields: Fields) -> None:
        """Begin the answer. Something must follow, if only nothing (`write(b"")`)."""
        ...

    def write(self, data: bytes) -> None: ...

    def way(self) -> Write | None:
        """Return what takes whole chunks of HTTP as they are; None: there is no such way. Its head was
        written."""
        ...

    def finish(self, trailers: Fields = ()) -> None:
        """End the answer properly. Trailers are sent where there is a way."""
        ...

    def cut(self) -> None:
        """Close the connection: what was sent is no whole answer."""
        ...


class EarlyClient(Client, Protocol):
    """One that gets parts of its head ready while the service is still at work."""

    def bear(self, fields: Fields) -> None:
        """Have these in the head too, whatever the answer will be."""
        ...


class DirectWay(Protocol):
    """What a protocol class puts into the scope's extensions."""

    def client(self) -> Client: ...


@asynccontextmanager
async def client_of(scope: Scope, receive: Receive, send: Send) -> AsyncGenerator[Client]:
    """Give the client of a request whose body has been read; leave when its answer is over."""
    direct = cast(DirectWay | None, (scope.get("extensions") or {}).get(EXTENSION))
    if direct is not None:
        yield direct.client()
        return
    async with asyncio.TaskGroup() as tasks:
        client = AsgiClient(receive, send)
        writing = tasks.create_task(client.written())
        watching = tasks.create_task(client.watched())
        try:
            yield client
            await writing
        finally:
            writing.cancel()
            watching.cancel()


class AsgiClient:
    """A client behind plain ASGI."""

    def __init__(self, receive: Receive, send: Send) -> None:
        self._receive = receive
        self._send = send
        self._listener: Listener | None = None
        self._head: MutableMapping[str, Any] | None = None
        self.status = 0
        self._waiting = bytearray()
        self._work = asyncio.Event()
        self._full = self._gone = self._over = False

    def listen(self, listener: Listener) -> None:
        self._listener = listener
        if self._gone:
            listener.client_gone()

    def start(self, status: int, fields: Fields) -> None:
        self.status = status
        raw = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in fields]
        self._head = {"type": "http.response.start", "status": status, "headers": raw}
        self._work.set()

    def write(self, data: bytes) -> None:
        if self._gone or self._over:
            return
        self._waiting += data
        self._work.set()
        if not self._full and len(self._waiting) > MOST_WAITING_BYTES and self._listener is not None:
            self._full = True
            self._listener.client_full()

    def way(self) -> None:
        """There is none: the server frames what it is given."""

    def finish(self, trailers: Fields = ()) -> None:
        self._over = True
        self._work.set()

    def cut(self) -> None:
        """ASGI knows no other way to end than an answer that is never finished."""
        self._gone = True
        self._work.set()

    async def watched(self) -> None:
        """Wait until the client is gone."""
        while (await self._receive())["type"] != "http.disconnect":
            pass
        self._leave()

    async def written(self) -> None:
        """Send what there is until the answer is over or the client gone."""
        while not self._gone:
            await self._work.wait()
            self._work.clear()
            if self._head is not None:
                head, self._head = self._head, None
                await self._send(head)
            if await self._sent_all() and self._over:
                return

    async def _sent_all(self) -> bool:
        data, last = bytes(self._waiting), self._over
        self._waiting.clear()
        if data or last:
            try:
                await self._send({"type": "http.response.body", "body": data, "more_body": not last})
            except OSError:  # what servers raise when the client left
                self._leave()
                return True
        if self._full and not self._gone:
            self._full = False
            if self._listener is not None:
                self._listener.client_ready()
        return last

    def _leave(self) -> None:
        if not self._gone:
            self._gone = True
            self._work.set()
            if self._listener is not None and not self._over:
                self._listener.client_gone()
