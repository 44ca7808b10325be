"""What tokens and messages cost: a table that the operator edits. Knows names and numbers, counts nothing.

A table is JSON or TOML: the prices of a million tokens by kind, and under `models` those of single models.
`text_input = 0.15` says the same as `input = 0.15`; `audio_minute` is what models cost that are paid by time,
`signalr_messages` what a million messages cost that Azure SignalR Service takes.

    currency = "USD"
    [models."gpt-4o-mini*"]
    input = 0.15
    cached = 0.075
    output = 0.60
"""

from __future__ import annotations

from collections.abc import Mapping
from fnmatch import fnmatchcase
from functools import lru_cache
from typing import Any, Final, Protocol, cast

import msgspec

from kaiwa.events.value import Value
from kaiwa.policy.amounts import NANO

_MILLION: Final = 1_000_000
# Clients choose names freely; these are remembered.
_KNOWN_MODELS: Final = 256
_KINDS: Final = ("text_input", "text_input_cached", "audio_input", "audio_input_cached", "text_output",
                 "audio_output", "audio_minute")  # fmt: skip
_SHORT: Final = {"input": "text_input", "cached": "text_input_cached", "output": "text_output"}


class TokensUsed(Value, frozen=True, kw_only=True):
    """The tokens of one answer, as a service tells its usage. Cached ones and audio are part of the whole.

    `seconds`: of sound, where a model is paid by time.
    """

    input: int = 0
    cached: int = 0
    output: int = 0
    audio_input: int = 0
    audio_cached: int = 0
    audio_output: int = 0
    seconds: float = 0


class Pricing(Protocol):
    """Fits the table of the settings."""

    def cost(self, model: str, used: TokensUsed) -> int:
        """Return the price in billionths of the currency; 0 for a model that has none."""
        ...


class Rates(Value, frozen=True, kw_only=True):
    """What a million tokens of each kind cost. Cached ones cost as others where no price is given.

    `audio_minute`: what a minute of sound costs.
    """

    text_input: float = 0
    text_input_cached: float | None = None
    audio_input: float = 0
    audio_input_cached: float | None = None
    text_output: float = 0
    audio_output: float = 0
    audio_minute: float = 0

    def cost(self, used: TokensUsed) -> int:
        """Return the price in billionths of the currency."""
        text, cached = used.input - used.audio_input, used.cached - used.audio_cached
        total = (
            (text - cached) * self.text_input
            + cached * (self.text_input if self.text_input_cached is None else self.text_input_cached)
            + (used.audio_input - used.audio_cached) * self.audio_input
            + used.audio_cached
            * (self.audio_input if self.audio_input_cached is None else self.audio_input_cached)
            + (used.output - used.audio_output) * self.text_output
            + used.audio_output * self.audio_output
        )
        return round(total * (NANO // _MILLION) + used.seconds / 60 * self.audio_minute * NANO)


class PriceTable:
    """Prices by model: the longest name that fits counts, else `usual`. Fits `Pricing`.

    `signalr_messages`: what a million messages cost.
    """

    def __init__(
        self,
        usual: Rates | None,
        models: Mapping[str, Rates],
        currency: str = "USD",
        *,
        signalr_messages: float = 0,
    ) -> None:
        self.currency = currency
        self._signalr_messages = signalr_messages
        self._usual = usual
        self._models = sorted(models.items(), key=lambda entry: len(entry[0]), reverse=True)
        self.rates = lru_cache(maxsize=_KNOWN_MODELS)(self._rates)
        """Return the prices of a model; None: it has none."""

    def become(self, other: PriceTable) -> None:
        """Take the prices of another table, for all who hold this one."""
        self.currency, self._usual, self._models, self.rates = (
            other.currency,
            other._usual,
            other._models,
            other.rates,
        )
        self._signalr_messages = other._signalr_messages

    def _rates(self, model: str) -> Rates | None:
        for name, rates in self._models:
            if fnmatchcase(model, name):
                return rates
        return self._usual

    def cost(self, model: str, used: TokensUsed) -> int:
        rates = self.rates(model)
        return 0 if rates is None else rates.cost(used)

    def messages_cost(self, messages: int) -> int:
        """Return the price of messages through Azure SignalR Service, in billionths of the currency."""
        return round(messages * self._signalr_messages * (NANO // _MILLION))


FREE: Final = PriceTable(None, {})


def with_whole_names(prices: Mapping[str, Any]) -> dict[str, Any]:
    """Return the prices of one entry under the names of `Rates`."""
    return {_SHORT.get(name, name): price for name, price in prices.items()}


def table_of(written: Mapping[str, Any]) -> PriceTable:
    """Return the table that checked settings hold."""
    usual = {name: written[name] for name in _KINDS if written.get(name) is not None}
    models = cast(Mapping[str, Mapping[str, Any]], written.get("models") or {})
    return PriceTable(
        msgspec.convert(usual, Rates) if any(usual.values()) else None,
        {name: msgspec.convert(with_whole_names(entry), Rates) for name, entry in models.items()},
        str(written.get("currency", "USD")),
        signalr_messages=written.get("signalr_messages") or 0,
    )
