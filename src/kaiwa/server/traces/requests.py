"""Relayed requests as spans: one for the request, and one below it for each try at a deployment.

Fits `gateway.following.Followers`. A request made inside a conversation belongs to that conversation's trace.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from kaiwa.gateway.asking import Asked
from kaiwa.gateway.ended import StreamEnded, Try
from kaiwa.server.traces import names
from kaiwa.server.traces.spans import (
    HERE,
    TRACEPARENT,
    TRACESTATE,
    Moment,
    SpanContext,
    Value,
    read_context,
)
from kaiwa.server.traces.tracing import Sink, Trace

_OPERATIONS: Final = {
    "chat/completions": names.CHAT,
    "responses": names.CHAT,
    "embeddings": names.EMBEDDINGS,
}
PROVIDERS: Final = {"azure": names.AZURE, "azure-classic": names.AZURE, "openai": names.OPENAI}
# What the service or nobody is to blame for.
_NO_FAULTS: Final = frozenset({"completed", "client_left", "stopped"})
_GOOD_TRIES: Final = frozenset({"completed", "cancelled"})


class RequestTraces:
    """Follows the requests of a gateway."""

    def __init__(self, sink: Sink) -> None:
        self._sink = sink

    def follow(self, asked: Asked) -> RequestTrace:
        return RequestTrace(self._sink, asked)


class RequestTrace:
    """Fits `gateway.following.Following`."""

    def __init__(self, sink: Sink, asked: Asked) -> None:
        given = {name: value for name, value in asked.headers if name in (TRACEPARENT, TRACESTATE)}
        here = HERE.get()
        if here is not None:
            here.asked = True
        self._asked = asked
        self._name = f"{_OPERATIONS[asked.operation]} {names.shown(asked.model)}"
        parent = read_context(given.get(TRACEPARENT), given.get(TRACESTATE))
        self._trace = Trace(sink, self._name, parent)
        self._tries: list[SpanContext] = []

    @property
    def trace_id(self) -> str:
        return self._trace.id

    def headers(self) -> Sequence[tuple[str, str]]:
        context = self._trace.below()
        self._tries.append(context)
        return tuple(context.headers.items())

    def ended(self, ended: StreamEnded) -> None:
        if not self._trace.kept:
            return
        for number, (context, one) in enumerate(zip(self._tries, ended.tries, strict=True), 1):
            self._write_try(context, one, number)
        began, last = self._asked.began, ended.tries[-1] if ended.tries else None
        first = () if ended.first_token_s is None else (Moment("first token", began + ended.first_token_s),)
        self._trace.write(
            self._name,
            self._trace.root,
            self._trace.parent,
            began,
            began + ended.elapsed_s,
            self._attributes(ended, last),
            kind="client",
            moments=first if ended.streams else (),
            error=None if ended.reason in _NO_FAULTS else _code_of(ended, last),
        )

    def _attributes(self, ended: StreamEnded, last: Try | None) -> dict[str, Value]:
        used, cached = ended.used, ended.used.cached
        told: dict[str, Value] = {
            names.OPERATION: _OPERATIONS[ended.operation],
            names.PROVIDER: names.OWN if last is None else PROVIDERS.get(last.kind, last.kind),
            names.REQUEST_MODEL: names.shown(ended.model),
            names.REQUEST_STREAM: ended.streams,
            names.INPUT_TOKENS: used.input,
            names.OUTPUT_TOKENS: used.output,
            "kaiwa.stream.id": self._asked.id,
            "kaiwa.stream.reason": ended.reason,
            "kaiwa.stream.attempts": ended.attempts,
            "kaiwa.usage.estimated": used.estimated,
            names.STATUS_CODE: ended.status,
        }
        if cached:
            told[names.CACHED_TOKENS] = cached
        if last is not None:
            told[names.RESPONSE_MODEL] = last.model
            told["kaiwa.deployment"] = ended.deployment
        if ended.streams and ended.first_token_s is not None:
            told[names.FIRST_CHUNK] = round(ended.first_token_s, 6)
        if self._asked.choices != 1:
            told[names.REQUEST_CHOICES] = self._asked.choices
        return told

    def _write_try(self, context: SpanContext, one: Try, number: int) -> None:
        told: dict[str, Value] = {
            "kaiwa.deployment": one.deployment,
            "kaiwa.try.number": number,
            "kaiwa.try.outcome": one.outcome,
            "kaiwa.try.hedge": one.hedge,
        }
        if one.status is not None:
            told[names.STATUS_CODE] = one.status
        self._trace.write(
            f"try {one.deployment}",
            context,
            self._trace.root,
            one.began,
            one.ended,
            told,
            kind="client",
            error=None if one.outcome in _GOOD_TRIES else _try_code(one),
        )


def _try_code(one: Try) -> str:
    """Return the shortest word for what went wrong: the service's code, its status, or how it ended."""
    if one.code is not None:
        return one.code
    return str(one.status) if one.outcome == "refused" and one.status is not None else one.outcome


def _code_of(ended: StreamEnded, last: Try | None) -> str:
    if ended.reason != "refused":
        return ended.reason
    return str(ended.status) if last is None or last.outcome in _GOOD_TRIES else _try_code(last)
