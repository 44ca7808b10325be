"""What a peer says to us. Source: Realtime reference B1 (GA names in the tags)."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import UNSET, Meta, UnsetType

from kaiwa.events.config import (
    AudioFormat,
    MaxTokens,
    Modality,
    Prompt,
    Reasoning,
    SessionUpdate,
    Tool,
    ToolChoice,
    Voice,
)
from kaiwa.events.items import ClientItem, ItemReference
from kaiwa.events.relay import PassedFrame
from kaiwa.events.value import Value

EventId = Annotated[str, Meta(max_length=512)]


class _ClientEvent(Value, tag_field="type", kw_only=True):
    event_id: EventId | None = None


class SettingsChanged(_ClientEvent, tag="session.update", kw_only=True):
    session: SessionUpdate


class AudioAppended(_ClientEvent, tag="input_audio_buffer.append", kw_only=True):
    """`audio` is in the session's input format; base64 on the wire."""

    audio: bytes


class AudioCommitted(_ClientEvent, tag="input_audio_buffer.commit", kw_only=True):
    pass


class AudioCleared(_ClientEvent, tag="input_audio_buffer.clear", kw_only=True):
    pass


class OutputAudioCleared(_ClientEvent, tag="output_audio_buffer.clear", kw_only=True):
    """Only on transports where the server paces playback (WebRTC, SIP)."""


class ItemCreated(_ClientEvent, tag="conversation.item.create", kw_only=True):
    item: ClientItem
    previous_item_id: str | None = None


class ItemRetrieveRequested(_ClientEvent, tag="conversation.item.retrieve", kw_only=True):
    item_id: str


class ItemTruncateRequested(_ClientEvent, tag="conversation.item.truncate", kw_only=True):
    item_id: str
    content_index: int
    audio_end_ms: int


class ItemDeleteRequested(_ClientEvent, tag="conversation.item.delete", kw_only=True):
    item_id: str


class ResponseAudioOutput(Value, kw_only=True):
    voice: Voice | None | UnsetType = UNSET
    format: AudioFormat | None | UnsetType = UNSET
    speed: float | None | UnsetType = UNSET


class ResponseAudioParams(Value, kw_only=True):
    output: ResponseAudioOutput | None | UnsetType = UNSET


class ResponseParams(Value, kw_only=True):
    """Overrides for one response. Null means the session's value (K-107)."""

    output_modalities: tuple[Modality, ...] | None | UnsetType = UNSET
    instructions: str | None | UnsetType = UNSET
    audio: ResponseAudioParams | None | UnsetType = UNSET
    tools: tuple[Tool, ...] | None | UnsetType = UNSET
    tool_choice: ToolChoice | None | UnsetType = UNSET
    parallel_tool_calls: bool | None | UnsetType = UNSET
    reasoning: Reasoning | None | UnsetType = UNSET
    max_output_tokens: MaxTokens | None | UnsetType = UNSET
    conversation: Literal["auto", "none"] | None | UnsetType = UNSET
    metadata: dict[str, Any] | None | UnsetType = UNSET
    prompt: Prompt | None | UnsetType = UNSET
    input: tuple[ClientItem | ItemReference, ...] | None | UnsetType = UNSET
    temperature: float | None | UnsetType = UNSET


class ResponseRequested(_ClientEvent, tag="response.create", kw_only=True):
    response: ResponseParams | None | UnsetType = UNSET


class ResponseCancelled(_ClientEvent, tag="response.cancel", kw_only=True):
    response_id: str | None = None


WireEvent = (
    SettingsChanged
    | AudioAppended
    | AudioCommitted
    | AudioCleared
    | OutputAudioCleared
    | ItemCreated
    | ItemRetrieveRequested
    | ItemTruncateRequested
    | ItemDeleteRequested
    | ResponseRequested
    | ResponseCancelled
)


class FrameRejected(Value, kw_only=True):
    """The codec could not read a frame. The session answers it, in its place in the order."""

    code: str
    message: str
    param: str | None = None
    rejected_event_id: str | None = None
    error_type: str = "invalid_request_error"


class PeerGone(Value, kw_only=True):
    """The transport ended. Nothing can be sent any more."""

    reason: str = ""


class PeerLost(Value, kw_only=True):
    """The connection broke, and the peer may come back. What is sent meanwhile is kept for it.

    `silent_s`: how long before that nothing came of the peer any more, so that it may have heard nothing.
    """

    silent_s: float = 0.0


class Sounding(Value, kw_only=True):
    """The last part of an item's sound, which is played to the peer now."""

    response_id: str
    item_id: str
    audio_ms: float


class PeerReturned(Value, kw_only=True):
    """The peer is here again. `paced`: the server plays the sound to it now, beginning with `sounds`.

    `retell`: it missed more than is kept, so every item is to be told anew.
    """

    retell: bool = False
    paced: bool = False
    sounds: tuple[Sounding, ...] = ()


ClientEvent = WireEvent | FrameRejected | PeerGone | PeerLost | PeerReturned | PassedFrame
