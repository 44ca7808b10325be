"""Who answers calls in the benchmark: kaiwa's media process; plain aiortc, pipecat and fastrtc in processes.

Both speak without a break, listen, and tell five events a second; `echo` gives back what is heard instead.
"""

from __future__ import annotations

import asyncio
import fractions
import itertools
import json
import multiprocessing
from asyncio.subprocess import PIPE, Process
from contextlib import suppress
from multiprocessing.connection import Connection
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Protocol, Self

import numpy as np
from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import MediaStreamError, MediaStreamTrack
from av import AudioFrame

from kaiwa.events.client import AudioAppended
from kaiwa.events.server import AudioDelta, OutputAudioCleared, TextDelta
from kaiwa.transports.webrtc import Call, MediaService, MediaSettings

ROOT = Path(__file__).parents[1]
PIECE_S = 0.2
PEER_START_S = 60.0
WORDS = "Bring it back by six, please. "


class House(Protocol):
    process_id: int

    async def answer(self, offer_sdp: str) -> str: ...

    async def late_share(self) -> float | None:
        """Hang up on everyone and return the share of packets that left late, where that is counted."""
        ...

    async def close(self) -> None: ...


class KaiwaHouse:
    """Calls carried as a server has them carried; this process stands for the server."""

    def __init__(self, media: MediaService, sound: bytes, echo: bool) -> None:
        self._media = media
        self._sound = sound
        self._echo = echo
        self._tasks: list[asyncio.Task[None]] = []
        self.calls: list[Call] = []
        self.process_id = media.process_ids[0]

    @classmethod
    async def start(cls, sound: bytes, *, echo: bool = False) -> Self:
        return cls(await MediaService.start(MediaSettings(max_calls=1000)), sound, echo)

    async def answer(self, offer_sdp: str) -> str:
        call = await self._media.answer(offer_sdp)
        self.calls.append(call)
        self._tasks.append(asyncio.create_task(self._listen(call)))
        if not self._echo:
            self._tasks.append(asyncio.create_task(self._speak(call, len(self.calls))))
        return call.answer_sdp

    async def late_share(self) -> float | None:
        await asyncio.gather(*(call.hang_up() for call in self.calls))
        late = sum(call.facts["late"] for call in self.calls)
        return late / sum(call.facts["packets"] for call in self.calls)

    def hush(self) -> None:
        """Stop speaking by itself: from now on only `say` does."""
        self._tasks.pop().cancel()

    async def say(self, seconds: float) -> None:
        for call in self.calls[:1]:
            await call.transport.send(audio_delta(self._sound[: int(seconds * 48_000)]))

    async def flush(self) -> None:
        for call in self.calls[:1]:
            await call.transport.send(OutputAudioCleared(event_id="event_1", response_id="resp_1"))

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await self._media.close()

    async def _listen(self, call: Call) -> None:
        async for event in call.transport.receive():
            if self._echo and isinstance(event, AudioAppended):
                await call.transport.send(audio_delta(event.audio))

    async def _speak(self, call: Call, number: int) -> None:
        loop = asyncio.get_running_loop()
        begin = loop.time() + number % 10 * PIECE_S / 10
        size = int(PIECE_S * 48_000)
        for step in itertools.count():
            at = step * size % len(self._sound)
            await call.transport.send(audio_delta(self._sound[at : at + size]))
            await call.transport.send(text_delta(step))
            await asyncio.sleep(max(0.0, begin + step * PIECE_S - loop.time()))


class AiortcHouse:
    """aiortc as its own examples use it, on uvloop."""

    def __init__(self, sound: bytes, echo: bool) -> None:
        self._one_at_a_time = asyncio.Lock()
        self._ours, theirs = multiprocessing.Pipe()
        context = multiprocessing.get_context("spawn")
        self._process = context.Process(target=_aiortc_process, args=(theirs, sound, echo), daemon=True)
        self._process.start()
        self._ours.recv()
        assert self._process.pid is not None
        self.process_id = self._process.pid

    @classmethod
    async def start(cls, sound: bytes, *, echo: bool = False) -> Self:
        return await asyncio.to_thread(cls, sound, echo)

    async def answer(self, offer_sdp: str) -> str:
        async with self._one_at_a_time:
            self._ours.send(offer_sdp)
            return await asyncio.to_thread(self._ours.recv)

    async def late_share(self) -> float | None:
        return None

    async def close(self) -> None:
        self._process.terminate()
        await asyncio.to_thread(self._process.join)


class PeerHouse:
    """A program of `bench/peers` in the environment that `scripts/setup-peers.sh` made for it."""

    def __init__(self, process: Process, folder: TemporaryDirectory[str]) -> None:
        self._process = process
        self._folder = folder
        self._one_at_a_time = asyncio.Lock()
        self.process_id = process.pid

    @classmethod
    async def start(cls, name: str, sound: bytes, *, echo: bool = False) -> Self:
        python = ROOT / ".venv-peers" / name / "bin" / "python"
        if not python.exists():
            raise RuntimeError(f"the environment of {name} is missing: run scripts/setup-peers.sh")
        folder = TemporaryDirectory(prefix="kaiwa-bench-")
        spoken = Path(folder.name) / "sound.pcm"
        spoken.write_bytes(sound)
        program = ROOT / "bench" / "peers" / f"{name}_house.py"
        said = "echo" if echo else str(spoken)
        process = await asyncio.create_subprocess_exec(
            python, program, said, stdin=PIPE, stdout=PIPE, limit=1 << 20
        )
        house = cls(process, folder)
        async with asyncio.timeout(PEER_START_S):
            await house._line()
        return house

    async def answer(self, offer_sdp: str) -> str:
        async with self._one_at_a_time:
            assert self._process.stdin is not None
            self._process.stdin.write(json.dumps(offer_sdp).encode() + b"\n")
            return await self._line()

    async def late_share(self) -> float | None:
        return None

    async def close(self) -> None:
        with suppress(ProcessLookupError):
            self._process.kill()
        await self._process.wait()
        self._folder.cleanup()

    async def _line(self) -> str:
        assert self._process.stdout is not None
        while line := await self._process.stdout.readline():
            if line.startswith(b'"'):  # frameworks greet on standard output too
                return json.loads(line)
        raise RuntimeError("the peer ended")


def audio_delta(sound: bytes) -> AudioDelta:
    return AudioDelta(
        event_id="event_1",
        response_id="resp_1",
        item_id="item_1",
        output_index=0,
        content_index=0,
        delta=sound,
    )


def text_delta(number: int) -> TextDelta:
    return TextDelta(
        event_id=f"event_{number}",
        response_id="resp_1",
        item_id="item_1",
        output_index=0,
        content_index=0,
        delta=WORDS,
    )


class _Speech(MediaStreamTrack):
    """24 kHz mono frames on an absolute schedule: the sound again and again, or what `heard` brings."""

    kind = "audio"

    def __init__(self, sound: bytes, heard: asyncio.Queue[np.ndarray] | None) -> None:
        super().__init__()
        self._sound = np.frombuffer(sound, "<i2")
        self._heard = heard
        self._step = 0
        self._begin = 0.0

    async def recv(self) -> AudioFrame:
        loop = asyncio.get_running_loop()
        self._begin = self._begin or loop.time()
        await asyncio.sleep(max(0.0, self._begin + self._step * 0.02 - loop.time()))
        frame = AudioFrame.from_ndarray(self._next()[None, :], format="s16", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = (
            24_000,
            self._step * 480,
            fractions.Fraction(1, 24_000),
        )
        self._step += 1
        return frame

    def _next(self) -> np.ndarray:
        if self._heard is not None:
            return self._heard.get_nowait() if not self._heard.empty() else np.zeros(480, "<i2")
        at = self._step * 480 % (len(self._sound) - 480)
        return self._sound[at : at + 480]


def _aiortc_process(pipe: Connection, sound: bytes, echo: bool) -> None:
    import uvloop

    uvloop.run(_aiortc_serve(pipe, sound, echo))


async def _aiortc_serve(pipe: Connection, sound: bytes, echo: bool) -> None:
    peers: list[Any] = []
    pipe.send("ready")
    while True:
        offer = await asyncio.to_thread(pipe.recv)
        peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        heard: asyncio.Queue[np.ndarray] | None = asyncio.Queue() if echo else None
        peers += [peer, asyncio.ensure_future(_aiortc_call(peer, heard))]
        peer.addTrack(_Speech(sound, heard))
        await peer.setRemoteDescription(RTCSessionDescription(offer, "offer"))
        await peer.setLocalDescription(await peer.createAnswer())
        pipe.send(peer.localDescription.sdp)


async def _aiortc_call(peer: RTCPeerConnection, heard: asyncio.Queue[np.ndarray] | None) -> None:
    from av import AudioResampler

    tracks: asyncio.Queue[MediaStreamTrack] = asyncio.Queue()
    tell: set[asyncio.Task[None]] = set()
    peer.on("track", tracks.put_nowait)
    peer.on("datachannel", lambda channel: tell.add(asyncio.ensure_future(_aiortc_tell(channel))))
    track = await tracks.get()
    resampler = AudioResampler("s16", "mono", 24_000)
    try:
        while True:
            for frame in resampler.resample(await track.recv()):
                if heard is not None:
                    heard.put_nowait(frame.to_ndarray()[0])
    except MediaStreamError:
        return


async def _aiortc_tell(channel: Any) -> None:
    while channel.readyState == "open":
        channel.send('{"type":"response.output_text.delta","delta":"' + WORDS + '"}' + " " * 120)
        await asyncio.sleep(PIECE_S)
