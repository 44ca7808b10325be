"""One answer out of several processes': added up, the newest beside each other. Pure."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from itertools import chain
from statistics import median
from typing import Final, TypeVar

import msgspec

from kaiwa.server.status.answer import (
    MOST_HUBS,
    MOST_SESSIONS,
    MOST_TOOLS,
    Cost,
    DeploymentStatus,
    ErrorState,
    FinishedTool,
    HubState,
    LatencyState,
    MessagesCost,
    ModelCost,
    ProcessState,
    Refused,
    RelayState,
    Sessions,
    StatusAnswer,
    Tools,
    TraceState,
)
from kaiwa.server.status.recent import quantiles

T = TypeVar("T")
_BY_HOW_BAD: Final = ("free", "probing", "spilling", "resting", "busy", "leaving", "open", "disabled")


def in_short(one: StatusAnswer) -> ProcessState:
    """Return what is told of a process among others."""
    return ProcessState(
        process=one.process,
        machine=one.machine,
        state="answered",
        worker=one.worker,
        version=one.version,
        uptime_s=one.uptime_s,
        not_ready=one.not_ready,
        sessions=one.sessions.open,
        most_sessions=one.sessions.most,
        tools=one.tools.running,
        streams=one.relay.running,
        errors=sum(error.count for error in one.errors),
        cost=one.cost.total,
    )


def summed(told: Sequence[StatusAnswer], newest: int) -> StatusAnswer:
    """Return what several processes tell, as one; the first is who answers."""
    own = told[0]
    return msgspec.structs.replace(
        own,
        uptime_s=max(one.uptime_s for one in told),
        not_ready=own.not_ready if all(one.not_ready for one in told) else None,
        sessions=_sessions([one.sessions for one in told]),
        latencies=[_latency(same, newest) for same in _alike(told, lambda one: one.latencies, _step)],
        tools=_tools([one.tools for one in told], newest),
        hubs=[_hub(same) for same in _alike(told, lambda one: one.hubs, _name)][:MOST_HUBS],
        relay=_relay([one.relay for one in told]),
        cost=_cost([one.cost for one in told]),
        limits=[_limit(same) for same in _alike(told, lambda one: one.limits, lambda it: (it.kind, it.per))],
        errors=_errors(told),
        traces=_traces([one.traces for one in told if one.traces is not None]),
    )


def _alike(
    told: Iterable[StatusAnswer], part: Callable[[StatusAnswer], Iterable[T]], key: Callable[[T], object]
) -> list[list[T]]:
    """Return what different processes tell of the same thing, thing by thing."""
    found: defaultdict[object, list[T]] = defaultdict(list)
    for one in chain.from_iterable(part(answer) for answer in told):
        found[key(one)].append(one)
    return list(found.values())


def _step(one: LatencyState) -> str:
    return one.step


def _name(one: HubState | FinishedTool | DeploymentStatus) -> str:
    return one.name


def _sessions(told: Sequence[Sessions]) -> Sessions:
    doors = sum((Counter[str](one.doors) for one in told), Counter[str]())
    shown = sorted(chain.from_iterable(one.shown for one in told), key=lambda one: one.age_s)
    return Sessions(
        open=sum(one.open for one in told),
        most=sum(one.most for one in told),
        doors=dict(doors),
        shown=shown[:MOST_SESSIONS],
    )


def _latency(same: Sequence[LatencyState], newest: int) -> LatencyState:
    samples = list(chain.from_iterable(one.newest_ms for one in same))
    p50, p95 = quantiles(samples, 0.5, 0.95)
    count = sum(one.count for one in same)
    return LatencyState(step=same[0].step, count=count, p50_ms=p50, p95_ms=p95, newest_ms=_last(same, newest))


def _last(same: Sequence[LatencyState | FinishedTool], newest: int) -> list[float]:
    """Return the last measurements of each process, as many of each."""
    each = max(1, newest // len(same))
    return list(chain.from_iterable(one.newest_ms[-each:] for one in same))


def _tools(told: Sequence[Tools], newest: int) -> Tools:
    finished: defaultdict[str, list[FinishedTool]] = defaultdict(list)
    for one in chain.from_iterable(tools.finished for tools in told):
        finished[one.name].append(one)
    shown = sorted(chain.from_iterable(one.shown for one in told), key=lambda one: -one.age_s)
    return Tools(
        running=sum(one.running for one in told),
        shown=shown[:MOST_TOOLS],
        finished=[_tool(finished[name], newest) for name in sorted(finished)],
    )


def _tool(same: Sequence[FinishedTool], newest: int) -> FinishedTool:
    p50, p95 = quantiles(list(chain.from_iterable(one.newest_ms for one in same)), 0.5, 0.95)
    return FinishedTool(
        name=same[0].name,
        completed=sum(one.completed for one in same),
        failed=sum(one.failed for one in same),
        cancelled=sum(one.cancelled for one in same),
        p50_ms=p50,
        p95_ms=p95,
        newest_ms=_last(same, newest),
    )


def _hub(same: Sequence[HubState]) -> HubState:
    return HubState(
        name=same[0].name,
        connections=sum(one.connections for one in same),
        groups=sum(one.groups for one in same),
        called=sum(one.called for one in same),
        sent=sum(one.sent for one in same),
        too_slow=sum(one.too_slow for one in same),
    )


def _relay(told: Sequence[RelayState]) -> RelayState:
    deployments: defaultdict[str, list[DeploymentStatus]] = defaultdict(list)
    for one in chain.from_iterable(relay.deployments for relay in told):
        deployments[one.name].append(one)
    return RelayState(
        running=sum(one.running for one in told),
        ended=dict(sum((Counter[str](one.ended) for one in told), Counter[str]())),
        deployments=[_deployment(same) for same in deployments.values()],
        trouble=next((one.trouble for one in told if one.trouble is not None), None),
    )


def _deployment(same: Sequence[DeploymentStatus]) -> DeploymentStatus:
    """Each process learns for itself: what the worst off sees, and the median of their medians."""
    first = [one.first_token_ms_p50 for one in same if one.first_token_ms_p50 is not None]
    return DeploymentStatus(
        name=same[0].name,
        condition=max((one.condition for one in same), key=_how_bad),
        running=sum(one.running for one in same),
        first_token_ms_p50=round(median(first), 1) if first else None,
    )


def _how_bad(condition: str) -> int:
    return _BY_HOW_BAD.index(condition) if condition in _BY_HOW_BAD else len(_BY_HOW_BAD)


def _cost(told: Sequence[Cost]) -> Cost:
    models: defaultdict[str, list[ModelCost]] = defaultdict(list)
    for one in chain.from_iterable(cost.models for cost in told):
        models[one.model].append(one)
    added = [
        ModelCost(
            model=model,
            input_tokens=sum(one.input_tokens for one in same),
            output_tokens=sum(one.output_tokens for one in same),
            cost=round(sum(one.cost for one in same), 9),
        )
        for model, same in models.items()
    ]
    added.sort(key=lambda one: (-one.cost, -one.input_tokens - one.output_tokens, one.model))
    messages = [one.signalr_messages for one in told if one.signalr_messages is not None]
    return Cost(
        currency=told[0].currency,
        total=round(sum(one.total for one in told), 9),
        models=added,
        signalr_messages=_messages(messages) if messages else None,
    )


def _messages(told: Sequence[MessagesCost]) -> MessagesCost:
    cost = round(sum(one.cost for one in told), 9)
    return MessagesCost(count=sum(one.count for one in told), cost=cost)


def _limit(same: Sequence[Refused]) -> Refused:
    return Refused(kind=same[0].kind, per=same[0].per, count=sum(one.count for one in same))


def _errors(told: Iterable[StatusAnswer]) -> list[ErrorState]:
    alike = _alike(told, lambda one: one.errors, lambda error: (error.code, error.where))
    added = [
        ErrorState(
            code=same[0].code,
            where=same[0].where,
            count=sum(one.count for one in same),
            ago_s=min(one.ago_s for one in same),
        )
        for same in alike
    ]
    return sorted(added, key=lambda one: one.ago_s)


def _traces(told: Sequence[TraceState]) -> TraceState | None:
    if not told:
        return None
    return TraceState(delivered=sum(one.delivered for one in told), lost=sum(one.lost for one in told))
