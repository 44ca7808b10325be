"""The agent that the callers of `bench/callers.py` book with: a real store, one car a day for each."""

from __future__ import annotations

import os
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

from kaiwa.apps.rentacar.fleet import Period, Request
from kaiwa.apps.rentacar.sqlite import SqliteReservations
from kaiwa.errors import ToolError
from kaiwa.tools.agent import Agent
from kaiwa.tools.context import ToolContext
from kaiwa.tools.function import tool

DATABASE: Final = "KAIWA_BENCH_CALLERS_DATABASE"
_FIRST: Final = datetime(2030, 1, 1, 10, tzinfo=ZoneInfo("Asia/Tokyo"))
_store: Final = SqliteReservations(Path(os.environ.get(DATABASE, "callers.db")))


@tool(changes=True, timeout_s=60, max_running=1)
async def book(context: ToolContext, name: str, day: int) -> str:
    """Book a car."""
    begin = _FIRST + timedelta(days=day)
    period = Period(begin, begin + timedelta(hours=8))
    made = await _store.reserve(
        Request("loc1", period, name, "コンパクト", idempotency_key=context.idempotency_key or None)
    )
    if made is None:
        raise ToolError("No car is free.")
    return made.number


agent = Agent(name="callers", instructions="You book cars.", tools=[book], language="en", filler="")
