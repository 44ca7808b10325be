"""Whole conversations in memory: the real session, the real runner, a scripted engine, real tools."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from tests.session.harness import configured, counted, said

from kaiwa import Agent, tool
from kaiwa.events import client, server
from kaiwa.events.actions import Action, Hang, RunTool, Send
from kaiwa.events.client import ResponseRequested
from kaiwa.events.engine import EngineCommand, EngineEvent, EngineFailed, Generate, TextDelta
from kaiwa.events.response import FailureDetail
from kaiwa.events.tools import ToolCall
from kaiwa.protocol.realtime.ga import GaCodec
from kaiwa.runner import Bounds, converse
from kaiwa.session.host import HostSession
from kaiwa.session.policy import HostPolicy
from kaiwa.testing.conformance import check_transcript
from kaiwa.testing.scripted import ScriptedEngine, answering, calling, last_text
from kaiwa.tools.toolbox import AgentToolBox
from kaiwa.transports.memory import MemoryTransport

TEXT = configured(modalities=("text",))
BRIEFLY = Bounds(close_s=0.05)


class Conversation:
    """One conversation under way, seen by its peer."""

    def __init__(
        self,
        engine: ScriptedEngine | None = None,
        *,
        tools: Sequence[Any] = (),
        transport: MemoryTransport | None = None,
        session: Any = None,
        bounds: Bounds = BRIEFLY,
        policy: HostPolicy | None = None,
    ) -> None:
        self.engine = engine or ScriptedEngine()
        self.transport = transport or MemoryTransport()
        box = AgentToolBox(Agent(name="desk", instructions="", tools=tools))
        now = asyncio.get_running_loop().time()
        self.session = session or HostSession(
            TEXT, ids=counted(), policy=policy or HostPolicy(), tools=box.specs, now=now
        )
        self.heard: list[server.ServerEvent] = []
        self.ending = asyncio.create_task(
            converse(self.session, self.transport, self.engine, box, bounds=bounds)
        )

    async def ask(self, text: str) -> None:
        await self.transport.say(said(text))
        await self.transport.say(ResponseRequested())

    async def until(self, kind: type) -> Any:
        async with asyncio.timeout(20):
            while True:
                self.heard.append(await self.transport.hear())
                if isinstance(self.heard[-1], kind):
                    return self.heard[-1]

    async def answer(self) -> str:
        """Return the text of the next response that has any."""
        return (await self.until(server.TextDone)).text

    async def end(self) -> str:
        async with asyncio.timeout(20):
            return await self.ending

    async def leave(self) -> str:
        await self.transport.leave()
        return await self.end()

    def check(self) -> None:
        codec = GaCodec()
        check_transcript([codec.encode_server(event) for event in self.heard])


async def test_a_text_turn_is_answered_and_the_peer_may_go() -> None:
    talk = Conversation()
    await talk.ask("こんにちは")
    assert await talk.answer() == "こんにちは"
    assert (await talk.until(server.ResponseDone)).response.status == "completed"
    assert await talk.leave() == "peer gone"
    assert talk.transport.closed is None
    assert talk.engine.closed == 1
    talk.check()


class Door:
    """A tool that waits until the test opens it."""

    def __init__(self) -> None:
        self.opened = asyncio.Event()
        self.entered = asyncio.Event()
        self.left_early = False

        @tool
        async def wait_for_door() -> str:
            """Wait until the door is open."""
            self.entered.set()
            try:
                await self.opened.wait()
            except asyncio.CancelledError:
                self.left_early = True
                raise
            return "the door is open"

        self.tool = wait_for_door


def door_on_request(command: EngineCommand) -> Sequence[EngineEvent]:
    """Call the tool when somebody says door, otherwise say what was said last."""
    if not isinstance(command, Generate):
        return ()
    text = last_text(command)
    return calling(command, "wait_for_door") if text == "door" else answering(command, text)


async def test_turns_go_on_while_a_slow_tool_runs_and_its_result_is_told_later() -> None:
    door = Door()
    talk = Conversation(ScriptedEngine(door_on_request), tools=[door.tool])
    await talk.ask("door")
    await talk.until(server.ResponseDone)
    await door.entered.wait()
    for words in ("one", "two", "three"):
        await talk.ask(words)
        assert await talk.answer() == words
        await talk.until(server.ResponseDone)
    assert not door.opened.is_set()
    door.opened.set()
    assert "the door is open" in await talk.answer()
    await talk.until(server.ResponseDone)
    await talk.leave()
    talk.check()


async def test_a_crash_in_the_engine_closes_the_conversation_and_says_nothing_of_the_inside() -> None:
    talk = Conversation()
    talk.engine.crash(ValueError("the secret of the house"))
    assert await talk.end() == "internal error"
    assert talk.transport.closed == (1011, "internal error")
    assert talk.engine.closed == 1


class BrokenSession:
    """A session with a bug: the third thing it is told breaks it."""

    def __init__(self) -> None:
        self.count = 0

    def receive(self, event: Any, now: float) -> None:
        self.count += 1
        if self.count == 3:
            raise ZeroDivisionError("the secret of the house")

    def next_timer(self) -> float | None:
        return None

    def handle_timer(self, now: float) -> None:
        raise AssertionError("no timer was set")

    def actions(self) -> list[Action]:
        return []


async def test_a_bug_in_the_session_ends_this_conversation_and_frees_the_engine() -> None:
    talk = Conversation(session=BrokenSession())
    for _ in range(3):
        await talk.transport.say(said("hello"))
    assert await talk.end() == "internal error"
    assert talk.transport.closed == (1011, "internal error")
    assert talk.engine.closed == 1


async def test_a_crash_while_a_tool_runs_stops_the_tool() -> None:
    door = Door()
    talk = Conversation(ScriptedEngine(door_on_request), tools=[door.tool])
    await talk.ask("door")
    await door.entered.wait()
    talk.engine.crash(ValueError("broken"))
    assert await talk.end() == "internal error"
    assert door.left_early


async def test_an_engine_that_says_it_is_lost_hangs_up_with_a_reason() -> None:
    talk = Conversation()
    talk.engine.say(
        EngineFailed(error=FailureDetail(type="server_error", code="engine_failed", message="lost"))
    )
    await talk.end()
    assert talk.transport.closed is not None
    assert talk.transport.closed[0] == 1011
    assert talk.engine.closed == 1


class LastWords(BrokenSession):
    """Answers the first thing it hears with three events and hangs up."""

    def receive(self, event: Any, now: float) -> None:
        self.count += 1

    def actions(self) -> list[Action]:
        if self.count != 1:
            return []
        self.count += 1
        words = [Send(event=server.InputAudioCleared(event_id=f"event_{n}")) for n in range(3)]
        return [*words, Hang(code=1001, reason="session_expired")]


async def test_the_last_events_are_sent_before_the_close() -> None:
    talk = Conversation(session=LastWords())
    await talk.transport.say(said("hello"))
    assert await talk.end() == "session_expired"
    assert talk.transport.closed == (1001, "session_expired")
    ids = [(await talk.transport.hear()).event_id for _ in range(3)]
    assert ids == ["event_0", "event_1", "event_2"]


class DeafPeer(MemoryTransport):
    """Reads `takes` events and then none: every further write waits."""

    def __init__(self, takes: int) -> None:
        super().__init__()
        self.taken: list[server.ServerEvent] = []
        self._takes = takes

    async def send(self, event: server.ServerEvent) -> None:
        if len(self.taken) >= self._takes:
            await asyncio.Event().wait()
        self.taken.append(event)


async def test_last_words_to_a_peer_that_reads_nothing_take_no_longer_than_allowed() -> None:
    talk = Conversation(session=LastWords(), transport=DeafPeer(takes=1))
    await talk.transport.say(said("hello"))
    assert await talk.end() == "session_expired"
    assert talk.transport.closed == (1001, "session_expired")


async def test_a_peer_that_reads_too_slowly_is_closed_before_the_house_fills() -> None:
    peer = DeafPeer(takes=5)
    talk = Conversation(
        ScriptedEngine(endless), transport=peer, bounds=Bounds(outbox_bytes=60_000, close_s=0.05)
    )
    await talk.ask("go on")
    assert await talk.end() == "slow consumer"
    assert peer.closed == (1013, "slow consumer")
    assert len(peer.taken) <= 5
    assert talk.engine.closed == 1


def endless(command: EngineCommand) -> Sequence[EngineEvent]:
    if not isinstance(command, Generate):
        return ()
    return [TextDelta(response_id=command.response_id, text="more ") for _ in range(200)]


async def test_a_peer_that_leaves_in_mid_response_frees_engine_and_tool() -> None:
    door = Door()
    talk = Conversation(ScriptedEngine(door_then_endless), tools=[door.tool])
    await talk.ask("door")
    await door.entered.wait()
    await talk.ask("go on")
    await talk.until(server.TextDelta)
    assert await talk.leave() == "peer gone"
    assert door.left_early
    assert talk.engine.closed == 1


def door_then_endless(command: EngineCommand) -> Sequence[EngineEvent]:
    asks_for_door = isinstance(command, Generate) and last_text(command) == "door"
    return door_on_request(command) if asks_for_door else endless(command)


async def test_a_tool_nobody_stopped_ends_with_its_conversation() -> None:
    """A slow peer is closed by the runner itself: no session has asked to stop the call."""
    door = Door()
    talk = Conversation(
        ScriptedEngine(door_then_endless),
        tools=[door.tool],
        transport=DeafPeer(takes=50),
        bounds=Bounds(outbox_bytes=60_000, close_s=0.05),
    )
    await talk.ask("door")
    await door.entered.wait()
    await talk.ask("go on")
    assert await talk.end() == "slow consumer"
    assert door.left_early


class BrokenPipe(MemoryTransport):
    """Takes a few events; then the connection is found to be dead, in writing only."""

    def __init__(self, takes: int) -> None:
        super().__init__()
        self._takes = takes

    async def send(self, event: server.ServerEvent) -> None:
        self._takes -= 1
        if self._takes < 0:
            raise ConnectionResetError("gone")


async def test_a_failed_write_ends_the_conversation_as_a_peer_that_left() -> None:
    talk = Conversation(transport=BrokenPipe(takes=2))
    await talk.ask("hello")
    assert await talk.end() == "peer gone"
    assert talk.engine.closed == 1


class TwoCalls(BrokenSession):
    """Starts a call, and later another of the same name after the first has settled."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name = name
        self.settled: list[Any] = []
        self._due = True

    def receive(self, event: Any, now: float) -> None:
        self.settled.append(event)

    def actions(self) -> list[Action]:
        if self._due:
            self._due = False
            call = ToolCall(call_id="call_1", name=self.name, arguments="not json", response_id="resp_1")
            return [RunTool(call=call)]
        return [Hang(code=1000, reason="done")] if self.settled else []


async def test_a_call_with_unreadable_arguments_settles_once_and_breaks_nothing() -> None:
    door = Door()
    session = TwoCalls("wait_for_door")
    talk = Conversation(session=session, tools=[door.tool])
    assert await talk.end() == "done"
    assert [(each.call_id, each.failed) for each in session.settled] == [("call_1", True)]


async def test_a_full_inbox_makes_its_sources_wait_and_loses_nothing() -> None:
    talk = Conversation(bounds=Bounds(inbox_events=2, close_s=0.05))
    for number in range(50):
        await talk.transport.say(said(f"line {number}"))
    await talk.ask("last")
    assert await talk.answer() == "last"
    await talk.until(server.ResponseDone)
    await talk.leave()
    assert len([event for event in talk.heard if isinstance(event, server.ItemAdded)]) == 52
    talk.check()


async def test_a_session_that_is_over_says_so_and_closes() -> None:
    talk = Conversation(policy=HostPolicy(lifetime_s=0.02))
    error = (await talk.until(server.Failed)).error
    assert error.code == "session_expired"
    await talk.end()
    assert talk.transport.closed is not None
    assert talk.engine.closed == 1


async def test_two_hundred_quick_conversations_leave_no_task() -> None:
    before = len(asyncio.all_tasks())
    for number in range(200):
        talk = Conversation()
        await talk.ask(str(number))
        assert await talk.answer() == str(number)
        await talk.leave()
    assert len(asyncio.all_tasks()) == before


async def test_a_peer_that_goes_before_a_word_is_no_error() -> None:
    talk = Conversation()
    await talk.transport.say(client.PeerGone(reason="closed"))
    assert await talk.end() == "peer gone"
    assert talk.engine.closed == 1
