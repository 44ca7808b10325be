"""Stateful reconnect on one side of a connection: what was sent and not acknowledged, what arrived already.

Messages are numbered from 1 in each direction, without a number on the wire. After a new transport each side
says Sequence, the number its next message has, and sends again what was not acknowledged; the other drops
what it knows. Sequence names the oldest message that is not acknowledged, as MessageBuffer does in the
JavaScript and .NET clients; HubProtocol.md says "next", with which those clients break.
"""

from __future__ import annotations

from collections import deque

from kaiwa.protocol.signalr.encoding import Encoded
from kaiwa.protocol.signalr.faults import InvalidMessage
from kaiwa.protocol.signalr.messages import TRACKED, Ack, HubMessage, Sequence


class ResumeBuffer:
    def __init__(self, window_bytes: int, ack_delay_s: float) -> None:
        self._window_bytes = window_bytes
        self._ack_delay_s = ack_delay_s
        self._kept: deque[Encoded] = deque()
        self._oldest_id = 1
        self._on_their_way = 0
        self._on_their_way_bytes = 0
        self.kept_bytes = 0
        self._next_arriving = 1
        self._newest_arrived = 0
        self._awaits_sequence = False
        self.ack_at: float | None = None

    # What we send.
    @property
    def full(self) -> bool:
        return self._on_their_way_bytes >= self._window_bytes

    @property
    def oldest_id(self) -> int:
        """The number of the oldest message that is not acknowledged, or of the next one."""
        return self._oldest_id

    def keep(self, encoded: Encoded) -> None:
        self._kept.append(encoded)
        self.kept_bytes += len(encoded.payload)

    def next_to_write(self) -> Encoded | None:
        """Return the next kept message this transport has not had, None while the window is full."""
        if self.full or self._on_their_way == len(self._kept):
            return None
        encoded = self._kept[self._on_their_way]
        self._on_their_way += 1
        self._on_their_way_bytes += len(encoded.payload)
        return encoded

    def acknowledge(self, sequence_id: int) -> None:
        """Forget what arrived; an id we never sent acknowledges no more than what is on its way."""
        while self._on_their_way and self._oldest_id <= sequence_id:
            size = len(self._kept.popleft().payload)
            self._oldest_id += 1
            self._on_their_way -= 1
            self._on_their_way_bytes -= size
            self.kept_bytes -= size

    def rewind(self) -> Sequence:
        """Begin on a new transport: everything kept is to be written again, after the Sequence returned."""
        self._on_their_way, self._on_their_way_bytes = 0, 0
        self._awaits_sequence = True
        return Sequence(self._oldest_id)

    # What arrives.
    def heard(self, message: Ack | Sequence) -> None:
        """Take what the peer says of numbers. Raises InvalidMessage as `follow`."""
        if isinstance(message, Ack):
            self.acknowledge(message.sequence_id)
        else:
            self.follow(message.sequence_id)

    def is_new(self, message: HubMessage, now: float) -> bool:
        """Count an arriving message; False when it is to be ignored.

        On a new transport nothing counts before the peer's Sequence; what arrived before is a duplicate.
        """
        if self._awaits_sequence:
            return isinstance(message, Sequence)
        if not isinstance(message, TRACKED):
            return True
        number = self._next_arriving
        self._next_arriving += 1
        known = number <= self._newest_arrived
        if not known:
            self._newest_arrived = number
        if number == self._newest_arrived and self.ack_at is None:
            self.ack_at = now + self._ack_delay_s
        return not known

    def follow(self, sequence_id: int) -> None:
        """Take the number of the next message. Raises InvalidMessage when one before it is missing."""
        if not 1 <= sequence_id <= self._next_arriving:
            raise InvalidMessage("Sequence ID greater than amount of messages we've received.")
        self._awaits_sequence = False
        self._next_arriving = sequence_id

    def take_ack(self) -> int:
        """Return the newest number that arrived, to be acknowledged now."""
        self.ack_at = None
        return self._newest_arrived
