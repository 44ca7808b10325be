"""WAV files as bytes: read and write 16-bit PCM, and bring any of them to house audio.

Knows RIFF chunks; does not read files. Accepts the extensible header and a data size that was never
filled in (streams), both met in practice.
"""

from __future__ import annotations

import struct
from typing import Final, NamedTuple

import numpy as np

from kaiwa.audio.formats import HOUSE_RATE_HZ
from kaiwa.audio.resample import resample
from kaiwa.errors import AudioFormatError

_PCM: Final = 1
_EXTENSIBLE: Final = 0xFFFE


class Wav(NamedTuple):
    """PCM16 little endian; samples of several channels alternate."""

    pcm: bytes
    rate_hz: int
    channels: int


def read_wav(data: bytes) -> Wav:
    """Return the audio of a WAV file. Raises AudioFormatError for anything but 16-bit PCM."""
    if len(data) < 12 or data[:4] != b"RIFF" or data[8:12] != b"WAVE":
        raise AudioFormatError("not a WAV file")
    fmt: tuple[int, int] | None = None
    at = 12
    while at + 8 <= len(data):
        name, size = data[at : at + 4], struct.unpack_from("<I", data, at + 4)[0]
        body = data[at + 8 : at + 8 + size]
        if name == b"fmt ":
            fmt = _read_format(body)
        elif name == b"data":
            if fmt is None:
                raise AudioFormatError("a WAV file states its format before its data")
            rate_hz, channels = fmt
            return Wav(body[: len(body) - len(body) % (2 * channels)], rate_hz, channels)
        at += 8 + size + size % 2
    raise AudioFormatError("a WAV file without audio")


def _read_format(body: bytes) -> tuple[int, int]:
    if len(body) < 16:
        raise AudioFormatError("the format of a WAV file is cut short")
    tag, channels, rate_hz, _, _, bits = struct.unpack_from("<HHIIHH", body)
    if tag == _EXTENSIBLE and len(body) >= 26:
        tag = struct.unpack_from("<H", body, 24)[0]
    if tag != _PCM or bits != 16 or not channels or not rate_hz:
        raise AudioFormatError(f"only 16-bit PCM is read, not format {tag} with {bits} bits")
    return rate_hz, channels


def write_wav(pcm: bytes, rate_hz: int = HOUSE_RATE_HZ, channels: int = 1) -> bytes:
    """Return a WAV file of PCM16; samples of several channels alternate."""
    frame = 2 * channels
    if len(pcm) % frame:
        raise AudioFormatError(f"PCM16 of {channels} channels needs a multiple of {frame} bytes")
    fmt = struct.pack("<HHIIHH", _PCM, channels, rate_hz, rate_hz * frame, frame, 16)
    chunks = b"WAVEfmt " + struct.pack("<I", len(fmt)) + fmt + b"data" + struct.pack("<I", len(pcm)) + pcm
    return b"RIFF" + struct.pack("<I", len(chunks)) + chunks


def wav_head(rate_hz: int = HOUSE_RATE_HZ, channels: int = 1) -> bytes:
    """Return the beginning of a WAV file whose length is not known yet; PCM16 follows until the end."""
    head = bytearray(write_wav(b"", rate_hz, channels))
    head[4:8] = head[-4:] = b"\xff" * 4
    return bytes(head)


def house_audio_of(data: bytes) -> bytes:
    """Return a WAV file's audio as mono PCM16 at 24 kHz."""
    wav = read_wav(data)
    return resample(mix_down(wav.pcm, wav.channels), wav.rate_hz, HOUSE_RATE_HZ)


def mix_down(pcm: bytes, channels: int) -> bytes:
    """Return the mean of the channels as mono PCM16."""
    if channels == 1:
        return pcm
    frames = np.frombuffer(pcm, "<i2").reshape(-1, channels)
    return np.rint(frames.mean(axis=1)).astype("<i2").tobytes()
