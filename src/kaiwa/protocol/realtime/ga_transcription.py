"""A transcription session as GA shows it: only what concerns the user's audio. Source: reference B3."""

from __future__ import annotations

from kaiwa.events import server
from kaiwa.events.config import (
    AudioFormat,
    NoiseReduction,
    SemanticVad,
    ServerVad,
    SessionConfig,
    Transcription,
    TurnDetection,
)
from kaiwa.events.value import Value


class _Vad(Value, tag="server_vad", tag_field="type", kw_only=True):
    threshold: float
    prefix_padding_ms: int
    silence_duration_ms: int


class _Semantic(Value, tag="semantic_vad", tag_field="type", kw_only=True):
    eagerness: str


class _Input(Value, kw_only=True):
    format: AudioFormat
    transcription: Transcription | None
    noise_reduction: NoiseReduction | None
    turn_detection: _Vad | _Semantic | None


class _Audio(Value, kw_only=True):
    input: _Input


class _Session(Value, kw_only=True):
    type: str
    object: str
    id: str
    expires_at: int
    audio: _Audio
    include: tuple[str, ...] | None


class _Created(Value, tag="session.created", tag_field="type", kw_only=True):
    event_id: str
    session: _Session


class _Updated(Value, tag="session.updated", tag_field="type", kw_only=True):
    event_id: str
    session: _Session


def transcription_event(event: server.SessionCreated | server.SessionUpdated) -> Value:
    """Return the event with the session of the shape that transcription clients expect."""
    kind = _Created if isinstance(event, server.SessionCreated) else _Updated
    return kind(event_id=event.event_id, session=_shown(event.session))


def _shown(session: SessionConfig) -> _Session:
    heard = session.audio.input
    return _Session(
        type=session.type,
        object=session.object,
        id=session.id,
        expires_at=session.expires_at,
        audio=_Audio(
            input=_Input(
                format=heard.format,
                transcription=heard.transcription,
                noise_reduction=heard.noise_reduction,
                turn_detection=_turns(heard.turn_detection),
            )
        ),
        include=session.include,
    )


def _turns(given: TurnDetection | None) -> _Vad | _Semantic | None:
    """There is no response to create or to interrupt."""
    match given:
        case ServerVad(threshold=threshold, prefix_padding_ms=prefix, silence_duration_ms=silence):
            return _Vad(threshold=threshold, prefix_padding_ms=prefix, silence_duration_ms=silence)
        case SemanticVad(eagerness=eagerness):
            return _Semantic(eagerness=eagerness)
        case None:
            return None
