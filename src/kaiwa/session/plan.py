"""What one response is to be: the session's settings with the request's overrides, taken once.

Source: Realtime reference B1 (response.create), K-106 to K-110, K-217 to K-222.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from msgspec import UNSET, UnsetType

from kaiwa.errors import PeerError
from kaiwa.events.client import ResponseAudioOutput, ResponseParams
from kaiwa.events.config import (
    AudioFormat,
    CustomVoice,
    ForcedFunction,
    ForcedMcp,
    FunctionTool,
    MaxTokens,
    Modality,
    SessionConfig,
    Tool,
    ToolChoice,
    Voice,
)
from kaiwa.events.engine import Generate
from kaiwa.events.items import ClientItem, ItemReference
from kaiwa.events.response import Response, ResponseAudio, ResponseOutputFormat
from kaiwa.events.tools import ToolProgress, ToolSpec
from kaiwa.session.conversation import Conversation, Entry
from kaiwa.session.history import read
from kaiwa.session.item_rules import check_item, stored
from kaiwa.session.mcp import Listings, RemoteTool
from kaiwa.session.mcp_rules import checked_servers
from kaiwa.session.settings import check_max_tokens, check_modalities, check_speed

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Plan:
    """`history` None means the conversation as it is when the response begins.

    `remote` are those of the tools that MCP servers run, by the names a model calls them.
    `words`: what is said is given; `passing`: no model will read it.
    """

    in_conversation: bool
    modalities: tuple[Modality, ...]
    instructions: str
    voice: Voice
    format: AudioFormat
    speed: float
    tools: tuple[ToolSpec, ...]
    tool_choice: ToolChoice
    max_output_tokens: MaxTokens
    metadata: dict[str, Any] | None
    language: str | None
    temperature: float | UnsetType = UNSET
    history: tuple[Entry, ...] | None = None
    remote: Mapping[str, RemoteTool] = field(default_factory=dict[str, RemoteTool])
    progress: tuple[ToolProgress, ...] = ()
    words: str | None = None
    passing: bool = False

    @property
    def spoken(self) -> bool:
        return "audio" in self.modalities

    def served_by_us(self, name: str) -> bool:
        return any(tool.server and tool.name == name for tool in self.tools)

    def generate(self, response_id: str, history: Sequence[Entry]) -> Generate:
        return Generate(
            response_id=response_id,
            history=read(history),
            instructions=self.instructions,
            tools=self.tools,
            tool_choice=self.tool_choice,
            modalities=self.modalities,
            voice=self.voice.id if isinstance(self.voice, CustomVoice) else self.voice,
            speed=self.speed,
            max_output_tokens=self.max_output_tokens,
            language=self.language,
            progress=self.progress,
            words=self.words,
        )

    def response(self, response_id: str, conversation_id: str) -> Response:
        """Return the response object as it stands in response.created."""
        return Response(
            id=response_id,
            conversation_id=conversation_id if self.in_conversation else None,
            output_modalities=self.modalities,
            max_output_tokens=self.max_output_tokens,
            audio=ResponseAudio(output=ResponseOutputFormat(format=self.format, voice=self.voice)),
            metadata=self.metadata,
            temperature=self.temperature,
        )


def planned(
    config: SessionConfig,
    own_tools: Sequence[ToolSpec],
    listings: Listings,
    params: ResponseParams,
    conversation: Conversation,
) -> Plan:
    """Return the plan for a request. Raises PeerError."""
    check_modalities(params.output_modalities, "response.output_modalities")
    check_max_tokens(params.max_output_tokens, "response.max_output_tokens")
    metadata = _or(params.metadata, None)
    _check_metadata(metadata)
    output = _output_of(params)
    check_speed(output.speed, "response.audio.output.speed")
    in_conversation = params.conversation != "none"
    transcription = config.audio.input.transcription
    given = _or(params.tools, config.tools)
    functions = _offered(given, own_tools if in_conversation else ())
    if params.tools:
        checked_servers(params.tools, (), "response.tools")
    # Their calls outlive the response, as items of the conversation: beside it there are none.
    remote = listings.offered(given, {tool.name for tool in functions}) if in_conversation else {}
    choice, tools = _chosen(
        _or(params.tool_choice, config.tool_choice),
        remote,
        (*functions, *(one.spec for one in remote.values())),
    )
    return Plan(
        in_conversation=in_conversation,
        modalities=_or(params.output_modalities, config.output_modalities),
        instructions=_or(params.instructions, config.instructions),
        voice=_or(output.voice, config.audio.output.voice),
        format=_or(output.format, config.audio.output.format),
        speed=_or(output.speed, config.audio.output.speed),
        tools=tools,
        tool_choice=choice,
        max_output_tokens=_or(params.max_output_tokens, config.max_output_tokens),
        metadata=metadata,
        language=transcription.language if transcription else None,
        temperature=_or(params.temperature, config.temperature),
        history=_given_history(params, conversation),
        remote=remote,
    )


def _or(value: T | None | UnsetType, otherwise: T) -> T:
    return otherwise if value is None or value is UNSET else value


def _output_of(params: ResponseParams) -> ResponseAudioOutput:
    audio = _or(params.audio, None)
    if audio is None or audio.output is None or audio.output is UNSET:
        return ResponseAudioOutput()
    return audio.output


def _offered(tools: Sequence[Tool], own_tools: Sequence[ToolSpec]) -> tuple[ToolSpec, ...]:
    """Return the peer's functions and ours beside them; a peer's function hides ours of the same name."""
    theirs = tuple(
        ToolSpec(name=tool.name, description=tool.description or "", parameters=tool.parameters or {})
        for tool in tools
        if isinstance(tool, FunctionTool)
    )
    names = {tool.name for tool in theirs}
    return theirs + tuple(tool for tool in own_tools if tool.name not in names)


def _chosen(
    choice: ToolChoice, remote: Mapping[str, RemoteTool], tools: tuple[ToolSpec, ...]
) -> tuple[ToolChoice, tuple[ToolSpec, ...]]:
    """Return a choice that names no MCP server, and the tools it leaves. Of a server not listed: any tool."""
    if not isinstance(choice, ForcedMcp):
        return choice, tools
    meant = [
        one.spec
        for one in remote.values()
        if one.label == choice.server_label and choice.name in (None, one.name)
    ]
    match meant:
        case []:
            return "auto", tools
        case [only]:
            return ForcedFunction(name=only.name), tools
        case _:
            return "required", tuple(meant)


def _given_history(params: ResponseParams, conversation: Conversation) -> tuple[Entry, ...] | None:
    if params.input is None or params.input is UNSET:
        return None
    return tuple(
        _given_entry(item, f"response.input[{index}]", conversation)
        for index, item in enumerate(params.input)
    )


def _given_entry(item: ClientItem | ItemReference, param: str, conversation: Conversation) -> Entry:
    if isinstance(item, ItemReference):
        return conversation.referred(item.id, f"{param}.id")
    check_item(item, param)
    return Entry(item=stored(item, item.id or "", lambda prefix: f"{prefix}_input"))


def _check_metadata(metadata: dict[str, Any] | None) -> None:
    if metadata is None:
        return
    if len(metadata) > 16:
        raise PeerError("invalid_value", "Metadata has at most 16 pairs.", param="response.metadata")
    for key, value in metadata.items():
        if len(key) > 64 or (isinstance(value, str) and len(value) > 512):
            message = "Metadata keys have at most 64 characters, values at most 512."
            raise PeerError("invalid_value", message, param=f"response.metadata.{key}")
