"""Conversations while they run: how many there are, what they cost, and their two lines in the log."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

from kaiwa.interfaces import Transport
from kaiwa.policy.spending import Spending
from kaiwa.runner import Leaving, converse
from kaiwa.server.conversations import Parts
from kaiwa.server.ids import new_id
from kaiwa.server.measures.conversations import ConversationMeasures, Door, Opened, Watch
from kaiwa.server.metering import Meter, Totals
from kaiwa.server.traces.house import Traces
from kaiwa.session.budgeted import BudgetedSession

log = logging.getLogger("kaiwa.server")


@dataclass(frozen=True)
class Counting:
    """What counts one conversation: its tokens, and its figures for who runs the house."""

    meter: Meter
    watch: Watch


@dataclass
class Holding:
    """Every conversation of the process, whatever its door."""

    measures: ConversationMeasures
    leaving: Leaving = field(default_factory=Leaving)
    """When it is asked, each conversation ends after its turn."""
    traces: Traces | None = None
    live: int = 0
    totals: Totals = field(default_factory=Totals)
    """What all conversations cost since the process began."""
    _changed: asyncio.Event = field(default_factory=asyncio.Event)

    @contextmanager
    def seat(self) -> Generator[None]:
        """Count one more conversation while the block lasts."""
        self.live += 1
        try:
            yield
        finally:
            self.live -= 1
            self._changed.set()

    async def empty(self) -> None:
        """Wait until no conversation is left."""
        while self.live:
            self._changed.clear()
            await self._changed.wait()

    def counting(self, door: Door, model: str, spending: Spending | None = None) -> Counting:
        """Return what counts a conversation; `spending` is charged with it."""
        watch = self.measures.watch(door, model)
        return Counting(Meter(self.totals, spending, watch), watch)

    async def hold(self, parts: Parts, transport: Transport, session_id: str, counting: Counting) -> None:
        """Run a conversation to its end."""
        watch = counting.watch
        opened = Opened(session_id, watch.door, parts.agent, watch.model, time.monotonic())
        with self._traced(parts, opened, watch) as traced:
            await self._hold(traced, transport, opened, counting)

    @contextmanager
    def _traced(self, parts: Parts, opened: Opened, watch: Watch) -> Generator[Parts]:
        """Give the parts as a trace needs them, where there is one."""
        if self.traces is None:
            yield parts
            return
        trace = self.traces.conversation(opened, parts.silence_ms)
        watch.follow(trace)
        with trace.current():
            yield replace(parts, engine=trace.engine(parts.engine), tools=trace.tools(parts.tools))

    async def _hold(self, parts: Parts, transport: Transport, opened: Opened, counting: Counting) -> None:
        watch, reason = counting.watch, "internal error"
        facts = {"session_id": opened.session_id, "door": opened.door}
        log.info("session opened", extra=facts)
        watch.began(opened)
        try:
            reason = await converse(
                BudgetedSession(parts.session, parts.wording, ids=new_id),
                transport,
                parts.engine,
                watch.tools(parts.tools),
                servers=None if parts.servers is None else watch.servers(parts.servers),
                leaving=self.leaving,
                spending=counting.meter,
            )
        finally:
            counting.meter.close()
            elapsed_s = watch.over(reason, time.monotonic())
        ended = {"reason": reason, "elapsed_ms": round(elapsed_s * 1000)}
        log.info("session closed", extra=facts | ended | counting.meter.totals.as_facts())
