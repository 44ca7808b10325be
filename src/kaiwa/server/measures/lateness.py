"""How late the event loop is, by a probe: a timer that is due ten times a second.

A piece of a relayed stream is written in the turn of the loop that read it. So what a piece waits for in this
process is what the probe waits for, and no piece has to be timed. Timers are exact to a millisecond.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Final

from prometheus_client import CollectorRegistry, Histogram

from kaiwa.server.measures.scales import LATENESS_S

EVERY_S: Final = 0.1


class Lateness:
    """`streams` tells how many run now: their lateness is counted apart."""

    def __init__(self, registry: CollectorRegistry, streams: Callable[[], int]) -> None:
        self._streams = streams
        self._handle: asyncio.TimerHandle | None = None
        self._loop = Histogram(
            "kaiwa_event_loop_lateness_seconds",
            "How late the event loop comes to what is due, by a probe.",
            buckets=LATENESS_S,
            registry=registry,
        )
        self._chunks = Histogram(
            "kaiwa_stream_chunk_lateness_seconds",
            "How long a piece of a relayed stream waits in this process, by a probe while streams run.",
            buckets=LATENESS_S,
            registry=registry,
        )

    @contextmanager
    def watched(self) -> Generator[None]:
        """Probe while the block lasts."""
        self._probe_next()
        try:
            yield
        finally:
            if self._handle is not None:
                self._handle.cancel()

    def _probe_next(self) -> None:
        loop = asyncio.get_running_loop()
        due = loop.time() + EVERY_S
        self._handle = loop.call_at(due, self._probe, due)

    def _probe(self, due: float) -> None:
        late_s = max(0.0, asyncio.get_running_loop().time() - due)
        self._loop.observe(late_s)
        if self._streams():
            self._chunks.observe(late_s)
        self._probe_next()
