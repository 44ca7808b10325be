"""The MessagePack hub protocol: one message to its value and back; cutting the stream is `framing`'s.

A message is an array that begins with its type; items beyond the known ones are ignored. Timestamps are
extension -1, which msgspec reads and writes as datetime.
Source: HubProtocol.md, "MessagePack (MsgPack) encoding".
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, TypeAlias, cast

import msgspec
from msgspec import UNSET, UnsetType

from kaiwa.protocol.signalr.faults import InvalidMessage
from kaiwa.protocol.signalr.framing import with_length
from kaiwa.protocol.signalr.messages import (
    Ack,
    CancelInvocation,
    Close,
    Completion,
    HubMessage,
    Invocation,
    Ping,
    Sequence,
    StreamInvocation,
    StreamItem,
)

UNREADABLE: Final = (msgspec.MsgspecError, RecursionError, ValueError, OverflowError, TypeError)
ERROR, VOID, NON_VOID = 1, 2, 3
_NO_HEADERS: Final[dict[str, str]] = {}

Headers: TypeAlias = dict[str, str]


class _Invocation(msgspec.Struct, array_like=True, tag=1, gc=False):
    headers: Headers
    invocation_id: str | None
    target: str
    arguments: list[Any]
    stream_ids: list[str] | None = None


class _StreamItem(msgspec.Struct, array_like=True, tag=2, gc=False):
    headers: Headers
    invocation_id: str
    item: Any


class _Completion(msgspec.Struct, array_like=True, tag=3, gc=False):
    headers: Headers
    invocation_id: str
    kind: int
    value: Any = UNSET


class _StreamInvocation(msgspec.Struct, array_like=True, tag=4, gc=False):
    headers: Headers
    invocation_id: str
    target: str
    arguments: list[Any]
    stream_ids: list[str] | None = None


class _CancelInvocation(msgspec.Struct, array_like=True, tag=5, gc=False):
    headers: Headers
    invocation_id: str


class _Ping(msgspec.Struct, array_like=True, tag=6, gc=False):
    pass


class _Close(msgspec.Struct, array_like=True, tag=7, gc=False):
    error: str | None
    allow_reconnect: bool = False


class _Ack(msgspec.Struct, array_like=True, tag=8, gc=False):
    sequence_id: int


class _Sequence(msgspec.Struct, array_like=True, tag=9, gc=False):
    sequence_id: int


_Wire: TypeAlias = (
    _Invocation
    | _StreamItem
    | _Completion
    | _StreamInvocation
    | _CancelInvocation
    | _Ping
    | _Close
    | _Ack
    | _Sequence
)

_decoder: msgspec.msgpack.Decoder[_Wire] = msgspec.msgpack.Decoder(_Wire)
_anything = msgspec.msgpack.Decoder()
_encoder = msgspec.msgpack.Encoder()


def decode(message: bytes) -> HubMessage | None:
    """Return the value of a message without its length, None for an unknown type. Raises InvalidMessage."""
    try:
        wire = _decoder.decode(message)
    except UNREADABLE:
        return _explain(message)
    return _READERS[type(wire)](wire)


def encode(message: HubMessage) -> bytes:
    """Return the message with its length before it. Raises TypeError for what MessagePack cannot hold."""
    return with_length(_encoder.encode(_WRITERS[type(message)](message)))


def _completion(wire: _Completion) -> Completion:
    if wire.kind == ERROR:
        if not isinstance(wire.value, str):
            raise InvalidMessage("Reading 'error' as String failed.")
        return Completion(wire.invocation_id, error=wire.value)
    if wire.kind == VOID:
        return Completion(wire.invocation_id)
    if wire.kind != NON_VOID:
        raise InvalidMessage("Invalid invocation result kind.")
    if wire.value is UNSET:
        raise InvalidMessage("Reading 'result' failed.")
    return Completion(wire.invocation_id, wire.value)


_READERS: Final[dict[type, Callable[[Any], HubMessage]]] = {
    _Invocation: lambda wire: Invocation(
        wire.target, wire.arguments, wire.invocation_id, wire.stream_ids or []
    ),
    _StreamItem: lambda wire: StreamItem(wire.invocation_id, wire.item),
    _Completion: _completion,
    _StreamInvocation: lambda wire: StreamInvocation(
        wire.invocation_id, wire.target, wire.arguments, wire.stream_ids or []
    ),
    _CancelInvocation: lambda wire: CancelInvocation(wire.invocation_id),
    _Ping: lambda wire: Ping(),
    _Close: lambda wire: Close(wire.error, wire.allow_reconnect),
    _Ack: lambda wire: Ack(wire.sequence_id),
    _Sequence: lambda wire: Sequence(wire.sequence_id),
}


_LAYOUT: Final[dict[int, list[str]]] = {
    1: ["headers", "invocationId?", "target", "arguments", "streamIds"],
    2: ["headers", "invocationId", "item"],
    3: ["headers", "invocationId", "resultKind"],
    4: ["headers", "invocationId", "target", "arguments", "streamIds"],
    5: ["headers", "invocationId"],
    6: [],
    7: ["error?", "allowReconnect"],
    8: ["sequenceId"],
    9: ["sequenceId"],
}


def _explain(message: bytes) -> None:
    """Raise what is wrong with a message the typed decoder refused; return when its type is unknown."""
    try:
        value = _anything.decode(message)
    except UNREADABLE as fault:
        raise InvalidMessage("Error reading MessagePack.") from fault
    if not isinstance(value, list):
        raise InvalidMessage("Reading array length for 'message' failed.")
    items = cast("list[Any]", value)
    if not items or not _is_int(items[0]):
        raise InvalidMessage("Reading 'messageType' as Int32 failed.")
    if items[0] not in _LAYOUT:
        return
    for index, name in enumerate(_LAYOUT[items[0]], start=1):
        _check(name, items[index] if index < len(items) else UNSET)
    raise InvalidMessage("Error reading MessagePack.")


def _check(name: str, found: Any) -> None:
    if name.endswith("?"):
        if found is None:
            return
        name = name[:-1]
    if name == "headers":
        _check_headers(found)
    elif name in ("arguments", "streamIds"):
        if not isinstance(found, list) and (name == "arguments" or found not in (None, UNSET)):
            raise InvalidMessage(f"Reading array length for '{name}' failed.")
    elif name in ("resultKind", "sequenceId"):
        if not _is_int(found):
            raise InvalidMessage(f"Reading '{name}' as Int32 failed.")
    elif name == "item":
        if found is UNSET:
            raise InvalidMessage("Reading 'item' failed.")
    elif name == "allowReconnect":
        if found is not UNSET and not isinstance(found, bool):
            raise InvalidMessage("Reading 'allowReconnect' as Boolean failed.")
    elif not isinstance(found, str):
        raise InvalidMessage(f"Reading '{name}' as String failed.")


def _check_headers(found: Any) -> None:
    if not isinstance(found, dict):
        raise InvalidMessage("Reading map length for 'headers' failed.")
    for index, (key, value) in enumerate(cast("dict[Any, Any]", found).items()):
        if not isinstance(key, str):
            raise InvalidMessage(f"Reading 'headers[{index}].Key' as String failed.")
        if not isinstance(value, str):
            raise InvalidMessage(f"Reading 'headers[{index}].Value' as String failed.")


def _is_int(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _write_call(kind: int, message: Invocation | StreamInvocation) -> list[Any]:
    return [
        kind,
        _NO_HEADERS,
        message.invocation_id,
        message.target,
        message.arguments,
        message.stream_ids,
    ]


def _write_completion(message: Completion) -> list[Any]:
    if message.error is not None:
        return [3, _NO_HEADERS, message.invocation_id, ERROR, message.error]
    if isinstance(message.result, UnsetType):
        return [3, _NO_HEADERS, message.invocation_id, VOID]
    return [3, _NO_HEADERS, message.invocation_id, NON_VOID, message.result]


_WRITERS: Final[dict[type, Callable[[Any], list[Any]]]] = {
    Invocation: lambda message: _write_call(1, message),
    StreamItem: lambda message: [2, _NO_HEADERS, message.invocation_id, message.item],
    Completion: _write_completion,
    StreamInvocation: lambda message: _write_call(4, message),
    CancelInvocation: lambda message: [5, _NO_HEADERS, message.invocation_id],
    Ping: lambda message: [6],
    Close: lambda message: [7, message.error, message.allow_reconnect],
    Ack: lambda message: [8, message.sequence_id],
    Sequence: lambda message: [9, message.sequence_id],
}
