"""A running request's share of its limits: counts what is spent, and asks for more before it runs dry.

Knows amounts; where the books are kept is its ledger's affair.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from functools import cached_property
from types import TracebackType
from typing import Final, Self

from msgspec import structs

from kaiwa.policy.amounts import NOTHING, Amount, Kind, Limit, Standing, Want
from kaiwa.policy.caller import Caller
from kaiwa.policy.holds import LimitReached

# So much more is asked for at least: a page of text, a cent.
STEP: Final[dict[Kind, int]] = {"tokens": 256, "money": 10_000_000}


class FreeHold:
    """The hold of a caller without limits: nothing to count. Fits `holds.Hold`."""

    reached: Limit | None = None
    standing: tuple[Standing, ...] = ()
    current: tuple[Standing, ...] = ()

    def __init__(self, granted: Amount = NOTHING) -> None:
        self.granted = granted
        self.changed: Callable[[], None] = _nobody_asks

    def spend(self, used: Amount) -> bool:
        return True

    def settle(self, actual: Amount | None = None) -> None:
        """There is nothing to write down."""

    def release(self) -> None:
        """There is nothing to give back."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """There is nothing to end."""


class CountedHold(ABC):
    """The hold of a caller with limits. `_before` was spent of earlier grants, `_spent` of this one."""

    reached: Limit | None = None
    _before = NOTHING
    _ended = False

    def __init__(self, caller: Caller, granted: Amount, *, ahead: bool = True) -> None:
        self.caller = caller
        self.granted = granted
        self.changed: Callable[[], None] = _nobody_asks
        self._ahead = ahead
        self._share = granted
        self._spent = Amount(requests=granted.requests)

    @property
    @abstractmethod
    def standing(self) -> tuple[Standing, ...]: ...

    @property
    def current(self) -> tuple[Standing, ...]:
        return tuple(
            structs.replace(one, remaining=one.remaining + max(0, self._unspent.of(one.limit.kind)))
            for one in self._known()
        )

    @property
    def _unspent(self) -> Amount:
        return self._share - self._spent

    @abstractmethod
    def _known(self) -> tuple[Standing, ...]:
        """Return how the limits stand, as the ledger said last."""

    @cached_property
    def _kinds(self) -> tuple[Kind, ...]:
        limited = {limit.kind for limit in self.caller.limits}
        return tuple(kind for kind in STEP if kind in limited)

    @property
    def spent(self) -> Amount:
        """What was used so far, of all grants."""
        return self._before + self._spent

    def spend(self, used: Amount) -> bool:
        self._spent = self._spent + used
        if self._ended or (self._ahead and self.reached is not None):
            return False
        if self._is_short():
            self._ask_for_more(self._more())
        return self.reached is None

    def settle(self, actual: Amount | None = None) -> None:
        if not self._ended:
            self._ended = True
            self._end(self._spent if actual is None else actual - self._before)

    def release(self) -> None:
        self.settle(NOTHING)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.settle()

    @abstractmethod
    def _is_short(self) -> bool:
        """Say whether it is time to ask for more."""

    @abstractmethod
    def _ask_for_more(self, want: Want) -> None:
        """Have the share exchanged for another, now or soon."""

    @abstractmethod
    def _end(self, actual: Amount) -> None:
        """Have the share settled."""

    def _over(self, share: Amount) -> bool:
        return any(self._spent.of(kind) > share.of(kind) for kind in self._kinds)

    def _uses_the_last(self) -> bool:
        """Say whether some kind is used up to the last; only asking for more tells whether that was all."""
        return any(0 < self._share.of(kind) <= self._spent.of(kind) for kind in self._kinds)

    def _more(self) -> Want:
        """What to ask for: the tokens and the money that go on being used."""
        if not self._ahead:
            return Want(most=Amount(**dict.fromkeys(self._kinds, 1)), least=NOTHING)
        steps = {kind: max(STEP[kind], self.spent.of(kind) // 4) for kind in self._kinds}
        return Want(most=Amount(**steps), least=NOTHING)

    def _took(self, outcome: Amount | LimitReached, settled: Amount) -> None:
        """Go on with another share after `settled` was charged, or learn that there is none."""
        self._before = self._before + settled
        self._spent = self._spent - settled
        if isinstance(outcome, LimitReached):
            self.reached = outcome.limit
            self._share = NOTHING
        else:
            self.reached = None
            self._share = outcome
        self.changed()


def _nobody_asks() -> None:
    """What `changed` is until somebody wants to know."""
