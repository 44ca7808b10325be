"""The server's side of one hub connection, whatever carries it; no socket, no clock, no task.

Feed it (`receive_bytes`, `opened`, `finish`, …), then drain it: `happenings()` says what to do, `take_frame()` or
`take_payload()` what to write. `now` is any clock that never goes back, in seconds. It never raises on what the
client sent: it answers and closes.
"""

from __future__ import annotations

from typing import Any

from msgspec import UNSET, UnsetType

from kaiwa.protocol.signalr.encoding import Outgoing
from kaiwa.protocol.signalr.happenings import Happening
from kaiwa.protocol.signalr.limits import Limits
from kaiwa.protocol.signalr.messages import HubMessage, Protocol


class ServerConnection:
    """`binary`: the transport carries bytes (not SSE). `pings`: it needs keep-alive (not long polling).
    `stateful`: negotiate granted stateful reconnect; it holds only if the client shakes hands with version 2.
    """

    protocol: Protocol | None
    """Known from HandshakeDone on."""

    def __init__(
        self,
        limits: Limits,
        now: float,
        *,
        binary: bool = True,
        pings: bool = True,
        stateful: bool = False,
    ) -> None: ...

    # What comes from the transport.
    def receive_bytes(self, data: bytes, now: float) -> None:
        """Take bytes of the client, cut anywhere. While `wants_input` is false they are kept: stop reading."""

    def transport_lost(self, now: float, error: str | None = None) -> None:
        """The transport is gone without a Close. Stateful: wait for `transport_attached`; else Ended follows."""

    def transport_attached(self, now: float) -> None:
        """A new transport took the place of the old one (stateful only; the old one need not be reported lost)."""

    # What the host wants.
    def opened(self, now: float) -> None:
        """`on_connected` is done: calls may start now."""

    def send(self, message: HubMessage | Outgoing, now: float) -> None:
        """Queue a message. Raises TypeError when it cannot be encoded, and then has changed nothing.

        A connection that ended ignores it. For a broadcast make one Outgoing and pass it to every connection.
        """

    def send_item(self, call: int, item: Any, now: float) -> None:
        """Queue an item of a streaming call; ignored for a call that is over. Raises TypeError as `send`."""

    def finish(self, call: int, now: float, *, result: Any | UnsetType = UNSET, error: str | None = None) -> None:
        """End a call: send its Completion if one is owed, end its uploads, start what waited for it.

        Raises TypeError when the result cannot be encoded; the call then still runs.
        """

    def item_taken(self, call: int, stream_id: str, now: float) -> None:
        """The method took an UploadItem out of its queue: there is room for another."""

    def invoke_client(self, invocation_id: str, target: str, arguments: list[Any], now: float) -> None:
        """Call a method of the client; `ClientAnswered` with this id follows, whatever happens.

        The id must be unique, also against the client's stream ids ("1", "2", …): give it a prefix.
        """

    def close(
        self, now: float, *, error: str | None = None, allow_reconnect: bool = False, cause: str = "server closed"
    ) -> None:
        """Say Close and end; no resuming afterwards. Shutting down: `allow_reconnect=True`."""

    # Time.
    def next_timer(self) -> float | None:
        """When `handle_timer` wants to be called next; moves with every call of this machine."""

    def handle_timer(self, now: float) -> None: ...

    # Draining.
    def happenings(self) -> list[Happening]:
        """Drain what happened, in order."""

    def take_frame(self) -> bytes:
        """Drain the output as one WebSocket frame (text for JSON, binary for MessagePack); b"" if there is none."""

    def take_payload(self) -> bytes:
        """Drain the output as bytes for SSE and long polling; b"" if there is none."""

    @property
    def has_output(self) -> bool: ...

    @property
    def wants_input(self) -> bool:
        """False: stop reading the transport (greeting, too many waiting invocations, a full upload)."""

    @property
    def may_send(self) -> bool:
        """False: the client acknowledges too slowly (stateful); let streams and invocations wait."""

    @property
    def resumable(self) -> bool:
        """True while a lost transport may be replaced."""

    @property
    def ended(self) -> bool: ...
