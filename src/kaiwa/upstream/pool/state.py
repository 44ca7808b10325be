"""The pool as somebody sees it who looks at it: values without keys and addresses. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Final, Literal

import msgspec

from kaiwa.upstream.pool.limits import Limits
from kaiwa.upstream.pool.member import Member, Standing
from kaiwa.upstream.pool.pool import DeploymentPool

Condition = Literal["free", "spilling", "busy", "resting", "probing", "open", "disabled", "leaving"]
_SHOWN: Final = 40
# Of several models at one place, the worst condition is shown.
_WORST: Final[tuple[Standing, ...]] = ("disabled", "open", "due", "resting", "busy", "spilling", "free")


class DeploymentState(msgspec.Struct, frozen=True, kw_only=True):
    """One deployment. Times are seconds from now; shares go from 0 to 1; None: nobody knows."""

    name: str
    kind: str
    models: list[str]
    tier: int
    weight: float
    condition: Condition
    reason: str | None
    """What somebody must mend, in a sentence."""
    breaker: str
    trust: float
    """The share of its load that it bears while it recovers."""
    retry_in_s: float | None
    utilisation: float | None
    pressure: float
    remaining_requests: float | None
    remaining_tokens: float | None
    running: int
    max_concurrent: int | None
    first_token_ms_mean: float | None
    first_token_ms_p50: float | None
    first_token_ms_p95: float | None
    first_tokens_ms: list[float]
    """The newest, the last one at the end."""
    outcomes: dict[str, int]
    rate_limited: int
    rejected: int
    """Requests that were at fault themselves. They and the limited ones are in `outcomes` too."""
    tokens: int
    last_error: str | None
    last_error_ago_s: float | None


class PoolState(msgspec.Struct, frozen=True, kw_only=True):
    deployments: list[DeploymentState]
    models: list[str]
    running: int
    hedges: int


def state_of(pool: DeploymentPool, now: float) -> PoolState:
    return PoolState(
        deployments=[_state(member, now, leaving=pool.is_leaving(member)) for member in pool.members],
        models=list(pool.models),
        running=pool.leases,
        hedges=pool.hedging.spent,
    )


def _state(member: Member, now: float, *, leaving: bool) -> DeploymentState:
    deployment, breaker, latency = member.deployment, member.breaker, member.latency
    # Its models share utilisation and budgets mostly: what is nearest to its end is told.
    limits = list(member.known_limits.values()) or [Limits()]
    retry_at = max(breaker.retry_at or 0.0, *(one.rest_until for one in limits))
    middle, late = latency.quantile(0.5), latency.quantile(0.95)
    return DeploymentState(
        name=deployment.name,
        kind=deployment.kind,
        models=list(deployment.models),
        tier=deployment.tier,
        weight=deployment.weight,
        condition="leaving" if leaving else _condition(member, now),
        reason=breaker.reason,
        breaker=breaker.state(now),
        trust=round(breaker.trust(now), 2),
        retry_in_s=round(retry_at - now, 1) if retry_at > now else None,
        utilisation=_rounded(_most(one.utilisation(now) for one in limits), 3),
        pressure=round(max(one.pressure(now) for one in limits), 3),
        remaining_requests=_least(one.requests.left(now) for one in limits),
        remaining_tokens=_least(one.tokens.left(now) for one in limits),
        running=member.running,
        max_concurrent=deployment.max_concurrent,
        first_token_ms_mean=_ms(latency.mean_s),
        first_token_ms_p50=_ms(middle),
        first_token_ms_p95=_ms(late),
        first_tokens_ms=[round(seconds * 1000, 1) for seconds in latency.samples[-_SHOWN:]],
        outcomes=dict(Counter[str](member.outcomes)),
        rate_limited=member.rate_limited,
        rejected=member.rejected,
        tokens=member.tokens,
        last_error=member.last_error,
        last_error_ago_s=None if member.last_error_at is None else round(now - member.last_error_at, 1),
    )


def _condition(member: Member, now: float) -> Condition:
    models = list(member.known_limits) or [""]
    standings = {member.standing(model, now) for model in models}
    for worst in _WORST:
        if worst in standings:
            if worst == "due" or (worst == "open" and member.breaker.state(now) == "half_open"):
                return "probing"
            return worst
    raise AssertionError("whoever is there stands somehow")


def _most(values: Iterable[float | None]) -> float | None:
    return max((value for value in values if value is not None), default=None)


def _least(values: Iterable[float | None]) -> float | None:
    return min((value for value in values if value is not None), default=None)


def _ms(seconds: float | None) -> float | None:
    return _rounded(None if seconds is None else seconds * 1000, 1)


def _rounded(value: float | None, digits: int) -> float | None:
    return None if value is None else round(value, digits)
