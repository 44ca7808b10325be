"""All that a house traces, put together; None where no collector is named. Knows settings."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager

from kaiwa.gateway.gateway import Gateway
from kaiwa.server.conversations import Answerer
from kaiwa.server.measures.conversations import Opened
from kaiwa.server.relay import RelayAnswerer
from kaiwa.server.settings import Settings
from kaiwa.server.traces.conversations import ConversationTrace
from kaiwa.server.traces.dials import follow_dials
from kaiwa.server.traces.exporting import OtlpExporter, exporter_of
from kaiwa.server.traces.hubs import HubCallTrace, follow_calls
from kaiwa.server.traces.requests import RequestTraces


class Traces:
    """The traces of one house, and where they go."""

    def __init__(self, exporter: OtlpExporter, *, captures: bool) -> None:
        self._exporter = exporter
        self._captures = captures

    @property
    def delivered(self) -> int:
        return self._exporter.delivery.delivered

    @property
    def lost(self) -> int:
        """Spans that no collector took. Those that found the queue full are counted by nobody."""
        return self._exporter.delivery.lost

    @property
    def hubs(self) -> Callable[[str, str], HubCallTrace]:
        return follow_calls(self._exporter)

    def conversation(
        self, opened: Opened, silence_ms: Callable[[], int | None] | None = None
    ) -> ConversationTrace:
        """Begin the trace of a conversation."""
        return ConversationTrace(self._exporter, opened, captures=self._captures, silence_ms=silence_ms)

    def follow(self, gateway: Gateway, relay: Answerer | None) -> None:
        """Follow the requests of a gateway, and the connections of relayed conversations."""
        gateway.followers = RequestTraces(self._exporter)
        if isinstance(relay, RelayAnswerer):
            relay.upstreams.follow = follow_dials(self._exporter)

    def running(self) -> AbstractAsyncContextManager[None]:
        return self._exporter.running()


def traces_of(settings: Settings) -> Traces | None:
    """Return what traces this house; None: nothing does. Raises ConfigError."""
    exporter = exporter_of(settings)
    return None if exporter is None else Traces(exporter, captures=settings.otel_capture_content)
