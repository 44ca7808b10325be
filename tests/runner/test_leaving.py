"""A house that ends: each conversation goes at its next pause, told why, and nobody is cut short before the bound."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from tests.session.harness import configured, counted, said

from kaiwa import Agent, tool
from kaiwa.events import client, server
from kaiwa.events.engine import EngineCommand, EngineEvent, Generate
from kaiwa.events.relay import PassedFrame
from kaiwa.events.response import Response
from kaiwa.runner import GOING_AWAY, Leaving, converse
from kaiwa.session.host import HostSession
from kaiwa.session.quiet import SETTLING_S, Quiet
from kaiwa.testing.scripted import ScriptedEngine, answering, calling, last_text
from kaiwa.tools.toolbox import AgentToolBox
from kaiwa.transports.memory import MemoryTransport


class Held:
    """One conversation, and the wish that it ends."""

    def __init__(self, engine: ScriptedEngine, *tools: Any) -> None:
        self.leaving, self.transport = Leaving(), MemoryTransport()
        box = AgentToolBox(Agent(name="desk", instructions="", tools=tools))
        now = asyncio.get_running_loop().time()
        session = HostSession(configured(modalities=("text",)), ids=counted(), tools=box.specs, now=now)
        self.ending = asyncio.create_task(
            converse(session, self.transport, engine, box, leaving=self.leaving)
        )

    async def ask(self) -> None:
        await self.transport.say(said("a question"))
        await self.transport.say(client.ResponseRequested())

    async def told(self, kind: type) -> Any:
        async with asyncio.timeout(20):
            while not isinstance(event := await self.transport.hear(), kind):
                pass
            return event


def calls_the_tool_first(command: EngineCommand) -> Sequence[EngineEvent]:
    """Call the tool for a question, and say what it returned."""
    if not isinstance(command, Generate):
        return ()
    text = last_text(command)
    return calling(command, "slow") if text == "a question" else answering(command, text)


async def test_an_idle_conversation_ends_at_once_with_a_reason_and_leave_to_go_elsewhere() -> None:
    held = Held(ScriptedEngine())
    await held.told(server.SessionCreated)
    held.leaving.ask(within_s=30)

    error = (await held.told(server.Failed)).error
    async with asyncio.timeout(20):
        assert await held.ending == "server shutting down"
    assert (error.type, error.code) == ("server_error", "server_shutting_down")
    assert held.transport.closed is not None and held.transport.closed[0] == GOING_AWAY


async def test_a_tool_and_the_answer_from_it_are_waited_for() -> None:
    finish = asyncio.Event()

    @tool
    async def slow() -> str:
        """Look it up."""
        await finish.wait()
        return "found"

    held = Held(ScriptedEngine(calls_the_tool_first), slow)
    await held.ask()
    await held.told(server.ResponseDone)
    held.leaving.ask(within_s=30)
    async with asyncio.timeout(20):
        await asyncio.sleep(SETTLING_S * 1.2)  # a pause in which it would have gone
        assert not held.ending.done()
        finish.set()
        assert "found" in (await held.told(server.TextDone)).text
        await held.told(server.Failed)
        assert await held.ending == "server shutting down"


async def test_what_does_not_end_is_ended_when_the_time_is_up() -> None:
    @tool
    async def slow() -> None:
        """Never end."""
        await asyncio.Event().wait()

    held = Held(ScriptedEngine(calls_the_tool_first), slow)
    await held.ask()
    await held.told(server.ResponseDone)
    held.leaving.ask(within_s=0.05)
    await held.told(server.Failed)
    async with asyncio.timeout(20):
        assert await held.ending == "server shutting down"


def response(number: int) -> Response:
    return Response(id=f"resp_{number}", conversation_id=None, output_modalities=("audio",))


def created(number: int) -> server.ResponseCreated:
    return server.ResponseCreated(event_id="e", response=response(number))


def done(number: int) -> server.ResponseDone:
    return server.ResponseDone(event_id="e", response=response(number))


def test_a_turn_lasts_from_the_first_sound_of_the_peer_to_the_end_of_every_response_and_its_sound() -> None:
    quiet = Quiet(0.0)
    assert quiet.since == SETTLING_S
    quiet.said(server.SpeechStarted(event_id="e", audio_start_ms=0, item_id="i"), 5)
    assert quiet.since is None
    quiet.said(server.SpeechStopped(event_id="e", audio_end_ms=9, item_id="i"), 6)
    assert quiet.since == 6 + SETTLING_S
    quiet.said(created(1), 6.5)
    quiet.said(server.OutputAudioStarted(event_id="e", response_id="resp_1"), 6.6)
    quiet.said(created(2), 6.7)
    quiet.said(done(1), 7)
    quiet.said(done(2), 8)
    assert quiet.since is None, "its sound is still played"
    quiet.said(server.OutputAudioStopped(event_id="e", response_id="resp_1"), 9)
    assert quiet.since == 9 + SETTLING_S


def test_relayed_frames_count_as_own_events_do_and_silent_microphones_do_not() -> None:
    quiet = Quiet(0.0)
    quiet.said(PassedFrame(type="response.created"), 1)
    assert quiet.since is None
    quiet.said(PassedFrame(type="response.done"), 2)
    quiet.said(PassedFrame(type="rate_limits.updated"), 3)
    quiet.heard(PassedFrame(type="input_audio_buffer.append"), 4)
    quiet.heard(client.AudioAppended(audio=b"\0\0"), 5)
    assert quiet.since == 2 + SETTLING_S
    quiet.heard(PassedFrame(type="response.create"), 6)
    assert quiet.since == 6 + SETTLING_S
