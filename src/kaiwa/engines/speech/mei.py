"""The Japanese voice: Open JTalk's front end and the HTS voice Mei. Knows no clauses and no chunks.

Measured: a spinning thread beside a synthesis of 440 ms met no gap over 2 ms, beside twenty front-end runs
one of 4 ms. The extension releases the interpreter lock, so no process of its own is needed. Synthesis takes
41 to 65 ms per second of audio, the front end 1 ms a clause. The library's own lock serves calls in turn.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from kaiwa.engines.speech.reading_ja import read_japanese
from kaiwa.engines.speech.resampling import HOUSE_RATE_HZ, Samples, resample
from kaiwa.engines.speech.voices import VoiceInfo
from kaiwa.errors import MissingPackage

_GAIN: Final = 0.85
"""Brings the voice to -18 dB while it speaks, as the English voices."""


def load_open_jtalk() -> Any:
    """Return the pyopenjtalk module. Raises MissingPackage when it is not installed."""
    try:
        import pyopenjtalk
    except ImportError:
        raise MissingPackage("speech", "pyopenjtalk-plus", "local") from None
    return pyopenjtalk


def analyse(text: str) -> list[dict[str, Any]]:
    """Return Open JTalk's words with reading, part of speech and form. About 1 ms."""
    words: list[dict[str, Any]] = load_open_jtalk().run_frontend(text, use_sudachi_kanji_yomi=False)
    return words


class JapaneseVoice:
    """Mei. The names of the voices differ in pitch only."""

    def __init__(self) -> None:
        self._jtalk: Any = load_open_jtalk()

    def render(self, clause: str, voice: VoiceInfo, speed: float) -> Samples:
        """Return the clause as floats at the house rate, with the voice's own silence around it."""
        labels = self._jtalk.extract_fullcontext(read_japanese(clause), use_sudachi_kanji_yomi=False)
        if not labels:
            return np.zeros(0, dtype=np.float32)
        wave, rate = self._jtalk.synthesize(labels, speed=speed, half_tone=voice.half_tones)
        return resample((wave * (_GAIN / 32768)).astype(np.float32), int(rate), HOUSE_RATE_HZ)
