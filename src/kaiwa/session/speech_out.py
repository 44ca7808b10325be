"""The agent's speech in the format and the pieces of the wire: 100 to 400 ms each, only the last shorter."""

from __future__ import annotations

from collections.abc import Iterator

from kaiwa.audio.formats import bytes_per_ms, encoder_for
from kaiwa.events.config import AudioFormat

SHORTEST_MS = 100
LONGEST_MS = 400


class SpeechOut:
    def __init__(self, format: AudioFormat) -> None:
        self._encoder = encoder_for(format)
        self._shortest = SHORTEST_MS * bytes_per_ms(format)
        self._longest = LONGEST_MS * bytes_per_ms(format)
        self._held = b""

    def push(self, pcm: bytes) -> Iterator[bytes]:
        """Yield the pieces that may go out now."""
        self._held += self._encoder.push(pcm)
        while len(self._held) > self._longest:
            yield self._cut(min(self._longest, len(self._held) - self._shortest))
        if len(self._held) >= self._shortest:
            yield self._cut(len(self._held))

    def flush(self) -> Iterator[bytes]:
        """Yield the rest."""
        self._held += self._encoder.flush()
        while self._held:
            yield self._cut(min(self._longest, len(self._held)))

    def _cut(self, size: int) -> bytes:
        piece, self._held = self._held[:size], self._held[size:]
        return piece
