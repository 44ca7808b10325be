"""All speech models of the process, loaded once. Knows how they are put together; knows no session."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from kaiwa.engines.speech.catalogue import Progress
from kaiwa.engines.speech.recognition import Recognizer, SpeechRecognizer
from kaiwa.engines.speech.synthesis import LocalSynthesizer, Synthesizer
from kaiwa.engines.speech.turns import SmartTurn, TurnJudge
from kaiwa.engines.speech.vad import VoiceActivityModel

_HALF_SECOND_OF_SILENCE: Final = bytes(24_000)


@dataclass(frozen=True, slots=True)
class SpeechSettings:
    """What may be chosen about the embedded models."""

    recognition_model: Path | None = None
    """A directory with any Whisper model in CTranslate2's layout; None: whisper-base."""
    recognition_threads: int = 1
    cache_directory: Path | None = None
    """Where whisper-base is put together; None: ~/.cache."""
    melody: bool = True
    """Ask smart-turn where the words leave the end of a turn in doubt."""


@dataclass(frozen=True, slots=True)
class SpeechModels:
    """`recognizer` serves one call at a time, the others several threads.

    `missing` are sentences about what is not installed and only needed at times.
    """

    vad: VoiceActivityModel
    recognizer: SpeechRecognizer
    synthesizer: Synthesizer
    turns: TurnJudge
    missing: tuple[str, ...] = ()
    load_seconds: float = 0.0
    memory_bytes: int = 0
    """What loading added to the process's resident memory; 0 where the system does not tell."""


def load_speech_models(
    settings: SpeechSettings | None = None, progress: Progress | None = None
) -> SpeechModels:
    """Load and warm up every model: 2 to 4 s, and 1 s more the first time on a machine.

    `progress` is told the step and how much of the whole is done.
    Raises ConfigError that names what to install when a model is missing or damaged.
    """
    settings = settings or SpeechSettings()
    report = progress or _tell_nobody
    began, memory = time.monotonic(), _resident_bytes()
    report("voice activity", 0.0)
    vad = VoiceActivityModel()
    report("recognition", 0.1)
    recognizer = Recognizer(
        settings.recognition_model,
        gate=vad,
        cache=settings.cache_directory,
        threads=settings.recognition_threads,
        progress=lambda step, done: report(step, 0.1 + 0.4 * done),
    )
    report("voices", 0.5)
    synthesizer = LocalSynthesizer()
    report("turns", 0.7)
    turns = TurnJudge(SmartTurn() if settings.melody else None)
    report("warm-up", 0.8)
    recognizer.warm_up()
    synthesizer.warm_up()
    turns.likelihood("明日から", "ja", pcm=_HALF_SECOND_OF_SILENCE)
    turns.likelihood("明日", "ja", pcm=_HALF_SECOND_OF_SILENCE)
    report("ready", 1.0)
    missing = () if synthesizer.has_english else ("No English voice: apt-get install flite (or espeak-ng).",)
    return SpeechModels(
        vad,
        recognizer,
        synthesizer,
        turns,
        missing,
        time.monotonic() - began,
        max(0, _resident_bytes() - memory),
    )


def _tell_nobody(step: str, done: float) -> None:
    """Stand in for a progress callback."""


def _resident_bytes() -> int:
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("VmRSS")), 0)
