"""Limits that several processes share, in a real Redis: atomic, leased, and with a known answer without it."""

from __future__ import annotations

import asyncio
import gc
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from redis.asyncio import Redis
from tests.policy.hammer import PIECE
from tests.policy.test_book import NOON, Clock, caller
from tests.redis_server import RedisProcess, _redis_of_module, redis_process, redis_url  # noqa: F401

from kaiwa.errors import ConfigError, UpstreamError
from kaiwa.policy.amounts import Amount, Limit, Want
from kaiwa.policy.book import Book, Grant
from kaiwa.policy.caller import Caller
from kaiwa.policy.holds import Hold, LimitReached
from kaiwa.policy.redis import Answer, Order, RedisLedger

WAIT_S = 10.0


async def reserved(ledger: RedisLedger, who: Caller, **amount: int) -> Hold:
    hold = await ledger.reserve(who, Want(most=Amount(**amount)))
    assert not isinstance(hold, LimitReached)
    return hold


async def until_left(ledger: RedisLedger, who: Caller, *expected: int) -> None:
    """Wait until the books say so: what ends a hold is written soon, not at once."""
    found: list[int] = []
    try:
        async with asyncio.timeout(WAIT_S):
            while found != list(expected):
                found = [entry.remaining for entry in await ledger.standing(who)]
                await asyncio.sleep(0.005)
    except TimeoutError:
        raise AssertionError(f"{found} is left, not {expected}") from None


async def lease(url: str) -> tuple[float, int]:
    """Return when the lease of the only hold ends, and how many of its tokens are known to be spent."""
    async with Redis.from_url(url, decode_responses=True) as books:
        [leases] = [name async for name in books.scan_iter("*:leases")]
        [(hold, ends)] = await books.zrange(leases, 0, -1, withscores=True)
        grant = await books.hget(leases.replace(":leases", ":grants"), hold)
        return ends, int(grant.split(",")[6])


@asynccontextmanager
async def ledgers(url: str, **given: object) -> AsyncIterator[tuple[RedisLedger, RedisLedger]]:
    """Two processes' books, as far as Redis can tell."""
    first, second = RedisLedger(url, **given), RedisLedger(url, **given)  # type: ignore[arg-type]
    async with first.running(), second.running():
        yield first, second


async def test_what_one_process_reserved_another_cannot(redis_url: str) -> None:  # noqa: F811
    who = caller(("tokens", "day", 100), ("requests", "day", 10))
    async with ledgers(redis_url) as (first, second):
        hold = await reserved(first, who, requests=1, tokens=60)
        reached = await second.reserve(who, Want(most=Amount(requests=1, tokens=41)))
        assert isinstance(reached, LimitReached)
        assert reached.limit.name == "tokens_per_day"
        assert [entry.remaining for entry in reached.standing] == [40, 9]
        hold.settle(Amount(requests=1, tokens=5))
        await until_left(second, who, 95, 9)


async def test_a_stream_is_ended_in_the_process_where_it_runs(redis_url: str) -> None:  # noqa: F811
    who = caller(("tokens", "day", 2_000))
    async with ledgers(redis_url) as (first, second):
        other = await reserved(second, who, tokens=1_000)
        hold = await reserved(first, who, requests=1, tokens=100)
        spent = 0
        async with asyncio.timeout(WAIT_S):
            while hold.spend(Amount(tokens=10)):
                spent += 10
                await asyncio.sleep(0.001)
        assert 700 <= spent <= 1_100
        hold.settle()
        other.release()
        await until_left(first, who, 2_000 - spent - 10)


async def test_settling_while_more_is_asked_for_charges_once(redis_url: str) -> None:  # noqa: F811
    who = caller(("tokens", "day", 10_000))
    async with ledgers(redis_url) as (first, _):
        hold = await reserved(first, who, tokens=100)
        assert hold.spend(Amount(tokens=90))
        hold.settle(Amount(tokens=77))
        await until_left(first, who, 9_923)


async def test_several_processes_never_overrun_one_budget(redis_url: str) -> None:  # noqa: F811
    most, processes, streams = 20_000, 3, 10
    running = [
        await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "tests.policy.hammer", redis_url, str(most), "150", "settle"),
            stdout=asyncio.subprocess.PIPE,
            cwd=Path(__file__).parents[2],
        )
        for _ in range(processes)
    ]
    async with asyncio.timeout(60):
        spent = [int((await process.communicate())[0]) for process in running]
    # In flight: what a stream had spent when it heard the last word.
    in_flight = processes * streams * PIECE * 10
    assert most * 0.5 <= sum(spent) <= most + in_flight, spent
    async with ledgers(redis_url) as (ledger, _):
        who = Caller(id="everybody", limits=(Limit(kind="tokens", per="day", most=most),))
        await until_left(ledger, who, max(0, most - sum(spent)))


async def test_what_a_killed_process_had_reserved_returns(redis_url: str) -> None:  # noqa: F811
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.policy.hammer", redis_url, "500", "0", "die"),
        stdout=asyncio.subprocess.PIPE,
        cwd=Path(__file__).parents[2],
    )
    assert process.stdout is not None
    async with asyncio.timeout(20):
        assert await process.stdout.readline() == b"holding\n"
    who = Caller(id="everybody", limits=(Limit(kind="tokens", per="day", most=500),))
    async with ledgers(redis_url) as (ledger, _):
        first, _ = await lease(redis_url)
        async with asyncio.timeout(WAIT_S):
            while (await lease(redis_url))[0] == first:  # noqa: ASYNC110 - it is renewed while the process lives
                await asyncio.sleep(0.02)
        assert isinstance(await ledger.reserve(who, Want(most=Amount(tokens=1))), LimitReached)
        process.kill()
        await process.wait()
        await until_left(ledger, who, 500)


async def test_a_hold_that_is_forgotten_returns_but_for_what_it_spent(redis_url: str) -> None:  # noqa: F811
    who = caller(("tokens", "day", 500))
    async with ledgers(redis_url, lease_s=1.5) as (first, _):
        hold = await reserved(first, who, tokens=400)
        hold.spend(Amount(tokens=30))
        async with asyncio.timeout(WAIT_S):
            while (await lease(redis_url))[1] != 30:  # noqa: ASYNC110 - a renewal tells it
                await asyncio.sleep(0.02)
        del hold
        gc.collect()
        await until_left(first, who, 470)


async def test_without_redis_each_process_counts_by_itself(redis_process: RedisProcess) -> None:  # noqa: F811
    who = caller(("requests", "day", 2))
    async with ledgers(redis_process.url) as (first, second):
        redis_process.stop()
        for ledger in (first, second):
            await reserved(ledger, who, requests=1)
            await reserved(ledger, who, requests=1)
            assert isinstance(await ledger.reserve(who, Want(most=Amount(requests=1))), LimitReached)


async def test_without_redis_requests_are_refused_where_the_operator_said_so(
    redis_process: RedisProcess,  # noqa: F811
) -> None:
    who = caller(("requests", "day", 20))
    ledger = RedisLedger(redis_process.url, away="closed")
    async with ledger.running():
        redis_process.stop()
        for _ in range(2):
            with pytest.raises(UpstreamError) as refused:
                await ledger.reserve(who, Want(most=Amount(requests=1)))
            assert refused.value.code == "limits_unavailable"
        free = await ledger.reserve(Caller(id="free"), Want(most=Amount(requests=1)))
        assert not isinstance(free, LimitReached), "who has no limits needs no books"


async def test_what_was_settled_while_redis_hung_is_charged_once_when_it_is_back(
    redis_process: RedisProcess,  # noqa: F811
) -> None:
    who = caller(("tokens", "day", 1_000))
    async with ledgers(redis_process.url) as (first, second):
        holds = [await reserved(first, who, tokens=100) for _ in range(3)]
        redis_process.pause()
        for hold in holds:
            hold.settle(Amount(tokens=10))
        async with asyncio.timeout(WAIT_S):
            while not first.is_away:  # noqa: ASYNC110 - nothing tells when it is noticed
                await asyncio.sleep(0.01)
        redis_process.go_on()
        await until_left(second, who, 970)


async def test_a_redis_that_forgot_the_script_is_given_it_again(redis_process: RedisProcess) -> None:  # noqa: F811
    who = caller(("tokens", "day", 1_000))
    async with ledgers(redis_process.url) as (first, _):
        await reserved(first, who, tokens=100)
        redis_process.command("SCRIPT", "FLUSH")
        await reserved(first, who, tokens=100)
        await until_left(first, who, 800)


def test_an_address_that_is_none_is_named() -> None:
    with pytest.raises(ConfigError) as wrong:
        RedisLedger("no-address")
    assert wrong.value.setting == "KAIWA_REDIS_URL"


steps = st.lists(
    st.one_of(
        st.tuples(st.just("reserve"), st.integers(0, 3), st.integers(0, 400), st.integers(0, 400)),
        st.tuples(st.just("exchange"), st.integers(0, 3), st.integers(0, 400), st.integers(0, 400)),
        st.tuples(st.just("settle"), st.integers(0, 3), st.integers(0, 400), st.just(0)),
        st.tuples(st.just("wait"), st.integers(1, 90), st.just(0), st.just(0)),
        st.tuples(st.just("wait"), st.integers(40_000, 90_000), st.just(0), st.just(0)),
    ),
    max_size=20,
)


@settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(steps=steps)
def test_the_script_in_redis_counts_as_the_book_does(
    redis_url: str,  # noqa: F811
    _redis_of_module: RedisProcess,  # noqa: F811
    steps: list[tuple[str, int, int, int]],
) -> None:
    asyncio.run(_both_alike(redis_url, _redis_of_module, steps))


async def _both_alike(url: str, server: RedisProcess, steps: list[tuple[str, int, int, int]]) -> None:
    server.command("FLUSHALL")
    limits = (
        ("requests", "minute", 3),
        ("tokens", "minute", 500),
        ("tokens", "day", 900),
        ("money", "day", 800),
    )
    who, clock, book = caller(*limits), Clock(NOON), Book()
    ledger = RedisLedger(url, clock=clock, lease_s=10_000_000)
    grants: dict[int, Grant] = {}

    async def ask(act: str, slot: int, *amounts: Amount) -> Answer:
        answer = (await ledger._ask([Order(who, act, str(slot), amounts)]))[0]
        assert answer is not None
        return answer

    async with ledger.running():
        for act, slot, most, least in steps:
            want = Want(
                most=Amount(requests=1, tokens=most, money=most // 2),
                least=Amount(requests=1, tokens=min(most, least)),
            )
            if act == "wait":
                clock.now += slot
            elif act == "reserve" and slot not in grants:
                here = book.reserve(who.spends, who.limits, want, clock.now)
                there = await ask("reserve", slot, want.most, want.needed)
                _same(here, there, grants, slot)
            elif act == "exchange" and slot in grants:
                spent = Amount(requests=1, tokens=least)
                want = Want(most=Amount(tokens=most), least=Amount())
                here = book.exchange(who.spends, who.limits, grants.pop(slot), spent, want, clock.now)
                there = await ask("exchange", slot, want.most, want.needed, spent)
                _same(here, there, grants, slot)
                if slot not in grants:
                    await ask("settle", slot, Amount())
            elif act == "settle" and slot in grants:
                actual = Amount(requests=1, tokens=most)
                book.settle(who.spends, who.limits, grants.pop(slot), actual, clock.now)
                await ask("settle", slot, actual)
            standing = book.standing(who.spends, who.limits, clock.now)
            shown = (await ask("standing", 0)).standing
            assert [entry.remaining for entry in shown] == [entry.remaining for entry in standing]


def _same(here: Grant | LimitReached, there: Answer, grants: dict[int, Grant], slot: int) -> None:
    if isinstance(here, LimitReached):
        assert (there.ok, there.reached) == (False, here.limit)
    else:
        assert (there.ok, there.amount) == (True, here.amount)
        grants[slot] = here
