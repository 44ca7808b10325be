"""However calls, tries, stops and disconnections fall together: an order is booked once, none is lost.

The world below books by idempotency key, as a good store does, and fails before or after it has booked.
A script is a list of steps drawn at random; `Orders` remembers what the caller ordered, turn by turn.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kaiwa.events.tools import ToolCall, ToolEvent, ToolSettled
from kaiwa.interfaces import STOPPED
from kaiwa.tools.agent import Agent
from kaiwa.tools.context import ToolContext
from kaiwa.tools.function import tool
from kaiwa.tools.jobs import Jobs
from kaiwa.tools.outcome import LateResult
from kaiwa.tools.toolbox import AgentToolBox

CARS = ("A", "B")
FATES = ("well", "lost before", "lost after")
STEPS = st.one_of(
    st.tuples(st.just("order"), st.sampled_from(CARS), st.lists(st.sampled_from(FATES), max_size=3)),
    st.tuples(st.just("again"), st.sampled_from(CARS)),
    st.tuples(st.just("turn")),
    st.tuples(st.just("stop"), st.integers(0, 5)),
    st.tuples(st.just("leave")),
    st.tuples(st.just("tick"), st.integers(1, 6)),
)


class World:
    """A conversation's calls over a store that books one number for one key."""

    def __init__(self) -> None:
        self.fates: dict[str, list[str]] = {}
        self.booked: dict[str, str] = {}
        self.ordered: set[tuple[str, int]] = set()
        self.events: list[ToolEvent] = []
        self.late: list[LateResult] = []
        self.tasks: dict[str, asyncio.Task[None]] = {}
        self.stopped: set[str] = set()
        self.turn = 1
        self.jobs = Jobs()

        @tool(changes=True, retries=1, retry_pause_s=0)
        async def book(context: ToolContext, car: str) -> dict[str, str]:
            await asyncio.sleep(0)
            fates = self.fates.get(car, [])
            fate = fates.pop(0) if fates else "well"
            if fate == "lost before":
                raise ConnectionError
            self.booked.setdefault(context.idempotency_key, car)
            await asyncio.sleep(0)
            if fate == "lost after":
                raise ConnectionError
            return {"car": car}

        self.box = AgentToolBox(Agent("desk", "", [book], on_late_result=self.late.append), jobs=self.jobs)

    async def play(self, step: tuple[Any, ...]) -> None:
        match step:
            case ("order", car, fates):
                self.fates.setdefault(car, []).extend(fates)
                self._call(car)
            case ("again", car):
                self._call(car)
            case ("turn",):
                self.turn += 1
            case ("stop", number) if self.tasks:
                call_id = list(self.tasks)[number % len(self.tasks)]
                self.stopped.add(call_id)
                self.tasks[call_id].cancel(STOPPED)
            case ("leave",):
                self.stopped |= set(self.tasks)
                for task in self.tasks.values():
                    task.cancel()
            case ("tick", rounds):
                for _ in range(rounds):
                    await asyncio.sleep(0)

    def _call(self, car: str) -> None:
        call_id = f"call_{len(self.tasks)}"
        self.ordered.add((car, self.turn))
        call = ToolCall(
            call_id=call_id,
            name="book",
            arguments=json.dumps({"car": car}),
            response_id="resp",
            conversation_id="conv",
            turn=self.turn,
        )
        self.tasks[call_id] = asyncio.create_task(self.box.run(call, self.events.append))

    async def end(self) -> None:
        await asyncio.gather(*self.tasks.values(), return_exceptions=True)
        await self.jobs.finish(5)


# --- the laws ------------------------------------------------------------------------------------


def an_order_is_booked_once(world: World) -> None:
    orders = Counter(car for car, _ in world.ordered)
    for car, bookings in Counter(world.booked.values()).items():
        assert bookings <= orders[car], f"{car} was ordered {orders[car]} times and booked {bookings} times"


def a_call_settles_once_unless_nobody_waits(world: World) -> None:
    settled = Counter(event.call_id for event in world.events if isinstance(event, ToolSettled))
    for call_id in world.tasks:
        assert settled[call_id] <= 1, f"{call_id} settled {settled[call_id]} times"
        assert settled[call_id] or call_id in world.stopped, f"{call_id} never settled"


def no_booking_is_forgotten(world: World) -> None:
    """Every car that was booked was told of, to a call or to the record of late results."""
    told = [event.output for event in world.events if isinstance(event, ToolSettled)]
    told += [late.output for late in world.late]
    for car in set(world.booked.values()):
        known = any(f'"{car}"' in output or "unknown" in output for output in told)
        assert known, f"nobody heard of {car}"


LAWS = (an_order_is_booked_once, a_call_settles_once_unless_nobody_waits, no_booking_is_forgotten)


async def _play(steps: list[tuple[Any, ...]]) -> World:
    world = World()
    for step in steps:
        await world.play(step)
    await world.end()
    return world


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(STEPS, max_size=25))
def test_any_order_of_calls_tries_stops_and_disconnections_books_once(steps: list[tuple[Any, ...]]) -> None:
    world = asyncio.run(_play(steps))
    for law in LAWS:
        law(world)


# --- each law catches a planted fault ------------------------------------------------------------


def _new_key_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    numbers = iter(range(10_000))
    monkeypatch.setattr(Jobs, "_key", lambda self, question: f"key-{next(numbers)}")


def _forgets_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = Jobs._note_change

    def note(self: Jobs, question: Any, call: ToolCall, outcome: Any) -> None:
        plain(self, question, call, outcome)
        self._changes[question].turn = -1

    monkeypatch.setattr(Jobs, "_note_change", note)


def _records_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Jobs, "_record", lambda self, call, late, task: None)


def _reports_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = AgentToolBox.run

    async def run(self: AgentToolBox, call: ToolCall, report: Any) -> None:
        await plain(self, call, report)
        report(ToolSettled(call_id=call.call_id, output="again"))

    monkeypatch.setattr(AgentToolBox, "run", run)


LOST = ("order", "A", ["lost after", "lost after"])
PLANTED = [
    (_new_key_each_time, [LOST, ("tick", 6), ("tick", 6), ("again", "A")], an_order_is_booked_once),
    (
        _forgets_changes,
        [("order", "A", []), ("tick", 6), ("tick", 6), ("again", "A")],
        an_order_is_booked_once,
    ),
    (_records_nothing, [("order", "A", []), ("tick", 2), ("leave",)], no_booking_is_forgotten),
    (_reports_twice, [("order", "A", [])], a_call_settles_once_unless_nobody_waits),
]


@pytest.mark.parametrize(("plant", "steps", "law"), PLANTED)
def test_each_law_catches_a_planted_fault(
    monkeypatch: pytest.MonkeyPatch, plant: Any, steps: list[tuple[Any, ...]], law: Any
) -> None:
    law(asyncio.run(_play(steps)))
    plant(monkeypatch)
    with pytest.raises(AssertionError):
        law(asyncio.run(_play(steps)))
