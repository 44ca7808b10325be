"""What a caller holds: a microphone that never stops, a loudspeaker, and a clock for both.

Knows frames and when a moment has come. Does not know what is said or when it is polite.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Protocol

from kaiwa.testing.loudspeaker import Loudspeaker
from kaiwa.testing.voice_client import CallClock, VoiceClient

RATE_HZ = 24_000
FRAME_MS = 20
FRAME_BYTES = RATE_HZ * FRAME_MS // 1000 * 2


@dataclass
class Microphone:
    """Continuous sound in 20 ms frames: the queued line, or silence."""

    taken: bytearray = field(default_factory=bytearray)
    _queued: bytes = b""

    def say(self, pcm: bytes) -> int:
        """Queue a line; return the sample at which it starts."""
        assert not self._queued, "the caller says one line at a time"
        self._queued = pcm
        return len(self.taken) // 2

    def frame(self) -> bytes:
        frame, self._queued = self._queued[:FRAME_BYTES], self._queued[FRAME_BYTES:]
        frame = frame.ljust(FRAME_BYTES, b"\0")
        self.taken += frame
        return frame

    def skip_to(self, moment_s: float) -> None:
        """Let the time pass in which nobody was connected; a line that was being said is lost."""
        frames = int(moment_s * 1000 / FRAME_MS) - len(self.taken) // FRAME_BYTES
        if frames > 0:
            self._queued = b""
            self.taken += bytes(frames * FRAME_BYTES)

    @property
    def end_s(self) -> float:
        """When the last queued sample will have been spoken."""
        return (len(self.taken) + len(self._queued)) / (RATE_HZ * 2)


class Wire(Protocol):
    """What lies between microphone and server: it may add noise, lose frames, or be late."""

    def __call__(self, frame: bytes, now: float) -> list[bytes]:
        """Take a frame; return those that leave now."""
        ...


def clear_wire(frame: bytes, now: float) -> list[bytes]:
    return [frame]


class Handset:
    """Microphone, loudspeaker and clock of one caller, who may be connected several times in turn."""

    def __init__(self, clock: CallClock, *, wire: Wire = clear_wire) -> None:
        self.clock = clock
        self.wire = wire
        self.microphone = Microphone()
        self.loudspeaker = Loudspeaker()

    async def stream(self, client: VoiceClient) -> None:
        """Send each frame as soon as its last sample has been spoken, until the client is closed."""
        while not client.closed:
            await self.clock.reach(len(self.microphone.taken) / (RATE_HZ * 2) + FRAME_MS / 1000)
            for frame in self.wire(self.microphone.frame(), self.clock.now()):
                await client.send_audio(frame)

    def quiet_from_s(self, client: VoiceClient) -> float:
        """When neither events nor sound of the agent are left, as far as is known."""
        return max(client.last_event_s, self.loudspeaker.free_at_s)

    async def until(
        self, client: VoiceClient, due: Callable[[], float | None], *, reply_timeout_s: float
    ) -> bool:
        """Wait until the moment that `due` names has come; it is asked again after every event.

        False when the server closed, or was silent for `reply_timeout_s` with nothing due.
        """
        while not client.closed:
            now = self.clock.now()
            moment_s = due()
            if moment_s is not None and moment_s <= now:
                return True
            client.changed.clear()
            quiet_until_s = max(self.quiet_from_s(client), self.microphone.end_s)
            limit_s = quiet_until_s + reply_timeout_s if moment_s is None else moment_s
            with suppress(TimeoutError):
                await asyncio.wait_for(client.changed.wait(), max(0.0, limit_s - now) / self.clock.pace)
            if moment_s is None and self.clock.now() >= limit_s and due() is None:
                return False
        return False
