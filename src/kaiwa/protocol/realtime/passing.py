"""Frames on their way through kaiwa: read as far as the relay needs, and handed on as they are.

Only `type` and `event_id` of a frame are read; its body too when the relay looks into that type. Inside, all
frames have GA form: a peer or an upstream of another dialect is translated here, audio by its name alone.
Source: Realtime reference B1 and B2.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, Protocol

import msgspec
import msgspec.inspect as kinds
from msgspec import Struct

from kaiwa.errors import PeerError
from kaiwa.events.client import ClientEvent, FrameRejected, WireEvent
from kaiwa.events.relay import PassedFrame, UpstreamSaid
from kaiwa.events.server import ServerEvent
from kaiwa.events.usage import Usage
from kaiwa.protocol.realtime.dialects import Dialect, codec_for, reader_of
from kaiwa.protocol.realtime.ga import GaCodec
from kaiwa.protocol.realtime.reading import UnknownServerEvent
from kaiwa.protocol.realtime.shape import LENIENT, fit


class _Head(Struct):
    type: str = ""
    event_id: str | None = None


class _Costs(Struct):
    usage: dict[str, Any] | None = None


class _Done(Struct):
    response: _Costs


_USAGE: Final = kinds.type_info(Usage)
_head: Final = msgspec.json.Decoder(_Head).decode
_body: Final = msgspec.json.Decoder(dict[str, Any]).decode
_encode: Final = msgspec.json.Encoder().encode

# What a client says in the same JSON in every dialect.
_SAME_FROM_CLIENTS: Final = frozenset(
    {
        "input_audio_buffer.append",
        "input_audio_buffer.commit",
        "input_audio_buffer.clear",
        "output_audio_buffer.clear",
        "conversation.item.retrieve",
        "conversation.item.truncate",
        "conversation.item.delete",
        "response.cancel",
    }
)
# Large and frequent, and different in nothing but their names.
_RENAMED: Final[Mapping[str, str]] = {
    "response.output_audio.delta": "response.audio.delta",
    "response.output_audio.done": "response.audio.done",
}
_RENAMED_BACK: Final = {preview: ga for ga, preview in _RENAMED.items()}


class ClientSide(Protocol):
    """Reads and writes the frames of a relay's peer."""

    def decode_client(self, frame: str | bytes, binary: bool = False) -> ClientEvent: ...

    def encode_server(self, event: ServerEvent) -> str: ...


def text_of(frame: PassedFrame) -> str:
    """Return the GA text of a frame."""
    return _encode(frame.body).decode() if frame.frame is None else frame.frame


def usage_in(frame: PassedFrame) -> Usage | None:
    """Return what a relayed response cost; None for any other frame, or when it cannot be read."""
    if frame.type != "response.done" or frame.body is None:
        return None
    try:
        raw = msgspec.convert(frame.body, _Done).response.usage
        if raw is None:
            return None
        return msgspec.convert(fit(raw, _USAGE, tolerance=LENIENT), Usage)
    except (PeerError, msgspec.ValidationError):
        return None


class PassingCodec:
    """A peer that speaks GA. `looks` are the types of frames whose body the session wants."""

    def __init__(self, looks: frozenset[str]) -> None:
        self._looks = looks
        self._whole = codec_for("ga")

    def decode_client(self, frame: str | bytes, binary: bool = False) -> ClientEvent:
        """Return the frame, or FrameRejected for what is no event at all."""
        text = _text_in(frame, binary)
        if text is None:
            return self._whole.decode_client(frame, binary)
        frame = text
        try:
            head = _head(frame)
        except (msgspec.DecodeError, UnicodeError, RecursionError):
            return self._read_whole(frame)
        if not head.type:
            return self._read_whole(frame)
        body = _body(frame) if head.type in self._looks else None
        return PassedFrame(type=head.type, event_id=head.event_id, frame=frame, body=body)

    def encode_server(self, event: ServerEvent) -> str:
        if isinstance(event, PassedFrame):
            return _encode(event.body).decode() if event.frame is None else event.frame
        return self._whole.encode_server(event)

    def _read_whole(self, frame: str) -> ClientEvent:
        event = self._whole.decode_client(frame)
        return event if isinstance(event, FrameRejected) else _told(event, self._looks)


class TranslatingCodec:
    """A peer that speaks another dialect."""

    def __init__(self, dialect: Dialect, looks: frozenset[str]) -> None:
        self._looks = looks
        self._whole = codec_for(dialect)
        self._ga = GaCodec()

    def decode_client(self, frame: str | bytes, binary: bool = False) -> ClientEvent:
        text = _text_in(frame, binary)
        if text is not None:
            try:
                head = _head(text)
            except (msgspec.DecodeError, UnicodeError, RecursionError):
                head = _Head()
            if head.type in _SAME_FROM_CLIENTS:
                return PassedFrame(type=head.type, event_id=head.event_id, frame=text)
        event = self._whole.decode_client(frame, binary)
        return event if isinstance(event, FrameRejected) else _told(event, self._looks)

    def encode_server(self, event: ServerEvent) -> str:
        """Return the frame in the peer's dialect; empty when that has none for it."""
        if not isinstance(event, PassedFrame):
            return self._whole.encode_server(event)
        renamed = _RENAMED.get(event.type)
        if renamed is not None and event.frame is not None:
            return event.frame.replace(event.type, renamed, 1)
        return self._whole.encode_server(self._ga.decode_server(text_of(event)))  # type: ignore[arg-type]


def _text_in(frame: str | bytes, binary: bool) -> str | None:
    """Return a frame's text, which data channels bring as bytes; None when it is none."""
    if isinstance(frame, str):
        return None if binary else frame
    try:
        return None if binary else frame.decode()
    except UnicodeDecodeError:
        return None


def client_side(dialect: Dialect, looks: frozenset[str]) -> ClientSide:
    return PassingCodec(looks) if dialect == "ga" else TranslatingCodec(dialect, looks)


# --- the service behind ------------------------------------------------------------------------

Reader = Callable[[str], tuple[UpstreamSaid, ...]]
Writer = Callable[[PassedFrame], str]


def upstream_reader(dialect: Dialect, looks: frozenset[str]) -> Reader:
    """Return what reads the frames of one upstream connection, in order."""
    if dialect == "ga":
        return _GaUpstream(looks).read
    return _PreviewUpstream(dialect, looks).read


def upstream_writer(dialect: Dialect) -> Writer:
    """Return what writes the frames for an upstream of this dialect."""
    if dialect == "ga":
        return text_of
    ga, whole = codec_for("ga"), codec_for(dialect)

    def write(frame: PassedFrame) -> str:
        if frame.type in _SAME_FROM_CLIENTS:
            return text_of(frame)
        event = ga.decode_client(text_of(frame))
        # What kaiwa cannot read, the service may answer for itself.
        return text_of(frame) if isinstance(event, FrameRejected) else whole.encode_client(_wire(event))

    return write


class _GaUpstream:
    def __init__(self, looks: frozenset[str]) -> None:
        self._looks = looks

    def read(self, frame: str) -> tuple[UpstreamSaid, ...]:
        try:
            head = _head(frame)
            body = _body(frame) if head.type in self._looks else None
        except (msgspec.DecodeError, UnicodeError, RecursionError):
            return ()
        if not head.type:
            return ()
        return (UpstreamSaid(type=head.type, event_id=head.event_id, frame=frame, body=body),)


class _PreviewUpstream:
    def __init__(self, dialect: Dialect, looks: frozenset[str]) -> None:
        self._looks = looks
        self._events = reader_of(dialect)
        self._ga = GaCodec(obfuscate=False)

    def read(self, frame: str) -> tuple[UpstreamSaid, ...]:
        try:
            head = _head(frame)
        except (msgspec.DecodeError, UnicodeError, RecursionError):
            return ()
        if (renamed := _RENAMED_BACK.get(head.type)) is not None:
            text = frame.replace(head.type, renamed, 1)
            body = _body(text) if renamed in self._looks else None
            return (UpstreamSaid(type=renamed, event_id=head.event_id, frame=text, body=body),)
        return tuple(self._as_ga(event) for event in self._events(frame) if _has_type(event))

    def _as_ga(self, event: ServerEvent | UnknownServerEvent) -> UpstreamSaid:
        text = self._ga.encode_server(event)
        head = _head(text)
        body = _body(text) if head.type in self._looks else None
        return UpstreamSaid(type=head.type, event_id=head.event_id, frame=text, body=body)


def _has_type(event: ServerEvent | UnknownServerEvent) -> bool:
    return not isinstance(event, UnknownServerEvent) or bool(event.type)


def _told(event: ClientEvent, looks: frozenset[str]) -> PassedFrame:
    """Return a decoded client event as a GA frame."""
    text = codec_for("ga").encode_client(_wire(event))
    head = _head(text)
    body = _body(text) if head.type in looks else None
    return PassedFrame(type=head.type, event_id=head.event_id, frame=text, body=body)


def _wire(event: ClientEvent) -> WireEvent:
    assert isinstance(event, WireEvent), "what a codec reads is a rejection or an event of the wire"
    return event
