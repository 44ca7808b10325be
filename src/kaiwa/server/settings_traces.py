"""Settings of traces, by the names that OpenTelemetry gives them everywhere, and what is wrong with them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Final

from pydantic import BeforeValidator

from kaiwa.server.settings_cluster import Wrong
from kaiwa.server.settings_words import Group, Names

_PATH: Final = "/v1/traces"
_PROTOCOL: Final = "http/protobuf"
_ENDPOINT: Final = "OTEL_EXPORTER_OTLP_ENDPOINT"

# What OpenTelemetry's instrumentations take besides true and false.
_MODES: Final = {"SPAN_ONLY": True, "SPAN_AND_EVENT": True, "EVENT_ONLY": False, "NO_CONTENT": False}


def _captures(value: object) -> object:
    return _MODES.get(value.upper(), value) if isinstance(value, str) else value


class TraceSettings(Group):
    """Traces

    OpenTelemetry's own names, so that one environment serves all programs. The SDK reads the others of its
    variables by itself, from the environment only: headers, time-outs, sampling, queues (docs/traces.md)."""

    otel_exporter_otlp_endpoint: Annotated[str | None, Names("OTEL_EXPORTER_OTLP_ENDPOINT")] = None
    """Where the collector takes OTLP over HTTP: `http://host:4318`. With it, traces are sent
    (docs/traces.md); needs `kaiwa[otel]`."""
    otel_exporter_otlp_traces_endpoint: Annotated[str | None, Names("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")] = (
        None
    )
    """The whole address for traces, where it is another one."""
    otel_exporter_otlp_protocol: Annotated[str | None, Names("OTEL_EXPORTER_OTLP_PROTOCOL")] = None
    """`http/protobuf` is the one that kaiwa speaks."""
    otel_traces_exporter: Annotated[str | None, Names("OTEL_TRACES_EXPORTER")] = None
    """`otlp`, or `none` for no traces."""
    otel_service_name: Annotated[str | None, Names("OTEL_SERVICE_NAME")] = None
    """What this server is called in traces; None: `kaiwa`."""
    otel_sdk_disabled: Annotated[bool, Names("OTEL_SDK_DISABLED")] = False
    """No traces, whatever else is set."""
    otel_capture_content: Annotated[
        bool, BeforeValidator(_captures), Names("OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT")
    ] = False
    """Words of callers and agents, arguments and results of tools become attributes of traces. Without it
    none do."""


def address_of(settings: TraceSettings) -> str | None:
    """Return where traces go; None: nowhere."""
    address = settings.otel_exporter_otlp_traces_endpoint
    if address is None and settings.otel_exporter_otlp_endpoint is not None:
        address = settings.otel_exporter_otlp_endpoint.rstrip("/") + _PATH
    off = settings.otel_sdk_disabled or settings.otel_traces_exporter == "none"
    return None if off else address


def about_traces(settings: TraceSettings) -> Iterator[Wrong]:
    """Give what this house cannot speak."""
    address = address_of(settings)
    if address is None:
        return
    if settings.otel_traces_exporter not in (None, "otlp"):
        yield (
            "OTEL_TRACES_EXPORTER",
            "names an exporter that kaiwa has not.",
            "Use otlp or none.",
            ("kaiwa にないエクスポーターです。", "otlp か none を指定してください。"),
        )
    if settings.otel_exporter_otlp_protocol not in (None, _PROTOCOL):
        yield (
            "OTEL_EXPORTER_OTLP_PROTOCOL",
            "asks for a protocol that kaiwa does not speak.",
            f"Use {_PROTOCOL}, which collectors take at port 4318.",
            (
                "kaiwa が対応していないプロトコルです。",
                f"{_PROTOCOL} を指定してください。コレクターのポートは 4318 です。",
            ),
        )
    if not address.startswith(("http://", "https://")):
        yield (
            _ENDPOINT,
            "is not an address.",
            "Write it as http://host:4318.",
            ("アドレスではありません。", "http://host:4318 の形で書いてください。"),
        )
