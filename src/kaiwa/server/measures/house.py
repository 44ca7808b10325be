"""Everything that a house counts, in a registry of its own: two houses in one process do not meet.

`GET /metrics` tells it in Prometheus' formats.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Generator, Iterable, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from typing import Final

from prometheus_client import CollectorRegistry, Gauge, ProcessCollector
from prometheus_client.core import Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector
from starlette.requests import Request
from starlette.responses import Response

from kaiwa.gateway.streams import Streams
from kaiwa.hub import Hub
from kaiwa.policy.holds import Ledger
from kaiwa.policy.prices import PriceTable
from kaiwa.server.directory import Directory
from kaiwa.server.measures.conversations import ConversationMeasures
from kaiwa.server.measures.hubs import HubCollector
from kaiwa.server.measures.labels import Names
from kaiwa.server.measures.lateness import Lateness
from kaiwa.server.measures.limits import CountedLedger
from kaiwa.server.measures.messages import MessageMeasures
from kaiwa.server.measures.pool import PoolCollector
from kaiwa.server.measures.streams import StreamMeasures
from kaiwa.server.operations import TEXT, Operation
from kaiwa.server.settings import Settings
from kaiwa.upstream.pool.pool import DeploymentPool

METRICS: Final = Operation(
    "Tell what is counted, for Prometheus",
    "house",
    {200: {"text/plain": TEXT, "application/openmetrics-text": TEXT}},
)


class Measures:
    """The figures of one house."""

    def __init__(
        self,
        settings: Settings,
        directory: Directory,
        prices: PriceTable,
        pool: DeploymentPool,
        streams: Streams,
    ) -> None:
        self.registry = registry = CollectorRegistry()
        written = frozenset(_names_in(settings))
        models = Names(lambda: directory.names, lambda: written, lambda: pool.models)
        deployments = Names(lambda: [member.deployment.name for member in pool.members])
        self.conversations = ConversationMeasures(registry, models, prices)
        self.messages = MessageMeasures(registry, prices)
        self._lateness = Lateness(registry, lambda: streams.running)
        streams.tell(StreamMeasures(registry, models, deployments, prices).ended)
        running = Gauge("kaiwa_streams_running", "Relayed requests that run now.", registry=registry)
        running.set_function(lambda: streams.running)
        about = Gauge("kaiwa_build_info", "1, and the version that runs.", ["version"], registry=registry)
        about.labels(version("kaiwa")).set(1)
        tasks = Gauge("kaiwa_tasks", "Tasks of the event loop.", registry=registry)
        tasks.set_function(self._tasks)
        self._loop: asyncio.AbstractEventLoop | None = None
        registry.register(PoolCollector(pool))
        ProcessCollector(registry=registry)

    def counted(self, ledger: Ledger) -> Ledger:
        """Return the ledger, with its refusals counted. Once."""
        return CountedLedger(ledger, self.registry)

    def watch(self, hubs: Callable[[], Collection[Hub]]) -> None:
        """Tell of these hubs too. Once."""
        self.registry.register(HubCollector(hubs))

    @contextmanager
    def running(self) -> Generator[None]:
        """Watch the event loop while the block lasts."""
        self._loop = asyncio.get_running_loop()
        with self._lateness.watched():
            yield

    def _tasks(self) -> int:
        return 0 if self._loop is None else len(asyncio.all_tasks(self._loop))

    async def page(self, request: Request) -> Response:
        encode, kind = choose_encoder(request.headers.get("accept", ""))
        headers = {"content-type": kind, "cache-control": "no-store"}
        return Response(encode(_Told(self.registry)), headers=headers)


class _Told(Collector):
    """A registry without the moments at which its series began, which nobody asks for."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = registry

    def collect(self) -> Iterable[Metric]:
        for family in self._registry.collect():
            family.samples = [one for one in family.samples if not one.name.endswith("_created")]
            yield family


def _names_in(settings: Settings) -> Sequence[str]:
    """Return the models that the settings name outright."""
    priced = [] if settings.prices is None else list(settings.prices.models)
    named = [*settings.model_names, *settings.relayed_names, settings.openai_realtime_model, *priced]
    return [name for name in named if "*" not in name]
