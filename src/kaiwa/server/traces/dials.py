"""Connections to a Realtime service as spans: each try at a deployment, below the conversation it is for.

Fits `engines.realtime.Follow`.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from kaiwa.server.traces import names
from kaiwa.server.traces.spans import HERE, Place
from kaiwa.server.traces.tracing import Sink, Trace
from kaiwa.upstream.realtime import RealtimeTarget


class DialTrace:
    """One try. `headers` go with the request that opens the connection."""

    def __init__(self, sink: Sink, target: RealtimeTarget) -> None:
        self._target = target
        self._name = f"connect {target.name}"
        self._trace = Trace(sink, self._name)
        self._here: Place | None = HERE.get()
        self._began = time.monotonic()
        self.headers = self._trace.root.headers

    def over(self, code: str | None) -> None:
        """The try has ended: well, or with this code."""
        if code is None and self._here is not None:
            self._here.provider = self._target.provider
        told = {names.PROVIDER: self._target.provider, "kaiwa.deployment": self._target.name}
        self._trace.write_root(self._name, self._began, told, kind="client", error=code)


def follow_dials(sink: Sink) -> Callable[[RealtimeTarget], DialTrace]:
    """Return what follows the tries of relayed conversations."""
    return lambda target: DialTrace(sink, target)
