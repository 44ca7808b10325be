"""A booking whose answer was lost is not made again: the tool's key reaches the store."""

from __future__ import annotations

import json
from pathlib import Path

from tests.apps.rentacar_desk import present

from kaiwa.apps.rentacar.agent import rentacar_agent
from kaiwa.apps.rentacar.fleet import Request, Reservation
from kaiwa.apps.rentacar.sqlite import SqliteReservations
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
