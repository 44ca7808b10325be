"""The stand-in's ear and voice: speech told by its level, and tones as long as the words they stand for.

Knows house audio only (PCM16, mono, 24 kHz).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Final

import numpy as np

from kaiwa.audio.levels import rms_dbfs

BYTES_PER_MS: Final = 48
FRAME_MS: Final = 32
FRAME_BYTES: Final = FRAME_MS * BYTES_PER_MS
SPEECH_DBFS: Final = -40.0
# Speech has gaps; without it one sentence becomes several turns at the usual 200 ms of silence.
HANGOVER_FRAMES: Final = 6
CHUNK_MS: Final = 200
_MS_PER_NARROW: Final = 60
_MS_PER_WIDE: Final = 140
_AMPLITUDE: Final = 3000


class LevelEar:
    """Judges each complete 32 ms of what it hears."""

    def __init__(self) -> None:
        self.heard_ms = 0
        self._rest = b""
        self._hangover = 0

    def hear(self, pcm: bytes, *, judging: bool) -> Iterator[tuple[int, float]]:
        """Give (end in milliseconds, probability of speech) for each frame; nothing when not `judging`."""
        sound = self._rest + pcm
        whole = len(sound) - len(sound) % FRAME_BYTES
        self._rest = sound[whole:]
        for start in range(0, whole, FRAME_BYTES):
            self.heard_ms += FRAME_MS
            if judging:
                yield self.heard_ms, self._probability(sound[start : start + FRAME_BYTES])

    def _probability(self, frame: bytes) -> float:
        self._hangover = HANGOVER_FRAMES if rms_dbfs(frame) > SPEECH_DBFS else max(0, self._hangover - 1)
        return 0.95 if self._hangover else 0.02


class ToneVoice:
    """Turns words into chunks of 200 ms; the remainder comes with `rest`."""

    def __init__(self, name: str | None, speed: float) -> None:
        self._speed = speed
        self._hertz = 300 + sum((name or "").encode()) % 200
        self._written = 0  # samples
        self._due_ms = 0.0

    def speak(self, words: str) -> list[bytes]:
        self._due_ms += duration_ms(words) / self._speed
        chunks: list[bytes] = []
        while self._due_ms >= CHUNK_MS:
            chunks.append(self._tone(CHUNK_MS))
            self._due_ms -= CHUNK_MS
        return chunks

    def rest(self) -> list[bytes]:
        left_ms = math.ceil(self._due_ms)
        self._due_ms = 0.0
        return [self._tone(left_ms)] if left_ms else []

    def _tone(self, ms: int) -> bytes:
        times = np.arange(self._written, self._written + ms * 24) / 24_000
        self._written += len(times)
        return (np.sin(2 * np.pi * self._hertz * times) * _AMPLITUDE).astype("<i2").tobytes()


def duration_ms(words: str) -> int:
    """Return how long these words sound at usual speed."""
    return sum(_MS_PER_NARROW if character.isascii() else _MS_PER_WIDE for character in words)
