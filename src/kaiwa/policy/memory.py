"""The books of one process. Fits `holds.Ledger`."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager

from kaiwa.policy.amounts import NOTHING, Amount, Standing, Want
from kaiwa.policy.book import Book, Grant, grant_of
from kaiwa.policy.caller import Caller
from kaiwa.policy.holds import Hold, LimitReached
from kaiwa.policy.running import CountedHold, FreeHold


class MemoryLedger:
    """Keeps accounts while the process lives. `clock`: Unix seconds."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self.clock = clock
        self.book = Book()

    async def reserve(self, caller: Caller, want: Want) -> Hold | LimitReached:
        return self.reserve_now(caller, want)

    def reserve_now(self, caller: Caller, want: Want) -> Hold | LimitReached:
        if not caller.limits:
            return FreeHold(want.most)
        now = self.clock()
        outcome = self.book.reserve(caller.spends, caller.limits, want, now)
        if isinstance(outcome, LimitReached):
            return outcome
        return MemoryHold(self, caller, outcome, ahead=want.ahead)

    async def standing(self, caller: Caller) -> tuple[Standing, ...]:
        return self.book.standing(caller.spends, caller.limits, self.clock())

    @asynccontextmanager
    async def running(self) -> AsyncGenerator[None]:
        """There is nothing to start and nothing to end."""
        yield


class MemoryHold(CountedHold):
    """Asks for more only when its share is used up: that costs nothing here."""

    def __init__(self, ledger: MemoryLedger, caller: Caller, grant: Grant, *, ahead: bool) -> None:
        super().__init__(caller, grant.amount, ahead=ahead)
        self._ledger = ledger
        self._grant = grant
        self._standing: tuple[Standing, ...] | None = None

    @property
    def standing(self) -> tuple[Standing, ...]:
        if self._standing is None:
            self._standing = self._known()
        return self._standing

    def _known(self) -> tuple[Standing, ...]:
        caller, ledger = self.caller, self._ledger
        return ledger.book.standing(caller.spends, caller.limits, ledger.clock())

    def _is_short(self) -> bool:
        return self._over(self._share) or (not self._ahead and self._uses_the_last())

    def _ask_for_more(self, want: Want) -> None:
        book, caller, now = self._ledger.book, self.caller, self._ledger.clock()
        settled = self._spent
        outcome = book.exchange(caller.spends, caller.limits, self._grant, settled, want, now)
        if isinstance(outcome, LimitReached):
            self._grant = grant_of(NOTHING, now)
            self._took(outcome, settled)
        else:
            self._grant = outcome
            self._took(outcome.amount, settled)

    def _end(self, actual: Amount) -> None:
        now = self._ledger.clock()
        self._ledger.book.settle(self.caller.spends, self.caller.limits, self._grant, actual, now)
