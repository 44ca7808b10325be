"""A house that ends: it takes nothing new, lets finish what runs, and tells each client in its own protocol."""

from __future__ import annotations

import asyncio
import json
import logging
from contextlib import AsyncExitStack
from pathlib import Path

import aiohttp
import pytest
from tests.server.running import at_home, running

RECORD = "\x1e"
SHUTTING_DOWN = "server_shutting_down"


async def until(socket: aiohttp.ClientWebSocketResponse, kind: str) -> dict[str, object]:
    async with asyncio.timeout(10):
        async for message in socket:
            event = json.loads(message.data)
            if event["type"] == kind:
                return event
    raise AssertionError(f"closed with {socket.close_code}")


async def hub_client(client: aiohttp.ClientSession, stack: AsyncExitStack) -> aiohttp.ClientWebSocketResponse:
    async with client.post("/api/negotiate") as answer:
        given = await answer.json()
    address, _, query = given["url"].partition("?")
    url = f"{address}?{query}&access_token={given['accessToken']}"
    socket = await stack.enter_async_context(client.ws_connect(url))
    await socket.send_str(json.dumps({"protocol": "json", "version": 1}) + RECORD)
    assert (await socket.receive()).data == "{}" + RECORD
    return socket


async def test_who_is_new_is_refused_and_who_is_here_is_told_in_its_own_protocol(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    settings = at_home(tmp_path, engine="text", drain_s=20, drain_notice_s=0.5)
    caplog.set_level(logging.INFO)
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(running(settings))
        client = await stack.enter_async_context(aiohttp.ClientSession(server.addresses[0]))
        talking = await stack.enter_async_context(client.ws_connect("/v1/realtime?model=gpt-realtime"))
        await until(talking, "session.created")
        page = await hub_client(client, stack)
        server.leave.set()

        assert (await until(talking, "error"))["error"]["code"] == SHUTTING_DOWN  # type: ignore[index]
        await talking.receive()
        assert talking.close_code == 1001
        async with asyncio.timeout(10):
            last = [str(message.data) async for message in page]
        assert json.loads(last[-1].split(RECORD)[0]) == {"type": 7, "allowReconnect": True}
    assert "Traceback" not in caplog.text and "CancelledError" not in caplog.text


async def test_while_the_house_ends_new_ones_are_sent_elsewhere(tmp_path: Path) -> None:
    settings = at_home(tmp_path, engine="text", drain_s=20, drain_notice_s=2)
    async with running(settings) as server, aiohttp.ClientSession(server.addresses[0]) as client:
        server.leave.set()
        async with asyncio.timeout(20):
            while True:
                async with client.get("/readyz") as ready:
                    if ready.status == 503:
                        assert (await ready.json())["reason"] == "draining"
                        break
                await asyncio.sleep(0.01)

        for path in (
            "/api/chat-stream",
            "/api/chat_stream",
            "/api/negotiate",
            "/client/negotiate?hub=chat",
            "/v1/realtime/calls",
        ):
            async with client.post(path, json={"prompt": "hello"}) as refused:
                assert refused.status == 503, path
                assert int(refused.headers["retry-after"]) >= 1
        async with client.ws_connect("/v1/realtime?model=gpt-realtime") as socket:
            assert (await until(socket, "error"))["error"]["code"] == SHUTTING_DOWN  # type: ignore[index]
            await socket.receive()
            assert socket.close_code == 1013
        async with client.get("/v1/models") as answer:
            assert answer.status == 200, "what begins nothing is answered"
