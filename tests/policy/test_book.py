"""Limits never let in more than they say, whatever runs at once; in this process, with virtual time."""

from __future__ import annotations

import asyncio

from hypothesis import given, settings
from hypothesis import strategies as st

from kaiwa.policy.amounts import Amount, Limit, Want
from kaiwa.policy.caller import Caller
from kaiwa.policy.holds import Hold, LimitReached
from kaiwa.policy.memory import MemoryLedger

NOON = 1_800_000_000.0 // 86_400 * 86_400 + 43_200


class Clock:
    def __init__(self, now: float = NOON) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


def caller(*limits: tuple[str, str, int], id: str = "a", account: str = "") -> Caller:
    bounds = tuple(Limit(kind=kind, per=per, most=most) for kind, per, most in limits)  # type: ignore[arg-type]
    return Caller(id=id, account=account, limits=bounds)


async def reserved(ledger: MemoryLedger, who: Caller, **amount: int) -> Hold:
    hold = await ledger.reserve(who, Want(most=Amount(**amount)))
    assert not isinstance(hold, LimitReached)
    return hold


async def refused(ledger: MemoryLedger, who: Caller, **amount: int) -> LimitReached:
    outcome = await ledger.reserve(who, Want(most=Amount(**amount)))
    assert isinstance(outcome, LimitReached)
    return outcome


async def left(ledger: MemoryLedger, who: Caller) -> list[int]:
    return [entry.remaining for entry in await ledger.standing(who)]


async def test_a_reservation_counts_before_anything_is_used() -> None:
    ledger, who = MemoryLedger(Clock()), caller(("tokens", "minute", 100))
    await reserved(ledger, who, tokens=60)
    reached = await refused(ledger, who, tokens=41)
    assert (reached.limit.name, reached.retry_after_s) == ("tokens_per_minute", 60.0)
    await reserved(ledger, who, tokens=40)


async def test_what_was_not_used_returns_when_a_hold_is_settled() -> None:
    ledger, who = MemoryLedger(Clock()), caller(("tokens", "day", 100), ("requests", "day", 5))
    hold = await reserved(ledger, who, requests=1, tokens=90)
    hold.settle(Amount(requests=1, tokens=30))
    assert await left(ledger, who) == [70, 4]
    hold.settle(Amount(requests=1, tokens=99))
    assert await left(ledger, who) == [70, 4], "only the first end of a hold counts"


async def test_a_request_that_did_not_happen_leaves_no_trace() -> None:
    ledger, who = MemoryLedger(Clock()), caller(("tokens", "day", 100), ("requests", "day", 5))
    (await reserved(ledger, who, requests=1, tokens=90)).release()
    assert await left(ledger, who) == [100, 5]


async def test_a_new_minute_is_whole_again_and_the_day_remembers() -> None:
    clock = Clock()
    ledger, who = MemoryLedger(clock), caller(("requests", "minute", 1), ("requests", "day", 2))
    (await reserved(ledger, who, requests=1)).settle()
    clock.now += 20
    reached = await refused(ledger, who, requests=1)
    assert (reached.limit.per, reached.retry_after_s) == ("minute", 40.0)
    clock.now += 40
    (await reserved(ledger, who, requests=1)).settle()
    clock.now += 60
    reached = await refused(ledger, who, requests=1)
    assert (reached.limit.per, reached.retry_after_s) == ("day", 43_080.0)


async def test_a_long_answer_begins_with_what_is_left() -> None:
    ledger, who = MemoryLedger(Clock()), caller(("tokens", "minute", 100))
    want = Want(most=Amount(tokens=5_000), least=Amount(tokens=20))
    hold = await ledger.reserve(who, want)
    assert not isinstance(hold, LimitReached)
    assert hold.granted.tokens == 100
    assert isinstance(await ledger.reserve(who, want), LimitReached)


async def test_a_running_stream_gets_more_until_the_limit_is_there() -> None:
    ledger, who = MemoryLedger(Clock()), caller(("tokens", "minute", 1_000))
    hold = await reserved(ledger, who, requests=1, tokens=100)
    spent = 0
    while hold.spend(Amount(tokens=10)):
        spent += 10
    assert 1_000 - 10 <= spent <= 1_000
    assert hold.reached is not None
    assert hold.reached.name == "tokens_per_minute"
    assert not hold.spend(Amount(tokens=1)), "no stays no"
    hold.settle()
    assert await left(ledger, who) == [0]


async def test_a_call_that_lasts_over_minutes_spends_from_each_of_them() -> None:
    clock = Clock()
    ledger, who = MemoryLedger(clock), caller(("tokens", "minute", 300))
    hold = await reserved(ledger, who, requests=1, tokens=100)
    for _ in range(20):
        assert hold.spend(Amount(tokens=200))
        clock.now += 60
    hold.settle()


async def test_money_ends_a_stream_as_tokens_do() -> None:
    ledger, who = MemoryLedger(Clock()), caller(("money", "day", 100_000_000))
    hold = await reserved(ledger, who, money=1_000)
    spent = 0
    while hold.spend(Amount(money=3_000_000)):
        spent += 3_000_000
    assert 97_000_000 <= spent <= 100_000_000


async def test_an_error_in_a_request_settles_what_it_spent() -> None:
    ledger, who = MemoryLedger(Clock()), caller(("tokens", "day", 100), ("requests", "day", 5))
    try:
        with await reserved(ledger, who, requests=1, tokens=50) as hold:
            hold.spend(Amount(tokens=7))
            raise LookupError
    except LookupError:
        assert await left(ledger, who) == [93, 4]


async def test_a_page_spends_from_the_account_of_who_made_its_key() -> None:
    ledger = MemoryLedger(Clock())
    owner, page = caller(("requests", "day", 2)), caller(("requests", "day", 2), id="a/page", account="a")
    await reserved(ledger, owner, requests=1)
    await reserved(ledger, page, requests=1)
    await refused(ledger, owner, requests=1)


async def test_callers_without_limits_are_never_counted() -> None:
    ledger = MemoryLedger(Clock())
    hold = await reserved(ledger, Caller(id="free"), requests=1, tokens=10**12)
    assert hold.spend(Amount(tokens=10**12))
    assert hold.standing == ()
    assert await ledger.standing(Caller(id="free")) == ()


@settings(max_examples=60, deadline=None)
@given(
    most=st.integers(50, 3_000),
    streams=st.lists(
        st.tuples(st.integers(1, 600), st.lists(st.integers(1, 40), max_size=30)),
        min_size=1,
        max_size=12,
    ),
)
def test_streams_at_once_overrun_a_budget_by_no_more_than_they_have_in_flight(
    most: int, streams: list[tuple[int, list[int]]]
) -> None:
    """Every task may be interrupted anywhere; each has one piece in flight when it is told to end."""

    async def one(ledger: MemoryLedger, who: Caller, estimate: int, pieces: list[int]) -> tuple[int, int]:
        want = Want(most=Amount(requests=1, tokens=estimate), least=Amount(requests=1, tokens=1))
        hold = await ledger.reserve(who, want)
        if isinstance(hold, LimitReached):
            return 0, 0
        used, over = 0, 0
        with hold:
            for piece in pieces:
                used += piece
                await asyncio.sleep(0)
                if not hold.spend(Amount(tokens=piece)):
                    over = piece
                    break
        return used, over

    async def all_of_them() -> None:
        ledger, who = MemoryLedger(Clock()), caller(("tokens", "day", most))
        ends = await asyncio.gather(*(one(ledger, who, first, pieces) for first, pieces in streams))
        used, in_flight = sum(end[0] for end in ends), sum(end[1] for end in ends)
        assert used <= most + in_flight
        assert (await ledger.standing(who))[0].remaining == max(0, most - used)

    asyncio.run(all_of_them())
