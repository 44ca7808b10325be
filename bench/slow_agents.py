"""Agents whose search takes 45 seconds: waiting, computing in a thread, or computing in a process.

`python -m kaiwa serve bench.slow_agents:waiting`. The other tool is the quick weather.
"""

from __future__ import annotations

import asyncio
import time
from typing import Annotated

from pydantic import Field

from kaiwa.apps.weather.agent import weather_tools
from kaiwa.tools.agent import Agent
from kaiwa.tools.function import tool
from kaiwa.tools.outcome import AnyTool

SEARCH_S = 45.0
_ABOUT = "資料のデータベースを検索して調べます（20秒ほど時間がかかります）。"
Query = Annotated[str, Field(description="調べたい言葉")]


def burn(seconds: float) -> int:
    """Compute in Python for so long; return how many steps were done."""
    steps, until = 0, time.perf_counter() + seconds
    while time.perf_counter() < until:
        steps += sum(number * number % 7 for number in range(1000))
    return steps


@tool(name="search_database", description=_ABOUT, changes=False, background=True, timeout_s=90)
async def wait_for_search(query: Query) -> str:
    await asyncio.sleep(SEARCH_S)
    return f"{query}の資料は三件です。"


@tool(name="search_database", description=_ABOUT, changes=False, background=True, timeout_s=90)
def compute_in_thread(query: Query) -> str:
    burn(SEARCH_S)
    return f"{query}の資料は三件です。"


@tool(
    name="search_database", description=_ABOUT, changes=False, background=True, timeout_s=90, cpu_bound=True
)
def compute_in_process(query: Query) -> str:
    burn(SEARCH_S)
    return f"{query}の資料は三件です。"


def _agent(search: AnyTool) -> Agent:
    return Agent(
        name="slow",
        instructions="あなたは電話の受付です。日本語で短く話してください。",
        tools=[*weather_tools("ja"), search],
        language="ja",
        time_zone="Asia/Tokyo",
    )


waiting = _agent(wait_for_search)
threaded = _agent(compute_in_thread)
processed = _agent(compute_in_process)
