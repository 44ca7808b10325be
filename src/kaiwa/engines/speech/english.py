"""The English voices: flite, or espeak-ng where there is no flite, each run as a process of its own.

A process keeps espeak-ng's licence (GPL-3) out of ours, and a crash out of the server. The text goes by
standard input, so that no process list shows it.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

import numpy as np

from kaiwa.engines.speech.reading_en import read_english
from kaiwa.engines.speech.resampling import HOUSE_RATE_HZ, Samples, from_pcm16, resample
from kaiwa.engines.speech.voices import Body, VoiceInfo
from kaiwa.errors import ConfigError, UpstreamError

Which = Callable[[str], str | None]

_TIMEOUT_S: Final = 10.0
_FLITE: Final[dict[Body, tuple[str, float]]] = {"higher": ("slt", 0.66), "lower": ("rms", 1.27)}
_ESPEAK: Final[dict[Body, tuple[str, float]]] = {"higher": ("en-us+f3", 1.35), "lower": ("en-us+m3", 1.4)}
"""Name of the voice in the program, and the gain that brings it to the loudness of the Japanese voice."""
_ESPEAK_WORDS_PER_MINUTE: Final = 165


@dataclass(frozen=True, slots=True)
class EnglishVoice:
    """One of the two programs, by its path."""

    program: Literal["flite", "espeak-ng"]
    path: str

    @classmethod
    def find(cls, which: Which = shutil.which) -> EnglishVoice | None:
        """Return the better program that is installed, or None. `which` gives a program's path."""
        if path := which("flite"):
            return cls("flite", path)
        if path := which("espeak-ng"):
            return cls("espeak-ng", path)
        return None

    @classmethod
    def require(cls, which: Which = shutil.which) -> EnglishVoice:
        """Return the better program; raises ConfigError that names the packages when there is none."""
        found = cls.find(which)
        if found is None:
            raise ConfigError(
                "speech",
                "there is no English voice: neither flite nor espeak-ng is installed.",
                "Install one: apt-get install flite (or espeak-ng).",
            )
        return found

    def render(self, clause: str, voice: VoiceInfo, speed: float) -> Samples:
        """Return the clause as floats at the house rate. Raises UpstreamError when the program fails."""
        spoken = read_english(clause).strip()
        if self.program == "flite":
            name, gain = _FLITE[voice.body]
            stretch = f"duration_stretch={1 / speed:.3f}"
            command = [self.path, "-voice", name, "--setf", stretch]
        else:
            name, gain = _ESPEAK[voice.body]
            words = str(round(_ESPEAK_WORDS_PER_MINUTE * speed))
            command = [self.path, "-v", name, "-s", words, "--stdin"]
        rate, pcm = _open_wav(self._run(command, spoken))
        return resample(from_pcm16(pcm) * np.float32(gain), rate, HOUSE_RATE_HZ)

    def _run(self, command: list[str], spoken: str) -> bytes:
        """Let the program write a file: flite, given its text by a pipe, reads back what it has written."""
        try:
            with tempfile.TemporaryDirectory(prefix="kaiwa-") as place:
                wav = Path(place) / "speech.wav"
                out = ["-o" if self.program == "flite" else "-w", str(wav)]
                subprocess.run(
                    [*command, *out],
                    input=f"{spoken}\n".encode(),
                    capture_output=True,
                    timeout=_TIMEOUT_S,
                    check=True,
                )
                return wav.read_bytes()
        except (subprocess.SubprocessError, OSError) as error:
            raise UpstreamError(
                "speech_failed", f"The English voice ({self.program}) failed.", retryable=True
            ) from error


def _open_wav(content: bytes) -> tuple[int, bytes]:
    """Return rate and samples. The length in the header need not be true: take what is there."""
    at = content.find(b"data")
    if not content.startswith(b"RIFF") or at < 0:
        raise UpstreamError("speech_failed", "The English voice gave no audio.", retryable=True)
    return int.from_bytes(content[24:28], "little"), content[at + 8 :]
