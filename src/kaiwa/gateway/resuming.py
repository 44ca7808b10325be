"""A stream that outlives its client: numbered events, kept for a while, read on from any of them.

The service is asked once, and the caller charged once, however often a client comes back. Knows one stream
and the client that reads it now.
"""

from __future__ import annotations

import asyncio
from typing import Final

from kaiwa.gateway.client import Client, Fields, Listener
from kaiwa.protocol.chat.watching import events_in
from kaiwa.protocol.replay import KEPT_BYTES, Forgotten, ReplayLog

# So much may come while nobody reads; then the service waits. The rest is for what was sent and not received.
_MOST_UNREAD_BYTES: Final = KEPT_BYTES // 2


class Recording:
    """The outlet of a stream, with a client or without. `follow` lets one read on, not the one before."""

    def __init__(self, stream_id: str) -> None:
        self._id = stream_id
        self._log: ReplayLog[bytes] = ReplayLog()
        self._listener: Listener | None = None
        self._client: Client | None = None
        self._read: asyncio.Event | None = None
        self._head: tuple[int, Fields] | None = None
        self._trailers: Fields = ()
        self._unread_bytes = 0
        self._plain = self._full = False
        self.over = False

    def tell(self, listener: Listener) -> None:
        """Let a listener hear what becomes of clients, as that of a client would."""
        self._listener = listener

    def has(self, after: int) -> bool:
        """Say whether all that came after this number is still kept."""
        try:
            self._log.after(after)
        except Forgotten:
            return False
        return True

    def follow(self, client: Client, after: int = 0) -> asyncio.Event:
        """Send a client all that came after this number; the event is set when it has no more to get.

        Raises Forgotten.
        """
        missed = self._log.after(after)
        if self._client is not None:
            self._client.cut()
        if self._read is not None:
            self._read.set()
        self._client, self._read, read = client, asyncio.Event(), asyncio.Event()
        self._read = read
        self._unread_bytes = 0
        if self._head is not None:
            client.start(*self._head)
            client.write(b"")
        for number, event in missed:
            client.write(self._numbered(number, event))
        if self.over:
            self._finish(client)
        elif self._full and self._listener is not None:
            self._full = False
            self._listener.client_ready()
        client.listen(self)
        return read

    # As the outlet of the stream.

    def start(self, status: int, fields: Fields) -> None:
        self._head = status, fields
        self._plain = status != 200 or any(name == "content-length" for name, _ in fields)
        if self._client is not None:
            self._client.start(status, fields)

    def write(self, data: bytes) -> None:
        if self._plain:
            if self._client is not None:
                self._client.write(data)
            return
        for event in events_in(data):
            self._keep(event)

    def way(self) -> None:
        """There is none: events are read on their way."""

    def finish(self, trailers: Fields = ()) -> None:
        self.over, self._trailers = True, trailers
        if self._client is not None:
            self._finish(self._client)

    # As the listener of the client.

    def client_gone(self) -> None:
        self._client = None
        if self._read is not None:
            self._read.set()
        if self._listener is not None and not self.over:
            self._listener.client_gone()

    def client_full(self) -> None:
        if self._listener is not None:
            self._listener.client_full()

    def client_ready(self) -> None:
        if self._listener is not None:
            self._listener.client_ready()

    # Parts.

    def _keep(self, event: bytes) -> None:
        if event.startswith(b":"):  # a sign of life is for who is there
            if self._client is not None:
                self._client.write(event)
            return
        number = self._log.add(event, len(event))
        if self._client is not None:
            self._client.write(self._numbered(number, event))
            return
        self._unread_bytes += len(event)
        if self._unread_bytes > _MOST_UNREAD_BYTES and not self._full and self._listener is not None:
            self._full = True
            self._listener.client_full()

    def _numbered(self, number: int, event: bytes) -> bytes:
        return b"id: %s:%d\n%b" % (self._id.encode(), number, event)

    def _finish(self, client: Client) -> None:
        client.finish(self._trailers)
        if self._read is not None:
            self._read.set()
