"""What a session wants done. The runner carries actions out in order and knows nothing of why."""

from __future__ import annotations

from kaiwa.events.budget import Charge
from kaiwa.events.engine import EngineCommand
from kaiwa.events.server import ServerEvent
from kaiwa.events.tools import ToolCall, ToolListing
from kaiwa.events.value import Value


class Send(Value, kw_only=True):
    event: ServerEvent


class Ask(Value, kw_only=True):
    command: EngineCommand


class RunTool(Value, kw_only=True):
    call: ToolCall


class StopTool(Value, kw_only=True):
    call_id: str


class ListTools(Value, kw_only=True):
    """Connect to an MCP server and keep telling what it offers (ToolsListed)."""

    listing: ToolListing


class ForgetTools(Value, kw_only=True):
    """Close the connection of a listing."""

    listing_id: str


class Hang(Value, kw_only=True):
    """End the conversation: close the transport with this code and reason."""

    code: int
    reason: str


Action = Send | Ask | RunTool | StopTool | ListTools | ForgetTools | Charge | Hang
