"""The rules of order for MCP in a transcript: listings, and calls that outlive their response.

Knows events as dicts that already have their fields. Source: Realtime reference B6 (MCP), K-281 to K-287.
"""

from __future__ import annotations

from typing import Final

from kaiwa.testing.conformance_rules import Event, require

_ENDS: Final = ("completed", "failed")


class McpWork:
    """Listings and calls begin once, end once, and only then is their item done."""

    def __init__(self) -> None:
        self._kinds: dict[str, str] = {}
        self._places: dict[str, int] = {}  # calls whose response is done, by item
        self._stages: dict[str, str] = {}

    def see(self, event: Event) -> None:
        name: str = event["type"]
        if name == "conversation.item.added" and event["item"]["type"] in ("mcp_list_tools", "mcp_call"):
            self._kinds[event["item"]["id"]] = event["item"]["type"]
        elif name == "response.done":
            for index, item in enumerate(event["response"]["output"]):
                if item["type"] == "mcp_call":
                    self._places[item["id"]] = index
        elif name.startswith(("mcp_list_tools.", "response.mcp_call.")):
            self._advance(event, name.rpartition(".")[2])
        elif name == "conversation.item.done" and event["item"]["id"] in self._kinds:
            self._finish(event["item"])

    def end(self) -> None:
        going = [item_id for item_id, stage in self._stages.items() if stage not in _ENDS]
        require(not going, "mcp.ends", f"{going} never ended")

    def _advance(self, event: Event, stage: str) -> None:
        item_id, name = event["item_id"], event["type"]
        kind = "mcp_list_tools" if name.startswith("mcp_list_tools.") else "mcp_call"
        require(self._kinds.get(item_id) == kind, "mcp.item", f"{name} of {item_id}, which is no {kind}")
        if kind == "mcp_call":
            place = self._places.get(item_id)
            require(place is not None, "mcp.after_response", f"{name} before response.done (K-286)")
            require(event["output_index"] == place, "mcp.index", f"{item_id} stands at {place}")
        before = self._stages.get(item_id)
        expected = None if stage == "in_progress" else "in_progress"
        require(before == expected, "mcp.stages", f"{name} of {item_id} after {before}")
        self._stages[item_id] = stage

    def _finish(self, item: Event) -> None:
        item_id, stage = item["id"], self._stages.get(item["id"])
        if item["type"] == "mcp_call" and stage is None:
            require(item["error"] is not None, "mcp.item_done", f"{item_id} is done and was never called")
            return
        require(stage in _ENDS, "mcp.item_done", f"{item_id} is done while it is {stage}")
        if item["type"] == "mcp_call":
            key = "output" if stage == "completed" else "error"
            require(item[key] is not None, "mcp.outcome", f"{item_id} {stage} without {key}")
