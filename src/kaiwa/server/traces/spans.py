"""Spans as values, and how they are named between processes (W3C Trace Context). Pure but for ids.

Source: https://www.w3.org/TR/trace-context/.
"""

from __future__ import annotations

import random
import re
from collections.abc import Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Final, Literal

Value = str | bool | int | float | tuple[str, ...]
Attributes = Mapping[str, Value]
Kind = Literal["internal", "server", "client"]

TRACEPARENT: Final = "traceparent"
TRACESTATE: Final = "tracestate"
# The specification lets whoever passes a state on drop one that is longer.
_MOST_STATE_LETTERS: Final = 512
_FORM: Final = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")
_SAMPLED: Final = 1


@dataclass(frozen=True, slots=True)
class SpanContext:
    """A span as others name it. `state` is other systems' and passed on unread."""

    trace_id: int
    span_id: int
    sampled: bool = True
    state: str = ""

    @property
    def headers(self) -> dict[str, str]:
        """What a request to another process bears."""
        named = {TRACEPARENT: f"00-{self.trace_id:032x}-{self.span_id:016x}-{int(self.sampled):02x}"}
        return {**named, TRACESTATE: self.state} if self.state else named


@dataclass(frozen=True, slots=True)
class Moment:
    """Something that happened inside a span. Times are monotonic, in seconds."""

    name: str
    at: float
    attributes: Attributes = field(default_factory=dict[str, Value])


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of work that is over. `error` is a code; None: it went well.

    `since_ns` is the wall's time at the monotonic clock's zero: one value for all of a trace.
    """

    name: str
    context: SpanContext
    parent: SpanContext | None
    began: float
    ended: float
    since_ns: int
    kind: Kind = "internal"
    attributes: Attributes = field(default_factory=dict[str, Value])
    moments: tuple[Moment, ...] = ()
    error: str | None = None


@dataclass(slots=True)
class Place:
    """Where in a trace the running code is.

    `asked`: a model was asked there by the relay, which counts it. `provider`: whose service answers there.
    """

    context: SpanContext
    asked: bool = False
    provider: str | None = None


HERE: Final[ContextVar[Place | None]] = ContextVar("kaiwa_trace", default=None)


def new_span_id() -> int:
    return random.getrandbits(64) or 1


def new_trace_id() -> int:
    return random.getrandbits(128) or 1


def read_context(traceparent: str | None, tracestate: str | None = None) -> SpanContext | None:
    """Return the span that a peer's request belongs to; None for none, or for what is none."""
    found = _FORM.fullmatch(traceparent.strip()) if traceparent else None
    if found is None:
        return None
    version, trace, span, flags, more = found.groups()
    if version == "ff" or (version == "00" and more):
        return None
    trace_id, span_id = int(trace, 16), int(span, 16)
    if not trace_id or not span_id:
        return None
    state = tracestate or ""
    kept = state if len(state) <= _MOST_STATE_LETTERS and state.isascii() and state.isprintable() else ""
    return SpanContext(trace_id, span_id, bool(int(flags, 16) & _SAMPLED), kept)
