"""How every deployment stands, asked when somebody scrapes. Their names are the operator's."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Final, get_args

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from kaiwa.upstream.pool.breaker import State
from kaiwa.upstream.pool.pool import DeploymentPool
from kaiwa.upstream.pool.state import Condition, DeploymentState, state_of

_CONDITIONS: Final[tuple[str, ...]] = get_args(Condition)
_BREAKER: Final[tuple[str, ...]] = get_args(State)
_DEPLOYMENT: Final = "deployment"


class PoolCollector(Collector):
    """Register it; it keeps nothing."""

    def __init__(self, pool: DeploymentPool) -> None:
        self._pool = pool

    def collect(self) -> Iterable[Metric]:
        state = state_of(self._pool, time.monotonic())
        yield _gauge("running", "Attempts that run.", {one.name: one.running for one in state.deployments})
        yield _states(
            "condition",
            "1 for how the deployment stands.",
            {one.name: one.condition for one in state.deployments},
            _CONDITIONS,
        )
        yield _states(
            "breaker",
            "1 for the state of its circuit breaker.",
            {one.name: one.breaker for one in state.deployments},
            _BREAKER,
        )
        known = {one.name: one.utilisation for one in state.deployments if one.utilisation is not None}
        yield _gauge("utilisation", "The share of provisioned throughput in use, as the service says.", known)
        yield _gauge(
            "pressure",
            "How near it is to a limit, 0 to 1.",
            {one.name: one.pressure for one in state.deployments},
        )
        yield _remaining(state.deployments)
        yield _attempts(state.deployments)
        yield _counter(
            "rate_limited",
            "Attempts answered with 429.",
            {one.name: one.rate_limited for one in state.deployments},
        )
        yield _counter("tokens", "Tokens that it told.", {one.name: one.tokens for one in state.deployments})
        hedges = CounterMetricFamily("kaiwa_pool_hedges", "Second attempts beside slow first ones.")
        hedges.add_metric([], state.hedges)
        yield hedges


def _gauge(name: str, about: str, values: dict[str, float] | dict[str, int]) -> Metric:
    family = GaugeMetricFamily(f"kaiwa_pool_{name}", about, labels=[_DEPLOYMENT])
    for deployment, value in values.items():
        family.add_metric([deployment], value)
    return family


def _counter(name: str, about: str, values: dict[str, int]) -> Metric:
    family = CounterMetricFamily(f"kaiwa_pool_{name}", about, labels=[_DEPLOYMENT])
    for deployment, value in values.items():
        family.add_metric([deployment], value)
    return family


def _states(name: str, about: str, now: dict[str, str], possible: tuple[str, ...]) -> Metric:
    family = GaugeMetricFamily(f"kaiwa_pool_{name}", about, labels=[_DEPLOYMENT, "state"])
    for deployment, state in now.items():
        for one in possible:
            family.add_metric([deployment, one], float(one == state))
    return family


def _remaining(deployments: Iterable[DeploymentState]) -> Metric:
    family = GaugeMetricFamily(
        "kaiwa_pool_remaining", "What the service says is left of its limits.", labels=[_DEPLOYMENT, "kind"]
    )
    for one in deployments:
        for kind, left in (("requests", one.remaining_requests), ("tokens", one.remaining_tokens)):
            if left is not None:
                family.add_metric([one.name, kind], left)
    return family


def _attempts(deployments: Iterable[DeploymentState]) -> Metric:
    family = CounterMetricFamily(
        "kaiwa_pool_attempts", "Attempts that are over, by outcome.", labels=[_DEPLOYMENT, "outcome"]
    )
    for one in deployments:
        for outcome, number in one.outcomes.items():
            family.add_metric([one.name, outcome], number)
    return family
