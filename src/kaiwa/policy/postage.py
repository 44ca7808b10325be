"""What messages through a service cost whoever they are sent for: charged as the service takes them.

Knows prices and a hold that reserves nothing ahead; not what a message is, nor whom it reaches.
"""

from __future__ import annotations

from types import TracebackType
from typing import Self

from kaiwa.policy.amounts import Amount, Limit
from kaiwa.policy.holds import Hold
from kaiwa.policy.prices import PriceTable


class Postage:
    """The messages of one request. Leaving the block settles what they cost."""

    def __init__(self, hold: Hold, prices: PriceTable) -> None:
        self._hold = hold
        self._prices = prices
        self.cost = 0
        """So far, in billionths of the currency."""

    def pay(self, messages: int) -> None:
        """Charge messages that a service took, over a limit too."""
        money = self._prices.messages_cost(messages)
        if money:
            self.cost += money
            self._hold.spend(Amount(money=money))

    @property
    def reached(self) -> Limit | None:
        """The limit that the last message went over."""
        return self._hold.reached

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._hold.settle()
