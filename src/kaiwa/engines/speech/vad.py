"""Where in the audio somebody speaks: a probability for each 32 ms. Knows nothing of turns and thresholds.

Silero VAD (MIT) at 16 kHz: 512 new samples after 64 of context, and a recurrent state. Without the context it
answers too, only worse.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import numpy as np

from kaiwa.engines.speech.catalogue import SILERO_VAD, carried_model
from kaiwa.engines.speech.onnx import open_onnx
from kaiwa.engines.speech.resampling import (
    HOUSE_RATE_HZ,
    MODEL_RATE_HZ,
    Resampler,
    Samples,
    from_pcm16,
)

FRAME_MS: Final = 32
_FRAME: Final = 512
_CONTEXT: Final = 64
_HOUSE_FRAME_BYTES: Final = 2 * FRAME_MS * HOUSE_RATE_HZ // 1000
"""Resampling frame by frame gives 512 samples each time and costs half of what 20 ms pieces do."""


class VoiceActivityModel:
    """The network, loaded once and shared by all streams and threads."""

    def __init__(self, directory: Path | None = None) -> None:
        self._session = open_onnx(carried_model(SILERO_VAD, directory), SILERO_VAD.name)
        self._rate = np.array(MODEL_RATE_HZ, dtype=np.int64)

    def stream(self) -> VoiceActivityStream:
        return VoiceActivityStream(self)

    def step(self, framed: Samples, state: Samples) -> tuple[float, Samples]:
        """Judge one frame with its context: shape (1, 576) and state (2, 1, 128) at 16 kHz."""
        answer: list[Any] = self._session.run(None, {"input": framed, "state": state, "sr": self._rate})
        return float(answer[0][0, 0]), answer[1]

    def hears_speech(self, samples: Samples, *, threshold: float = 0.5, frames: int = 3) -> bool:
        """Say whether 16 kHz audio holds at least `frames` frames of speech. Stops at the first certainty."""
        walk = _FrameWalk(self)
        count = 0
        for start in range(0, len(samples) - _FRAME + 1, _FRAME):
            count += walk.judge(samples[start : start + _FRAME]) >= threshold
            if count >= frames:
                return True
        return False


class _FrameWalk:
    """The recurrent state of one walk over 16 kHz frames."""

    def __init__(self, model: VoiceActivityModel) -> None:
        self._model = model
        self._state: Samples = np.zeros((2, 1, 128), dtype=np.float32)
        self._framed: Samples = np.zeros((1, _CONTEXT + _FRAME), dtype=np.float32)

    def judge(self, frame: Samples) -> float:
        self._framed[0, :_CONTEXT] = self._framed[0, -_CONTEXT:]
        self._framed[0, _CONTEXT:] = frame
        probability, self._state = self._model.step(self._framed, self._state)
        return probability


class VoiceActivityStream:
    """One session's ear. Takes house audio of any length; not for two threads at once."""

    def __init__(self, model: VoiceActivityModel) -> None:
        self._walk = _FrameWalk(model)
        self._resampler = Resampler(HOUSE_RATE_HZ, MODEL_RATE_HZ)
        self._pcm = b""
        self._frames = 0

    def hear(self, pcm: bytes) -> list[tuple[int, float]]:
        """Return (audio_ms at the end of the frame, probability of speech) for each frame that became full.

        `audio_ms` counts the audio given to this stream since it began.
        """
        pcm = self._pcm + pcm
        full = len(pcm) // _HOUSE_FRAME_BYTES
        self._pcm = pcm[full * _HOUSE_FRAME_BYTES :]
        samples = self._resampler.process(from_pcm16(pcm[: full * _HOUSE_FRAME_BYTES]))
        judged: list[tuple[int, float]] = []
        for start in range(0, full * _FRAME, _FRAME):
            self._frames += 1
            judged.append((self._frames * FRAME_MS, self._walk.judge(samples[start : start + _FRAME])))
        return judged
