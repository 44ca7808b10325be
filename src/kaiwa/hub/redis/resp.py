"""The words of Redis: commands to bytes, bytes to replies and pushes (RESP3). Knows no connection."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

LARGEST_BYTES: Final = 512 * 1024 * 1024
"""No string of Redis is larger, unless it is told to allow it."""


class Refused(Exception):
    """Redis answered with an error; `code` is its first word."""

    def __init__(self, words: str) -> None:
        super().__init__(words)
        self.code = words.partition(" ")[0]


class Garbled(Exception):
    """What came is no RESP."""


class Push(list[Any]):
    """What Redis says without being asked: a message, or that a subscription stands."""


class _Incomplete(Exception):
    pass


def command(*words: bytes) -> bytes:
    parts = [b"*%d\r\n" % len(words)]
    parts += [b"$%d\r\n%b\r\n" % (len(word), word) for word in words]
    return b"".join(parts)


class Parser:
    def __init__(self) -> None:
        self._buffer = b""

    def feed(self, data: bytes) -> list[Any]:
        """Return the whole replies and pushes that there are now. Raises Garbled."""
        buffer = self._buffer + data if self._buffer else data
        found: list[Any] = []
        at = 0
        try:
            while at < len(buffer):
                value, at = _read(buffer, at)
                found.append(value)
        except _Incomplete:
            pass
        except (ValueError, RecursionError) as fault:
            raise Garbled from fault
        self._buffer = buffer[at:]
        return found


def _read(buffer: bytes, at: int) -> tuple[Any, int]:
    end = buffer.find(b"\r\n", at)
    if end < 0:
        raise _Incomplete
    kind, line = buffer[at], buffer[at + 1 : end]
    at = end + 2
    if kind in _LONG:
        return _read_bytes(buffer, at, int(line))
    if kind in _MANY:
        return _read_many(buffer, at, kind, int(line))
    read = _LINES.get(kind)
    if read is None:
        raise ValueError("an unknown kind of reply")
    return read(line), at


def _read_bytes(buffer: bytes, at: int, length: int) -> tuple[bytes | None, int]:
    if length < 0:
        return None, at
    if length > LARGEST_BYTES:
        raise ValueError("too long")
    end = at + length
    if end + 2 > len(buffer):
        raise _Incomplete
    return buffer[at:end], end + 2


_LONG: Final = frozenset(b"$=")
"""Bytes of a length, and the same with a word on their format."""
_PUSH: Final = ord(">")
_MAP: Final = ord("%")
_MANY: Final = frozenset(b"*>~%")
"""Arrays, pushes, sets, maps (which are read as pairs in a row)."""


def _read_many(buffer: bytes, at: int, kind: int, length: int) -> tuple[Any, int]:
    items: list[Any] = Push() if kind == _PUSH else []
    for _ in range(2 * length if kind == _MAP else length):
        item, at = _read(buffer, at)
        items.append(item)
    return items, at


_LINES: Final[dict[int, Callable[[bytes], Any]]] = {
    ord("+"): bytes,
    ord("-"): lambda line: Refused(line.decode(errors="replace")),
    ord(":"): int,
    ord("_"): lambda line: None,
    ord("#"): lambda line: line == b"t",
    ord(","): float,
    ord("("): int,
}
