"""Peers that are traced themselves: what they begin here goes on in their trace. And trace ids in the log.

Knows ASGI's scopes and one header; it is put before the application only while there are traces.
"""

from __future__ import annotations

import asyncio
import logging

from starlette.types import ASGIApp, Receive, Scope, Send

from kaiwa.server.traces.spans import HERE, TRACEPARENT, TRACESTATE, Place, read_context
from kaiwa.server.traces.tracing import placed


class TracedPeers:
    """An ASGI application before another."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        given = {name: value for name, value in scope.get("headers", ()) if name in _READ}
        context = read_context(*(given.get(name, b"").decode("latin-1") for name in _READ))
        if context is None:
            await self._app(scope, receive, send)
            return
        with placed(Place(context)):
            await self._app(scope, receive, send)


_READ = (TRACEPARENT.encode(), TRACESTATE.encode())


class TraceIds(logging.Filter):
    """Gives each line of the log the trace that it was written in. Lets all pass."""

    def filter(self, record: logging.LogRecord) -> bool:
        if not hasattr(record, "trace_id") and _in_task():
            place = HERE.get()
            if place is not None:
                record.trace_id = f"{place.context.trace_id:032x}"
                record.span_id = f"{place.context.span_id:016x}"
        return True


def _in_task() -> bool:
    """Callbacks of a connection run where it was opened, which may be another conversation by now."""
    try:
        return asyncio.current_task() is not None
    except RuntimeError:
        return False
