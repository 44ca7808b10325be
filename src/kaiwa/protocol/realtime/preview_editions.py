"""What the versions of the preview dialect differ in, and how its names map to GA's: tables only.

Source: Realtime reference A1, A3, E2 and `object_renames` of its event table.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from kaiwa.events import config, items
from kaiwa.events.value import Value
from kaiwa.protocol.realtime import habits
from kaiwa.protocol.realtime import preview_shapes as shapes
from kaiwa.protocol.realtime.shape import Tolerance

PARTS_BY_ROLE: Final[Mapping[str, tuple[str, ...]]] = {
    "system": ("input_text",),
    "user": ("input_text", "input_audio", "input_image"),
    "assistant": ("text", "audio"),
}

FORMATS: Final[Mapping[shapes.AudioFormat, config.AudioFormat]] = {
    "pcm16": config.PcmFormat(),
    "g711_ulaw": config.PcmuFormat(),
    "g711_alaw": config.PcmaFormat(),
    "g711-ulaw": config.PcmuFormat(),
    "g711-alaw": config.PcmaFormat(),
}

# Paths in faults, GA to preview. A path stands for everything below it.
PATHS: Final[Mapping[str, str]] = {
    "session.output_modalities": "session.modalities",
    "session.max_output_tokens": "session.max_response_output_tokens",
    "session.audio.input.format": "session.input_audio_format",
    "session.audio.input.transcription": "session.input_audio_transcription",
    "session.audio.input.noise_reduction": "session.input_audio_noise_reduction",
    "session.audio.input.turn_detection": "session.turn_detection",
    "session.audio.output.format": "session.output_audio_format",
    "session.audio.output.voice": "session.voice",
    "session.audio.output.speed": "session.speed",
    "response.output_modalities": "response.modalities",
    "response.max_output_tokens": "response.max_response_output_tokens",
    "response.audio.output.format": "response.output_audio_format",
    "response.audio.output.voice": "response.voice",
}

_PART_KEYS: Final = habits.OF_CLIENTS.ignored[items.OutputAudio]

OF_PREVIEW_CLIENTS: Final = Tolerance(
    ignored={
        **habits.OF_CLIENTS.ignored,
        # What session.created told the client, sent back.
        shapes.SessionUpdate: frozenset({"id", "object", "expires_at", "client_secret"}),
        shapes.TranscriptionUpdate: frozenset({"id", "object", "expires_at", "client_secret", "modalities"}),
        # python rtclient's, of a service older than any version kept here (K-279).
        shapes.ResponseParams: frozenset({"commit", "cancel_previous", "append_input_items"}),
        # Histories echoed whole.
        shapes.Text: _PART_KEYS,
        shapes.Audio: _PART_KEYS,
    }
)


class Edition(Value, kw_only=True):
    """One version of the preview dialect. None means that anything is allowed.

    `types` are the events it has, `voices` and `transcribers` the only names its clients accept;
    `late_keys` says whether the session shows what came with later versions.
    """

    types: frozenset[str] | None = None
    voices: frozenset[str] | None = None
    transcribers: frozenset[str] | None = None
    late_keys: bool = True


LATEST: Final = Edition()

# Clients of this version close the connection on any other type, and refuse any other name.
OCTOBER_2024: Final = Edition(
    types=frozenset(
        {
            "conversation.item.created",
            "conversation.item.deleted",
            "conversation.item.input_audio_transcription.completed",
            "conversation.item.input_audio_transcription.failed",
            "conversation.item.truncated",
            "error",
            "input_audio_buffer.cleared",
            "input_audio_buffer.committed",
            "input_audio_buffer.speech_started",
            "input_audio_buffer.speech_stopped",
            "rate_limits.updated",
            "response.audio.delta",
            "response.audio.done",
            "response.audio_transcript.delta",
            "response.audio_transcript.done",
            "response.content_part.added",
            "response.content_part.done",
            "response.created",
            "response.done",
            "response.function_call_arguments.delta",
            "response.function_call_arguments.done",
            "response.output_item.added",
            "response.output_item.done",
            "response.text.delta",
            "response.text.done",
            "session.created",
            "session.updated",
        }
    ),
    voices=frozenset({"alloy", "ash", "ballad", "coral", "echo", "sage", "shimmer", "verse"}),
    transcribers=frozenset({"whisper-1"}),
    late_keys=False,
)
DEFAULT_VOICE: Final = "alloy"
DEFAULT_TRANSCRIBER: Final = "whisper-1"

# Event types that only GA has: passed on to nobody who speaks the preview dialect.
GA_TYPES: Final = frozenset(
    {
        "conversation.item.added",
        "conversation.item.done",
        "input_audio_buffer.dtmf_event_received",
        "input_audio_buffer.timeout_triggered",
        "response.output_text.delta",
        "response.output_text.done",
        "response.output_audio.delta",
        "response.output_audio.done",
        "response.output_audio_transcript.delta",
        "response.output_audio_transcript.done",
    }
)
