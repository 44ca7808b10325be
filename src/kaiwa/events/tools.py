"""Tool calls between session, runner and tools."""

from __future__ import annotations

from typing import Any, Final

from kaiwa.events.config import McpTool
from kaiwa.events.items import ListedTool, McpError
from kaiwa.events.value import Value

# The session's own tool, offered while calls run that may be stopped.
STOP_TOOL_CALL: Final = "stop_tool_call"


class ToolSpec(Value, kw_only=True):
    """A function as a model sees it.

    `parameters` is a JSON schema. `changes` is True for a tool that changes something, False for one
    that only reads, None when nobody said (a client's tool). `server` says that kaiwa runs it; `confirm`
    that the caller has to agree to a read-back first, `background` that it takes long and the talk goes on,
    `cancel_on_interruption` that a barge-in stops it.
    """

    name: str
    description: str = ""
    parameters: dict[str, Any] = {}
    changes: bool | None = None
    server: bool = False
    confirm: bool = False
    background: bool = False
    cancel_on_interruption: bool = False


class ToolCall(Value, kw_only=True):
    """A call to be carried out. `arguments` is JSON text, not yet validated.

    `listing_id` names the listing whose tool it is; None: a tool of the agent's own functions.
    `turn` counts the user's turns before the response that called. `agreed`: the caller has agreed to these
    very arguments. `unprompted`: the response answered a silence, not the user.
    """

    call_id: str
    name: str
    arguments: str
    response_id: str
    listing_id: str | None = None
    conversation_id: str = ""
    turn: int = 0
    agreed: bool = False
    unprompted: bool = False


class ToolListing(Value, kw_only=True):
    """An MCP server to connect to, and the name its listing has in this conversation.

    `own` says that the server is one of the agent's, named by its label alone; otherwise a peer named it.
    """

    listing_id: str
    server: McpTool
    own: bool = False


class ToolProgress(Value, kw_only=True):
    call_id: str
    fraction: float
    text: str = ""


class ToolSaid(Value, kw_only=True):
    """An interim answer in the caller's language, to be spoken as it is while the call goes on."""

    call_id: str
    text: str


class ToolSettled(Value, kw_only=True):
    """The one and only outcome of a call. `output` is what the model reads (JSON text or a sentence).

    `error` tells what kind of failure it was; only calls of MCP tools have it.
    """

    call_id: str
    output: str
    failed: bool = False
    error: McpError | None = None


class ToolsListed(Value, kw_only=True):
    """What an MCP server offers, now and whenever it changes. `error`: why nothing is known of it."""

    listing_id: str
    tools: tuple[ListedTool, ...] = ()
    error: str | None = None


ToolEvent = ToolProgress | ToolSaid | ToolSettled | ToolsListed
