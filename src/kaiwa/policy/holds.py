"""What a running request has reserved of its caller's limits, and who keeps the books.

    outcome = await ledger.reserve(caller, Want(most=Amount(requests=1, tokens=900)))
    if isinstance(outcome, LimitReached): …429 with outcome.retry_after_s…
    while it streams: if not hold.spend(Amount(tokens=1)): …end the stream well-formed…
    hold.settle(Amount(requests=1, tokens=412))      # what it was in the end

A hold that is neither settled nor released stays charged as far as it was spent; `with hold:` sees to it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from types import TracebackType
from typing import Protocol, Self

from kaiwa.events.value import Value
from kaiwa.policy.amounts import NANO, Amount, Kind, Limit, Standing, Want
from kaiwa.policy.caller import Caller


class LimitReached(Value, frozen=True, kw_only=True):
    """Why nothing was reserved. `retry_after_s`: when it may fit; `standing`: every limit of the caller."""

    limit: Limit
    retry_after_s: float
    standing: tuple[Standing, ...] = ()

    @property
    def code(self) -> str:
        return self.limit.code

    @property
    def type(self) -> str:
        return "insufficient_quota" if self.limit.is_budget else "rate_limit_error"

    @property
    def message(self) -> str:
        """Return the sentence that a client may read."""
        most = shown_amount(self.limit.kind, self.limit.most)
        wait = max(1, round(self.retry_after_s))
        if self.limit.is_budget:
            return (
                f"You exceeded your current quota: {self.limit.kind} per {self.limit.per}, limit {most}. "
                f"It is whole again in {wait}s; who runs this server can raise {self.limit.name}."
            )
        return (
            f"Rate limit reached: {self.limit.kind} per {self.limit.per}, limit {most}. "
            f"Please try again in {wait}s."
        )


def shown_amount(kind: Kind, amount: int) -> str:
    """Return an amount as people write it: money in whole units of its currency."""
    return f"{amount / NANO:g}" if kind == "money" else str(amount)


def used_share(standing: Sequence[Standing]) -> tuple[float, str]:
    """Return how much is used of the budget of which least is left, and its name."""
    budgets = (one for one in standing if one.limit.is_budget)
    return max(((1 - one.remaining / one.limit.most, one.limit.name) for one in budgets), default=(0.0, ""))


class Hold(Protocol):
    """Reserved until it is settled or released. Not for several tasks at once.

    `changed` is called whenever the ledger has answered, which may be later than `spend`.
    """

    changed: Callable[[], None]

    @property
    def granted(self) -> Amount:
        """What was reserved at first: `most` of the want, or what was left."""
        ...

    @property
    def standing(self) -> tuple[Standing, ...]:
        """The caller's limits as they stood when this was first asked, for the headers of an answer."""
        ...

    @property
    def current(self) -> tuple[Standing, ...]:
        """The caller's limits as far as is known now; what is reserved here and not spent is left."""
        ...

    @property
    def reached(self) -> Limit | None:
        """The limit that made `spend` say no."""
        ...

    def spend(self, used: Amount) -> bool:
        """Count what a running stream has used since the last time; say whether it may go on.

        Cheap, never waits, counts even when it says no. Past what is reserved it asks the ledger for more,
        and says no when there is none.
        """
        ...

    def settle(self, actual: Amount | None = None) -> None:
        """Charge what the request was in all, requests included, and give back the rest. None: what was
        spent, and one request. Returns at once; only the first end of a hold counts."""
        ...

    def release(self) -> None:
        """Give everything back: the request did not happen."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Settle by what was spent, unless it was ended before."""
        ...


class Ledger(Protocol):
    """Keeps the accounts of callers; in this process or for several."""

    async def reserve(self, caller: Caller, want: Want) -> Hold | LimitReached:
        """Reserve all of it or nothing, at once. Raises UpstreamError `limits_unavailable` when the books
        cannot be reached and the operator chose to refuse then."""
        ...

    def reserve_now(self, caller: Caller, want: Want) -> Hold | LimitReached | None:
        """As `reserve`, where nothing must be waited for. None: something must be, and nothing was done."""
        ...

    async def standing(self, caller: Caller) -> tuple[Standing, ...]:
        """Return how every limit of a caller stands, without reserving anything."""
        ...

    def running(self) -> AbstractAsyncContextManager[None]:
        """Keep the books open for as long as the block lasts; everything is written down when it is left."""
        ...
