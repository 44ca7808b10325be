"""Speech, barge-in, cancelling, new tries and hanging up in any order, through session, toolbox and jobs.

A script drawn at random drives a real HostSession in virtual time; its calls run in the real toolbox over the
real jobs. The world below plays runner, engine and booking system: it books by idempotency key, as a good
store does, and fails before or after it has booked.
"""

from __future__ import annotations

import asyncio
import itertools
import json
from collections import Counter
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.session.harness import Talk, configured, said, sound

from kaiwa.events import actions, client, engine, server
from kaiwa.events.config import ServerVad
from kaiwa.events.items import FunctionCallOutput, Message
from kaiwa.events.tools import ToolCall, ToolEvent, ToolSettled
from kaiwa.interfaces import STOPPED
from kaiwa.session.calls import CallLedger
from kaiwa.session.consent import Consent
from kaiwa.session.host import HostSession
from kaiwa.session.policy import HostPolicy
from kaiwa.tools.agent import Agent
from kaiwa.tools.context import ToolContext
from kaiwa.tools.function import tool
from kaiwa.tools.jobs import Jobs
from kaiwa.tools.outcome import LateResult
from kaiwa.tools.toolbox import AgentToolBox

CARS = ("A", "B")
FATES = ("well", "lost before", "lost after")
POLICY = HostPolicy(lifetime_s=None, join_ms=0, filler_ms=None)
STEPS = st.one_of(
    st.tuples(st.just("turn"), st.sampled_from(["yes please", "no", ""])),
    st.tuples(st.just("speak"), st.integers(3, 20)),
    st.tuples(st.just("pause"), st.integers(3, 30)),
    st.tuples(st.just("request")),
    st.tuples(st.just("cancel")),
    st.tuples(st.just("sound")),
    st.tuples(st.just("answer")),
    st.tuples(st.just("book"), st.sampled_from(CARS), st.booleans(), st.lists(st.sampled_from(FATES))),
    st.tuples(st.just("book"), st.sampled_from(CARS), st.just(False), st.just([])),
    st.tuples(st.just("look")),
    st.tuples(st.just("tick"), st.integers(1, 8)),
    st.tuples(st.just("wait"), st.floats(0.05, 3)),
    st.tuples(st.just("leave")),
)


class World:
    """One conversation, whoever takes part in it, and what is in the books afterwards."""

    def __init__(self, kind: type[HostSession] = HostSession, jobs: type[Jobs] = Jobs) -> None:
        self.fates: dict[str, list[str]] = {}
        self.booked: dict[str, str] = {}
        self.begun: list[str] = []  # the calls whose booking began
        self.late: list[LateResult] = []
        self.tasks: dict[str, asyncio.Task[None]] = {}
        self.reports: list[ToolEvent] = []
        self.trace: list[Any] = []  # what was done and said, in order
        self.left = False
        self.jobs = jobs()
        agent = Agent("desk", "", self._tools(), on_late_result=self.late.append)
        self.box = AgentToolBox(agent, jobs=self.jobs)
        self.talk = Talk(configured(ServerVad()), policy=POLICY, tools=self.box.specs, kind=kind)
        self._taken = 0

    def _tools(self) -> list[Any]:
        @tool(changes=True, confirm=True, retries=1, retry_pause_s=0)
        async def book(context: ToolContext, car: str) -> dict[str, str]:
            self.begun.append(context.call_id)
            await asyncio.sleep(0)
            fates = self.fates.get(car, [])
            fate = fates.pop(0) if fates else "well"
            if fate == "lost before":
                raise ConnectionError
            self.booked.setdefault(context.idempotency_key, car)
            await asyncio.sleep(0)
            if fate == "lost after":
                raise ConnectionError
            return {"booked": car}

        @tool(changes=False)
        async def look() -> dict[str, str]:
            for _ in range(3):
                await asyncio.sleep(0)
            return {"free": "A"}

        return [book, look]

    # --- steps ---------------------------------------------------------------------------------

    async def play(self, step: tuple[Any, ...]) -> None:
        if step[0] == "tick":
            for _ in range(step[1]):
                await asyncio.sleep(0)
        elif not self.left:
            getattr(self, f"_{step[0]}")(*step[1:])
        self._carry_out()

    def _turn(self, words: str) -> None:
        self.talk.do(said(words))
        self._carry_out()
        self._request()

    def _speak(self, frames: int) -> None:
        self.talk.speak(frames * 32)

    def _pause(self, frames: int) -> None:
        self.talk.pause(frames * 32)

    def _request(self) -> None:
        self.trace.append("requested")
        self.talk.do(client.ResponseRequested())

    def _cancel(self) -> None:
        self.talk.do(client.ResponseCancelled())

    def _sound(self) -> None:
        for response_id in self.live():
            self.talk.do(engine.TextDelta(response_id=response_id, text="ふむ。"))
            self.talk.do(engine.AudioDelta(response_id=response_id, pcm=sound(400)))

    def _answer(self) -> None:
        self._sound()
        for response_id in self.live():
            self.talk.do(engine.GenerationEnded(response_id=response_id))

    def _book(self, car: str, confirmed: bool, fates: list[str]) -> None:
        self.fates.setdefault(car, []).extend(fates)
        self._call("book", json.dumps({"car": car}), confirmed)

    def _look(self) -> None:
        self._call("look", "{}", False)

    def _call(self, name: str, arguments: str, confirmed: bool) -> None:
        for response_id in self.live():
            called = engine.ToolCalled(
                response_id=response_id, index=0, name=name, arguments=arguments, confirmed=confirmed
            )
            self.talk.do(called)
            self._carry_out()
            self.talk.do(engine.GenerationEnded(response_id=response_id))
            if confirmed:
                self.trace.append(("confirmed", response_id))

    def _wait(self, seconds: float) -> None:
        self.talk.wait(seconds)

    def _leave(self) -> None:
        self.left = True
        self.talk.do(client.PeerGone())
        self._carry_out()
        for task in self.tasks.values():
            task.cancel()

    def live(self) -> list[str]:
        done = {event.response.id for event in self.talk.of(server.ResponseDone)}
        return [e.response.id for e in self.talk.of(server.ResponseCreated) if e.response.id not in done]

    # --- the runner ----------------------------------------------------------------------------

    def _carry_out(self) -> None:
        """Do what the session asked for, and tell it what tools reported, until nothing is new."""
        while True:
            news = self.talk.all[self._taken :]
            self._taken += len(news)
            for action in news:
                self.trace.append(action)
                if isinstance(action, actions.RunTool):
                    running = self.box.run(action.call, self.reports.append)
                    self.tasks[action.call.call_id] = asyncio.get_running_loop().create_task(running)
                elif isinstance(action, actions.StopTool):
                    self.tasks[action.call_id].cancel(STOPPED)
            reports, self.reports[:] = list(self.reports), []
            if not news and not reports:
                return
            for event in reports:
                self.trace.append(event)
                if not self.left:
                    self.talk.do(event)

    async def end(self) -> None:
        """The engine answers whatever it is asked, tools come to their ends; then the caller is gone."""
        for _ in range(8):
            self.talk.pause(1600)
            self._carry_out()
            self._answer()
            await self.play(("tick", 12))
            self.talk.wait(5)
            self._carry_out()
        await asyncio.gather(*self.tasks.values(), return_exceptions=True)
        self._carry_out()
        await self.jobs.finish(5)

    # --- what laws ask -------------------------------------------------------------------------

    @property
    def calls(self) -> dict[str, ToolCall]:
        runs = (action.call for action in self.talk.all if isinstance(action, actions.RunTool))
        return {call.call_id: call for call in runs}


# --- the laws --------------------------------------------------------------------------------------


def a_change_begins_only_when_its_caller_agreed(world: World) -> None:
    """Held, read back, then a turn and a new response: or the engine says that it did all that by itself."""
    confirmed = {one[1] for one in world.trace if isinstance(one, tuple)}
    for call_id in world.begun:
        call = world.calls[call_id]
        if call.response_id in confirmed:
            assert call.turn > 0, f"{call_id} was made before the caller had said anything"
            continue
        assert _agreed_before(world, call), f"{call_id} was made although nobody agreed to it"


def _agreed_before(world: World, call: ToolCall) -> bool:
    """True when an earlier call like this one was held and everything after it came in order."""
    return any(
        isinstance(one, ToolSettled)
        and "Not confirmed" in one.output
        and world.calls[one.call_id].arguments == call.arguments
        and _in_order(world.trace[place:], call)
        for place, one in enumerate(world.trace)
    )


def _in_order(trace: list[Any], call: ToolCall) -> bool:
    stages = [_spoken, _turn_taken, lambda event: _began(event, call.response_id)]
    for one in trace:
        event = getattr(one, "event", None)
        if event is not None and stages[0](event):
            stages.pop(0)
            if not stages:
                return True
    return False


def _spoken(event: Any) -> bool:
    if not isinstance(event, server.ResponseDone) or event.response.status != "completed":
        return False
    return any(isinstance(item, Message) for item in event.response.output)


def _turn_taken(event: Any) -> bool:
    return isinstance(event, server.ItemAdded) and getattr(event.item, "role", "") == "user"


def _began(event: Any, response_id: str) -> bool:
    return isinstance(event, server.ResponseCreated) and event.response.id == response_id


def an_order_is_booked_once(world: World) -> None:
    """Each turn may order a car once more; tries of one order have one key."""
    orders = Counter[str]()
    for car, _ in {(world.calls[one].arguments, world.calls[one].turn) for one in world.begun}:
        orders[json.loads(car)["car"]] += 1
    for car, bookings in Counter(world.booked.values()).items():
        assert bookings <= orders[car], f"{car}: {orders[car]} orders, {bookings} bookings"


def every_call_is_answered_once(world: World) -> None:
    outputs = [event.item for event in world.talk.of(server.ItemAdded)]
    answered = Counter(item.call_id for item in outputs if isinstance(item, FunctionCallOutput))
    for call_id in world.calls:
        assert answered[call_id] <= 1, f"{call_id} was answered {answered[call_id]} times"
        assert answered[call_id] or world.left, f"{call_id} was never answered"


def results_are_told_once_or_recorded(world: World) -> None:
    told = _outputs_told(world)
    for call_id, times in told.items():
        assert times <= 1, f"the result of {call_id} was told {times} times unasked"
    read = {
        item.call_id
        for command in world.talk.of(engine.Generate)
        for item in command.history
        if isinstance(item, FunctionCallOutput)
    }
    late = Counter(one.call_id for one in world.late)
    for call_id in world.calls:
        assert late[call_id] <= 1
        assert call_id in read or late[call_id] or world.left, f"nobody heard of {call_id}"
    for call_id in set(world.begun):
        spoken = any(isinstance(one, ToolSettled) and one.call_id == call_id for one in world.trace)
        assert spoken or late[call_id], f"the booking of {call_id} is recorded nowhere"


def _outputs_told(world: World) -> Counter[str]:
    """Count for each output the answers that were given unasked and had nothing else to tell."""
    told = Counter[str]()
    known: set[str] = set()
    items_told: set[str] = set()
    asked = False
    reading: dict[str, tuple[set[str], bool]] = {}
    for one in world.trace:
        event = getattr(one, "event", None)
        if one == "requested" or _turn_taken(event):
            asked = True
        elif isinstance(one, actions.Ask) and isinstance(one.command, engine.Generate):
            outputs = {i.call_id for i in one.command.history if isinstance(i, FunctionCallOutput)}
            reading[one.command.response_id] = (outputs, asked)
            asked = False
        elif isinstance(event, server.ResponseDone) and _spoken(event):
            outputs, on_request = reading.get(event.response.id, (set[str](), True))
            fresh = outputs - known
            if not on_request and not fresh:
                told.update(2 * list(outputs or {"nothing"}))
            known |= outputs
            items_told |= fresh
    told.update(items_told)
    return told


LAWS = (
    a_change_begins_only_when_its_caller_agreed,
    an_order_is_booked_once,
    every_call_is_answered_once,
    results_are_told_once_or_recorded,
)


async def played(steps: list[tuple[Any, ...]], **kinds: Any) -> World:
    world = World(**kinds)
    for step in steps:
        await world.play(step)
    await world.end()
    return world


@settings(max_examples=120, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(STEPS, max_size=30))
def test_changes_are_made_once_and_only_when_meant_whatever_happens(steps: list[tuple[Any, ...]]) -> None:
    world = asyncio.run(played(steps))
    for law in LAWS:
        law(world)


# --- each law catches a planted fault ----------------------------------------------------------


class Trusting(Consent):
    def _agreed(self, call: ToolCall, began: Any, *, confirmed: bool) -> bool:
        return True


class Rash(HostSession):
    """Takes every change for agreed."""

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        self._own.consent = Trusting(named["tools"], ())


class Deaf(HostSession):
    """Misses results that come while the caller speaks."""

    def receive(self, event: Any, now: float) -> None:
        if not isinstance(event, ToolSettled):
            super().receive(event, now)


class NeverOwing(CallLedger):
    def settle(self, call_id: str, now: float) -> None:
        super().settle(call_id, now)
        self._owed.clear()


class Silent(HostSession):
    """Puts results into the conversation and tells nobody."""

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        ledger = NeverOwing(0.0)
        self._ledger = self._own._ledger = ledger


class NewKeys(Jobs):
    """Gives every try of a change a key of its own."""

    _numbers = itertools.count()

    def _key(self, question: Any) -> str:
        return f"key-{next(self._numbers)}"


class Unrecorded(Jobs):
    """Forgets what came after the caller had gone."""

    def _record(self, call: ToolCall, late: Any, task: Any) -> None:
        return


AGREED = [("turn", "book A"), ("book", "A", False, []), ("tick", 8), ("answer",), ("turn", "yes please")]
LOST = ("book", "A", True, ["lost after", "lost after"])
PLANTED = [
    (
        {"kind": Rash},
        [("turn", "book A"), ("book", "A", False, [])],
        a_change_begins_only_when_its_caller_agreed,
    ),
    ({"kind": Deaf}, [("turn", "look"), ("look",), ("tick", 8)], every_call_is_answered_once),
    ({"kind": Silent}, [("turn", "look"), ("look",), ("tick", 8)], results_are_told_once_or_recorded),
    (
        {"jobs": NewKeys},
        [
            ("turn", "book A"),
            LOST,
            ("tick", 8),
            ("tick", 8),
            ("answer",),
            ("request",),
            ("book", "A", True, []),
        ],
        an_order_is_booked_once,
    ),
    (
        {"jobs": Unrecorded},
        [("turn", "book A"), ("book", "A", True, []), ("tick", 1), ("leave",)],
        results_are_told_once_or_recorded,
    ),
]


@pytest.mark.parametrize(("fault", "steps", "law"), PLANTED)
def test_each_law_catches_a_planted_fault(fault: dict[str, Any], steps: list[Any], law: Any) -> None:
    law(asyncio.run(played(steps)))
    with pytest.raises(AssertionError):
        law(asyncio.run(played(steps, **fault)))


def test_the_road_to_a_booking_is_there_and_leads_to_one() -> None:
    """So that the laws are not kept by never booking."""
    world = asyncio.run(played([*AGREED, ("book", "A", False, []), ("tick", 8)]))
    assert list(world.booked.values()) == ["A"] and len(world.begun) == 1
