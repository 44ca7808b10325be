"""The audio formats of the wire against house audio (mono PCM16, 24 kHz).

Knows the three formats of the protocol and their arithmetic; knows no base64 and no events.
Converters hold filter state: one instance per stream and direction.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Protocol

from kaiwa.audio import g711
from kaiwa.audio.resample import Resampler
from kaiwa.errors import AudioFormatError
from kaiwa.events.config import AudioFormat, PcmaFormat, PcmFormat, PcmuFormat

HOUSE_RATE_HZ: Final = 24_000
HOUSE_BYTES_PER_MS: Final = 48
G711_RATE_HZ: Final = 8_000
G711_BYTES_PER_MS: Final = 8


class Converter(Protocol):
    """Turns a stream of audio into another format, piece by piece."""

    def push(self, audio: bytes) -> bytes:
        """Return what is settled by now. Raises AudioFormatError for a broken sample."""
        ...

    def flush(self) -> bytes:
        """Return the rest, so that durations agree, and start afresh."""
        ...


def bytes_per_ms(format: AudioFormat) -> int:
    """Return the size of a millisecond of audio on the wire."""
    return HOUSE_BYTES_PER_MS if isinstance(format, PcmFormat) else G711_BYTES_PER_MS


def sample_bytes(format: AudioFormat) -> int:
    """Return the size of one sample on the wire; audio is whole when it divides its length."""
    return 2 if isinstance(format, PcmFormat) else 1


def duration_ms(format: AudioFormat, size_bytes: int) -> float:
    """Return how long `size_bytes` of wire audio sound."""
    return size_bytes / bytes_per_ms(format)


def decoder_for(format: AudioFormat) -> Converter:
    """Return a converter from the wire format to house audio."""
    match format:
        case PcmFormat():
            return _Same()
        case PcmuFormat():
            return _FromG711(g711.decode_mulaw)
        case PcmaFormat():
            return _FromG711(g711.decode_alaw)


def encoder_for(format: AudioFormat) -> Converter:
    """Return a converter from house audio to the wire format."""
    match format:
        case PcmFormat():
            return _Same()
        case PcmuFormat():
            return _ToG711(g711.encode_mulaw)
        case PcmaFormat():
            return _ToG711(g711.encode_alaw)


class _Same:
    def push(self, audio: bytes) -> bytes:
        if len(audio) % 2:
            raise AudioFormatError("PCM16 needs an even number of bytes")
        return audio

    def flush(self) -> bytes:
        return b""


class _FromG711:
    def __init__(self, decode: Callable[[bytes], bytes]) -> None:
        self._decode = decode
        self._resampler = Resampler(G711_RATE_HZ, HOUSE_RATE_HZ)

    def push(self, audio: bytes) -> bytes:
        return self._resampler.push(self._decode(audio))

    def flush(self) -> bytes:
        return self._resampler.flush()


class _ToG711:
    def __init__(self, encode: Callable[[bytes], bytes]) -> None:
        self._encode = encode
        self._resampler = Resampler(HOUSE_RATE_HZ, G711_RATE_HZ)

    def push(self, audio: bytes) -> bytes:
        return self._encode(self._resampler.push(audio))

    def flush(self) -> bytes:
        return self._encode(self._resampler.flush())
