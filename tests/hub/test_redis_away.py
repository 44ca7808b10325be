"""Redis restarts, hangs and refuses: hubs go on with their own clients, come back, and repeat nothing."""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from pathlib import Path

import pytest
from tests.hub.house import soon, until
from tests.hub.town import Person, Square, open_town
from tests.redis_server import RedisProcess, redis_process  # noqa: F401 - a fixture

from kaiwa.errors import ConfigError
from kaiwa.hub import HubException, HubOptions
from kaiwa.hub.redis import RedisBackplane
from kaiwa.hub.redis import backplane as backplane_module


async def _numbers_until(person: Person, last: str) -> list[int]:
    """Return the numbers that came before the last word, each time it is the argument of `said`."""
    numbers: list[int] = []
    while (message := await person.socket.record())["target"] != last:
        numbers.append(message["arguments"][0])
    return numbers


async def test_a_restart_in_mid_stream_repeats_nothing_and_counts_what_is_lost(
    redis_process: RedisProcess,  # noqa: F811
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, "kaiwa.hub")
    async with open_town(redis_process.url, quiet_s=1.0) as (stack, (one, two)):
        here, there = await one.person(stack, "ann"), await two.person(stack, "bob")
        for person in (here, there):
            await one.hub.groups.add(person.id, "room")
        for number in range(600):
            one.hub.clients.group("room").send("said", number)
            if number == 200:
                redis_process.stop()
                await until(lambda: not one.hub.redis.is_connected, "the first sees that Redis is gone")
                await until(lambda: not two.hub.redis.is_connected, "the second too")
                late = await two.person(stack, "cat")
                await soon(two.hub.groups.add(late.id, "room"), "a group is joined meanwhile")
            if number == 400:
                redis_process.start()
                await until(
                    lambda: one.hub.redis.is_connected and two.hub.redis.is_connected, "both are back", 8
                )
                await two.caught_up()
                await two.hub.redis._link.ask(b"PING")
            await asyncio.sleep(0)
        await one.hub.clients.group("room").send("end")
        heard_here, heard_there = await _numbers_until(here, "end"), await _numbers_until(there, "end")
        heard_late = await _numbers_until(late, "end")

        assert heard_here == list(range(600)), "who is at the sending server misses nothing"
        assert heard_there == sorted(set(heard_there)), "nothing twice, all in order"
        missed = sorted(set(range(600)) - set(heard_there))
        assert set(range(201, 400)) <= set(missed) <= set(range(401)), "what is lost is lost in the gap only"
        assert heard_late == heard_there[-len(heard_late) :] == list(range(600))[-len(heard_late) :]
        assert len(heard_late) >= 199
        assert len(missed) <= one.hub.redis.lost <= 401
        back = [record for record in caplog.records if record.message == "hub: Redis is back"]
        assert {record.lost for record in back} == {one.hub.redis.lost, 0}


async def test_a_redis_that_hangs_is_noticed_and_what_it_had_not_read_is_not_heard_twice(
    redis_process: RedisProcess,  # noqa: F811
) -> None:
    async with open_town(redis_process.url, quiet_s=0.3) as (stack, (one, two)):
        here, there = await one.person(stack), await two.person(stack)
        redis_process.pause()
        for number in range(2_000):
            one.hub.clients.all.send("said", number, "x" * 100)
        await until(lambda: not one.hub.redis.is_connected, "it is noticed")
        redis_process.go_on()
        await until(lambda: one.hub.redis.is_connected and two.hub.redis.is_connected, "both are back", 10)
        await one.hub.clients.all.send("end")

        assert await _numbers_until(here, "end") == list(range(2_000))
        heard = await _numbers_until(there, "end")
        assert heard == sorted(set(heard))
        assert len(heard) + one.hub.redis.lost >= 2_000


async def test_a_connection_that_was_given_up_can_publish_nothing_any_more(
    redis_process: RedisProcess,  # noqa: F811
) -> None:
    async with open_town(redis_process.url) as (_, (one, two)):
        given_up, other = one.hub.redis._link, two.hub.redis._link
        assert given_up is not None
        assert other is not None
        listed = redis_process.command("CLIENT", "LIST", "ID", str(given_up.number))
        assert b"name=kaiwa-hub-" in listed
        given_up._end()  # the socket stays open, as towards a Redis that hangs
        await until(lambda: one.hub.redis.is_connected, "it connects again")
        assert b"name=" not in redis_process.command("CLIENT", "LIST", "ID", str(given_up.number))

        one.hub.redis._number = other.number  # as after a restart of Redis, which counts anew
        assert one.hub.redis._link is not None
        one.hub.redis._link._end()
        await until(lambda: one.hub.redis.is_connected, "it connects once more")
        assert two.hub.redis._link is other, "nobody else's is ended"


async def test_who_sends_faster_than_redis_takes_is_not_held_up_and_keeps_a_bound(
    redis_process: RedisProcess,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(backplane_module, "MOST_WAITING_BYTES", 200_000)
    async with open_town(redis_process.url) as (stack, (one, _)):
        here = await one.person(stack)
        redis_process.pause()
        try:
            for number in range(100):
                one.hub.clients.all.send("said", number, "x" * 5_000)
            assert one.hub.redis._flights.waiting_bytes <= 200_000
            one.hub.clients.all.send("end")
            assert await _numbers_until(here, "end") == list(range(100))
            assert one.hub.redis.lost == 101
        finally:
            redis_process.go_on()


async def test_without_redis_a_hub_serves_alone_and_joins_when_it_is_there(
    redis_process: RedisProcess,  # noqa: F811
) -> None:
    redis_process.stop()
    async with open_town(redis_process.url) as (stack, (one, two)):
        here, there = await one.person(stack), await two.person(stack)
        await one.hub.groups.add(here.id, "room")
        one.hub.clients.group("room").send("alone")
        assert (await here.socket.record())["target"] == "alone"
        with pytest.raises(HubException, match="cannot be reached"):
            await one.hub.clients.client(there.id).invoke("ask")
        await soon(one.hub.groups.add(there.id, "room"), "a change is not waited for")

        redis_process.start()
        await until(lambda: one.hub.redis.is_connected and two.hub.redis.is_connected, "both joined", 8)
        await two.hub.clients.group("room").send("together")
        assert await here.heard() == ["together"]


async def _refusal(url: str) -> str:
    hub = Square(HubOptions(), RedisBackplane(url, "Chat"))
    with pytest.raises(ConfigError) as raised:
        async with hub.running():
            pass
    return str(raised.value)


async def test_a_refused_password_stops_the_start_and_names_the_setting(
    redis_process: RedisProcess,  # noqa: F811
) -> None:
    assert redis_process.command("CONFIG", "SET", "requirepass", "open-sesame") == b"+OK\r\n"
    place = f"127.0.0.1:{redis_process.port}"
    for url in (f"redis://{place}", f"redis://:wrong-word@{place}"):
        words = await _refusal(url)
        assert words.startswith("redis_url: has a user or password that Redis refuses")
        assert "wrong-word" not in words
    hub = Square(HubOptions(), RedisBackplane(f"redis://:open-sesame@{place}", "Chat"))
    async with hub.running():
        assert hub.redis.is_connected


async def test_a_socket_of_the_file_system_will_do(tmp_path: Path) -> None:
    """And one that is no Redis is not taken for one."""

    async def babble(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            await reader.read(100)
            writer.write(b"-ERR unknown command 'HELLO'\r\n")
            await writer.drain()
        writer.close()

    server = await asyncio.start_unix_server(babble, tmp_path / "old.sock")
    async with server:
        assert "Use Redis 6 or later" in await _refusal(f"unix://{tmp_path}/old.sock")


async def test_a_hub_that_may_not_start_says_so_to_every_caller(
    redis_process: RedisProcess,  # noqa: F811
) -> None:
    redis_process.command("CONFIG", "SET", "requirepass", "open-sesame")
    hub = Square(HubOptions(), RedisBackplane(redis_process.url, "Chat"))
    starts = await soon(
        asyncio.gather(*(hub._board.start() for _ in range(3)), return_exceptions=True), "all hear of it"
    )
    assert [type(one) for one in starts] == [ConfigError] * 3
