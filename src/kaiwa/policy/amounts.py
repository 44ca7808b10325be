"""What is counted, and the bounds on it. Values only; who counts is `holds`' and its ledgers'."""

from __future__ import annotations

from typing import Final, Literal

import msgspec

from kaiwa.events.value import Value

Kind = Literal["requests", "tokens", "money"]
Per = Literal["minute", "day"]

KINDS: Final[tuple[Kind, ...]] = ("requests", "tokens", "money")
PERIOD_S: Final[dict[Per, int]] = {"minute": 60, "day": 86_400}
NANO: Final = 1_000_000_000


class Amount(Value, frozen=True, kw_only=True):
    """So much of everything. `money` is in billionths of the price table's currency: a token costs a
    hundred of them or so, and whole numbers add up the same in every process.
    """

    requests: int = 0
    tokens: int = 0
    money: int = 0

    def of(self, kind: Kind) -> int:
        amount: int = getattr(self, kind)
        return amount

    @property
    def by_kind(self) -> dict[Kind, int]:
        return {"requests": self.requests, "tokens": self.tokens, "money": self.money}

    def __add__(self, other: Amount) -> Amount:
        return Amount(
            requests=self.requests + other.requests,
            tokens=self.tokens + other.tokens,
            money=self.money + other.money,
        )

    def __sub__(self, other: Amount) -> Amount:
        return Amount(
            requests=self.requests - other.requests,
            tokens=self.tokens - other.tokens,
            money=self.money - other.money,
        )

    def covers(self, other: Amount) -> bool:
        """Say whether there is at least as much of everything here."""
        return self.requests >= other.requests and self.tokens >= other.tokens and self.money >= other.money


NOTHING: Final = Amount()


class Limit(Value, frozen=True, kw_only=True):
    """At most so much of a kind in every minute of the clock, or every day (UTC)."""

    kind: Kind
    per: Per
    most: int

    @property
    def name(self) -> str:
        """Return it as the policy file writes it, `tokens_per_minute`."""
        return f"{self.kind}_per_{self.per}"

    @property
    def is_budget(self) -> bool:
        """Whether it bounds what is spent, and not how fast one may go."""
        return self.per == "day" and self.kind != "requests"

    @property
    def code(self) -> str:
        """Return the field's word for whoever has reached it: a quota is used up, or a rate is."""
        return "insufficient_quota" if self.is_budget else "rate_limit_exceeded"


class Standing(Value, frozen=True, kw_only=True):
    """How a limit stood when it was asked: what is left, and when it is whole again."""

    limit: Limit
    remaining: int
    reset_s: float


class Want(msgspec.Struct, frozen=True, kw_only=True):
    """What a request reserves before it runs: as much as is left up to `most`, and never under `least`.

    So an answer that may be long runs with what is left of a budget, and ends there. `least` None: all of
    `most` or nothing. `ahead` False: nothing is reserved for what comes later, each use is charged at once
    and even over a limit. So calls count that last through many windows, and hold up no others.
    """

    most: Amount
    least: Amount | None = None
    ahead: bool = True

    @property
    def needed(self) -> Amount:
        return self.most if self.least is None else self.least
