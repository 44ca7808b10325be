"""What work of one kind used and cost, by model: alike for conversations and for relayed requests."""

from __future__ import annotations

from functools import cache
from typing import Literal

from prometheus_client import CollectorRegistry, Counter

from kaiwa.policy.amounts import NANO
from kaiwa.policy.prices import PriceTable, TokensUsed
from kaiwa.protocol.chat.usage import TokensCounted

_KINDS = ("input", "cached", "output", "audio_input", "audio_output")


class Spent:
    """`kind` begins the names of the figures, `what` is what they are of. The caller bounds the labels."""

    def __init__(
        self, registry: CollectorRegistry, kind: Literal["session", "stream"], what: str, prices: PriceTable
    ) -> None:
        tokens = Counter(
            f"kaiwa_{kind}_tokens",
            f"Tokens of {what}; cached and audio ones are part of input and output.",
            ["kind", "model"],
            registry=registry,
        )
        cost = Counter(
            f"kaiwa_{kind}_cost",
            f"What {what} cost by the price table.",
            ["currency", "model"],
            registry=registry,
        )
        self._prices = prices
        # Finding a series by its labels costs more than counting; there are as few as labels allow.
        self._tokens = cache(tokens.labels)
        self._cost = cache(cost.labels)

    def add(self, model: str, used: TokensUsed | TokensCounted, cost_nano: int) -> None:
        for kind in _KINDS:
            if number := getattr(used, kind):
                self._tokens(kind, model).inc(number)
        if cost_nano:
            self._cost(self._prices.currency, model).inc(cost_nano / NANO)
