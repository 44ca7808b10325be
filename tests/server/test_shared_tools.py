"""A tool's limits are those of the process, whichever door its calls come through."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from tests.server.running import at_home, running

HALL = '''
import asyncio
from kaiwa import Agent, tool

inside = most = begun = 0
opened = asyncio.Event()


@tool(max_running=1)
async def list_locations() -> str:
    """レンタカーの店舗の一覧を調べます。"""
    global inside, most, begun
    inside, begun = inside + 1, begun + 1
    most = max(most, inside)
    await opened.wait()
    inside -= 1
    return "東京駅前店"


agent = Agent(name="hall", instructions="レンタカーの受付です。", language="ja", tools=[list_locations])
'''

ASKED = {"prompt": "どんなお店がありますか", "agent": "hall", "events": "typed"}


async def until(condition: Any) -> None:
    async with asyncio.timeout(15):
        while not condition():  # noqa: ASYNC110 - of an agent's module, which has no event to tell it
            await asyncio.sleep(0.01)


async def test_a_place_that_a_page_has_taken_is_none_for_a_conversation(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "crowded_hall.py").write_text(HALL, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    settings = at_home(tmp_path, engine="text", agent="crowded_hall:agent")
    async with running(settings, as_configured=True) as server:
        hall: Any = sys.modules["crowded_hall"]
        async with aiohttp.ClientSession(server.addresses[0]) as http:

            async def page() -> int:
                async with http.post("/api/functions/list_locations", json={}) as answer:
                    return answer.status

            asking = asyncio.create_task(page())
            await until(lambda: hall.inside == 1)
            async with http.post("/api/chat-stream", json=ASKED) as talk:
                await until_called(talk)
                for _ in range(20):  # turns of the loop, in which a call that may begin does
                    async with http.get("/healthz") as well:
                        assert well.status == 200
                assert hall.begun == 1, "the conversation waits for the only place"
                hall.opened.set()
                await talk.read()
            assert await asking == 200
    assert (hall.begun, hall.most) == (2, 1)


async def until_called(talk: aiohttp.ClientResponse) -> None:
    async with asyncio.timeout(15):
        async for line in talk.content:
            if line.startswith(b"event: tool_call"):
                return
    raise AssertionError("the tool was not called")
