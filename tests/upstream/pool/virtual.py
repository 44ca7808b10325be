"""Deployments on paper and a pool in virtual time."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from typing import Any

from kaiwa.upstream.credentials import ApiKey
from kaiwa.upstream.pool.deployment import Deployment
from kaiwa.upstream.pool.hedging import HedgeRules
from kaiwa.upstream.pool.lease import Exhausted, Lease, Outcome
from kaiwa.upstream.pool.member import Member
from kaiwa.upstream.pool.pool import DeploymentPool

KEY = ApiKey("a-secret-key", bearer=False)
WALL_S = 1_800_000_000.0
MODEL = "gpt-4o"


def deployment(name: str, **facts: Any) -> Deployment:
    given: dict[str, Any] = {
        "kind": "azure",
        "base": f"https://{name}.example",
        "credential": KEY,
        "models": {MODEL: f"{MODEL}-{name}"},
    }
    return Deployment(name, **{**given, **facts})


class Paper:
    """A pool, a clock that only goes on, and short words for what happens in it."""

    def __init__(
        self,
        *deployments: Deployment,
        hedging: HedgeRules | None = None,
        chance: Callable[[], float] | None = None,
    ) -> None:
        self.now = 1000.0
        self.pool = DeploymentPool(
            deployments,
            chance=chance or random.Random(7).random,
            wall=lambda: WALL_S,
            hedging=hedging,
        )

    def member(self, name: str) -> Member:
        return next(member for member in self.pool.members if member.deployment.name == name)

    def ask(self, *tried: str, affinity: str | None = None, model: str = MODEL) -> Lease | Exhausted:
        return self.pool.next(model, tried, affinity, self.now)

    def take(self, *tried: str, affinity: str | None = None, model: str = MODEL) -> Lease:
        lease = self.ask(*tried, affinity=affinity, model=model)
        assert isinstance(lease, Lease), lease
        return lease

    def all_but(self, name: str) -> Iterable[str]:
        return [one.deployment.name for one in self.pool.members if one.deployment.name != name]

    def at(self, name: str) -> Lease:
        """Take a place at this one, whatever else there is."""
        return self.take(*self.all_but(name))

    def answer(
        self,
        lease: Lease,
        status: int = 200,
        headers: dict[str, str] | None = None,
        *,
        code: str | None = None,
        first_token_s: float = 0.1,
        outcome: Outcome = "completed",
    ) -> str:
        """Play one attempt to its end, and return what the pool said of its status."""
        verdict = lease.answered(status, headers or {}, self.now, code=code)
        if verdict == "use":
            self.now += first_token_s
            lease.first_token(self.now)
            lease.ended(outcome, None, self.now)
        else:
            lease.ended("refused", None, self.now)
        return verdict

    def break_open(self, name: str) -> None:
        """Let it fail until nobody asks it any more."""
        while self.member(name).breaker.state(self.now) == "closed":
            self.at(name).ended("unreachable", None, self.now)
