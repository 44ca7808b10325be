"""What both dialects do when they write a client's frame for an upstream."""

from __future__ import annotations

from typing import Any, cast

import msgspec

from kaiwa.events.client import AudioAppended
from kaiwa.events.value import Value

_encoder = msgspec.json.Encoder()


def append_frame(event: AudioAppended) -> str:
    """Return the frame of the one event that is frequent and large; it takes no detour."""
    frame = _encoder.encode(event)
    return frame.replace(b'"event_id":null,', b"", 1).decode() if event.event_id is None else frame.decode()


def client_body(event: Value) -> dict[str, Any]:
    """Return the JSON object of a client's event. Ids that are None are left out; settings keep nulls."""
    values = cast(dict[str, Any], msgspec.to_builtins(event))
    body = {key: value for key, value in values.items() if value is not None}
    for holder in holders(body):
        tools = holder.get("tools")
        if isinstance(tools, list | tuple):
            # A tool's null is nothing to clear, and upstream validators refuse some of them.
            listed = cast(list[dict[str, Any]], tools)
            holder["tools"] = [{k: v for k, v in tool.items() if v is not None} for tool in listed]
    return body


def holders(body: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the settings in the body: those of the session or of the response."""
    given = (body.get("session"), body.get("response"))
    return [cast(dict[str, Any], holder) for holder in given if isinstance(holder, dict)]
