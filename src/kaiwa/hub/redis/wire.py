"""What the channels carry, as MessagePack arrays (rule S-62): values to bytes and back. Knows no channel.

Items beyond the known ones are ignored. A message is in there once for each hub protocol, as clients get it.
Source: RedisProtocol.cs of ASP.NET Core.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Final, NamedTuple, get_args

import msgspec
from msgspec import UNSET

from kaiwa.hub.backplane import Answer, ClientCall, GroupCommand
from kaiwa.protocol.signalr import json_codec, messagepack_codec
from kaiwa.protocol.signalr.encoding import ENCODERS, Outgoing
from kaiwa.protocol.signalr.faults import InvalidMessage
from kaiwa.protocol.signalr.framing import LARGEST_LENGTH, LengthCutter, RecordCutter
from kaiwa.protocol.signalr.messages import Completion, HubMessage, Invocation, Protocol

PROTOCOLS: Final[tuple[Protocol, ...]] = get_args(Protocol)
_ADD, _REMOVE = 1, 2


class Unreadable(Exception):
    """Somebody published what is none of these."""


class Carried(msgspec.Struct, array_like=True, frozen=True):
    """A message for clients; with an id a call whose result is to be published on `returns`."""

    excluded: list[str] | None
    payloads: dict[str, bytes]
    invocation_id: str | None = None
    returns: str | None = None


class _Command(msgspec.Struct, array_like=True):
    id: int
    server: str
    action: int
    group: str
    connection_id: str


class Commanded(NamedTuple):
    id: int
    server: str
    command: GroupCommand


class _Ack(msgspec.Struct, array_like=True):
    id: int


class _Returned(msgspec.Struct, array_like=True):
    protocol: str
    completion: bytes


_encoder = msgspec.msgpack.Encoder()
_carried = msgspec.msgpack.Decoder(Carried)
_command = msgspec.msgpack.Decoder(_Command)
_ack = msgspec.msgpack.Decoder(_Ack)
_returned = msgspec.msgpack.Decoder(_Returned)


def write_message(message: Outgoing, excluded: Collection[str]) -> bytes:
    """Raises TypeError for arguments that a protocol cannot hold."""
    payloads = {protocol: message.encoded(protocol).payload for protocol in PROTOCOLS}
    return _encoder.encode((sorted(excluded), payloads))


def write_call(call: ClientCall, returns: str) -> bytes:
    """Raises TypeError for arguments that a protocol cannot hold."""
    message = Outgoing(Invocation(call.target, call.arguments, call.invocation_id))
    payloads = {protocol: message.encoded(protocol).payload for protocol in PROTOCOLS}
    return _encoder.encode(((), payloads, call.invocation_id, returns))


def read_carried(data: bytes) -> Carried:
    return _read(_carried, data)


def message_of(carried: Carried) -> Outgoing:
    """Return the message as it came; what a server did not write in one of our protocols is translated.

    Raises Unreadable.
    """
    payloads: dict[Protocol, bytes] = {
        name: carried.payloads[name] for name in PROTOCOLS if name in carried.payloads
    }
    if len(payloads) < len(PROTOCOLS):
        message = _any_of(carried.payloads)
        try:
            payloads |= {name: ENCODERS[name](message) for name in PROTOCOLS if name not in payloads}
        except TypeError as fault:
            raise Unreadable from fault
    return Outgoing.from_payloads(payloads)


def call_of(carried: Carried) -> ClientCall:
    """Raises Unreadable."""
    message = _any_of(carried.payloads)
    if not isinstance(message, Invocation) or carried.invocation_id is None:
        raise Unreadable
    return ClientCall(carried.invocation_id, message.target, message.arguments)


def protocol_for_answer(carried: Carried) -> Protocol:
    """Return a protocol that the server which asks can read: it wrote one."""
    return "messagepack" if "messagepack" in carried.payloads else "json"


def write_command(id: int, server: str, command: GroupCommand) -> bytes:
    action = _ADD if command.action == "add" else _REMOVE
    return _encoder.encode((id, server, action, command.group, command.connection_id))


def read_command(data: bytes) -> Commanded:
    """Raises Unreadable, for an unknown action too."""
    found = _read(_command, data)
    if found.action not in (_ADD, _REMOVE):
        raise Unreadable
    action = "add" if found.action == _ADD else "remove"
    return Commanded(found.id, found.server, GroupCommand(action, found.group, found.connection_id))


def write_ack(id: int) -> bytes:
    return _encoder.encode((id,))


def read_ack(data: bytes) -> int:
    return _read(_ack, data).id


def write_answer(invocation_id: str, answer: Answer, protocol: Protocol) -> bytes:
    """Raises TypeError for a result that the protocol cannot hold."""
    if answer.error is not None:
        completion = Completion(invocation_id, error=answer.error)
    else:
        completion = Completion(invocation_id, answer.result)
    return _encoder.encode((protocol, ENCODERS[protocol](completion)))


def read_answer(data: bytes) -> tuple[str, Answer]:
    """Return the invocation's id and what came of it. Raises Unreadable."""
    found = _read(_returned, data)
    completion = _any_of({found.protocol: found.completion})
    if not isinstance(completion, Completion):
        raise Unreadable
    result = None if completion.result is UNSET else completion.result
    return completion.invocation_id, Answer(result, completion.error)


def _read(decoder: msgspec.msgpack.Decoder[Any], data: bytes) -> Any:
    try:
        return decoder.decode(data)
    except (msgspec.MsgspecError, ValueError, RecursionError) as fault:
        raise Unreadable from fault


def _any_of(payloads: dict[str, bytes]) -> HubMessage:
    """Return the message of one of the payloads, MessagePack first: it keeps more of the values' types."""
    try:
        if "messagepack" in payloads:
            lengths = LengthCutter(LARGEST_LENGTH)
            lengths.feed(payloads["messagepack"])
            message = messagepack_codec.decode(lengths.next() or b"")
        else:
            records = RecordCutter(LARGEST_LENGTH)
            records.feed(payloads["json"])
            message = json_codec.decode(records.next() or b"")
    except (InvalidMessage, KeyError) as fault:
        raise Unreadable from fault
    if message is None:
        raise Unreadable
    return message
