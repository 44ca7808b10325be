"""Limits of client events that a type cannot express. Sources: Realtime reference B3, B4, B8.

Knows decoded events; does not know the state of any session, so what depends on it (an odd number of
PCM bytes, an unknown item, a locked voice) is judged there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from msgspec import UnsetType

from kaiwa.events import client
from kaiwa.events.config import FunctionTool, Tool
from kaiwa.events.items import ClientItem, InputAudio, ItemReference, Message, OutputAudio
from kaiwa.protocol.realtime import faults

APPEND_LIMIT_BYTES: Final = 15 * 1024 * 1024
ITEM_ID_LIMIT: Final = 32
METADATA_PAIRS: Final = 16
METADATA_KEY_LIMIT: Final = 64
METADATA_VALUE_LIMIT: Final = 512
SPEED_RANGE: Final = (0.25, 1.5)

PARTS_BY_ROLE: Final[Mapping[str, tuple[str, ...]]] = {
    "system": ("input_text",),
    "user": ("input_text", "input_audio", "input_image"),
    "assistant": ("output_text", "output_audio"),
}


def checked(event: client.WireEvent) -> client.WireEvent:
    """Return the event; raise PeerError when it breaks a limit."""
    rule = _RULES.get(type(event))
    if rule is not None:
        rule(event)
    return event


def check_part_types(
    role: str, types: Sequence[str], path: str, parts: Mapping[str, tuple[str, ...]] = PARTS_BY_ROLE
) -> None:
    """Raise PeerError unless every content part of a message fits its role (K-78)."""
    allowed = parts[role]
    for index, part_type in enumerate(types):
        if part_type not in allowed:
            raise faults.unsupported(f"{path}.content[{index}].type", part_type, allowed)


def _append(event: client.AudioAppended) -> None:
    _check_audio_size("audio", event.audio)


def _settings(event: client.SettingsChanged) -> None:
    session = event.session
    _check_modalities("session.output_modalities", session.output_modalities)
    _check_tools("session.tools", session.tools)


def _item_created(event: client.ItemCreated) -> None:
    _check_item("item", event.item)


def _truncate(event: client.ItemTruncateRequested) -> None:
    for param, value in (("content_index", event.content_index), ("audio_end_ms", event.audio_end_ms)):
        if value < 0:
            raise faults.below_minimum(param, 0, value)


def _response_requested(event: client.ResponseRequested) -> None:
    params = event.response
    if params is None or isinstance(params, UnsetType):
        return
    _check_modalities("response.output_modalities", params.output_modalities)
    _check_tools("response.tools", params.tools)
    _check_metadata("response.metadata", params.metadata)
    _check_speed(params)
    if isinstance(params.input, tuple):
        for index, item in enumerate(params.input):
            _check_item(f"response.input[{index}]", item)


def _check_item(path: str, item: ClientItem | ItemReference) -> None:
    if isinstance(item.id, str):
        if len(item.id) > ITEM_ID_LIMIT:
            raise faults.too_long(f"{path}.id", ITEM_ID_LIMIT, len(item.id))
        if not item.id:
            raise faults.too_short(f"{path}.id")
    if isinstance(item, Message):
        check_part_types(item.role, [str(part.__struct_config__.tag) for part in item.content], path)
        for index, part in enumerate(item.content):
            if isinstance(part, InputAudio | OutputAudio) and isinstance(part.audio, bytes):
                _check_audio_size(f"{path}.content[{index}].audio", part.audio)


def _check_audio_size(param: str, audio: bytes) -> None:
    if len(audio) > APPEND_LIMIT_BYTES:
        raise faults.audio_too_large(param, APPEND_LIMIT_BYTES, len(audio))


def _check_modalities(param: str, modalities: tuple[str, ...] | UnsetType | None) -> None:
    # One at a time (K-51): speech always comes with its transcript.
    if isinstance(modalities, tuple) and modalities not in (("text",), ("audio",)):
        raise faults.unsupported_modalities(param, modalities)


def _check_tools(param: str, tools: tuple[Tool, ...] | UnsetType | None) -> None:
    if isinstance(tools, tuple):
        for index, tool in enumerate(tools):
            if isinstance(tool, FunctionTool) and not tool.name:
                raise faults.too_short(f"{param}[{index}].name")


def _check_speed(params: client.ResponseParams) -> None:
    audio = params.audio
    if not isinstance(audio, client.ResponseAudioParams):
        return
    if isinstance(audio.output, client.ResponseAudioOutput) and isinstance(audio.output.speed, float):
        slowest, fastest = SPEED_RANGE
        if audio.output.speed < slowest:
            raise faults.below_minimum("response.audio.output.speed", slowest, audio.output.speed)
        if audio.output.speed > fastest:
            raise faults.above_maximum("response.audio.output.speed", fastest, audio.output.speed)


def _check_metadata(param: str, metadata: dict[str, Any] | UnsetType | None) -> None:
    if not isinstance(metadata, dict):
        return
    if len(metadata) > METADATA_PAIRS:
        raise faults.too_many_pairs(param, METADATA_PAIRS, len(metadata))
    for key, value in metadata.items():
        if len(key) > METADATA_KEY_LIMIT:
            raise faults.too_long(param, METADATA_KEY_LIMIT, len(key))
        if not isinstance(value, str):
            raise faults.wrong_type(f"{param}.{key}", ["a string"], faults.json_kind(value))
        if len(value) > METADATA_VALUE_LIMIT:
            raise faults.too_long(f"{param}.{key}", METADATA_VALUE_LIMIT, len(value))


_RULES: dict[type, Callable[[Any], None]] = {
    client.AudioAppended: _append,
    client.SettingsChanged: _settings,
    client.ItemCreated: _item_created,
    client.ItemTruncateRequested: _truncate,
    client.ResponseRequested: _response_requested,
}
