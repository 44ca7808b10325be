"""fastrtc: a `Stream` of sound both ways with one asynchronous handler for each call."""

from __future__ import annotations

import asyncio
import json
import os
from typing import Any
from uuid import uuid4

os.environ |= {"GRADIO_ANALYTICS_ENABLED": "False", "HF_HUB_OFFLINE": "1"}

import numpy as np
import uvloop
from door import EVENT, PIECE_S, RATE_HZ, answer_offers, pieces, sound_to_speak
from fastrtc import AsyncStreamHandler, Stream, wait_for_item
from numpy.typing import NDArray

Sound = tuple[int, NDArray[np.int16]]


class Agent(AsyncStreamHandler):
    """Speaks without a break and tells five events a second, or gives back what it hears."""

    def __init__(self, sound: bytes | None) -> None:
        super().__init__(output_sample_rate=RATE_HZ, input_sample_rate=RATE_HZ)
        self._sound = sound
        self._count = 0
        self._heard: asyncio.Queue[Sound] = asyncio.Queue()

    async def receive(self, frame: Sound) -> None:
        if self._sound is None:
            self._heard.put_nowait(frame)

    async def emit(self) -> Sound | None:
        if self._sound is None:
            return await wait_for_item(self._heard)
        # A little ahead of the clock: fastrtc paces by itself what waits in its queue.
        loop = asyncio.get_running_loop()
        self._begin = self._begin if self._count else loop.time()
        await asyncio.sleep(max(0.0, self._begin + (self._count - 1) * PIECE_S - loop.time()))
        spoken = np.frombuffer(pieces(self._sound, self._count), "<i2")[None, :]
        self._count += 1
        if self.channel is not None:
            self.channel.send(json.dumps(EVENT))
        return RATE_HZ, spoken

    def copy(self) -> Agent:
        return Agent(self._sound)

    async def start_up(self) -> None:
        pass


async def _serve(sound: bytes | None) -> None:
    stream = Stream(
        Agent(sound),
        modality="audio",
        mode="send-receive",
        concurrency_limit=1000,
        server_rtc_configuration={"iceServers": []},
        verbose=False,
    )

    async def answer(offer: str) -> str:
        body = {"sdp": offer, "type": "offer", "webrtc_id": uuid4().hex}
        given: Any = await stream.handle_offer(body, stream.set_additional_outputs(body["webrtc_id"]))
        return given["sdp"]

    await answer_offers(answer)


if __name__ == "__main__":
    uvloop.run(_serve(sound_to_speak()))
