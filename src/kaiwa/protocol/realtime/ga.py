"""The GA Realtime codec, both sides: client and server frames to events and back.

Knows the wire shape (reference B); knows no session state and never raises on what a peer sent. A frame
goes through one typed msgspec decoder; only what it refuses is read a second time, slowly, to be forgiven
or faulted in the service's words.
"""

from __future__ import annotations

import hashlib
from base64 import b64encode
from itertools import takewhile
from typing import Any, Final, cast

import msgspec
import msgspec.inspect as kinds

from kaiwa.errors import PeerError
from kaiwa.events import server
from kaiwa.events.client import AudioAppended, ClientEvent, FrameRejected, WireEvent
from kaiwa.events.server import ServerEvent
from kaiwa.events.value import Value
from kaiwa.protocol.realtime import faults, habits, rules
from kaiwa.protocol.realtime.shape import LENIENT, fit

_UNREADABLE = (msgspec.DecodeError, UnicodeError, RecursionError)
_CLIENT_KINDS: Final = kinds.type_info(WireEvent)
_SERVER_KINDS: Final = kinds.type_info(ServerEvent)
# Delta and padding together fill a multiple of this, so that sizes tell little about words.
_PADDED_TO: Final = 16


class UnknownServerEvent(Value, frozen=True, kw_only=True):
    """An upstream frame outside kaiwa's vocabulary, kept whole so that it can be passed on.

    `type` is empty when the frame was not a JSON object with a type.
    """

    type: str
    event_id: str | None = None
    body: dict[str, Any]


def _tags(union: kinds.Type) -> frozenset[str]:
    assert isinstance(union, kinds.UnionType), "events are a union of structs"
    return frozenset(str(cast(kinds.StructType, struct).tag) for struct in union.types)


_CLIENT_TYPES: Final = _tags(_CLIENT_KINDS)
_SERVER_TYPES: Final = _tags(_SERVER_KINDS)


class GaCodec:
    """Stateless; one instance may serve any number of connections.

    `obfuscate` adds the padding that the service sends with deltas of text.
    """

    def __init__(self, *, obfuscate: bool = True) -> None:
        self._obfuscate = obfuscate
        self._client: msgspec.json.Decoder[WireEvent] = msgspec.json.Decoder(WireEvent)
        self._server: msgspec.json.Decoder[ServerEvent] = msgspec.json.Decoder(ServerEvent)
        self._encoder = msgspec.json.Encoder()

    def decode_client(self, frame: str | bytes, binary: bool = False) -> ClientEvent:
        """Return the event in a client's frame, or FrameRejected when it cannot be read.

        `binary` says that the frame came as a binary message, which the protocol does not know.
        """
        if binary:
            return _rejected(faults.binary_frame(), None)
        try:
            event = self._client.decode(frame)
        except _UNREADABLE:
            return _reread(frame)
        if type(event) is AudioAppended and len(event.audio) <= rules.APPEND_LIMIT_BYTES:
            return event
        try:
            rules.check(event)
        except PeerError as fault:
            return _rejected(fault, event.event_id)
        return event

    def encode_server(self, event: ServerEvent | UnknownServerEvent) -> str:
        """Return the frame a client receives."""
        if isinstance(event, UnknownServerEvent):
            return self._encoder.encode(event.body).decode()
        frame = self._encoder.encode(event)
        if isinstance(event, _PADDED) and self._obfuscate and event.obfuscation is msgspec.UNSET:
            padding = _padding(event.event_id, len(event.delta))
            frame = b'%b,"obfuscation":"%b"}' % (frame[:-1], padding)
        return frame.decode()

    def encode_client(self, event: WireEvent) -> str:
        """Return the frame an upstream receives. Ids that are None are left out; settings keep nulls."""
        if type(event) is AudioAppended:
            frame = self._encoder.encode(event)
            return (
                frame.replace(b'"event_id":null,', b"", 1).decode()
                if event.event_id is None
                else frame.decode()
            )
        body = {key: value for key, value in _builtins(event).items() if value is not None}
        _drop_null_tool_keys(body)
        return self._encoder.encode(body).decode()

    def decode_server(self, frame: str | bytes) -> ServerEvent | UnknownServerEvent:
        """Return the event in an upstream's frame. Unknown fields are tolerated, unknown events are kept."""
        try:
            return self._server.decode(frame)
        except _UNREADABLE:
            return _reread_server(frame)


_PADDED = (server.TextDelta, server.TranscriptDelta, server.ArgumentsDelta, server.InputTranscriptionDelta)


def _padding(event_id: str, length: int) -> bytes:
    # Derived from the id, so that a transcript with counted ids is the same on every run.
    digest = b64encode(hashlib.sha256(event_id.encode("utf-8", "replace")).digest())
    letters = digest.translate(None, b"+/=")
    return letters[: _PADDED_TO - length % _PADDED_TO]


def _reread(frame: str | bytes) -> ClientEvent:
    try:
        raw = msgspec.json.decode(frame)
    except _UNREADABLE:
        return _rejected(faults.invalid_json(), None)
    event_id = _key(raw, "event_id")
    try:
        return _forgive(raw)
    except PeerError as fault:
        return _rejected(fault, event_id)
    except RecursionError:
        return _rejected(faults.unreadable(None), event_id)


def _forgive(raw: Any) -> WireEvent:
    """Read a frame the decoder refused, forgiving the habits of stock clients. Raises PeerError."""
    if not isinstance(raw, dict):
        raise faults.not_an_object(faults.json_kind(raw))
    body = cast(dict[str, Any], raw)
    if "type" not in body:
        raise faults.type_missing()
    name = body["type"]
    if not isinstance(name, str):
        raise faults.type_not_a_string(faults.json_kind(name))
    if name not in _CLIENT_TYPES:
        raise faults.unknown_type(name)
    _check_raw_parts(body)
    kept = fit(body, _CLIENT_KINDS, tolerance=habits.OF_CLIENTS)
    try:
        event = msgspec.convert(kept, WireEvent)
    except msgspec.ValidationError:
        raise faults.unreadable(None) from None
    rules.check(event)
    return event


def _check_raw_parts(body: dict[str, Any]) -> None:
    """Name the parts a role may hold, not all that exist, when a part's type is unknown."""
    item = body.get("item")
    role, content = _key(item, "role"), _key(item, "content")
    if isinstance(role, str) and role in rules.PARTS_BY_ROLE and isinstance(content, list):
        types = [_key(part, "type") for part in cast(list[Any], content)]
        known = list(takewhile(lambda kind: isinstance(kind, str), types))
        rules.check_part_types(role, known, "item")


def _key(value: Any, name: str) -> Any:
    return cast(dict[str, Any], value).get(name) if isinstance(value, dict) else None


def _rejected(fault: PeerError, event_id: object) -> FrameRejected:
    return FrameRejected(
        code=fault.code,
        message=fault.message,
        param=fault.param,
        rejected_event_id=event_id if isinstance(event_id, str) else None,
        error_type=fault.type,
    )


def _builtins(event: WireEvent) -> dict[str, Any]:
    return cast(dict[str, Any], msgspec.to_builtins(event))


def _drop_null_tool_keys(body: dict[str, Any]) -> None:
    # A tool's null is nothing to clear, and upstream validators refuse some of them.
    for holder in (body.get("session"), body.get("response")):
        if isinstance(holder, dict):
            owner = cast(dict[str, Any], holder)
            tools = owner.get("tools")
            if isinstance(tools, list | tuple):
                listed = cast(list[dict[str, Any]], tools)
                owner["tools"] = [{k: v for k, v in tool.items() if v is not None} for tool in listed]


def _reread_server(frame: str | bytes) -> ServerEvent | UnknownServerEvent:
    try:
        raw = msgspec.json.decode(frame)
    except _UNREADABLE:
        return UnknownServerEvent(type="", body={})
    if not isinstance(raw, dict):
        return UnknownServerEvent(type="", body={})
    body = cast(dict[str, Any], raw)
    name, event_id = body.get("type"), body.get("event_id")
    if isinstance(name, str) and name in _SERVER_TYPES:
        try:
            return msgspec.convert(fit(body, _SERVER_KINDS, tolerance=LENIENT), ServerEvent)
        except (PeerError, msgspec.ValidationError, RecursionError):
            pass
    return UnknownServerEvent(
        type=name if isinstance(name, str) else "",
        event_id=event_id if isinstance(event_id, str) else None,
        body=body,
    )
