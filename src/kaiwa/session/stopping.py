"""The tool by which a model stops calls that still run, when the caller asks for it. Stops nothing itself.

It is offered only while something runs that may be stopped. A change never is: cut off in the middle, nobody
would know what it did.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import msgspec

from kaiwa.events.tools import STOP_TOOL_CALL, ToolCall, ToolSpec

STOPPED_BY_CALLER = '{"stopped": true, "message": "Stopped at the caller\'s wish; there is no result."}'
STOPPED_BY_SPEECH = '{"stopped": true, "message": "Stopped because the caller spoke; there is no result."}'


def stop_tool(names: Sequence[str]) -> ToolSpec:
    """Return the tool that stops running calls of these tools."""
    return ToolSpec(
        name=STOP_TOOL_CALL,
        description="Stop a tool that is still running, when the caller asks to stop or cancel it.",
        parameters={
            "type": "object",
            "properties": {"name": {"type": "string", "enum": sorted(set(names))}},
            "required": ["name"],
        },
        changes=False,
        server=True,
    )


def standing_tool(specs: Sequence[ToolSpec]) -> ToolSpec | None:
    """Return the tool for a session that offers it all the time: it names all that may be stopped."""
    long = [spec.name for spec in specs if spec.background and spec.changes is not True]
    known = any(spec.name == STOP_TOOL_CALL for spec in specs)
    return stop_tool(long) if long and not known else None


def wanted(call: ToolCall) -> str | None:
    """Return the name of the tool whose calls are to be stopped, or None."""
    try:
        given: Any = msgspec.json.decode(call.arguments or "{}")
    except msgspec.DecodeError:
        return None
    name = cast("dict[str, object]", given).get("name") if isinstance(given, dict) else None
    return name if isinstance(name, str) else None


def told(name: str | None, stopped: Sequence[str]) -> str:
    """Return what the model reads of the attempt."""
    if stopped:
        return msgspec.json.encode({"stopped": True, "name": name}).decode()
    return msgspec.json.encode({"error": "Nothing of that name is running that could be stopped."}).decode()
