"""G.711: 16-bit samples to 8-bit mu-law and A-law and back, by table.

Knows one sample at a time, no rate. Source: ITU-T G.711; 14-bit (mu) and 13-bit (A) quantisers applied to
the top bits of 16-bit samples, decoded to the middle of each step.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.int16]

_MU_BIAS: Final = 33
_MU_CLIP: Final = 8158


def _mulaw_values() -> Samples:
    """Return the 256 decoded values; a code word is transmitted with all bits inverted."""
    word = ~np.arange(256) & 0xFF
    exponent, mantissa = (word >> 4) & 0x07, word & 0x0F
    magnitude = (((mantissa << 1) + _MU_BIAS) << exponent) - _MU_BIAS
    return (np.where(word & 0x80, -magnitude, magnitude) * 4).astype(np.int16)


def _mulaw_codes() -> NDArray[np.uint8]:
    """Return the code of every 16-bit sample, indexed by its unsigned bit pattern."""
    sample, magnitude = _signs_and_magnitudes()
    magnitude = np.minimum(magnitude >> 2, _MU_CLIP) + _MU_BIAS
    exponent = _highest_bit(magnitude) - 5
    mantissa = (magnitude >> (exponent + 1)) & 0x0F
    sign = np.where(sample < 0, 0x80, 0)
    return (~(sign | (exponent << 4) | mantissa) & 0xFF).astype(np.uint8)


def _signs_and_magnitudes() -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    # A negative sample is mirrored by its ones' complement, so that -1 falls into the first step.
    sample = np.arange(65536).astype(np.uint16).view(np.int16).astype(np.int32)
    return sample, np.where(sample < 0, ~sample, sample)


def _highest_bit(values: NDArray[np.int32]) -> NDArray[np.int32]:
    return np.floor(np.log2(np.maximum(values, 1))).astype(np.int32)


def _alaw_values() -> Samples:
    """Return the 256 decoded values; a code word is transmitted with its even bits inverted."""
    word = np.arange(256) ^ 0x55
    exponent, mantissa = (word >> 4) & 0x07, word & 0x0F
    step = (mantissa << 4) + 8
    magnitude = np.where(exponent == 0, step, (step + 0x100) << np.maximum(exponent - 1, 0))
    return np.where(word & 0x80, magnitude, -magnitude).astype(np.int16)


def _alaw_codes() -> NDArray[np.uint8]:
    sample, magnitude = _signs_and_magnitudes()
    magnitude >>= 4
    exponent = np.where(magnitude < 16, 0, _highest_bit(magnitude) - 3)
    mantissa = (magnitude >> np.maximum(exponent - 1, 0)) & 0x0F
    sign = np.where(sample < 0, 0, 0x80)
    return ((sign | (exponent << 4) | mantissa) ^ 0x55).astype(np.uint8)


_MULAW_VALUES: Final = _mulaw_values()
_MULAW_CODES: Final = _mulaw_codes()
_ALAW_VALUES: Final = _alaw_values()
_ALAW_CODES: Final = _alaw_codes()


def encode_mulaw(pcm: bytes) -> bytes:
    """Return one mu-law byte for each PCM16 sample. Even length required."""
    return _MULAW_CODES[np.frombuffer(pcm, "<u2")].tobytes()


def decode_mulaw(codes: bytes) -> bytes:
    """Return one PCM16 sample for each mu-law byte."""
    return _MULAW_VALUES[np.frombuffer(codes, np.uint8)].astype("<i2").tobytes()


def encode_alaw(pcm: bytes) -> bytes:
    """Return one A-law byte for each PCM16 sample. Even length required."""
    return _ALAW_CODES[np.frombuffer(pcm, "<u2")].tobytes()


def decode_alaw(codes: bytes) -> bytes:
    """Return one PCM16 sample for each A-law byte."""
    return _ALAW_VALUES[np.frombuffer(codes, np.uint8)].astype("<i2").tobytes()
