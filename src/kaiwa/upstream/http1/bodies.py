"""Bodies of HTTP/1.1 answers out of bytes that are cut anywhere. Pure; knows nothing of what they hold.

Source: RFC 9112, sections 6 and 7.
"""

from __future__ import annotations

import re
from typing import Final, Protocol

from kaiwa.errors import UpstreamError
from kaiwa.upstream.http1.heads import ResponseHead

MAX_LINE_BYTES: Final = 4096
MAX_TRAILER_BYTES: Final = 16 * 1024
# Of a chunk that is known at sight: up to 4 KiB, longer than nearly every event.
_MOST_DIGITS: Final = 3
_DIGITS: Final = re.compile(rb"[0-9A-Fa-f]+")
_SIZE: Final = re.compile(rb"([0-9A-Fa-f]{1,8})(?:[ \t]*;[\t\x20-\x7e\x80-\xff]*)?\r\n")


class Body(Protocol):
    """Feed bytes, get what they say. `done`: the body is whole; `excess`: bytes came behind its end."""

    done: bool
    excess: bool

    @property
    def resting(self) -> bool:
        """Whether a whole chunk may come next."""
        ...

    def feed(self, data: bytes) -> bytes:
        """Return the content in these bytes. Raises UpstreamError."""
        ...

    def close(self) -> bool:
        """Take the end of the connection; say whether the body is whole."""
        ...


class SizedBody:
    """A body whose length the head gave."""

    __slots__ = ("_left", "done", "excess")
    resting = False

    def __init__(self, length: int) -> None:
        self._left = length
        self.done = length == 0
        self.excess = False

    def feed(self, data: bytes) -> bytes:
        taken = data[: self._left]
        self.excess = self.excess or len(taken) < len(data)
        self._left -= len(taken)
        self.done = self._left == 0
        return taken

    def close(self) -> bool:
        return self.done


class OpenEndedBody:
    """A body that ends with its connection. Whether it is whole only its content can tell."""

    __slots__ = ("done", "excess")
    resting = False

    def __init__(self) -> None:
        self.done = self.excess = False

    def feed(self, data: bytes) -> bytes:
        return data

    def close(self) -> bool:
        self.done = True
        return True


class _SizeLines(dict[int, bytes]):
    """The line of its size with which so many bytes begin if they are one whole chunk; b"" for none."""

    def __missing__(self, length: int) -> bytes:
        for digits in range(1, _MOST_DIGITS + 1):
            size = length - digits - 4
            if 16 ** (digits - 1) <= size < 16**digits:
                self[length] = line = b"%x\r\n" % size
                return line
        return b""


SIZE_LINES: Final = _SizeLines()


class _Sizes(dict[bytes, int]):
    """What the digits of a size say; 0 for none, and for what is not known at sight."""

    def __missing__(self, digits: bytes) -> int:
        if len(digits) > _MOST_DIGITS or _DIGITS.fullmatch(digits) is None:
            return 0
        self[digits] = size = int(digits, 16)
        return size


_SIZES: Final = _Sizes()


class ChunkedBody:
    """A body in chunks, each behind its size. Extensions and trailers are taken within bounds and dropped.

    `resting`: the next bytes begin a chunk.
    """

    __slots__ = ("_after_chunk", "_held", "_in_trailer", "_left", "done", "excess", "resting")

    def __init__(self) -> None:
        self._held = b""
        self._left = 0
        self._after_chunk = self._in_trailer = False
        self.done = self.excess = False
        self.resting = True

    def feed(self, data: bytes) -> bytes:
        pieces: list[bytes] = []
        if not self.resting:
            data, self._held = self._held + data, b""
            return self._feed_in_steps(data, 0, pieces)
        at, end = 0, len(data)
        while at < end:  # nearly always: whole chunks
            line = data.find(b"\r", at, at + _MOST_DIGITS + 1)
            size = _SIZES[data[at:line]] if line > at else 0
            start = line + 2
            stop = start + size
            if not size or data[line:start] != b"\r\n" or data[stop : stop + 2] != b"\r\n":
                break
            at = stop + 2
            if at == end and not pieces:
                return data[start:stop]
            pieces.append(data[start:stop])
        return self._feed_in_steps(data, at, pieces)

    def _feed_in_steps(self, data: bytes, at: int, pieces: list[bytes]) -> bytes:
        end = len(data)
        while at < end:
            if self._left:
                piece = data[at : at + self._left]
                pieces.append(piece)
                self._left -= len(piece)
                self._after_chunk = True
                step = len(piece)
            else:
                step = self._step(data, at)
                if step == 0:
                    self._held = data[at:]
                    break
            at += step
        self.resting = not (self._held or self._left or self._after_chunk or self._in_trailer)
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def close(self) -> bool:
        return self.done

    def _step(self, data: bytes, at: int) -> int:
        """Take what is not content; return how many bytes that was, 0 when more must come first."""
        if self.done:
            self.excess = True
            return len(data) - at
        if self._after_chunk:
            return self._take_line_end(data, at)
        return self._take_trailer(data, at) if self._in_trailer else self._take_size(data, at)

    def _take_line_end(self, data: bytes, at: int) -> int:
        found = data[at : at + 2]
        if found == b"\r\n":
            self._after_chunk = False
            return 2
        if found == b"\r":
            return 0
        raise _garbled()

    def _take_size(self, data: bytes, at: int) -> int:
        found = _SIZE.match(data, at)
        if found is None:
            if len(data) - at > MAX_LINE_BYTES or data.find(b"\n", at) >= 0:
                raise _garbled()
            return 0
        self._left = int(found[1], 16)
        self._in_trailer = self._left == 0
        return found.end() - at

    def _take_trailer(self, data: bytes, at: int) -> int:
        if data.startswith(b"\r\n", at):
            self.done = True
            return 2
        end = data.find(b"\r\n\r\n", at)
        if end < 0:
            if len(data) - at > MAX_TRAILER_BYTES:
                raise _garbled()
            return 0
        self.done = True
        return end + 4 - at


def body_of(head: ResponseHead) -> Body:
    if head.framing == "chunked":
        return ChunkedBody()
    return OpenEndedBody() if head.framing == "until_close" else SizedBody(head.length)


def _garbled() -> UpstreamError:
    return UpstreamError(
        "upstream_garbled", "The service's answer is cut into malformed chunks.", retryable=True
    )
