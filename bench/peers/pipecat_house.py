"""pipecat's SmallWebRTC transport: for each call a pipeline, with one processor between its ends."""

from __future__ import annotations

import asyncio
import os
from typing import Any

os.environ.setdefault("LOGURU_LEVEL", "ERROR")

import uvloop
from door import EVENT, PIECE_S, RATE_HZ, answer_offers, pieces, sound_to_speak
from pipecat.frames.frames import (
    Frame,
    InputAudioRawFrame,
    OutputAudioRawFrame,
    OutputTransportMessageUrgentFrame,
    StartFrame,
)
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineParams, PipelineWorker
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor
from pipecat.transports.base_transport import TransportParams
from pipecat.transports.smallwebrtc.connection import SmallWebRTCConnection
from pipecat.transports.smallwebrtc.transport import SmallWebRTCTransport
from pipecat.workers.runner import WorkerRunner


class Agent(FrameProcessor):
    """Speaks without a break and tells five events a second, or gives back what it hears."""

    def __init__(self, sound: bytes | None) -> None:
        super().__init__()
        self._sound = sound
        self._speaking: asyncio.Task[None] | None = None

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        if isinstance(frame, InputAudioRawFrame):
            if self._sound is None:
                await self.push_frame(_spoken(frame.audio))
            return
        await self.push_frame(frame, direction)
        if isinstance(frame, StartFrame) and self._sound is not None:
            self._speaking = asyncio.create_task(self._speak(self._sound))

    async def _speak(self, sound: bytes) -> None:
        loop = asyncio.get_running_loop()
        begin, count = loop.time(), 0
        while True:
            await self.push_frame(_spoken(pieces(sound, count)))
            await self.push_frame(OutputTransportMessageUrgentFrame(message=EVENT))
            count += 1
            await asyncio.sleep(max(0.0, begin + count * PIECE_S - loop.time()))


def _spoken(audio: bytes) -> OutputAudioRawFrame:
    return OutputAudioRawFrame(audio=audio, sample_rate=RATE_HZ, num_channels=1)


async def _serve(sound: bytes | None) -> None:
    calls: set[asyncio.Task[Any]] = set()

    async def answer(offer: str) -> str:
        connection = SmallWebRTCConnection(ice_servers=[])
        await connection.initialize(sdp=offer, type="offer")
        calls.add(asyncio.create_task(_call(connection, sound)))
        given = connection.get_answer()
        assert given is not None, "pipecat gave no answer"
        return given["sdp"]

    await answer_offers(answer)


async def _call(connection: SmallWebRTCConnection, sound: bytes | None) -> None:
    params = TransportParams(
        audio_in_enabled=True,
        audio_out_enabled=True,
        audio_in_sample_rate=RATE_HZ,
        audio_out_sample_rate=RATE_HZ,
    )
    transport = SmallWebRTCTransport(webrtc_connection=connection, params=params)
    pipeline = Pipeline([transport.input(), Agent(sound), transport.output()])
    rates = PipelineParams(audio_in_sample_rate=RATE_HZ, audio_out_sample_rate=RATE_HZ)
    worker = PipelineWorker(pipeline, params=rates, enable_rtvi=False, enable_turn_tracking=False)
    runner = WorkerRunner(handle_sigint=False)
    await runner.add_workers(worker)
    await runner.run()


if __name__ == "__main__":
    uvloop.run(_serve(sound_to_speak()))
