"""What tokens cost: a table by model that the operator edits. Knows names and numbers, counts nothing."""

from __future__ import annotations

from typing import Protocol

from kaiwa.events.value import Value


class TokensUsed(Value, frozen=True, kw_only=True):
    """The tokens of one answer, as a service tells its usage. Cached ones and audio are part of the whole."""

    input: int = 0
    cached: int = 0
    output: int = 0
    audio_input: int = 0
    audio_cached: int = 0
    audio_output: int = 0


class Pricing(Protocol):
    """Fits the table of the settings."""

    def cost(self, model: str, used: TokensUsed) -> int:
        """Return the price in billionths of the currency; 0 for a model that has none."""
        ...
