"""The response object, the same keys in response.created and response.done. Source: reference B5."""

from __future__ import annotations

from typing import Any, Literal

from msgspec import UNSET, UnsetType

from kaiwa.events.config import AudioFormat, MaxTokens, Modality, PcmFormat, Voice
from kaiwa.events.items import AnyItem
from kaiwa.events.usage import Usage
from kaiwa.events.value import Value


class Cancelled(Value, tag="cancelled", tag_field="type", kw_only=True):
    reason: Literal["turn_detected", "client_cancelled"]


class Incomplete(Value, tag="incomplete", tag_field="type", kw_only=True):
    reason: Literal["max_output_tokens", "content_filter"]


class FailureDetail(Value, kw_only=True):
    type: str
    code: str | None = None
    message: str = ""


class FailedStatus(Value, tag="failed", tag_field="type", kw_only=True):
    error: FailureDetail


StatusDetails = Cancelled | Incomplete | FailedStatus
ResponseStatus = Literal["in_progress", "completed", "cancelled", "incomplete", "failed"]


class ResponseOutputFormat(Value, kw_only=True):
    format: AudioFormat = PcmFormat()
    voice: Voice = "alloy"


class ResponseAudio(Value, kw_only=True):
    output: ResponseOutputFormat = ResponseOutputFormat()


class Response(Value, kw_only=True):
    """`temperature` exists in the preview dialect only; GA frames never show it."""

    object: str = "realtime.response"
    id: str
    status: ResponseStatus = "in_progress"
    status_details: StatusDetails | None = None
    output: tuple[AnyItem, ...] = ()
    conversation_id: str | None
    output_modalities: tuple[Modality, ...]
    max_output_tokens: MaxTokens = "inf"
    audio: ResponseAudio | UnsetType = UNSET
    usage: Usage | None = None
    metadata: dict[str, Any] | None = None
    temperature: float | UnsetType = UNSET
