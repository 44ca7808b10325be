"""Calls without sound on the wire: what media is to the server, held in memory, for tests that need no WebRTC."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from typing import Any

from kaiwa.errors import PeerError
from kaiwa.events import server
from kaiwa.events.client import AudioAppended, ClientEvent
from kaiwa.protocol.realtime.calls import type_of
from kaiwa.protocol.realtime.ga import GaCodec
from kaiwa.transports.websocket import Codec

OFFER = "v=0\r\no=- 1 2 IN IP4 127.0.0.1\r\ns=-\r\nm=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=mid:0\r\n"
ANSWER = "v=0\r\no=- 2 2 IN IP4 127.0.0.1\r\ns=-\r\nm=audio 1 UDP/TLS/RTP/SAVPF 111\r\na=mid:0\r\n"
PATIENCE_S = 15.0


class PaperCall:
    """Both ends of a call: the server's `transport`, and what a browser would say and hear."""

    def __init__(self) -> None:
        self.answer_sdp = ANSWER
        self.ended = asyncio.Event()
        self.transport = PaperTransport()

    async def connected(self) -> bool:
        return True

    async def hang_up(self) -> None:
        self.transport.leave()
        self.ended.set()

    # --- the browser ---------------------------------------------------------------------------

    def say(self, kind: str, **fields: Any) -> None:
        """Send a frame over the data channel."""
        self.transport.told.put_nowait(json.dumps({"type": kind, **fields}))

    def ask(self, text: str) -> None:
        part = {"type": "input_text", "text": text}
        self.say("conversation.item.create", item={"type": "message", "role": "user", "content": [part]})
        self.say("response.create")

    def speak(self, sound: bytes) -> None:
        self.transport.told.put_nowait(sound)

    async def until(self, kind: str) -> dict[str, Any]:
        """Return the next frame of a type."""
        return await self.until_it(lambda frame: frame["type"] == kind)

    async def until_it(self, fits: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        async with asyncio.timeout(PATIENCE_S):
            while not fits(frame := json.loads(await self.transport.frames.get())):
                self.transport.heard.append(frame["type"])
        self.transport.heard.append(frame["type"])
        return frame

    @property
    def heard(self) -> list[str]:
        """The types of the frames that were waited for or passed over."""
        return self.transport.heard


class PaperTransport:
    """Fits `kaiwa.interfaces.Transport`."""

    def __init__(self) -> None:
        self.codec: Codec = GaCodec()
        self.told: asyncio.Queue[str | bytes | None] = asyncio.Queue()
        self.frames: asyncio.Queue[str] = asyncio.Queue()
        self.heard: list[str] = []
        self.sound = bytearray()
        self.cleared = 0

    async def receive(self) -> AsyncIterator[ClientEvent]:
        while (told := await self.told.get()) is not None:
            yield AudioAppended(audio=told) if isinstance(told, bytes) else self.codec.decode_client(told)

    async def send(self, event: server.ServerEvent) -> None:
        if isinstance(event, server.AudioDelta):
            self.sound += event.delta
            return
        self.cleared += type_of(event) == "output_audio_buffer.cleared"
        if frame := self.codec.encode_server(event):
            self.frames.put_nowait(frame)

    async def close(self, code: int, reason: str) -> None:
        self.leave()

    def leave(self) -> None:
        self.told.put_nowait(None)


class PaperMedia:
    def __init__(self) -> None:
        self.calls: list[PaperCall] = []

    async def answer(self, offer_sdp: str) -> PaperCall:
        if not offer_sdp.startswith("v=0"):
            raise PeerError("invalid_sdp", "The SDP offer cannot be answered.", param="sdp")
        self.calls.append(PaperCall())
        return self.calls[-1]

    async def close(self) -> None:
        for call in self.calls:
            await call.hang_up()
