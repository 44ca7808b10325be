"""One conversation, several peers: what each is told, what all of them may say, and how slow one may be."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest

from kaiwa.events import client, server
from kaiwa.events.config import SessionConfig
from kaiwa.transports.memory import MemoryTransport
from kaiwa.transports.shared import WAITING_EVENTS, SharedTransport

CREATED = server.SessionCreated(event_id="event_1", session=SessionConfig(id="sess_1"))
SOUND = server.AudioDelta(
    event_id="event_2", response_id="r", item_id="i", output_index=0, content_index=0, delta=b"ab"
)
WORDS = server.TextDelta(
    event_id="event_3", response_id="r", item_id="i", output_index=0, content_index=0, delta="Yes."
)


def counted():
    counts: Counter[str] = Counter()

    def next_id(kind: str) -> str:
        counts[kind] += 1
        return f"{kind}_late{counts[kind]}"

    return next_id


pytestmark = pytest.mark.timeout(60)  # seconds


def peers() -> tuple[MemoryTransport, SharedTransport, MemoryTransport]:
    first = MemoryTransport()
    return first, SharedTransport(first, ids=counted()), MemoryTransport()


async def test_everyone_hears_everything_but_the_sound() -> None:
    first, shared, second = peers()
    async with asyncio.TaskGroup() as group:
        group.create_task(shared.join(second))
        await shared.send(CREATED)
        await asyncio.sleep(0)
        for event in (SOUND, WORDS):
            await shared.send(event)
        assert [await first.hear() for _ in range(3)] == [CREATED, SOUND, WORDS]
        heard = [await second.hear(), await second.hear()]
        assert heard[-1] == WORDS and isinstance(heard[0], server.SessionCreated)
        await shared.close(1000, "done")
    assert first.closed == second.closed == (1000, "done")


async def test_who_comes_late_is_told_of_the_session_as_it_is() -> None:
    _, shared, late = peers()
    await shared.send(CREATED)
    now = SessionConfig(id="sess_1", instructions="Be brief.")
    await shared.send(server.SessionUpdated(event_id="event_4", session=now))
    async with asyncio.TaskGroup() as group:
        group.create_task(shared.join(late))
        assert await late.hear() == server.SessionCreated(event_id="event_late1", session=now)
        await late.leave()


async def test_what_anyone_says_is_said() -> None:
    first, shared, second = peers()
    heard: list[client.ClientEvent] = []

    async def listen() -> None:
        async for event in shared.receive():
            heard.append(event)
            if len(heard) == 2:
                shared.hang_up()

    async with asyncio.TaskGroup() as group:
        listening = group.create_task(listen())
        observing = group.create_task(shared.join(second))
        await first.say(client.AudioAppended(audio=b"ab"))
        await second.say(client.ResponseRequested())
        await listening
        shared.dismiss()
        await observing
    assert {type(event) for event in heard} == {client.AudioAppended, client.ResponseRequested}


async def test_a_conversation_ends_with_its_first_peer_and_not_with_an_observer() -> None:
    first, shared, second = peers()

    async def listen() -> None:
        async for _ in shared.receive():
            pass

    listening = asyncio.create_task(listen())
    await second.leave()
    await shared.join(second)
    assert not listening.done()
    await first.leave()
    await listening


async def test_an_observer_that_does_not_read_is_closed_and_nobody_waits_for_it() -> None:
    class Stuck(MemoryTransport):
        async def send(self, event: server.ServerEvent) -> None:
            await asyncio.Event().wait()

    shared, stuck = SharedTransport(None, ids=counted()), Stuck()
    observing = asyncio.create_task(shared.join(stuck))
    await asyncio.sleep(0)
    for _ in range(WAITING_EVENTS + 2):
        await shared.send(WORDS)
    await observing
    assert stuck.closed == (1013, "slow consumer")


async def test_who_comes_after_the_end_is_sent_away() -> None:
    _, shared, late = peers()
    await shared.close(1001, "too old")
    await shared.join(late)
    assert late.closed == (1001, "too old")
