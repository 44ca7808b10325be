"""The shapes a server event must have in each dialect: tables for `conformance`, and nothing else.

Source: Realtime reference B2 to B5.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

Dialect = Literal["ga", "preview", "preview-2024-10-01"]

_SESSION_KEYS: Final = frozenset(
    [
        "type",
        "object",
        "id",
        "model",
        "output_modalities",
        "instructions",
        "tools",
        "tool_choice",
        "max_output_tokens",
        "tracing",
        "truncation",
        "prompt",
        "expires_at",
        "audio",
        "include",
    ]
)
_RESPONSE_KEYS: Final = frozenset(
    [
        "object",
        "id",
        "status",
        "status_details",
        "output",
        "conversation_id",
        "output_modalities",
        "max_output_tokens",
        "usage",
        "metadata",
    ]
)
# As K-34 lists them, and `temperature` in the response because python rtclient reads it.
_PREVIEW_SESSION_KEYS: Final = frozenset(
    [
        "id",
        "object",
        "model",
        "modalities",
        "instructions",
        "voice",
        "input_audio_format",
        "output_audio_format",
        "input_audio_transcription",
        "turn_detection",
        "tools",
        "tool_choice",
        "temperature",
        "max_response_output_tokens",
    ]
)
_PREVIEW_RESPONSE_KEYS: Final = frozenset(
    [
        "object",
        "id",
        "status",
        "status_details",
        "output",
        "conversation_id",
        "modalities",
        "voice",
        "output_audio_format",
        "temperature",
        "max_output_tokens",
        "usage",
        "metadata",
    ]
)
_PREVIEW_TRANSCRIPTION_KEYS: Final = frozenset(
    ["id", "object", "input_audio_format", "input_audio_transcription", "turn_detection"]
)


@dataclass(frozen=True, slots=True)
class Shape:
    """What a client of one dialect relies on. `fields` maps each event type to its keys."""

    fields: Mapping[str, Collection[str]]
    session_keys: frozenset[str]
    transcription_keys: frozenset[str]
    response_keys: frozenset[str]
    assistant_parts: frozenset[str]
    item_object: str | None = None


def _table(name: str) -> dict[str, Any]:
    return json.loads(Path(__file__).with_name(name).read_text("utf-8"))


def _shapes() -> dict[Dialect, Shape]:
    preview: dict[str, list[str]] = _table("conformance_preview_events.json")
    first = preview.pop("2024-10-01-preview")
    shape = Shape(
        fields=preview,
        session_keys=_PREVIEW_SESSION_KEYS,
        transcription_keys=_PREVIEW_TRANSCRIPTION_KEYS,
        response_keys=_PREVIEW_RESPONSE_KEYS,
        assistant_parts=frozenset({"text", "audio"}),
        item_object="realtime.item",
    )
    ga = Shape(
        fields=_table("conformance_events.json"),
        session_keys=_SESSION_KEYS,
        transcription_keys=frozenset({"type", "object", "id", "audio"}),
        response_keys=_RESPONSE_KEYS,
        assistant_parts=frozenset({"output_text", "output_audio"}),
    )
    subset = {name: preview[name] for name in first}
    return {"ga": ga, "preview": shape, "preview-2024-10-01": _with_fields(shape, subset)}


def _with_fields(shape: Shape, fields: Mapping[str, Collection[str]]) -> Shape:
    return Shape(
        fields=fields,
        session_keys=shape.session_keys,
        transcription_keys=shape.transcription_keys,
        response_keys=shape.response_keys,
        assistant_parts=shape.assistant_parts,
        item_object=shape.item_object,
    )


SHAPES: Final = _shapes()
