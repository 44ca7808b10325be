"""The GA Realtime codec, both sides: client and server frames to events and back.

Knows the wire shape (reference B); knows no session state and never raises on what a peer sent. A frame
goes through one typed msgspec decoder; only what it refuses is read a second time (`reading`), slowly, to
be forgiven or faulted in the service's words.
"""

from __future__ import annotations

import hashlib
from base64 import b64encode
from typing import Final

import msgspec
from msgspec import UNSET, structs

from kaiwa.events import server
from kaiwa.events.client import AudioAppended, ClientEvent, WireEvent
from kaiwa.events.own import OWN_EVENTS
from kaiwa.events.server import ServerEvent
from kaiwa.events.value import Value
from kaiwa.protocol.realtime import habits, rules
from kaiwa.protocol.realtime.ga_transcription import transcription_event
from kaiwa.protocol.realtime.reading import ClientReader, ServerReader, UnknownServerEvent
from kaiwa.protocol.realtime.writing import append_frame, client_body, holders

# Delta and padding together fill a multiple of this, so that sizes tell little about words.
_PADDED_TO: Final = 16


class GaCodec:
    """Stateless; one instance may serve any number of connections.

    `obfuscate` adds the padding that the service sends with deltas of text.
    """

    def __init__(self, *, obfuscate: bool = True) -> None:
        self._obfuscate = obfuscate
        self._client = ClientReader(
            WireEvent, tolerance=habits.OF_CLIENTS, parts=rules.PARTS_BY_ROLE, finish=rules.checked
        )
        self._server = ServerReader(server.WireEvent)
        self._encoder = msgspec.json.Encoder()

    def decode_client(self, frame: str | bytes, binary: bool = False) -> ClientEvent:
        """Return the event in a client's frame, or FrameRejected when it cannot be read.

        `binary` says that the frame came as a binary message, which the protocol does not know.
        """
        return self._client.read(frame, binary)

    def encode_server(self, event: ServerEvent | UnknownServerEvent) -> str:
        """Return the frame a client receives; empty for an event of kaiwa's own."""
        if isinstance(event, OWN_EVENTS):
            return ""
        if isinstance(event, UnknownServerEvent):
            return self._encoder.encode(event.body).decode()
        frame = self._encoder.encode(_as_ga(event))
        if isinstance(event, _PADDED) and self._obfuscate and event.obfuscation is UNSET:
            padding = _padding(event.event_id, len(event.delta))
            frame = b'%b,"obfuscation":"%b"}' % (frame[:-1], padding)
        return frame.decode()

    def encode_client(self, event: WireEvent) -> str:
        """Return the frame an upstream receives. Ids that are None are left out; settings keep nulls."""
        if type(event) is AudioAppended:
            return append_frame(event)
        body = client_body(event)
        for holder in holders(body):
            holder.pop("temperature", None)
        return self._encoder.encode(body).decode()

    def decode_server(self, frame: str | bytes) -> ServerEvent | UnknownServerEvent:
        """Return the event in an upstream's frame. Unknown fields are tolerated, unknown events are kept."""
        return self._server.read(frame)


_PADDED = (
    server.TextDelta,
    server.TranscriptDelta,
    server.ArgumentsDelta,
    server.McpArgumentsDelta,
    server.InputTranscriptionDelta,
)


def _padding(event_id: str, length: int) -> bytes:
    # Derived from the id, so that a transcript with counted ids is the same on every run.
    digest = b64encode(hashlib.sha256(event_id.encode("utf-8", "replace")).digest())
    letters = digest.translate(None, b"+/=")
    return letters[: _PADDED_TO - length % _PADDED_TO]


def _as_ga(event: ServerEvent) -> Value:
    """Return the event without the settings that only the preview dialect or a realtime session has."""
    match event:
        case server.SessionCreated() | server.SessionUpdated() if event.session.type == "transcription":
            return transcription_event(event)
        case server.SessionCreated() | server.SessionUpdated() if event.session.temperature is not UNSET:
            return structs.replace(event, session=structs.replace(event.session, temperature=UNSET))
        case server.ResponseCreated() | server.ResponseDone() if event.response.temperature is not UNSET:
            return structs.replace(event, response=structs.replace(event.response, temperature=UNSET))
        case _:
            return event
