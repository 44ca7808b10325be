"""What a session uses reaches its caller's account to the token, and its budgets speak once each."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tests.policy.test_book import Clock, caller, left
from tests.redis_server import _redis_of_module, redis_url  # noqa: F401

from kaiwa.events.budget import BudgetEvent, BudgetNear, BudgetSpent, Charge, CostChanged
from kaiwa.events.usage import (
    DurationUsage,
    InputTokens,
    OutputTokens,
    TokenTranscriptionUsage,
    TranscriptionTokenDetails,
    Usage,
)
from kaiwa.policy.amounts import NANO, Amount, Want
from kaiwa.policy.caller import Caller
from kaiwa.policy.holds import Hold, Ledger, LimitReached
from kaiwa.policy.memory import MemoryLedger
from kaiwa.policy.prices import PriceTable, table_of
from kaiwa.policy.redis import RedisLedger
from kaiwa.policy.spending import Allowance, Spending

SESSION = Want(most=Amount(requests=1, tokens=1, money=1), ahead=False)
BOUNDLESS = Allowance()
PRICES = table_of(
    {
        "currency": "EUR",
        "models": {
            "voice": {
                "audio_input": 32,
                "audio_input_cached": 0.4,
                "input": 4,
                "audio_output": 64,
                "output": 16,
            },
            "whisper": {"audio_minute": 0.006},
            "scribe": {"audio_input": 6, "output": 10},
        },
    }
)


def used(written: int, read: int = 0) -> Usage:
    return Usage(
        total_tokens=read + written,
        input_tokens=read,
        output_tokens=written,
        input_token_details=InputTokens(text_tokens=read),
        output_token_details=OutputTokens(text_tokens=written),
    )


async def entered(ledger: Ledger, who: Caller) -> Hold:
    hold = await ledger.reserve(who, SESSION)
    assert not isinstance(hold, LimitReached), hold.message
    return hold


def spending(
    hold: Hold, allowance: Allowance = BOUNDLESS, prices: PriceTable = PRICES
) -> tuple[Spending, list[Any]]:
    heard: list[BudgetEvent] = []
    session = Spending(hold, prices, "voice", allowance)
    session.tell = lambda event: None if isinstance(event, CostChanged) else heard.append(event)
    return session, heard


STEPS = st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 200), st.booleans()), max_size=40)


@settings(max_examples=60, deadline=None)
@given(STEPS, st.integers(1, 3000), st.integers(1, 3000))
@example([("a", 1, False)], 1, 3000)
@example([("a", 100, True), ("b", 1, True)], 101, 3000)
def test_whatever_was_estimated_on_the_way_the_account_has_what_it_was(
    steps: list[tuple[str, int, bool]], per_day: int, per_session: int
) -> None:
    async def run() -> None:
        ledger, who = MemoryLedger(Clock()), caller(("tokens", "day", per_day), ("requests", "day", 9))
        session, heard = spending(await entered(ledger, who), Allowance(tokens=per_session))
        whole, running = 0, dict[str, int]()
        for of, tokens, over in steps:
            session.charge(Charge(of=of, usage=used(tokens), over=over))
            running.pop(of, None)
            if over:
                whole += tokens
            else:
                running[of] = tokens
            so_far = whole + sum(running.values())
            assert session.used.tokens == so_far
            if so_far >= min(per_day, per_session):
                assert isinstance(heard[-1], BudgetSpent)
        total = whole + sum(running.values())
        session.close()
        assert await left(ledger, who) == [max(0, per_day - total), 8]
        kinds = [type(event) for event in heard]
        assert kinds in ([], [BudgetNear], [BudgetSpent], [BudgetNear, BudgetSpent])

    asyncio.run(run())


async def test_a_budget_is_near_once_and_spent_once_whoever_used_it() -> None:
    ledger, who = MemoryLedger(Clock()), caller(("money", "day", NANO))
    mine, heard = spending(await entered(ledger, who))
    others, _ = spending(await entered(ledger, who))
    others.charge(Charge(of="x", usage=used(40_000)))  # 0.64 of 1
    mine.charge(Charge(of="y", usage=used(10_000), over=False))
    assert heard == [BudgetNear(budget="money_per_day", used_share=0.8)]
    mine.charge(Charge(of="y", usage=used(12_000), over=False))
    assert len(heard) == 1
    mine.charge(Charge(of="y", usage=used(22_500)))
    mine.charge(Charge(of="z", usage=used(1)))
    assert [type(event) for event in heard] == [BudgetNear, BudgetSpent]
    assert heard[1].budget == "money_per_day" and "money_per_day in KAIWA_POLICY" in heard[1].message
    mine.close()
    reached = await ledger.reserve(who, SESSION)
    assert isinstance(reached, LimitReached) and reached.code == "insufficient_quota"


async def test_a_full_minute_ends_no_call_and_loses_nothing() -> None:
    clock = Clock()
    ledger, who = MemoryLedger(clock), caller(("tokens", "minute", 100), ("tokens", "day", 10_000))
    session, heard = spending(await entered(ledger, who))
    for number in range(5):
        session.charge(Charge(of=str(number), usage=used(150)))
    assert heard == [] and await left(ledger, who) == [0, 10_000 - 750]
    assert isinstance(await ledger.reserve(who, SESSION), LimitReached)
    clock.now += 60
    session.charge(Charge(of="next", usage=used(60)))
    session.close()
    assert await left(ledger, who) == [40, 10_000 - 810]


@pytest.mark.parametrize(
    ("charge", "cost"),
    [
        (Charge(of="a", usage=DurationUsage(seconds=30), model="whisper"), 3_000_000),
        (
            Charge(
                of="a",
                usage=TokenTranscriptionUsage(
                    total_tokens=110,
                    input_tokens=100,
                    output_tokens=10,
                    input_token_details=TranscriptionTokenDetails(audio_tokens=100),
                ),
                model="scribe",
            ),
            600_000 + 100_000,
        ),
        (Charge(of="a", usage=used(1000, read=500)), 16_000_000 + 2_000_000),
        (Charge(of="a", usage=used(1000), model="an alias"), 16_000_000),
        (Charge(of="a", usage=DurationUsage(seconds=30), model="unpriced"), 0),
    ],
)
async def test_every_kind_of_use_has_its_price(charge: Charge, cost: int) -> None:
    ledger = MemoryLedger(Clock())
    session, _ = spending(await entered(ledger, Caller(id="free")))
    session.charge(charge)
    assert session.used.money == cost


async def test_two_processes_spend_one_budget_and_each_says_so(redis_url: str) -> None:  # noqa: F811
    who = caller(("tokens", "day", 1000), id="shared")
    here, there = RedisLedger(redis_url), RedisLedger(redis_url)
    async with here.running(), there.running():
        one, heard_here = spending(await entered(here, who))
        other, heard_there = spending(await entered(there, who))
        one.charge(Charge(of="a", usage=used(700)))
        await until(lambda: one_left(one) <= 300)
        other.charge(Charge(of="b", usage=used(150), over=False))
        await until(lambda: bool(heard_there))
        assert isinstance(heard_there[0], BudgetNear) and 0.85 <= heard_there[0].used_share < 0.86
        other.charge(Charge(of="b", usage=used(310)))
        await until(lambda: len(heard_there) == 2)
        assert isinstance(heard_there[1], BudgetSpent)
        one.charge(Charge(of="c", usage=used(1)))
        await until(lambda: bool(heard_here))
        assert isinstance(heard_here[-1], BudgetSpent)
        one.close()
        other.close()
    books = RedisLedger(redis_url)
    async with books.running():
        assert await left(books, caller(("tokens", "day", 10_000), id="shared")) == [10_000 - 1011]


def one_left(session: Spending) -> int:
    return session._hold.current[0].remaining  # pyright: ignore[reportPrivateUsage]


async def until(condition: Any) -> None:
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110  (Redis tells nobody here)
            await asyncio.sleep(0.01)
