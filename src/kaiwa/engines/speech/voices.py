"""The voices by name: which body and pitch each has. Knows no synthesis.

Every voice name of the Realtime API is one of ours, so that a client's settings work as they are.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

Body = Literal["higher", "lower"]


@dataclass(frozen=True, slots=True)
class VoiceInfo:
    """`half_tones` shift the one Japanese voice; `body` chooses between the two English ones."""

    name: str
    body: Body
    half_tones: float
    languages: tuple[str, ...] = ("ja", "en")


DEFAULT_VOICE: Final = "marin"
_VOICES: Final = {
    voice.name: voice
    for voice in (
        VoiceInfo("marin", "higher", 0.0),
        VoiceInfo("cedar", "lower", -5.0),
        VoiceInfo("alloy", "higher", -1.0),
        VoiceInfo("ash", "lower", -6.0),
        VoiceInfo("ballad", "lower", -5.5),
        VoiceInfo("coral", "higher", 1.0),
        VoiceInfo("echo", "lower", -4.0),
        VoiceInfo("fable", "higher", -2.0),
        VoiceInfo("nova", "higher", 0.5),
        VoiceInfo("onyx", "lower", -7.0),
        VoiceInfo("sage", "higher", -1.5),
        VoiceInfo("shimmer", "higher", 1.5),
        VoiceInfo("verse", "lower", -4.5),
        VoiceInfo("mei", "higher", 0.0, ("ja",)),
    )
}


def voices() -> tuple[VoiceInfo, ...]:
    """Return every voice that can be asked for, the default first."""
    return tuple(_VOICES.values())


def find_voice(name: str | None) -> VoiceInfo:
    """Return the voice of that name, or the default one for None and for names nobody knows."""
    return _VOICES.get((name or DEFAULT_VOICE).lower(), _VOICES[DEFAULT_VOICE])
