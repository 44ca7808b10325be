"""Which shape of the Realtime API a peer speaks, and who reads and writes it. Source: reference A1."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import cache
from typing import Final, Literal

from kaiwa.events.server import ServerEvent
from kaiwa.protocol.realtime.ga import GaCodec
from kaiwa.protocol.realtime.preview import PreviewCodec
from kaiwa.protocol.realtime.preview_editions import OCTOBER_2024
from kaiwa.protocol.realtime.preview_upstream import PreviewUpstream
from kaiwa.protocol.realtime.reading import UnknownServerEvent

Dialect = Literal["ga", "preview", "preview-2024-10-01"]

_HEADER: Final = "openai-beta"
_HEADER_MARK: Final = "realtime=v1"
_SUBPROTOCOL: Final = "openai-beta.realtime-v1"
_PATH: Final = "/openai/realtime"
_FIRST_VERSION: Final = "2024-10-01-preview"


@cache
def codec_for(dialect: Dialect) -> GaCodec | PreviewCodec:
    """Return what reads and writes the frames of a dialect; it keeps no state of a connection."""
    match dialect:
        case "ga":
            return GaCodec()
        case "preview":
            return PreviewCodec()
        case "preview-2024-10-01":
            return PreviewCodec(OCTOBER_2024)


FramesRead = Callable[[str | bytes], tuple[ServerEvent | UnknownServerEvent, ...]]


def reader_of(dialect: Dialect) -> FramesRead:
    """Return what reads the frames of one upstream connection, in order, as GA events."""
    codec = codec_for(dialect)
    if isinstance(codec, PreviewCodec):
        return PreviewUpstream(codec).events
    return lambda frame: (codec.decode_server(frame),)


def dialect_of(
    path: str, query: Mapping[str, str], headers: Mapping[str, str], subprotocols: Iterable[str]
) -> Dialect:
    """Return the dialect of a connection from its upgrade request.

    Header names are compared in any case. `OpenAI-Beta: assistants=v2`, which SDKs add to every request,
    is no mark of the preview (K-12), and neither is the name of a model or an api-version on a GA path.
    """
    if not (
        path.rstrip("/").endswith(_PATH)
        or _SUBPROTOCOL in (offered.strip().lower() for offered in subprotocols)
        or _HEADER_MARK in _marks(headers)
    ):
        return "ga"
    return "preview-2024-10-01" if query.get("api-version") == _FIRST_VERSION else "preview"


def _marks(headers: Mapping[str, str]) -> list[str]:
    given = [value for name, value in headers.items() if name.lower() == _HEADER]
    return [mark.strip().lower() for value in given for mark in value.split(",")]
