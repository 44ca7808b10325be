"""A media service of the test's own, and the events its calls are told."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import numpy as np
from tests.transports.webrtc.aiortc_peer import sine

from kaiwa.events import server
from kaiwa.events.client import AudioAppended, ClientEvent
from kaiwa.transports.webrtc import Call, MediaService, MediaSettings

HOUSE_HZ = 24_000
WITHIN_S = 10
_TICK_S = 0.02


@asynccontextmanager
async def media_service(**given: Any) -> AsyncIterator[MediaService]:
    """Media for one test, patient with handshakes: a busy machine may take long for one."""
    service = await MediaService.start(MediaSettings(**{"connect_s": 120.0, **given}))
    try:
        yield service
    finally:
        await service.close()


class Listener:
    """The server's side of one call: `sound` and `events` grow with what the peer says."""

    def __init__(self, call: Call) -> None:
        self.call = call
        self.sound = bytearray()
        self.events: asyncio.Queue[ClientEvent] = asyncio.Queue()
        self._more = asyncio.Event()
        self.task = asyncio.create_task(self._listen())

    async def hears(self, seconds: float) -> np.ndarray:
        """Wait for so much more sound and return it."""
        begin = len(self.sound)
        while len(self.sound) - begin < seconds * HOUSE_HZ * 2:
            self._more.clear()
            await self._more.wait()
        return np.frombuffer(bytes(self.sound[begin:]), "<i2")

    async def say(self, hz: float, seconds: float) -> None:
        sound = sine(hz, int(seconds * HOUSE_HZ), rate_hz=HOUSE_HZ).tobytes()
        await self.call.transport.send(audio_delta(sound))

    async def _listen(self) -> None:
        async for event in self.call.transport.receive():
            if isinstance(event, AudioAppended):
                self.sound += event.audio
                self._more.set()
            else:
                self.events.put_nowait(event)


def audio_delta(sound: bytes) -> server.AudioDelta:
    return server.AudioDelta(
        event_id="event_a",
        response_id="resp_1",
        item_id="item_1",
        output_index=0,
        content_index=0,
        delta=sound,
    )


def told(words: str, number: int = 0) -> server.TextDelta:
    """Return an event that goes through the data channel."""
    return server.TextDelta(
        event_id=f"event_{number}",
        response_id="resp_1",
        item_id="item_1",
        output_index=0,
        content_index=0,
        delta=words,
    )


class Stalls:
    """How long this loop stood still: what its peer should have sent then came too late."""

    seconds = 0.0

    async def watch(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            before = loop.time()
            await asyncio.sleep(_TICK_S)
            self.seconds += max(0.0, loop.time() - before - 2 * _TICK_S)


@asynccontextmanager
async def watching_stalls() -> AsyncIterator[Stalls]:
    stalls = Stalls()
    watch = asyncio.create_task(stalls.watch())
    try:
        yield stalls
    finally:
        watch.cancel()
