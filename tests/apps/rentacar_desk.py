"""What the desk's tests share: a fixed present, one call of a tool, and the audit for double bookings."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from itertools import combinations
from typing import Any
from zoneinfo import ZoneInfo

from kaiwa.apps.rentacar.fleet import Period, Request, Reservation
from kaiwa.events.tools import ToolCall, ToolEvent, ToolSettled
from kaiwa.tools.agent import Agent
from kaiwa.tools.toolbox import AgentToolBox

TOKYO = ZoneInfo("Asia/Tokyo")


def present() -> datetime:
    return datetime(2026, 11, 21, 13, 0, tzinfo=TOKYO)


def period(start_hour: int, end_hour: int, day: int = 28) -> Period:
    return Period(
        datetime(2026, 11, day, start_hour, tzinfo=TOKYO), datetime(2026, 11, day, end_hour, tzinfo=TOKYO)
    )


def minivan(start_hour: int, end_hour: int, customer: str = "山田太郎") -> Request:
    """Ask for the only minivan at Tokyo station."""
    return Request("loc1", period(start_hour, end_hour), customer, "ミニバン")


def double_bookings(reservations: Sequence[Reservation]) -> list[tuple[str, str]]:
    return [
        (one.number, two.number)
        for one, two in combinations(reservations, 2)
        if one.vehicle == two.vehicle
        and one.period.start < two.period.end
        and two.period.start < one.period.end
    ]


async def call(agent: Agent, name: str, **arguments: Any) -> tuple[dict[str, Any], bool]:
    """Run one tool as a conversation would whose caller has agreed; return its output and whether it failed."""
    events: list[ToolEvent] = []
    written = json.dumps(arguments)
    request = ToolCall(call_id="call_1", name=name, arguments=written, response_id="resp_1", agreed=True)
    await AgentToolBox(agent).run(request, events.append)
    settled = events[-1]
    assert isinstance(settled, ToolSettled)
    return json.loads(settled.output), settled.failed
