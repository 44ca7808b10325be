"""Conversation items and their content parts. Source: Realtime reference B4.

The same values serve items a client sends (no id, no status) and items the server shows.
On the wire of the server an audio part has a transcript, and its bytes only in conversation.item.retrieved.
"""

from __future__ import annotations

from typing import Any, Literal

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


class ListedTool(Value, kw_only=True):
    """A tool as its MCP server describes it. `annotations` are hints such as `readOnlyHint`."""

    name: str
    description: str | None = None
    input_schema: dict[str, Any] = {}
    annotations: dict[str, Any] | None = None


class McpListTools(Value, tag="mcp_list_tools", tag_field="type", kw_only=True):
    """What an MCP server offers. `error` says why the list stayed empty; absent when nothing went wrong."""

    id: str | UnsetType = UNSET
    object: str | UnsetType = UNSET
    server_label: str
    tools: tuple[ListedTool, ...] = ()
    error: str | UnsetType = UNSET


class ProtocolError(Value, tag="protocol_error", tag_field="type", kw_only=True):
    """The MCP server answered with a JSON-RPC error."""

    code: int
    message: str


class ToolExecutionError(Value, tag="tool_execution_error", tag_field="type", kw_only=True):
    """The tool ran and failed, or was not run."""

    message: str


class HttpError(Value, tag="http_error", tag_field="type", kw_only=True):
    """The MCP server could not be reached or gave no answer."""

    code: int
    message: str


McpError = ProtocolError | ToolExecutionError | HttpError


class McpCall(Value, tag="mcp_call", tag_field="type", kw_only=True):
    """A call of a tool on an MCP server; ends with an output or an error. Null keys are always shown."""

    id: str | UnsetType = UNSET
    object: str | UnsetType = UNSET
    server_label: str
    name: str
    arguments: str
    approval_request_id: str | None = None
    output: str | None = None
    error: McpError | None = None


class McpApprovalRequest(Value, tag="mcp_approval_request", tag_field="type", kw_only=True):
    """A call that waits for the client's word."""

    id: str | UnsetType = UNSET
    object: str | UnsetType = UNSET
    server_label: str
    name: str
    arguments: str


class McpApprovalResponse(Value, tag="mcp_approval_response", tag_field="type", kw_only=True):
    id: str | UnsetType = UNSET
    object: str | UnsetType = UNSET
    approval_request_id: str
    approve: bool
    reason: str | None = None


# What a model reads, what a client may add, and all that a conversation holds.
Item = Message | FunctionCall | FunctionCallOutput
ClientItem = Item | McpApprovalResponse
AnyItem = ClientItem | McpListTools | McpCall | McpApprovalRequest


class ItemReference(Value, tag="item_reference", tag_field="type", kw_only=True):
    """Names an item of the conversation inside `response.create.input`."""

    id: str
