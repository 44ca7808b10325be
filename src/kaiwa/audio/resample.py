"""Change the sample rate of a PCM16 stream, piece by piece, without seams.

Knows one mono stream and a rational ratio of rates; meant for 8, 16, 24 and 48 kHz. A polyphase windowed
sinc: pass band to 0.82 of the lower Nyquist frequency, images and aliases below -65 dB. The first output
sample stands at the first input sample (no delay in the result); the last 3 ms or less of what was pushed
come out with the next push or with `flush`.
"""

from __future__ import annotations

import math
from functools import cache
from typing import Final, cast

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from kaiwa.errors import AudioFormatError

Samples = NDArray[np.float64]

_HALF_TAPS: Final = 24
_KAISER_BETA: Final = 7.0
_CUTOFF: Final = 0.91
_BLOCK: Final = 24_000
_DENSE_STEP: Final = 4


class Resampler:
    """One stream from `from_hz` to `to_hz`. Any cut of the input into pieces gives the same samples."""

    def __init__(self, from_hz: int, to_hz: int) -> None:
        if from_hz <= 0 or to_hz <= 0:
            raise AudioFormatError(f"a sample rate must be positive, not {from_hz} or {to_hz} Hz")
        divisor = math.gcd(from_hz, to_hz)
        self._up, self._down = to_hz // divisor, from_hz // divisor
        self._half = math.ceil(_HALF_TAPS * max(1.0, self._down / self._up))
        self._taps = _phases(self._up, self._down, self._half)
        self._start()

    def _start(self) -> None:
        # The window of the input sample p reaches from p - half + 1 to p + half.
        self._held: Samples = np.zeros(self._half - 1)
        self._first = 1 - self._half
        self._taken = 0
        self._given = 0

    def push(self, pcm: bytes) -> bytes:
        """Return the resampled PCM16 that is settled by now. Raises AudioFormatError for odd lengths."""
        if len(pcm) % 2:
            raise AudioFormatError("PCM16 needs an even number of bytes")
        if self._up == self._down:
            return pcm
        samples = np.frombuffer(pcm, "<i2")
        pieces = [self._feed(samples[at : at + _BLOCK]) for at in range(0, len(samples), _BLOCK)]
        return b"".join(pieces)

    def flush(self) -> bytes:
        """Return the rest, so that the durations agree, and start afresh."""
        if self._up == self._down:
            return b""
        expected = math.ceil(self._taken * self._up / self._down)
        missing = expected - self._given
        tail = self._feed(np.zeros(self._half, np.int16))
        self._start()
        return tail[: 2 * missing]

    def _feed(self, samples: NDArray[np.int16]) -> bytes:
        self._held = np.concatenate((self._held, samples.astype(np.float64)))
        self._taken += len(samples)
        # Output n needs input up to n * down // up + half.
        ready = max(0, (self._taken - self._half) * self._up)
        until = max(self._given, -(-ready // self._down))
        values = np.empty(until - self._given)
        for lane in range(min(self._up, len(values))):
            values[lane :: self._up] = self._lane(self._given + lane, until)
        self._given = until
        self._drop_used()
        return np.clip(np.rint(values), -32768, 32767).astype("<i2").tobytes()

    def _lane(self, first: int, until: int) -> Samples:
        """Return every `up`-th output from `first` on: they share one row of taps."""
        place = first * self._down
        start = place // self._up - self._half + 1 - self._first
        last = start + (until - 1 - first) // self._up * self._down
        span = self._held[start : last + 2 * self._half]
        taps = self._taps[place % self._up]
        if self._down <= _DENSE_STEP:
            # To compute the places between and throw them away is still the fastest.
            dense = cast(Samples, np.correlate(span, taps, "valid"))
            return dense[:: self._down]
        return np.einsum("ij,j->i", sliding_window_view(span, len(taps))[:: self._down], taps)

    def _drop_used(self) -> None:
        needed = self._given * self._down // self._up - self._half + 1
        self._held = self._held[needed - self._first :]
        self._first = needed


def resample(pcm: bytes, from_hz: int, to_hz: int) -> bytes:
    """Return a whole recording at another rate; its length is that of the input, rounded up to a sample."""
    resampler = Resampler(from_hz, to_hz)
    return resampler.push(pcm) + resampler.flush()


@cache
def _phases(up: int, down: int, half: int) -> Samples:
    """Return one row of taps per phase: row r weighs the samples around a place r/up after a sample."""
    offsets = np.arange(1 - half, half + 1) - np.arange(up)[:, None] / up
    scale = _CUTOFF * min(1.0, up / down)
    window = np.i0(_KAISER_BETA * np.sqrt(np.clip(1 - (offsets / half) ** 2, 0, 1))) / np.i0(_KAISER_BETA)
    taps = np.sinc(offsets * scale) * window
    return taps / taps.sum(axis=1, keepdims=True)
