"""A collector for traces: takes what the stock exporter sends, and draws the tree of each trace."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

# What may begin at the same moment.
STEPS = ("speech", "silence", "recognition", "turn decision")
KINDS = {1: "internal", 2: "server", 3: "client"}


@dataclass
class Told:
    """One span as it came. Times are in nanoseconds."""

    name: str
    trace_id: str
    id: str
    parent: str
    began: int
    ended: int
    kind: str
    error: bool
    attributes: dict[str, Any]
    events: list[tuple[str, int]]


@dataclass
class Collector:
    endpoint: str = ""
    spans: list[Told] = field(default_factory=list)
    requests: list[dict[str, str]] = field(default_factory=list)
    resource: dict[str, Any] = field(default_factory=dict)
    scope: str = ""
    raw: list[bytes] = field(default_factory=list)
    answers: asyncio.Event = field(default_factory=asyncio.Event)

    async def take(self, request: web.Request) -> web.Response:
        body = await request.read()
        await self.answers.wait()
        plain = gzip.decompress(body) if request.headers.get("content-encoding") == "gzip" else body
        self.raw.append(plain)
        self.requests.append(dict(request.headers))
        for group in ExportTraceServiceRequest.FromString(plain).resource_spans:
            self.resource = _plain(group.resource.attributes)
            for scope in group.scope_spans:
                self.scope = scope.scope.name
                self.spans += [_told(span) for span in scope.spans]
        return web.Response(content_type="application/x-protobuf")

    @property
    def traces(self) -> set[str]:
        return {span.trace_id for span in self.spans}

    def named(self, name: str) -> Told:
        """Return the one span of this name."""
        (found,) = (span for span in self.spans if span.name == name)
        return found

    def tree(self, *, below: str = "") -> list[str]:
        """Return every span as a line, under its parent, in the order in which they began."""
        known = {span.id for span in self.spans}
        lines: list[str] = []

        def draw(parent: str, depth: int) -> None:
            for span in sorted(
                self.spans, key=lambda one: (one.began, STEPS.index(one.name) if one.name in STEPS else 9)
            ):
                is_root = depth == 0 and span.parent not in known and (not below or span.name == below)
                if is_root or (depth > 0 and span.parent == parent):
                    error = f" !{span.attributes.get('error.type')}" if span.error else ""
                    lines.append(f"{'  ' * depth}{span.name}{error}")
                    draw(span.id, depth + 1)

        draw("", 0)
        return lines

    def complaints(self) -> list[str]:
        """Say what is wrong with times and ids: nothing ends before it began, or begins before its parent."""
        by_id = {span.id: span for span in self.spans}
        wrong = [f"{span.name} ends before it began" for span in self.spans if span.ended < span.began]
        wrong += [f"two spans are {span.id}" for span in self.spans if by_id[span.id] is not span]
        for span in self.spans:
            parent = by_id.get(span.parent)
            if parent is not None and span.began < parent.began:
                wrong.append(f"{span.name} began before {parent.name}")
            if parent is not None and span.trace_id != parent.trace_id:
                wrong.append(f"{span.name} is in another trace than {parent.name}")
            for name, at in span.events:
                if not span.began <= at <= span.ended:
                    wrong.append(f"{name} is outside of {span.name}")
        return wrong


def _told(span: Any) -> Told:
    return Told(
        name=span.name,
        trace_id=span.trace_id.hex(),
        id=span.span_id.hex(),
        parent=span.parent_span_id.hex(),
        began=span.start_time_unix_nano,
        ended=span.end_time_unix_nano,
        kind=KINDS[span.kind],
        error=span.status.code == 2,
        attributes=_plain(span.attributes),
        events=[(one.name, one.time_unix_nano) for one in span.events],
    )


def _plain(attributes: Any) -> dict[str, Any]:
    return {one.key: _value(one.value) for one in attributes}


def _value(value: Any) -> Any:
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return [_value(one) for one in value.array_value.values]
    return getattr(value, kind)


@asynccontextmanager
async def collecting(*, answers: bool = True) -> AsyncIterator[Collector]:
    """Listen for traces. `answers` False: it takes connections, and says nothing on them until it is set."""
    collector = Collector()
    if answers:
        collector.answers.set()
    app = web.Application(client_max_size=64 * 1024 * 1024)
    app.router.add_post("/v1/traces", collector.take)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    collector.endpoint = f"http://127.0.0.1:{port}"
    try:
        yield collector
    finally:
        collector.answers.set()
        await runner.cleanup()
