"""Orders and reports over a Unix socket: one length, one value, again and again. Knows framing only."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final, Protocol, TypeVar, cast

import msgspec

from kaiwa.events.value import Value

_LENGTH_BYTES: Final = 4
_HIGH_WATER_BYTES: Final = 4 * 1024 * 1024

T = TypeVar("T", bound=Value, covariant=True)


class _Decoder(Protocol[T]):
    def decode(self, buf: memoryview, /) -> T: ...


class Line(asyncio.Protocol):
    """One end. `take` gets every value, in order; `over` is called once, when the other end is gone."""

    def __init__(
        self, decoder: _Decoder[T], take: Callable[[T], None], over: Callable[[], None] | None = None
    ) -> None:
        self._decoder = decoder
        self._take = take
        self._over = over
        self._encoder = msgspec.msgpack.Encoder()
        self._transport: asyncio.Transport | None = None
        self._read = bytearray()
        self._room = asyncio.Event()
        self._room.set()
        self.gone = asyncio.Event()

    @property
    def has_room(self) -> bool:
        """False while the other end takes more slowly than we give."""
        return self._room.is_set()

    async def room(self) -> None:
        """Wait until there is room. Raises ConnectionError when the other end is gone."""
        await self._room.wait()
        if self.gone.is_set():
            raise ConnectionError("the other end of the line is gone")

    def send(self, value: Value) -> None:
        """Give a value. To an end that is gone: nothing happens."""
        if self._transport is not None and not self.gone.is_set():
            payload = self._encoder.encode(value)
            self._transport.write(len(payload).to_bytes(_LENGTH_BYTES, "big") + payload)

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()

    # --- asyncio's side -----------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's is none by inheritance.
        self._transport = cast(asyncio.Transport, transport)
        self._transport.set_write_buffer_limits(high=_HIGH_WATER_BYTES)

    def data_received(self, data: bytes) -> None:
        self._read += data
        at = 0
        with memoryview(self._read) as view:
            while at + _LENGTH_BYTES <= len(view):
                end = at + _LENGTH_BYTES + int.from_bytes(view[at : at + _LENGTH_BYTES], "big")
                if end > len(view):
                    break
                self._take(self._decoder.decode(view[at + _LENGTH_BYTES : end]))
                at = end
        del self._read[:at]

    def pause_writing(self) -> None:
        self._room.clear()

    def resume_writing(self) -> None:
        self._room.set()

    def connection_lost(self, exc: Exception | None) -> None:
        self.gone.set()
        self._room.set()
        if self._over is not None:
            self._over()
