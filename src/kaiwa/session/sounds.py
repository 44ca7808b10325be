"""The sound of items, kept for a peer that asks to have an item back. Source: Realtime reference B1.

In the wire's format, as it came or went. Bounded for an item and for the whole conversation, where the oldest
lose theirs first; an item has all of its sound or none. Does not know items.
"""

from __future__ import annotations

from collections import deque

from kaiwa.audio.formats import bytes_per_ms
from kaiwa.events.config import AudioFormat


class Sound:
    """What one item sounds like; empty once it was forgotten."""

    def __init__(self, format: AudioFormat) -> None:
        self.audio = bytearray()
        self.forgotten = False
        self._bytes_per_ms = bytes_per_ms(format)

    def cut(self, end_ms: int) -> None:
        del self.audio[end_ms * self._bytes_per_ms :]

    def forget(self) -> None:
        self.audio.clear()
        self.forgotten = True


class Sounds:
    def __init__(self, limit_bytes: int, item_limit_bytes: int) -> None:
        self._limit_bytes = limit_bytes
        self._item_limit_bytes = item_limit_bytes
        self._kept: deque[Sound] = deque()

    def keep(self, format: AudioFormat, audio: bytes = b"") -> Sound:
        """Begin an item's sound, which may grow by `add`."""
        sound = Sound(format)
        self._kept.append(sound)
        self.add(sound, audio)
        return sound

    def add(self, sound: Sound, audio: bytes) -> None:
        if sound.forgotten:
            return
        sound.audio += audio
        if len(sound.audio) > self._item_limit_bytes:
            sound.forget()
        while sum(len(kept.audio) for kept in self._kept) > self._limit_bytes:
            self._kept.popleft().forget()
