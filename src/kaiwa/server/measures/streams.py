"""Relayed requests in figures: told of each once, when it is over. Nothing here runs for each piece."""

from __future__ import annotations

from typing import NamedTuple

from prometheus_client import CollectorRegistry, Counter, Histogram

from kaiwa.gateway.ended import StreamEnded
from kaiwa.policy.prices import PriceTable
from kaiwa.server.measures.labels import Names
from kaiwa.server.measures.scales import FIRST_TOKEN_S, LONG_S
from kaiwa.server.measures.spent import Spent


class _Series(NamedTuple):
    """What is counted of streams of one model at one deployment that ended in one way."""

    model: str
    ended: Counter
    elapsed: Histogram
    first_token: Histogram
    events: Counter
    attempts: Counter


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
        # Finding series by their labels costs more than counting; there are as few as labels allow.
        self._series: dict[tuple[str, str, str], _Series] = {}

    def ended(self, stream: StreamEnded) -> None:
        series = self._series.get((stream.reason, stream.model, stream.deployment))
        if series is None:
            series = self._found(stream)
        series.ended.inc()
        series.elapsed.observe(stream.elapsed_s)
        if stream.first_token_s is not None:
            series.first_token.observe(stream.first_token_s)
        if stream.streams:
            series.events.inc(stream.events)
        series.attempts.inc(stream.attempts)
        self._spent.add(series.model, stream.used, stream.cost)

    def _found(self, stream: StreamEnded) -> _Series:
        """Return the series of the names that labels may have; a name that was one of those stays one."""
        model = self._models.label(stream.model)
        deployment = self._deployments.label(stream.deployment) if stream.deployment else ""
        named = stream.reason, model, deployment
        if named not in self._series:
            self._series[named] = _Series(
                model,
                self._ended.labels(*named),
                self._elapsed.labels(model, deployment),
                self._first_token.labels(model, deployment),
                self._events.labels(model, deployment),
                self._attempts.labels(model),
            )
        return self._series[named]
