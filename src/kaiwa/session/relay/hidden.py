"""Items that the peer must not see: which they are, and what a frame looks like without them.

Knows the shape of GA server frames as JSON objects; knows no session, so a host session may use it too.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, cast

from kaiwa.events.relay import UpstreamSaid

Body = Mapping[str, Any]

# The types whose frames name items or tools: what has to be looked into while something is hidden.
TYPES: Final = frozenset(
    {
        "session.created",
        "session.updated",
        "conversation.item.added",
        "conversation.item.created",
        "conversation.item.done",
        "conversation.item.deleted",
        "conversation.item.retrieved",
        "input_audio_buffer.committed",
        "response.output_item.added",
        "response.output_item.done",
        "response.function_call_arguments.delta",
        "response.function_call_arguments.done",
        "response.done",
    }
)


class HiddenItems:
    """Feed it every frame of the types above, in order."""

    def __init__(self) -> None:
        self._before: dict[str, str | None] = {}

    def hide(self, item_id: str) -> None:
        """Keep this item from the peer from now on."""
        self._before.setdefault(item_id, None)

    def __contains__(self, item_id: object) -> bool:
        return item_id in self._before

    def visible(self, item_id: str | None) -> str | None:
        """Return the nearest item at or before this one that the peer knows; None: there is none."""
        seen: set[str] = set()
        while item_id in self._before and item_id not in seen:
            seen.add(item_id)
            item_id = self._before[item_id]
        return None if item_id in self._before else item_id

    def shown(self, body: Body) -> Body | None:
        """Return the frame as the peer may see it: the same object, another one, or None."""
        item_id = _item_id(body)
        if item_id is not None and item_id in self._before:
            if body.get("type") in ("conversation.item.added", "conversation.item.created"):
                self._before[item_id] = _text(body.get("previous_item_id"))
            return None
        if body.get("type") == "response.done":
            return self._without_output(body)
        previous = _text(body.get("previous_item_id"))
        if previous in self._before:
            return {**body, "previous_item_id": self.visible(previous)}
        return body

    def without(self, said: UpstreamSaid) -> UpstreamSaid | None:
        """Return a service's frame as the peer may see it: the same one, another one, or None."""
        if said.body is None:
            return said
        shown = self.shown(said.body)
        if shown is None or shown is said.body:
            return None if shown is None else said
        return UpstreamSaid(type=said.type, event_id=said.event_id, body=dict(shown))

    def _without_output(self, body: Body) -> Body:
        response = body.get("response")
        if not isinstance(response, dict):
            return body
        fields = cast(dict[str, Any], response)
        output = cast(list[Any], fields.get("output") or [])
        kept = [item for item in output if not self._hides(item)]
        return body if len(kept) == len(output) else {**body, "response": {**fields, "output": kept}}

    def _hides(self, item: Any) -> bool:
        return isinstance(item, dict) and _text(cast(Body, item).get("id")) in self._before


def without_tools(body: Body, names: frozenset[str]) -> Body:
    """Return a session.created or session.updated that does not list these functions."""
    session = body.get("session")
    if not isinstance(session, dict):
        return body
    fields = cast(dict[str, Any], session)
    tools = cast(list[Any], fields.get("tools") or [])
    kept = [tool for tool in tools if _name(tool) not in names]
    return body if len(kept) == len(tools) else {**body, "session": {**fields, "tools": kept}}


def _name(tool: Any) -> str | None:
    """Return the name of a function; None for anything else."""
    if not isinstance(tool, dict):
        return None
    fields = cast(Body, tool)
    return _text(fields.get("name")) if fields.get("type", "function") == "function" else None


def _item_id(body: Body) -> str | None:
    item = body.get("item")
    return _text(cast(Body, item).get("id") if isinstance(item, dict) else body.get("item_id"))


def _text(value: object) -> str | None:
    """Names and ids are text; anything else is nobody's."""
    return value if isinstance(value, str) else None
