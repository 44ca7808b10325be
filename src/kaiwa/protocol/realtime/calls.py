"""The frames beside the sound of a WebRTC call: what its peers may say, and what they are shown.

Knows types of events and their fields; knows no connection. Sound has a track of its own and is in no frame.
Source: Realtime reference A2 (webrtcfilter), B6.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, cast

import msgspec

from kaiwa.events import server
from kaiwa.events.client import AudioAppended, ClientEvent, FrameRejected
from kaiwa.events.config import PcmFormat
from kaiwa.events.relay import PassedFrame
from kaiwa.events.server import ServerEvent
from kaiwa.protocol.realtime.passing import ClientSide

# All that `webrtcfilter=on` leaves of the data channel.
FILTERED: Final = frozenset(
    {
        "input_audio_buffer.speech_started",
        "input_audio_buffer.speech_stopped",
        "output_audio_buffer.started",
        "output_audio_buffer.stopped",
        "conversation.item.input_audio_transcription.completed",
        "conversation.item.added",
        "conversation.item.created",
        "response.output_text.delta",
        "response.output_text.done",
        "response.output_audio_transcript.delta",
        "response.output_audio_transcript.done",
    }
)
_SOUND: Final = "response.output_audio.delta"
_APPEND: Final = "input_audio_buffer.append"
_WITH_FORMATS: Final = frozenset({"session.update", "response.create"})
_SESSIONS: Final = frozenset({"session.created", "session.updated"})
_decode: Final = msgspec.json.Decoder(dict[str, Any]).decode


class CallCodec:
    """Reads and writes the frames of one peer of a call. `only`: the types it is shown; None: all."""

    def __init__(self, codec: ClientSide, *, only: frozenset[str] | None = None) -> None:
        self._codec = codec
        self._only = only

    def decode_client(self, frame: str | bytes, binary: bool = False) -> ClientEvent:
        event = self._codec.decode_client(frame, binary)
        if isinstance(event, AudioAppended) or (isinstance(event, PassedFrame) and event.type == _APPEND):
            return FrameRejected(
                code="invalid_value",
                message=f"The sound of a call comes by its audio track; '{_APPEND}' is for WebSockets.",
                param="type",
                rejected_event_id=event.event_id,
            )
        if isinstance(event, PassedFrame) and event.type in _WITH_FORMATS:
            return _passed_without_formats(event)
        return event

    def encode_server(self, event: ServerEvent) -> str:
        kind = type_of(event)
        if kind == _SOUND or (self._only is not None and kind not in self._only):
            return ""
        return self._codec.encode_server(event)


def type_of(event: ServerEvent) -> str:
    """Return the GA name of an event."""
    return event.type if isinstance(event, PassedFrame) else str(type(event).__struct_config__.tag)


def greeting_of(event: ServerEvent, event_id: str) -> ServerEvent | None:
    """Return the session.created that tells a late peer what this event told of the session, if it did."""
    if isinstance(event, server.SessionCreated | server.SessionUpdated):
        return server.SessionCreated(event_id=event_id, session=event.session)
    if isinstance(event, PassedFrame) and event.type in _SESSIONS:
        body = _decode(event.frame or "{}") if event.body is None else event.body
        body = {**body, "type": "session.created", "event_id": event_id}
        return PassedFrame(type="session.created", event_id=event_id, body=body)
    return None


def is_house_sound(greeting: ServerEvent) -> bool:
    """Say whether a session's sound is what calls carry both ways: PCM16 at 24 kHz."""
    if isinstance(greeting, server.SessionCreated):
        audio = greeting.session.audio
        return all(isinstance(side.format, PcmFormat) for side in (audio.input, audio.output))
    body = greeting.body if isinstance(greeting, PassedFrame) else None
    return all(_format_in(body or {}, side) == "audio/pcm" for side in ("input", "output"))


def _format_in(body: Mapping[str, Any], side: str) -> object:
    """Return the format of a side of a session's sound; what is not named is the usual one."""
    value: Any = body
    for step in ("session", "audio", side, "format"):
        value = cast(Mapping[str, Any], value).get(step, {}) if isinstance(value, Mapping) else {}
    kind = cast(Mapping[str, Any], value).get("type") if isinstance(value, Mapping) else value
    return kind or "audio/pcm"


def _passed_without_formats(frame: PassedFrame) -> PassedFrame:
    """Return the frame without a wish for a format: the service and kaiwa have one between them already."""
    if frame.frame is not None and '"format"' not in frame.frame:
        return frame
    body = _decode(frame.frame or "{}") if frame.body is None else frame.body
    holder = "session" if frame.type == "session.update" else "response"
    stripped = _stripped(body, (holder, "audio"))
    return PassedFrame(type=frame.type, event_id=frame.event_id, body=stripped)


def _stripped(value: Mapping[str, Any], path: tuple[str, ...]) -> dict[str, Any]:
    """Return the object without `format` in both sides of the object at the path."""
    copy = dict(value)
    if not path:
        for side in ("input", "output"):
            if isinstance(copy.get(side), Mapping):
                old = cast(Mapping[str, Any], copy[side])
                copy[side] = {key: kept for key, kept in old.items() if key != "format"}
    elif isinstance(copy.get(path[0]), Mapping):
        copy[path[0]] = _stripped(copy[path[0]], path[1:])
    return copy
