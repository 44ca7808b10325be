"""The session's settings as GA Realtime names them: the effective object and the partial update.

Source: Realtime reference B3. In an update an absent key (UNSET) leaves the value, null clears it.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import UNSET, Meta, UnsetType

from kaiwa.events.value import Value

Modality = Literal["text", "audio"]
MaxTokens = Annotated[int, Meta(ge=1, le=4096)] | Literal["inf"]


class PcmFormat(Value, tag="audio/pcm", tag_field="type", kw_only=True):
    """Mono PCM16 little endian. 24 kHz is the only rate the protocol knows."""

    rate: Literal[24000] = 24000


class PcmuFormat(Value, tag="audio/pcmu", tag_field="type", kw_only=True):
    """G.711 mu-law, 8 kHz."""


class PcmaFormat(Value, tag="audio/pcma", tag_field="type", kw_only=True):
    """G.711 A-law, 8 kHz."""


AudioFormat = PcmFormat | PcmuFormat | PcmaFormat


class Transcription(Value, kw_only=True):
    """Which model writes down the user's words. Absent keys are echoed as null."""

    model: str | None = None
    language: str | None = None
    prompt: str | None = None


class NoiseReduction(Value, kw_only=True):
    type: Literal["near_field", "far_field"]


class ServerVad(Value, tag="server_vad", tag_field="type", kw_only=True):
    """Turn ends after `silence_duration_ms` of silence. Defaults as on the wire of the service."""

    threshold: Annotated[float, Meta(ge=0.0, le=1.0)] = 0.5
    prefix_padding_ms: Annotated[int, Meta(ge=0, le=60000)] = 300
    silence_duration_ms: Annotated[int, Meta(ge=0, le=60000)] = 200
    idle_timeout_ms: Annotated[int, Meta(ge=5000, le=30000)] | None = None
    create_response: bool = True
    interrupt_response: bool = True


class SemanticVad(Value, tag="semantic_vad", tag_field="type", kw_only=True):
    """Turn ends when it sounds complete, at the latest after 8, 4 or 2 s (low, medium, high)."""

    eagerness: Literal["low", "medium", "high", "auto"] = "auto"
    create_response: bool = True
    interrupt_response: bool = True


TurnDetection = ServerVad | SemanticVad


class CustomVoice(Value, kw_only=True):
    id: str


Voice = str | CustomVoice


class FunctionTool(Value, tag="function", tag_field="type", kw_only=True):
    """A function the model may call. `parameters` is a JSON schema, echoed untouched."""

    name: str
    description: str | None = None
    parameters: dict[str, Any] | None = None


class McpToolFilter(Value, kw_only=True):
    """Tools by name, or by whether their server says that they only read (`readOnlyHint`), or both."""

    tool_names: tuple[str, ...] | None = None
    read_only: bool | None = None


class McpApproval(Value, kw_only=True):
    """Which calls wait for the client's word; a tool that neither names waits."""

    always: McpToolFilter | None = None
    never: McpToolFilter | None = None


class McpTool(Value, tag="mcp", tag_field="type", kw_only=True):
    """A remote MCP server whose tools the model may call.

    Without an address the label names a server of the operator's. `authorization` (a bearer token) and
    `headers` are secrets: never shown, neither to a peer nor in a log.
    """

    server_label: str
    server_url: str | None = None
    connector_id: str | None = None
    authorization: str | None = None
    headers: dict[str, str] | None = None
    allowed_tools: tuple[str, ...] | McpToolFilter | None = None
    require_approval: Literal["always", "never"] | McpApproval | None = None
    server_description: str | None = None

    def __repr__(self) -> str:
        return f"McpTool(server_label={self.server_label!r}, …)"


Tool = FunctionTool | McpTool


class ForcedFunction(Value, tag="function", tag_field="type", kw_only=True):
    name: str


class ForcedMcp(Value, tag="mcp", tag_field="type", kw_only=True):
    server_label: str
    name: str | None = None


ToolChoice = Literal["auto", "none", "required"] | ForcedFunction | ForcedMcp


class TracingConfig(Value, kw_only=True):
    workflow_name: str | None = None
    group_id: str | None = None
    metadata: Any = None


class TokenLimits(Value, kw_only=True):
    post_instructions: int | None = None


class RetentionRatio(Value, tag="retention_ratio", tag_field="type", kw_only=True):
    retention_ratio: Annotated[float, Meta(ge=0.0, le=1.0)]
    token_limits: TokenLimits | None = None


class Prompt(Value, kw_only=True):
    id: str
    version: str | None = None
    variables: dict[str, Any] | None = None


class Reasoning(Value, kw_only=True):
    effort: str | None = None


class AudioInput(Value, kw_only=True):
    format: AudioFormat = PcmFormat()
    transcription: Transcription | None = None
    noise_reduction: NoiseReduction | None = None
    turn_detection: TurnDetection | None = ServerVad()


class AudioOutput(Value, kw_only=True):
    format: AudioFormat = PcmFormat()
    voice: Voice = "alloy"
    speed: float = 1.0


class SessionAudio(Value, kw_only=True):
    input: AudioInput = AudioInput()
    output: AudioOutput = AudioOutput()


class SessionConfig(Value, kw_only=True):
    """The full effective session. Key set and order as in `session.created` of the service.

    `temperature` exists in the preview dialect only; GA frames never show it.
    """

    type: Literal["realtime", "transcription"] = "realtime"
    object: str = "realtime.session"
    id: str = ""
    model: str = ""
    output_modalities: tuple[Modality, ...] = ("audio",)
    instructions: str = ""
    tools: tuple[Tool, ...] = ()
    tool_choice: ToolChoice = "auto"
    max_output_tokens: MaxTokens = "inf"
    tracing: Literal["auto"] | TracingConfig | None = None
    truncation: Literal["auto", "disabled"] | RetentionRatio = "auto"
    prompt: Prompt | None = None
    expires_at: int = 0
    audio: SessionAudio = SessionAudio()
    include: tuple[str, ...] | None = None
    reasoning: Reasoning | None | UnsetType = UNSET
    parallel_tool_calls: bool | None | UnsetType = UNSET
    temperature: float | UnsetType = UNSET


class AudioInputUpdate(Value, kw_only=True):
    format: AudioFormat | UnsetType = UNSET
    transcription: Transcription | None | UnsetType = UNSET
    noise_reduction: NoiseReduction | None | UnsetType = UNSET
    turn_detection: TurnDetection | None | UnsetType = UNSET


class AudioOutputUpdate(Value, kw_only=True):
    format: AudioFormat | UnsetType = UNSET
    voice: Voice | UnsetType = UNSET
    speed: Annotated[float, Meta(ge=0.25, le=1.5)] | UnsetType = UNSET


class SessionAudioUpdate(Value, kw_only=True):
    input: AudioInputUpdate | UnsetType = UNSET
    output: AudioOutputUpdate | UnsetType = UNSET


class SessionUpdate(Value, kw_only=True):
    """A subset of the session. `type` is required (K-39)."""

    type: Literal["realtime", "transcription"]
    model: str | UnsetType = UNSET
    output_modalities: tuple[Modality, ...] | UnsetType = UNSET
    instructions: str | None | UnsetType = UNSET
    tools: tuple[Tool, ...] | None | UnsetType = UNSET
    tool_choice: ToolChoice | None | UnsetType = UNSET
    max_output_tokens: MaxTokens | None | UnsetType = UNSET
    tracing: Literal["auto"] | TracingConfig | None | UnsetType = UNSET
    truncation: Literal["auto", "disabled"] | RetentionRatio | None | UnsetType = UNSET
    prompt: Prompt | None | UnsetType = UNSET
    audio: SessionAudioUpdate | UnsetType = UNSET
    include: tuple[str, ...] | None | UnsetType = UNSET
    reasoning: Reasoning | None | UnsetType = UNSET
    parallel_tool_calls: bool | None | UnsetType = UNSET
    temperature: float | UnsetType = UNSET
