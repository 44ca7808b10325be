"""The session's effective settings: how an update changes them, whole or not at all.

Source: Realtime reference B3 and K-39 to K-65. Does not know what follows from a change.
"""

from __future__ import annotations

from typing import TypeVar

import msgspec
from msgspec import UNSET, UnsetType

from kaiwa.events.config import (
    AudioInput,
    AudioInputUpdate,
    AudioOutput,
    AudioOutputUpdate,
    MaxTokens,
    Modality,
    SessionAudio,
    SessionConfig,
    SessionUpdate,
)
from kaiwa.session import errors
from kaiwa.session.mcp_rules import checked_servers

T = TypeVar("T")
_CLEARED = {
    "instructions": "",
    "tools": (),
    "tool_choice": "auto",
    "max_output_tokens": "inf",
    "tracing": None,
    "truncation": "auto",
    "prompt": None,
    "include": None,
}


def updated(config: SessionConfig, update: SessionUpdate, *, voice_locked: bool) -> SessionConfig:
    """Return the settings after the update. Raises PeerError, and then nothing has changed.

    The model stays the one the peer connected to; clients repeat it or send an alias (K-60).
    """
    if update.type != config.type:
        raise errors.wrong_session_type(realtime=config.type == "realtime")
    if update.type == "transcription" and update.model is not UNSET:
        raise errors.no_model_here()
    check_modalities(update.output_modalities, "session.output_modalities")
    check_max_tokens(update.max_output_tokens, "session.max_output_tokens")
    changes: dict[str, object] = {}
    for name, empty in _CLEARED.items():
        value = getattr(update, name)
        if value is not UNSET:
            changes[name] = empty if value is None else value
    if isinstance(update.tools, tuple):
        changes["tools"] = checked_servers(update.tools, config.tools, "session.tools")
    if update.output_modalities is not UNSET:
        changes["output_modalities"] = update.output_modalities
    for name in ("reasoning", "parallel_tool_calls", "temperature"):
        if getattr(update, name) is not UNSET:
            changes[name] = getattr(update, name)
    if update.audio is not UNSET:
        changes["audio"] = SessionAudio(
            input=_input(config.audio.input, update.audio.input),
            output=_output(config.audio.output, update.audio.output, voice_locked),
        )
    return msgspec.structs.replace(config, **changes)


def check_modalities(given: tuple[Modality, ...] | UnsetType | None, param: str) -> None:
    if given is UNSET or given is None:
        return
    if given not in (("text",), ("audio",)):
        raise errors.invalid_modalities(given, param)


def check_max_tokens(given: MaxTokens | UnsetType | None, param: str) -> None:
    if isinstance(given, int) and not 1 <= given <= 4096:
        raise errors.out_of_range(param, given, 'an integer from 1 to 4096 or "inf"')


def check_speed(given: float | UnsetType | None, param: str) -> None:
    if isinstance(given, int | float) and not 0.25 <= given <= 1.5:
        raise errors.out_of_range(param, given, "a number from 0.25 to 1.5")


def _input(current: AudioInput, update: AudioInputUpdate | UnsetType) -> AudioInput:
    if update is UNSET:
        return current
    return AudioInput(
        format=_given(update.format, current.format),
        transcription=_given(update.transcription, current.transcription),
        noise_reduction=_given(update.noise_reduction, current.noise_reduction),
        turn_detection=_given(update.turn_detection, current.turn_detection),
    )


def _output(current: AudioOutput, update: AudioOutputUpdate | UnsetType, voice_locked: bool) -> AudioOutput:
    if update is UNSET:
        return current
    check_speed(update.speed, "session.audio.output.speed")
    voice = _given(update.voice, current.voice)
    if voice_locked and voice != current.voice:
        raise errors.voice_locked()
    return AudioOutput(
        format=_given(update.format, current.format), voice=voice, speed=_given(update.speed, current.speed)
    )


def _given(value: T | UnsetType, otherwise: T) -> T:
    return otherwise if value is UNSET else value
