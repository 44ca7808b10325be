"""Spans on their way to a collector, by OpenTelemetry's SDK and its exporter for OTLP over HTTP.

Spans wait in the SDK's queue, which drops the oldest when it is full (OTEL_BSP_MAX_QUEUE_SIZE, 2,048), and a
thread of the SDK's sends them. Whoever writes a span waits for nobody. The SDK reads its OTEL_* variables.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import AsyncGenerator, Generator, Sequence
from contextlib import asynccontextmanager, contextmanager
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, Final
from uuid import uuid4

from kaiwa.errors import MissingPackage
from kaiwa.server.settings import Settings
from kaiwa.server.settings_traces import address_of
from kaiwa.server.traces import names
from kaiwa.server.traces.spans import Kind, Span, SpanContext

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import ReadableSpan

log = logging.getLogger("kaiwa.server")

ENDPOINT: Final = "OTEL_EXPORTER_OTLP_ENDPOINT"
PARTING_S: Final = 3.0
_SCHEMA: Final = "https://opentelemetry.io/schemas/1.44.0"
_NANO: Final = 1_000_000_000
_UNNAMED: Final = "unknown_service"


def exporter_of(settings: Settings) -> OtlpExporter | None:
    """Return what sends traces where the settings say; None: nowhere. Raises ConfigError."""
    address = address_of(settings)
    return None if address is None else OtlpExporter(address, settings.otel_service_name)


class OtlpExporter:
    """Fits `tracing.Sink`. `delivered` and `lost` count spans. Raises ConfigError without the packages."""

    def __init__(self, address: str, service: str | None = None) -> None:
        try:
            from opentelemetry import trace
            from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
            from opentelemetry.sdk.resources import Resource
            from opentelemetry.sdk.trace import TracerProvider
            from opentelemetry.sdk.trace.export import BatchSpanProcessor
            from opentelemetry.sdk.util.instrumentation import InstrumentationScope
        except ImportError as missing:
            raise MissingPackage(ENDPOINT, "opentelemetry-sdk", "otel") from missing
        self._api = trace
        self._resource = _resource(Resource, service)
        self._scope = InstrumentationScope("kaiwa", version("kaiwa"), _SCHEMA)
        self._sampler: Any = TracerProvider(shutdown_on_exit=False).sampler
        self._kinds: dict[Kind, Any] = {
            "internal": trace.SpanKind.INTERNAL,
            "server": trace.SpanKind.SERVER,
            "client": trace.SpanKind.CLIENT,
        }
        self.delivery = _Delivery(OTLPSpanExporter(endpoint=address))
        self._queue: Any = BatchSpanProcessor(self.delivery)  # pyright: ignore[reportArgumentType]
        # Its lines name addresses, and there is one for each span that finds the queue full.
        logging.getLogger("opentelemetry").setLevel(logging.CRITICAL)

    def keeps(self, parent: SpanContext | None, trace_id: int, name: str) -> bool:
        api = self._api
        above = None
        if parent is not None:
            above = api.set_span_in_context(api.NonRecordingSpan(self._context(parent, remote=True)))
        return self._sampler.should_sample(above, trace_id, name).decision.is_sampled()

    def write(self, span: Span) -> None:
        self._queue.on_end(self._readable(span))

    @contextmanager
    def within(self, context: SpanContext) -> Generator[None]:
        from opentelemetry.context import attach, detach

        span = self._api.NonRecordingSpan(self._context(context))
        before = attach(self._api.set_span_in_context(span))
        try:
            yield
        finally:
            detach(before)

    @asynccontextmanager
    async def running(self) -> AsyncGenerator[None]:
        """At the end, send what is left, within bounds."""
        try:
            yield
        finally:
            over = asyncio.Event()
            loop = asyncio.get_running_loop()

            def part() -> None:
                self._queue.shutdown()
                if not loop.is_closed():
                    loop.call_soon_threadsafe(over.set)

            threading.Thread(target=part, daemon=True).start()
            try:
                async with asyncio.timeout(PARTING_S):
                    await over.wait()
            except TimeoutError:
                log.warning("the last traces were not taken")

    def _readable(self, span: Span) -> ReadableSpan:
        from opentelemetry.sdk.trace import Event, ReadableSpan
        from opentelemetry.trace.status import Status, StatusCode

        since_ns = span.since_ns
        attributes = dict(span.attributes)
        if span.error is not None:
            attributes[names.ERROR] = span.error
        return ReadableSpan(
            name=span.name,
            context=self._context(span.context),
            parent=None if span.parent is None else self._context(span.parent),
            resource=self._resource,
            attributes=attributes,
            events=[Event(one.name, one.attributes, int(one.at * _NANO) + since_ns) for one in span.moments],
            kind=self._kinds[span.kind],
            status=Status(StatusCode.UNSET if span.error is None else StatusCode.ERROR),
            start_time=int(span.began * _NANO) + since_ns,
            end_time=int(span.ended * _NANO) + since_ns,
            instrumentation_scope=self._scope,
        )

    def _context(self, one: SpanContext, *, remote: bool = False) -> Any:
        api = self._api
        flags = api.TraceFlags(api.TraceFlags.SAMPLED if one.sampled else api.TraceFlags.DEFAULT)
        state = api.TraceState.from_header([one.state]) if one.state else None
        return api.SpanContext(one.trace_id, one.span_id, remote, flags, state)


class _Delivery:
    """The exporter, and what became of what it was given. Called by the SDK's thread."""

    def __init__(self, exporter: Any) -> None:
        self._exporter = exporter
        self.delivered = self.lost = 0
        self._well = True

    def export(self, spans: Sequence[ReadableSpan]) -> Any:
        result = self._exporter.export(spans)
        well = result.name == "SUCCESS"
        if well:
            self.delivered += len(spans)
        else:
            self.lost += len(spans)
        if well != self._well:
            self._well = well
            log.log(
                logging.INFO if well else logging.WARNING,
                "traces are delivered again" if well else "traces cannot be delivered",
            )
        return result

    def shutdown(self) -> None:
        self._exporter.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        return True


def _resource(resource: Any, service: str | None) -> Any:
    own = {"service.version": version("kaiwa"), "service.instance.id": str(uuid4())}
    named = {"service.name": service} if service else {}
    made = resource.create({**own, **named})
    if str(made.attributes.get("service.name", _UNNAMED)).startswith(_UNNAMED):
        made = made.merge(resource({"service.name": "kaiwa"}))
    return made
