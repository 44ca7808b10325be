"""A stock client of the Realtime API at any door that carries its frames, in either dialect, and its voice.

It tells its questions apart as such clients do: by metadata of its own responses. Those that the server makes by
itself, for what a tool gave, belong to the oldest question that waits for a tool.
"""

from __future__ import annotations

import asyncio
import base64
import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from itertools import count
from typing import Any

from tests.interaction.peers import Question
from tests.transports.webrtc.aiortc_peer import Tone, sine

from kaiwa.protocol.realtime.dialects import Dialect
from kaiwa.testing.conformance import check_server_event

Frame = dict[str, Any]
HZ, SPOKEN_S, SILENT_S = 300.0, 0.9, 1.2
_PIECE_BYTES = 4_800
_WORDS = re.compile(r"response\.(output_)?(text|audio_transcript)\.delta")


class RealtimePeer:
    """`say` sends a frame; whatever comes is given to `hear`. Every frame is held to the published schema."""

    tells_stops = True

    def __init__(
        self, say: Callable[[str], Awaitable[None]], dialect: Dialect, tone: Tone | None = None
    ) -> None:
        """`tone`: the microphone of a call; without one sound goes in frames."""
        self._say = say
        self._tone = tone
        self._dialect = dialect
        self._numbers = count(1)
        self._questions: dict[str, Question] = {}
        self._responses: dict[str, Question] = {}
        self._waiting: list[Question] = []
        self.errors: list[Frame] = []
        self.ready = asyncio.Event()

    async def begin(self, text: str) -> Question:
        name, question = str(next(self._numbers)), Question()
        self._questions[name] = question
        part = {"type": "input_text", "text": text}
        item = {"type": "message", "role": "user", "content": [part]}
        await self._send("conversation.item.create", item=item)
        modalities = {"output_modalities" if self._dialect == "ga" else "modalities": ["text"]}
        await self._send("response.create", response={**modalities, "metadata": {"question": name}})
        return question

    async def speak(self) -> Question:
        """Say something for as long as a short sentence takes, then be silent. The words are the script's."""
        question = Question()
        self._waiting.append(question)
        if self._tone is not None:
            self._tone.hz = HZ
            await asyncio.sleep(SPOKEN_S)  # a microphone is played in real time
            self._tone.hz = 0.0
            return question
        voice = sine(HZ, int(SPOKEN_S * 24_000), rate_hz=24_000).tobytes() + bytes(int(SILENT_S * 48_000))
        for begin in range(0, len(voice), _PIECE_BYTES):
            piece = base64.b64encode(voice[begin : begin + _PIECE_BYTES]).decode()
            await self._send("input_audio_buffer.append", audio=piece)
        return question

    async def stop(self, question: Question) -> None:
        running = next(rid for rid, asked in self._responses.items() if asked is question)
        await self._send("response.cancel", response_id=running)

    def hear(self, text: str) -> None:
        check_server_event(text, self._dialect)
        frame: Frame = json.loads(text)
        match frame["type"]:
            case "session.created":
                self.ready.set()
            case "response.created":
                self._began(frame["response"])
            case kind if _WORDS.fullmatch(kind):
                self._responses[frame["response_id"]].add(frame["delta"])
            case "response.done":
                self._ended(frame["response"])
            case "error":
                self.errors.append(frame["error"])
            case _:
                pass

    def _began(self, response: Frame) -> None:
        name = (response["metadata"] or {}).get("question")
        if name in self._questions:
            self._responses[response["id"]] = self._questions[name]
            return
        assert self._waiting, f"a response that nobody asked for: {response}"
        self._responses[response["id"]] = self._waiting.pop(0)

    def _ended(self, response: Frame) -> None:
        question = self._responses.pop(response["id"])
        if (usage := response["usage"]) is not None:
            question.used(usage["input_tokens"], usage["output_tokens"])
        if response["status"] in ("cancelled", "failed"):
            question.close("cancelled" if response["status"] == "cancelled" else "error")
        elif all(item["type"] == "function_call" for item in response["output"]):
            self._waiting.append(question)  # a relay does not show the calls that it answers itself
        else:
            question.close("stop")

    async def _send(self, kind: str, **fields: Any) -> None:
        await self._say(json.dumps({"type": kind, **fields}))


@asynccontextmanager
async def hearing(peer: RealtimePeer, frames: AsyncIterator[str]) -> AsyncIterator[RealtimePeer]:
    """Give the peer what comes until the block is left; what it stumbles over fails the test."""

    async def hear() -> None:
        async for frame in frames:
            peer.hear(frame)

    async with asyncio.TaskGroup() as group:
        task = group.create_task(hear())
        await peer.ready.wait()
        yield peer
        task.cancel()
