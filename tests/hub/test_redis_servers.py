"""What one server of a hub sends reaches the clients of all, over a real Redis."""

from __future__ import annotations

import asyncio

import pytest
from tests.contract.manifest import rule
from tests.hub.bending import Bend
from tests.hub.house import soon, until
from tests.hub.town import PREFIX, Apart, Forgetful, open_town
from tests.redis_server import RedisProcess, _redis_of_module, redis_url  # noqa: F401 - fixtures

from kaiwa.hub import Audience, HubException


@pytest.fixture
def subscribers(_redis_of_module: RedisProcess):  # noqa: F811
    """Return how many servers listen to a channel."""

    def count(channel: str) -> int:
        return int(_redis_of_module.command("PUBSUB", "NUMSUB", f"{PREFIX}:{channel}").split(b":")[-1])

    return count


@rule("S-61", broken_by=Apart)
async def test_a_message_to_all_reaches_the_clients_of_every_server(
    redis_url: str,  # noqa: F811
    planted: Bend | None,
) -> None:
    async with open_town(redis_url, planted) as (stack, (one, two)):
        ann, bob, cat = await one.person(stack), await two.person(stack), await two.person(stack)
        await one.hub.clients.all.send("first")
        await two.hub.clients.all.send("second")
        await one.hub.clients.all_except(bob.id).send("third")
        await one.hub.clients.all_except(ann.id, cat.id, "nobody").send("fourth")
        await cat.leave()
        await two.hub.clients.all.send("fifth")

        assert await ann.heard() == ["first", "second", "third", "fifth"]
        assert await bob.heard() == ["first", "second", "fourth", "fifth"]


@rule("S-61", broken_by=Forgetful)
async def test_single_clients_groups_and_users_are_found_at_any_server(
    redis_url: str,  # noqa: F811
    planted: Bend | None,
) -> None:
    async with open_town(redis_url, planted) as (stack, (one, two)):
        ann, bob = await one.person(stack, "ann"), await two.person(stack, "bob")
        other = await one.person(stack, "bob")
        await two.hub.groups.add(bob.id, "room")
        await one.hub.groups.add(ann.id, "room")
        send = one.hub.clients
        await send.client(bob.id).send("to bob's tab")
        await send.clients([ann.id, bob.id, "nobody"]).send("to both tabs")
        await send.group("room").send("to the room")
        await send.group_except("room", ann.id).send("not to ann")
        await send.group_except("room", bob.id).send("not to bob's tab")
        await send.groups(["room", "hall"]).send("to two rooms")
        await send.user("bob").send("to bob")
        await send.users(["bob", "ann", "cat"]).send("to some")
        await send.group("hall").send("to nobody")
        await send.client("nobody").send("to nobody")
        await ann.socket.send(type=1, target="tellOthers", arguments=["room", "to others"])
        await until(lambda: not one.hub.redis._flights.waiting_bytes, "Redis has them all")

        assert sorted(await ann.heard()) == sorted(
            ["to both tabs", "to the room", "not to bob's tab", "to two rooms", "to some"]
        )
        told = [
            "to bob's tab",
            "to both tabs",
            "to the room",
            "not to ann",
            "to two rooms",
            "to bob",
            "to some",
        ]
        assert await bob.heard() == [*told, "to others"]
        assert await other.heard() == ["to bob", "to some"]


@rule("S-61", broken_by=Apart)
async def test_a_server_changes_the_groups_of_a_connection_at_another(
    redis_url: str,  # noqa: F811
    planted: Bend | None,
) -> None:
    async with open_town(redis_url, planted) as (stack, (one, two)):
        ann = await one.person(stack)
        for home in (one, two, two):
            await home.hub.groups.add(ann.id, "room")
        await two.hub.clients.group("room").send("inside")
        await two.hub.groups.remove(ann.id, "hall")
        await one.hub.groups.remove(ann.id, "hall")
        await two.hub.clients.group("room").send("still inside")
        await two.hub.groups.remove(ann.id, "room")
        await two.hub.groups.remove(ann.id, "room")
        await two.hub.clients.group("room").send("outside")
        await one.hub.clients.group("room").send("outside")
        assert await ann.heard() == ["inside", "still inside"]


async def test_a_change_of_groups_for_nobody_is_no_error_and_is_not_waited_for(redis_url: str) -> None:  # noqa: F811
    async with open_town(redis_url) as (_, (one, _two)):
        await soon(one.hub.groups.add("nobody", "room"), "nobody is added", 0.5)
        await soon(one.hub.groups.remove("nobody", "room"), "nobody is removed", 0.5)
        assert one.hub.redis._acks == {}


async def test_redis_knows_of_no_more_than_who_is_there(redis_url: str, subscribers) -> None:  # noqa: F811
    async with open_town(redis_url) as (stack, (one, two)):
        ann, again = await one.person(stack, "ann"), await one.person(stack, "ann")
        there = await two.person(stack, "ann")
        for person in (ann, again, there):
            await one.hub.groups.add(person.id, "room")
        assert (subscribers("user:ann"), subscribers("group:room")) == (2, 2)

        await ann.leave()
        await one.caught_up()
        assert (subscribers("user:ann"), subscribers("group:room")) == (2, 2)
        await two.hub.clients.user("ann").send("still here")
        assert await again.heard() == ["still here"]
        await again.leave()
        await until(lambda: subscribers("user:ann") == 1, "the first server lets go of the user")
        await until(lambda: subscribers("group:room") == 1, "and of the group")
        await one.hub.clients.group("room").send("one left")
        assert await there.heard() == ["still here", "one left"]
        assert [subscribers(f"connection:{one.id}") for one in (ann, again, there)] == [0, 0, 1]
    assert [subscribers(name) for name in ("all", "user:ann", "internal:groups")] == [0, 0, 0]


async def test_an_audience_is_listened_to_until_nobody_watches_it(redis_url: str, subscribers) -> None:  # noqa: F811
    """Coming and going may overlap: a second watch may come before the unwatch that belongs to the first."""
    async with open_town(redis_url, servers=1) as (_, (one,)):
        ann = [Audience("user", "ann")]
        await one.hub.redis.watch(ann)
        await one.hub.redis.watch(ann)
        await one.hub.redis.unwatch(ann)
        await one.caught_up()
        assert subscribers("user:ann") == 1
        await one.hub.redis.unwatch(ann)
        await one.hub.redis.unwatch(ann)
        await one.caught_up()
        assert subscribers("user:ann") == 0


async def test_what_is_for_a_client_of_this_server_does_not_need_redis(
    redis_url: str,  # noqa: F811
    _redis_of_module: RedisProcess,  # noqa: F811
) -> None:
    async with open_town(redis_url) as (stack, (one, _)):
        ann = await one.person(stack)
        _redis_of_module.pause()
        try:
            one.hub.clients.client(ann.id).send("right here")
            assert (await ann.socket.record())["target"] == "right here"
        finally:
            _redis_of_module.go_on()


async def test_a_client_that_breaks_away_holds_up_nobody(redis_url: str) -> None:  # noqa: F811
    async with open_town(redis_url) as (stack, (one, two)):
        gone, ann = await two.person(stack), await two.person(stack)
        for person in (gone, ann):
            await one.hub.groups.add(person.id, "room")
        gone.socket.raw.transport.abort()
        for _ in range(2):
            await one.hub.clients.group("room").send("hello")
            await one.hub.clients.client(gone.id).send("are you there")
        assert await ann.heard() == ["hello", "hello"]


async def test_all_clients_hear_two_servers_in_one_order(redis_url: str) -> None:  # noqa: F811
    async with open_town(redis_url) as (stack, (one, two)):
        people = [await one.person(stack), await two.person(stack)]
        for number in range(200):
            one.hub.clients.all.send(f"one {number}")
            two.hub.clients.all.send(f"two {number}")
            if number % 7 == 0:
                await asyncio.sleep(0)
        await until(lambda: not one.hub.redis._flights.waiting_bytes, "the first is done")
        await until(lambda: not two.hub.redis._flights.waiting_bytes, "the second is done")
        first, second = await people[0].heard(), await people[1].heard()

        assert first == second
        for name in ("one", "two"):
            assert [words for words in first if words.startswith(name)] == [f"{name} {n}" for n in range(200)]


async def test_equal_words_of_two_servers_are_heard_twice(redis_url: str) -> None:  # noqa: F811
    async with open_town(redis_url) as (stack, (one, two)):
        ann, bob = await one.person(stack), await two.person(stack)
        for _ in range(100):
            one.hub.clients.all.send("ping")
            two.hub.clients.all.send("ping")
            await asyncio.sleep(0)
        await until(lambda: not one.hub.redis._flights.waiting_bytes, "the first is done")
        await until(lambda: not two.hub.redis._flights.waiting_bytes, "the second is done")
        assert await ann.heard() == await bob.heard() == ["ping"] * 200


@rule("S-61", broken_by=Apart)
async def test_a_server_asks_a_client_of_another(redis_url: str, planted: Bend | None) -> None:  # noqa: F811
    async with open_town(redis_url, planted) as (stack, (one, two)):
        ann = await one.person(stack)

        async def answer(**said: object) -> dict[str, object]:
            asked = await soon(ann.socket.record(), "she is asked", 1.0)
            await ann.socket.send(type=3, invocationId=asked["invocationId"], **said)
            return asked

        async def ask(**said: object) -> object:
            result = asyncio.create_task(two.hub.clients.client(ann.id).invoke("ask", "why", returns=int))
            try:
                asked = await answer(**said)
                assert (asked["target"], asked["arguments"]) == ("ask", ["why"])
                return await soon(asyncio.wait([result]), "the answer arrives")
            finally:
                result.cancel()
                outcomes.append(await asyncio.gather(result, return_exceptions=True))

        outcomes: list[list[object]] = []
        await ask(result=42)
        await ask(error="I will not")
        await ask(result="no number")
        await ask()
        assert outcomes[0] == [42]
        words = [str(found) for (found,) in outcomes[1:]]
        assert words[0] == "I will not"
        assert words[1].startswith("The client's result is of another type")
        assert words[2] == "Client didn't provide a result."


async def test_questions_of_two_servers_have_ids_of_their_own(redis_url: str) -> None:  # noqa: F811
    async with open_town(redis_url) as (stack, (one, two)):
        ann, bob = await one.person(stack), await one.person(stack)
        here = asyncio.create_task(one.hub.clients.client(ann.id).invoke("ask"))
        first = await ann.socket.record()
        there = asyncio.create_task(two.hub.clients.client(ann.id).invoke("ask"))
        second = await ann.socket.record()
        for number, asked in ((1, first), (2, second)):
            await bob.socket.send(type=3, invocationId=asked["invocationId"], result="not mine to answer")
            await bob.socket.invoke("tellOthers", "room", "x", id=str(number))
        await ann.socket.send(type=3, invocationId=second["invocationId"], result=2)
        await ann.socket.send(type=3, invocationId=first["invocationId"], result=1)

        assert first["invocationId"] != second["invocationId"]
        assert await soon(asyncio.gather(here, there), "both are answered") == [1, 2]


async def test_who_is_nowhere_or_leaves_before_answering_fails_the_question(redis_url: str) -> None:  # noqa: F811
    async with open_town(redis_url) as (stack, (one, two)):
        with pytest.raises(HubException, match="Connection '1234' does not exist"):
            await soon(one.hub.clients.client("1234").invoke("ask"), "nobody answers")
        ann = await two.person(stack)
        asked = asyncio.create_task(one.hub.clients.client(ann.id).invoke("ask"))
        await ann.socket.record()
        await ann.leave()
        with pytest.raises(HubException, match="disconnected before it answered"):
            await soon(asked, "the question fails")


async def test_a_server_that_is_gone_fails_what_was_asked_of_it(redis_url: str) -> None:  # noqa: F811
    async with open_town(redis_url) as (stack, (one, two)):
        ann = await two.person(stack)
        asked = asyncio.create_task(one.hub.clients.client(ann.id).invoke("ask"))
        await ann.socket.record()
        two.hub.redis._living.cancel()
        two.hub.redis._link.abort()
        with pytest.raises(HubException, match="disconnected before it answered"):
            await soon(asked, "the question fails", 5.0)
        await soon(one.hub.groups.add(ann.id, "room"), "nobody is waited for", 5.0)
