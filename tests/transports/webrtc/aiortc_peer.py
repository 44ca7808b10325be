"""A peer that is not ours: aiortc as a browser, with a tone for a microphone and a recorder for ears."""

from __future__ import annotations

import asyncio
import fractions
import re
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import numpy as np
from aiortc import RTCConfiguration, RTCDataChannel, RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import MediaStreamError, MediaStreamTrack
from av import AudioFrame

RATE_HZ = 48_000
STEP = 960


class Tone(MediaStreamTrack):
    """A sine of `hz` in real time, 0 is silence; or what it is told to say."""

    kind = "audio"

    def __init__(self, hz: float = 0.0) -> None:
        super().__init__()
        self.hz = hz
        self._sent = 0
        self._began = 0.0
        self._line = np.zeros(0, np.int16)
        self._said = asyncio.Event()

    async def say(self, samples: np.ndarray) -> None:
        """Send these samples, mono at 48 kHz, and return when the last one went."""
        self._line = samples
        self._said.clear()
        await self._said.wait()

    async def recv(self) -> AudioFrame:
        if not self._sent:
            self._began = time.monotonic()
        await asyncio.sleep(max(0.0, self._began + self._sent / RATE_HZ - time.monotonic()))
        frame = AudioFrame.from_ndarray(self._next()[None, :], format="s16", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = RATE_HZ, self._sent, fractions.Fraction(1, RATE_HZ)
        self._sent += STEP
        return frame

    def _next(self) -> np.ndarray:
        if not len(self._line):
            self._said.set()
            return sine(self.hz, STEP, self._sent)
        piece, self._line = self._line[:STEP], self._line[STEP:]
        return np.pad(piece, (0, STEP - len(piece)))


def sine(hz: float, samples: int, begin: int = 0, rate_hz: int = RATE_HZ) -> np.ndarray:
    return (8000 * np.sin(2 * np.pi * hz * (begin + np.arange(samples)) / rate_hz)).astype(np.int16)


def loudest_hz(samples: np.ndarray, rate_hz: int) -> float:
    """Return the frequency of the strongest tone."""
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples))))
    return float(np.argmax(spectrum) * rate_hz / len(samples))


class AiortcPeer:
    """`heard` grows with what the server plays, mono at 48 kHz; `frames` has what the channel brought."""

    def __init__(self, hz: float, label: str | None) -> None:
        self.connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self.tone = Tone(hz)
        self.heard: list[tuple[float, np.ndarray]] = []
        self.frames: asyncio.Queue[str] = asyncio.Queue()
        self.closed = asyncio.Event()
        self.opened = asyncio.Event()
        self._more = asyncio.Event()
        self._listening: asyncio.Task[None] | None = None
        self.connection.addTrack(self.tone)
        self.connection.on("track", self._track)
        self.channel: RTCDataChannel | None = None
        if label is not None:
            self.channel = self.connection.createDataChannel(label)
            self.channel.on("message", self.frames.put_nowait)
            self.channel.on("close", self.closed.set)
            self.channel.on("open", self.opened.set)

    async def offer(self, *, candidates: bool = False) -> str:
        """Return an offer as stock clients post it: straight away, with no candidate in it."""
        await self.connection.setLocalDescription(await self.connection.createOffer())
        sdp = self.connection.localDescription.sdp
        return sdp if candidates else re.sub(r"a=(candidate.*|end-of-candidates)\r\n", "", sdp)

    async def accept(self, answer_sdp: str) -> None:
        await self.connection.setRemoteDescription(RTCSessionDescription(answer_sdp, "answer"))

    async def hears(self, samples: int) -> np.ndarray:
        """Wait for so many more samples and return them."""
        begin = len(self.heard)
        while sum(len(piece) for _, piece in self.heard[begin:]) < samples:
            self._more.clear()
            await self._more.wait()
        return np.concatenate([piece for _, piece in self.heard[begin:]])[:samples]

    async def close(self) -> None:
        await self.connection.close()
        if self._listening is not None:
            self._listening.cancel()  # a track of a call that never came up waits for ever
            await asyncio.wait([self._listening])

    def _track(self, track: Any) -> None:
        self._listening = asyncio.create_task(self._listen(track))

    async def _listen(self, track: Any) -> None:
        try:
            while True:
                frame = await track.recv()
                left = frame.to_ndarray().reshape(-1, len(frame.layout.channels))[:, 0]
                self.heard.append((time.monotonic(), np.repeat(left, RATE_HZ // frame.sample_rate)))
                self._more.set()
        except MediaStreamError:
            return


@asynccontextmanager
async def aiortc_peer(hz: float = 0.0, label: str | None = "oai-events") -> AsyncIterator[AiortcPeer]:
    peer = AiortcPeer(hz, label)
    try:
        yield peer
    finally:
        await peer.close()
