"""The directory of several processes over a real Redis: one holder for each name, and none for ever."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack

from tests.redis_server import RedisProcess, _redis_of_module, redis_process, redis_url  # noqa: F401 - fixtures

from kaiwa.server.cluster.directory import PROCESS, Directory, Holder, MemoryDirectory
from kaiwa.server.cluster.redis import RedisDirectory

LEASE_S = 0.3


def directory(url: str, mark: str, machine: str = "here", lease_s: float = 10.0) -> RedisDirectory:
    return RedisDirectory(url, f"127.0.0.1:{sum(mark.encode())}", machine, mark=mark, lease_s=lease_s)


async def nobody_holds(directory: Directory, kind: str, name: str) -> None:
    async with asyncio.timeout(20):
        while await directory.find(kind, name) is not None:  # noqa: ASYNC110 a lease runs out in Redis
            await asyncio.sleep(0.02)


async def test_of_many_who_claim_a_name_one_holds_it_and_all_know_whom(redis_url: str) -> None:  # noqa: F811
    async with AsyncExitStack() as stack:
        several = [directory(redis_url, mark) for mark in ("aaaa", "bbbb", "cccc")]
        for one in several:
            await stack.enter_async_context(one.running())

        holders = await asyncio.gather(*(one.claim("conversation", "x") for one in several))

        assert len(set(holders)) == 1
        assert {await one.find("conversation", "x") for one in several} == set(holders)
        assert await several[0].find("call", "x") is None, "kinds are apart"
        assert (await several[0].find(PROCESS, "cccc")) == several[2].here


async def test_only_the_holder_releases_a_name(redis_url: str) -> None:  # noqa: F811
    first, second = directory(redis_url, "aaaa"), directory(redis_url, "bbbb")
    async with first.running(), second.running():
        await first.claim("conversation", "x")

        await second.release("conversation", "x")
        assert await second.find("conversation", "x") == first.here

        await first.release("conversation", "x")
        assert await second.claim("conversation", "x") == second.here


async def test_a_process_that_ends_holds_nothing_any_more(redis_url: str) -> None:  # noqa: F811
    first, second = directory(redis_url, "aaaa"), directory(redis_url, "bbbb")
    async with second.running():
        async with first.running():
            await first.claim("conversation", "x")
        assert await second.find("conversation", "x") is None
        assert await second.find(PROCESS, "aaaa") is None


async def test_a_lease_is_renewed_while_its_process_lives_and_runs_out_afterwards(redis_url: str) -> None:  # noqa: F811
    living, dead = (directory(redis_url, mark, lease_s=LEASE_S) for mark in ("aaaa", "bbbb"))
    other = directory(redis_url, "cccc")
    async with living.running(), other.running():
        await living.claim("conversation", "kept")
        await dead.claim("conversation", "left")  # it never runs, so nobody renews it
        await dead.close()

        await nobody_holds(other, "conversation", "left")
        assert await other.find("conversation", "kept") == living.here


async def test_a_holder_that_does_not_answer_is_replaced_once(redis_url: str) -> None:  # noqa: F811
    gone, second, third = (directory(redis_url, mark) for mark in ("aaaa", "bbbb", "cccc"))
    async with second.running(), third.running():
        await gone.claim("conversation", "x")
        await gone.close()

        assert await second.claim("conversation", "x", instead_of=gone.here) == second.here
        assert await third.claim("conversation", "x", instead_of=gone.here) == second.here


async def test_what_is_kept_is_read_by_all_for_its_time(redis_url: str) -> None:  # noqa: F811
    first, second = directory(redis_url, "aaaa"), directory(redis_url, "bbbb")
    async with first.running(), second.running():
        await first.keep("key", "x", b"value", 60)
        await first.keep("key", "y", b"value", 0.01)

        assert await second.kept("key", "x") == b"value"
        async with asyncio.timeout(20):
            while await second.kept("key", "y") is not None:  # noqa: ASYNC110 its time runs in Redis
                await asyncio.sleep(0.01)
        assert await first.secret("signalr") == await second.secret("signalr") != await second.secret("other")


async def test_without_redis_each_process_is_by_itself_and_says_what_is_its_own(
    redis_process: RedisProcess,  # noqa: F811
) -> None:
    first = directory(redis_process.url, "aaaa", lease_s=LEASE_S)
    second = directory(redis_process.url, "bbbb", lease_s=LEASE_S)
    async with first.running(), second.running():
        redis_process.stop()
        assert await first.claim("conversation", "x") == first.here
        assert await second.find("conversation", "x") is None
        assert await first.find("conversation", "x") == first.here

        redis_process.start()
        async with asyncio.timeout(10):
            while await second.find("conversation", "x") != first.here:  # noqa: ASYNC110 with its next renewal
                await asyncio.sleep(0.05)


async def test_a_process_alone_holds_what_it_claims() -> None:
    alone = MemoryDirectory()
    assert await alone.claim("conversation", "x") == alone.here == await alone.find("conversation", "x")
    await alone.release("conversation", "x")
    assert await alone.find("conversation", "x") is None


def test_loopback_addresses_reach_their_own_machine_only() -> None:
    near, far = Holder("aaaa", "127.0.0.1:1", "here"), Holder("bbbb", "127.0.0.1:2", "there")
    assert not near.reaches(far)
    assert near.reaches(Holder("cccc", "127.0.0.1:3", "here"))
    assert near.reaches(Holder("dddd", "10.0.0.7:3", "there"))
    assert not near.reaches(Holder("eeee"))
