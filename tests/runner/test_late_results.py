"""What becomes of calls whose peer hangs up: a booking is made and heard of, a mere look-up is dropped."""

from __future__ import annotations

import asyncio
import json

import pytest
from tests.session.harness import configured, counted, said

from kaiwa import Agent, tool
from kaiwa.events import server
from kaiwa.events.client import ResponseRequested
from kaiwa.events.engine import EngineCommand, EngineEvent, Generate
from kaiwa.runner import converse
from kaiwa.session.host import HostSession
from kaiwa.testing.scripted import ScriptedEngine, calling
from kaiwa.tools.jobs import Jobs
from kaiwa.tools.outcome import LateResult
from kaiwa.tools.toolbox import AgentToolBox
from kaiwa.transports.memory import MemoryTransport


@pytest.mark.parametrize(
    ("rules", "goes_on"),
    [({"changes": True}, True), ({"changes": False, "background": True}, True), ({"changes": False}, False)],
)
async def test_a_call_that_matters_ends_after_its_conversation_and_is_recorded(
    rules: dict[str, bool], goes_on: bool
) -> None:
    begun, opened, late = asyncio.Event(), asyncio.Event(), list[LateResult]()

    @tool(**rules)
    async def book() -> str:
        begun.set()
        await opened.wait()
        return "R-001"

    def reply(command: EngineCommand) -> tuple[EngineEvent, ...]:
        return calling(command, "book") if isinstance(command, Generate) else ()

    jobs = Jobs()
    agent = Agent("desk", "", [book], on_late_result=late.append)
    box, transport = AgentToolBox(agent, jobs=jobs), MemoryTransport()
    session = HostSession(
        configured(modalities=("text",)),
        ids=counted(),
        tools=box.specs,
        now=asyncio.get_running_loop().time(),
    )
    talk = asyncio.create_task(converse(session, transport, ScriptedEngine(reply), box))
    async with asyncio.timeout(20):
        await transport.say(said("book it"))
        await transport.say(ResponseRequested())
        while not isinstance(await transport.hear(), server.ResponseDone):
            pass
        await begun.wait()
        await transport.leave()
        assert await talk == "peer gone"
        opened.set()
        await jobs.finish(5)

    assert [result.output for result in late] == (["R-001"] if goes_on else [])
    if goes_on:
        assert json.dumps(late[0].arguments) and late[0].conversation_id == "conv_1"
