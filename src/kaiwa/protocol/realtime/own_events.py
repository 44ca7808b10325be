"""kaiwa's own events on the wire, for peers that asked for them with `?kaiwa_events=on`.

Every other codec leaves them out, so a stock client never meets a type that it does not know.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec

from kaiwa.events.client import ClientEvent
from kaiwa.events.own import OWN_EVENTS, ResumeAsked
from kaiwa.events.server import ServerEvent
from kaiwa.protocol.realtime.passing import ClientSide

_PARAMETER: Final = "kaiwa_events"
_encode: Final = msgspec.json.Encoder().encode
_resume: Final = msgspec.json.Decoder(ResumeAsked)


def wants_own_events(query: Mapping[str, str]) -> bool:
    """Say whether a peer asked for them in its query."""
    return query.get(_PARAMETER, "").lower() == "on"


def with_own_events(codec: ClientSide, wanted: bool) -> ClientSide:
    """Return the codec of a peer that wants them, or does not."""
    return OwnEventsCodec(codec) if wanted else codec


class OwnEventsCodec:
    """Writes kaiwa's own events, and leaves all others to the peer's codec."""

    def __init__(self, codec: ClientSide) -> None:
        self._codec = codec

    def decode_client(self, frame: str | bytes, binary: bool = False) -> ClientEvent:
        return self._codec.decode_client(frame, binary)

    def encode_server(self, event: ServerEvent) -> str:
        if isinstance(event, OWN_EVENTS):
            return _encode(event).decode()
        return self._codec.encode_server(event)


def resume_in(frame: str | bytes) -> ResumeAsked | None:
    """Return the wish to come back in a client's frame; None when it is none."""
    try:
        return _resume.decode(frame)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return None
