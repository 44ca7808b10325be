"""Ask one deployment after another until one has begun to answer. Knows the pool; nothing of the client."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Final, TypeVar

from kaiwa.gateway.asking import Asked, with_headers
from kaiwa.gateway.attempt import Attempt, Clock, Failed
from kaiwa.gateway.following import Following
from kaiwa.gateway.racing import Race
from kaiwa.gateway.reasons import Refusal, failed, refusal_of
from kaiwa.upstream.http1.client import HttpClient
from kaiwa.upstream.pool.lease import Exhausted, Lease
from kaiwa.upstream.pool.pool import DeploymentPool

T = TypeVar("T")
MOST_ATTEMPTS: Final = 8


class Choosing:
    """The attempts of one request, in `made`; `attempt`: the one that counts.

    `following` hears of each before it is made.
    """

    def __init__(
        self, pool: DeploymentPool, asked: Asked, now: Clock, following: Following | None = None
    ) -> None:
        self._pool = pool
        self._asked = asked
        self.streams = asked.streams
        self._now = now
        self.following = following
        self._tried: set[str] = set()
        self.made: list[Attempt] = []
        self.attempt: Attempt | None = None

    @property
    def attempts(self) -> int:
        return len(self.made)

    def first_now(self, http: HttpClient, first_token_s: float) -> bool:
        """Ask the first deployment, if nothing must be waited for before that and nobody hedges; then
        `attempt.tell` follows.

        Otherwise say no. What was begun either way, `first` takes up.
        """
        attempt = self._next()
        if isinstance(attempt, Exhausted):
            return False
        if self._pool.hedging.rules is not None and self._hedges_after() is not None:
            return False
        return attempt.ask_now(http, first_token_s)

    async def first(self, begin: Callable[[Attempt], Awaitable[T]]) -> T | Refusal:
        """Return what `begin` made of the first deployment that answers, else what the client must hear."""
        last: Refusal | None = None
        attempt = self.attempt or self._next()
        while True:
            if isinstance(attempt, Exhausted):
                return _nobody(attempt, last, self._asked.model)
            try:
                return await self._hedged(attempt, begin)
            except Failed as no:
                last = no.refusal or last
                if no.final or self.attempts >= MOST_ATTEMPTS:
                    return last or failed(502, "upstream_unavailable", "No service could answer.")
            attempt = self._next()

    def _next(self) -> Attempt | Exhausted:
        asked = self._asked
        lease = self._pool.next(asked.model, self._tried, asked.affinity, self._now(), streams=self.streams)
        return lease if isinstance(lease, Exhausted) else self._attempt(lease)

    def _attempt(self, lease: Lease) -> Attempt:
        self._tried.add(lease.deployment.name)
        asked = self._asked
        if self.following is not None:
            asked = with_headers(asked, self.following.headers())
        self.attempt = Attempt(lease, asked, self._now)
        self.made.append(self.attempt)
        return self.attempt

    def _hedges_after(self) -> float | None:
        return self._pool.hedge_after(self._asked.model, self._now()) if self.streams else None

    async def _hedged(self, attempt: Attempt, begin: Callable[[Attempt], Awaitable[T]]) -> T:
        """Begin, and ask another deployment too when the first is slow and the pool affords it."""
        after_s = self._hedges_after()
        if after_s is None:
            return await begin(attempt)
        async with Race[Attempt, T](begin) as race:
            race.enter(attempt)
            if not await race.is_decided(after_s):
                lease = self._pool.hedge(self._asked.model, self._tried, self._now())
                if lease is not None:
                    race.enter(self._attempt(lease))
            self.attempt, outcome = await race.winner()
            return outcome


def _nobody(exhausted: Exhausted, last: Refusal | None, model: str) -> Refusal:
    """Return the pool's own word, in the service's own words where it said the same."""
    own = refusal_of(exhausted, model)
    if last is None:
        return own
    if own.status != 429:
        return last
    if last.status != 429:
        return own
    kept = tuple(field for field in last.headers if not field[0].startswith("retry-after"))
    return replace(last, headers=(*kept, *own.headers))
