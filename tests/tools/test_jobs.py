"""Calls as jobs: shared, refused, tried again, limited, named, and heard of when nobody waits any more."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from kaiwa.errors import ConfigError, ToolError
from kaiwa.events.tools import ToolCall, ToolEvent, ToolSaid, ToolSettled
from kaiwa.interfaces import STOPPED
from kaiwa.tools.agent import Agent
from kaiwa.tools.context import ToolContext
from kaiwa.tools.function import Tool, tool
from kaiwa.tools.jobs import Jobs
from kaiwa.tools.outcome import LateResult
from kaiwa.tools.toolbox import AgentToolBox


class Desk:
    """A toolbox, what its calls reported, and their tasks."""

    def __init__(self, *tools: Tool[..., Any], jobs: Jobs | None = None) -> None:
        self.late: list[LateResult] = []
        self.jobs = jobs or Jobs()
        agent = Agent("test", "", tools, on_late_result=self.late.append)
        self.box = AgentToolBox(agent, jobs=self.jobs)
        self.events: list[ToolEvent] = []
        self._calls = 0

    def call(self, name: str, arguments: str = "{}", **facts: Any) -> asyncio.Task[None]:
        self._calls += 1
        call = ToolCall(
            call_id=f"call_{self._calls}",
            name=name,
            arguments=arguments,
            response_id="resp",
            conversation_id="conv",
            **facts,
        )
        return asyncio.create_task(self.box.run(call, self.events.append))

    @property
    def outputs(self) -> dict[str, Any]:
        settled = [event for event in self.events if isinstance(event, ToolSettled)]
        assert len(settled) == len({event.call_id for event in settled}), "a call settled twice"
        return {event.call_id: json.loads(event.output) for event in settled}


class Booking:
    """A tool that books when it is let, and counts."""

    def __init__(self, **rules: Any) -> None:
        self.gate = asyncio.Event()
        self.began = 0
        self.keys: list[str] = []

        @tool(**rules)
        async def book(context: ToolContext, car: str = "A") -> dict[str, Any]:
            self.began += 1
            context.say("押さえています。")
            await self.gate.wait()
            self.keys.append(context.idempotency_key)
            return {"car": car, "number": len(set(self.keys))}

        self.tool = book


async def settle(*tasks: asyncio.Task[None]) -> None:
    async with asyncio.timeout(10):
        await asyncio.gather(*tasks)


async def until(condition: Any) -> None:
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 - what is waited for tells nobody
            await asyncio.sleep(0)


async def test_a_twin_joins_the_run_and_both_calls_settle() -> None:
    booking = Booking(changes=False)
    desk = Desk(booking.tool)
    calls = [
        desk.call("book", '{"car": "A"}'),
        desk.call("book", '{ "car":"A" }'),
        desk.call("book", '{"car": "B"}'),
    ]
    await until(lambda: booking.began == 2)
    booking.gate.set()
    await settle(*calls)

    assert booking.began == 2
    assert desk.outputs["call_1"] == desk.outputs["call_2"] != desk.outputs["call_3"]
    said = [event.call_id for event in desk.events if isinstance(event, ToolSaid)]
    assert said == ["call_1", "call_3"], "an interim answer is said once for a shared run"


async def test_a_twin_is_refused_or_allowed_where_the_tool_says_so() -> None:
    for duplicates, began, told in (("reject", 1, "running already"), ("allow", 2, "number")):
        booking = Booking(changes=False, duplicates=duplicates)
        desk = Desk(booking.tool)
        calls = [desk.call("book"), desk.call("book")]
        await until(lambda booking=booking, began=began: booking.began == began)
        booking.gate.set()
        await settle(*calls)
        assert booking.began == began and told in json.dumps(desk.outputs["call_2"])


async def test_a_failure_is_tried_again_with_one_key_but_a_refusal_is_not() -> None:
    tries: list[str] = []

    @tool(changes=True, retries=2, retry_pause_s=0)
    async def book(context: ToolContext, refuse: bool = False) -> int:
        tries.append(context.idempotency_key)
        if refuse:
            raise ToolError("満車です。")
        if len(tries) < 3:
            raise ConnectionError
        return len(tries)

    desk = Desk(book)
    await settle(desk.call("book"))
    assert desk.outputs["call_1"] == 3 and len(set(tries)) == 1

    await settle(desk.call("book", '{"refuse": true}'))
    assert len(tries) == 4 and desk.outputs["call_2"] == {"error": "満車です。"}


async def test_the_deadline_holds_for_all_tries_together() -> None:
    @tool(changes=False, retries=100, retry_pause_s=0.02, timeout_s=0.1)
    async def fail() -> None:
        raise ConnectionError

    desk = Desk(fail)
    await settle(desk.call("fail"))
    assert desk.outputs["call_1"]["error"] == "Function execution timed out"


async def test_no_more_than_max_running_run_at_once_in_all_conversations() -> None:
    running, most = 0, 0

    @tool(changes=False, max_running=2)
    async def heavy(number: int) -> int:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0.01)
        running -= 1
        return number

    jobs = Jobs()
    desks = [Desk(heavy, jobs=jobs), Desk(heavy, jobs=jobs)]
    calls = [desk.call("heavy", f'{{"number": {number}}}') for desk in desks for number in (1, 2, 3)]
    calls[2].cancel(STOPPED)  # one that waits in line leaves it
    async with asyncio.timeout(10):
        await asyncio.gather(*calls, return_exceptions=True)
    assert most == 2 and len(desks[1].outputs) == 3


async def test_a_change_repeated_in_its_turn_is_made_once_and_in_a_later_turn_again() -> None:
    booking = Booking(changes=True)
    booking.gate.set()
    desk = Desk(booking.tool)
    await settle(desk.call("book", turn=1))
    await settle(desk.call("book", turn=1))
    await settle(desk.call("book", turn=2))

    assert booking.began == 2 and len(set(booking.keys)) == 2
    assert desk.outputs["call_1"] == desk.outputs["call_2"]


async def test_a_change_of_unknown_outcome_keeps_its_key_in_the_next_try() -> None:
    keys: list[str] = []

    @tool(changes=True)
    async def book(context: ToolContext) -> int:
        keys.append(context.idempotency_key)
        if len(keys) == 1:
            raise ConnectionError
        return len(keys)

    desk = Desk(book)
    for turn in (1, 2, 3):
        await settle(desk.call("book", turn=turn))
    assert keys[0] == keys[1] != keys[2]


async def test_keys_differ_between_conversations_that_are_not_named() -> None:
    booking = Booking(changes=True)
    booking.gate.set()
    for _ in range(2):
        box = AgentToolBox(Agent("test", "", [booking.tool]))
        call = ToolCall(call_id="c", name="book", arguments="{}", response_id="r")
        await box.run(call, lambda event: None)
    assert len(set(booking.keys)) == 2


async def test_a_change_in_mid_work_outlives_a_stop_and_the_conversation_and_is_recorded() -> None:
    for message in (STOPPED, None):
        booking = Booking(changes=True)
        desk = Desk(booking.tool)
        call = desk.call("book", '{"car": "B"}')
        await until(lambda booking=booking: booking.began)
        call.cancel(message)
        await asyncio.wait([call])
        booking.gate.set()
        await desk.jobs.finish(10)

        (late,) = desk.late
        assert (late.conversation_id, late.call_id, late.tool) == ("conv", "call_1", "book")
        assert json.loads(late.output) == {"car": "B", "number": 1} and not late.failed
        assert list(desk.jobs.late_results) == [late] and not desk.outputs


@pytest.mark.parametrize(
    ("background", "message", "goes_on"),
    [(True, None, True), (True, STOPPED, False), (False, None, False), (False, STOPPED, False)],
)
async def test_a_reading_call_goes_on_only_in_the_background_and_unless_it_was_stopped(
    background: bool, message: str | None, goes_on: bool
) -> None:
    booking = Booking(changes=False, background=background)
    desk = Desk(booking.tool)
    call = desk.call("book")
    await until(lambda: booking.began)
    call.cancel(message)
    await asyncio.wait([call])
    booking.gate.set()
    await desk.jobs.finish(10)

    assert (len(booking.keys), len(desk.late)) == ((1, 1) if goes_on else (0, 0))


async def test_a_call_that_shares_a_run_keeps_it_alive_when_the_other_is_stopped() -> None:
    booking = Booking(changes=False)
    desk = Desk(booking.tool)
    first, second = desk.call("book"), desk.call("book")
    await until(lambda: booking.began)
    first.cancel(STOPPED)
    await asyncio.wait([first])
    booking.gate.set()
    await settle(second)

    assert list(desk.outputs) == ["call_2"] and not desk.late


async def test_a_confirmed_tool_waits_for_agreement_and_a_change_for_a_word_of_the_caller() -> None:
    booking = Booking(changes=True, confirm=True)
    booking.gate.set()
    desk = Desk(booking.tool)
    await settle(desk.call("book", turn=1))
    await settle(desk.call("book", turn=2, agreed=True, unprompted=True))
    assert booking.began == 0
    assert desk.outputs["call_1"]["error"] == "Not confirmed"
    assert "not spoken since" in desk.outputs["call_2"]["error"]

    await settle(desk.call("book", turn=2, agreed=True))
    assert booking.began == 1


async def test_what_takes_a_late_result_may_break() -> None:
    booking = Booking(changes=True)
    jobs = Jobs()

    def broken(result: LateResult) -> None:
        raise RuntimeError("secret 4711")

    box = AgentToolBox(Agent("test", "", [booking.tool], on_late_result=broken), jobs=jobs)
    call = ToolCall(call_id="c", name="book", arguments="{}", response_id="r")
    task = asyncio.create_task(box.run(call, lambda event: None))
    await until(lambda: booking.began)
    task.cancel()
    await asyncio.wait([task])
    booking.gate.set()
    await jobs.finish(10)
    assert len(jobs.late_results) == 1


def context_free() -> None: ...


def with_context(context: ToolContext) -> None: ...


async def awaited() -> None: ...


@pytest.mark.parametrize(
    ("function", "rules", "problem"),
    [
        (context_free, {"confirm": True}, "confirm=True is for"),
        (context_free, {"retries": -1}, "retries must not"),
        (context_free, {"retries": 1}, "retries need to know"),
        (context_free, {"retries": 1, "changes": True}, "could be made twice"),
        (context_free, {"retry_pause_s": -1}, "retry_pause_s"),
        (context_free, {"timeout_s": 0}, "timeout_s"),
        (context_free, {"max_running": 0}, "max_running"),
        (context_free, {"duplicates": "maybe"}, "'maybe' is unknown"),
        (context_free, {"changes": True, "cancel_on_interruption": True}, "stopped halfway"),
        (awaited, {"cpu_bound": True}, "plain function"),
        (lambda: None, {"cpu_bound": True, "name": "f"}, "find the function by its name"),
    ],
)
def test_rules_that_contradict_each_other_are_refused(function: Any, rules: Any, problem: str) -> None:
    with pytest.raises(ConfigError, match=problem):
        tool(**rules)(function)


def test_rules_that_agree_are_taken() -> None:
    made = tool(changes=True, confirm=True, retries=3, duplicates="reject", max_running=1)(with_context)
    assert made.spec.confirm and made.spec.changes
