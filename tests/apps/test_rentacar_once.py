"""A booking whose answer was lost is not made again: the tool's key reaches the store."""

from __future__ import annotations

import json
import signal
from dataclasses import replace
from pathlib import Path

from tests.apps.rentacar_desk import minivan, present
from tests.apps.rivals import program

from kaiwa.apps.rentacar.agent import rentacar_agent
from kaiwa.apps.rentacar.fleet import Request, Reservation
from kaiwa.apps.rentacar.sqlite import SqliteReservations
from kaiwa.apps.rentacar.stores import open_store
from kaiwa.events.tools import ToolCall, ToolEvent, ToolSettled
from kaiwa.tools.toolbox import AgentToolBox

WISH = {
    "locationId": "loc1",
    "startDate": "2026-11-28T10:00",
    "endDate": "2026-11-28T18:00",
    "customerName": "山田太郎",
}


class Forgetful(SqliteReservations):
    """It books, and its first answer is lost on the way."""

    lost = False

    async def reserve(self, request: Request) -> Reservation | None:
        booked = await super().reserve(request)
        if not self.lost:
            self.lost = True
            raise ConnectionError
        return booked


async def test_a_second_try_after_a_lost_answer_gets_the_first_booking(tmp_path: Path) -> None:
    store = Forgetful(tmp_path / "cars.db")
    box = AgentToolBox(rentacar_agent(store, clock=present))
    events: list[ToolEvent] = []
    for turn in (1, 2):
        call = ToolCall(
            call_id=f"call_{turn}",
            name="create_reservation",
            arguments=json.dumps(WISH),
            response_id="resp",
            conversation_id="conv",
            turn=turn,
            agreed=True,
        )
        await box.run(call, events.append)

    first, second = [event for event in events if isinstance(event, ToolSettled)]
    assert first.failed and "Whether it changed anything is unknown." in first.output
    assert not second.failed
    assert [one.number for one in await store.reservations()] == ["R-001"]


BOOKS_AND_IS_KILLED = """
import asyncio, sys
from kaiwa.apps.rentacar.stores import open_store
from tests.apps.test_rentacar_once import ORDER

async def main():
    await open_store(sys.argv[1]).reserve(ORDER)
    print("ready", flush=True)  # the answer that nobody will read
    sys.stdin.readline()

asyncio.run(main())
"""
ORDER = replace(minivan(10, 18), idempotency_key="order-1")


async def test_a_second_try_after_the_process_was_killed_gets_the_first_booking(where: str) -> None:
    async with program(BOOKS_AND_IS_KILLED, where) as killed:
        killed.send_signal(signal.SIGKILL)
        await killed.wait()

    store = open_store(where)
    again = await store.reserve(ORDER)
    other = await store.reserve(replace(minivan(18, 20), idempotency_key="order-2"))
    numbers = [one.number for one in await store.reservations()]
    await store.aclose()
    assert again is not None and other is not None
    assert numbers == [again.number, other.number]
