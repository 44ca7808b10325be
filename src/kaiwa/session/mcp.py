"""The MCP servers of a conversation: which are listed, and what a model is offered of their tools.

Servers come with the peer's settings, shown by an item each, or with the agent, unseen. Does not know how a
server is reached, nor calls; a listing that went out of use stays connected until its last call ended.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from kaiwa.events import server
from kaiwa.events.actions import ForgetTools, ListTools
from kaiwa.events.config import McpTool, Tool
from kaiwa.events.items import ListedTool, McpListTools
from kaiwa.events.tools import ToolListing, ToolsListed, ToolSpec
from kaiwa.session.conversation import Conversation, Entry
from kaiwa.session.items import finish
from kaiwa.session.mcp_rules import allowed, needs_approval, only_reads
from kaiwa.session.outbox import Outbox

_UNFIT: Final = re.compile(r"[^A-Za-z0-9_-]+")
_MAX_NAME: Final = 64


@dataclass(frozen=True, slots=True)
class RemoteTool:
    """A tool of an MCP server as a model is offered it. `own`: of the agent's, run like its functions."""

    listing_id: str
    label: str
    name: str
    spec: ToolSpec
    own: bool
    approval: bool


@dataclass(slots=True)
class _Listing:
    id: str
    server: McpTool
    own: bool = False
    item_id: str | None = None
    listed: bool = False
    failed: bool = False
    retired: bool = False
    calls: int = 0
    tools: tuple[ListedTool, ...] = field(default=())


class Listings:
    def __init__(self, outbox: Outbox, conversation: Conversation) -> None:
        self._outbox = outbox
        self._conversation = conversation
        self._listings: dict[str, _Listing] = {}

    def begin(self, own: Sequence[str], tools: Sequence[Tool]) -> None:
        """List the agent's servers, and those the session begins with."""
        for label in own:
            self._start(_Listing(f"own_{label}", McpTool(server_label=label), own=True))
        self.configure(tools)

    def configure(self, tools: Sequence[Tool]) -> None:
        """Follow the peer's tools: list what is new, changed or failed before; let go what is not named."""
        wanted = {tool.server_label: tool for tool in tools if isinstance(tool, McpTool)}
        for listing in [one for one in self._current() if not one.own]:
            if wanted.get(listing.server.server_label) == listing.server and not listing.failed:
                del wanted[listing.server.server_label]
            else:
                listing.retired = True
                self._let_go(listing)
        for entry in wanted.values():
            item_id = self._show(entry.server_label)
            self._start(_Listing(item_id, entry, item_id=item_id))

    def take(self, event: ToolsListed) -> None:
        """A server said what it offers, or could not be asked."""
        listing = self._listings.get(event.listing_id)
        if listing is None or listing.retired:
            return
        if listing.own:
            listing.tools = listing.tools if event.error else event.tools
            return
        if listing.item_id is None:
            listing.item_id = self._show(listing.server.server_label)
        item_id, listing.item_id = listing.item_id, None
        listing.listed, listing.failed = event.error is None, event.error is not None
        listing.tools = tuple(tool for tool in event.tools if allowed(listing.server, tool))
        kind = server.McpListToolsFailed if listing.failed else server.McpListToolsCompleted
        self._outbox.send(kind, item_id=item_id)
        item = McpListTools(id=item_id, server_label=listing.server.server_label, tools=listing.tools)
        if event.error is not None:
            item = McpListTools(id=item_id, server_label=listing.server.server_label, error=event.error)
        finish(self._outbox, self._conversation, item_id, item)

    def offered(self, tools: Sequence[Tool], taken: Collection[str]) -> dict[str, RemoteTool]:
        """Return the tools of the named servers and of the agent's, by the names a model calls them.

        A name that is `taken` or that two servers share is qualified by the server's label.
        """
        found = [*self._of_peer(tools), *self._of_agent()]
        shared = Counter(_fit(tool.name) for _, _, tool in found)
        offered: dict[str, RemoteTool] = {}
        for listing, entry, tool in found:
            name = _fit(tool.name)
            if name in taken or shared[name] > 1:
                name = _fit(f"{listing.server.server_label}__{tool.name}")
            if name not in taken and name not in offered:
                offered[name] = _remote(listing, entry, tool, name)
        return offered

    def hold(self, listing_id: str) -> None:
        """A call runs: its server stays connected."""
        if listing := self._listings.get(listing_id):
            listing.calls += 1

    def release(self, listing_id: str) -> None:
        """A call ended."""
        if listing := self._listings.get(listing_id):
            listing.calls -= 1
            self._let_go(listing)

    def _current(self) -> Iterator[_Listing]:
        return (listing for listing in self._listings.values() if not listing.retired)

    def _show(self, label: str) -> str:
        item_id = self._outbox.new_id("item")
        item = McpListTools(id=item_id, server_label=label)
        previous = self._conversation.add(item_id, Entry(item=item))
        self._outbox.send(server.ItemAdded, previous_item_id=previous, item=item)
        self._outbox.send(server.McpListToolsInProgress, item_id=item_id)
        return item_id

    def _start(self, listing: _Listing) -> None:
        self._listings[listing.id] = listing
        asked = ToolListing(listing_id=listing.id, server=listing.server, own=listing.own)
        self._outbox.act(ListTools(listing=asked))

    def _let_go(self, listing: _Listing) -> None:
        if not listing.retired or listing.calls:
            return
        if listing.item_id is not None:  # it was never heard of again
            item = McpListTools(
                id=listing.item_id, server_label=listing.server.server_label, error="The server was removed."
            )
            self._outbox.send(server.McpListToolsFailed, item_id=listing.item_id)
            finish(self._outbox, self._conversation, listing.item_id, item)
        del self._listings[listing.id]
        self._outbox.act(ForgetTools(listing_id=listing.id))

    def _of_peer(self, tools: Sequence[Tool]) -> Iterator[tuple[_Listing, McpTool, ListedTool]]:
        listings = {one.server.server_label: one for one in self._current() if one.listed}
        for entry in tools:
            listing = listings.get(entry.server_label) if isinstance(entry, McpTool) else None
            if listing is None or not isinstance(entry, McpTool):
                continue
            if entry.server_url in (None, listing.server.server_url):
                yield from ((listing, entry, tool) for tool in listing.tools if allowed(entry, tool))

    def _of_agent(self) -> Iterator[tuple[_Listing, McpTool, ListedTool]]:
        return (
            (listing, listing.server, tool)
            for listing in self._current()
            if listing.own
            for tool in listing.tools
        )


def _remote(listing: _Listing, entry: McpTool, tool: ListedTool, name: str) -> RemoteTool:
    reads = only_reads(tool)
    spec = ToolSpec(
        name=name,
        description=tool.description or "",
        parameters=tool.input_schema,
        changes=None if reads is None else not reads,
        server=listing.own,
    )
    return RemoteTool(
        listing_id=listing.id,
        label=listing.server.server_label,
        name=tool.name,
        spec=spec,
        own=listing.own,
        approval=not listing.own and needs_approval(entry, tool),
    )


def _fit(name: str) -> str:
    """Return the name as a model may write it."""
    return _UNFIT.sub("_", name)[:_MAX_NAME]
