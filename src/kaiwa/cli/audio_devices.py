"""This machine's microphone and loudspeaker through the optional sounddevice package.

Knows devices and sample clocks. Does not know the protocol.
"""

from __future__ import annotations

import asyncio
import threading
from dataclasses import dataclass
from typing import Any

from kaiwa.errors import MissingPackage
from kaiwa.testing.loudspeaker import Heard, Loudspeaker
from kaiwa.testing.voice_client import CallClock

RATE_HZ = 24_000
FRAME_SAMPLES = RATE_HZ // 50
MICROPHONE_BACKLOG_FRAMES = 100


@dataclass(frozen=True)
class DeviceProblem:
    detail: str
    remedy: str


def problem_with_devices() -> DeviceProblem | None:
    """Say why `kaiwa talk` cannot work here; None when it can."""
    try:
        import sounddevice  # pyright: ignore[reportMissingImports]
    except ImportError:
        missing = MissingPackage("talk", "sounddevice", "talk")
        return DeviceProblem(missing.problem.rstrip("."), missing.remedy)
    except OSError as error:
        return DeviceProblem(str(error), "apt-get install libportaudio2")
    for kind, name in (("input", "microphone"), ("output", "loudspeaker")):
        try:
            sounddevice.query_devices(kind=kind)  # pyright: ignore[reportUnknownMemberType]
        except (sounddevice.PortAudioError, ValueError):
            return DeviceProblem(f"no {name} was found", f"Connect a {name}, or use a browser page instead.")
    return None


class DeviceLoudspeaker:
    """Plays on the real device; keeps the books with a virtual one. The device pulls from its own thread."""

    def __init__(self, clock: CallClock) -> None:
        self._clock = clock
        self._books = Loudspeaker()
        self._pending = bytearray()
        self._lock = threading.Lock()

    @property
    def free_at_s(self) -> float:
        return self._books.free_at_s

    def playing(self, now: float) -> bool:
        return self._books.playing(now)

    def push(self, item_id: str, pcm: bytes, now: float) -> float:
        with self._lock:
            self._pending += pcm
        return self._books.push(item_id, pcm, now)

    def stop(self, now: float) -> list[Heard]:
        with self._lock:
            self._pending.clear()
        return self._books.stop(now)

    def fill(self, out: Any) -> None:
        """Called by the device for its next block."""
        size_bytes = len(out)
        with self._lock:
            block = bytes(self._pending[:size_bytes])
            del self._pending[:size_bytes]
        out[:] = block.ljust(size_bytes, b"\0")


class Devices:
    """Both devices, open while used as a context. `frames` yields 20 ms of microphone at a time."""

    def __init__(self, clock: CallClock) -> None:
        self.loudspeaker = DeviceLoudspeaker(clock)
        self._frames: asyncio.Queue[bytes] = asyncio.Queue(MICROPHONE_BACKLOG_FRAMES)
        self._loop = asyncio.get_running_loop()
        self._streams: list[Any] = []

    def __enter__(self) -> Devices:
        import sounddevice  # pyright: ignore[reportMissingImports]

        shape = {"samplerate": RATE_HZ, "blocksize": FRAME_SAMPLES, "channels": 1, "dtype": "int16"}
        self._streams = [
            sounddevice.RawInputStream(callback=self._record, **shape),
            sounddevice.RawOutputStream(callback=self._play, **shape),
        ]
        for stream in self._streams:
            stream.start()
        return self

    def __exit__(self, *failure: object) -> None:
        for stream in self._streams:
            stream.stop()
            stream.close()

    async def frame(self) -> bytes:
        return await self._frames.get()

    def _record(self, data: Any, frames: int, moment: Any, status: Any) -> None:
        self._loop.call_soon_threadsafe(self._keep, bytes(data))

    def _keep(self, frame: bytes) -> None:
        """Full means the network is behind: the oldest sound goes first, what is said now matters."""
        if self._frames.full():
            self._frames.get_nowait()
        self._frames.put_nowait(frame)

    def _play(self, out: Any, frames: int, moment: Any, status: Any) -> None:
        self.loudspeaker.fill(out)
