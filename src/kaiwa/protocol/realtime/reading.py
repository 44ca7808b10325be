"""Reads frames of one dialect: fast when they are right, slowly and once more when they are not.

Knows how a frame becomes a typed event, a rejection or an unknown event; the dialect says which events
there are, what is forgiven and what else must hold. Never raises on what a peer sent.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import takewhile
from typing import Any, Final, cast

import msgspec
import msgspec.inspect as kinds

from kaiwa.errors import PeerError
from kaiwa.events.client import AudioAppended, ClientEvent, FrameRejected, WireEvent
from kaiwa.events.value import Value
from kaiwa.protocol.realtime import faults, rules
from kaiwa.protocol.realtime.shape import LENIENT, Tolerance, fit

_UNREADABLE: Final = (msgspec.DecodeError, UnicodeError, RecursionError)


class UnknownServerEvent(Value, frozen=True, kw_only=True):
    """An upstream frame outside kaiwa's vocabulary, kept whole so that it can be passed on.

    `type` is empty when the frame was not a JSON object with a type.
    """

    type: str
    event_id: str | None = None
    body: dict[str, Any]


class ClientReader:
    """Reads what clients send. `finish` turns a value of `union` into an event or raises PeerError."""

    def __init__(
        self,
        union: Any,
        *,
        tolerance: Tolerance,
        parts: Mapping[str, tuple[str, ...]],
        finish: Callable[[Any], WireEvent],
    ) -> None:
        self._union = union
        self._decoder: msgspec.json.Decoder[Any] = msgspec.json.Decoder(union)
        self._kinds = kinds.type_info(union)
        self._types = _tags(self._kinds)
        self._tolerance = tolerance
        self._parts = parts
        self._finish = finish

    def read(self, frame: str | bytes, binary: bool = False) -> ClientEvent:
        """Return the event in a frame, or FrameRejected when it cannot be read.

        `binary` says that the frame came as a binary message, which the protocol does not know.
        """
        if binary:
            return _rejected(faults.binary_frame(), None)
        try:
            event = self._decoder.decode(frame)
        except _UNREADABLE:
            return self._reread(frame)
        if type(event) is AudioAppended and len(event.audio) <= rules.APPEND_LIMIT_BYTES:
            return event
        try:
            return self._finish(event)
        except PeerError as fault:
            return _rejected(fault, event.event_id)

    def _reread(self, frame: str | bytes) -> ClientEvent:
        try:
            raw = msgspec.json.decode(frame)
        except _UNREADABLE:
            return _rejected(faults.invalid_json(), None)
        event_id = _key(raw, "event_id")
        try:
            return self._forgive(raw)
        except PeerError as fault:
            return _rejected(fault, event_id)
        except RecursionError:
            return _rejected(faults.unreadable(None), event_id)

    def _forgive(self, raw: Any) -> WireEvent:
        """Read a frame the decoder refused, forgiving the habits of stock clients. Raises PeerError."""
        if not isinstance(raw, dict):
            raise faults.not_an_object(faults.json_kind(raw))
        body = cast(dict[str, Any], raw)
        if "type" not in body:
            raise faults.type_missing()
        name = body["type"]
        if not isinstance(name, str):
            raise faults.type_not_a_string(faults.json_kind(name))
        if name not in self._types:
            raise faults.unknown_type(name)
        self._check_raw_parts(body)
        kept = fit(body, self._kinds, tolerance=self._tolerance)
        try:
            event = msgspec.convert(kept, self._union)
        except msgspec.ValidationError:
            raise faults.unreadable(None) from None
        return self._finish(event)

    def _check_raw_parts(self, body: dict[str, Any]) -> None:
        """Name the parts a role may hold, not all that exist, when a part's type is unknown."""
        item = body.get("item")
        role, content = _key(item, "role"), _key(item, "content")
        if isinstance(role, str) and role in self._parts and isinstance(content, list):
            types = [_key(part, "type") for part in cast(list[Any], content)]
            known = list(takewhile(lambda kind: isinstance(kind, str), types))
            rules.check_part_types(role, known, "item", self._parts)


class ServerReader:
    """Reads what upstreams send. Unknown fields are tolerated, unknown events are kept."""

    def __init__(self, union: Any) -> None:
        self._union = union
        self._decoder: msgspec.json.Decoder[Any] = msgspec.json.Decoder(union)
        self._kinds = kinds.type_info(union)
        self._types = _tags(self._kinds)

    def read(self, frame: str | bytes) -> Any:
        """Return a value of the union, or UnknownServerEvent."""
        try:
            return self._decoder.decode(frame)
        except _UNREADABLE:
            return self._reread(frame)

    def _reread(self, frame: str | bytes) -> Any:
        try:
            raw = msgspec.json.decode(frame)
        except _UNREADABLE:
            return UnknownServerEvent(type="", body={})
        if not isinstance(raw, dict):
            return UnknownServerEvent(type="", body={})
        body = cast(dict[str, Any], raw)
        name, event_id = body.get("type"), body.get("event_id")
        if isinstance(name, str) and name in self._types:
            try:
                return msgspec.convert(fit(body, self._kinds, tolerance=LENIENT), self._union)
            except (PeerError, msgspec.ValidationError, RecursionError):
                pass
        return UnknownServerEvent(
            type=name if isinstance(name, str) else "",
            event_id=event_id if isinstance(event_id, str) else None,
            body=body,
        )


def _tags(union: kinds.Type) -> frozenset[str]:
    assert isinstance(union, kinds.UnionType), "events are a union of structs"
    return frozenset(str(cast(kinds.StructType, struct).tag) for struct in union.types)


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
