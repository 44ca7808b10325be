"""A simulated caller: speaks recorded lines into a Realtime server in real time and behaves as a good client.

Knows when it is polite to speak, and when the script wants it not to be. Does not judge what it heard.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from websockets.asyncio.client import connect

from kaiwa.testing.call import Call, Turn, speech_span
from kaiwa.testing.loudspeaker import Loudspeaker
from kaiwa.testing.voice_client import CallClock, Observer, VoiceClient

RATE_HZ = 24_000
FRAME_MS = 20
FRAME_BYTES = RATE_HZ * FRAME_MS // 1000 * 2
SILENT_FRAME = bytes(FRAME_BYTES)


@dataclass(frozen=True)
class SpokenLine:
    """One line and its sound. `interrupt_after_ms`: cut in when the agent has been audible for so long."""

    id: str
    text: str
    pcm: bytes
    interrupt_after_ms: int | None = None


@dataclass(frozen=True)
class CallerManners:
    """How the caller behaves; all durations in call time."""

    pace: float = 1.0
    lead_in_ms: int = 400
    pause_ms: int = 500
    reply_timeout_s: float = 20.0
    tool_patience_s: float = 8.0
    tail_ms: int = 300


@dataclass
class Microphone:
    """Continuous sound in 20 ms frames: the queued line, or silence."""

    taken: bytearray = field(default_factory=bytearray)
    _queued: bytes = b""

    def say(self, pcm: bytes) -> int:
        """Queue a line; return the sample at which it starts."""
        assert not self._queued, "the caller says one line at a time"
        self._queued = pcm
        return len(self.taken) // 2

    def frame(self) -> bytes:
        frame, self._queued = self._queued[:FRAME_BYTES], self._queued[FRAME_BYTES:]
        frame = frame.ljust(FRAME_BYTES, b"\0")
        self.taken += frame
        return frame

    @property
    def end_s(self) -> float:
        """When the last queued sample will have been spoken."""
        return (len(self.taken) + len(self._queued)) / (RATE_HZ * 2)


class SimulatedCaller:
    """One call, from dialling to hanging up. Use an instance once."""

    def __init__(
        self,
        url: str,
        lines: Sequence[SpokenLine],
        *,
        session: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        manners: CallerManners | None = None,
        observer: Observer | None = None,
        on_line: Callable[[float, SpokenLine], None] | None = None,
    ) -> None:
        self._url = url
        self._lines = lines
        self._session = session
        self._headers = dict(headers or {})
        self._manners = manners or CallerManners()
        self._observer = observer
        self._on_line = on_line
        self._clock = CallClock(self._manners.pace)
        self._microphone = Microphone()
        self._loudspeaker = Loudspeaker()

    async def run(self) -> Call:
        """Make the call; return its record, whatever happened. Raises OSError when nobody answers."""
        async with connect(
            self._url, additional_headers=self._headers, max_size=None, compression=None
        ) as socket:
            self._clock.start()
            client = VoiceClient(socket, self._loudspeaker, self._clock, self._observer)
            async with asyncio.TaskGroup() as group:
                group.create_task(client.listen())
                speaking = group.create_task(self._stream(client))
                await self._converse(client)
                speaking.cancel()
                await socket.close()
        return self._record(client)

    def _record(self, client: VoiceClient) -> Call:
        client.call.caller_pcm = bytes(self._microphone.taken)
        client.call.agent_sound = self._loudspeaker.sound()
        client.call.playout_gap_ms = self._loudspeaker.gap_ms
        return client.call

    async def _converse(self, client: VoiceClient) -> None:
        if self._session is not None:
            await client.send({"type": "session.update", "session": self._session})

        def ready_at() -> float | None:
            ready = client.configured if self._session is not None else bool(client.call.session)
            return 0.0 if ready else None

        def greeting_over_at() -> float | None:
            quiet_s = max(client.last_event_s, self._loudspeaker.free_at_s)
            return None if client.thinking else quiet_s + self._manners.lead_in_ms / 1000

        await self._until(client, ready_at)
        await self._until(client, greeting_over_at)
        for line in self._lines:
            if client.closed:
                break
            await self._say(client, line)
            if not await self._hear_out(client, self._next_after(line)):
                client.call.turns[-1].problem = "the agent did not finish its answer in time"
                break
        await self._clock.reach(self._clock.now() + self._manners.tail_ms / 1000)

    def _next_after(self, line: SpokenLine) -> SpokenLine | None:
        index = self._lines.index(line) + 1
        return self._lines[index] if index < len(self._lines) else None

    async def _stream(self, client: VoiceClient) -> None:
        """Send a frame as soon as its last sample has been spoken."""
        sent = 0
        while not client.closed:
            sent += 1
            await self._clock.reach(sent * FRAME_MS / 1000)
            await client.send_audio(self._microphone.frame())

    async def _say(self, client: VoiceClient, line: SpokenLine) -> None:
        first, last = speech_span(line.pcm)
        start = self._microphone.say(line.pcm)
        client.reply_started_s = None
        client.call.turns.append(
            Turn(line.id, line.text, (start + first) / RATE_HZ, (start + last) / RATE_HZ)
        )
        if self._on_line:
            self._on_line(start / RATE_HZ, line)
        await self._clock.reach(self._microphone.end_s)

    async def _hear_out(self, client: VoiceClient, following: SpokenLine | None) -> bool:
        """Wait for the floor (or the moment to cut in); False when it never comes."""
        turn = client.call.turns[-1]

        def floor_free_at() -> float | None:
            cut_in_ms = following.interrupt_after_ms if following else None
            if cut_in_ms is not None and client.reply_started_s is not None:
                return client.reply_started_s + cut_in_ms / 1000
            if client.thinking or turn.first_audio_s is None:
                return None
            quiet_s = max(client.last_event_s, self._loudspeaker.free_at_s)
            patience_s = self._manners.tool_patience_s if client.waiting_for_tools else 0.0
            return quiet_s + patience_s + self._manners.pause_ms / 1000

        return await self._until(client, floor_free_at)

    async def _until(self, client: VoiceClient, due: Callable[[], float | None]) -> bool:
        """Wait until the moment that `due` names has come; it is asked again after every event.

        False when the server closed, or was silent for `reply_timeout_s` with nothing due.
        """
        while not client.closed:
            now = self._clock.now()
            moment_s = due()
            if moment_s is not None and moment_s <= now:
                return True
            client.changed.clear()
            quiet_until_s = max(client.last_event_s, self._loudspeaker.free_at_s, self._microphone.end_s)
            limit_s = quiet_until_s + self._manners.reply_timeout_s if moment_s is None else moment_s
            with suppress(TimeoutError):
                await asyncio.wait_for(client.changed.wait(), max(0.0, limit_s - now) / self._manners.pace)
            if moment_s is None and self._clock.now() >= limit_s and due() is None:
                return False
        return False


def events_as_lines(call: Call) -> str:
    """Return every event of a call as JSON lines: seconds, direction, event."""
    return "\n".join(
        json.dumps({"s": round(moment_s, 4), "way": way, "event": event}, ensure_ascii=False)
        for moment_s, way, event in call.events
    )
