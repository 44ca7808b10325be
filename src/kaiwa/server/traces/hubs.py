"""Calls of hub methods as spans. What a method begins, a conversation for instance, is below it."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import AbstractContextManager

from kaiwa.server.traces import names
from kaiwa.server.traces.spans import Place
from kaiwa.server.traces.tracing import Sink, Trace, placed

_UNKNOWN = "_OTHER"


class HubCallTrace:
    """Fits `kaiwa.hub.following.Following`. Names that a hub does not have are the client's, and not told."""

    def __init__(self, sink: Sink, hub: str, method: str) -> None:
        self._hub = names.shown(hub)
        self._method = names.shown(method) or _UNKNOWN
        self._name = f"{self._hub}/{self._method}"
        self._trace = Trace(sink, self._name)
        self._began = time.monotonic()

    def entered(self) -> AbstractContextManager[Place]:
        return placed(Place(self._trace.root))

    def over(self, error: str | None) -> None:
        told = {names.RPC_SYSTEM: "signalr", names.RPC_SERVICE: self._hub, names.RPC_METHOD: self._method}
        self._trace.write_root(self._name, self._began, told, kind="server", error=error)


def follow_calls(sink: Sink) -> Callable[[str, str], HubCallTrace]:
    """Return what follows the calls of hubs."""
    return lambda hub, method: HubCallTrace(sink, hub, method)
