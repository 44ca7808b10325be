"""Relayed requests in figures: told of each once, when it is over. Nothing here runs for each piece."""

from __future__ import annotations

from functools import cache
from typing import TypeVar

from prometheus_client import CollectorRegistry, Counter, Histogram

from kaiwa.gateway.ended import StreamEnded
from kaiwa.policy.prices import PriceTable
from kaiwa.server.measures.labels import Names
from kaiwa.server.measures.scales import FIRST_TOKEN_S, LONG_S
from kaiwa.server.measures.spent import Spent

Family = TypeVar("Family", Counter, Histogram)


class StreamMeasures:
    """`ended` fits `kaiwa.gateway.streams.Streams.tell`."""

    def __init__(
        self, registry: CollectorRegistry, models: Names, deployments: Names, prices: PriceTable
    ) -> None:
        self._models = models
        self._deployments = deployments
        who = ["model", "deployment"]
        self._ended = Counter(
            "kaiwa_streams_ended",
            "Relayed requests that are over, by how they ended.",
            ["reason", *who],
            registry=registry,
        )
        self._first_token = Histogram(
            "kaiwa_stream_first_token_seconds",
            "From a request to the first content of its answer.",
            who,
            buckets=FIRST_TOKEN_S,
            registry=registry,
        )
        self._elapsed = Histogram(
            "kaiwa_stream_seconds",
            "From a request to the end of its answer.",
            who,
            buckets=LONG_S,
            registry=registry,
        )
        self._events = Counter(
            "kaiwa_stream_events", "Pieces of streams that deployments sent.", who, registry=registry
        )
        self._attempts = Counter(
            "kaiwa_stream_attempts",
            "Deployments asked for requests: failovers and hedges are more than one.",
            ["model"],
            registry=registry,
        )
        self._spent = Spent(registry, "stream", "relayed requests", prices)
        # Finding a series by its labels costs more than counting; there are as few as labels allow.
        self._series = cache(_labelled)

    def ended(self, stream: StreamEnded) -> None:
        model = self._models.label(stream.model)
        deployment = self._deployments.label(stream.deployment) if stream.deployment else ""
        series = self._series
        series(self._ended, stream.reason, model, deployment).inc()
        series(self._elapsed, model, deployment).observe(stream.elapsed_s)
        if stream.first_token_s is not None:
            series(self._first_token, model, deployment).observe(stream.first_token_s)
        if stream.streams:
            series(self._events, model, deployment).inc(stream.events)
        series(self._attempts, model).inc(stream.attempts)
        self._spent.add(model, stream.used, stream.cost)


def _labelled(family: Family, *labels: str) -> Family:
    return family.labels(*labels)
