"""On uvloop messages go to the socket past all queues; nothing of what clients see may change by that."""

from __future__ import annotations

import asyncio
import functools
import json
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any

import pytest
import uvloop
from starlette.applications import Starlette
from tests.hub.bending import Bend
from tests.hub.conftest import Opens
from tests.hub.house import House, Socket, serving, until
from tests.hub.stock import Playground, named_by_token, run_stock_client
from tests.hub.test_audiences import deaf_client
from tests.hub.test_stock_clients import EVERYTHING

from kaiwa.hub import Hub, HubOptions


def on_uvloop(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    @functools.wraps(test)
    def run(**fixtures: Any) -> None:
        uvloop.run(test(**fixtures))

    # A coroutine would get the loop of all other tests.
    return run


class Mixed(Hub):
    async def speak(self, most: int) -> str:
        """Say numbers in every way there is; what comes next never depends on how."""
        here, said = self.context.connection_id, self.clients
        for number in range(0, most, 4):
            said.all.send("told", number)
            said.client(here).send("told", number + 1)
            if number % 8 == 0:
                await asyncio.sleep(0)
            said.caller.send("told", number + 2)
            said.all_except("nobody").send("told", number + 3)
        return "said"

    async def items(self, most: int) -> AsyncIterator[int]:
        for number in range(most):
            self.clients.caller.send("before", number)
            yield number


async def _messages(socket: Socket, until_id: str) -> list[tuple[str, int]]:
    """Return what was heard before a call was completed."""
    heard: list[tuple[str, int]] = []
    while (message := await socket.record()).get("type") != 3:
        heard.append(("item", message["item"]) if message["type"] == 2 else _told(message))
    assert message["invocationId"] == until_id
    return heard


def _told(message: dict[str, Any]) -> tuple[str, int]:
    (number,) = message["arguments"]
    return message["target"], number


@on_uvloop
async def test_messages_and_completions_keep_their_order() -> None:
    hub = Mixed()
    async with serving(hub) as port, hub.running():
        home = House(hub, port, Bend())
        async with home.socket() as raw:
            socket = await raw.hello()
            await until(lambda: hub._board.registry.connections, "the client is in")
            (connection,) = hub._board.registry.connections.values()
            assert connection.straight is not None, "nothing is written straight, so this tests nothing"
            await socket.send(type=1, invocationId="a", target="speak", arguments=[400])
            said = await _messages(socket, "a")
            await socket.send(type=4, invocationId="b", target="items", arguments=[50])
            items = await _messages(socket, "b")

    assert said == [("told", number) for number in range(400)]
    assert items == [one for number in range(50) for one in (("before", number), ("item", number))]


@on_uvloop
async def test_what_waits_for_one_who_does_not_read_is_bounded(house: Opens) -> None:
    async with house(max_waiting_bytes=100_000) as home, home.socket() as raw:
        ann = await raw.hello()
        await until(lambda: home.hub.seen, "she is in")
        async with deaf_client(home):
            for number in range(400):
                home.hub.clients.all.send("told", number, "x" * 20_000)
                assert (await ann.record())["arguments"][0] == number
            await until(lambda: len(home.hub._board.registry.connections) == 1, "the deaf one is dropped")


@on_uvloop
async def test_no_ping_comes_while_messages_do(house: Opens) -> None:
    async with house(keep_alive_s=1.0) as home, home.socket() as raw:
        socket = await raw.hello()
        await until(lambda: home.hub.seen, "the client is in")
        began, frames = home.hub._board.now(), []
        while home.hub._board.now() < began + 1.3:
            home.hub.clients.all.send("told", 1)
            frames.append(await socket.frame())
            await asyncio.sleep(0.05)
        quiet = json.loads(str(await socket.frame())[:-1])

    assert all('"told"' in str(frame) for frame in frames)
    assert quiet == {"type": 6}, "the first ping comes when nothing else does"


@pytest.mark.clients
@pytest.mark.parametrize("protocol", ["json", "messagepack"])
@on_uvloop
async def test_the_stock_client_does_everything(protocol: str) -> None:
    hub = Playground(HubOptions(authenticate=named_by_token))
    async with serving(Starlette(routes=hub.routes("/play"))) as port, hub.running():
        saw = await run_stock_client(f"http://127.0.0.1:{port}/play", act="everything", protocol=protocol)
    assert saw == EVERYTHING
