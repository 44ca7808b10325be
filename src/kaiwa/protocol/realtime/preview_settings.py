"""The session's settings from GA to the preview dialect's flat object and back. Source: reference B3.

`meant` reads what a client asks for and may raise PeerError, `told` writes it for an upstream; `shown`
writes the effective session for a client, `read` reads an upstream's.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from msgspec import UNSET, UnsetType, structs

from kaiwa.events import config
from kaiwa.events.config import Modality
from kaiwa.protocol.realtime import faults
from kaiwa.protocol.realtime import preview_shapes as shapes
from kaiwa.protocol.realtime.preview_editions import (
    DEFAULT_TRANSCRIBER,
    DEFAULT_VOICE,
    FORMATS,
    Edition,
)

_SPEAKING: Final[tuple[Modality, ...]] = ("audio", "text")
_SAME: Final = ("model", "instructions", "tools", "temperature", "tracing", "prompt", "include")
_FORMAT_NAMES: Final[dict[type, shapes.AudioFormat]] = {
    config.PcmFormat: "pcm16",
    config.PcmuFormat: "g711_ulaw",
    config.PcmaFormat: "g711_alaw",
}

# --- updates -----------------------------------------------------------------------------------


def settings_meant(update: shapes.SessionUpdate) -> config.SessionUpdate:
    return config.SessionUpdate(
        type="realtime",
        output_modalities=modalities_meant(update.modalities, "session.modalities"),
        tool_choice=tool_choice_meant(update.tool_choice, "session.tool_choice"),
        max_output_tokens=update.max_response_output_tokens,
        audio=_audio(
            _input_meant(update),
            config.AudioOutputUpdate(
                format=_format_meant(update.output_audio_format), voice=update.voice, speed=update.speed
            ),
        ),
        **_same(update, _SAME),
    )


def transcription_meant(update: shapes.TranscriptionUpdate) -> config.SessionUpdate:
    audio = _audio(_input_meant(update), config.AudioOutputUpdate())
    return config.SessionUpdate(type="transcription", audio=audio, include=update.include)


def settings_told(update: config.SessionUpdate) -> shapes.SessionUpdate:
    """What the preview dialect does not know is left out: truncation, reasoning, parallel calls."""
    audio = config.SessionAudioUpdate() if update.audio is UNSET else update.audio
    output = config.AudioOutputUpdate() if audio.output is UNSET else audio.output
    return shapes.SessionUpdate(
        modalities=UNSET if update.output_modalities is UNSET else modalities_shown(update.output_modalities),
        tool_choice=tool_choice_shown(update.tool_choice),
        max_response_output_tokens=update.max_output_tokens,
        voice=output.voice,
        speed=output.speed,
        output_audio_format=UNSET if output.format is UNSET else format_shown(output.format),
        **_input_told(audio),
        **_same(update, _SAME),
    )


def transcription_told(update: config.SessionUpdate) -> shapes.TranscriptionUpdate:
    audio = config.SessionAudioUpdate() if update.audio is UNSET else update.audio
    return shapes.TranscriptionUpdate(include=update.include, **_input_told(audio))


# --- the effective session ---------------------------------------------------------------------


def session_shown(session: config.SessionConfig, edition: Edition) -> shapes.Session:
    heard, spoken = session.audio.input, session.audio.output
    shown = shapes.Session(
        id=session.id,
        model=session.model,
        expires_at=session.expires_at,
        modalities=modalities_shown(session.output_modalities),
        instructions=session.instructions,
        voice=voice_shown(spoken.voice, edition),
        turn_detection=_turns_shown(heard.turn_detection, edition),
        input_audio_format=format_shown(heard.format),
        output_audio_format=format_shown(spoken.format),
        input_audio_transcription=_transcription_shown(heard.transcription, edition),
        tool_choice=tool_choice_shown(session.tool_choice, twice=not edition.late_keys),
        temperature=temperature_shown(session.temperature),
        max_response_output_tokens=session.max_output_tokens,
        tools=session.tools,
    )
    if not edition.late_keys:
        return shown
    return structs.replace(
        shown,
        speed=spoken.speed,
        tracing=session.tracing,
        prompt=session.prompt,
        input_audio_noise_reduction=heard.noise_reduction,
        include=session.include,
        client_secret=None,
    )


def transcription_shown(session: config.SessionConfig, edition: Edition) -> shapes.TranscriptionSession:
    heard = session.audio.input
    turns = _turns_shown(heard.turn_detection, edition)
    if isinstance(turns, shapes.ServerVad):
        turns = structs.replace(turns, create_response=UNSET, interrupt_response=UNSET)
    return shapes.TranscriptionSession(
        id=session.id,
        expires_at=session.expires_at,
        input_audio_format=format_shown(heard.format),
        input_audio_transcription=_transcription_shown(heard.transcription, edition),
        turn_detection=turns,
        input_audio_noise_reduction=heard.noise_reduction,
        include=session.include,
    )


def session_read(session: shapes.Session) -> config.SessionConfig:
    return config.SessionConfig(
        id=session.id,
        model=session.model,
        expires_at=session.expires_at,
        output_modalities=modalities_read(session.modalities),
        instructions=session.instructions,
        tools=session.tools,
        tool_choice=tool_choice_meant(session.tool_choice, "session.tool_choice") or "auto",
        max_output_tokens=session.max_response_output_tokens or "inf",
        temperature=session.temperature,
        tracing=session.tracing or None,
        prompt=session.prompt or None,
        include=session.include or None,
        audio=config.SessionAudio(
            input=_input_read(session),
            output=config.AudioOutput(
                format=FORMATS[session.output_audio_format],
                voice=session.voice,
                speed=1.0 if session.speed is UNSET else session.speed,
            ),
        ),
    )


def transcription_read(session: shapes.TranscriptionSession) -> config.SessionConfig:
    return config.SessionConfig(
        type="transcription",
        object="realtime.transcription_session",
        id=session.id,
        expires_at=session.expires_at,
        include=session.include,
        audio=config.SessionAudio(input=_input_read(session)),
    )


# --- single values -----------------------------------------------------------------------------


def modalities_meant(
    given: Sequence[Modality] | UnsetType | None, param: str
) -> tuple[Modality, ...] | UnsetType:
    """Both orders mean a spoken answer, which GA calls audio (K-53)."""
    if given is UNSET or given is None:
        return UNSET
    if sorted(given) not in (["text"], ["audio", "text"]):
        raise faults.unsupported_modalities(param, given, _SPEAKING)
    return modalities_read(given)


def modalities_read(given: Sequence[Modality]) -> tuple[Modality, ...]:
    return ("audio",) if "audio" in given else ("text",)


def modalities_shown(modalities: Sequence[Modality]) -> tuple[Modality, ...]:
    return _SPEAKING if "audio" in modalities else ("text",)


def format_shown(given: config.AudioFormat) -> shapes.AudioFormat:
    return _FORMAT_NAMES[type(given)]


def voice_shown(voice: config.Voice, edition: Edition) -> str:
    name = voice.id if isinstance(voice, config.CustomVoice) else voice
    return name if edition.voices is None or name in edition.voices else DEFAULT_VOICE


def temperature_shown(given: float | UnsetType) -> float:
    return shapes.DEFAULT_TEMPERATURE if given is UNSET else given


def tool_choice_meant(
    given: shapes.ToolChoice | UnsetType | None, path: str
) -> config.ToolChoice | UnsetType | None:
    if not isinstance(given, shapes.ForcedFunction):
        return given
    name = given.function if given.name is UNSET else given.name
    if name is UNSET:
        raise faults.missing(f"{path}.name")
    return config.ForcedFunction(name=name)


def tool_choice_shown(given: Any, *, twice: bool = False) -> Any:
    """`twice` names a function under the key of 2024 as well."""
    if not isinstance(given, config.ForcedFunction):
        return given
    return shapes.ForcedFunction(name=given.name, function=given.name if twice else UNSET)


def _same(update: Any, names: Sequence[str]) -> dict[str, Any]:
    return {name: getattr(update, name) for name in names}


def _audio(
    heard: config.AudioInputUpdate, spoken: config.AudioOutputUpdate
) -> config.SessionAudioUpdate | UnsetType:
    audio = config.SessionAudioUpdate(
        input=UNSET if heard == config.AudioInputUpdate() else heard,
        output=UNSET if spoken == config.AudioOutputUpdate() else spoken,
    )
    return UNSET if audio == config.SessionAudioUpdate() else audio


def _format_meant(given: shapes.AudioFormat | UnsetType) -> config.AudioFormat | UnsetType:
    return UNSET if given is UNSET else FORMATS[given]


def _input_meant(update: shapes.SessionUpdate | shapes.TranscriptionUpdate) -> config.AudioInputUpdate:
    turns = update.turn_detection
    return config.AudioInputUpdate(
        format=_format_meant(update.input_audio_format),
        transcription=update.input_audio_transcription,
        noise_reduction=update.input_audio_noise_reduction,
        turn_detection=UNSET if turns is UNSET else _turns_meant(turns),
    )


def _input_told(audio: config.SessionAudioUpdate) -> dict[str, Any]:
    heard = config.AudioInputUpdate() if audio.input is UNSET else audio.input
    turns = heard.turn_detection
    if isinstance(turns, config.ServerVad):
        turns = _vad_shown(turns)
    return {
        "input_audio_format": UNSET if heard.format is UNSET else format_shown(heard.format),
        "input_audio_transcription": heard.transcription,
        "input_audio_noise_reduction": heard.noise_reduction,
        "turn_detection": turns,
    }


def _input_read(session: shapes.Session | shapes.TranscriptionSession) -> config.AudioInput:
    return config.AudioInput(
        format=FORMATS[session.input_audio_format],
        transcription=session.input_audio_transcription,
        noise_reduction=session.input_audio_noise_reduction or None,
        turn_detection=_turns_meant(session.turn_detection),
    )


def _turns_meant(given: shapes.TurnDetection | None) -> config.TurnDetection | None:
    match given:
        case None | shapes.NoDetection():
            return None
        case shapes.ServerVad():
            values = structs.asdict(given)
            return config.ServerVad(**{name: value for name, value in values.items() if value is not UNSET})
        case _:
            return given


def _turns_shown(given: config.TurnDetection | None, edition: Edition) -> shapes.TurnDetection | None:
    match given:
        case config.ServerVad():
            return _vad_shown(given)
        case config.SemanticVad() if not edition.late_keys:
            return shapes.ServerVad(
                create_response=given.create_response, interrupt_response=given.interrupt_response
            )
        case _:
            return given


def _vad_shown(given: config.ServerVad) -> shapes.ServerVad:
    names = ("threshold", "prefix_padding_ms", "silence_duration_ms", "create_response", "interrupt_response")
    return shapes.ServerVad(**_same(given, names))


def _transcription_shown(given: config.Transcription | None, edition: Edition) -> config.Transcription | None:
    if given is None or edition.transcribers is None or given.model in edition.transcribers:
        return given
    return structs.replace(given, model=DEFAULT_TRANSCRIBER)
