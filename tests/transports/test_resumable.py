"""A peer over several connections, in memory: what each of them is told."""

from __future__ import annotations

import asyncio
from itertools import count

from kaiwa.events.config import SessionConfig
from kaiwa.events.server import AudioDelta, ServerEvent, SessionCreated
from kaiwa.transports.memory import MemoryTransport
from kaiwa.transports.resumable import Keeping, ResumableTransport

PATIENCE_S = 10


def transport_of() -> ResumableTransport:
    numbers = count(1)
    return ResumableTransport(
        Keeping("token", 30.0, 1_000_000), ids=lambda kind: f"{kind}_own{next(numbers)}"
    )


def sound(response_id: str, number: int) -> AudioDelta:
    place = {"item_id": f"item_of_{response_id}", "output_index": 0, "content_index": 0}
    return AudioDelta(event_id=f"event_{number}", response_id=response_id, delta=bytes(960), **place)  # type: ignore[arg-type]


async def heard(peer: MemoryTransport, event_id: str) -> list[ServerEvent]:
    """Return what a connection was told until this event."""
    told: list[ServerEvent] = []
    async with asyncio.timeout(PATIENCE_S):
        while not told or told[-1].event_id != event_id:
            told.append(await peer.hear())
    return told


async def test_what_was_being_played_when_a_call_was_lost_does_not_go_on_in_the_next_connection() -> None:
    transport, call, socket = transport_of(), MemoryTransport(), MemoryTransport()
    calling = asyncio.create_task(transport.serve(call, paced=True))
    await asyncio.sleep(0)
    await transport.send(SessionCreated(event_id="event_0", session=SessionConfig(id="sess_1")))
    await transport.send(sound("resp_1", 1))
    await heard(call, "event_1")
    back = asyncio.create_task(transport.serve(socket, last_event_id="event_0"))
    await asyncio.sleep(0)
    await transport.send(sound("resp_1", 2))  # the session has not heard yet that the call is lost
    await transport.send(sound("resp_2", 3))
    told = [event.event_id for event in await heard(socket, "event_3") if isinstance(event, AudioDelta)]
    assert told == ["event_3"]
    transport.dismiss()
    async with asyncio.timeout(PATIENCE_S):
        await asyncio.gather(calling, back)
