"""Is the speaker done? A judgement on text, and on melody as a second opinion. Knows no timers.

The text rule leads: on 57 complete and 54 incomplete Japanese utterances a rule of this kind was right 57 and
51 times, where smart-turn alone called 51 and 35 of them complete.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final, Literal

import numpy as np

from kaiwa.engines.speech import turns_en, turns_ja
from kaiwa.engines.speech.catalogue import SMART_TURN, carried_model
from kaiwa.engines.speech.features import log_mel
from kaiwa.engines.speech.japanese import is_japanese
from kaiwa.engines.speech.onnx import open_onnx
from kaiwa.engines.speech.resampling import MODEL_RATE_HZ, Samples, house_to_model_rate

ExpectationKind = Literal["open", "date", "time", "number", "name", "choice", "confirm", "id"]

_WINDOW: Final = 8 * MODEL_RATE_HZ
_UNSURE: Final = (0.2, 0.7)
_TRUST_IN_MELODY: Final = 0.35


def turn_completeness(text: str, language: str | None = None, *, kind: ExpectationKind = "open") -> float:
    """Return how complete the words sound: 0 surely goes on, 1 surely done, 0.5 no words to judge by.

    `kind` is the slot just asked for: a bare noun is an answer to a question, and a beginning otherwise.
    """
    if is_japanese(text) or (language == "ja" and not text.isascii()):
        return turns_ja.completeness(text, kind)
    return turns_en.completeness(text, kind)


class SmartTurn:
    """The smart-turn v3.2 network (BSD-2): the melody of the last 8 s. About 50 ms a call."""

    def __init__(self, directory: Path | None = None) -> None:
        self._session = open_onnx(carried_model(SMART_TURN, directory), SMART_TURN.name)

    def probability(self, pcm: bytes) -> float:
        """Return how complete house audio sounds, from the beginning of the turn to the pause."""
        heard = house_to_model_rate(pcm)[-_WINDOW:]
        window: Samples = np.zeros(_WINDOW, dtype=np.float32)
        if len(heard):
            window[-len(heard) :] = heard
        level = (window - window.mean()) / np.sqrt(window.var() + 1e-7)
        answer = self._session.run(None, {"input_features": log_mel(level)[None]})
        return float(np.asarray(answer[0]).reshape(-1)[0])


class TurnJudge:
    """Words first; melody where the words leave a doubt."""

    def __init__(self, melody: SmartTurn | None = None) -> None:
        self._melody = melody

    def likelihood(
        self,
        text: str,
        language: str | None = None,
        *,
        kind: ExpectationKind = "open",
        pcm: bytes | None = None,
    ) -> float:
        """Return the probability that the turn has ended.

        `pcm` is the turn's house audio up to the pause. None, or words beyond doubt, spare the network.
        """
        by_words = turn_completeness(text, language, kind=kind)
        if pcm is None or self._melody is None or not _UNSURE[0] < by_words < _UNSURE[1]:
            return by_words
        by_melody = self._melody.probability(pcm)
        return by_words + _TRUST_IN_MELODY * (by_melody - by_words)
