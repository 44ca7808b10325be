"""When a stretch of speech begins, pauses and ends, judged on the audio clock alone.

Knows probabilities of speech and of a complete turn. Does not know items, responses or who else speaks.
"""

from __future__ import annotations

from enum import Enum

from kaiwa.events.config import SemanticVad, ServerVad, TurnDetection
from kaiwa.session.policy import HostPolicy

_LONGEST_MS = {"low": 8000, "medium": 4000, "auto": 4000, "high": 2000}
_PATIENCE = {"low": 2.0, "medium": 1.0, "auto": 1.0, "high": 0.6}
COMPLETE = 0.5
INCOMPLETE = 0.2


class Sign(Enum):
    STARTED = "started"
    PAUSED = "paused"
    RESUMED = "resumed"
    ENDED = "ended"


class TurnDetector:
    """Turns frames of voice activity into signs. One sign a frame at most."""

    def __init__(self, policy: HostPolicy) -> None:
        self._policy = policy
        self.heard_ms = 0
        self.configure(None)

    def configure(self, detection: TurnDetection | None) -> None:
        """Take new settings; speech in progress goes on under them, or is forgotten when there are none."""
        self.detection = detection
        if isinstance(detection, ServerVad):
            self._threshold = detection.threshold
            self.prefix_ms = detection.prefix_padding_ms
        else:
            self._threshold = self._policy.semantic_threshold
            self.prefix_ms = self._policy.semantic_prefix_ms
        self._stay = max(self._threshold - self._policy.hysteresis, self._threshold * 0.5)
        if detection is None:
            self.reset()

    def reset(self) -> None:
        self.speaking = False
        self.paused = False
        self.likelihood: float | None = None
        self.onset_ms: int | None = None
        self.last_speech_ms = 0

    @property
    def idle(self) -> bool:
        return self.onset_ms is None

    @property
    def voiced_ms(self) -> int:
        """How long the speech has lasted, from its onset to its last voiced frame."""
        return 0 if self.onset_ms is None else self.last_speech_ms - self.onset_ms

    def skip(self, until_ms: int) -> None:
        """Forget the present speech and judge nothing before `until_ms`."""
        self.reset()
        self.heard_ms = max(self.heard_ms, until_ms)

    def hear(self, audio_ms: int, probability: float) -> Sign | None:
        if audio_ms <= self.heard_ms:
            return None
        self.heard_ms = audio_ms
        if not self.speaking:
            return self._outside(audio_ms, probability)
        if probability >= self._stay:
            self.last_speech_ms = audio_ms
            if self.paused:
                self.paused, self.likelihood = False, None
                return Sign.RESUMED
            return None
        return self._silent()

    def judge(self, audio_ms: int, probability: float) -> Sign | None:
        """Take a judgement on the present pause; an older one is ignored."""
        if not self.paused or audio_ms < self.last_speech_ms:
            return None
        self.likelihood = probability
        return self._silent()

    def _outside(self, audio_ms: int, probability: float) -> Sign | None:
        if probability < (self._threshold if self.onset_ms is None else self._stay):
            self.onset_ms = None
            return None
        if self.onset_ms is None:
            self.onset_ms = max(0, audio_ms - self._policy.frame_ms)
        self.last_speech_ms = audio_ms
        if audio_ms - self.onset_ms < self._policy.min_speech_ms:
            return None
        self.speaking = True
        return Sign.STARTED

    def _silent(self) -> Sign | None:
        silence_ms = self.heard_ms - self.last_speech_ms
        if silence_ms >= self._patience_ms():
            return Sign.ENDED
        if not self.paused and silence_ms >= self._policy.pause_ms:
            self.paused = True
            return Sign.PAUSED
        return None

    def _patience_ms(self) -> float:
        detection = self.detection
        if isinstance(detection, SemanticVad):
            wait_ms = self._semantic_wait_ms() * _PATIENCE[detection.eagerness]
            return min(wait_ms, _LONGEST_MS[detection.eagerness])
        return detection.silence_duration_ms if detection else 0

    def _semantic_wait_ms(self) -> int:
        if self.likelihood is None or INCOMPLETE <= self.likelihood < COMPLETE:
            return self._policy.unsure_ms
        return self._policy.complete_ms if self.likelihood >= COMPLETE else self._policy.incomplete_ms
