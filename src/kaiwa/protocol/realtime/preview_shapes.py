"""The values inside preview frames where they differ from GA: flat session, items, response. No behaviour.

Source: Realtime reference B3 to B5, the beta columns. What a peer may leave out is UNSET or has the
default of the service; what both dialects share comes from `kaiwa.events`.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import UNSET, Meta, UnsetType

from kaiwa.events.config import (
    ForcedMcp,
    MaxTokens,
    Modality,
    NoiseReduction,
    Prompt,
    SemanticVad,
    Tool,
    TracingConfig,
    Transcription,
    Voice,
)
from kaiwa.events.items import (
    FunctionCall,
    FunctionCallOutput,
    InputAudio,
    InputImage,
    InputText,
    ItemReference,
    ItemStatus,
    McpApprovalRequest,
    McpApprovalResponse,
    McpCall,
    McpListTools,
)
from kaiwa.events.response import ResponseStatus, StatusDetails
from kaiwa.events.usage import Usage
from kaiwa.events.value import Value

# The second spelling of G.711 is python rtclient's.
AudioFormat = Literal["pcm16", "g711_ulaw", "g711_alaw", "g711-ulaw", "g711-alaw"]
Temperature = Annotated[float, Meta(ge=0.6, le=1.2)]
Tracing = Literal["auto"] | TracingConfig
DEFAULT_TEMPERATURE = 0.8


class Text(Value, tag="text", tag_field="type", kw_only=True):
    text: str


class Audio(Value, tag="audio", tag_field="type", kw_only=True):
    audio: bytes | UnsetType = UNSET
    transcript: str | None = None


Part = InputText | InputAudio | InputImage | Text | Audio


class Message(Value, tag="message", tag_field="type", kw_only=True):
    id: str | UnsetType = UNSET
    object: str | UnsetType = UNSET
    status: ItemStatus | UnsetType = UNSET
    role: Literal["system", "user", "assistant"]
    content: tuple[Part, ...]
    phase: str | None | UnsetType = UNSET


ClientItem = Message | FunctionCall | FunctionCallOutput | McpApprovalResponse
Item = ClientItem | McpListTools | McpCall | McpApprovalRequest


class NoDetection(Value, tag="none", tag_field="type", kw_only=True):
    """python rtclient's way to say null."""


class ServerVad(Value, tag="server_vad", tag_field="type", kw_only=True):
    """What may follow the duration came with later versions; a transcription session has none of it."""

    threshold: Annotated[float, Meta(ge=0.0, le=1.0)] = 0.5
    prefix_padding_ms: Annotated[int, Meta(ge=0, le=60000)] = 300
    silence_duration_ms: Annotated[int, Meta(ge=0, le=60000)] = 200
    create_response: bool | UnsetType = UNSET
    interrupt_response: bool | UnsetType = UNSET
    idle_timeout_ms: Annotated[int, Meta(ge=5000, le=30000)] | None | UnsetType = UNSET


TurnDetection = ServerVad | SemanticVad | NoDetection


class ForcedFunction(Value, tag="function", tag_field="type", kw_only=True):
    """The clients of 2024 put the name into `function`."""

    name: str | UnsetType = UNSET
    function: str | UnsetType = UNSET


ToolChoice = Literal["auto", "none", "required"] | ForcedFunction | ForcedMcp


class SessionUpdate(Value, kw_only=True):
    model: str | UnsetType = UNSET
    modalities: tuple[Modality, ...] | UnsetType = UNSET
    instructions: str | None | UnsetType = UNSET
    voice: Voice | UnsetType = UNSET
    input_audio_format: AudioFormat | UnsetType = UNSET
    output_audio_format: AudioFormat | UnsetType = UNSET
    input_audio_transcription: Transcription | None | UnsetType = UNSET
    input_audio_noise_reduction: NoiseReduction | None | UnsetType = UNSET
    turn_detection: TurnDetection | None | UnsetType = UNSET
    tools: tuple[Tool, ...] | None | UnsetType = UNSET
    tool_choice: ToolChoice | None | UnsetType = UNSET
    temperature: Temperature | UnsetType = UNSET
    max_response_output_tokens: MaxTokens | None | UnsetType = UNSET
    speed: Annotated[float, Meta(ge=0.25, le=1.5)] | UnsetType = UNSET
    tracing: Tracing | None | UnsetType = UNSET
    prompt: Prompt | None | UnsetType = UNSET
    include: tuple[str, ...] | None | UnsetType = UNSET


class TranscriptionUpdate(Value, kw_only=True):
    input_audio_format: AudioFormat | UnsetType = UNSET
    input_audio_transcription: Transcription | None | UnsetType = UNSET
    input_audio_noise_reduction: NoiseReduction | None | UnsetType = UNSET
    turn_detection: TurnDetection | None | UnsetType = UNSET
    include: tuple[str, ...] | None | UnsetType = UNSET


class Session(Value, kw_only=True):
    """The effective session. What is UNSET came with later versions and is not shown by the first."""

    id: str = ""
    object: str = "realtime.session"
    model: str = ""
    expires_at: int = 0
    modalities: tuple[Modality, ...] = ("audio", "text")
    instructions: str = ""
    voice: Voice = "alloy"
    turn_detection: TurnDetection | None = None
    input_audio_format: AudioFormat = "pcm16"
    output_audio_format: AudioFormat = "pcm16"
    input_audio_transcription: Transcription | None = None
    tool_choice: ToolChoice = "auto"
    temperature: float = DEFAULT_TEMPERATURE
    max_response_output_tokens: MaxTokens | None = "inf"
    tools: tuple[Tool, ...] = ()
    speed: float | UnsetType = UNSET
    tracing: Tracing | None | UnsetType = UNSET
    prompt: Prompt | None | UnsetType = UNSET
    input_audio_noise_reduction: NoiseReduction | None | UnsetType = UNSET
    include: tuple[str, ...] | None | UnsetType = UNSET
    client_secret: Any = UNSET


class TranscriptionSession(Value, kw_only=True):
    id: str = ""
    object: str = "realtime.transcription_session"
    expires_at: int = 0
    input_audio_format: AudioFormat = "pcm16"
    input_audio_transcription: Transcription | None = None
    turn_detection: TurnDetection | None = None
    input_audio_noise_reduction: NoiseReduction | None = None
    include: tuple[str, ...] | None = None


class ResponseParams(Value, kw_only=True):
    """Overrides for one response. Early clients write two of the names differently."""

    modalities: tuple[Modality, ...] | None | UnsetType = UNSET
    instructions: str | None | UnsetType = UNSET
    voice: Voice | None | UnsetType = UNSET
    output_audio_format: AudioFormat | None | UnsetType = UNSET
    tools: tuple[Tool, ...] | None | UnsetType = UNSET
    tool_choice: ToolChoice | None | UnsetType = UNSET
    temperature: Temperature | None | UnsetType = UNSET
    max_response_output_tokens: MaxTokens | None | UnsetType = UNSET
    max_output_tokens: MaxTokens | None | UnsetType = UNSET
    conversation: Literal["auto", "none"] | None | UnsetType = UNSET
    metadata: dict[str, Any] | None | UnsetType = UNSET
    prompt: Prompt | None | UnsetType = UNSET
    input: tuple[ClientItem | ItemReference, ...] | None | UnsetType = UNSET
    input_items: tuple[ClientItem | ItemReference, ...] | None | UnsetType = UNSET


class Response(Value, kw_only=True):
    object: str = "realtime.response"
    id: str
    status: ResponseStatus = "in_progress"
    status_details: StatusDetails | None = None
    output: tuple[Item, ...] = ()
    conversation_id: str | None = None
    modalities: tuple[Modality, ...] = ("audio", "text")
    voice: Voice = "alloy"
    output_audio_format: AudioFormat = "pcm16"
    temperature: float = DEFAULT_TEMPERATURE
    max_output_tokens: MaxTokens | None = "inf"
    usage: Usage | None = None
    metadata: dict[str, Any] | None = None
