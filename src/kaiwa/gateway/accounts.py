"""What a stream has used: told by the service or estimated, and charged to the caller as it grows.

Knows tokens and prices; nothing of bytes and connections.
"""

from __future__ import annotations

from typing import Final

from kaiwa.policy.amounts import Amount, Limit
from kaiwa.policy.holds import Hold, used_share
from kaiwa.policy.prices import Pricing, TokensUsed
from kaiwa.protocol.chat.usage import TokensCounted

# So many events are counted at once: asking after each would cost more than passing it on.
EVERY_EVENTS: Final = 16
# A token of a prompt is about four bytes of its JSON.
_BYTES_A_TOKEN: Final = 4


class FreeOfCharge:
    """The prices of an operator who named none."""

    def cost(self, model: str, used: TokensUsed) -> int:
        return 0


class Account:
    """One request's part of its caller's limits. `settle` once; only the first time counts."""

    def __init__(self, hold: Hold, prices: Pricing, model: str, asked_bytes: int) -> None:
        self._hold = hold
        self._prices = prices
        self._model = model
        self._asked_tokens = asked_bytes // _BYTES_A_TOKEN
        self._counted = 0
        self.used: TokensCounted | None = None
        self.cost = 0

    @property
    def due_at(self) -> int:
        """At how many events to ask again whether it may go on."""
        return self._counted + EVERY_EVENTS

    def went_on(self, events: int) -> bool:
        """Count what a running stream has used; say whether it may go on."""
        fresh = events - self._counted
        if fresh < EVERY_EVENTS:
            return True
        began = TokensUsed(input=0 if self._counted else self._asked_tokens, output=fresh)
        self._counted = events
        money = self._prices.cost(self._model, began)
        return self._hold.spend(Amount(tokens=began.input + began.output, money=money))

    @property
    def reached(self) -> Limit | None:
        """The limit that made `went_on` say no."""
        return self._hold.reached

    @property
    def used_share(self) -> float:
        """How much of the budget is used of which least is left."""
        return used_share(self._hold.current)[0]

    def settle(self, told: TokensCounted | None, events: int) -> None:
        """Charge what it was in all; an estimate where the service told nothing."""
        if self.used is not None:
            return
        self.used = told or TokensCounted(input=self._asked_tokens, output=events, estimated=True)
        used = TokensUsed(
            input=self.used.input,
            cached=self.used.cached,
            output=self.used.output,
            audio_input=self.used.audio_input,
            audio_output=self.used.audio_output,
        )
        self.cost = self._prices.cost(self._model, used)
        self._hold.settle(Amount(requests=1, tokens=used.input + used.output, money=self.cost))

    def cancel(self) -> None:
        """Nothing was answered: only the request itself is charged."""
        if self.used is None:
            self.used = TokensCounted()
            self._hold.settle(Amount(requests=1))
