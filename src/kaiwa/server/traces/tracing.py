"""Traces while they grow: their ids, whether they are kept, where their spans go. Knows no OpenTelemetry."""

from __future__ import annotations

import time
from collections.abc import Generator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol

from kaiwa.server.traces.spans import (
    HERE,
    Attributes,
    Kind,
    Moment,
    Place,
    Span,
    SpanContext,
    new_span_id,
    new_trace_id,
)


class Sink(Protocol):
    """Where spans go once they are over. Neither waits nor raises."""

    def keeps(self, parent: SpanContext | None, trace_id: int, name: str) -> bool:
        """Say whether a trace that begins is to be kept."""
        ...

    def write(self, span: Span) -> None: ...

    def within(self, context: SpanContext) -> AbstractContextManager[None]:
        """Let spans that other code makes by OpenTelemetry be below this one."""
        ...


class Trace:
    """One trace, or this process's part of one: below whoever asked, if that is traced too."""

    def __init__(self, sink: Sink, name: str, parent: SpanContext | None = None) -> None:
        """`parent` None: the place where the running code is, if it is anywhere."""
        self._sink = sink
        self._since_ns = time.time_ns() - time.monotonic_ns()
        here = HERE.get()
        self.parent = parent or (here.context if here is not None else None)
        trace_id = self.parent.trace_id if self.parent is not None else new_trace_id()
        state = self.parent.state if self.parent is not None else ""
        self.root = SpanContext(trace_id, new_span_id(), sink.keeps(self.parent, trace_id, name), state)

    @property
    def kept(self) -> bool:
        return self.root.sampled

    @property
    def id(self) -> str:
        return f"{self.root.trace_id:032x}"

    def below(self) -> SpanContext:
        """Return the name of a span that is to come."""
        return SpanContext(self.root.trace_id, new_span_id(), self.root.sampled, self.root.state)

    def write_root(
        self, name: str, began: float, attributes: Attributes, *, kind: Kind, error: str | None
    ) -> None:
        """Hand on the trace's own span, which ends now."""
        ended = time.monotonic()
        self.write(name, self.root, self.parent, began, ended, attributes, kind=kind, error=error)

    def write(
        self,
        name: str,
        context: SpanContext,
        parent: SpanContext | None,
        began: float,
        ended: float,
        attributes: Attributes,
        *,
        kind: Kind = "internal",
        moments: tuple[Moment, ...] = (),
        error: str | None = None,
    ) -> None:
        """Hand on a span that is over."""
        if self.kept:
            last = max(began, ended)
            self._sink.write(
                Span(name, context, parent, began, last, self._since_ns, kind, attributes, moments, error)
            )


@contextmanager
def placed(place: Place) -> Generator[Place]:
    """What runs inside, and the tasks it starts, are at this place."""
    before = HERE.set(place)
    try:
        yield place
    finally:
        HERE.reset(before)
