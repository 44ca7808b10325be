"""Messages are charged as they are taken, over a limit too, in memory as in Redis."""

from __future__ import annotations

import asyncio

import pytest
from tests.policy.test_book import Clock, caller
from tests.redis_server import _redis_of_module, redis_url  # noqa: F401

from kaiwa.policy.amounts import NANO, NOTHING, Want
from kaiwa.policy.caller import Caller
from kaiwa.policy.holds import Ledger, LimitReached
from kaiwa.policy.memory import MemoryLedger
from kaiwa.policy.postage import Postage
from kaiwa.policy.prices import PriceTable, table_of
from kaiwa.policy.redis import RedisLedger

NOTHING_YET = Want(most=NOTHING, ahead=False)
A_WHOLE_ONE_EACH = table_of({"signalr_messages": 1_000_000})


async def postage(ledger: Ledger, who: Caller, prices: PriceTable = A_WHOLE_ONE_EACH) -> Postage:
    hold = await ledger.reserve(who, NOTHING_YET)
    assert not isinstance(hold, LimitReached), hold.message
    return Postage(hold, prices)


async def until_left(ledger: Ledger, who: Caller, money: int, requests: int) -> None:
    """Redis hears of it soon, not at once."""
    async with asyncio.timeout(10):
        while [one.remaining for one in await ledger.standing(who)] != [money, requests]:  # noqa: ASYNC110
            await asyncio.sleep(0.005)


@pytest.mark.parametrize("kept_in", ["memory", "redis"])
async def test_what_is_sent_is_charged_and_is_no_request(
    kept_in: str,
    redis_url: str,  # noqa: F811
) -> None:
    ledger: Ledger = MemoryLedger(Clock()) if kept_in == "memory" else RedisLedger(redis_url)
    who = caller(("money", "day", 10 * NANO), ("requests", "day", 3))
    async with ledger.running():
        with await postage(ledger, who) as first:
            first.pay(4)
            first.pay(3)
            assert (first.cost, first.reached) == (7 * NANO, None)
        await until_left(ledger, who, 3 * NANO, 3)
        with await postage(ledger, who) as second:
            second.pay(5)
            async with asyncio.timeout(10):
                while second.reached is None:  # noqa: ASYNC110 the books of Redis answer later
                    await asyncio.sleep(0.005)
            assert second.reached.name == "money_per_day"
            second.pay(1)
            assert second.cost == 6 * NANO
        await until_left(ledger, who, 0, 3)
        with await postage(ledger, who) as third:
            assert third.reached is None, "who has nothing left is refused by what they ask, not by messages"


async def test_messages_without_a_price_do_not_ask_the_books() -> None:
    ledger, who = MemoryLedger(Clock()), caller(("money", "day", 1))
    with await postage(ledger, who, table_of({})) as free, await postage(ledger, who) as dear:
        dear.pay(1)
        free.pay(1000)
        assert (free.cost, free.reached, dear.reached is not None) == (0, None, True)
