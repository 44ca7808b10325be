"""Messages through Azure SignalR Service and what they cost: everybody's, as the service takes them."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter

from kaiwa.policy.amounts import NANO
from kaiwa.policy.prices import PriceTable


class MessageMeasures:
    def __init__(self, registry: CollectorRegistry, prices: PriceTable) -> None:
        self._prices = prices
        self._messages = Counter(
            "kaiwa_signalr_messages",
            "Messages of 2 KB that Azure SignalR Service took; one for many clients is one.",
            registry=registry,
        )
        self._cost = Counter(
            "kaiwa_signalr_cost",
            "What messages through Azure SignalR Service cost by the price table.",
            ["currency"],
            registry=registry,
        )

    def took(self, messages: int) -> None:
        """Count a message that the service took, at the price of now."""
        self._messages.inc(messages)
        if cost := self._prices.messages_cost(messages):
            self._cost.labels(self._prices.currency).inc(cost / NANO)
