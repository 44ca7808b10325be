"""What one session costs while it runs: priced as it is used, counted for its caller, held to its budgets.

Knows prices, the caller's hold and the session's own bounds; says when a budget is near or spent. How that is
told to anybody is the session's affair.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from kaiwa.events.budget import BudgetEvent, BudgetNear, BudgetSpent, Charge, CostChanged
from kaiwa.events.usage import DurationUsage, TokenTranscriptionUsage, Usage
from kaiwa.events.value import Value
from kaiwa.policy.amounts import NANO, NOTHING, Amount, Kind
from kaiwa.policy.holds import Hold, shown_amount, used_share
from kaiwa.policy.prices import PriceTable, TokensUsed

MOST_RUNNING: Final = 64
"""Answers under way; of more than these the oldest are taken to be over."""


class Allowance(Value, frozen=True, kw_only=True):
    """What a session may use; None: whatever its caller's limits leave.

    `near`: at which share of a budget to warn; 1: never. `remedy`: the setting that gives sessions more.
    """

    tokens: int | None = None
    money: int | None = None
    near: float = 0.8
    remedy: str = "KAIWA_SESSION_BUDGET"


class Spending:
    """Charge it with what is used; it spends that of the hold. `tell` hears what follows.

    An estimate of a running answer counts until its whole is known. The ledger is told no less than before
    while the session runs; `close` settles what it was in the end.
    """

    def __init__(self, hold: Hold, prices: PriceTable, model: str, allowance: Allowance) -> None:
        self.tell: Callable[[BudgetEvent], None] = _nobody_hears
        self._hold = hold
        self._prices = prices
        self._model = model
        self._allowance = allowance
        self._whole = NOTHING
        self._running: dict[str, Amount] = {}
        self._counted = NOTHING
        self._near = self._spent = False
        hold.changed = self._judge

    @property
    def used(self) -> Amount:
        """What the session has used so far, running answers included."""
        return sum(self._running.values(), self._whole)

    def charge(self, charge: Charge) -> None:
        """Count what a response or a transcription used; Charge says whether that is all."""
        amount = self._priced(charge)
        self._running.pop(charge.of, None)
        if charge.over:
            self._whole += amount
        else:
            self._running[charge.of] = amount
            while len(self._running) > MOST_RUNNING:
                self._whole += self._running.pop(next(iter(self._running)))
        self._count()
        used = self.used
        currency = self._prices.currency
        changed = CostChanged(
            tokens=used.tokens, money=used.money / NANO, currency=currency, estimated=bool(self._running)
        )
        self.tell(changed)
        self._judge()

    def paid_as(self, charge: Charge) -> str:
        """Return the name that something is priced under: who did it, else what the session was asked for."""
        told = charge.model
        if told is not None and self._prices.rates(told) is not None:
            return told
        return self._model if isinstance(charge.usage, Usage) else told or self._model

    def close(self) -> None:
        """Settle with the caller. What still runs is charged as it was estimated."""
        self.tell = _nobody_hears
        self._hold.changed = _nobody_asks
        used = self.used
        self._hold.settle(Amount(requests=1, tokens=used.tokens, money=used.money))

    def _priced(self, charge: Charge) -> Amount:
        used = tokens_used(charge.usage)
        money = self._prices.cost(self.paid_as(charge), used)
        return Amount(tokens=used.input + used.output, money=money)

    def _count(self) -> None:
        fresh = self.used - self._counted
        fresh = Amount(tokens=max(0, fresh.tokens), money=max(0, fresh.money))
        self._counted += fresh
        self._hold.spend(fresh)

    def _judge(self) -> None:
        """Say it once when a budget is near, and once when one is spent."""
        if self._spent:
            return
        spent = self._spent_budget()
        if spent is not None:
            self._near = self._spent = True
            self.tell(spent)
        elif not self._near:
            share, name = max(self._shares(), default=(0.0, ""))
            if self._allowance.near <= share:
                self._near = True
                self.tell(BudgetNear(budget=name, used_share=round(share, 3)))

    def _spent_budget(self) -> BudgetSpent | None:
        used, allowance = self.used, self._allowance
        kinds: tuple[Kind, ...] = ("money", "tokens")
        for kind in kinds:
            most: int | None = getattr(allowance, kind)
            if most is not None and used.of(kind) >= most:
                return _spent(f"{kind}_per_session", kind, most, allowance.remedy)
        reached = self._hold.reached
        if reached is None or not reached.is_budget:
            return None
        return _spent(reached.name, reached.kind, reached.most, f"{reached.name} in KAIWA_POLICY")

    def _shares(self) -> Iterator[tuple[float, str]]:
        """Yield how much of each budget is used, as a share, and its name."""
        used, allowance = self.used, self._allowance
        if allowance.tokens:
            yield used.tokens / allowance.tokens, "tokens_per_session"
        if allowance.money:
            yield used.money / allowance.money, "money_per_session"
        yield used_share(self._hold.current)


def tokens_used(usage: Usage | TokenTranscriptionUsage | DurationUsage) -> TokensUsed:
    """Return what was used as a price table counts it."""
    match usage:
        case DurationUsage():
            return TokensUsed(seconds=usage.seconds)
        case TokenTranscriptionUsage():
            return TokensUsed(
                input=usage.input_tokens,
                audio_input=usage.input_token_details.audio_tokens,
                output=usage.output_tokens,
            )
        case Usage():
            into, out = usage.input_token_details, usage.output_token_details
            return TokensUsed(
                input=usage.input_tokens,
                cached=into.cached_tokens,
                output=usage.output_tokens,
                audio_input=into.audio_tokens,
                audio_cached=into.cached_tokens_details.audio_tokens,
                audio_output=out.audio_tokens,
            )


def _spent(name: str, kind: Kind, most: int, remedy: str) -> BudgetSpent:
    message = (
        f"You exceeded your current quota: {name}, limit {shown_amount(kind, most)}. "
        f"Who runs this server can raise {remedy}."
    )
    return BudgetSpent(budget=name, message=message)


def _nobody_hears(event: BudgetEvent) -> None:
    """What `tell` is without a conversation."""


def _nobody_asks() -> None:
    """A session that is over wants to know nothing."""
