"""Functions that compute in Python, in processes of their own."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import AsyncIterator
from typing import Any

import pytest
from tests.tools import heavy

from kaiwa.events.tools import ToolCall, ToolEvent, ToolProgress, ToolSaid, ToolSettled
from kaiwa.tools.agent import Agent
from kaiwa.tools.function import Tool
from kaiwa.tools.jobs import Jobs
from kaiwa.tools.toolbox import AgentToolBox


@pytest.fixture
async def jobs() -> AsyncIterator[Jobs]:
    jobs = Jobs()
    yield jobs
    await jobs.finish(0)


async def run(jobs: Jobs, entry: Tool[..., Any], arguments: str = "{}") -> tuple[Any, list[ToolEvent]]:
    events: list[ToolEvent] = []
    call = ToolCall(call_id="call_1", name=entry.name, arguments=arguments, response_id="resp_1")
    await AgentToolBox(Agent("test", "", [entry]), jobs=jobs).run(call, events.append)
    settled = events[-1]
    assert isinstance(settled, ToolSettled)
    return json.loads(settled.output), events


async def test_the_result_progress_and_words_come_back_from_another_process(jobs: Jobs) -> None:
    result, events = await run(jobs, heavy.count_primes, '{"below": 30}')

    assert result["count"] == 10 and result["process"] != os.getpid() and len(result["key"]) == 32
    assert ToolProgress(call_id="call_1", fraction=0.5, text="half") in events
    assert ToolSaid(call_id="call_1", text="半分です。") in events


async def test_a_process_is_used_again(jobs: Jobs) -> None:
    first, _ = await run(jobs, heavy.count_primes, '{"below": 10}')
    second, _ = await run(jobs, heavy.count_primes, '{"below": 20}')

    assert first["process"] == second["process"]


@pytest.mark.parametrize(
    ("entry", "error"),
    [
        (heavy.refuse_all, "本日は休みです。"),
        (heavy.leave, "Function execution failed"),
        (heavy.break_down, "Function execution failed"),
        (heavy.unpackable, "Function execution failed"),
        (heavy.never_done, "Function execution timed out"),
    ],
)
async def test_whatever_happens_in_the_process_becomes_an_outcome(
    jobs: Jobs, caplog: pytest.LogCaptureFixture, entry: Tool[..., Any], error: str
) -> None:
    caplog.set_level(logging.DEBUG, "kaiwa")

    result, _ = await run(jobs, entry)

    assert result["error"] == error
    assert "4711" not in json.dumps(result) + "".join(str(vars(record)) for record in caplog.records)
    assert (await run(jobs, heavy.count_primes, '{"below": 10}'))[0]["count"] == 4
