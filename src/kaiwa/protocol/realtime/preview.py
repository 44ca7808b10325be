"""The preview (beta) dialect of the Realtime API, both sides: its frames to GA events and back.

Knows which frame stands for which event; knows no session state and never raises on what a peer sent.
What frames mean is in `preview_events`, names and versions are in `preview_editions`.
Source: Realtime reference B, the beta columns.
"""

from __future__ import annotations

import msgspec

from kaiwa.events.client import AudioAppended, ClientEvent, WireEvent
from kaiwa.events.own import OWN_EVENTS
from kaiwa.events.server import ServerEvent
from kaiwa.protocol.realtime import preview_frames as frames
from kaiwa.protocol.realtime.preview_editions import (
    GA_TYPES,
    LATEST,
    OF_PREVIEW_CLIENTS,
    PARTS_BY_ROLE,
    Edition,
)
from kaiwa.protocol.realtime.preview_events import as_event, as_frame, meant, told
from kaiwa.protocol.realtime.reading import ClientReader, ServerReader, UnknownServerEvent
from kaiwa.protocol.realtime.writing import append_frame, client_body


class PreviewCodec:
    """Stateless; one instance may serve any number of connections of one edition."""

    def __init__(self, edition: Edition = LATEST) -> None:
        self._edition = edition
        self._client = ClientReader(
            frames.ClientFrame, tolerance=OF_PREVIEW_CLIENTS, parts=PARTS_BY_ROLE, finish=meant
        )
        self._server = ServerReader(frames.ServerFrame)
        self._encoder = msgspec.json.Encoder()

    def decode_client(self, frame: str | bytes, binary: bool = False) -> ClientEvent:
        """Return the event in a client's frame, or FrameRejected when it cannot be read.

        `binary` says that the frame came as a binary message, which the protocol does not know.
        """
        return self._client.read(frame, binary)

    def encode_server(self, event: ServerEvent | UnknownServerEvent) -> str:
        """Return the frame a client receives; empty when this edition has no such event."""
        if isinstance(event, OWN_EVENTS):
            return ""
        if isinstance(event, UnknownServerEvent):
            return self._encoder.encode(event.body).decode() if self._has(event.type) else ""
        frame = as_frame(event, self._edition)
        if not self._has(str(frame.__struct_config__.tag)):
            return ""
        return self._encoder.encode(frame).decode()

    def encode_client(self, event: WireEvent) -> str:
        """Return the frame an upstream receives. Ids that are None are left out; settings keep nulls."""
        if type(event) is AudioAppended:
            return append_frame(event)
        return self._encoder.encode(client_body(told(event))).decode()

    def decode_server(self, frame: str | bytes) -> ServerEvent | UnknownServerEvent:
        """Return the event in an upstream's frame. Unknown fields are tolerated, unknown events are kept.

        Some frames stand for two GA events, and some lack what GA tells: `preview_upstream` adds that.
        """
        return as_event(self._server.read(frame))

    def _has(self, name: str) -> bool:
        types = self._edition.types
        return bool(name) and (name not in GA_TYPES if types is None else name in types)
