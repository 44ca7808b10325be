"""The ear and mouth of a good voice client of the GA Realtime protocol, for any microphone and loudspeaker.

Knows the protocol's events: plays the agent's audio, falls silent when the caller speaks and tells the server
what was heard, notes times, transcripts and tool calls. Does not know who speaks or when.
"""

from __future__ import annotations

import asyncio
import base64
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, Protocol

from websockets.exceptions import ConnectionClosed, ConnectionClosedError

from kaiwa.testing.call import Call, ToolUse, Turn
from kaiwa.testing.loudspeaker import Heard

Event = dict[str, Any]
Observer = Callable[[float, Event], None]


class Connection(Protocol):
    """A WebSocket, or what looks like one. Ended without a goodbye, it raises ConnectionClosedError."""

    @property
    def close_code(self) -> int | None: ...

    @property
    def close_reason(self) -> str | None: ...

    async def send(self, message: str, /) -> None: ...

    def __aiter__(self) -> AsyncIterator[str | bytes]: ...

    async def close(self) -> None: ...


Return = Callable[[str], Awaitable[Connection | None]]
"""Dials again after the event with this id was the last that came; None: there is no way back."""


class CallClock:
    """Call time: seconds since `start`, running `pace` times as fast as the wall."""

    def __init__(self, pace: float = 1.0) -> None:
        self.pace = pace
        self._zero_s = time.perf_counter()

    def start(self) -> None:
        self._zero_s = time.perf_counter()

    def now(self) -> float:
        return (time.perf_counter() - self._zero_s) * self.pace

    async def reach(self, moment_s: float) -> None:
        """Wait until the clock shows `moment_s`."""
        await asyncio.sleep(max(0.0, (moment_s - self.now()) / self.pace))


class Speaker(Protocol):
    """Where the agent's sound goes."""

    @property
    def free_at_s(self) -> float: ...

    def playing(self, now: float) -> bool: ...

    def push(self, item_id: str, pcm: bytes, now: float) -> float: ...

    def stop(self, now: float) -> list[Heard]: ...


class VoiceClient:
    """One connected conversation. `listen` runs until the server closes; `changed` fires on every event."""

    def __init__(
        self,
        socket: Connection,
        speaker: Speaker,
        clock: CallClock,
        observer: Observer | None = None,
        call: Call | None = None,
        come_back: Return | None = None,
    ) -> None:
        """`call`: the record of an earlier connection that this one goes on with. `come_back`: what to do
        when the connection breaks; None: the call is over then."""
        self._socket = socket
        self._come_back = come_back
        self._last_event_id = ""
        self._speaker = speaker
        self._clock = clock
        self._observer = observer
        self._active: set[str] = set()
        self._muted: set[str] = set()
        self._waiting_calls: set[str] = set()
        self._user_items: dict[str, Turn] = {}
        self.call = call or Call()
        self.changed = asyncio.Event()
        self.reply_due = False
        self.last_event_s = 0.0
        self.reply_started_s: float | None = None
        self.configured = False
        self.closed = False
        self.returns: list[tuple[float, float]] = []
        """When the connection broke, and when it was there again."""

    @property
    def thinking(self) -> bool:
        """The server owes us something: a response is active, or one must follow."""
        return bool(self._active) or self.reply_due

    @property
    def waiting_for_tools(self) -> bool:
        return bool(self._waiting_calls)

    async def send(self, event: Event) -> None:
        """Send one event; a closed socket is noticed by `listen`."""
        if event["type"] != "input_audio_buffer.append":
            self.call.events.append((self._clock.now(), "sent", event))
        socket = self._socket
        try:
            await socket.send(json.dumps(event))
        except ConnectionClosed:
            if self._come_back is None:
                self.closed = True
            elif event["type"] != "input_audio_buffer.append":  # sound that was under way is lost
                await self._send_again(event, socket)

    async def _send_again(self, event: Event, broken: Connection) -> None:
        while self._socket is broken and not self.closed:
            self.changed.clear()
            await self.changed.wait()
        if not self.closed:
            await self._socket.send(json.dumps(event))

    async def send_audio(self, pcm: bytes) -> None:
        await self.send({"type": "input_audio_buffer.append", "audio": base64.b64encode(pcm).decode()})

    async def listen(self) -> None:
        """Take the server's events until it closes."""
        async for event, now in self._events():
            for reaction in self._take(event, now):
                await self.send(reaction)
            self.changed.set()
        self.closed = True
        self.changed.set()

    async def _events(self) -> AsyncIterator[tuple[Event, float]]:
        there = True
        while there:
            try:
                async for frame in self._socket:
                    now = self._clock.now()
                    event: Event = json.loads(frame)
                    self._last_event_id = event.get("event_id", "")
                    yield event, now
                there = False
            except ConnectionClosedError:
                there = await self._is_back()
        self.call.ended = f"{self._socket.close_code} {self._socket.close_reason or ''}".strip()

    async def _is_back(self) -> bool:
        """After a break: dial again, if that is wanted; say whether the call goes on."""
        if self._come_back is None:
            return False
        broke_s = self._clock.now()
        socket = await self._come_back(self._last_event_id)
        if socket is None:
            return False
        self._socket = socket
        self.returns.append((broke_s, self._clock.now()))
        self.changed.set()
        return True

    def _take(self, event: Event, now: float) -> list[Event]:
        self.last_event_s = now
        self._log(event, now)
        kind: str = event["type"]
        reactions: list[Event] = []
        if kind in ("session.created", "session.updated"):
            self.call.session = event["session"]
            self.configured = kind == "session.updated"
        elif kind == "error":
            self.call.errors.append(event["error"])
        elif kind.startswith("input_audio_buffer.") or "input_audio_transcription" in kind:
            reactions = self._take_hearing(kind, event, now)
        elif kind.startswith("response."):
            self._take_response(kind, event, now)
        elif kind == "conversation.item.added":
            self._take_item(event["item"], now)
        if self._observer:
            self._observer(now, event)
        return reactions

    def _log(self, event: Event, now: float) -> None:
        if event["type"] == "response.output_audio.delta":
            event = event | {"delta": f"<{len(event['delta'])} characters of base64>"}
        self.call.events.append((now, "received", event))

    @property
    def _turn(self) -> Turn | None:
        return self.call.turns[-1] if self.call.turns else None

    def _take_hearing(self, kind: str, event: Event, now: float) -> list[Event]:
        turn = self._turn
        if kind.endswith("speech_started"):
            return self._fall_silent(now)
        if kind.endswith("speech_stopped") and turn:
            turn.stops += 1
            if now >= turn.speech_end_s and turn.stopped_s is None:
                turn.stopped_s, turn.stopped_audio_ms = now, event["audio_end_ms"]
        elif kind.endswith("committed") and turn:
            self._user_items[event["item_id"]] = turn
            self.reply_due = True
            if now >= turn.speech_end_s and turn.committed_s is None:
                turn.committed_s = now
        elif kind.endswith("transcription.completed"):
            spoken = self._user_items.get(event["item_id"])
            if spoken:
                spoken.transcript += event["transcript"]
                spoken.transcribed_s = now
        return []

    def _fall_silent(self, now: float) -> list[Event]:
        """Stop the sound and whatever of the running responses is still under way."""
        self._muted |= self._active
        if not self._speaker.playing(now):
            return []
        cut = self._speaker.stop(now)
        for turn in self.call.turns:
            if turn.playout_end_s is not None and turn.playout_end_s > now:
                turn.playout_end_s, turn.interrupted = now, True
        return [
            {
                "type": "conversation.item.truncate",
                "item_id": heard.item_id,
                "content_index": 0,
                "audio_end_ms": heard.heard_ms,
            }
            for heard in cut
        ]

    def _take_response(self, kind: str, event: Event, now: float) -> None:
        turn = self._turn
        if kind == "response.created":
            self._active.add(event["response"]["id"])
            self.reply_due = False
            if turn and turn.stopped_s is not None and turn.response_created_s is None:
                turn.response_created_s = now
        elif kind == "response.done":
            self._active.discard(event["response"]["id"])
        elif kind == "response.output_item.done" and event["item"]["type"] == "function_call":
            self._note_call(event["item"], now)
        elif kind in ("response.output_audio_transcript.delta", "response.output_text.delta") and turn:
            turn.reply += event["delta"]
            if turn.stopped_s is not None and turn.first_text_s is None:
                turn.first_text_s = now
        elif kind == "response.output_audio.delta":
            self._play(event, now)

    def _play(self, event: Event, now: float) -> None:
        if event["response_id"] in self._muted:
            return
        quiet_before = not self._speaker.playing(now)
        start_s = self._speaker.push(event["item_id"], base64.b64decode(event["delta"]), now)
        if quiet_before:
            self.reply_started_s = start_s
        turn = self._turn
        if turn and turn.stopped_s is not None:
            if turn.first_audio_s is None:
                turn.first_audio_s, turn.playout_start_s = now, start_s
            turn.playout_end_s = self._speaker.free_at_s

    def _note_call(self, item: Event, now: float) -> None:
        if item.get("status") == "incomplete":
            return
        turn = self._turn
        self._waiting_calls.add(item["call_id"])
        self.call.tools.append(
            ToolUse(turn.line_id if turn else "", item["call_id"], item["name"], item["arguments"], now)
        )

    def _take_item(self, item: Event, now: float) -> None:
        if item["type"] != "function_call_output":
            return
        self._waiting_calls.discard(item["call_id"])
        self.reply_due = not self._active
        for tool in self.call.tools:
            if tool.call_id == item["call_id"]:
                tool.output, tool.settled_s = item["output"], now
