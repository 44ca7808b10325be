"""A caller by WebRTC who sees the house through the planted breakage: frames of the channel, and sound.

The other end is aiortc, which is none of ours. Every wait is bounded; one that is not met is an assertion
that failed.
"""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import numpy as np
from tests.contract.breakages import Breakage, Frame, Maker
from tests.contract.house import BEARER, Answer, House
from tests.transports.webrtc.aiortc_peer import AiortcPeer, aiortc_peer

from kaiwa.testing.conformance import check_server_event

CALLS = "/v1/realtime/calls?model=gpt-realtime"
SDP = {"Content-Type": "application/sdp"}
# What aiortc's own jitter buffer adds before sound is heard.
BUFFER_S = 0.1
_LOUD = 300.0
_PIECE_S = 0.02
_CALL_PATIENCE_S = 15.0


class Phone:
    """One call. `heard_at` are the times at which something was to be heard."""

    def __init__(self, house: House, peer: AiortcPeer, answer: Answer) -> None:
        self.peer = peer
        self.answer = answer
        self.frames: list[Frame] = []
        self.times: dict[str, float] = {}
        self._planted = house.planted
        self._patience_s = _CALL_PATIENCE_S if type(house.planted) is Breakage else 1.0
        self._strict = type(house.planted) is Breakage
        self._waiting: deque[Frame] = deque()

    @property
    def id(self) -> str:
        return self.answer.headers["location"].rpartition("/")[2]

    @property
    def types(self) -> list[str]:
        return [str(frame["type"]) for frame in self.frames]

    async def send(self, frame: Frame) -> None:
        assert self.peer.channel is not None, "this call has no channel"
        for told in self._planted.from_peer(frame):
            self.peer.channel.send(json.dumps(told))

    async def hear(self) -> Frame:
        """Return the next frame."""
        try:
            async with asyncio.timeout(self._patience_s):
                while not self._waiting:
                    text = await self.peer.frames.get()
                    if self._strict:
                        check_server_event(text, "ga")
                    self._waiting.extend(self._planted.to_peer(json.loads(text)))
        except TimeoutError:
            raise AssertionError(f"nothing more after {self.types}") from None
        frame = self._waiting.popleft()
        self.frames.append(frame)
        self.times[frame["type"]] = asyncio.get_running_loop().time()
        return frame

    async def until(self, kind: str) -> Frame:
        while (frame := await self.hear())["type"] != kind:
            pass
        return frame

    async def update(self, **session: Any) -> None:
        await self.send({"type": "session.update", "session": {"type": "realtime", **session}})

    async def ask(self, text: str) -> None:
        part = {"type": "input_text", "text": text}
        item = {"type": "message", "role": "user", "content": [part]}
        await self.send({"type": "conversation.item.create", "item": item})
        await self.send({"type": "response.create"})

    async def say(self, seconds: float) -> None:
        """Make a sound into the microphone for so long."""
        self.peer.tone.hz = 440.0
        await asyncio.sleep(seconds)
        self.peer.tone.hz = 0.0

    @property
    def heard_at(self) -> list[float]:
        """When something was to be heard, in the time of the loop."""
        lag = getattr(self._planted, "sound_lag_s", 0.0)
        if getattr(self._planted, "deaf", False):
            return []
        return [when + lag for when, piece in self.peer.heard if _loud(piece)]

    def heard_after(self, when: float) -> float:
        """Return how long it sounded from then on, in the time of the sound: a busy machine does not stretch it."""
        lag = getattr(self._planted, "sound_lag_s", 0.0)
        loud = [_loud(piece) for at, piece in self.peer.heard if at + lag > when]
        return (len(loud) - loud[::-1].index(True)) * _PIECE_S if any(loud) else 0.0

    async def sound(self, seconds: float = 0.0) -> float:
        """Wait until something is heard, and for so long, and return when that began."""
        until = asyncio.get_running_loop().time() + self._patience_s
        while not self.heard_at or len(self.heard_at) * _PIECE_S < seconds:
            assert asyncio.get_running_loop().time() < until, "nothing is heard"
            await asyncio.sleep(0.02)
        return self.heard_at[0]

    async def gone(self) -> None:
        """Wait until the call is over."""
        try:
            async with asyncio.timeout(self._patience_s):
                await self.peer.closed.wait()
        except TimeoutError:
            raise AssertionError("the call goes on") from None


def _loud(piece: np.ndarray) -> bool:
    return float(np.sqrt(np.mean(piece.astype(np.float64) ** 2))) > _LOUD


@asynccontextmanager
async def phoning(
    house: House,
    path: str = CALLS,
    headers: dict[str, str] = BEARER,
    *,
    label: str | None = "oai-events",
) -> AsyncIterator[Phone]:
    """Make a call; a refusal is an assertion that failed."""
    async with aiortc_peer(label=label) as peer:
        offer = await peer.offer()
        told = await house.request("POST", path, headers={**headers, **SDP}, data=offer)
        assert told.status == 201, told.body
        await peer.accept(told.body.decode())
        yield Phone(house, peer, told)


def heading(name: str, value: str) -> Maker:
    """Change a header of every HTTP answer."""

    class Heading(Breakage):
        def answer(self, status: int, headers: dict[str, str], body: Any) -> tuple[int, dict[str, str], Any]:
            return status, {**headers, name: value}, body

    return Heading


def rewriting(change: Callable[[str], str]) -> Maker:
    """Change the text of SDP answers."""

    class Rewriting(Breakage):
        def answer(self, status: int, headers: dict[str, str], body: Any) -> tuple[int, dict[str, str], Any]:
            return status, headers, change(body.decode()).encode() if isinstance(body, bytes) else body

    return Rewriting


def sounding_late(seconds: float) -> Maker:
    """Sound is heard later than it is."""

    class Late(Breakage):
        sound_lag_s = seconds

    return Late


class Deaf(Breakage):
    """No sound is heard."""

    deaf = True
