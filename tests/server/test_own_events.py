"""kaiwa's own events at the doors: a socket, a call and an observer each see what they asked for."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from tests.server.paper_media import PaperMedia
from tests.server.running import at_home, running
from tests.server.test_calls import KEY, Desk
from websockets.asyncio.client import ClientConnection, connect

from kaiwa.server.conversations import HostAnswerer
from kaiwa.testing.service.engine import ServiceEngine
from kaiwa.testing.service.script import Call, Rule, Script

SLOW = """
from kaiwa import Agent, ToolContext, tool

@tool(changes=False)
async def dig(context: ToolContext) -> str:
    context.progress(0.5, "halfway")
    return "found"

agent = Agent(name="digger", instructions="", tools=[dig])
"""
SCRIPT = Script(rules=(Rule(pattern="dig", answers=(Call(name="dig"),)),))
ON = "&kaiwa_events=on"
TOLD = [{"fraction": 0.5, "text": "halfway"}]


@pytest.fixture
async def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Desk]:
    (tmp_path / "digging_desk.py").write_text(SLOW, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    media, settings = PaperMedia(), at_home(tmp_path, api_key=KEY, agent="digging_desk:agent")
    answerer = HostAnswerer(settings, lambda agent: ServiceEngine(SCRIPT))
    async with running(settings, answerer, media=media) as server, aiohttp.ClientSession() as http:
        yield Desk(server, media, http)


@asynccontextmanager
async def socket_to(desk: Desk, query: str) -> AsyncIterator[ClientConnection]:
    url = f"{desk.address.replace('http', 'ws')}/v1/realtime?{query}"
    # A full queue of unread frames would hold back the end of the connection.
    async with connect(url, additional_headers={"api-key": KEY}, proxy=None, max_queue=None) as socket:
        yield socket


async def ask(socket: ClientConnection) -> None:
    content = [{"type": "input_text", "text": "dig"}]
    item = {"type": "message", "role": "user", "content": content}
    await socket.send(json.dumps({"type": "conversation.item.create", "item": item}))
    await socket.send(json.dumps({"type": "response.create"}))


async def told(socket: ClientConnection) -> list[dict[str, Any]]:
    """Return what is told of the tool's progress until its output is there."""
    progress: list[dict[str, Any]] = []
    async with asyncio.timeout(10):
        while True:
            frame = json.loads(await socket.recv())
            if frame["type"] == "kaiwa.tool.progress":
                progress.append({key: frame[key] for key in ("fraction", "text")})
            if frame.get("item", {}).get("type") == "function_call_output":
                return progress


@pytest.mark.parametrize(("query", "expected"), [("", []), (ON, TOLD)], ids=["stock", "asked"])
async def test_a_socket_is_told_of_progress_when_it_asked(desk: Desk, query: str, expected: Any) -> None:
    async with socket_to(desk, f"model=digger{query}") as socket:
        await ask(socket)
        assert await told(socket) == expected


@pytest.mark.parametrize(("query", "expected"), [("", 0), (ON, 1)], ids=["stock", "asked"])
async def test_a_call_is_told_of_progress_when_it_asked(desk: Desk, query: str, expected: int) -> None:
    call_id = await desk.dial(f"/v1/realtime/calls?model=digger{query}")
    async with desk.beside(call_id) as stock, socket_to(desk, f"call_id={call_id}{ON}") as curious:
        await ask(curious)
        assert await told(curious) == TOLD  # each peer of a call for itself
        assert await told(stock) == []
        await desk.call.until("response.done")
        await desk.call.until("response.done")  # the one that tells the result
    assert desk.call.heard.count("kaiwa.tool.progress") == expected
