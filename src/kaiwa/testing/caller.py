"""A simulated caller: speaks recorded lines into a Realtime server in real time and behaves as a good client.

Knows when it is polite to speak, and when the script wants it not to be. Does not judge what it heard.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from websockets.asyncio.client import connect

from kaiwa.testing.call import RATE_HZ, Call, Turn, speech_span
from kaiwa.testing.handset import Handset
from kaiwa.testing.voice_client import CallClock, Observer, VoiceClient


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
        self._handset = Handset(self._clock)

    async def run(self) -> Call:
        """Make the call; return its record, whatever happened. Raises OSError when nobody answers."""
        async with connect(
            self._url, additional_headers=self._headers, max_size=None, compression=None
        ) as socket:
            self._clock.start()
            client = VoiceClient(socket, self._handset.loudspeaker, self._clock, self._observer)
            async with asyncio.TaskGroup() as group:
                group.create_task(client.listen())
                speaking = group.create_task(self._handset.stream(client))
                await self._converse(client)
                speaking.cancel()
                await socket.close()
        return self._record(client)

    def _record(self, client: VoiceClient) -> Call:
        client.call.caller_pcm = bytes(self._handset.microphone.taken)
        client.call.agent_sound = self._handset.loudspeaker.sound()
        client.call.playout_gap_ms = self._handset.loudspeaker.gap_ms
        return client.call

    async def _converse(self, client: VoiceClient) -> None:
        if self._session is not None:
            await client.send({"type": "session.update", "session": self._session})

        def ready_at() -> float | None:
            ready = client.configured if self._session is not None else bool(client.call.session)
            return 0.0 if ready else None

        def greeting_over_at() -> float | None:
            quiet_s = self._handset.quiet_from_s(client)
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

    async def _say(self, client: VoiceClient, line: SpokenLine) -> None:
        first, last = speech_span(line.pcm)
        start = self._handset.microphone.say(line.pcm)
        client.reply_started_s = None
        client.call.turns.append(
            Turn(line.id, line.text, (start + first) / RATE_HZ, (start + last) / RATE_HZ)
        )
        if self._on_line:
            self._on_line(start / RATE_HZ, line)
        await self._clock.reach(self._handset.microphone.end_s)

    async def _hear_out(self, client: VoiceClient, following: SpokenLine | None) -> bool:
        """Wait for the floor (or the moment to cut in); False when it never comes."""
        turn = client.call.turns[-1]

        def floor_free_at() -> float | None:
            cut_in_ms = following.interrupt_after_ms if following else None
            if cut_in_ms is not None and client.reply_started_s is not None:
                return client.reply_started_s + cut_in_ms / 1000
            if client.thinking or turn.first_audio_s is None:
                return None
            quiet_s = self._handset.quiet_from_s(client)
            patience_s = self._manners.tool_patience_s if client.waiting_for_tools else 0.0
            return quiet_s + patience_s + self._manners.pause_ms / 1000

        return await self._until(client, floor_free_at)

    async def _until(self, client: VoiceClient, due: Callable[[], float | None]) -> bool:
        return await self._handset.until(client, due, reply_timeout_s=self._manners.reply_timeout_s)


def events_as_lines(call: Call) -> str:
    """Return every event of a call as JSON lines: seconds, direction, event."""
    return "\n".join(
        json.dumps({"s": round(moment_s, 4), "way": way, "event": event}, ensure_ascii=False)
        for moment_s, way, event in call.events
    )
