"""One caller doing a scenario: dials, speaks, types, cuts in, is cut off, hangs up. Does not judge.

Knows when each step is due and what a good client does meanwhile. Faults of the line are the wire's.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final, Protocol

from msgspec.structs import replace

from kaiwa.errors import UpstreamError
from kaiwa.testing.call import RATE_HZ, Call, Turn, speech_span
from kaiwa.testing.callers.dialling import Dialling
from kaiwa.testing.callers.scenario import Scenario, Step
from kaiwa.testing.callers.sounds import Sounds
from kaiwa.testing.callers.wire import SimulatedWire
from kaiwa.testing.faults.network import BadLine
from kaiwa.testing.handset import Handset
from kaiwa.testing.voice_client import CallClock, Observer, VoiceClient

_NOT_IN_TIME: Final = "the agent did not finish its answer in time"
_LEFT: Final = "the server closed the connection"


@dataclass
class Performance:
    """What happened: the call's record, and what the record of a single connection cannot know."""

    call: Call = field(default_factory=Call)
    began: datetime = field(default_factory=lambda: datetime.now(UTC))
    whole_s: float = 0.0
    connections: int = 0
    lost_frames: int = 0
    silences_ms: list[float] = field(default_factory=list[float])
    """From the first sample of each interruption to the agent's silence."""
    interruptions: int = 0
    returns_ms: list[float] = field(default_factory=list[float])
    """How long it took to be back each time the connection broke."""
    aborted: str = ""
    """Why the caller itself could not go on; empty: it could."""


class Improviser(Protocol):
    """Says what a person with this goal would say next, as words and their sound; None: the talk is over."""

    async def next_line(self, goal: str, call: Call) -> tuple[str, bytes] | None: ...


class ScenarioCaller:
    """One call, from dialling to hanging up. Use an instance once."""

    def __init__(
        self,
        scenario: Scenario,
        url: str,
        sounds: Sounds,
        *,
        headers: Mapping[str, str] | None = None,
        pace: float = 1.0,
        observer: Observer | None = None,
        on_step: Callable[[float, Step, str], None] | None = None,
        improviser: Improviser | None = None,
        seed: int | None = None,
    ) -> None:
        self._scenario = scenario
        self._url = url
        self._sounds = sounds
        self._headers = dict(headers or {})
        self._observer = observer
        self._on_step = on_step
        self._improviser = improviser
        self._clock = CallClock(pace)
        wire_seed = scenario.seed if seed is None else seed
        self._packets = packets_of(scenario, wire_seed)
        line = scenario.line if self._packets is None else replace(scenario.line, loss=0.0, late_ms=0)
        self._wire = SimulatedWire(line, folder=scenario.folder, seed=wire_seed)
        self._handset = Handset(self._clock, wire=self._wire)
        self._done = Performance()
        self._owed: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._interrupting: float | None = None
        self._earlier_turns = 0

    async def run(self) -> Performance:
        """Make the call; return what happened, whatever it was. Raises OSError when nobody answers."""
        self._clock.start()
        steps = list(enumerate(self._scenario.step))
        while await self._one_connection(steps):
            pass
        call = self._done.call
        call.caller_pcm = bytes(self._handset.microphone.taken)
        call.agent_sound = self._handset.loudspeaker.sound()
        call.playout_gap_ms = self._handset.loudspeaker.gap_ms
        self._done.whole_s = self._clock.now()
        self._done.lost_frames = self._wire.lost
        return self._done

    async def _one_connection(self, steps: list[tuple[int, Step]]) -> bool:
        """Dial, do what steps there are until one ends the connection; True when the caller dials again."""
        resumes = self._scenario.caller.comes_back
        line = Dialling(self._url, self._headers, resumes=resumes, packets=self._packets)
        async with line.dialled() as socket:
            self._done.connections += 1
            call = self._done.call
            self._earlier_turns = len(call.turns)
            self._handset.microphone.skip_to(self._clock.now())
            client = VoiceClient(
                socket, self._handset.loudspeaker, self._clock, self._noting(), call, line.come_back
            )
            async with asyncio.TaskGroup() as group:
                group.create_task(client.listen())
                busy = [group.create_task(self._settle(client))]
                if self._scenario.speaks:
                    busy.append(group.create_task(self._handset.stream(client)))
                again = await self._ready(client) and await self._perform(client, steps)
                for task in busy:
                    task.cancel()
                await line.hang_up()
        self._done.returns_ms += [round((back - broke) * 1000, 1) for broke, back in client.returns]
        self._done.connections += len(client.returns)
        return again

    # --- steps ---------------------------------------------------------------------------------

    async def _perform(self, client: VoiceClient, steps: list[tuple[int, Step]]) -> bool:
        """Do the steps, taking each from the list; True when the caller is to dial again."""
        while steps and not client.closed:
            number, step = steps.pop(0)
            if not await self._due(client, step):
                self._blame(_LEFT if client.closed else _NOT_IN_TIME)
                return False
            if self._on_step:
                self._on_step(self._clock.now(), step, _told(step))
            if step.reconnect:
                return True
            if step.hang_up:
                return False
            await self._actions()[step.action](client, number, step)
        if not client.closed and not await self._until(client, self._floor_free_at(client)):
            self._blame(_NOT_IN_TIME)
        await self._clock.reach(self._clock.now() + self._scenario.caller.tail_ms / 1000)
        return False

    def _actions(self) -> dict[str, Callable[[VoiceClient, int, Step], Awaitable[None]]]:
        return {
            "say": self._say,
            "backchannel": self._murmur,
            "write": self._write,
            "pause_ms": self._pause,
            "line": self._change_line,
            "improvise": self._improvise,
        }

    async def _due(self, client: VoiceClient, step: Step) -> bool:
        """Wait for the moment of a step; False when it never comes."""
        if step.at_once or step.action in ("pause_ms", "line", "reconnect", "hang_up"):
            return True
        cut_in_ms = step.after_ms if step.action == "backchannel" else step.interrupt_after_ms
        if cut_in_ms is None:
            return await self._until(client, self._floor_free_at(client))

        def audible_at() -> float | None:
            if client.reply_started_s is None:
                return None
            return client.reply_started_s + cut_in_ms / 1000

        return await self._until(client, audible_at)

    async def _say(self, client: VoiceClient, number: int, step: Step) -> None:
        await self._speak(client, step.id or f"{number + 1}", step.say or "", self._sounds[number])

    async def _speak(self, client: VoiceClient, name: str, words: str, pcm: bytes) -> None:
        first, last = speech_span(pcm)
        into_the_agents_words = self._handset.loudspeaker.playing(self._clock.now())
        start = self._handset.microphone.say(pcm)
        turn = Turn(name, words, (start + first) / RATE_HZ, (start + last) / RATE_HZ)
        if into_the_agents_words:
            self._interrupting = turn.speech_start_s
            self._done.interruptions += 1
        client.reply_started_s = None
        client.call.turns.append(turn)
        await self._clock.reach(self._handset.microphone.end_s)

    async def _murmur(self, client: VoiceClient, number: int, step: Step) -> None:
        """Say a listener's small word: it is no turn, and nothing is expected to follow."""
        self._handset.microphone.say(self._sounds[number])
        await self._clock.reach(self._handset.microphone.end_s)

    async def _write(self, client: VoiceClient, number: int, step: Step) -> None:
        now = self._clock.now()
        client.call.turns.append(Turn(step.id or f"{number + 1}", step.write or "", now, now, stopped_s=now))
        client.reply_started_s, client.reply_due = None, True
        part = {"type": "input_text", "text": step.write}
        item = {"type": "message", "role": "user", "content": [part]}
        await client.send({"type": "conversation.item.create", "item": item})
        await client.send({"type": "response.create"})

    async def _pause(self, client: VoiceClient, number: int, step: Step) -> None:
        end_s = self._clock.now() + (step.pause_ms or 0) / 1000
        await self._handset.until(client, lambda: end_s, reply_timeout_s=end_s)

    async def _change_line(self, client: VoiceClient, number: int, step: Step) -> None:
        if step.line is not None:
            self._wire.change(step.line)

    async def _improvise(self, client: VoiceClient, number: int, step: Step) -> None:
        assert step.improvise is not None
        assert self._improviser is not None, "whoever runs a scenario that improvises gives it a model"
        for turn in range(step.improvise.turns):
            try:
                line = await self._improviser.next_line(step.improvise.goal, client.call)
            except UpstreamError as failed:
                self._done.aborted = str(failed)
                return
            if line is None or client.closed:
                return
            words, pcm = line
            await self._speak(client, f"{step.id or number + 1}.{turn + 1}", words, pcm)
            if not await self._until(client, self._floor_free_at(client)):
                self._blame(_NOT_IN_TIME)
                return

    # --- when ----------------------------------------------------------------------------------

    async def _ready(self, client: VoiceClient) -> bool:
        """Configure the session and hear the greeting out, if there is one."""
        await client.send({"type": "session.update", "session": session_of(self._scenario)})
        lead_in_s = self._scenario.caller.lead_in_ms / 1000

        def greeting_over_at() -> float | None:
            quiet_s = self._handset.quiet_from_s(client)
            return None if client.thinking else quiet_s + lead_in_s

        def answered_at() -> float | None:
            return 0.0 if client.configured or client.call.errors else None

        return await self._until(client, answered_at) and await self._until(client, greeting_over_at)

    def _floor_free_at(self, client: VoiceClient) -> Callable[[], float | None]:
        manners = self._scenario.caller

        def free_at() -> float | None:
            turn = client.call.turns[-1] if len(client.call.turns) > self._earlier_turns else None
            if client.thinking or (
                turn is not None and turn.first_audio_s is None and turn.first_text_s is None
            ):
                return None
            patience_s = manners.tool_patience_s if client.waiting_for_tools else 0.0
            pause_s = manners.pause_ms / 1000 if self._scenario.speaks else 0.0
            return self._handset.quiet_from_s(client) + patience_s + pause_s if turn else 0.0

        return free_at

    async def _until(self, client: VoiceClient, due: Callable[[], float | None]) -> bool:
        return await self._handset.until(client, due, reply_timeout_s=self._scenario.caller.reply_timeout_s)

    def _blame(self, problem: str) -> None:
        turns = self._done.call.turns
        if turns and turns[-1].problem is None:
            turns[-1].problem = problem

    # --- what the server says ------------------------------------------------------------------

    def _noting(self) -> Observer:
        def note(now: float, event: dict[str, Any]) -> None:
            kind = event["type"]
            if kind == "input_audio_buffer.speech_started" and self._interrupting is not None:
                self._done.silences_ms.append(round((now - self._interrupting) * 1000, 1))
                self._interrupting = None
            elif kind == "response.done":
                for item in event["response"].get("output") or ():
                    if item.get("type") == "function_call" and item.get("name") in self._scenario.tools:
                        self._owed.put_nowait(item)
            if self._observer:
                self._observer(now, event)

        return note

    async def _settle(self, client: VoiceClient) -> None:
        """Give the outputs of functions that are the client's, and ask for the answer to them."""
        while True:
            call = await self._owed.get()
            client.reply_due = True
            output = self._scenario.tools[call["name"]]
            item = {"type": "function_call_output", "call_id": call["call_id"], "output": output}
            await client.send({"type": "conversation.item.create", "item": item})
            if self._owed.empty():
                await client.send({"type": "response.create"})


def packets_of(scenario: Scenario, seed: int) -> BadLine | None:
    """Return what the line does to the packets of a call; None: there are none."""
    if scenario.caller.transport != "webrtc":
        return None
    return BadLine(loss=scenario.line.loss, jitter_ms=scenario.line.late_ms, seed=seed)


def session_of(scenario: Scenario) -> dict[str, Any]:
    """Return the `session` of the caller's session.update: the usual one, with the scenario's own over it."""
    if not scenario.speaks:
        return {"type": "realtime", "output_modalities": ["text"]} | scenario.session
    kind = scenario.caller.turn_detection
    transcription = {"model": "whisper-1", "language": scenario.language}
    detection = None if kind == "none" else {"type": kind}
    heard = {"transcription": transcription, "turn_detection": detection}
    return {"type": "realtime", "audio": {"input": heard}} | scenario.session


def _told(step: Step) -> str:
    words = step.say or step.write or step.backchannel
    if words:
        return words
    return step.action if step.pause_ms is None else f"{step.pause_ms} ms"
