"""The five turns of a client that hands its user the plain events, in either dialect. Knows no client."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any, Protocol

from job import (
    GREETING,
    LONG_WISH,
    THANKS,
    WEATHER_DESCRIPTION,
    WEATHER_NAME,
    WEATHER_QUESTION,
    WEATHER_RESULT,
    Inbox,
    Job,
    Saw,
    Turns,
    long_answer,
)

Event = dict[str, Any]
HEARING = {"model": "whisper-1"}
HEARD = "conversation.item.input_audio_transcription.completed"
WEATHER = {
    "type": "function",
    "name": WEATHER_NAME,
    "description": WEATHER_DESCRIPTION,
    "parameters": {
        "type": "object",
        "properties": {"location": {"type": "string", "description": "The city and state"}},
        "required": ["location"],
    },
}


class Wire(Protocol):
    """A client that is connected: what it sends, and every server event as it came."""

    inbox: Inbox

    async def send(self, event: Event) -> None: ...


@dataclass(frozen=True)
class Names:
    """How a dialect calls what the turns need."""

    text_only: Event
    aloud: Event
    listening: Event
    words: Mapping[str, str]
    sound: str


GA = Names(
    text_only={"type": "realtime", "output_modalities": ["text"]},
    aloud={"type": "realtime"},
    listening={
        "type": "realtime",
        "audio": {"input": {"transcription": HEARING, "turn_detection": {"type": "server_vad"}}},
    },
    words={"response.output_text.done": "text", "response.output_audio_transcript.done": "transcript"},
    sound="response.output_audio.delta",
)
BETA = Names(
    text_only={"modalities": ["text"]},
    aloud={"modalities": ["text", "audio"]},
    listening={"input_audio_transcription": HEARING, "turn_detection": {"type": "server_vad"}},
    words={"response.text.done": "text", "response.audio_transcript.done": "transcript"},
    sound="response.audio.delta",
)


def turns_over(job: Job, names: Names, connect: Callable[[], AbstractAsyncContextManager[Wire]]) -> Turns:
    """Return the five turns; each connects for itself."""

    def one(turn: str) -> Callable[[], Any]:
        async def run() -> Saw:
            async with connect() as wire:
                return await getattr(_Talk(job, names, wire), turn)()

        return run

    return {turn: one(turn) for turn in ("text", "audio", "tool", "interruption", "error")}


class _Talk:
    def __init__(self, job: Job, names: Names, wire: Wire) -> None:
        self._job = job
        self._names = names
        self._wire = wire

    async def text(self) -> Saw:
        await self._update(self._names.text_only)
        return _told(await self._ask(GREETING))

    async def audio(self) -> Saw:
        await self._update(self._names.listening)
        for piece in self._job.pieces():
            await self._wire.send(
                {"type": "input_audio_buffer.append", "audio": base64.b64encode(piece).decode()}
            )
        seen = await self._until(HEARD, "response.done")
        heard = next(event["transcript"] for event in seen if event["type"] == HEARD)
        return _told(self._summary(seen)) | {"heard": heard}

    async def tool(self) -> Saw:
        await self._update(self._names.aloud | {"tools": [WEATHER]})
        asked = await self._ask(WEATHER_QUESTION)
        call = next(item for item in asked["output"] if item["type"] == "function_call")
        output = json.dumps(WEATHER_RESULT, ensure_ascii=False)
        item = {"type": "function_call_output", "call_id": call["call_id"], "output": output}
        await self._wire.send({"type": "conversation.item.create", "item": item})
        told = {"name": call["name"], "arguments": json.loads(call["arguments"])}
        return _told(await self._respond()) | {"call": told}

    async def interruption(self) -> Saw:
        await self._update(self._names.aloud)
        await self._wire.send({"type": "conversation.item.create", "item": _user_says(LONG_WISH)})
        await self._wire.send({"type": "response.create", "response": {"instructions": long_answer()}})
        await self._wire.inbox.until("sound", lambda event: event["type"] == self._names.sound)
        await self._wire.send({"type": "response.cancel"})
        cut = self._summary(await self._until("response.done"))
        await self._update(self._names.text_only)
        return _told(await self._ask(THANKS)) | {"interrupted": cut["status"]}

    async def error(self) -> Saw:
        await self._update(self._names.text_only)
        await self._wire.send(
            {"type": "conversation.item.delete", "item_id": "item_nobody", "event_id": "mine_1"}
        )
        failed = await self._wire.inbox.until("error", lambda event: event["type"] == "error")
        told = {"error": failed["error"]["message"], "blamed": failed["error"]["event_id"]}
        return _told(await self._ask(THANKS)) | told

    async def _update(self, session: Event) -> None:
        await self._wire.send({"type": "session.update", "session": session})
        await self._until("session.updated")

    async def _ask(self, text: str) -> Saw:
        await self._wire.send({"type": "conversation.item.create", "item": _user_says(text)})
        return await self._respond()

    async def _respond(self) -> Saw:
        await self._wire.send({"type": "response.create"})
        return self._summary(await self._until("response.done"))

    async def _until(self, *names: str) -> list[Event]:
        """Return what came until an event of each of these names was among it."""
        seen: list[Event] = []

        def enough(event: Event) -> bool:
            if event["type"] == "error":
                raise RuntimeError(event["error"]["message"])
            seen.append(event)
            return set(names) <= {event["type"] for event in seen}

        await self._wire.inbox.until(names[-1], enough)
        return seen

    def _summary(self, seen: list[Event]) -> Saw:
        response = next(event["response"] for event in seen if event["type"] == "response.done")
        ends = self._names.words
        words = "".join(event[ends[event["type"]]] for event in seen if event["type"] in ends)
        sound = [base64.b64decode(event["delta"]) for event in seen if event["type"] == self._names.sound]
        return {
            "status": response["status"],
            "output": response["output"],
            "words": words,
            "sound_bytes": sum(map(len, sound)),
        }


def _user_says(text: str) -> Event:
    return {"type": "message", "role": "user", "content": [{"type": "input_text", "text": text}]}


def _told(summary: Saw) -> Saw:
    return {name: value for name, value in summary.items() if name != "output"}
