"""Calls of MCP tools: those that run, and those that wait for the client's word.

A call is one item, which gets its output when the server has answered: long after the response that made it,
and the model reads it when the client asks for the next response. Source: Realtime reference B6 (MCP).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import msgspec

from kaiwa.events import server
from kaiwa.events.items import McpApprovalResponse, McpCall, McpError, ToolExecutionError
from kaiwa.events.tools import ToolCall, ToolSettled
from kaiwa.session import errors
from kaiwa.session.conversation import Conversation
from kaiwa.session.items import finish
from kaiwa.session.mcp import Listings, RemoteTool
from kaiwa.session.outbox import Outbox


@dataclass(frozen=True, slots=True)
class RemoteCall:
    """A call whose arguments are complete, and its place in its response. Its id is its item's."""

    call: ToolCall
    output_index: int


@dataclass(frozen=True, slots=True)
class AwaitedCall:
    """A call that a client has to approve."""

    request_id: str
    tool: RemoteTool
    arguments: str


class RemoteCalls:
    def __init__(
        self, outbox: Outbox, conversation: Conversation, listings: Listings, grace_s: float
    ) -> None:
        self._outbox = outbox
        self._conversation = conversation
        self._listings = listings
        self._grace_s = grace_s
        self._running: dict[str, RemoteCall] = {}
        self._asked: dict[str, AwaitedCall] = {}
        self._answered: set[str] = set()
        self._approved: list[AwaitedCall] = []
        # When approved calls are made although the client did not ask for a response.
        self.due_at: float | None = None

    @property
    def any_running(self) -> bool:
        return bool(self._running)

    def begin(self, calls: Iterable[RemoteCall]) -> None:
        """Make the calls of a response that is done."""
        for one in calls:
            item_id, listing_id = one.call.call_id, one.call.listing_id
            if item_id not in self._conversation:
                continue
            self._running[item_id] = one
            self._outbox.send(server.McpCallInProgress, output_index=one.output_index, item_id=item_id)
            self._listings.hold(str(listing_id))
            self._outbox.run_tool(one.call)

    def settle(self, event: ToolSettled) -> bool:
        """Show a call's outcome; False when it is none of ours."""
        one = self._running.pop(event.call_id, None)
        if one is None:
            return False
        kind = server.McpCallFailed if event.failed else server.McpCallCompleted
        self._outbox.send(kind, output_index=one.output_index, item_id=event.call_id)
        entry = self._conversation.entry(event.call_id)
        if entry is not None and isinstance(entry.item, McpCall):
            error = _error_of(event) if event.failed else None
            item = msgspec.structs.replace(entry.item, output=None if error else event.output, error=error)
            finish(self._outbox, self._conversation, event.call_id, item)
        self._listings.release(str(one.call.listing_id))
        return True

    def drop(self, item_id: str) -> None:
        """The item left the conversation: nobody waits for its call, and it needs no answer."""
        self._asked.pop(item_id, None)
        self._approved = [one for one in self._approved if one.request_id != item_id]
        one = self._running.pop(item_id, None)
        if one is not None:
            self._outbox.stop_tool(item_id)
            self._listings.release(str(one.call.listing_id))

    def stop_all(self) -> list[str]:
        running = list(self._running)
        self._running.clear()
        self._approved.clear()
        return running

    def ask(self, awaited: AwaitedCall) -> None:
        self._asked[awaited.request_id] = awaited

    def check_answer(self, answer: McpApprovalResponse) -> None:
        """Raise PeerError unless the request waits for its answer."""
        request_id = answer.approval_request_id
        if request_id in self._answered:
            raise errors.answered_request(request_id)
        if request_id not in self._asked:
            raise errors.unknown_request(request_id)

    def answer(self, answer: McpApprovalResponse, now: float) -> None:
        """Take the client's word. An approved call is made with the client's next response.create.

        Some clients send none (agents-realtime): then it is made after a moment.
        """
        awaited = self._asked.pop(answer.approval_request_id)
        self._answered.add(awaited.request_id)
        if answer.approve:
            self._approved.append(awaited)
            self.due_at = now + self._grace_s

    def take_approved(self) -> list[AwaitedCall]:
        taken, self._approved = self._approved, []
        self.due_at = None
        return taken


def _error_of(event: ToolSettled) -> McpError:
    return event.error or ToolExecutionError(message=event.output)
