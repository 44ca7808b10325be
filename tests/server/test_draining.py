"""A house that ends: it takes nothing new, lets finish what runs, and tells each client in its own protocol."""

from __future__ import annotations

import asyncio
import gc
import json
import logging
import socket
import ssl
from collections.abc import Callable
from contextlib import AsyncExitStack, suppress
from functools import partial
from pathlib import Path

import aiohttp
import pytest
import uvloop
from starlette.applications import Starlette
from tests.server.running import InThisLoop, at_home, running

from kaiwa.server.listening import GRACE_S

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


async def _turns(number: int) -> None:
    for _ in range(number):
        await asyncio.sleep(0)


async def _arriving_late(directory: Path, turns: int) -> str:
    """Have someone connect so many turns of the loop after the house was told to end; what became of them."""
    listens = asyncio.Event()
    app = Starlette()
    app.state.drain = partial(_turns, 3)
    server = InThisLoop(app, at_home(directory), lambda _: listens.set())
    serving = asyncio.create_task(server.serve_here())
    await listens.wait()
    port = int(server.addresses[0].rpartition(":")[2])
    with socket.socket() as late:
        late.settimeout(1)
        server.leave.set()
        await _turns(turns)
        with suppress(ConnectionRefusedError):
            late.connect(("127.0.0.1", port))
            async with asyncio.timeout(GRACE_S / 2):
                await serving
            with suppress(ConnectionResetError):
                assert late.recv(1) == b""
            return "closed"
    await serving
    return "refused"


@pytest.mark.parametrize("loop", [asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
def test_who_arrives_in_the_last_moment_is_closed_and_holds_nobody_up(
    tmp_path: Path, loop: Callable[[], asyncio.AbstractEventLoop]
) -> None:
    ends = []
    for turns in range(16):
        with asyncio.Runner(loop_factory=loop) as runner:
            ends.append(runner.run(_arriving_late(tmp_path, turns)))
        gc.collect()  # and nothing of theirs is left open
    assert sorted(set(ends)) == ["closed", "refused"]
    assert ends == sorted(ends)


async def test_who_is_done_with_tls_when_the_house_has_closed_holds_nobody_up(tmp_path: Path) -> None:
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(running(at_home(tmp_path, tls_self_signed=True)))
        host, _, port = server.addresses[0].removeprefix("https://").rpartition(":")
        plain = socket.create_connection((host, int(port)))
        plain.setblocking(False)
        await _turns(5)  # until the house waits for its first bytes
        begun = asyncio.get_running_loop().time()
        server.leave.set()
        await _turns(20)
        assert not server.servers[0].is_serving()
        context = ssl.create_default_context(cafile=str(server.authority))
        reader, writer = await asyncio.open_connection(sock=plain, ssl=context, server_hostname="localhost")
        with suppress(ConnectionError):
            assert await reader.read() == b""
        writer.close()
    assert asyncio.get_running_loop().time() - begun < GRACE_S / 2
