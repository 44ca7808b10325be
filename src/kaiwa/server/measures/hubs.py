"""What the hubs of the house do, all together: hubs are named by who connects to them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from kaiwa.hub import Hub


class HubCollector(Collector):
    """Register it; it keeps nothing."""

    def __init__(self, hubs: Callable[[], Collection[Hub]]) -> None:
        self._hubs = hubs

    def collect(self) -> Iterable[Metric]:
        boards = [hub.switchboard for hub in self._hubs()]
        counts = [board.counts for board in boards]
        here = sum(len(board.registry.connections) for board in boards)
        yield GaugeMetricFamily("kaiwa_hub_clients", "Clients of SignalR hubs that are connected.", here)
        yield CounterMetricFamily(
            "kaiwa_hub_clients_came", "Clients that shook hands.", sum(one.came for one in counts)
        )
        yield CounterMetricFamily(
            "kaiwa_hub_invocations", "Methods that clients called.", sum(one.called for one in counts)
        )
        yield CounterMetricFamily(
            "kaiwa_hub_messages_sent",
            "Messages to clients, one for each of them.",
            sum(one.sent for one in counts),
        )
        yield CounterMetricFamily(
            "kaiwa_hub_slow_clients",
            "Clients dropped for reading slowly.",
            sum(one.too_slow for one in counts),
        )
