"""The record of a call: turns with their times, tool calls, every event, and the sound in stereo.

Knows how a turn's latency is told from events. Does not know how they arrived. Times are seconds of call time
(zero is the first sample of the microphone).
"""

from __future__ import annotations

import wave
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

RATE_HZ = 24_000
SPEECH_FLOOR = 0.01


@dataclass
class ToolUse:
    """A function call and its output as the server showed them."""

    line_id: str
    call_id: str
    name: str
    arguments: str
    called_s: float
    output: str | None = None
    settled_s: float | None = None


@dataclass
class Turn:
    """One line of the caller and everything up to the next. Unset times never happened."""

    line_id: str
    text: str
    speech_start_s: float
    speech_end_s: float
    stops: int = 0
    stopped_s: float | None = None
    stopped_audio_ms: int | None = None
    committed_s: float | None = None
    response_created_s: float | None = None
    first_text_s: float | None = None
    first_audio_s: float | None = None
    playout_start_s: float | None = None
    playout_end_s: float | None = None
    transcribed_s: float | None = None
    transcript: str = ""
    reply: str = ""
    interrupted: bool = False
    problem: str | None = None

    def since_speech_ms(self, moment_s: float | None) -> float | None:
        """Milliseconds from the last sample of speech; None when it never happened."""
        return None if moment_s is None else round((moment_s - self.speech_end_s) * 1000, 1)

    def waterfall(self) -> dict[str, float | None]:
        """Milliseconds from the last sample of speech to each step of the answer."""
        return {
            "speech_stopped_ms": self.since_speech_ms(self.stopped_s),
            "committed_ms": self.since_speech_ms(self.committed_s),
            "response_created_ms": self.since_speech_ms(self.response_created_s),
            "transcript_ms": self.since_speech_ms(self.transcribed_s),
            "first_text_ms": self.since_speech_ms(self.first_text_s),
            "first_audio_ms": self.since_speech_ms(self.first_audio_s),
            "playout_start_ms": self.since_speech_ms(self.playout_start_s),
            "playout_end_ms": self.since_speech_ms(self.playout_end_s),
        }

    @property
    def decided_to_audio_ms(self) -> float | None:
        """From the confirmed end of the turn to the first audio of the answer."""
        if self.stopped_s is None or self.first_audio_s is None:
            return None
        return round((self.first_audio_s - self.stopped_s) * 1000, 1)


@dataclass
class Call:
    """A whole call. `events` are (seconds, "sent" or "received", event with its audio left out)."""

    turns: list[Turn] = field(default_factory=list[Turn])
    tools: list[ToolUse] = field(default_factory=list[ToolUse])
    events: list[tuple[float, str, dict[str, Any]]] = field(
        default_factory=list[tuple[float, str, dict[str, Any]]]
    )
    session: dict[str, Any] = field(default_factory=dict[str, Any])
    errors: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    caller_pcm: bytes = b""
    agent_sound: list[tuple[float, bytes]] = field(default_factory=list[tuple[float, bytes]])
    playout_gap_ms: float = 0.0
    ended: str = ""

    def as_json(self) -> dict[str, Any]:
        """Everything but sound and raw events, ready for json.dumps."""
        return {
            "ended": self.ended,
            "turns": [
                asdict(turn) | turn.waterfall() | {"decided_to_audio_ms": turn.decided_to_audio_ms}
                for turn in self.turns
            ],
            "tools": [asdict(tool) for tool in self.tools],
            "errors": self.errors,
            "playout_gap_ms": round(self.playout_gap_ms, 1),
        }

    def write_wav(self, path: Path) -> None:
        """Write the call as stereo PCM16, 24 kHz: caller left, agent right."""
        left = np.frombuffer(self.caller_pcm, "<i2")
        ends = [round(start_s * RATE_HZ) + len(pcm) // 2 for start_s, pcm in self.agent_sound]
        both = np.zeros((max([len(left), *ends]), 2), "<i2")
        both[: len(left), 0] = left
        for start_s, pcm in self.agent_sound:
            samples = np.frombuffer(pcm, "<i2")
            first = round(start_s * RATE_HZ)
            both[first : first + len(samples), 1] = samples
        with wave.open(str(path), "wb") as out:
            out.setnchannels(2)
            out.setsampwidth(2)
            out.setframerate(RATE_HZ)
            out.writeframes(both.tobytes())


def speech_span(pcm: bytes) -> tuple[int, int]:
    """Return the first and the last sample of speech (above -40 dBFS), in samples."""
    loud = np.flatnonzero(np.abs(np.frombuffer(pcm, "<i2").astype(np.int32)) > SPEECH_FLOOR * 32768)
    return (int(loud[0]), int(loud[-1]) + 1) if len(loud) else (0, len(pcm) // 2)
