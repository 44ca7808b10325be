"""What we say to a peer. Source: Realtime reference B2 (GA names in the tags).

Every field is always present on the wire; null where the reference allows null.
"""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import UNSET, Meta, UnsetType

from kaiwa.events.config import SessionConfig
from kaiwa.events.items import AnyItem
from kaiwa.events.logprobs import TokenLogprob
from kaiwa.events.own import OwnEvent
from kaiwa.events.relay import PassedFrame
from kaiwa.events.response import Response
from kaiwa.events.usage import TranscriptionUsage
from kaiwa.events.value import Value


class _ServerEvent(Value, tag_field="type", kw_only=True):
    event_id: str


class SessionCreated(_ServerEvent, tag="session.created", kw_only=True):
    session: SessionConfig


class SessionUpdated(_ServerEvent, tag="session.updated", kw_only=True):
    session: SessionConfig


class ItemAdded(_ServerEvent, tag="conversation.item.added", kw_only=True):
    previous_item_id: str | None
    item: AnyItem


class ItemDone(_ServerEvent, tag="conversation.item.done", kw_only=True):
    previous_item_id: str | None
    item: AnyItem


class ItemRetrieved(_ServerEvent, tag="conversation.item.retrieved", kw_only=True):
    item: AnyItem


class ItemTruncated(_ServerEvent, tag="conversation.item.truncated", kw_only=True):
    item_id: str
    content_index: int
    audio_end_ms: int


class ItemDeleted(_ServerEvent, tag="conversation.item.deleted", kw_only=True):
    item_id: str


class InputTranscriptionDelta(
    _ServerEvent, tag="conversation.item.input_audio_transcription.delta", kw_only=True
):
    item_id: str
    content_index: int
    delta: str
    logprobs: tuple[TokenLogprob, ...] | None | UnsetType = UNSET
    obfuscation: str | UnsetType = UNSET


class InputTranscriptionCompleted(
    _ServerEvent, tag="conversation.item.input_audio_transcription.completed", kw_only=True
):
    item_id: str
    content_index: int
    transcript: str
    usage: TranscriptionUsage
    logprobs: tuple[TokenLogprob, ...] | None | UnsetType = UNSET


class TranscriptionError(Value, kw_only=True):
    """`code` and `param` are strings or absent, never null (agents-js drops the event otherwise)."""

    type: str
    message: str
    code: str | UnsetType = UNSET
    param: str | UnsetType = UNSET


class InputTranscriptionFailed(
    _ServerEvent, tag="conversation.item.input_audio_transcription.failed", kw_only=True
):
    item_id: str
    content_index: int
    error: TranscriptionError


class InputAudioCommitted(_ServerEvent, tag="input_audio_buffer.committed", kw_only=True):
    previous_item_id: str | None
    item_id: str


class InputAudioCleared(_ServerEvent, tag="input_audio_buffer.cleared", kw_only=True):
    pass


class SpeechStarted(_ServerEvent, tag="input_audio_buffer.speech_started", kw_only=True):
    audio_start_ms: int
    item_id: str


class SpeechStopped(_ServerEvent, tag="input_audio_buffer.speech_stopped", kw_only=True):
    audio_end_ms: int
    item_id: str


class TimeoutTriggered(_ServerEvent, tag="input_audio_buffer.timeout_triggered", kw_only=True):
    audio_start_ms: int
    audio_end_ms: int
    item_id: str


class OutputAudioStarted(_ServerEvent, tag="output_audio_buffer.started", kw_only=True):
    response_id: str


class OutputAudioStopped(_ServerEvent, tag="output_audio_buffer.stopped", kw_only=True):
    response_id: str


class OutputAudioCleared(_ServerEvent, tag="output_audio_buffer.cleared", kw_only=True):
    response_id: str


class ResponseCreated(_ServerEvent, tag="response.created", kw_only=True):
    response: Response


class ResponseDone(_ServerEvent, tag="response.done", kw_only=True):
    response: Response


class OutputItemAdded(_ServerEvent, tag="response.output_item.added", kw_only=True):
    response_id: str
    output_index: int
    item: AnyItem


class OutputItemDone(_ServerEvent, tag="response.output_item.done", kw_only=True):
    response_id: str
    output_index: int
    item: AnyItem


class TextPart(Value, tag="text", tag_field="type", kw_only=True):
    text: str


class AudioPart(Value, tag="audio", tag_field="type", kw_only=True):
    transcript: str


class _PartEvent(_ServerEvent, kw_only=True):
    response_id: str
    item_id: str
    output_index: int
    content_index: int


class ContentPartAdded(_PartEvent, tag="response.content_part.added", kw_only=True):
    part: TextPart | AudioPart


class ContentPartDone(_PartEvent, tag="response.content_part.done", kw_only=True):
    part: TextPart | AudioPart


class TextDelta(_PartEvent, tag="response.output_text.delta", kw_only=True):
    delta: str
    obfuscation: str | UnsetType = UNSET


class TextDone(_PartEvent, tag="response.output_text.done", kw_only=True):
    text: str


class TranscriptDelta(_PartEvent, tag="response.output_audio_transcript.delta", kw_only=True):
    delta: str
    obfuscation: str | UnsetType = UNSET


class TranscriptDone(_PartEvent, tag="response.output_audio_transcript.done", kw_only=True):
    transcript: str


class AudioDelta(_PartEvent, tag="response.output_audio.delta", kw_only=True):
    """`delta` is in the response's output format; base64 on the wire."""

    delta: bytes


class AudioDone(_PartEvent, tag="response.output_audio.done", kw_only=True):
    pass


class ArgumentsDelta(_ServerEvent, tag="response.function_call_arguments.delta", kw_only=True):
    response_id: str
    item_id: str
    output_index: int
    call_id: str
    delta: str
    obfuscation: str | UnsetType = UNSET


class ArgumentsDone(_ServerEvent, tag="response.function_call_arguments.done", kw_only=True):
    response_id: str
    item_id: str
    output_index: int
    call_id: str
    name: str
    arguments: str


class McpListToolsInProgress(_ServerEvent, tag="mcp_list_tools.in_progress", kw_only=True):
    item_id: str


class McpListToolsCompleted(_ServerEvent, tag="mcp_list_tools.completed", kw_only=True):
    item_id: str


class McpListToolsFailed(_ServerEvent, tag="mcp_list_tools.failed", kw_only=True):
    item_id: str


class McpArgumentsDelta(_ServerEvent, tag="response.mcp_call_arguments.delta", kw_only=True):
    response_id: str
    item_id: str
    output_index: int
    delta: str
    obfuscation: str | UnsetType = UNSET


class McpArgumentsDone(_ServerEvent, tag="response.mcp_call_arguments.done", kw_only=True):
    response_id: str
    item_id: str
    output_index: int
    arguments: str


class _McpCallEvent(_ServerEvent, kw_only=True):
    """Comes after response.done of the response that made the call."""

    output_index: int
    item_id: str


class McpCallInProgress(_McpCallEvent, tag="response.mcp_call.in_progress", kw_only=True):
    pass


class McpCallCompleted(_McpCallEvent, tag="response.mcp_call.completed", kw_only=True):
    pass


class McpCallFailed(_McpCallEvent, tag="response.mcp_call.failed", kw_only=True):
    pass


class RateLimit(Value, kw_only=True):
    name: Literal["requests", "tokens"]
    limit: int
    remaining: int
    reset_seconds: Annotated[float, Meta(ge=0)]


class RateLimitsUpdated(_ServerEvent, tag="rate_limits.updated", kw_only=True):
    rate_limits: tuple[RateLimit, ...]


class ErrorDetail(Value, kw_only=True):
    type: str
    code: str | None
    message: str
    param: str | None
    event_id: str | None


class Failed(_ServerEvent, tag="error", kw_only=True):
    error: ErrorDetail


WireEvent = (
    SessionCreated
    | SessionUpdated
    | ItemAdded
    | ItemDone
    | ItemRetrieved
    | ItemTruncated
    | ItemDeleted
    | InputTranscriptionDelta
    | InputTranscriptionCompleted
    | InputTranscriptionFailed
    | InputAudioCommitted
    | InputAudioCleared
    | SpeechStarted
    | SpeechStopped
    | TimeoutTriggered
    | OutputAudioStarted
    | OutputAudioStopped
    | OutputAudioCleared
    | ResponseCreated
    | ResponseDone
    | OutputItemAdded
    | OutputItemDone
    | ContentPartAdded
    | ContentPartDone
    | TextDelta
    | TextDone
    | TranscriptDelta
    | TranscriptDone
    | AudioDelta
    | AudioDone
    | ArgumentsDelta
    | ArgumentsDone
    | McpListToolsInProgress
    | McpListToolsCompleted
    | McpListToolsFailed
    | McpArgumentsDelta
    | McpArgumentsDone
    | McpCallInProgress
    | McpCallCompleted
    | McpCallFailed
    | RateLimitsUpdated
    | Failed
)
ServerEvent = WireEvent | PassedFrame | OwnEvent
