"""The agent of the scenarios: it books in a real store, counts in a process of its own, and says what time it is."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

from kaiwa.apps.rentacar.fleet import Period, Request, Reservation
from kaiwa.apps.rentacar.sqlite import SqliteReservations
from kaiwa.errors import ToolError
from kaiwa.tools.agent import Agent
from kaiwa.tools.context import ToolContext
from kaiwa.tools.function import tool

_TOKYO = ZoneInfo("Asia/Tokyo")
_DAYS = {"Slow": 1, "Locked": 2, "Dawdling": 3, "Down": 4}
PLACE: list[SqliteReservations] = []
"""The store of the scenario that runs."""


def open_at(database: Path) -> None:
    PLACE[:] = [SqliteReservations(database)]


async def booked() -> list[str]:
    """Return who has a car, by the store itself."""
    return [one.customer_name for one in await PLACE[0].reservations()]


@tool(changes=True, timeout_s=2)
async def book(context: ToolContext, name: str) -> str:
    """Book a car."""
    begin, end = (datetime(2027, 1, _DAYS[name], hour, tzinfo=_TOKYO) for hour in (10, 18))
    wish = Request(
        "loc1", Period(begin, end), name, "コンパクト", idempotency_key=context.idempotency_key or None
    )
    made: Reservation | None = await PLACE[0].reserve(wish)
    if made is None:
        raise ToolError("No car is free.")
    return made.number


@tool(changes=False, timeout_s=0.5)
def look(name: str) -> str:
    """Look something up."""
    return f"{name} is here"


@tool(cpu_bound=True, changes=False, timeout_s=20)
def count(below: int) -> int:
    """Count."""
    return sum(range(below))


agent = Agent(
    name="faults", instructions="You book cars.", tools=[book, look, count], language="en", filler=""
)
