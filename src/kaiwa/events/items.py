"""Conversation items and their content parts. Source: Realtime reference B4.

The same values serve items a client sends (no id, no status) and items the server shows.
On the wire of the server an audio part has a transcript, and its bytes only in conversation.item.retrieved.
"""

from __future__ import annotations

from typing import Literal

from msgspec import UNSET, UnsetType

from kaiwa.events.value import Value

ItemStatus = Literal["in_progress", "completed", "incomplete"]


class InputText(Value, tag="input_text", tag_field="type", kw_only=True):
    text: str


class InputAudio(Value, tag="input_audio", tag_field="type", kw_only=True):
    """`audio` is base64 on the wire, in the session's input format."""

    audio: bytes | UnsetType = UNSET
    transcript: str | None = None


class InputImage(Value, tag="input_image", tag_field="type", kw_only=True):
    image_url: str
    detail: str | UnsetType = UNSET


class OutputText(Value, tag="output_text", tag_field="type", kw_only=True):
    text: str


class OutputAudio(Value, tag="output_audio", tag_field="type", kw_only=True):
    audio: bytes | UnsetType = UNSET
    transcript: str | None = None


ContentPart = InputText | InputAudio | InputImage | OutputText | OutputAudio


class Message(Value, tag="message", tag_field="type", kw_only=True):
    id: str | UnsetType = UNSET
    object: str | UnsetType = UNSET
    status: ItemStatus | UnsetType = UNSET
    role: Literal["system", "user", "assistant"]
    content: tuple[ContentPart, ...]
    phase: str | None | UnsetType = UNSET


class FunctionCall(Value, tag="function_call", tag_field="type", kw_only=True):
    """`arguments` is JSON text; `call_id` ties it to its output."""

    id: str | UnsetType = UNSET
    object: str | UnsetType = UNSET
    status: ItemStatus | UnsetType = UNSET
    name: str
    call_id: str | UnsetType = UNSET
    arguments: str


class FunctionCallOutput(Value, tag="function_call_output", tag_field="type", kw_only=True):
    """Carries no status on the wire (recorded frames)."""

    id: str | UnsetType = UNSET
    object: str | UnsetType = UNSET
    status: ItemStatus | UnsetType = UNSET
    call_id: str
    output: str


Item = Message | FunctionCall | FunctionCallOutput


class ItemReference(Value, tag="item_reference", tag_field="type", kw_only=True):
    """Names an item of the conversation inside `response.create.input`."""

    id: str
