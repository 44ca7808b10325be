"""What a service told about how much more it takes, for one model of one deployment. Knows headers and ages.

Sources: Azure OpenAI, "provisioned throughput" (utilisation) and "quota" (remaining); OpenAI, "rate limits".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from kaiwa.upstream.pool.retry_after import number, retry_after_s, span_s

UTILISATION: Final = "azure-openai-deployment-utilization"
_TOLD: Final = frozenset({UTILISATION, "x-ratelimit-remaining-requests", "x-ratelimit-remaining-tokens"})
# A reading is believed for so long, then it fades: nobody tells us that a busy deployment is free again.
_FRESH_S: Final = 5.0
_HALVES_EVERY_S: Final = 10.0
_WINDOW_S: Final = 60.0
_FIRST_REST_S: Final = 1.0
_LONGEST_GUESS_S: Final = 60.0


class Budget:
    """One `x-ratelimit-*` pair: what remains until it is filled again."""

    def __init__(self, kind: str) -> None:
        self._names = [f"x-ratelimit-{word}-{kind}" for word in ("remaining", "limit", "reset")]
        self._limit = 0.0
        self.remaining: float | None = None
        self.reset_at = 0.0

    def read(self, headers: Mapping[str, str], now: float) -> None:
        left = headers.get(self._names[0])
        remaining = None if left is None else number(left)
        if remaining is None:
            return
        limit, reset = headers.get(self._names[1]), headers.get(self._names[2])
        self.remaining = remaining
        self._limit = max(number(limit) or self._limit, remaining)
        reset_s = span_s(reset)
        self.reset_at = now + (_WINDOW_S if reset_s is None else min(reset_s, _WINDOW_S))

    def left(self, now: float) -> float | None:
        """Return what remains as far as anybody knows; None: nothing was said, or it was filled again."""
        return self.remaining if now < self.reset_at else None

    def used(self, now: float, taken: int = 0) -> float:
        """Return the used share, 0 to 1, with `taken` more that the service did not count yet."""
        left = None if self.remaining is None else self.left(now)
        if left is None or not self._limit:
            return 0.0
        return min(max(1 - (left - taken) / self._limit, 0.0), 1.0)


class Limits:
    """One model's share: rest after a 429, utilisation and budgets."""

    def __init__(self) -> None:
        self.rest_until = 0.0
        self.unanswered = 0
        """Requests sent whose answer, and so whose place in the budgets, is not known yet."""
        self.requests, self.tokens = Budget("requests"), Budget("tokens")
        self.told = False
        """Whether the service ever told how much it takes. Many do not."""
        self._refusals = 0
        self._utilisation: float | None = None
        self._read_at = 0.0

    def read(self, headers: Mapping[str, str], now: float) -> None:
        """Learn from the headers of any answer."""
        if not self.told and _TOLD.isdisjoint(headers):
            return
        self.told = True
        self.requests.read(headers, now)
        self.tokens.read(headers, now)
        said = headers.get(UTILISATION)
        told = None if said is None else _share(said)
        if told is not None:
            self._utilisation, self._read_at = told, now

    def rest(self, headers: Mapping[str, str], now: float, wall_s: float) -> None:
        """Leave it alone after a 429: as long as it says, else as its budgets say, else longer each time."""
        wait_s = retry_after_s(headers, wall_s)
        if wait_s is None:
            wait_s = self._guess(now)
        self._refusals += 1
        self.rest_until = max(self.rest_until, now + wait_s)

    def rest_as_told(self, headers: Mapping[str, str], now: float, wall_s: float) -> None:
        """Leave it alone if a failure came with a time to wait."""
        wait_s = retry_after_s(headers, wall_s)
        if wait_s is not None:
            self.rest_until = max(self.rest_until, now + wait_s)

    def accepted(self) -> None:
        self._refusals = 0

    def utilisation(self, now: float) -> float | None:
        """Return the share in use as last told, fading with its age."""
        if self._utilisation is None:
            return None
        stale_s = max(now - self._read_at - _FRESH_S, 0.0)
        return self._utilisation * 0.5 ** (stale_s / _HALVES_EVERY_S)

    def pressure(self, now: float) -> float:
        """Return how near it is to saying no, 0 to 1."""
        if not self.told:
            return 0.0
        used = self.requests.used(now, self.unanswered), self.tokens.used(now)
        return max(self.utilisation(now) or 0.0, *used)

    def spills(self, now: float, spill_at: float) -> bool:
        """Say whether the next request is better sent elsewhere, before it comes back with a 429."""
        if not self.told:
            return spill_at <= 0
        requests, tokens = self.requests.left(now), self.tokens.left(now)
        return (
            (self.utilisation(now) or 0.0) >= spill_at
            or (requests is not None and requests <= self.unanswered)
            or tokens == 0
        )

    def _guess(self, now: float) -> float:
        empty = [budget for budget in (self.requests, self.tokens) if budget.left(now) == 0]
        if empty:
            return max(budget.reset_at for budget in empty) - now
        return min(_FIRST_REST_S * 2.0 ** min(self._refusals, 30), _LONGEST_GUESS_S)


def _share(text: str | None) -> float | None:
    """Read `87.5%`, `87.5` or `0.875`; over 1 a bare number is a percentage."""
    value = number(text.strip().removesuffix("%")) if text else None
    if value is None or text is None:
        return None
    return value / 100 if "%" in text or value > 1 else value
