"""A small Realtime server for tests: hears speech by level, answers with scripted steps. No models."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed


@dataclass(frozen=True)
class Speak:
    """One response that says `text` for `ms`; `hold` leaves it unfinished until it is interrupted."""

    text: str
    ms: int
    hold: bool = False


@dataclass(frozen=True)
class CallTool:
    """One response with a function call that the server settles itself."""

    name: str
    arguments: dict[str, Any]
    output: Any


Step = Speak | CallTool


@dataclass
class ScriptedServer:
    """Answers the n-th turn of a connection with the n-th list of steps."""

    turns: Sequence[Sequence[Step]]
    silence_ms: int = 200
    received: list[dict[str, Any]] = field(default_factory=list)
    url: str = ""

    async def serve_peer(self, socket: ServerConnection) -> None:
        with suppress(ConnectionClosed):
            await _Peer(socket, self).run()


class _Peer:
    def __init__(self, socket: ServerConnection, script: ScriptedServer) -> None:
        self._socket = socket
        self._script = script
        self._heard_ms = 0.0
        self._speaking = False
        self._quiet_ms = 0.0
        self._turn = 0
        self._held: str | None = None
        self._ids = 0

    def _id(self, kind: str) -> str:
        self._ids += 1
        return f"{kind}_{self._ids}"

    async def _send(self, kind: str, **fields: Any) -> None:
        await self._socket.send(json.dumps({"type": kind, "event_id": self._id("event"), **fields}))

    async def run(self) -> None:
        await self._send("session.created", session={"id": "sess_1"})
        async for frame in self._socket:
            event = json.loads(frame)
            if event["type"] == "input_audio_buffer.append":
                await self._hear(base64.b64decode(event["audio"]))
                continue
            self._script.received.append(event)
            if event["type"] == "session.update":
                await self._send("session.updated", session={"id": "sess_1"} | event["session"])

    async def _hear(self, pcm: bytes) -> None:
        frame_ms = len(pcm) / 48
        self._heard_ms += frame_ms
        loud = np.abs(np.frombuffer(pcm, "<i2").astype(int)).max() > 600
        self._quiet_ms = 0.0 if loud else self._quiet_ms + frame_ms
        if loud and not self._speaking:
            self._speaking = True
            await self._send(
                "input_audio_buffer.speech_started", audio_start_ms=int(self._heard_ms), item_id="i"
            )
            if self._held:
                await self._finish(self._held, "cancelled")
                self._held = None
        elif self._speaking and self._quiet_ms >= self._script.silence_ms:
            self._speaking = False
            await self._answer()

    async def _answer(self) -> None:
        item_id = self._id("item")
        await self._send(
            "input_audio_buffer.speech_stopped", audio_end_ms=int(self._heard_ms), item_id=item_id
        )
        await self._send("input_audio_buffer.committed", previous_item_id=None, item_id=item_id)
        await self._send(
            "conversation.item.input_audio_transcription.completed",
            item_id=item_id,
            content_index=0,
            transcript=f"turn {self._turn}",
        )
        steps = self._script.turns[self._turn]
        self._turn += 1
        for step in steps:
            await (self._speak(step) if isinstance(step, Speak) else self._call(step))

    async def _speak(self, step: Speak) -> None:
        response_id, item_id = self._id("resp"), self._id("item")
        ids = {"response_id": response_id, "item_id": item_id, "output_index": 0, "content_index": 0}
        await self._send("response.created", response={"id": response_id})
        await self._send("response.output_audio_transcript.delta", delta=step.text, **ids)
        for start_ms in range(0, step.ms, 100):
            pcm = (np.ones(min(100, step.ms - start_ms) * 24) * 3000).astype("<i2").tobytes()
            await self._send("response.output_audio.delta", delta=base64.b64encode(pcm).decode(), **ids)
        if step.hold:
            self._held = response_id
        else:
            await self._finish(response_id, "completed")

    async def _finish(self, response_id: str, status: str) -> None:
        await self._send("response.done", response={"id": response_id, "status": status})

    async def _call(self, step: CallTool) -> None:
        response_id, call_id = self._id("resp"), self._id("call")
        item = {"type": "function_call", "status": "completed", "name": step.name, "call_id": call_id}
        item["arguments"] = json.dumps(step.arguments, ensure_ascii=False)
        await self._send("response.created", response={"id": response_id})
        await self._send("response.output_item.done", response_id=response_id, output_index=0, item=item)
        await self._finish(response_id, "completed")
        output = {"type": "function_call_output", "call_id": call_id}
        output["output"] = json.dumps(step.output, ensure_ascii=False)
        await self._send("conversation.item.added", previous_item_id=None, item=output)


@asynccontextmanager
async def scripted_server(
    turns: Sequence[Sequence[Step]], *, silence_ms: int = 200
) -> AsyncIterator[ScriptedServer]:
    script = ScriptedServer(turns, silence_ms)
    async with serve(script.serve_peer, "127.0.0.1", 0, compression=None) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        script.url = f"ws://127.0.0.1:{port}/v1/realtime?model=test"
        yield script
