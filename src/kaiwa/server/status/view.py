"""`GET /api/status` and the page `/status`: everything that somebody who runs the house looks for first."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Collection
from dataclasses import dataclass
from importlib.metadata import version
from typing import Final

import msgspec
from prometheus_client import CollectorRegistry
from starlette.requests import Request
from starlette.responses import Response

from kaiwa.gateway.streams import Streams
from kaiwa.hub import Hub
from kaiwa.server.cluster.house import Cluster
from kaiwa.server.failures import failure
from kaiwa.server.forwarding import FORWARDED
from kaiwa.server.ids import MARK
from kaiwa.server.operations import JSON, Operation, Query
from kaiwa.server.page import HousePage
from kaiwa.server.readiness import Readiness
from kaiwa.server.settings import Settings
from kaiwa.server.status.answer import (
    MOST_HUBS,
    MOST_SESSIONS,
    MOST_TOOLS,
    NEWEST,
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
from kaiwa.server.status.processes import Processes
from kaiwa.server.status.recent import KEPT, ms
from kaiwa.server.traces.house import Traces
from kaiwa.server.upstream_pool import UpstreamPool
from kaiwa.upstream.pool.state import state_of

_NEVER_KEPT: Final = {"cache-control": "no-store"}

STATUS: Final = Operation(
    "Tell how the house is",
    "house",
    {200: {JSON: StatusAnswer}},
    (404,),
    query=(Query("process", "One process of several, by its mark."),),
)


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
    cluster: Cluster
    traces: Traces | None = None


class StatusView:
    """Answers for what people and programs may see of the house."""

    def __init__(self, watched: Watched) -> None:
        self.shown = HousePage("status", "サーバーの様子")
        self._watched = watched
        self._processes = Processes(watched.cluster)
        self._began = time.monotonic()
        self._version = version("kaiwa")

    async def state(self, request: Request) -> Response:
        """Tell of the whole house; of this process alone where another one asks, or `process` names it."""
        named = request.query_params.get("process")
        if FORWARDED in request.headers:
            answer = self.answer(time.monotonic(), KEPT)
        elif named is None:
            answer = await self._processes.together(request, self.answer(time.monotonic(), KEPT), NEWEST)
        elif (one := await self._processes.alone(request, named)) is not None:
            answer = one
        elif named == MARK:
            answer = self.answer(time.monotonic())
        else:
            return failure(404, "process_not_found", "There is no such process, or it does not answer.")
        body = msgspec.json.encode(answer)
        return Response(body, media_type="application/json", headers=_NEVER_KEPT)

    def answer(self, now: float, newest: int = NEWEST) -> StatusAnswer:
        """Tell of this process, with so many of its newest measurements."""
        watched = self._watched
        place, here = watched.cluster.place, watched.cluster.directory.here
        settings, traces = watched.settings(), watched.traces
        currency = None if settings.prices is None else settings.prices.currency
        troubles = watched.board.troubles.newest_first
        return StatusAnswer(
            process=MARK,
            machine=here.machine.partition(" ")[0],
            worker=place.number if place.count > 1 else None,
            version=self._version,
            uptime_s=round(now - self._began, 1),
            not_ready=watched.readiness.why_not(now),
            sessions=_sessions(watched.board, settings.max_sessions, now),
            latencies=_latencies(watched.board, newest),
            tools=_tools(watched.board, now, newest),
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
        process=MARK,
    )


def _latencies(board: Board, number: int) -> list[LatencyState]:
    told: list[LatencyState] = []
    for step, recent in board.latencies.items():
        p50, p95 = recent.quantiles_ms(0.5, 0.95)
        newest = recent.newest_ms(number)
        told.append(LatencyState(step=step, count=recent.count, p50_ms=p50, p95_ms=p95, newest_ms=newest))
    return told


def _tools(board: Board, now: float, newest: int) -> Tools:
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
                newest_ms=board.call_times[name].newest_ms(newest),
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
