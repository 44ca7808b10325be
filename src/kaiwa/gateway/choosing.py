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
        self._now = now
        self._following = following
        self.made: list[Attempt] = []
        self.attempt: Attempt | None = None

    @property
    def attempts(self) -> int:
        return len(self.made)

    async def first(self, begin: Callable[[Attempt], Awaitable[T]]) -> T | Refusal:
        """Return what `begin` made of the first deployment that answers, else what the client must hear."""
        asked, tried = self._asked, set[str]()
        last: Refusal | None = None
        while True:
            lease = self._pool.next(asked.model, tried, asked.affinity, self._now(), streams=asked.streams)
            if isinstance(lease, Exhausted):
                return _nobody(lease, last, asked.model)
            try:
                return await self._hedged(self._attempt(lease, tried), tried, begin)
            except Failed as no:
                last = no.refusal or last
                if no.final or self.attempts >= MOST_ATTEMPTS:
                    return last or failed(502, "upstream_unavailable", "No service could answer.")

    def _attempt(self, lease: Lease, tried: set[str]) -> Attempt:
        tried.add(lease.deployment.name)
        asked = self._asked
        if self._following is not None:
            asked = with_headers(asked, self._following.headers())
        self.attempt = Attempt(lease, asked, self._now)
        self.made.append(self.attempt)
        return self.attempt

    async def _hedged(self, attempt: Attempt, tried: set[str], begin: Callable[[Attempt], Awaitable[T]]) -> T:
        """Begin, and ask another deployment too when the first is slow and the pool affords it."""
        model = self._asked.model
        after_s = self._pool.hedge_after(model, self._now()) if self._asked.streams else None
        if after_s is None:
            return await begin(attempt)
        async with Race[Attempt, T](begin) as race:
            race.enter(attempt)
            if not await race.is_decided(after_s):
                lease = self._pool.hedge(model, tried, self._now())
                if lease is not None:
                    race.enter(self._attempt(lease, tried))
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
