"""Server-sent events from bytes. Knows the stream format; does not know what the data mean.

Source: HTML Living Standard, 9.2.6 "Interpreting an event stream".
"""

from __future__ import annotations

from kaiwa.errors import UpstreamError

MAX_EVENT_BYTES = 4 * 1024 * 1024


class EventStreamParser:
    """Feed bytes as they arrive, cut anywhere; get the data of every event that became complete."""

    def __init__(self) -> None:
        self._rest = b""
        self._data: list[bytes] = []
        self._size_bytes = 0
        self._at_start = True

    def feed(self, chunk: bytes) -> list[bytes]:
        """Return the data of the events that end in this chunk, oldest first.

        Raises UpstreamError when an event that an earlier chunk began outgrows MAX_EVENT_BYTES.
        """
        if len(self._rest) + self._size_bytes > MAX_EVENT_BYTES:
            raise UpstreamError("upstream_garbled", "The model's answer holds an oversized event.")
        buffer = self._rest + chunk
        if self._at_start:
            if len(buffer) < 3 and b"\xef\xbb\xbf".startswith(buffer):
                self._rest = buffer
                return []
            buffer = buffer.removeprefix(b"\xef\xbb\xbf")
            self._at_start = False
        # A CR at the very end may be half of a CRLF: it waits for what follows.
        held = b"\r" if buffer.endswith(b"\r") else b""
        usable = buffer[: len(buffer) - len(held)].replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        *lines, last = usable.split(b"\n")
        self._rest = last + held
        return [event for line in lines if (event := self._take_line(line)) is not None]

    def _take_line(self, line: bytes) -> bytes | None:
        if not line:
            return self._dispatch()
        field, _, value = line.partition(b":")
        if field == b"data":
            self._data.append(value.removeprefix(b" "))
            self._size_bytes += len(value)
        return None

    def _dispatch(self) -> bytes | None:
        if not self._data:
            return None
        data, self._data, self._size_bytes = b"\n".join(self._data), [], 0
        return data
