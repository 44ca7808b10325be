"""Counts what the books refuse. Fits `kaiwa.policy.holds.Ledger`."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager

from prometheus_client import CollectorRegistry, Counter

from kaiwa.policy.amounts import Standing, Want
from kaiwa.policy.caller import Caller
from kaiwa.policy.holds import Hold, Ledger, LimitReached


class CountedLedger:
    """The ledger of a house, and how often it said no, by the limit that was reached."""

    def __init__(self, ledger: Ledger, registry: CollectorRegistry) -> None:
        self._ledger = ledger
        self._refused = Counter(
            "kaiwa_limits_refused",
            "Requests refused since a limit of their caller was reached.",
            ["kind", "per"],
            registry=registry,
        )

    async def reserve(self, caller: Caller, want: Want) -> Hold | LimitReached:
        outcome = await self._ledger.reserve(caller, want)
        self._count(outcome)
        return outcome

    def reserve_now(self, caller: Caller, want: Want) -> Hold | LimitReached | None:
        outcome = self._ledger.reserve_now(caller, want)
        self._count(outcome)
        return outcome

    def _count(self, outcome: Hold | LimitReached | None) -> None:
        if isinstance(outcome, LimitReached):
            self._refused.labels(outcome.limit.kind, outcome.limit.per).inc()

    async def standing(self, caller: Caller) -> tuple[Standing, ...]:
        return await self._ledger.standing(caller)

    def running(self) -> AbstractAsyncContextManager[None]:
        return self._ledger.running()
