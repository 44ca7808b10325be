"""Conversations in figures: by which door they came, how they ended, what they used, which tools ran."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, Literal

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from kaiwa.events.server import ServerEvent
from kaiwa.events.tools import ToolCall, ToolEvent, ToolListing, ToolSettled, ToolsListed, ToolSpec
from kaiwa.events.usage import Usage
from kaiwa.interfaces import ToolBox, ToolServers
from kaiwa.policy.amounts import NANO
from kaiwa.policy.prices import PriceTable
from kaiwa.server.measures.labels import OTHER, Names, ending_of
from kaiwa.server.measures.scales import LONG_S, SESSION_S
from kaiwa.server.measures.turns import TurnMeasures, TurnWatch
from kaiwa.server.metering import tokens_used

Door = Literal["websocket", "webrtc", "text"]
Report = Callable[[ToolEvent], None]
_MCP: Final = "mcp"


class ConversationMeasures:
    """What `Holding` counts with."""

    def __init__(self, registry: CollectorRegistry, models: Names, prices: PriceTable) -> None:
        self._models = models
        self._prices = prices
        self._turns = TurnMeasures(registry)
        self._open = Gauge(
            "kaiwa_sessions_open", "Conversations that are held now.", ["door"], registry=registry
        )
        self._started = Counter(
            "kaiwa_sessions_started", "Conversations that began.", ["door"], registry=registry
        )
        self._ended = Counter(
            "kaiwa_sessions_ended",
            "Conversations that are over, by why they ended.",
            ["door", "reason"],
            registry=registry,
        )
        self._elapsed = Histogram(
            "kaiwa_session_seconds",
            "How long conversations were.",
            ["door"],
            buckets=SESSION_S,
            registry=registry,
        )
        self._tokens = Counter(
            "kaiwa_session_tokens",
            "Tokens of conversations; cached and audio ones are part of input and output.",
            ["kind", "model"],
            registry=registry,
        )
        self._cost = Counter(
            "kaiwa_session_cost",
            "What conversations cost by the price table.",
            ["currency", "model"],
            registry=registry,
        )
        self._calls = Counter(
            "kaiwa_tool_calls",
            "Calls of the agents' tools, and of those of MCP servers as one.",
            ["tool", "outcome"],
            registry=registry,
        )
        self._call_elapsed = Histogram(
            "kaiwa_tool_call_seconds",
            "From a call to its outcome.",
            ["tool"],
            buckets=LONG_S,
            registry=registry,
        )

    def watch(self, door: Door, model: str) -> Watch:
        """Return who sees what the peer of one conversation is told."""
        return Watch(self, door, model, self._turns.watch(door))

    def began(self, door: Door) -> None:
        self._open.labels(door).inc()
        self._started.labels(door).inc()

    def over(self, door: Door, reason: str, elapsed_s: float) -> None:
        """`reason` as the runner gives it."""
        self._open.labels(door).dec()
        self._ended.labels(door, ending_of(reason)).inc()
        self._elapsed.labels(door).observe(elapsed_s)

    def used(self, model: str, usage: Usage) -> None:
        label, used = self._models.label(model), tokens_used(usage)
        for kind in ("input", "cached", "output", "audio_input", "audio_output"):
            if number := getattr(used, kind):
                self._tokens.labels(kind, label).inc(number)
        if cost := self._prices.cost(model, used):
            self._cost.labels(self._prices.currency, label).inc(cost / NANO)

    def called(self, tool: str, outcome: str, elapsed_s: float) -> None:
        self._calls.labels(tool, outcome).inc()
        self._call_elapsed.labels(tool).observe(elapsed_s)


class Watch:
    """One conversation as its peer sees it. Called for every event: cheap where nothing is counted."""

    __slots__ = ("_measures", "_model", "_turns", "door")

    def __init__(self, measures: ConversationMeasures, door: Door, model: str, turns: TurnWatch) -> None:
        self.door: Door = door
        self._measures = measures
        self._model = model
        self._turns = turns

    def note(self, event: ServerEvent) -> None:
        self._turns.note(event, time.monotonic())

    def used(self, usage: Usage) -> None:
        self._measures.used(self._model, usage)

    def began(self) -> None:
        self._measures.began(self.door)

    def over(self, reason: str, elapsed_s: float) -> None:
        self._measures.over(self.door, reason, elapsed_s)

    def tools(self, box: ToolBox) -> ToolBox:
        """Return the same tools with this watch on their calls."""
        return _WatchedTools(box, self._measures)

    def servers(self, servers: ToolServers) -> ToolServers:
        return _WatchedServers(servers, self._measures)


class _WatchedTools:
    def __init__(self, box: ToolBox, measures: ConversationMeasures) -> None:
        self._box = box
        self._measures = measures
        self._names = {spec.name for spec in box.specs}

    @property
    def specs(self) -> Sequence[ToolSpec]:
        return self._box.specs

    async def run(self, call: ToolCall, report: Report) -> None:
        name = call.name if call.name in self._names else OTHER
        await _run(self._measures, name, self._box.run, call, report)


class _WatchedServers:
    """What others call their tools is their affair: all are one."""

    def __init__(self, servers: ToolServers, measures: ConversationMeasures) -> None:
        self._servers = servers
        self._measures = measures

    async def serve(self, listing: ToolListing, report: Callable[[ToolsListed], Awaitable[None]]) -> None:
        await self._servers.serve(listing, report)

    async def run(self, call: ToolCall, report: Report) -> None:
        await _run(self._measures, _MCP, self._servers.run, call, report)


async def _run(
    measures: ConversationMeasures,
    name: str,
    run: Callable[[ToolCall, Report], Awaitable[None]],
    call: ToolCall,
    report: Report,
) -> None:
    began, outcome = time.monotonic(), "cancelled"

    def hear(event: ToolEvent) -> None:
        nonlocal outcome
        if isinstance(event, ToolSettled):
            outcome = "failed" if event.failed else "completed"
        report(event)

    try:
        await run(call, hear)
    finally:
        measures.called(name, outcome, time.monotonic() - began)
