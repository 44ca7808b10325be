"""The door inside the process: order, an end, and a closed door."""

from __future__ import annotations

import pytest

from kaiwa.events import client, server
from kaiwa.transports.memory import MemoryTransport


async def test_events_arrive_in_order_until_the_peer_leaves() -> None:
    door = MemoryTransport()
    said = [client.AudioCleared(event_id=str(number)) for number in range(3)]
    for event in said:
        await door.say(event)
    await door.leave()
    assert [event async for event in door.receive()] == said


async def test_nothing_can_be_sent_through_a_closed_door() -> None:
    door = MemoryTransport()
    await door.send(server.InputAudioCleared(event_id="event_1"))
    await door.close(1000, "done")
    assert (await door.hear()).event_id == "event_1"
    assert door.closed == (1000, "done")
    with pytest.raises(ConnectionError):
        await door.send(server.InputAudioCleared(event_id="event_2"))
    assert [event async for event in door.receive()] == []
