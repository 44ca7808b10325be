"""Cut a stream of audio into chunks of a pleasant size for the wire.

Knows bytes per millisecond and per sample; knows no format by name. Source: Realtime reference E4:
100 to 400 ms a delta, whole samples, never empty.
"""

from __future__ import annotations

from typing import Final

MIN_CHUNK_MS: Final = 100
MAX_CHUNK_MS: Final = 400


class Chunker:
    """Gather pieces of any size into chunks of `min_ms` to `max_ms`; only the last may be shorter."""

    def __init__(
        self,
        bytes_per_ms: int = 48,
        sample_bytes: int = 2,
        min_ms: int = MIN_CHUNK_MS,
        max_ms: int = MAX_CHUNK_MS,
    ) -> None:
        assert 0 < min_ms <= max_ms, "a chunk has a least and a greatest duration"
        self._sample_bytes = sample_bytes
        self._min = min_ms * bytes_per_ms
        self._max = max_ms * bytes_per_ms
        self._held = bytearray()

    def push(self, audio: bytes) -> list[bytes]:
        """Take a piece and return the chunks that are full. An odd byte waits for its other half."""
        self._held += audio
        chunks: list[bytes] = []
        while len(self._held) >= self._min:
            whole = len(self._held) - len(self._held) % self._sample_bytes
            chunks.append(self._take(min(whole, self._max)))
        return chunks

    def flush(self) -> list[bytes]:
        """Return what is left, as one short chunk or none. Half a sample is dropped."""
        whole = len(self._held) - len(self._held) % self._sample_bytes
        rest = self._take(whole)
        self._held.clear()
        return [rest] if rest else []

    def _take(self, size: int) -> bytes:
        chunk = bytes(self._held[:size])
        del self._held[:size]
        return chunk
