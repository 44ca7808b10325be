"""Speak text: house audio in small chunks. Knows which voice speaks what; knows no session and no playout."""

from __future__ import annotations

import shutil
from collections import OrderedDict
from collections.abc import Callable, Iterator
from threading import Lock
from typing import Final, Protocol

import numpy as np

from kaiwa.engines.speech.clauses import ClauseSplitter as ClauseSplitter
from kaiwa.engines.speech.clauses import split_clauses as split_clauses
from kaiwa.engines.speech.english import EnglishVoice, Which
from kaiwa.engines.speech.japanese import is_japanese
from kaiwa.engines.speech.mei import JapaneseVoice
from kaiwa.engines.speech.resampling import HOUSE_RATE_HZ, Samples, to_pcm16
from kaiwa.engines.speech.voices import VoiceInfo as VoiceInfo
from kaiwa.engines.speech.voices import find_voice
from kaiwa.engines.speech.voices import voices as voices

CHUNK_MS: Final = 200
_SHORTEST_CHUNK_MS: Final = 100
_BYTES_PER_MS: Final = HOUSE_RATE_HZ * 2 // 1000
_CACHED_CLAUSES: Final = 128
_CACHED_BYTES: Final = 3000 * _BYTES_PER_MS
_LOUDEST: Final = 0.95
_LEAD_MS: Final = 20
_FADE_MS: Final = 5
_PAUSE_MS: Final = {"、": 140, "，": 140, ",": 140, ";": 180, ":": 180}
_SENTENCE_PAUSE_MS: Final = 320
_PHRASE_PAUSE_MS: Final = 40

FIRST_PHRASES: Final = ("はい。", "かしこまりました。", "少々お待ちください。", "ありがとうございます。")
"""Rendered while loading, so that the commonest beginnings cost nothing."""


class Synthesizer(Protocol):
    """Anything that speaks. May block while it makes the next chunk; is driven by a worker thread."""

    def speak(
        self, text: str, *, voice: str | None = None, speed: float = 1.0, language: str | None = None
    ) -> Iterator[bytes]:
        """Yield house audio in chunks of 100 to 400 ms. Nothing for a text without a word in it."""
        ...


class LocalSynthesizer:
    """Mei for Japanese, flite or espeak-ng for English. Safe for several threads."""

    def __init__(self, which: Which = shutil.which) -> None:
        """Load the Japanese voice. Raises ConfigError when it is not installed.

        A missing English voice is told when English is to be spoken; see `english_problem`.
        """
        self._mei = JapaneseVoice()
        self._which = which
        self._english = EnglishVoice.find(which)
        self._rendered: OrderedDict[tuple[str, str, float], bytes] = OrderedDict()
        self._lock = Lock()

    @property
    def has_english(self) -> bool:
        return self._english is not None

    def warm_up(self) -> None:
        """Render the commonest first phrases with the default voice."""
        for phrase in FIRST_PHRASES:
            for _ in self.speak(phrase, language="ja"):
                pass

    def speak(
        self, text: str, *, voice: str | None = None, speed: float = 1.0, language: str | None = None
    ) -> Iterator[bytes]:
        """Yield house audio in chunks of 200 ms, the last of a clause 100 to 300 ms.

        A clause in Japanese script is spoken by the Japanese voice whatever `language` says.
        `speed`: 0.25 to 1.5, as the Realtime API has it.
        Raises ConfigError when English is to be spoken and no English voice is installed.
        """
        language = language or ("ja" if is_japanese(text) else "en")
        chosen = find_voice(voice)
        for clause in split_clauses(text, language):
            if any(char.isalnum() for char in clause):
                yield from cut_chunks(self._clause(clause, chosen, speed, language))

    def _clause(self, clause: str, voice: VoiceInfo, speed: float, language: str) -> bytes:
        key = (clause.strip(), voice.name, speed)
        with self._lock:
            found = self._rendered.get(key)
            if found is not None:
                self._rendered.move_to_end(key)
                return found
        render: Callable[[str, VoiceInfo, float], Samples]
        if language == "ja" or is_japanese(clause):
            render = self._mei.render
        else:
            render = (self._english or EnglishVoice.require(self._which)).render
        pcm = _finished(render(clause, voice, speed), clause, speed)
        self._keep(key, pcm)
        return pcm

    def _keep(self, key: tuple[str, str, float], pcm: bytes) -> None:
        if len(pcm) > _CACHED_BYTES:
            return
        with self._lock:
            self._rendered[key] = pcm
            while len(self._rendered) > _CACHED_CLAUSES:
                self._rendered.popitem(last=False)


def cut_chunks(pcm: bytes) -> Iterator[bytes]:
    """Yield chunks of 200 ms; the last has 100 to 300 ms. Audio under 100 ms is filled up with silence."""
    size = CHUNK_MS * _BYTES_PER_MS
    shortest = _SHORTEST_CHUNK_MS * _BYTES_PER_MS
    if not pcm:
        return
    at = 0
    while len(pcm) - at >= size + shortest:
        yield pcm[at : at + size]
        at += size
    yield pcm[at:].ljust(shortest, b"\0")


def _finished(samples: Samples, clause: str, speed: float) -> bytes:
    """Trim the voice's own silences, put the pause that the punctuation asks for, keep the peaks whole."""
    loud = np.flatnonzero(np.abs(samples) > 0.004)
    if not len(loud):
        return b""
    lead = _LEAD_MS * HOUSE_RATE_HZ // 1000
    start, stop = max(0, int(loud[0]) - lead), min(len(samples), int(loud[-1]) + lead)
    body = samples[start:stop].copy()
    fade = min(len(body), _FADE_MS * HOUSE_RATE_HZ // 1000)
    ramp = np.linspace(0.0, 1.0, fade, dtype=np.float32)
    body[:fade] *= ramp
    body[len(body) - fade :] *= ramp[::-1]
    peak = float(np.abs(body).max())
    if peak > _LOUDEST:
        body *= _LOUDEST / peak
    pause = np.zeros(int(_pause_ms(clause) / speed) * HOUSE_RATE_HZ // 1000, dtype=np.float32)
    return to_pcm16(np.concatenate([body, pause]))


def _pause_ms(clause: str) -> int:
    last = clause.rstrip().rstrip("」』）)】”\"'’")[-1:]
    if last in "。！？!?." and last:
        return _SENTENCE_PAUSE_MS
    return _PAUSE_MS.get(last, _PHRASE_PAUSE_MS)
