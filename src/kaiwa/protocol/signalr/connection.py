"""The server's side of one hub connection, whatever carries it; no socket, no clock, no task.

Feed it (`receive_bytes`, `opened`, `finish`, …), then drain it: `happenings()` says what to do,
`take_frame()` or `take_payload()` what to write. `now` is any clock that never goes back, in seconds. It
never raises on what the client sent: it answers and closes.
"""

from __future__ import annotations

from enum import Enum, auto
from typing import Any, Final

from msgspec import UNSET, UnsetType

from kaiwa.protocol.signalr import handshake
from kaiwa.protocol.signalr import happenings as happened
from kaiwa.protocol.signalr.calls import Calls
from kaiwa.protocol.signalr.encoding import Encoded, Outgoing
from kaiwa.protocol.signalr.faults import InvalidMessage
from kaiwa.protocol.signalr.framing import web_socket_frame
from kaiwa.protocol.signalr.happenings import Called, Happening
from kaiwa.protocol.signalr.limits import Limits
from kaiwa.protocol.signalr.messages import (
    Ack,
    CancelInvocation,
    Close,
    Completion,
    HubMessage,
    Invocation,
    Ping,
    Protocol,
    Sequence,
    StreamInvocation,
    StreamItem,
)
from kaiwa.protocol.signalr.reading import MessageReader
from kaiwa.protocol.signalr.resuming import ResumeBuffer

SILENT: Final = "Client hasn't sent a message/ping within the configured ClientTimeoutInterval."
NO_RESULT: Final = "Client didn't provide a result."
GONE: Final = "The client disconnected before it answered."
SLOW: Final = "The client does not take its messages fast enough."
CANCELLED: Final = "The invocation was canceled before it started."
_PING: Final = Outgoing(Ping())


class _Phase(Enum):
    HANDSHAKE = auto()
    GREETING = auto()
    OPEN = auto()
    ENDED = auto()


_ENDED: Final = _Phase.ENDED
"""Looked up for every message to every client; as an attribute of the enumeration that is slow."""


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
    ) -> None:
        self._limits, self._pings, self._stateful = limits, pings, stateful
        self.protocol = None
        self._phase = _Phase.HANDSHAKE
        self._opening = handshake.Opening(
            limits.max_message_bytes, binary=binary, detailed_errors=limits.detailed_errors
        )
        self._reader: MessageReader | None = None
        self._resume: ResumeBuffer | None = None
        self._calls = Calls(limits)
        self._awaited: set[str] = set()
        self._output: list[Encoded] = []
        self._output_bytes = 0
        self._happenings: list[Happening] = []
        self._began = self._last_write = self._last_heard = now
        self._heard_ping = False
        self._lost_at: float | None = None

    # What comes from the transport.
    def receive_bytes(self, data: bytes, now: float) -> None:
        """Take bytes of the client, cut anywhere. While `wants_input` is false they wait: stop reading."""
        if self.ended:
            return
        self._last_heard = now
        if self._reader is not None:
            self._reader.feed(data)
            self._work_off(now)
        else:
            self._shake_hands(data, now)

    def transport_lost(self, now: float, error: str | None = None) -> None:
        """The transport is gone without a Close. A stateful connection waits for another, others end."""
        if self.ended:
            return
        if not self.resumable:
            self._end(happened.TRANSPORT_LOST, error)
        elif self._lost_at is None:
            self._lost_at = now
            self._forget_output()

    def transport_attached(self, now: float) -> None:
        """A new transport took the place of the old one, which need not be reported lost; stateful only."""
        assert self._resume is not None and not self.ended, (
            "only a resumable connection changes its transport"
        )
        assert self._reader is not None, "stateful reconnect begins with the handshake"
        self._forget_output()
        self._lost_at = None
        self._last_heard = now
        self._reader.forget()
        self._tell(self._resume.rewind(), now)
        self._write_kept(now)

    # What the host wants.
    def opened(self, now: float) -> None:
        """`on_connected` is done: calls may start now."""
        if self._phase is _Phase.GREETING:
            self._phase = _Phase.OPEN
            self._work_off(now)

    def send(self, message: HubMessage | Outgoing, now: float) -> None:
        """Queue a message. Raises TypeError when it cannot be encoded, and then has changed nothing.

        A connection that ended ignores it. For a broadcast make one Outgoing and pass it to every connection.
        """
        if self._phase is _ENDED:
            return
        assert self.protocol is not None, "nothing is sent before the handshake is done"
        outgoing = message if isinstance(message, Outgoing) else Outgoing(message)
        encoded = outgoing.encoded(self.protocol)
        size = self._output_bytes + len(encoded.payload)
        if self._resume is None and (size <= self._limits.kept_bytes or not self._output):
            # What a broadcast does for each of many clients; else as `_put`.
            self._output.append(encoded)
            self._output_bytes = size
            self._last_write = now
        else:
            self._put(encoded, now)

    def wrote(self, at: float) -> None:
        """A message went to the client past this machine, which `keeps_nothing` allows."""
        self._last_write = max(self._last_write, at)

    def send_item(self, call: int, item: Any, now: float) -> None:
        """Queue an item of a streaming call; ignored for a call that is over. Raises TypeError as `send`."""
        called = self._calls.running(call)
        if called is not None and called.invocation_id is not None:
            self.send(StreamItem(called.invocation_id, item), now)

    def finish(
        self, call: int, now: float, *, result: Any | UnsetType = UNSET, error: str | None = None
    ) -> None:
        """End a call: send its Completion if one is owed, end its uploads, start what waited for it.

        Raises TypeError when the result cannot be encoded; the call then still runs.
        """
        called = self._calls.running(call)
        if called is None or self.ended:
            return
        if called.invocation_id is not None:
            self.send(Completion(called.invocation_id, result, error), now)
        if not self.ended:
            self._calls.finish(call)
            self._last_heard = now
            self._start_waiting()
            self._work_off(now)

    def item_taken(self, call: int, stream_id: str, now: float) -> None:
        """The method took an UploadItem out of its queue: there is room for another."""
        self._calls.item_taken(call, stream_id)
        self._work_off(now)

    def invoke_client(self, invocation_id: str, target: str, arguments: list[Any], now: float) -> None:
        """Call a method of the client; `ClientAnswered` with this id follows, whatever happens.

        The id must be unique, also against the client's stream ids ("1", "2", …): give it a prefix.
        """
        if self.ended:
            self._happenings.append(happened.ClientAnswered(invocation_id, error=GONE))
            return
        outgoing = Outgoing(Invocation(target, arguments, invocation_id))
        assert self.protocol is not None, "no client is called before the handshake is done"
        encoded = outgoing.encoded(self.protocol)
        self._awaited.add(invocation_id)
        self._put(encoded, now)

    def close(
        self,
        now: float,
        *,
        error: str | None = None,
        allow_reconnect: bool = False,
        cause: str = happened.SERVER_CLOSED,
    ) -> None:
        """Say Close and end; no resuming afterwards. Shutting down: `allow_reconnect=True`."""
        if self.ended:
            return
        if self.protocol is not None:
            self._tell(Close(error, allow_reconnect), now)
        self._end(cause, error)

    # Time.
    def next_timer(self) -> float | None:
        """When `handle_timer` wants to be called next; moves with every call of this machine."""
        if self.ended:
            return None
        if self._phase is _Phase.HANDSHAKE:
            return self._began + self._limits.handshake_timeout_s
        if self._lost_at is not None:
            return self._lost_at + self._limits.resume_window_s
        due = [at for at in (self._ping_at(), self._silent_at(), self._ack_at()) if at is not None]
        return min(due, default=None)

    def handle_timer(self, now: float) -> None:
        if self.ended:
            return
        if self._phase is _Phase.HANDSHAKE:
            if now >= self._began + self._limits.handshake_timeout_s:
                self._refuse(handshake.CANCELED, now)
        elif self._lost_at is not None:
            if now >= self._lost_at + self._limits.resume_window_s:
                self._end(happened.TRANSPORT_LOST, None)
        elif _due(self._silent_at(), now):
            self.close(now, error=SILENT, cause=happened.CLIENT_SILENT)
        else:
            self._keep_alive(now)

    # Draining.
    def happenings(self) -> list[Happening]:
        """Drain what happened, in order."""
        drained, self._happenings = self._happenings, []
        return drained

    def take_frame(self) -> bytes:
        """Drain the output as one WebSocket frame, text for JSON, binary for MessagePack; b"" if none."""
        output = self._output
        if len(output) == 1:
            frame = output[0].frame
            output.clear()
            self._output_bytes = 0
            return frame
        payload = self.take_payload()
        return web_socket_frame(payload, binary=self.protocol == "messagepack") if payload else b""

    def take_payload(self) -> bytes:
        """Drain the output as bytes for SSE and long polling; b"" if there is none."""
        payload = b"".join([encoded.payload for encoded in self._output])
        self._forget_output()
        return payload

    @property
    def has_output(self) -> bool:
        return bool(self._output)

    @property
    def waiting_bytes(self) -> int:
        """The size of the output that nobody has taken."""
        return self._output_bytes

    @property
    def wants_input(self) -> bool:
        """False: stop reading the transport (greeting, too many waiting invocations, a full upload)."""
        return self._phase is _Phase.HANDSHAKE or (self._phase is _Phase.OPEN and not self._calls.full)

    @property
    def lined_up(self) -> bool:
        """Calls of the client wait for another of its calls to end."""
        return self._calls.lined_up

    @property
    def may_send(self) -> bool:
        """False: the client acknowledges too slowly (stateful); let streams and invocations wait."""
        return self._resume is None or self._resume.kept_bytes < self._limits.resume_buffer_bytes

    @property
    def keeps_nothing(self) -> bool:
        """Messages may pass this machine by while it has no output: nobody asks for them again."""
        return self.protocol is not None and self._resume is None and self._phase is not _ENDED

    @property
    def resumable(self) -> bool:
        """True while a lost transport may be replaced."""
        return self._resume is not None and not self.ended

    @property
    def ended(self) -> bool:
        return self._phase is _Phase.ENDED

    # The handshake.
    def _shake_hands(self, data: bytes, now: float) -> None:
        try:
            agreed = self._opening.hear(data)
        except InvalidMessage as fault:
            self._refuse(str(fault), now)
        else:
            if agreed is not None:
                self._greet(agreed, now)

    def _greet(self, agreed: handshake.Agreed, now: float) -> None:
        limits = self._limits
        self.protocol = agreed.protocol
        self._phase = _Phase.GREETING
        self._reader = MessageReader(agreed.protocol, limits.max_message_bytes)
        self._reader.feed(agreed.rest)
        if self._stateful and agreed.version >= handshake.RESUMING_VERSION:
            self._resume = ResumeBuffer(limits.resume_buffer_bytes, limits.ack_delay_s)
        self._respond(handshake.HandshakeResponse(), now)
        self._happenings.append(happened.HandshakeDone(agreed.protocol, agreed.version))

    def _refuse(self, error: str, now: float) -> None:
        self._respond(handshake.HandshakeResponse(error), now)
        self._end(happened.HANDSHAKE_REFUSED, error)

    def _respond(self, response: handshake.HandshakeResponse, now: float) -> None:
        binary = self.protocol == "messagepack"
        self._put(Encoded(handshake.encode_response(response), binary=binary, tracked=False), now)

    # What the client says.
    def _work_off(self, now: float) -> None:
        assert self._reader is not None, "messages are read after the handshake"
        try:
            while self._phase is _Phase.OPEN and not self._calls.full:
                message = self._reader.next()
                if message is None:
                    return
                self._take(message, now)
        except InvalidMessage as fault:
            self.close(now, error=str(fault), cause=happened.PROTOCOL_BROKEN)

    def _take(self, message: HubMessage, now: float) -> None:
        if self._resume is not None and not self._resume.is_new(message, now):
            return
        match message:
            case Invocation() | StreamInvocation():
                self._take_call(message, now)
            case StreamItem(invocation_id, item):
                call = self._calls.arrived(invocation_id)
                if call is not None:
                    self._happenings.append(happened.UploadItem(call, invocation_id, item))
            case Completion():
                self._take_completion(message)
            case CancelInvocation(invocation_id):
                self._take_cancel(invocation_id, now)
            case Ping():
                self._heard_ping = True
            case Close(error, _):
                self._tell(Close(), now)
                self._end(happened.CLIENT_CLOSED, error)
            case Ack() | Sequence():
                if self._resume is not None:
                    self._resume.heard(message)
                    self._write_kept(now)

    def _take_call(self, message: Invocation | StreamInvocation, now: float) -> None:
        refusal = self._calls.refusal(message)
        if refusal is None:
            called = self._calls.take(message)
            if called is not None:
                self._happenings.append(called)
        elif message.invocation_id is not None:
            self.send(Completion(message.invocation_id, error=refusal), now)

    def _take_completion(self, message: Completion) -> None:
        stream_id = message.invocation_id
        call = self._calls.upload_ended(stream_id)
        if call is not None:
            self._happenings.append(happened.UploadEnded(call, stream_id, message.error))
        elif stream_id in self._awaited:
            self._awaited.remove(stream_id)
            error = message.error
            if error is None and message.result is UNSET:
                error = NO_RESULT
            self._happenings.append(happened.ClientAnswered(stream_id, message.result, error))

    def _take_cancel(self, invocation_id: str, now: float) -> None:
        call, dropped = self._calls.cancel(invocation_id)
        if call is not None:
            self._happenings.append(happened.Cancelled(call))
        elif dropped:
            self.send(Completion(invocation_id, error=CANCELLED), now)

    def _start_waiting(self) -> None:
        called: Called | None = self._calls.start_next()
        if called is not None:
            self._happenings.append(called)

    # What goes out.
    def _tell(self, message: Ack | Sequence | Close, now: float) -> None:
        assert self.protocol is not None, "nothing is sent before the handshake is done"
        self._put(Outgoing(message).encoded(self.protocol), now)

    def _put(self, encoded: Encoded, now: float) -> None:
        if self._resume is not None and encoded.tracked:
            self._resume.keep(encoded)
            self._write_kept(now)
            kept = self._resume.kept_bytes
        else:
            self._write(encoded, now)
            kept = self._output_bytes
        if kept > self._limits.kept_bytes and encoded.tracked:
            self.close(now, error=SLOW, allow_reconnect=True, cause=happened.TOO_SLOW)

    def _write_kept(self, now: float) -> None:
        assert self._resume is not None, "only a stateful connection keeps messages"
        while self._lost_at is None and (encoded := self._resume.next_to_write()) is not None:
            self._write(encoded, now)

    def _write(self, encoded: Encoded, now: float) -> None:
        if self._lost_at is None:
            self._output.append(encoded)
            self._output_bytes += len(encoded.payload)
            self._last_write = now

    def _forget_output(self) -> None:
        self._output, self._output_bytes = [], 0

    def _end(self, cause: str, error: str | None) -> None:
        self._phase = _Phase.ENDED
        for invocation_id in sorted(self._awaited):
            self._happenings.append(happened.ClientAnswered(invocation_id, error=GONE))
        self._awaited.clear()
        self._resume = None
        self._happenings.append(happened.Ended(cause, error))

    # Time.
    def _keep_alive(self, now: float) -> None:
        if _due(self._ack_at(), now):
            assert self._resume is not None, "only a stateful connection acknowledges"
            self._tell(Ack(self._resume.take_ack()), now)
        if _due(self._ping_at(), now):
            self.send(_PING, now)

    def _ping_at(self) -> float | None:
        return self._last_write + self._limits.keep_alive_s if self._pings else None

    def _silent_at(self) -> float | None:
        """The client may be silent until it pings for the first time, and while it waits for its methods."""
        if not self._heard_ping or self._calls.busy or not self.wants_input:
            return None
        return self._last_heard + self._limits.client_timeout_s

    def _ack_at(self) -> float | None:
        return None if self._resume is None else self._resume.ack_at


def _due(at: float | None, now: float) -> bool:
    return at is not None and now >= at
