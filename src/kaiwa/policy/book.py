"""The arithmetic of limits: what is counted in which minute and day. Pure: time goes in, nothing waits.

A reservation counts as used from the start, in the windows it was made in; its end corrects the count by what
it really was. So a window never lets in more than its limit, whatever runs at once. `ledger.lua` is the same
arithmetic inside Redis, and a test holds the one against the other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from kaiwa.events.value import Value
from kaiwa.policy.amounts import KINDS, PERIOD_S, Amount, Limit, Per, Standing, Want
from kaiwa.policy.holds import LimitReached

_SWEEP_AT: Final = 1024


class Grant(Value, frozen=True, kw_only=True):
    """What was reserved, and the minute and the day that it counts in."""

    amount: Amount
    minute: int
    day: int

    def window(self, per: Per) -> int:
        return self.minute if per == "minute" else self.day


@dataclass(slots=True)
class _Slot:
    window: int
    used: int


def grant_of(amount: Amount, now: float) -> Grant:
    return Grant(amount=amount, minute=window_of("minute", now), day=window_of("day", now))


def window_of(per: Per, now: float) -> int:
    return int(now // PERIOD_S[per])


@dataclass
class Book:
    """The counts of every account. One process asks it from one thread."""

    _slots: dict[tuple[str, str], _Slot] = field(default_factory=dict[tuple[str, str], _Slot])
    _sweep_at: int = _SWEEP_AT

    def reserve(self, account: str, limits: Sequence[Limit], want: Want, now: float) -> Grant | LimitReached:
        """Reserve what is left of each kind, up to `most`; nothing when that is under `least`."""
        self._sweep(now)
        full = [limit for limit in limits if not self._fits(account, limit, want, now)]
        if full:
            worst = max(full, key=lambda limit: PERIOD_S[limit.per])
            standing = self.standing(account, limits, now)
            return LimitReached(limit=worst, retry_after_s=_reset_s(worst, now), standing=standing)
        amount = self._room(account, limits, want.most, now)
        self._count(account, limits, amount, now)
        return grant_of(amount, now)

    def exchange(
        self, account: str, limits: Sequence[Limit], grant: Grant, spent: Amount, want: Want, now: float
    ) -> Grant | LimitReached:
        """Settle a grant by what was spent of it, and reserve anew; refused, it is settled all the same."""
        self.settle(account, limits, grant, spent, now)
        return self.reserve(account, limits, want, now)

    def settle(self, account: str, limits: Sequence[Limit], grant: Grant, actual: Amount, now: float) -> None:
        """Correct what a grant counts for. What it was beyond its windows counts in those of now."""
        for limit in limits:
            change = actual.of(limit.kind) - grant.amount.of(limit.kind)
            slot = self._slot(account, limit, now)
            if change > 0 or slot.window == grant.window(limit.per):
                slot.used = max(0, slot.used + change)

    def standing(self, account: str, limits: Sequence[Limit], now: float) -> tuple[Standing, ...]:
        """Return how each limit stands."""
        return tuple(
            Standing(
                limit=limit, remaining=max(0, self._left(account, limit, now)), reset_s=_reset_s(limit, now)
            )
            for limit in limits
        )

    def _fits(self, account: str, limit: Limit, want: Want, now: float) -> bool:
        if want.most.of(limit.kind) <= 0:
            return True
        left = self._left(account, limit, now)
        return left > 0 and left >= want.needed.of(limit.kind)

    def _room(self, account: str, limits: Sequence[Limit], most: Amount, now: float) -> Amount:
        room = {kind: most.of(kind) for kind in KINDS}
        for limit in limits:
            if room[limit.kind] > 0:
                room[limit.kind] = min(room[limit.kind], self._left(account, limit, now))
        return Amount(**room)

    def _count(self, account: str, limits: Sequence[Limit], amount: Amount, now: float) -> None:
        for limit in limits:
            self._slot(account, limit, now).used += amount.of(limit.kind)

    def _left(self, account: str, limit: Limit, now: float) -> int:
        slot = self._slots.get((account, limit.name))
        used = slot.used if slot is not None and slot.window == window_of(limit.per, now) else 0
        return limit.most - used

    def _slot(self, account: str, limit: Limit, now: float) -> _Slot:
        window = window_of(limit.per, now)
        slot = self._slots.get((account, limit.name))
        if slot is None or slot.window != window:
            slot = self._slots[account, limit.name] = _Slot(window, 0)
        return slot

    def _sweep(self, now: float) -> None:
        """Forget windows that are over, once there are many; the live ones set the next time."""
        if len(self._slots) < self._sweep_at:
            return
        current = {window_of("minute", now), window_of("day", now)}
        self._slots = {name: slot for name, slot in self._slots.items() if slot.window in current}
        self._sweep_at = max(_SWEEP_AT, 2 * len(self._slots))


def _reset_s(limit: Limit, now: float) -> float:
    period = PERIOD_S[limit.per]
    return (window_of(limit.per, now) + 1) * period - now
