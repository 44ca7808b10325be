"""Who gets what: groups, users, everyone except, and nobody held up by one who does not read."""

from __future__ import annotations

import asyncio
import socket as sockets
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

from tests.contract.manifest import rule
from tests.hub.bending import other_options
from tests.hub.conftest import Opens
from tests.hub.house import House, Socket, until

from kaiwa.hub import Asking, Identity


def _named(asking: Asking) -> Identity:
    return Identity(asking.query.get("name"))


@asynccontextmanager
async def _people(home: House, *names: str) -> AsyncIterator[tuple[dict[str, Socket], dict[str, str]]]:
    """Connect people; give their sockets and connection ids."""
    async with AsyncExitStack() as stack:
        found: dict[str, Socket] = {}
        for name in names:
            found[name] = await (await stack.enter_async_context(home.socket(f"?name={name}"))).hello()
            await until(lambda: len(home.hub.seen) == len(found), "the hub is told")
        ids = list(home.hub._board.registry.connections)
        yield found, dict(zip(names, ids, strict=True))


async def _heard(people: dict[str, Socket], hub: Any) -> dict[str, list[str]]:
    """Return what each was told before a last word to all."""
    hub.clients.all.send("end")
    heard: dict[str, list[str]] = {}
    for name, one in people.items():
        heard[name] = []
        while (message := await one.record())["target"] != "end":
            heard[name].append(message["target"])
    return heard


@rule("S-48", broken_by=other_options(authenticate=lambda asking: Identity("ann")))
async def test_each_message_reaches_its_audience(house: Opens) -> None:
    async with house(authenticate=_named) as home, _people(home, "ann", "bob", "cat") as (people, ids):
        clients, groups = home.hub.clients, home.hub.groups
        for name in ("ann", "bob", "ann"):
            await groups.add(ids[name], "room")
        await groups.add("nobody", "room")
        await groups.remove(ids["cat"], "room")
        clients.group("room").send("to the room")
        clients.group_except("room", ids["ann"]).send("to the room without ann")
        clients.groups(["room", "hall"]).send("to two rooms")
        clients.all_except(ids["ann"], ids["bob"]).send("without ann and bob")
        clients.client(ids["cat"]).send("to cat")
        clients.clients([ids["ann"], ids["cat"], "nobody"]).send("to some")
        clients.user("bob").send("to the user bob")
        clients.users(["ann", "cat"]).send("to users")
        await groups.remove(ids["ann"], "room")
        clients.group("room").send("to the room again")
        heard = await _heard(people, home.hub)

    assert heard == {
        "ann": ["to the room", "to two rooms", "to some", "to users"],
        "bob": [
            "to the room",
            "to the room without ann",
            "to two rooms",
            "to the user bob",
            "to the room again",
        ],
        "cat": ["without ann and bob", "to cat", "to some", "to users"],
    }


async def test_who_leaves_is_in_no_group_any_more(house: Opens) -> None:
    async with house(authenticate=_named) as home, _people(home, "ann") as (people, ids):
        await home.hub.groups.add(ids["ann"], "room")
        await people["ann"].raw.close()
        await until(lambda: not home.hub._board.registry.connections, "she has gone")
        await home.hub.groups.add(ids["ann"], "room")

        assert home.hub._board.registry._groups == {}
        assert home.hub._board.registry._users == {}


@asynccontextmanager
async def deaf_client(home: House) -> AsyncIterator[None]:
    """Connect somebody who says hello and then reads nothing."""
    deaf = await asyncio.to_thread(_connected, home.port)
    try:
        await until(lambda: len(home.hub._board.registry.connections) == 2, "the deaf one is there")
        yield
    finally:
        deaf.close()


def _connected(port: int) -> sockets.socket:
    one = sockets.socket()
    one.setsockopt(sockets.SOL_SOCKET, sockets.SO_RCVBUF, 4096)
    one.connect(("127.0.0.1", port))
    one.sendall(
        b"GET /room HTTP/1.1\r\nhost: x\r\nupgrade: websocket\r\nconnection: upgrade\r\n"
        b"sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\nsec-websocket-version: 13\r\n\r\n"
    )
    one.settimeout(3)
    read = b""
    while b"\r\n\r\n" not in read:
        read += one.recv(4096)
    hello = b'{"protocol":"json","version":1}\x1e'
    one.sendall(bytes((0x81, 0x80 | len(hello), 0, 0, 0, 0)) + hello)
    return one


@rule("S-19", broken_by=other_options(send_s=60.0, max_waiting_bytes=2**30))
async def test_one_who_does_not_read_is_dropped_and_nobody_else_notices(house: Opens) -> None:
    text = "x" * 20_000
    async with house(send_s=0.5, max_waiting_bytes=64 * 2**20) as home, _people(home, "ann") as (people, _):
        async with deaf_client(home):
            gaps: list[float] = []
            for number in range(400):
                home.hub.clients.all.send("told", number, text)
                began = home.hub._board.now()
                assert (await people["ann"].record())["arguments"][0] == number
                gaps.append(home.hub._board.now() - began)
            await until(lambda: len(home.hub._board.registry.connections) == 1, "the deaf one is dropped")
        assert max(gaps) < 0.5


async def test_one_who_is_too_far_behind_is_dropped_at_once(house: Opens) -> None:
    async with (
        house(max_waiting_bytes=100_000) as home,
        _people(home, "ann") as (people, _),
        deaf_client(home),
    ):
        for number in range(400):
            home.hub.clients.all.send("told", number, "x" * 20_000)
            assert (await people["ann"].record())["arguments"][0] == number
        await until(lambda: len(home.hub._board.registry.connections) == 1, "the deaf one is dropped")
