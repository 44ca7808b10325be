"""The pool: leases for whoever asks, and what was learnt from each. Pure: `now` and chance come in."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Protocol

from kaiwa.upstream.pool.deployment import Deployment
from kaiwa.upstream.pool.lease import Exhausted, Lease


class DeploymentPool(Protocol):
    """What the exchange needs of the pool. One thread; `now` never goes back."""

    @property
    def models(self) -> tuple[str, ...]:
        """The names that clients may ask for, without `*`."""
        ...

    def serves(self, model: str) -> bool: ...

    def next(self, model: str, tried: Collection[str], affinity: str | None, now: float) -> Lease | Exhausted:
        """Take a place at a deployment that serves `model`, none of those named in `tried`.

        `affinity`: whose requests like to come to the same deployment (a conversation); None: nobody's.
        """
        ...

    def hedge_after(self, model: str, now: float) -> float | None:
        """Return after how many seconds without a first token a second attempt is worth it; None: never.

        None too while the cap on such attempts is reached or no other deployment is free.
        """
        ...

    def hedge(self, model: str, tried: Collection[str], now: float) -> Lease | None:
        """Take a place for a second attempt and count it against the cap; None: not now."""
        ...

    def reload(self, deployments: Iterable[Deployment], now: float) -> None:
        """Use these from now on. Running leases keep their deployment until they end."""
        ...
