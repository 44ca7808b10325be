"""Change the sampling rate of PCM by a ratio of small numbers. Knows filters; knows no codec and no model.

A polyphase windowed-sinc filter: of the taps of the long filter only those that meet a real sample are
multiplied. Cut-off at 94% of the lower half-rate, Kaiser window (beta 8): images and aliases lie 70 dB down.
"""

from __future__ import annotations

from functools import lru_cache
from math import gcd
from typing import Final

import numpy as np
import numpy.typing as npt

Samples = npt.NDArray[np.float32]

HOUSE_RATE_HZ: Final = 24_000
MODEL_RATE_HZ: Final = 16_000
_ZERO_CROSSINGS: Final = 24
_CUTOFF: Final = 0.94
_BETA: Final = 8.0


class Resampler:
    """One direction of one stream. Keeps filter state, so pieces of any length may be fed."""

    def __init__(self, source_hz: int, target_hz: int) -> None:
        common = gcd(source_hz, target_hz)
        self._up = target_hz // common
        self._down = source_hz // common
        self._phases = _filter_bank(self._up, self._down)
        self.taps = self._phases.shape[1]
        self._kept: Samples = np.zeros(self.taps - 1, dtype=np.float32)
        self._next = 0
        """Position of the next output sample, in units of 1/up input samples after the first new sample."""

    def process(self, samples: Samples) -> Samples:
        """Return the output that the samples so far allow. Delay: half a filter, 0.3 to 1 ms."""
        line = np.concatenate([self._kept, samples.astype(np.float32, copy=False)])
        limit = len(samples) * self._up
        first, count = self._next, len(range(self._next, limit, self._down))
        self._next += count * self._down - limit
        self._kept = line[len(line) - (self.taps - 1) :]
        out = np.empty(count, dtype=np.float32)
        for start in range(min(self._up, count)):
            # Every up-th output meets the same phase, and its windows lie down samples apart.
            index, phase = divmod(first + start * self._down, self._up)
            same = out[start :: self._up]
            windows = np.ndarray(
                (len(same), self.taps), np.float32, line, offset=4 * index, strides=(4 * self._down, 4)
            )
            np.einsum("nk,k->n", windows, self._phases[phase], out=same)
        return out


def resample(samples: Samples, source_hz: int, target_hz: int) -> Samples:
    """Return the whole recording at another rate, aligned in time, of length round(n * target / source)."""
    if source_hz == target_hz:
        return samples
    resampler = Resampler(source_hz, target_hz)
    wanted = round(len(samples) * target_hz / source_hz)
    delay = resampler.taps // 2
    padded = np.concatenate([samples, np.zeros(2 * delay + 2, dtype=np.float32)])
    out = resampler.process(padded)
    skip = round(delay * target_hz / source_hz)
    return out[skip : skip + wanted]


def from_pcm16(pcm: bytes) -> Samples:
    """Return PCM16 little endian as floats in -1 to 1. A dangling last byte is left out."""
    return np.frombuffer(pcm[: len(pcm) & ~1], dtype="<i2").astype(np.float32) / 32768.0


def to_pcm16(samples: npt.NDArray[np.floating]) -> bytes:
    """Return floats in -1 to 1 as PCM16 little endian, clipped."""
    return (np.clip(samples, -1.0, 32767 / 32768) * 32768.0).astype("<i2").tobytes()


def house_to_model_rate(pcm: bytes) -> Samples:
    """Return house audio (PCM16, 24 kHz) as floats at the models' 16 kHz."""
    return resample(from_pcm16(pcm), HOUSE_RATE_HZ, MODEL_RATE_HZ)


@lru_cache(maxsize=16)
def _filter_bank(up: int, down: int) -> Samples:
    """Return one row of taps per phase, oldest sample first."""
    widest = max(up, down)
    half = _ZERO_CROSSINGS * widest
    taps_per_phase = 2 * half // up + 1
    length = taps_per_phase * up
    at = np.arange(length) - (taps_per_phase // 2) * up
    window = np.where(
        np.abs(at) <= half, np.i0(_BETA * np.sqrt(np.maximum(0.0, 1 - (at / half) ** 2))) / np.i0(_BETA), 0.0
    )
    prototype = np.sinc(at * _CUTOFF / widest) * window * (_CUTOFF * up / widest)
    bank = prototype.reshape(taps_per_phase, up).T[:, ::-1]
    return np.ascontiguousarray(bank, dtype=np.float32)
