"""How loud PCM16 is, against full scale. Knows samples only, no rate."""

from __future__ import annotations

import math
from typing import Final

import numpy as np

SILENCE_DBFS: Final = -100.0
_FULL_SCALE: Final = 32768.0


def rms_dbfs(pcm: bytes) -> float:
    """Return the root mean square in dB of full scale (a full-scale sine is -3); silence is -100."""
    samples = np.frombuffer(pcm, "<i2").astype(np.float64)
    return _dbfs(math.sqrt(float(np.mean(samples**2)))) if len(samples) else SILENCE_DBFS


def peak_dbfs(pcm: bytes) -> float:
    """Return the greatest magnitude in dB of full scale; silence is -100."""
    samples = np.frombuffer(pcm, "<i2").astype(np.int32)
    return _dbfs(float(np.max(np.abs(samples)))) if len(samples) else SILENCE_DBFS


def _dbfs(level: float) -> float:
    return max(SILENCE_DBFS, 20 * math.log10(level / _FULL_SCALE)) if level > 0 else SILENCE_DBFS
