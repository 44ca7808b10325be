"""What the service's session object says: settings to say again, how turns end, how long a sound lasts.

Reads GA frames as JSON objects; keeps nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, cast

from kaiwa.events.relay import PassedFrame, UpstreamSaid
from kaiwa.session.relay.aliases import part_of

Settings = Mapping[str, Any]
_OWN_KEYS: Final = frozenset({"id", "object", "expires_at", "model"})
_CLEARABLE: Final = frozenset({"turn_detection", "transcription", "noise_reduction"})
_PCM_LETTERS_PER_MS: Final = 64.0  # 48 bytes in base64
_G711_LETTERS_PER_MS: Final = 32 / 3


def settings_again(session: Settings) -> dict[str, Any]:
    """Return the `session` of the session.update that gives another session these settings."""
    return {key: value for key, value in _without_nulls(session).items() if key not in _OWN_KEYS}


def detection_of(session: Settings) -> Any:
    """Return how the service finds the ends of turns; None: its client does."""
    return part_of(part_of(session, "audio"), "input").get("turn_detection")


def answers_turns(session: Settings) -> bool:
    """Say whether the service answers a turn that it has found by itself."""
    detection: Any = detection_of(session)
    if not isinstance(detection, dict):
        return False
    return cast(dict[str, Any], detection).get("create_response", True) is not False


def sound_ms(said: UpstreamSaid, session: Settings) -> float:
    """Return how long the sound in a delta lasts, from the length of its base64."""
    format = part_of(part_of(part_of(session, "audio"), "output"), "format").get("type")
    return sound_letters(said) / letters_per_ms(format)


def heard_letters_per_ms(session: Settings) -> float:
    """Return how many letters of base64 a millisecond of the caller's sound has."""
    return letters_per_ms(part_of(part_of(part_of(session, "audio"), "input"), "format").get("type"))


def sound_letters(frame: PassedFrame) -> int:
    """Return how long the base64 in a delta is."""
    if frame.body is not None:
        return len(str(frame.body.get("delta") or ""))
    text = frame.frame or ""
    begins = text.find('"', text.find('"delta"') + 7) + 1
    return text.find('"', begins) - begins


def letters_per_ms(format: object) -> float:
    """Return how many letters of base64 a millisecond of sound in this format has."""
    return _G711_LETTERS_PER_MS if format in ("audio/pcmu", "audio/pcma") else _PCM_LETTERS_PER_MS


def _without_nulls(value: Settings) -> dict[str, Any]:
    """Return settings without those that are not set; null says something of a few only."""
    kept: dict[str, Any] = {}
    for key, given in value.items():
        if isinstance(given, dict):
            kept[key] = _without_nulls(cast(dict[str, Any], given))
        elif given is not None or key in _CLEARABLE:
            kept[key] = given
    return kept
