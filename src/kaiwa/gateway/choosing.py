"""Ask one deployment after another until one has begun to answer. Knows the pool; nothing of the client."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Final, TypeVar

from kaiwa.gateway.asking import Asked
from kaiwa.gateway.attempt import Attempt, Clock, Failed
from kaiwa.gateway.reasons import Refusal, failed, refusal_of
from kaiwa.upstream.pool.lease import Exhausted
from kaiwa.upstream.pool.pool import DeploymentPool

T = TypeVar("T")
MOST_ATTEMPTS: Final = 8


class Choosing:
    """The attempts of one request. `attempts`: how many were made; `attempt`: the last of them."""

    def __init__(self, pool: DeploymentPool, asked: Asked, now: Clock) -> None:
        self._pool = pool
        self._asked = asked
        self._now = now
        self.attempts = 0
        self.attempt: Attempt | None = None

    async def first(self, begin: Callable[[Attempt], Awaitable[T]]) -> T | Refusal:
        """Return what `begin` made of the first deployment that answers, else what the client must hear."""
        asked, tried = self._asked, set[str]()
        last: Refusal | None = None
        while True:
            lease = self._pool.next(asked.model, tried, asked.affinity, self._now(), streams=asked.streams)
            if isinstance(lease, Exhausted):
                return _nobody(lease, last, asked.model)
            tried.add(lease.deployment.name)
            self.attempts += 1
            self.attempt = Attempt(lease, asked, self._now)
            try:
                return await begin(self.attempt)
            except Failed as no:
                last = no.refusal or last
                if no.final or self.attempts >= MOST_ATTEMPTS:
                    return last or failed(502, "upstream_unavailable", "No service could answer.")


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
