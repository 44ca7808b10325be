"""The sound of what a caller says, from files or a voice; made before the call, so that it is never late."""

from __future__ import annotations

import wave
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final, Protocol

import numpy as np

from kaiwa.audio.wav import house_audio_of
from kaiwa.errors import AudioFormatError
from kaiwa.testing.callers.scenario import Scenario, ScenarioError, Step

RATE_HZ: Final = 24_000
_EDGE: Final = bytes(RATE_HZ // 10 * 2)

Sounds = Mapping[int, bytes]
"""House audio by the number of its step."""


class Voice(Protocol):
    """Anything that speaks, such as `LocalSynthesizer`. May block."""

    def speak(
        self, text: str, *, voice: str | None = None, speed: float = 1.0, language: str | None = None
    ) -> Iterator[bytes]: ...


class Speech:
    """The local voice, loaded when it is first needed. Raises ConfigError when it is not installed."""

    def __init__(self) -> None:
        self._voice: Voice | None = None

    def speak(
        self, text: str, *, voice: str | None = None, speed: float = 1.0, language: str | None = None
    ) -> Iterator[bytes]:
        if self._voice is None:
            from kaiwa.engines.speech.synthesis import LocalSynthesizer

            self._voice = LocalSynthesizer()
        return self._voice.speak(text, voice=voice, speed=speed, language=language)


def render(scenario: Scenario, voice: Voice) -> dict[int, bytes]:
    """Return the sound of every step that has one. Blocks. Raises ScenarioError for a file that is no WAV."""
    sounds: dict[int, bytes] = {}
    for number, step in enumerate(scenario.step):
        words = step.spoken or step.say or step.backchannel
        if step.file is not None:
            sounds[number] = _from_file(scenario, step)
        elif words is not None:
            sounds[number] = spoken(words, scenario, voice)
    return sounds


def spoken(words: str, scenario: Scenario, voice: Voice) -> bytes:
    """Return words as sound with a tenth of a second of silence around them."""
    pcm = b"".join(voice.speak(words, voice=scenario.voice, language=scenario.language))
    return _EDGE + pcm + _EDGE


def _from_file(scenario: Scenario, step: Step) -> bytes:
    path = Path(scenario.folder) / str(step.file)
    try:
        return house_audio_of(path.read_bytes())
    except (OSError, AudioFormatError, wave.Error) as wrong:
        raise ScenarioError(
            step.id or str(step.file), f"{path} cannot be used: {wrong}.", "Give a WAV with PCM16."
        ) from wrong


def noise_of(kind: str, folder: str, seed: int) -> np.ndarray:
    """Return five seconds of noise of level 1, to be repeated: white, babble, or a file."""
    if kind in ("white", "babble"):
        random = np.random.default_rng(seed)
        samples = random.standard_normal(RATE_HZ * 5)
        return _level(samples if kind == "white" else _babble(samples, random))
    path = Path(folder) / kind
    try:
        pcm = house_audio_of(path.read_bytes())
    except (OSError, AudioFormatError) as wrong:
        raise ScenarioError(
            "noise", f"{kind!r} cannot be used: {wrong}.", "white, babble, or a WAV beside the scenario."
        ) from wrong
    return _level(np.frombuffer(pcm, "<i2").astype(np.float64))


def _babble(samples: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Shape noise as many voices far away: below 1 kHz, its level rising and falling with syllables."""
    spectrum = np.fft.rfft(samples)
    frequencies = np.fft.rfftfreq(len(samples), 1 / RATE_HZ)
    spectrum *= np.where(
        (frequencies > 120) & (frequencies < 3400), 1 / np.maximum(1.0, frequencies / 500) ** 2, 0
    )
    shaped = np.fft.irfft(spectrum, len(samples))
    steps = np.repeat(random.uniform(0.3, 1.0, len(samples) // 4800), 4800)
    return shaped[: len(steps)] * steps


def _level(samples: np.ndarray) -> np.ndarray:
    root = float(np.sqrt(np.mean(samples**2))) or 1.0
    return samples / root
