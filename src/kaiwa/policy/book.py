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
from kaiwa.policy.amounts import PERIOD_S, Amount, Limit, Per, Standing, Want
from kaiwa.policy.holds import LimitReached

_SWEEP_AT: Final = 1024
_MINUTE_S: Final = PERIOD_S["minute"]
_DAY_S: Final = PERIOD_S["day"]


class Grant(Value, frozen=True, kw_only=True):
    """What was reserved, and the minute and the day that it counts in."""

    amount: Amount
    minute: int
    day: int


@dataclass(slots=True)
class _Slot:
    """What one limit of an account has counted in its newest window."""

    period_s: int
    window: int = 0
    used: int = 0
    ends: float = 0


_Row = list[tuple[Limit, _Slot]]


def grant_of(amount: Amount, now: float) -> Grant:
    return Grant(amount=amount, minute=int(now // _MINUTE_S), day=int(now // _DAY_S))


def window_of(per: Per, now: float) -> int:
    return int(now // PERIOD_S[per])


@dataclass
class Book:
    """The counts of every account. One process asks it from one thread."""

    _slots: dict[tuple[str, str], _Slot] = field(default_factory=dict[tuple[str, str], _Slot])
    # Each limit of an account with its slot: those of a caller are the same value for long.
    _rows: dict[str, tuple[Sequence[Limit], _Row]] = field(
        default_factory=dict[str, tuple[Sequence[Limit], _Row]]
    )
    _sweep_at: int = _SWEEP_AT

    def reserve(self, account: str, limits: Sequence[Limit], want: Want, now: float) -> Grant | LimitReached:
        """Reserve what is left of each kind, up to `most`; nothing when that is under `least`."""
        if len(self._slots) >= self._sweep_at:
            self._sweep(now)
        row = self._current(account, limits, now)
        amount = want.most
        for limit, slot in row:
            if limit.most - slot.used < getattr(amount, limit.kind):
                amount = self._what_is_left(row, want)
                break
        if isinstance(amount, list):
            return self._refused(account, limits, amount, now)
        for limit, slot in row:
            slot.used += getattr(amount, limit.kind)
        return Grant(amount=amount, minute=int(now // _MINUTE_S), day=int(now // _DAY_S))

    def _what_is_left(self, row: _Row, want: Want) -> Amount | list[Limit]:
        """Return as much of `most` as every limit leaves, or those that leave too little."""
        most, needed = want.most.by_kind, want.needed.by_kind
        room = dict(most)
        full: list[Limit] = []
        for limit, slot in row:
            left, kind = limit.most - slot.used, limit.kind
            if most[kind] <= 0:
                continue
            if left <= 0 or left < needed[kind]:
                full.append(limit)
            elif left < room[kind]:
                room[kind] = left
        return full or Amount(**room)

    def exchange(
        self, account: str, limits: Sequence[Limit], grant: Grant, spent: Amount, want: Want, now: float
    ) -> Grant | LimitReached:
        """Settle a grant by what was spent of it, and reserve anew; refused, it is settled all the same."""
        self.settle(account, limits, grant, spent, now)
        return self.reserve(account, limits, want, now)

    def settle(self, account: str, limits: Sequence[Limit], grant: Grant, actual: Amount, now: float) -> None:
        """Correct what a grant counts for. What it was beyond its windows counts in those of now."""
        granted = grant.amount
        for limit, slot in self._current(account, limits, now):
            change = getattr(actual, limit.kind) - getattr(granted, limit.kind)
            if change > 0 or slot.window == (grant.minute if limit.per == "minute" else grant.day):
                slot.used = max(0, slot.used + change)

    def standing(self, account: str, limits: Sequence[Limit], now: float) -> tuple[Standing, ...]:
        """Return how each limit stands."""
        standing: list[Standing] = []
        for limit, slot in self._current(account, limits, now):
            left = limit.most - slot.used
            standing.append(Standing(limit=limit, remaining=max(0, left), reset_s=slot.ends - now))
        return tuple(standing)

    def _refused(
        self, account: str, limits: Sequence[Limit], full: Sequence[Limit], now: float
    ) -> LimitReached:
        worst = max(full, key=lambda limit: PERIOD_S[limit.per])
        standing = self.standing(account, limits, now)
        return LimitReached(limit=worst, retry_after_s=_reset_s(worst, now), standing=standing)

    def _current(self, account: str, limits: Sequence[Limit], now: float) -> _Row:
        """Return each limit with its slot; one whose window is over begins anew."""
        known = self._rows.get(account)
        row = known[1] if known is not None and known[0] is limits else self._row(account, limits)
        for _, slot in row:
            if not slot.ends - slot.period_s <= now < slot.ends:
                slot.window, slot.used = int(now // slot.period_s), 0
                slot.ends = (slot.window + 1) * slot.period_s
        return row

    def _row(self, account: str, limits: Sequence[Limit]) -> _Row:
        """Find the slots by the limits' names: those of an account may be others than a moment ago."""
        slots = self._slots
        row = [(one, slots.setdefault((account, one.name), _Slot(PERIOD_S[one.per]))) for one in limits]
        self._rows[account] = limits, row
        return row

    def _sweep(self, now: float) -> None:
        """Forget windows that are over, once there are many; the live ones set the next time."""
        current = {window_of("minute", now), window_of("day", now)}
        self._slots = {name: slot for name, slot in self._slots.items() if slot.window in current}
        self._rows.clear()
        self._sweep_at = max(_SWEEP_AT, 2 * len(self._slots))


def _reset_s(limit: Limit, now: float) -> float:
    period = PERIOD_S[limit.per]
    return (window_of(limit.per, now) + 1) * period - now
