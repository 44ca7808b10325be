"""Conversations while they run: how many there are, what they cost, and their two lines in the log."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, field

from kaiwa.events.usage import Usage
from kaiwa.interfaces import Transport
from kaiwa.runner import converse
from kaiwa.server.conversations import Parts
from kaiwa.server.metering import Meter, Totals

log = logging.getLogger("kaiwa.server")


@dataclass
class Holding:
    """Every conversation of the process, whatever its door."""

    live: int = 0
    totals: Totals = field(default_factory=Totals)
    """What all conversations cost since the process began."""

    @contextmanager
    def seat(self) -> Generator[None]:
        """Count one more conversation while the block lasts."""
        self.live += 1
        try:
            yield
        finally:
            self.live -= 1

    def meter(self, charge: Callable[[Usage], None] | None = None) -> Meter:
        """Return the meter of one conversation; `charge` is told what each response used."""
        return Meter(self.totals, charge)

    async def hold(self, parts: Parts, transport: Transport, session_id: str, meter: Meter) -> None:
        """Run a conversation to its end."""
        began = time.monotonic()
        log.info("session opened", extra={"session_id": session_id})
        reason = await converse(parts.session, transport, parts.engine, parts.tools, servers=parts.servers)
        elapsed_ms = round((time.monotonic() - began) * 1000)
        facts = {"session_id": session_id, "reason": reason, "elapsed_ms": elapsed_ms}
        log.info("session closed", extra=facts | meter.totals.as_facts())
