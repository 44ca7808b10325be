"""The user's audio of one session, by time and by item. Knows no model; bounded by Discard and by use."""

from __future__ import annotations

from typing import Final

from kaiwa.events.engine import Commit, Discard

BYTES_PER_MS: Final = 48
_KEPT_ITEMS: Final = 16


class Recall:
    """What was heard and not yet discarded, and the stretches that became items."""

    def __init__(self) -> None:
        self._pcm = bytearray()
        self._base_ms = 0
        self._items: dict[str, bytes] = {}

    @property
    def heard_ms(self) -> int:
        """Milliseconds of audio heard since the session began."""
        return self._base_ms + len(self._pcm) // BYTES_PER_MS

    def hear(self, pcm: bytes) -> None:
        self._pcm += pcm

    def discard(self, command: Discard) -> None:
        ms = min(max(0, command.until_ms - self._base_ms), len(self._pcm) // BYTES_PER_MS)
        del self._pcm[: ms * BYTES_PER_MS]
        self._base_ms += ms

    def stretch(self, start_ms: int, end_ms: int) -> bytes:
        begin, end = (max(0, ms - self._base_ms) * BYTES_PER_MS for ms in (start_ms, end_ms))
        return bytes(self._pcm[begin:end])

    def commit(self, command: Commit) -> None:
        self.keep(command.item_id, self.stretch(command.start_ms, command.end_ms))

    def keep(self, item_id: str, pcm: bytes) -> None:
        self._items[item_id] = pcm
        while len(self._items) > _KEPT_ITEMS:
            del self._items[next(iter(self._items))]

    def item(self, item_id: str) -> bytes:
        """Return the audio of an item, or nothing when it was never here or is long past."""
        return self._items.get(item_id, b"")
