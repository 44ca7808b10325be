"""One connection to Redis that publishes and listens at once (RESP3), so that what it publishes and what it
hears have one order.

Knows commands and replies; nothing of hubs. What is sent in one tick of the event loop is written together.
Source: "RESP3" and "Pub/sub" of the documentation of Redis.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Final, cast

from kaiwa.hub.redis.address import Address
from kaiwa.hub.redis.resp import Garbled, Parser, Push, Refused, command

CONNECT_S: Final = 5.0
_AT_ONCE: Final = 1_000
"""How many channels one command names."""
_SUBSCRIBED: Final = frozenset({b"subscribe", b"unsubscribe"})


class Lost(ConnectionError):
    """The connection ended before Redis answered."""


class Awaited:
    """A command that waits for its reply. `replies`: how many come, one for each channel to listen to."""

    __slots__ = ("replies",)

    def __init__(self, replies: int = 1) -> None:
        self.replies = replies

    def told(self, reply: Any) -> None:
        """Take the last reply, or a Refused."""

    def lost(self) -> None:
        """There will be none."""


class _Asked(Awaited):
    __slots__ = ("future",)

    def __init__(self, replies: int = 1) -> None:
        super().__init__(replies)
        self.future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

    def told(self, reply: Any) -> None:
        if self.future.done():
            return
        if isinstance(reply, Refused):
            self.future.set_exception(reply)
        else:
            self.future.set_result(reply)

    def lost(self) -> None:
        if not self.future.done():
            self.future.set_exception(Lost())


class Link(asyncio.Protocol):
    """`heard` gets the channel and the bytes of each message; `ended` is called once, after the last."""

    def __init__(self, heard: Callable[[bytes, bytes], None], ended: Callable[[Link], None]) -> None:
        self._heard = heard
        self._ended = ended
        self._parser = Parser()
        self._transport: asyncio.Transport | None = None
        self._awaited: deque[Awaited] = deque()
        self._out: list[bytes] = []
        self.replies = 0
        """How many came so far."""
        self.over = asyncio.Event()
        self.number = 0
        """By which Redis knows this connection."""

    @property
    def waits(self) -> bool:
        return bool(self._awaited)

    @property
    def oldest(self) -> Awaited | None:
        """What Redis answers next."""
        return self._awaited[0] if self._awaited else None

    def send(self, words: bytes, awaited: Awaited) -> None:
        if self.over.is_set():
            awaited.lost()
            return
        if not self._out:
            asyncio.get_running_loop().call_soon(self._flush)
        self._out.append(words)
        self._awaited.append(awaited)

    async def ask(self, *words: bytes) -> Any:
        """Return the reply of a command. Raises Refused and Lost."""
        asked = _Asked()
        self.send(command(*words), asked)
        return await asked.future

    def subscribe(self, channels: Sequence[bytes]) -> list[asyncio.Future[Any]]:
        """Return what to wait for, if one wants to."""
        return self._each(b"SUBSCRIBE", channels)

    def unsubscribe(self, channels: Sequence[bytes]) -> list[asyncio.Future[Any]]:
        return self._each(b"UNSUBSCRIBE", channels)

    def _each(self, verb: bytes, channels: Sequence[bytes]) -> list[asyncio.Future[Any]]:
        waiting: list[asyncio.Future[Any]] = []
        for start in range(0, len(channels), _AT_ONCE):
            some = channels[start : start + _AT_ONCE]
            asked = _Asked(len(some))
            self.send(command(verb, *some), asked)
            asked.future.add_done_callback(_looked_at)
            waiting.append(asked.future)
        return waiting

    def _flush(self) -> None:
        out, self._out = self._out, []
        if self._transport is not None and out:
            self._transport.write(b"".join(out))

    def close(self) -> None:
        """Write what is to be written, then end."""
        self._flush()
        if self._transport is not None:
            self._transport.close()

    def abort(self) -> None:
        """End at once."""
        if self._transport is not None:
            self._transport.abort()
        self._end()

    # Called by the event loop.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        try:
            found = self._parser.feed(data)
        except Garbled:
            self.abort()
            return
        for value in found:
            if self.over.is_set():
                return
            if not isinstance(value, Push):
                self._reply(value)
            elif value[0] == b"message":
                self._heard(value[1], value[2])
            elif value[0] in _SUBSCRIBED:
                self._reply(value)

    def connection_lost(self, exc: Exception | None) -> None:
        self._end()

    def _reply(self, value: Any) -> None:
        if not self._awaited:
            self.abort()  # it answers what nobody asked: not a Redis
            return
        self.replies += 1
        awaited = self._awaited[0]
        awaited.replies -= 1
        if awaited.replies <= 0 or isinstance(value, Refused):
            self._awaited.popleft()
            awaited.told(value)

    def _end(self) -> None:
        if self.over.is_set():
            return
        self.over.set()
        awaited, self._awaited = self._awaited, deque()
        self._out = []
        for one in awaited:
            one.lost()
        self._ended(self)


def _looked_at(future: asyncio.Future[Any]) -> None:
    """Subscriptions need not be waited for; what became of them shows in the connection."""
    if not future.cancelled():
        future.exception()


async def open_link(
    address: Address, name: str, heard: Callable[[bytes, bytes], None], ended: Callable[[Link], None]
) -> Link:
    """Connect and say hello. Raises Refused, OSError and TimeoutError."""
    loop = asyncio.get_running_loop()
    link = Link(heard, ended)
    async with asyncio.timeout(CONNECT_S):
        if address.path is not None:
            await loop.create_unix_connection(lambda: link, address.path)
        else:
            await loop.create_connection(lambda: link, address.host, address.port, ssl=address.context())
        try:
            facts = await link.ask(*_hello(address, name))
            link.number = int(facts[facts.index(b"id") + 1])
        except BaseException:
            link.abort()
            raise
    return link


def _hello(address: Address, name: str) -> list[bytes]:
    words = [b"HELLO", b"3"]
    if address.password is not None:
        words += [b"AUTH", (address.user or "default").encode(), address.password.encode()]
    return [*words, b"SETNAME", name.encode()]
