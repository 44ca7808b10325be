"""The client's side of one hub connection, as a machine for tests, fakes and load; no socket, clock or task.

It sends what it is told to send, also nonsense (`send_bytes`), and returns what the server said as messages.
In a stateful connection it numbers, acknowledges and sends again as the stock clients do.
"""

from __future__ import annotations

from itertools import count
from typing import Any

from kaiwa.protocol.signalr import handshake
from kaiwa.protocol.signalr.encoding import Encoded, Outgoing
from kaiwa.protocol.signalr.framing import RecordCutter
from kaiwa.protocol.signalr.messages import (
    Ack,
    CancelInvocation,
    Completion,
    HubMessage,
    Invocation,
    Protocol,
    Sequence,
    StreamInvocation,
    StreamItem,
)
from kaiwa.protocol.signalr.reading import MessageReader
from kaiwa.protocol.signalr.resuming import ResumeBuffer

_LARGEST = 64 * 1024 * 1024


class ClientConnection:
    """`stateful`: shake hands with version 2, number and acknowledge messages."""

    def __init__(
        self, protocol: Protocol = "json", *, stateful: bool = False, buffer_bytes: int = 100_000
    ) -> None:
        self.protocol: Protocol = protocol
        self.response: handshake.HandshakeResponse | None = None
        """The server's answer to the handshake."""
        self._ids = count(1)
        self._greeting = RecordCutter(_LARGEST)
        self._reader = MessageReader(protocol, _LARGEST)
        self._resume = ResumeBuffer(buffer_bytes, 1.0) if stateful else None
        self._output: list[bytes] = []
        self._heard: list[HubMessage] = []
        self._attached = True

    # What the client says.
    def shake_hands(self, *, version: int | None = None) -> None:
        if version is None:
            version = 1 if self._resume is None else handshake.RESUMING_VERSION
        self.send_bytes(handshake.encode_request(handshake.HandshakeRequest(self.protocol, version)))

    def invoke(self, target: str, *arguments: Any, stream_ids: list[str] | None = None) -> str:
        """Call a method and want its Completion; returns the invocation id."""
        invocation_id = str(next(self._ids))
        self.send(Invocation(target, list(arguments), invocation_id, stream_ids or []))
        return invocation_id

    def call(self, target: str, *arguments: Any, stream_ids: list[str] | None = None) -> None:
        """Call a method and want no answer."""
        self.send(Invocation(target, list(arguments), None, stream_ids or []))

    def stream(self, target: str, *arguments: Any, stream_ids: list[str] | None = None) -> str:
        invocation_id = str(next(self._ids))
        self.send(StreamInvocation(invocation_id, target, list(arguments), stream_ids or []))
        return invocation_id

    def upload_id(self) -> str:
        """Return a new id for `stream_ids`."""
        return str(next(self._ids))

    def upload(self, stream_id: str, *items: Any) -> None:
        for item in items:
            self.send(StreamItem(stream_id, item))

    def end_upload(self, stream_id: str, error: str | None = None) -> None:
        self.send(Completion(stream_id, error=error))

    def cancel(self, invocation_id: str) -> None:
        self.send(CancelInvocation(invocation_id))

    def send(self, message: HubMessage) -> None:
        encoded = Outgoing(message).encoded(self.protocol)
        if self._resume is not None and encoded.tracked:
            self._resume.keep(encoded)
            self._write_kept()
        elif self._attached:
            self._write(encoded)

    def send_bytes(self, data: bytes) -> None:
        """Send bytes as they are."""
        self._output.append(data)

    # What the server says.
    def receive_bytes(self, data: bytes, now: float) -> None:
        """Take bytes of the server, cut anywhere. Raises InvalidMessage when they make no message."""
        if self.response is None:
            self._greeting.feed(data)
            raw = self._greeting.next()
            if raw is None:
                return
            self.response = handshake.decode_response(raw)
            data = self._greeting.rest()
        self._reader.feed(data)
        while (message := self._reader.next()) is not None:
            self._take(message, now)

    def heard(self) -> list[HubMessage]:
        """Drain the server's messages; acknowledgements and duplicates are not among them."""
        drained, self._heard = self._heard, []
        return drained

    def take_payload(self) -> bytes:
        """Drain the bytes to send."""
        payload = b"".join(self._output)
        self._output = []
        return payload

    # Another transport.
    def transport_lost(self) -> None:
        self._attached = False
        self._output = []

    def transport_attached(self) -> None:
        assert self._resume is not None, "only a stateful connection changes its transport"
        self._attached, self._output = True, []
        self._reader.forget()
        self._write(Outgoing(self._resume.rewind()).encoded(self.protocol))
        self._write_kept()

    def next_timer(self) -> float | None:
        return None if self._resume is None else self._resume.ack_at

    def handle_timer(self, now: float) -> None:
        due = self.next_timer()
        if self._resume is not None and due is not None and now >= due:
            self.send(Ack(self._resume.take_ack()))

    def _take(self, message: HubMessage, now: float) -> None:
        if self._resume is not None:
            if not self._resume.is_new(message, now):
                return
            if isinstance(message, Ack | Sequence):
                self._resume.heard(message)
                self._write_kept()
                return
        self._heard.append(message)

    def _write_kept(self) -> None:
        assert self._resume is not None, "only a stateful connection keeps messages"
        while self._attached and (encoded := self._resume.next_to_write()) is not None:
            self._write(encoded)

    def _write(self, encoded: Encoded) -> None:
        self._output.append(encoded.payload)
