"""A call from arguments to its one outcome: checked, run, bounded, refused, late, broken, stopped."""

from __future__ import annotations

import asyncio
import json
import logging
import threading
from dataclasses import dataclass
from datetime import date
from typing import Any

import msgspec
import pytest
from pydantic import BaseModel

from kaiwa.errors import ToolError
from kaiwa.events.tools import ToolCall, ToolEvent, ToolProgress, ToolSettled
from kaiwa.interfaces import ToolBox
from kaiwa.tools.agent import Agent
from kaiwa.tools.context import ToolContext
from kaiwa.tools.function import Tool, tool
from kaiwa.tools.toolbox import AgentToolBox


def box(*tools: Tool[..., Any], **options: Any) -> ToolBox:
    return AgentToolBox(Agent("test", "", tools, language="ja"), **options)


def call(name: str, arguments: str = "{}") -> ToolCall:
    return ToolCall(call_id="call_1", name=name, arguments=arguments, response_id="resp_1")


async def run(toolbox: ToolBox, name: str, arguments: str = "{}") -> ToolSettled:
    events: list[ToolEvent] = []
    await toolbox.run(call(name, arguments), events.append)
    settled = [event for event in events if isinstance(event, ToolSettled)]
    assert len(settled) == 1
    assert events[-1] is settled[0]
    assert settled[0].call_id == "call_1"
    return settled[0]


def error(settled: ToolSettled) -> str:
    assert settled.failed
    return json.loads(settled.output)["error"]


class Price(BaseModel):
    yen: int


@dataclass
class Stock:
    day: date
    price: Price


class Fact(msgspec.Struct):
    text: str


@tool
def add(a: int, b: int = 1) -> int:
    return a + b


@pytest.mark.parametrize(
    ("result", "output"),
    [
        ("晴れです。", "晴れです。"),
        (None, "null"),
        ({"市": "東京", "at": date(2026, 11, 28)}, '{"市":"東京","at":"2026-11-28"}'),
        (Stock(date(2026, 11, 28), Price(yen=300)), '{"day":"2026-11-28","price":{"yen":300}}'),
        ([Fact("x"), float("nan")], '[{"text":"x"},null]'),
        ("\ud800", "?"),
    ],
)
async def test_a_result_is_written_as_text_a_model_reads(result: object, output: str) -> None:
    @tool
    def answer() -> Any:
        return result

    assert await run(box(answer), "answer") == ToolSettled(call_id="call_1", output=output)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ("", "The parameter 'a' is missing."),
        ("null", "The parameter 'a' is missing."),
        ("{", "The arguments are not valid JSON; send one JSON object."),
        ("[1]", "The arguments must be one JSON object."),
        ('{"a": 1, "c": 2}', "There is no parameter 'c'; it takes: a, b."),
        (
            '{"a": "x"}',
            "The parameter 'a' is wrong: input should be a valid integer, unable to parse string as an integer.",
        ),
        ("[" * 100_000, "The arguments are not valid JSON; send one JSON object."),
    ],
)
async def test_wrong_arguments_are_named_in_a_sentence(arguments: str, sentence: str) -> None:
    assert error(await run(box(add), "add", arguments)) == sentence


async def test_good_arguments_reach_the_function_converted() -> None:
    assert (await run(box(add), "add", '{"a": "2"}')).output == "3"


async def test_an_unknown_tool_is_answered_with_the_known_ones() -> None:
    assert error(await run(box(add), "subtract")) == "There is no tool 'subtract'; there are: add."


async def test_a_refusal_reaches_the_model_in_its_own_words() -> None:
    @tool
    async def refuse() -> None:
        raise ToolError("満車です。")

    assert error(await run(box(refuse), "refuse")) == "満車です。"


@tool(changes=True)
async def crash_async() -> None:
    raise RuntimeError("secret 4711")


@tool
def crash_sync() -> None:
    raise StopIteration("secret 4711")


@tool
def crash_exit() -> None:
    raise SystemExit("secret 4711")


@tool
async def crash_cancelled() -> None:
    raise asyncio.CancelledError("secret 4711")


@tool
async def crash_timeout() -> None:
    raise TimeoutError("secret 4711")


@tool
def crash_result() -> object:
    return object()


@pytest.mark.parametrize(
    "broken", [crash_async, crash_sync, crash_exit, crash_cancelled, crash_timeout, crash_result]
)
async def test_a_crash_settles_the_call_and_tells_nobody_the_exception(
    broken: Tool[..., Any], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "kaiwa")

    settled = await run(box(broken), broken.name)

    assert error(settled) == "Function execution failed"
    assert "4711" not in settled.output
    assert ("Whether it changed anything is unknown." in settled.output) is (broken is crash_async)
    logged = "".join(str(vars(record)) for record in caplog.records)
    assert "tool crashed" in logged
    assert "4711" not in logged


@pytest.mark.parametrize("kind", ["sync", "async"])
async def test_a_late_tool_is_given_up_and_its_result_dropped(kind: str) -> None:
    release, told = threading.Event(), threading.Event()

    @tool(name="slow", timeout_s=0.02)
    def slow_sync(context: ToolContext) -> str:
        release.wait(10)
        if context.cancelled:
            told.set()
        context.progress(0.9, "too late")
        return "too late"

    @tool(name="slow", timeout_s=0.02)
    async def slow_async() -> str:
        await asyncio.Event().wait()
        return "never"

    settled = await run(box(slow_sync if kind == "sync" else slow_async), "slow")
    release.set()

    assert error(settled) == "Function execution timed out"
    assert "slow gave no answer within 0.02 seconds." in settled.output
    if kind == "sync":
        assert await asyncio.to_thread(told.wait, 10)


async def test_cancelling_the_task_stops_the_call_and_reports_nothing_more() -> None:
    started, stopped = asyncio.Event(), asyncio.Event()
    events: list[ToolEvent] = []

    @tool
    async def wait() -> None:
        started.set()
        try:
            await asyncio.Event().wait()
        finally:
            stopped.set()

    task = asyncio.create_task(box(wait).run(call("wait"), events.append))
    await started.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert stopped.is_set()
    assert events == []


@pytest.mark.parametrize("kind", ["sync", "async"])
async def test_progress_comes_in_order_before_the_outcome_and_is_bounded(kind: str) -> None:
    def report(context: ToolContext) -> None:
        context.progress(float("nan"), "x" * 1000)
        for step in range(1000):
            context.progress(step, f"{context.call_id} {context.language}")

    @tool(name="work")
    def work_sync(context: ToolContext) -> None:
        report(context)

    @tool(name="work")
    async def work_async(context: ToolContext) -> None:
        report(context)

    events: list[ToolEvent] = []
    await box(work_sync if kind == "sync" else work_async).run(call("work"), events.append)

    reports = [event for event in events if isinstance(event, ToolProgress)]
    assert len(reports) == 200
    assert reports[0] == ToolProgress(call_id="call_1", fraction=0.0, text="x" * 200)
    assert reports[2] == ToolProgress(call_id="call_1", fraction=1.0, text="call_1 ja")
    assert isinstance(events[-1], ToolSettled)


@pytest.mark.parametrize("result", ["あ" * 50_000, ['"' * 90_000], "\x00" * 40_000])
async def test_a_huge_result_is_cut_and_says_so(result: Any) -> None:
    @tool
    def dump() -> Any:
        return result

    settled = await run(box(dump, max_output_bytes=1000), "dump")

    assert len(settled.output.encode()) <= 1000
    body = json.loads(settled.output)
    assert body["truncated"] is True
    assert body["size_bytes"] > 10_000
    assert body["beginning"]


async def test_synchronous_tools_run_at_once_and_leave_the_loop_free() -> None:
    meeting = threading.Barrier(3, timeout=10)

    @tool(duplicates="allow")
    def meet() -> str:
        meeting.wait()
        return threading.current_thread().name

    toolbox = box(meet)
    async with asyncio.timeout(10):
        first, second, _ = await asyncio.gather(
            run(toolbox, "meet"), run(toolbox, "meet"), asyncio.to_thread(meeting.wait)
        )

    assert first.output.startswith("kaiwa-tool")
    assert first.output != second.output
