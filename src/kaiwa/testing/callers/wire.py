"""What lies between a caller's mouth and the server: noise, lost and late frames; the same for one seed."""

from __future__ import annotations

import random
from collections import deque
from typing import Final

import numpy as np

from kaiwa.testing.callers.scenario import Line
from kaiwa.testing.callers.sounds import noise_of

SPEECH_LEVEL: Final = 2500.0
"""The usual level of a voice in PCM16 (RMS): the noise is set against it, also while nobody speaks."""


class SimulatedWire:
    """Fits `Wire`. A lost frame arrives as silence, as it does behind a packet network that hides no loss.

    Late frames keep their order: they leave together once the latest of them may.
    """

    def __init__(self, line: Line, *, folder: str = ".", seed: int = 0) -> None:
        self._folder = folder
        self._seed = seed
        self._random = random.Random(seed)
        self._held: deque[tuple[float, bytes]] = deque()
        self._at = 0
        self.lost = 0
        self.change(line)

    def change(self, line: Line) -> None:
        """Let the line be another from now on."""
        self._line = line
        self._noise = noise_of(line.noise, self._folder, self._seed) if line.noise else None

    def __call__(self, frame: bytes, now: float) -> list[bytes]:
        frame = self._noisy(frame)
        if self._line.loss and self._random.random() < self._line.loss:
            self.lost += 1
            frame = bytes(len(frame))
        late_s = self._random.uniform(0, self._line.late_ms / 1000) if self._line.late_ms else 0.0
        self._held.append((now + late_s, frame))
        leaving: list[bytes] = []
        while self._held and self._held[0][0] <= now:
            leaving.append(self._held.popleft()[1])
        return leaving

    def _noisy(self, frame: bytes) -> bytes:
        if self._noise is None:
            return frame
        samples = np.frombuffer(frame, "<i2").astype(np.float64)
        level = SPEECH_LEVEL / 10 ** (self._line.noise_snr_db / 20)
        places = np.arange(self._at, self._at + len(samples)) % len(self._noise)
        self._at += len(samples)
        return np.clip(samples + self._noise[places] * level, -32768, 32767).astype("<i2").tobytes()
