"""What a hub connection tells its host: past facts, in the order in which the host must act on them."""

from __future__ import annotations

from typing import Any, TypeAlias

import msgspec
from msgspec import UNSET, UnsetType

from kaiwa.protocol.signalr.messages import Protocol


class HandshakeDone(msgspec.Struct, frozen=True):
    """The client is known. Run `on_connected`, then call `opened` (or `close` with the error)."""

    protocol: Protocol
    version: int


class Called(msgspec.Struct, frozen=True):
    """Start this method now; the machine has kept the order. End it with `finish(call, …)`, exactly once.

    `call` is the machine's own number: invocations without an id need one too. `streams` is true for a
    StreamInvocation. Items of `stream_ids` arrive as `UploadItem`.
    """

    call: int
    target: str
    arguments: list[Any]
    invocation_id: str | None
    stream_ids: list[str]
    streams: bool


class Cancelled(msgspec.Struct, frozen=True):
    """The client no longer wants this call: stop it. `finish` is still owed, with or without an error."""

    call: int


class UploadItem(msgspec.Struct, frozen=True):
    """An item for a stream parameter. After it was taken out of the host's queue, call `item_taken`."""

    call: int
    stream_id: str
    item: Any


class UploadEnded(msgspec.Struct, frozen=True):
    """No more items follow. With an error the reader gets it as a HubException."""

    call: int
    stream_id: str
    error: str | None


class ClientAnswered(msgspec.Struct, frozen=True):
    """The client's result for an invocation of `invoke_client`, or why there is none."""

    invocation_id: str
    result: Any | UnsetType = UNSET
    error: str | None = None


class Ended(msgspec.Struct, frozen=True):
    """The hub connection is over, the last happening.

    Write the bytes that are left, then close the transport (a WebSocket with 1000). Cancel what runs.
    `error` is what `on_disconnected` gets: None after a graceful end. `cause` says who ended it.
    """

    cause: str
    error: str | None = None


CLIENT_CLOSED = "client closed"
SERVER_CLOSED = "server closed"
PROTOCOL_BROKEN = "protocol broken"
CLIENT_SILENT = "client silent"
HANDSHAKE_REFUSED = "handshake refused"
TRANSPORT_LOST = "transport lost"
TOO_SLOW = "too slow"

Happening: TypeAlias = HandshakeDone | Called | Cancelled | UploadItem | UploadEnded | ClientAnswered | Ended
