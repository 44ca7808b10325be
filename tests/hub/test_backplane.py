"""Hubs of several processes, joined by what stands for their network: each client is everybody's."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager

import pytest
from tests.hub.bending import Bend
from tests.hub.house import HELLO, HELLO_BACK, House, Room, Socket, serving, soon, until

from kaiwa.hub import Asking, Audience, ClientCall, GroupCommand, HubException, HubOptions, Identity
from kaiwa.hub.backplane import DONE, Answer, Handed
from kaiwa.hub.backplane import House as Joined
from kaiwa.protocol.signalr.encoding import Outgoing


class Wire:
    """What the processes share. Only those who watch an audience are told."""

    def __init__(self) -> None:
        self.houses: dict[Joined, set[tuple[str, str]]] = {}


class OverWire:
    """A backplane whose network is a dictionary."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._house: Joined | None = None

    async def start(self, house: Joined) -> None:
        self._house = house
        self._wire.houses[house] = {("all", "")}

    async def stop(self) -> None:
        assert self._house is not None
        del self._wire.houses[self._house]

    def publish(self, audience: Audience, message: Outgoing) -> Handed:
        payloads = {name: message.encoded(name).payload for name in ("json", "messagepack")}
        for house, watched in self._wire.houses.items():
            if (audience.kind, audience.name) in watched:
                house.deliver(audience, Outgoing.from_payloads(payloads))
        return DONE

    async def watch(self, audiences: Sequence[Audience]) -> None:
        self._watched.update((audience.kind, audience.name) for audience in audiences)

    async def unwatch(self, audiences: Sequence[Audience]) -> None:
        self._watched.difference_update((audience.kind, audience.name) for audience in audiences)

    @property
    def _watched(self) -> set[tuple[str, str]]:
        assert self._house is not None
        return self._wire.houses[self._house]

    async def command(self, command: GroupCommand) -> None:
        for house in self._others():
            if await house.change_group(command):
                return

    async def ask(self, call: ClientCall, connection_id: str) -> Answer | None:
        for house in self._others():
            answer = await house.ask(call, connection_id)
            if answer is not None:
                return answer
        return None

    def _others(self) -> list[Joined]:
        return [house for house in self._wire.houses if house is not self._house]


@asynccontextmanager
async def _two() -> AsyncIterator[tuple[Room, Room, Socket, Socket, list[str], Wire]]:
    """Two hubs with a client each: ann at the first, bob at the second."""
    wire = Wire()
    rooms, people, ids = [], [], []
    async with AsyncExitStack() as stack:
        for name in ("ann", "bob"):
            hub = Room(HubOptions(authenticate=_named), OverWire(wire))
            port = await stack.enter_async_context(serving(hub))
            await stack.enter_async_context(hub.running())
            house = House(hub, port, Bend())
            socket = await (await stack.enter_async_context(house.socket(f"?name={name}"))).hello()
            await until(lambda hub=hub: hub.seen, "the hub is told")
            rooms.append(hub)
            people.append(socket)
            ids += list(hub._board.registry.connections)
        yield rooms[0], rooms[1], people[0], people[1], ids, wire


def _named(asking: Asking) -> Identity:
    return Identity(asking.query["name"])


async def test_a_message_reaches_its_audience_wherever_it_is_connected() -> None:
    async with _two() as (first, _, ann, bob, (ann_id, bob_id), _wire):
        await first.groups.add(bob_id, "room")
        first.clients.user("bob").send("user")
        first.clients.client(bob_id).send("connection")
        first.clients.group("room").send("group")
        first.clients.all_except(bob_id).send("except")
        await first.groups.remove(bob_id, "room")
        first.clients.group("room").send("nobody")
        first.clients.all.send("all")
        heard = [
            [(await bob.record())["target"] for _ in range(4)],
            [(await ann.record())["target"] for _ in range(2)],
        ]

    assert ann_id != bob_id
    assert heard == [["user", "connection", "group", "all"], ["except", "all"]]


async def test_a_client_elsewhere_gives_results_and_one_who_left_none() -> None:
    async with _two() as (first, second, _, bob, (_, bob_id), wire):
        asked = first._board.spawn(first.clients.client(bob_id).invoke("name", returns=str))
        question = await bob.record()
        await bob.send(type=3, invocationId=question["invocationId"], result="bob")
        name = await asked
        await bob.raw.close()
        await until(lambda: not second._board.registry.connections, "bob has gone")
        watched = [kinds - {("all", "")} for kinds in wire.houses.values()]
        with pytest.raises(HubException, match="does not exist"):
            await first.clients.client(bob_id).invoke("name")

    assert name == "bob"
    assert watched[1] == set()


class SlowWire(OverWire):
    """A network that takes its time to know who watches."""

    def __init__(self, wire: Wire) -> None:
        super().__init__(wire)
        self.asked, self.known = asyncio.Event(), asyncio.Event()

    async def watch(self, audiences: Sequence[Audience]) -> None:
        self.asked.set()
        await self.known.wait()
        await super().watch(audiences)


async def test_who_has_the_answer_to_the_handshake_misses_nothing_from_elsewhere() -> None:
    wire = Wire()
    slow, here, elsewhere = SlowWire(wire), HubOptions(authenticate=_named), HubOptions()
    hub, other = Room(here, slow), Room(elsewhere, OverWire(wire))
    async with AsyncExitStack() as stack:
        port = await stack.enter_async_context(serving(hub))
        for one in (hub, other):
            await stack.enter_async_context(one.running())
        ann = await stack.enter_async_context(House(hub, port, Bend()).socket("?name=ann"))
        await ann.raw.send(HELLO.decode())
        answered = asyncio.create_task(ann.frame())
        await soon(slow.asked.wait(), "the network is told")
        other.clients.user("ann").send("too early")
        await asyncio.wait([answered], timeout=0.1)
        assert not answered.done()
        slow.known.set()
        assert await answered == HELLO_BACK.decode()
        other.clients.user("ann").send("just then")
        assert (await ann.record())["target"] == "just then"
