"""`GET /api/status` and the page `/status`: everything that somebody who runs the house looks for first."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Collection
from dataclasses import dataclass
from importlib.metadata import version
from importlib.resources import files
from typing import Final

import msgspec
from prometheus_client import CollectorRegistry
from starlette.requests import Request
from starlette.responses import Response

from kaiwa.gateway.streams import Streams
from kaiwa.hub import Hub
from kaiwa.server.failures import failure
from kaiwa.server.operations import JSON, Operation
from kaiwa.server.page import read_static, send_static
from kaiwa.server.readiness import Readiness
from kaiwa.server.settings import Settings
from kaiwa.server.status.answer import (
    DeploymentStatus,
    ErrorState,
    FinishedTool,
    HubState,
    LatencyState,
    RelayState,
    RunningTool,
    Sessions,
    SessionState,
    StatusAnswer,
    Tools,
    TraceState,
)
from kaiwa.server.status.board import Board, LiveSession
from kaiwa.server.status.figures import cost_in, refused_in
from kaiwa.server.status.recent import ms
from kaiwa.server.traces.house import Traces
from kaiwa.server.upstream_pool import UpstreamPool
from kaiwa.upstream.pool.state import state_of

MOST_SESSIONS: Final = 100
MOST_TOOLS: Final = 50
MOST_HUBS: Final = 50
NEWEST: Final = 40
_NEVER_KEPT: Final = {"cache-control": "no-store"}

STATUS: Final = Operation("Tell how the house is", "house", {200: {JSON: StatusAnswer}})


@dataclass(frozen=True)
class Watched:
    """The parts of the house that are looked at. `settings` may change while it runs."""

    settings: Callable[[], Settings]
    board: Board
    registry: CollectorRegistry
    readiness: Readiness
    upstreams: UpstreamPool
    streams: Streams
    hubs: Callable[[], Collection[Hub]]
    traces: Traces | None = None


class StatusView:
    """Answers for what people and programs may see of the house."""

    def __init__(self, watched: Watched) -> None:
        page = files("kaiwa.server") / "status_page"
        self._parts = {part.name: read_static(part) for part in page.iterdir()}
        self._watched = watched
        self._began = time.monotonic()
        self._version = version("kaiwa")

    async def state(self, request: Request) -> Response:
        body = msgspec.json.encode(self.answer(time.monotonic()))
        return Response(body, media_type="application/json", headers=_NEVER_KEPT)

    async def page(self, request: Request) -> Response:
        return send_static(request, self._parts["index.html"])

    async def part(self, request: Request) -> Response:
        part = self._parts.get(request.path_params["name"])
        if part is None:
            return failure(404, None, "There is no such part of the page.")
        return send_static(request, part)

    def answer(self, now: float) -> StatusAnswer:
        watched = self._watched
        settings, traces = watched.settings(), watched.traces
        currency = None if settings.prices is None else settings.prices.currency
        troubles = watched.board.troubles.newest_first
        return StatusAnswer(
            version=self._version,
            uptime_s=round(now - self._began, 1),
            not_ready=watched.readiness.why_not(now),
            sessions=_sessions(watched.board, settings.max_sessions, now),
            latencies=_latencies(watched.board),
            tools=_tools(watched.board, now),
            hubs=[_hub(hub) for hub in list(watched.hubs())[:MOST_HUBS]],
            relay=_relay(watched, now),
            cost=cost_in(watched.registry, currency),
            limits=refused_in(watched.registry),
            errors=[
                ErrorState(code=one.code, where=one.where, count=one.count, ago_s=round(now - one.at, 1))
                for one in troubles
            ],
            traces=None if traces is None else TraceState(delivered=traces.delivered, lost=traces.lost),
        )


def _sessions(board: Board, most: int, now: float) -> Sessions:
    live = list(board.live.values())
    shown = [_session(one, now) for one in reversed(live[-MOST_SESSIONS:])]
    doors = dict(Counter[str](one.opened.door for one in live))
    return Sessions(open=len(live), most=most, doors=doors, shown=shown)


def _session(live: LiveSession, now: float) -> SessionState:
    opened = live.opened
    return SessionState(
        id=opened.session_id,
        door=opened.door,
        agent=opened.agent,
        model=opened.model,
        age_s=round(now - opened.began, 1),
        doing=live.doing,
        turns=live.turns,
        responses=live.responses,
        tools=len(live.calls),
        input_tokens=live.input_tokens,
        output_tokens=live.output_tokens,
        waited_ms=None if live.waited_s is None else ms(live.waited_s),
    )


def _latencies(board: Board) -> list[LatencyState]:
    told: list[LatencyState] = []
    for step, recent in board.latencies.items():
        p50, p95 = recent.quantiles_ms(0.5, 0.95)
        newest = recent.newest_ms(NEWEST)
        told.append(LatencyState(step=step, count=recent.count, p50_ms=p50, p95_ms=p95, newest_ms=newest))
    return told


def _tools(board: Board, now: float) -> Tools:
    running = [
        RunningTool(name=name, session_id=live.opened.session_id, age_s=round(now - began, 1))
        for live in board.live.values()
        for name, began in live.calls.values()
    ]
    running.sort(key=lambda one: -one.age_s)
    finished: list[FinishedTool] = []
    for name, calls in sorted(board.calls.items()):
        p50, p95 = board.call_times[name].quantiles_ms(0.5, 0.95)
        finished.append(
            FinishedTool(
                name=name,
                completed=calls.completed,
                failed=calls.failed,
                cancelled=calls.cancelled,
                p50_ms=p50,
                p95_ms=p95,
            )
        )
    return Tools(running=len(running), shown=running[:MOST_TOOLS], finished=finished)


def _hub(hub: Hub) -> HubState:
    board = hub.switchboard
    return HubState(
        name=board.label,
        connections=len(board.registry.connections),
        groups=board.registry.groups,
        called=board.counts.called,
        sent=board.counts.sent,
        too_slow=board.counts.too_slow,
    )


def _relay(watched: Watched, now: float) -> RelayState:
    deployments = state_of(watched.upstreams.pool, now).deployments
    return RelayState(
        running=watched.streams.running,
        ended={str(reason): count for reason, count in watched.streams.ended.items()},
        deployments=[
            DeploymentStatus(
                name=one.name,
                condition=one.condition,
                running=one.running,
                first_token_ms_p50=one.first_token_ms_p50,
            )
            for one in deployments
        ],
        trouble=watched.upstreams.trouble,
    )
