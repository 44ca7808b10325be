"""The user's audio that waits for a commit, and the session's audio clock.

Counts samples of everything ever appended (in ticks of 24 kHz). Keeps what waits as it came, for a peer
that asks for its item later; the engine keeps its own.
"""

from __future__ import annotations

from kaiwa.audio.formats import bytes_per_ms, decoder_for
from kaiwa.events.config import AudioFormat, PcmFormat
from kaiwa.session import errors

TICKS_PER_MS = 24


class InputAudio:
    def __init__(self, format: AudioFormat, kept_bytes: int) -> None:
        self._kept_bytes = kept_bytes
        self.ticks = 0
        self.start_ms = 0
        self.taken_ms = 0
        self.set_format(format)

    def set_format(self, format: AudioFormat) -> None:
        self._format = format
        self._pcm = isinstance(format, PcmFormat)
        self._decoder = decoder_for(format)
        self._bytes_per_ms = bytes_per_ms(format)
        self._waiting = bytearray()
        self._waiting_from_ms = self.heard_ms

    @property
    def heard_ms(self) -> int:
        return self.ticks // TICKS_PER_MS

    @property
    def buffered_ms(self) -> float:
        return self.ticks / TICKS_PER_MS - self.start_ms

    def append(self, audio: bytes, limit_ms: int) -> bytes:
        """Count the audio and return it as house audio. Raises PeerError, and then nothing was taken."""
        if self._pcm:
            if len(audio) % 2:
                raise errors.bad_audio("audio")
            ticks = len(audio) // 2
        else:
            ticks = len(audio) * 3
        if self.buffered_ms + ticks / TICKS_PER_MS > limit_ms:
            raise errors.buffer_full(limit_ms)
        self.ticks += ticks
        self._waiting += audio
        self._drop(len(self._waiting) - self._kept_bytes)
        return audio if self._pcm else self._decoder.push(audio)

    def whole(self, audio: bytes, param: str) -> bytes:
        """Return audio that came whole with an item as house audio."""
        if self._pcm and len(audio) % 2:
            raise errors.bad_audio(param)
        if self._pcm:
            return audio
        decoder = decoder_for(self._format)
        return decoder.push(audio) + decoder.flush()

    def check_commit(self, minimum_ms: int) -> None:
        if self.buffered_ms < minimum_ms:
            raise errors.commit_too_small(max(0.0, self.buffered_ms), minimum_ms)

    def take(self, until_ms: int) -> None:
        """What lies before `until_ms` was committed or cleared."""
        self.forget(until_ms)
        self.taken_ms = self.start_ms

    def forget(self, until_ms: int) -> None:
        """What lies before `until_ms` is no longer waiting: nobody spoke in it."""
        self.start_ms = max(self.start_ms, min(until_ms, self.heard_ms))
        self._drop((self.start_ms - self._waiting_from_ms) * self._bytes_per_ms)

    def stretch(self, start_ms: int, end_ms: int) -> bytes:
        """Return waiting audio as it came; nothing when some of it is no longer kept."""
        if start_ms < self._waiting_from_ms:
            return b""
        begin, end = ((ms - self._waiting_from_ms) * self._bytes_per_ms for ms in (start_ms, end_ms))
        return bytes(self._waiting[begin:end])

    def _drop(self, size_bytes: int) -> None:
        if size_bytes > 0:
            whole_ms = -(-size_bytes // self._bytes_per_ms)
            del self._waiting[: whole_ms * self._bytes_per_ms]
            self._waiting_from_ms += whole_ms
