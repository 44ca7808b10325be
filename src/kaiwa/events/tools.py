"""Tool calls between session, runner and tools."""

from __future__ import annotations

from typing import Any

from kaiwa.events.value import Value


class ToolSpec(Value, kw_only=True):
    """A function as a model sees it.

    `parameters` is a JSON schema. `changes` is True for a tool that changes something, False for one
    that only reads, None when nobody said (a client's tool). `server` says that kaiwa runs it.
    """

    name: str
    description: str = ""
    parameters: dict[str, Any] = {}
    changes: bool | None = None
    server: bool = False


class ToolCall(Value, kw_only=True):
    """A call to be carried out. `arguments` is JSON text, not yet validated."""

    call_id: str
    name: str
    arguments: str
    response_id: str


class ToolProgress(Value, kw_only=True):
    call_id: str
    fraction: float
    text: str = ""


class ToolSettled(Value, kw_only=True):
    """The one and only outcome of a call. `output` is what the model reads (JSON text or a sentence)."""

    call_id: str
    output: str
    failed: bool = False


ToolEvent = ToolProgress | ToolSettled
