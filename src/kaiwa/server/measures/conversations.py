"""Conversations in figures: by which door they came, how they ended, what they used, which tools ran."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final, Literal, Protocol

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from kaiwa.events.server import ServerEvent
from kaiwa.events.tools import ToolCall, ToolEvent, ToolListing, ToolSettled, ToolsListed, ToolSpec
from kaiwa.events.usage import TranscriptionUsage, Usage
from kaiwa.interfaces import ToolBox, ToolServers
from kaiwa.policy.prices import PriceTable
from kaiwa.policy.spending import tokens_used
from kaiwa.server.measures.labels import OTHER, Names, ending_of
from kaiwa.server.measures.scales import LONG_S, SESSION_S
from kaiwa.server.measures.spent import Spent
from kaiwa.server.measures.turns import Step, TurnMeasures, TurnWatch

Door = Literal["websocket", "webrtc", "text"]
Report = Callable[[ToolEvent], None]
_MCP: Final = "mcp"


@dataclass(frozen=True, slots=True)
class Opened:
    """A conversation that began: by which door, with whom, at which moment of the monotonic clock."""

    session_id: str
    door: Door
    agent: str
    model: str
    began: float


class Follower(Protocol):
    """Who hears of one conversation what is measured of it, with the moment of the measurement.

    `settled` None: the call was given up. `name` is that of a label.
    """

    def took(self, step: Step, event: ServerEvent, now: float) -> None: ...

    def used(self, usage: Usage) -> None: ...

    def calling(self, call: ToolCall, name: str, now: float) -> None: ...

    def called(self, call: ToolCall, name: str, settled: ToolSettled | None, now: float) -> None: ...

    def over(self, reason: str, now: float) -> None: ...


Follow = Callable[[Opened], Follower]


class ConversationMeasures:
    """What `Holding` counts with."""

    def __init__(self, registry: CollectorRegistry, models: Names, prices: PriceTable) -> None:
        self._models = models
        self._prices = prices
        self.followers: list[Follow] = []
        """Who follows every conversation from its beginning."""
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
        self._spent = Spent(registry, "session", "conversations", prices)
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

    def used(self, model: str, usage: Usage | TranscriptionUsage, paid_as: str | None = None) -> None:
        used = tokens_used(usage)
        self._spent.add(self._models.label(model), used, self._prices.cost(paid_as or model, used))

    def called(self, tool: str, outcome: str, elapsed_s: float) -> None:
        self._calls.labels(tool, outcome).inc()
        self._call_elapsed.labels(tool).observe(elapsed_s)


class Watch:
    """One conversation as its peer sees it. Called for every event: cheap where nothing is counted."""

    __slots__ = ("_began_at", "_followers", "_measures", "_model", "_turns", "door", "model")

    def __init__(self, measures: ConversationMeasures, door: Door, model: str, turns: TurnWatch) -> None:
        self.door: Door = door
        self.model = model
        self._measures = measures
        self._turns = turns
        self._followers: list[Follower] = []
        self._began_at = 0.0

    def follow(self, follower: Follower) -> None:
        """Let somebody hear of this conversation from now on."""
        self._followers.append(follower)
        self._turns.heard.append(follower.took)

    def note(self, event: ServerEvent) -> None:
        self._turns.note(event, time.monotonic())

    def used(self, usage: Usage, model: str | None = None) -> None:
        self._measures.used(self.model, usage, model)
        for follower in self._followers:
            follower.used(usage)

    def transcribed(self, usage: TranscriptionUsage, model: str | None) -> None:
        """Count what writing down the caller's words took."""
        self._measures.used(model or self.model, usage)

    def began(self, opened: Opened) -> None:
        self._began_at = opened.began
        self._measures.began(self.door)
        for follow in self._measures.followers:
            self.follow(follow(opened))

    def over(self, reason: str, now: float) -> float:
        """Return how long it was, in seconds."""
        elapsed_s = now - self._began_at
        self._measures.over(self.door, reason, elapsed_s)
        for follower in self._followers:
            follower.over(reason, now)
        return elapsed_s

    def tools(self, box: ToolBox) -> ToolBox:
        """Return the same tools with this watch on their calls."""
        return _WatchedTools(box, self)

    def servers(self, servers: ToolServers) -> ToolServers:
        return _WatchedServers(servers, self)

    async def run(
        self, name: str, run: Callable[[ToolCall, Report], Awaitable[None]], call: ToolCall, report: Report
    ) -> None:
        """Carry out a call, and count it under this name."""
        began, settled = time.monotonic(), None
        for follower in self._followers:
            follower.calling(call, name, began)

        def hear(event: ToolEvent) -> None:
            nonlocal settled
            if isinstance(event, ToolSettled):
                settled = event
            report(event)

        try:
            await run(call, hear)
        finally:
            now = time.monotonic()
            self._measures.called(name, outcome_of(settled), now - began)
            for follower in self._followers:
                follower.called(call, name, settled, now)


def outcome_of(settled: ToolSettled | None) -> str:
    """Return the word for how a call ended."""
    if settled is None:
        return "cancelled"
    return "failed" if settled.failed else "completed"


class _WatchedTools:
    def __init__(self, box: ToolBox, watch: Watch) -> None:
        self._box = box
        self._watch = watch
        self._names = {spec.name for spec in box.specs}

    @property
    def specs(self) -> Sequence[ToolSpec]:
        return self._box.specs

    async def run(self, call: ToolCall, report: Report) -> None:
        name = call.name if call.name in self._names else OTHER
        await self._watch.run(name, self._box.run, call, report)


class _WatchedServers:
    """What others call their tools is their affair: all are one."""

    def __init__(self, servers: ToolServers, watch: Watch) -> None:
        self._servers = servers
        self._watch = watch

    async def serve(self, listing: ToolListing, report: Callable[[ToolsListed], Awaitable[None]]) -> None:
        await self._servers.serve(listing, report)

    async def run(self, call: ToolCall, report: Report) -> None:
        await self._watch.run(_MCP, self._servers.run, call, report)
