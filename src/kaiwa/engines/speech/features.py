"""Log-mel spectra as Whisper-like models expect them. Knows numbers; knows no model.

Source: the Whisper paper, section 2.2: 16 kHz, 25 ms window, 10 ms step, 80 mel bands, log10, eight decades.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final

import numpy as np

from kaiwa.engines.speech.resampling import MODEL_RATE_HZ, Samples

_WINDOW: Final = 400
STEP: Final = 160
_BANDS: Final = 80
_BLOCK: Final = 16


def log_mel(samples: Samples) -> Samples:
    """Return shape (80, len(samples) // 160) for samples at 16 kHz."""
    padded = np.pad(samples.astype(np.float32, copy=False), _WINDOW // 2, mode="reflect")
    frames = np.lib.stride_tricks.sliding_window_view(padded, _WINDOW)[::STEP][: len(samples) // STEP]
    spectrum = np.fft.rfft(frames * _hann(), axis=1)
    power = (spectrum.real**2 + spectrum.imag**2).astype(np.float32)
    mel = np.log10(np.maximum(_in_bands(power), 1e-10))
    mel = np.maximum(mel, mel.max() - 8.0)
    return np.ascontiguousarray(((mel + 4.0) / 4.0).T, dtype=np.float32)


def _in_bands(power: Samples) -> Samples:
    """Multiply by the filters in blocks too small for the BLAS library to wake its threads.

    They would spin for 30 ms afterwards, on the core that the event loop and the voices need (measured:
    smart-turn took 149 ms of processor time in 75 ms).
    """
    filters = _filters()
    out = np.empty((len(power), _BANDS), dtype=np.float32)
    for at in range(0, len(power), _BLOCK):
        np.matmul(power[at : at + _BLOCK], filters, out=out[at : at + _BLOCK])
    return out


@lru_cache(maxsize=1)
def _hann() -> Samples:
    return (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(_WINDOW) / _WINDOW)).astype(np.float32)


@lru_cache(maxsize=1)
def _filters() -> Samples:
    """Return triangular filters of equal area on the mel scale of Slaney, shape (201, 80)."""
    bins = np.linspace(0, MODEL_RATE_HZ / 2, _WINDOW // 2 + 1)
    edges = _mel_to_hz(np.linspace(0, _hz_to_mel(MODEL_RATE_HZ / 2), _BANDS + 2))
    rising = (bins[:, None] - edges[None, :-2]) / (edges[1:-1] - edges[:-2])
    falling = (edges[None, 2:] - bins[:, None]) / (edges[2:] - edges[1:-1])
    triangles = np.maximum(0.0, np.minimum(rising, falling))
    return (triangles * (2.0 / (edges[2:] - edges[:-2]))).astype(np.float32)


_LINEAR_HZ: Final = 200.0 / 3
_BREAK_HZ: Final = 1000.0
_BREAK_MEL: Final = _BREAK_HZ / _LINEAR_HZ
_LOG_STEP: Final = np.log(6.4) / 27.0


def _hz_to_mel(hz: float) -> float:
    if hz < _BREAK_HZ:
        return hz / _LINEAR_HZ
    return float(_BREAK_MEL + np.log(hz / _BREAK_HZ) / _LOG_STEP)


def _mel_to_hz(mel: np.ndarray) -> np.ndarray:
    return np.where(mel < _BREAK_MEL, mel * _LINEAR_HZ, _BREAK_HZ * np.exp(_LOG_STEP * (mel - _BREAK_MEL)))
