"""Cuts a byte stream into hub messages, whatever the pieces it comes in; knows nothing of their content.

JSON messages end with 0x1E, MessagePack ones begin with their length in 7-bit groups. The limit holds for one
message, not for one piece: many messages in a large piece are fine, one in many small pieces is not.
Source: HubProtocol.md, "JSON Encoding" and "MessagePack encoding".
"""

from __future__ import annotations

from typing import Final

from kaiwa.protocol.signalr.faults import InvalidMessage

RECORD_SEPARATOR: Final = b"\x1e"
LARGEST_LENGTH: Final = 2**31 - 1
_LENGTH_BYTES: Final = 5


class _Cutter:
    def __init__(self, limit_bytes: int) -> None:
        self._limit_bytes = limit_bytes
        self._buffer = b""
        self._at = 0
        self._searched = 0
        """Up to here there is no end of a message."""

    def feed(self, data: bytes) -> None:
        self._buffer = self._buffer[self._at :] + data if self._at < len(self._buffer) else data
        self._at = 0

    def rest(self) -> bytes:
        """Return what is not cut yet and forget it."""
        rest = self._buffer[self._at :]
        self.forget()
        return rest

    def forget(self) -> None:
        self._buffer, self._at, self._searched = b"", 0, 0

    def _too_large(self) -> InvalidMessage:
        return InvalidMessage(
            f"The maximum message size of {self._limit_bytes}B was exceeded. "
            "It can be raised with the hub's max_message_bytes."
        )


class RecordCutter(_Cutter):
    """Messages that end with the record separator."""

    def feed(self, data: bytes) -> None:
        self._searched = max(0, self._searched - self._at)
        super().feed(data)

    def next(self) -> bytes | None:
        """Return the next whole message without its terminator, None while more bytes are needed.

        Raises InvalidMessage when it is, or is about to be, larger than the limit.
        """
        end = self._buffer.find(RECORD_SEPARATOR, max(self._at, self._searched))
        reached = len(self._buffer) if end < 0 else end
        if reached - self._at > self._limit_bytes:
            raise self._too_large()
        if end < 0:
            self._searched = len(self._buffer)
            return None
        message = self._buffer[self._at : end]
        self._at = end + 1
        return message


class LengthCutter(_Cutter):
    """Messages that begin with their length."""

    def next(self) -> bytes | None:
        """Return the next whole message without its length, None while more bytes are needed.

        Raises InvalidMessage for a length of more than five bytes or 2 GiB, and above the limit.
        """
        head = self._head()
        if head is None:
            return None
        start, length = head
        if length > self._limit_bytes:
            raise self._too_large()
        if start + length > len(self._buffer):
            return None
        self._at = start + length
        return self._buffer[start : start + length]

    def _head(self) -> tuple[int, int] | None:
        length = 0
        for index in range(_LENGTH_BYTES):
            if self._at + index >= len(self._buffer):
                return None
            byte = self._buffer[self._at + index]
            length |= (byte & 0x7F) << (7 * index)
            if not byte & 0x80:
                if length > LARGEST_LENGTH:
                    raise InvalidMessage("Messages over 2GB in size are not supported.")
                return self._at + index + 1, length
        raise InvalidMessage("Messages over 2GB in size are not supported.")


def with_length(payload: bytes) -> bytes:
    """Put a message's length before it."""
    length, head = len(payload), bytearray()
    while length > 0x7F:
        head.append(length & 0x7F | 0x80)
        length >>= 7
    head.append(length)
    return bytes(head) + payload


def web_socket_frame(payload: bytes, *, binary: bool) -> bytes:
    """Return one final, unmasked WebSocket frame, as a server sends it (RFC 6455, section 5.2)."""
    opcode, length = 0x82 if binary else 0x81, len(payload)
    if length < 126:
        return bytes((opcode, length)) + payload
    if length < 0x10000:
        return bytes((opcode, 126)) + length.to_bytes(2, "big") + payload
    return bytes((opcode, 127)) + length.to_bytes(8, "big") + payload
