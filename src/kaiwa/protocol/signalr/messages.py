"""The messages of the hub protocol, as values; knows nothing of how they look on the wire.

Arguments, items and results are plain decoded values (str, int, list, dict, bytes, datetime, …); whoever
calls a method converts them with `msgspec.convert`. Outgoing ones may be anything msgspec encodes.
Source: HubProtocol.md of ASP.NET Core, sections "Invocation" to "Sequence".
"""

from __future__ import annotations

from typing import Any, Literal, TypeAlias

import msgspec
from msgspec import UNSET, UnsetType

Protocol: TypeAlias = Literal["json", "messagepack"]
"""The name a protocol has in the handshake."""


class Invocation(msgspec.Struct, frozen=True):
    """Call a method; with an id exactly one Completion is owed, without one nothing ever."""

    target: str
    arguments: list[Any] = []
    invocation_id: str | None = None
    stream_ids: list[str] = []


class StreamInvocation(msgspec.Struct, frozen=True):
    """Call a method that answers with items, then a Completion without a result."""

    invocation_id: str
    target: str
    arguments: list[Any] = []
    stream_ids: list[str] = []


class StreamItem(msgspec.Struct, frozen=True):
    """One item of a stream: of an invocation's answer, or of an upload (then the id is the stream's)."""

    invocation_id: str
    item: Any


class Completion(msgspec.Struct, frozen=True):
    """The end of an invocation or of an upload. No result (UNSET) is not the result None."""

    invocation_id: str
    result: Any | UnsetType = UNSET
    error: str | None = None


class CancelInvocation(msgspec.Struct, frozen=True):
    invocation_id: str


class Ping(msgspec.Struct, frozen=True):
    pass


class Close(msgspec.Struct, frozen=True):
    error: str | None = None
    allow_reconnect: bool = False


class Ack(msgspec.Struct, frozen=True):
    """The newest message id that arrived (stateful reconnect)."""

    sequence_id: int


class Sequence(msgspec.Struct, frozen=True):
    """The id of the next message that follows on this transport: the oldest that is not acknowledged."""

    sequence_id: int


HubMessage: TypeAlias = (
    Invocation | StreamInvocation | StreamItem | Completion | CancelInvocation | Ping | Close | Ack | Sequence
)

TRACKED = (Invocation, StreamItem, Completion, StreamInvocation, CancelInvocation)
"""The messages that stateful reconnect numbers, keeps and sends again (types 1 to 5)."""
