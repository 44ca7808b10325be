"""A caller's line by WebRTC that looks like a WebSocket: sound goes as packets, events by the data channel.

Knows aiortc, which is none of kaiwa's own media, and which frames are sound. What the line does to packets
(losses, delays, order) is `kaiwa.testing.faults.network`'s. Needs `kaiwa[webrtc]`.
"""

from __future__ import annotations

import asyncio
import base64
import json
import re
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from fractions import Fraction
from typing import Any, Final
from urllib.parse import urlsplit, urlunsplit

import aiohttp
import numpy as np

from kaiwa.errors import MissingPackage
from kaiwa.testing.faults.network import BadLine, bad_line

RATE_HZ: Final = 24_000
FRAME_S: Final = 0.02
_FRAME_SAMPLES: Final = int(RATE_HZ * FRAME_S)
_MOST_WAITING: Final = 50
"""Frames that wait for their packet: a second. Of more the oldest are dropped, as a sound card would."""
_OPEN_S: Final = 20.0
_OVER: Final = 1000
_CUT: Final = 1006


class Phone:
    """Fits what `VoiceClient` needs of a connection."""

    response = None

    def __init__(self, connection: Any) -> None:
        self._connection = connection
        self._microphone = _microphone()
        connection.addTrack(self._microphone)
        self._channel: Any = connection.createDataChannel("oai-events")
        self._frames: asyncio.Queue[str | None] = asyncio.Queue()
        self._opened = asyncio.Event()
        self._listening: asyncio.Task[None] | None = None
        self._answer: tuple[str, str] | None = None
        self.close_code: int | None = None
        self.close_reason = ""
        self._channel.on("message", self._told)
        self._channel.on("open", self._opened.set)
        self._channel.on("close", self._over)
        connection.on("track", self._hear)

    async def opened(self) -> None:
        await self._opened.wait()

    async def send(self, text: str) -> None:
        event: dict[str, Any] = json.loads(text)
        if event["type"] == "input_audio_buffer.append":
            self._microphone.say(base64.b64decode(event["audio"]))
        elif event["type"] != "conversation.item.truncate" and self.close_code is None:
            self._channel.send(text)  # truncating is the server's here, which plays the sound

    async def __aiter__(self) -> AsyncIterator[str]:
        while (frame := await self._frames.get()) is not None:
            yield frame

    async def close(self) -> None:
        self.close_code = self.close_code or _OVER
        self._frames.put_nowait(None)
        await self._connection.close()
        if self._listening is not None:
            self._listening.cancel()
            await asyncio.wait([self._listening])

    def _over(self) -> None:
        self.close_code = self.close_code or _CUT
        self._frames.put_nowait(None)

    def _told(self, text: str) -> None:
        event: dict[str, Any] = json.loads(text)
        match event["type"]:
            case "response.output_item.added" if event["item"]["type"] == "message":
                self._answer = str(event["response_id"]), str(event["item"]["id"])
            case "output_audio_buffer.stopped" | "output_audio_buffer.cleared":
                self._answer = None
            case _:
                pass
        self._frames.put_nowait(text)

    def _hear(self, track: Any) -> None:
        self._listening = asyncio.create_task(self._listen(track))

    async def _listen(self, track: Any) -> None:
        from aiortc.mediastreams import MediaStreamError

        try:
            while True:
                sound = _house_audio(await track.recv())
                if self._answer is not None and any(sound):
                    self._frames.put_nowait(json.dumps(_delta(*self._answer, sound)))
        except MediaStreamError:
            return


def _delta(response_id: str, item_id: str, sound: bytes) -> dict[str, Any]:
    """Return sound as the event that a WebSocket would have brought."""
    delta = base64.b64encode(sound).decode()
    return {
        "type": "response.output_audio.delta",
        "response_id": response_id,
        "item_id": item_id,
        "delta": delta,
    }


def _house_audio(frame: Any) -> bytes:
    """Return mono PCM16 at 24 kHz of what aiortc heard: 48 kHz, two channels."""
    samples: np.ndarray = frame.to_ndarray().reshape(-1, len(frame.layout.channels))[:, 0]
    return samples[:: max(1, frame.sample_rate // RATE_HZ)].astype("<i2").tobytes()


def _microphone() -> Any:
    try:
        from aiortc.mediastreams import MediaStreamTrack
        from av import AudioFrame
    except ImportError as missing:
        raise MissingPackage("transport", "aiortc", "webrtc") from missing

    class Microphone(MediaStreamTrack):
        """20 ms at a time, in real time; silence where nothing was said."""

        kind = "audio"

        def __init__(self) -> None:
            super().__init__()
            self._said: deque[bytes] = deque(maxlen=_MOST_WAITING)
            self._sent = 0
            self._began = 0.0

        def say(self, pcm: bytes) -> None:
            self._said.append(pcm)

        async def recv(self) -> Any:
            clock = asyncio.get_running_loop().time
            if not self._sent:
                self._began = clock()
            await asyncio.sleep(max(0.0, self._began + self._sent * FRAME_S - clock()))
            pcm = self._said.popleft() if self._said else b""
            pcm = pcm[: _FRAME_SAMPLES * 2].ljust(_FRAME_SAMPLES * 2, b"\0")
            frame = AudioFrame.from_ndarray(np.frombuffer(pcm, "<i2")[None, :], format="s16", layout="mono")
            frame.sample_rate, frame.pts = RATE_HZ, self._sent * _FRAME_SAMPLES
            frame.time_base = Fraction(1, RATE_HZ)
            self._sent += 1
            return frame

    return Microphone()


@asynccontextmanager
async def phoned(url: str, headers: Mapping[str, str], line: BadLine) -> AsyncGenerator[Phone]:
    """Call the server whose WebSocket is at `url`, over this line; hang up when the block is left.

    Raises ConnectionError when the call is refused or does not come up.
    """
    from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription

    async with AsyncExitStack() as closing:
        connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        phone = Phone(connection)
        closing.push_async_callback(phone.close)
        await connection.setLocalDescription(await connection.createOffer())
        answer = await _asked(calls_address(url), headers, connection.localDescription.sdp)
        port = int(re.findall(r"m=audio (\d+)", answer)[0])
        if line != BadLine():
            _, near = await closing.enter_async_context(bad_line(port, line))
            answer = answer.replace(f" {port} typ", f" {near} typ")
        await connection.setRemoteDescription(RTCSessionDescription(answer, "answer"))
        try:
            async with asyncio.timeout(_OPEN_S):
                await phone.opened()
        except TimeoutError as late:
            raise ConnectionError("the call does not come up") from late
        yield phone


async def _asked(url: str, headers: Mapping[str, str], offer: str) -> str:
    """Post the offer, without the caller's own addresses: the server answers to where packets come from."""
    offer = re.sub(r"a=(candidate.*|end-of-candidates)\r\n", "", offer)
    sent = {**headers, "content-type": "application/sdp"}
    async with aiohttp.ClientSession() as web, web.post(url, data=offer, headers=sent) as answered:
        if answered.status != 201:
            raise ConnectionError(f"the call was refused with {answered.status}")
        return await answered.text()


def calls_address(url: str) -> str:
    """Return where calls are made on the server whose Realtime WebSocket this is."""
    parts = urlsplit(url)
    path = f"{parts.path.rstrip('/')}/calls"
    return urlunsplit(parts._replace(scheme=parts.scheme.replace("ws", "http", 1), path=path))
