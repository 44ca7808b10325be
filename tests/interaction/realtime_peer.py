"""A stock client of the Realtime API over any wire that carries its frames, in either dialect, and its voice.

It tells its questions apart as such clients do: by metadata of its own responses. Those that the server makes by
itself, for what a tool gave or somebody said, belong to the oldest question that waits for one.
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

from tests.interaction.peers import Question, soon
from tests.interaction.wires import Wire

from kaiwa.protocol.realtime.dialects import Dialect
from kaiwa.testing.conformance import check_server_event

Frame = dict[str, Any]
Redial = Callable[[str, str], Awaitable[Wire]]
"""Given the token and the id of the last event, have a wire again."""
SILENT_S = 1.2
_PIECE_BYTES = 4_800
_WORDS = re.compile(r"response\.(output_)?(text|audio_transcript)\.delta")
_SOUND = re.compile(r"response\.(output_)?audio\.delta")
_ITEM = re.compile(r"conversation\.item\.(added|created)")
# What plays the sound tells of it by events that only calls have.
_OF_CALLS = "output_audio_buffer."


class RealtimePeer:
    """Every frame is held to the published schema. `heard`: what its spoken turns were understood as."""

    tells_stops = True

    def __init__(self, wire: Wire, dialect: Dialect, redial: Redial, group: asyncio.TaskGroup) -> None:
        self._wire = wire
        self._dialect: Dialect = dialect
        self._redial = redial
        self._group = group
        self._numbers = count(1)
        self._questions: dict[str, Question] = {}
        self._responses: dict[str, Question] = {}
        self._calls: dict[str, Question] = {}
        self._spoken: dict[str, Question] = {}
        self._waiting: list[Question] = []
        self._last_event = ""
        self._sound_bytes = 0
        self._updated = asyncio.Event()
        self._played_out = asyncio.Event()
        self._played_out.set()
        self.ready = asyncio.Event()
        self.heard: list[str] = []
        self.errors: list[Frame] = []
        self.remarks: list[str] = []
        self.listening = group.create_task(self._listen())

    async def hears_an_answer(self) -> None:
        """Wait for sound, in frames or past them."""
        if not self._sound_bytes:
            await soon(self._wire.sounds(), "the answer is heard")

    async def hears_it_out(self) -> None:
        """Wait until the server, where it plays the sound, has nothing left to play."""
        await soon(self._played_out.wait(), "the end of what is played")

    async def begin(self, text: str) -> Question:
        name, question = str(next(self._numbers)), Question()
        self._questions[name] = question
        part = {"type": "input_text", "text": text}
        item = {"type": "message", "role": "user", "content": [part]}
        await self._send("conversation.item.create", item=item)
        await self._send("response.create", response={"metadata": {"question": name}})
        return question

    async def write(self) -> None:
        """Want answers in text, as before anything is said."""
        modalities = {"output_modalities" if self._dialect == "ga" else "modalities": ["text"]}
        await self._update(modalities)

    async def listen(self, *, idle_ms: int | None = None) -> Question:
        """Want answers aloud, and spoken turns written down. Returns the answer to a silence of `idle_ms`."""
        turns: Frame = {"type": "server_vad"} | ({"idle_timeout_ms": idle_ms} if idle_ms else {})
        words = {"model": "whisper-1"}
        silence = Question()
        if idle_ms:
            self._waiting.append(silence)
        if self._dialect == "ga":
            hearing = {"turn_detection": turns, "transcription": words}
            await self._update({"output_modalities": ["audio"], "audio": {"input": hearing}})
        else:
            modalities = ["text", "audio"]
            await self._update(
                {"modalities": modalities, "turn_detection": turns, "input_audio_transcription": words}
            )
        return silence

    async def _update(self, session: Frame) -> None:
        self._updated.clear()
        kind = {"type": "realtime"} if self._dialect == "ga" else {}
        await self._send("session.update", session=kind | session)
        await soon(self._updated.wait(), "the session is updated")

    async def speak(self, pcm: bytes) -> Question:
        """Say this aloud (mono PCM16, 24 kHz), then be silent for a while."""
        question = Question()
        self._waiting.append(question)
        if not await self._wire.speak(pcm):
            sound = pcm + bytes(int(SILENT_S * 48_000))
            for begin in range(0, len(sound), _PIECE_BYTES):
                piece = base64.b64encode(sound[begin : begin + _PIECE_BYTES]).decode()
                await self._send("input_audio_buffer.append", audio=piece)
        return question

    async def stop(self, question: Question) -> None:
        running = next(rid for rid, asked in self._responses.items() if asked is question)
        await self._send("response.cancel", response_id=running)

    async def drop(self) -> None:
        self._wire.cut()
        self.listening.cancel()
        await asyncio.wait([self.listening])

    async def come_back(self) -> None:
        self.ready.clear()
        self._wire = await self._redial(self._wire.token, self._last_event)
        self.listening = self._group.create_task(self._listen())
        await soon(self.ready.wait(), "the session is there again")

    async def refused(self) -> str:
        await soon(asyncio.wait([self.listening]), "the server hangs up")
        return self.errors[-1]["code"]

    async def _listen(self) -> None:
        async for text in self._wire.frames():
            self.hear(text)

    def hear(self, text: str) -> None:
        frame: Frame = json.loads(text)
        self._last_event = frame["event_id"]
        if frame["type"].startswith(_OF_CALLS):
            began = frame["type"] == f"{_OF_CALLS}started"
            (self._played_out.clear if began else self._played_out.set)()
            return
        check_server_event(text, self._dialect)
        match frame["type"]:
            case "session.created":
                self.ready.set()
            case "session.updated":
                self._updated.set()
            case "response.created":
                self._began(frame["response"])
            case kind if _WORDS.fullmatch(kind):
                question = self._spoken[frame["item_id"]] = self._responses[frame["response_id"]]
                question.add(frame["delta"])
            case "conversation.item.truncated":
                self._spoken[frame["item_id"]].cut_off = True
            case kind if _SOUND.fullmatch(kind):
                self._sound_bytes += len(base64.b64decode(frame["delta"]))
            case "conversation.item.input_audio_transcription.completed":
                self.heard.append(frame["transcript"].strip())
            case kind if _ITEM.fullmatch(kind) and frame["item"]["type"] == "function_call_output":
                self._calls.pop(frame["item"]["call_id"], None)
            case "response.done":
                self._ended(frame["response"])
            case "error":
                self._err(frame["error"])
            case _:
                pass

    def _began(self, response: Frame) -> None:
        told = response["metadata"] or {}
        if told.get("kaiwa") == "remark":
            question = Question()
        elif (name := told.get("question")) in self._questions:
            question = self._questions[name]
        else:
            assert self._waiting, f"a response that nobody asked for: {response}"
            question = self._waiting.pop(0)
        self._responses[response["id"]] = question
        if question.text:
            question.add("\n")

    def _ended(self, response: Frame) -> None:
        question, output = self._responses.pop(response["id"]), response["output"]
        if (response["metadata"] or {}).get("kaiwa") == "remark":
            self.remarks.append(question.text)
            return
        if (usage := response["usage"]) is not None:
            question.used(usage["input_tokens"], usage["output_tokens"])
        self._calls |= {item["call_id"]: question for item in output if item["type"] == "function_call"}
        if response["status"] in ("cancelled", "failed"):
            question.close("cancelled" if response["status"] == "cancelled" else "error")
        elif not output or question in self._calls.values():
            self._waiting.append(question)  # a relay does not show the calls that it answers itself
        else:
            question.close("stop")

    def _err(self, error: Frame) -> None:
        self.errors.append(error)
        if error["code"] == "insufficient_quota":  # nothing more is answered
            for question in self._questions.values():
                if question.end is None:
                    question.close("error")

    async def _send(self, kind: str, **fields: Any) -> None:
        await self._wire.say(json.dumps({"type": kind, **fields}))


@asynccontextmanager
async def hearing(wire: Wire, dialect: Dialect, redial: Redial) -> AsyncIterator[RealtimePeer]:
    """Have a peer until the block is left; what it stumbles over fails the test."""
    async with asyncio.TaskGroup() as group:
        peer = RealtimePeer(wire, dialect, redial, group)
        await soon(peer.ready.wait(), "the session is created")
        await peer.write()
        yield peer
        peer.listening.cancel()
