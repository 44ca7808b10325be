"""A desk with three slow tools, one of which computes in Python all the time, and the quick weather."""

from __future__ import annotations

import asyncio
import time

from kaiwa.apps.library.agent import library_tools
from kaiwa.apps.weather.agent import weather_tools
from kaiwa.tools.agent import Agent
from kaiwa.tools.context import ToolContext
from kaiwa.tools.function import tool

SLOW_S = 35.0


@tool(changes=False, background=True, timeout_s=90)
async def check_parcel(context: ToolContext) -> str:
    """荷物の配送状況を調べます（時間がかかります）。"""
    for step in range(1, 11):
        await asyncio.sleep(SLOW_S / 10)
        context.progress(step / 10)
    return "荷物は配達中です。"


@tool(changes=False, background=True, timeout_s=90, cpu_bound=True)
def total_sales() -> str:
    """売上を集計します（時間がかかります）。"""
    until = time.perf_counter() + SLOW_S
    while time.perf_counter() < until:
        sum(number * number % 7 for number in range(1000))
    return "売上は五百万円です。"


agent = Agent(
    name="busy",
    instructions="あなたは電話の受付です。日本語で短く話してください。",
    tools=[*library_tools("ja", SLOW_S), check_parcel, total_sales, *weather_tools("ja")],
    language="ja",
    time_zone="Asia/Tokyo",
)
