"""Several servers of one hub in the event loop of a test, joined by a real Redis, and people at each of them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

from tests.hub.bending import Bend
from tests.hub.house import House, Socket, bent, serving, soon, until

from kaiwa.hub import Asking, Hub, HubOptions, Identity
from kaiwa.hub.redis import RedisBackplane

PREFIX = "Town.Square"


class Apart(Bend):
    """Servers that do not hear each other."""


class Forgetful(Bend):
    """Servers that do not hear what is for groups, users and single connections."""


class Square(Hub):
    def __init__(self, options: HubOptions, backplane: RedisBackplane) -> None:
        super().__init__(options, backplane)
        self.redis = backplane

    async def tell_others(self, group: str, text: str) -> None:
        await self.clients.others_in_group(group).send(text)


class _Careless(RedisBackplane):
    async def watch(self, audiences: Any) -> None: ...


class Server:
    def __init__(self, house: House, hub: Square) -> None:
        self.house = house
        self.hub = hub

    @property
    def ids(self) -> list[str]:
        return list(self.hub._board.registry.connections)

    async def caught_up(self) -> None:
        """Wait until it has heard all that Redis has accepted."""
        link = self.hub.redis._link
        assert link is not None, "the server is connected"
        await soon(link.ask(b"PING"), "Redis answers")

    async def person(self, stack: AsyncExitStack, name: str = "") -> Person:
        before = set(self.ids)
        query = f"?name={name}" if name else ""
        socket = await (await stack.enter_async_context(self.house.socket(query))).hello()
        await until(lambda: len(self.ids) > len(before), "the person is there")
        return Person(self, socket, next(id for id in self.ids if id not in before))


class Person:
    def __init__(self, server: Server, socket: Socket, id: str) -> None:
        self.server = server
        self.socket = socket
        self.id = id

    async def heard(self) -> list[str]:
        """Return the targets of what came since, up to now."""
        await self.server.caught_up()
        self.server.hub.clients.client(self.id).send("up to here")
        targets: list[str] = []
        while (message := await self.socket.record())["target"] != "up to here":
            targets.append(message["target"])
        return targets

    async def leave(self) -> None:
        await self.socket.raw.close()
        await until(lambda: self.id not in self.server.ids, "the person has left")


def _named(asking: Asking) -> Identity:
    return Identity(asking.query.get("name"))


@asynccontextmanager
async def open_town(
    url: str, bend: Bend | None = None, servers: int = 2, quiet_s: float = 5.0
) -> AsyncIterator[tuple[AsyncExitStack, list[Server]]]:
    bend = bend or Bend()
    kind = _Careless if isinstance(bend, Forgetful) else RedisBackplane
    async with AsyncExitStack() as stack:
        found: list[Server] = []
        for number in range(servers):
            prefix = f"{PREFIX}{number}" if isinstance(bend, Apart) else PREFIX
            hub = Square(HubOptions(authenticate=_named), kind(url, prefix, quiet_s=quiet_s))
            port = await stack.enter_async_context(serving(bent(hub, bend)))
            await stack.enter_async_context(hub.running())
            found.append(Server(House(hub, port, bend), hub))
        async with AsyncExitStack() as people:
            yield people, found
