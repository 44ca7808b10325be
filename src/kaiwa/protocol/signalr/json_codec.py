"""The JSON hub protocol: one message in UTF-8 to its value and back; cutting the stream is `framing`'s.

One typed decoder reads whatever is right; only what it refuses is read again, slowly, for the words of the
fault.
Properties may come in any order, unknown ones and unknown types are ignored, null counts as absent.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, cast

import msgspec
from msgspec import UNSET, UnsetType

from kaiwa.protocol.signalr.faults import InvalidMessage
from kaiwa.protocol.signalr.framing import RECORD_SEPARATOR
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

UNREADABLE: Final = (msgspec.MsgspecError, RecursionError, ValueError, OverflowError)


class _Wire(msgspec.Struct, rename="camel", gc=False):
    """Every property a message may have."""

    type: int
    target: str | None = None
    arguments: list[Any] | None = None
    invocation_id: str | None = None
    stream_ids: list[str] | None = None
    item: Any = UNSET
    result: Any = UNSET
    error: str | None = None
    allow_reconnect: bool | None = None
    sequence_id: int | None = None
    headers: dict[str, str] | None = None


_decoder = msgspec.json.Decoder(_Wire)
_anything = msgspec.json.Decoder()
_encoder = msgspec.json.Encoder()


def decode(message: bytes) -> HubMessage | None:
    """Return the value of a message without its terminator, None for a type nobody knows.

    Raises InvalidMessage.
    """
    try:
        wire = _decoder.decode(message)
    except UNREADABLE:
        return _explain(message)
    read = _READERS.get(wire.type)
    return None if read is None else read(wire)


def encode(message: HubMessage) -> bytes:
    """Return the message with its terminator. Raises TypeError for what JSON cannot hold."""
    return _encoder.encode(_WRITERS[type(message)](message)) + RECORD_SEPARATOR


def _required(value: Any, name: str) -> Any:
    if value is None or value is UNSET:
        raise InvalidMessage(f"Missing required property '{name}'.")
    return value


def _invocation(wire: _Wire) -> Invocation:
    target = _required(wire.target, "target")
    arguments = _required(wire.arguments, "arguments")
    return Invocation(target, arguments, wire.invocation_id, wire.stream_ids or [])


def _stream_invocation(wire: _Wire) -> StreamInvocation:
    invocation_id = _required(wire.invocation_id, "invocationId")
    target = _required(wire.target, "target")
    return StreamInvocation(
        invocation_id, target, _required(wire.arguments, "arguments"), wire.stream_ids or []
    )


def _stream_item(wire: _Wire) -> StreamItem:
    invocation_id = _required(wire.invocation_id, "invocationId")
    if wire.item is UNSET:
        raise InvalidMessage("Missing required property 'item'.")
    return StreamItem(invocation_id, wire.item)


def _completion(wire: _Wire) -> Completion:
    invocation_id = _required(wire.invocation_id, "invocationId")
    if wire.error is not None and wire.result is not UNSET:
        raise InvalidMessage("The 'error' and 'result' properties are mutually exclusive.")
    return Completion(invocation_id, wire.result, wire.error)


_READERS: Final[dict[int, Callable[[_Wire], HubMessage]]] = {
    1: _invocation,
    2: _stream_item,
    3: _completion,
    4: _stream_invocation,
    5: lambda wire: CancelInvocation(_required(wire.invocation_id, "invocationId")),
    6: lambda wire: Ping(),
    7: lambda wire: Close(wire.error, bool(wire.allow_reconnect)),
    8: lambda wire: Ack(_required(wire.sequence_id, "sequenceId")),
    9: lambda wire: Sequence(_required(wire.sequence_id, "sequenceId")),
}


def _explain(message: bytes) -> None:
    """Raise what is wrong with a message the typed decoder refused; return when its type is unknown."""
    try:
        value = _anything.decode(message)
    except UNREADABLE as fault:
        raise InvalidMessage("Error reading JSON.") from fault
    if not isinstance(value, dict):
        raise InvalidMessage(f"Unexpected JSON Token Type '{_token(value)}'. Expected a JSON Object.")
    properties = cast("dict[str, Any]", value)
    kind = properties.get("type", UNSET)
    if kind is UNSET:
        raise InvalidMessage("Missing required property 'type'.")
    if isinstance(kind, int) and not isinstance(kind, bool) and kind not in _READERS:
        return
    for name, found in properties.items():
        _check(name, found)
    raise InvalidMessage("Error reading JSON.")


_EXPECTED: Final[dict[str, tuple[type, str]]] = {
    "type": (int, "Number"),
    "target": (str, "String"),
    "arguments": (list, "Array"),
    "invocationId": (str, "String"),
    "streamIds": (list, "Array"),
    "error": (str, "String"),
    "allowReconnect": (bool, "Boolean"),
    "sequenceId": (int, "Number"),
    "headers": (dict, "Object"),
}


def _check(name: str, found: Any) -> None:
    if name not in _EXPECTED or (found is None and name != "type"):
        return
    kind, called = _EXPECTED[name]
    if not isinstance(found, kind) or (kind is int and isinstance(found, bool)):
        raise InvalidMessage(f"Expected '{name}' to be of type {called}.")
    if name == "headers":
        for header, value in cast("dict[str, Any]", found).items():
            if not isinstance(value, str):
                raise InvalidMessage(f"Expected header '{header}' to be of type String.")
    if name == "streamIds" and not all(isinstance(one, str) for one in cast("list[Any]", found)):
        raise InvalidMessage("Expected 'streamIds' to hold only values of type String.")


def _token(value: Any) -> str:
    if value is None:
        return "Null"
    if isinstance(value, bool):
        return "True" if value else "False"
    if isinstance(value, list):
        return "Array"
    return "String" if isinstance(value, str) else "Number"


def _write_call(kind: int, message: Invocation | StreamInvocation) -> dict[str, Any]:
    wire: dict[str, Any] = {"type": kind}
    if message.invocation_id is not None:
        wire["invocationId"] = message.invocation_id
    wire["target"] = message.target
    wire["arguments"] = message.arguments
    if message.stream_ids:
        wire["streamIds"] = message.stream_ids
    return wire


def _write_completion(message: Completion) -> dict[str, Any]:
    wire: dict[str, Any] = {"type": 3, "invocationId": message.invocation_id}
    if message.error is not None:
        wire["error"] = message.error
    elif not isinstance(message.result, UnsetType):
        wire["result"] = message.result
    return wire


def _write_close(message: Close) -> dict[str, Any]:
    wire: dict[str, Any] = {"type": 7}
    if message.error is not None:
        wire["error"] = message.error
    if message.allow_reconnect:
        wire["allowReconnect"] = True
    return wire


_WRITERS: Final[dict[type, Callable[[Any], dict[str, Any]]]] = {
    Invocation: lambda message: _write_call(1, message),
    StreamItem: lambda message: {"type": 2, "invocationId": message.invocation_id, "item": message.item},
    Completion: _write_completion,
    StreamInvocation: lambda message: _write_call(4, message),
    CancelInvocation: lambda message: {"type": 5, "invocationId": message.invocation_id},
    Ping: lambda message: {"type": 6},
    Close: _write_close,
    Ack: lambda message: {"type": 8, "sequenceId": message.sequence_id},
    Sequence: lambda message: {"type": 9, "sequenceId": message.sequence_id},
}
