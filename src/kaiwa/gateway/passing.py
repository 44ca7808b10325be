"""The short way of a running stream: chunks that differ from the one before in their words alone.

They go on as they came, in the callback that read them. Knows frames of HTTP and what a watcher has seen.
"""

from __future__ import annotations

from typing import Protocol

from kaiwa.gateway.client import Write
from kaiwa.protocol.chat.watching import Watcher
from kaiwa.upstream.http1.bodies import SIZE_LINES


class Counting(Protocol):
    """Who counts what passes."""

    due_bytes: int
    """With so many bytes of content `grew` is due."""

    def grew(self, watcher: Watcher) -> None: ...


class Passing:
    """`chunk` fits what a connection offers whole chunks to."""

    __slots__ = ("_before", "_behind", "_counting", "_like", "_watcher", "_write")

    def __init__(self, watcher: Watcher, write: Write, counting: Counting) -> None:
        """`write`: takes frames as they are."""
        self._watcher = watcher
        self._write = write
        self._counting = counting
        self._like: tuple[bytes, bytes] | None = None
        self._before = self._behind = b""

    def chunk(self, data: bytes) -> bool:
        """Pass on a chunk, or say no: then somebody must look at it. `data`: all that came, not empty."""
        watcher, before = self._watcher, self._before
        like, line = watcher.like, SIZE_LINES[len(data)]
        if like is not self._like:
            before = self._learn(like)
        behind, first = self._behind, len(line)
        start, end = first + len(before), -len(behind)
        words = data[start:end]
        # Slices are compared, for a method with bounds costs twice as much.
        if (
            like is None
            or not line
            or data[:first] != line
            or data[first:start] != before
            or data[end:] != behind
            or len(data) < start - end
            or b'"' in words
            or b"\n" in words
        ):
            return False
        self._write(data)
        watcher.content_bytes += len(data) - first - 2
        if watcher.content_bytes >= self._counting.due_bytes:
            self._counting.grew(watcher)
        return True

    def _learn(self, like: tuple[bytes, bytes] | None) -> bytes:
        """Go by another event from now on."""
        self._like = like
        before, behind = like or (b"", b"")
        self._before, self._behind = before, behind + b"\r\n"
        return before
